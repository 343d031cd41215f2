//! The simulated cluster: advances second by second to any later moment, and takes changes. What it shows is in `observe` and `metrics`.
//!
//! One seed and one sequence of changes give one history, to the byte. It knows no clock: it is told how far to go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::audit::AuditLog;
use super::events::EventLog;
use super::faults::Step;
use super::nodes::{SimNode, SimPool};
use super::pods::SimPod;
use super::scenario::{Fault, Scenario};
use super::workload::SimWorkload;
use crate::domain::fleet::Catalogue;
use crate::domain::limits::{Fleet, Group, Guardrail};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::snapshot::Quota;
use crate::domain::units::MicroUsd;
use crate::domain::workload::ResourceList;
use crate::service::{Bill, Tally, mix, pod_price};

/// Seconds between two scrapes of a target, and between two looks of an HPA.
pub const SCRAPE_S: i64 = 15;

/// The simulated cluster.
#[derive(Debug)]
pub struct World {
    pub(super) cluster: Arc<str>,
    pub(super) start: i64,
    pub(super) now: i64,
    pub(super) utc_offset_s: i64,
    pub(super) seed: u64,
    /// Sorted by key.
    pub(super) workloads: Vec<SimWorkload>,
    /// For each workload who calls it (by index), and how often for each unit served.
    callers: Vec<Vec<(usize, f64)>>,
    /// Whether anybody calls anybody.
    any_calls: bool,
    /// What each served in the last second.
    served: Vec<f64>,
    pub(super) nodes: Vec<SimNode>,
    pub(super) nodes_launched: u64,
    pub(super) pools: Vec<SimPool>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) guardrails: BTreeMap<Arc<str>, Guardrail>,
    pub(super) fleets: BTreeMap<Arc<str>, Fleet>,
    pub(super) quotas: BTreeMap<Arc<str>, Quota>,
    pub(super) faults: Vec<Fault>,
    /// What is still to come of the faults, by time.
    pub(super) steps: BTreeSet<(i64, Step)>,
    /// Writes that may have met a conflict so far.
    pub(super) writes: u64,
    pub(super) events: EventLog,
    pub(super) audit: AuditLog,
    /// When the next pod or node changes by itself.
    next_due: i64,
    /// Whether something was changed since the controllers last looked.
    pub(super) unsettled: bool,
    nodes_per_hour: MicroUsd,
    node_bill: Bill,
    node_seconds: u64,
}

/// Why a scenario cannot be simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// A pool names a type that the catalogue does not have.
    #[error("pool `{pool}` names instance type `{instance_type}`, which the catalogue does not offer as it wants to pay: name another")]
    UnknownInstanceType {
        /// The pool.
        pool: Arc<str>,
        /// The type.
        instance_type: Arc<str>,
    },
    /// A workload calls one that is not there.
    #[error("workload `{caller}` calls `{called}`, which is not in the scenario: add it, or take the call out")]
    UnknownCall {
        /// Who calls.
        caller: String,
        /// Whom.
        called: String,
    },
    /// Two workloads of one name.
    #[error("workload `{0}` is there twice: take one out")]
    Twice(String),
    /// At the start not all pods have a place.
    #[error("{pods} pods have no place at the start: let a pool have more nodes or larger types")]
    NoRoom {
        /// How many.
        pods: usize,
    },
}

/// What has been paid so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Pods at the price of their requests.
    pub pods: MicroUsd,
    /// Nodes at their own price, from launch to end.
    pub nodes: MicroUsd,
    /// Seconds that nodes were paid for, over all of them.
    pub node_seconds: u64,
}

impl World {
    /// The cluster of a scenario at its start: everything runs, as if it always had.
    ///
    /// # Errors
    /// [`ScenarioError`] when the scenario does not fit together or not into the catalogue.
    pub fn new(scenario: Scenario, catalogue: Arc<Catalogue>, seed: u64) -> Result<Self, ScenarioError> {
        let start = scenario.start.as_second();
        let utc_offset_s = i64::from(scenario.time_zone.zone().to_offset(scenario.start).seconds());
        let late_s = scenario.faults.iter().filter_map(|fault| fault.kind.delay_s()).max().unwrap_or(0);
        let mut workloads: Vec<SimWorkload> =
            scenario.workloads.into_iter().map(|spec| SimWorkload::new(spec, seed, start, late_s)).collect();
        workloads.sort_by(|a, b| a.spec.key.cmp(&b.spec.key));
        if let Some(pair) = workloads.windows(2).find(|pair| pair[0].spec.key == pair[1].spec.key) {
            return Err(ScenarioError::Twice(pair[0].spec.key.to_string()));
        }
        let callers = callers(&workloads)?;
        let mut pools = scenario.pools;
        if pools.is_empty() {
            let pods: Vec<_> = workloads.iter().flat_map(|workload| workload.pods.iter().map(SimPod::requests)).collect();
            pools.extend(SimPool::ample(&pods, &catalogue));
        }
        let mut world = Self {
            cluster: scenario.cluster,
            start,
            now: start,
            utc_offset_s,
            seed,
            any_calls: callers.iter().any(|callers| !callers.is_empty()),
            callers,
            served: vec![0.0; workloads.len()],
            workloads,
            nodes: Vec::new(),
            nodes_launched: 0,
            pools: SimPool::all(pools, &catalogue)?,
            catalogue,
            groups: scenario.groups.into_iter().map(|group| (group.id.clone(), group)).collect(),
            guardrails: scenario.guardrails.into_iter().map(|guardrail| (guardrail.namespace.clone(), guardrail)).collect(),
            fleets: scenario.fleets.into_iter().map(|fleet| (fleet.id.name.clone(), fleet)).collect(),
            quotas: scenario.quotas,
            faults: Vec::new(),
            steps: BTreeSet::new(),
            writes: 0,
            events: EventLog::default(),
            audit: AuditLog::default(),
            next_due: start,
            unsettled: false,
            nodes_per_hour: MicroUsd::default(),
            node_bill: Bill::default(),
            node_seconds: 0,
        };
        world.place_first_pods()?;
        world.await_faults(scenario.faults);
        Ok(world)
    }

    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> Arc<str> {
        self.cluster.clone()
    }

    /// How far it has come.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        time(self.now)
    }

    /// Lets time pass until `until`. A moment that has passed changes nothing.
    pub fn advance_to(&mut self, until: Timestamp) {
        while self.now < until.as_second() {
            self.second();
        }
    }

    /// What has been paid so far.
    #[must_use]
    pub fn costs(&self) -> Costs {
        let pods = self.workloads.iter().map(|workload| workload.tally(self.now).pod_cost).sum();
        Costs { pods, nodes: self.node_bill.total(), node_seconds: self.node_seconds }
    }

    /// What came of a workload since the start.
    #[must_use]
    pub fn tally(&self, target: &TargetKey) -> Option<Tally> {
        self.find(target).map(|index| self.workloads[index].tally(self.now))
    }

    /// A stretch begins that is to be told of by itself: the longest bad run of each workload is looked for from now on.
    pub fn begin_stretch(&mut self) {
        for workload in &mut self.workloads {
            workload.count.begin_stretch();
        }
    }

    /// Index of a workload.
    pub(super) fn find(&self, key: &TargetKey) -> Option<usize> {
        self.workloads.binary_search_by(|w| w.spec.key.cmp(key)).ok()
    }

    fn second(&mut self) {
        self.now += 1;
        if self.unsettled || self.now >= self.next_due {
            self.settle();
        }
        if self.any_calls {
            self.carry_calls();
        }
        for workload in &mut self.workloads {
            workload.serve(self.now, self.utc_offset_s);
            if (self.now + workload.scrape_offset_s) % SCRAPE_S == 0 {
                self.unsettled |= workload.scrape(self.now, &mut self.events);
            }
        }
        if self.now % SCRAPE_S == 0 {
            self.autoscale();
        }
        if self.now % 60 == 0 {
            for workload in &mut self.workloads {
                workload.close_minute(self.now);
            }
        }
        self.node_bill.add(self.nodes_per_hour, 1);
        self.node_seconds += self.nodes.len() as u64;
    }

    /// Calls that workloads make: what a caller served in the last second asks its dependencies in this one.
    fn carry_calls(&mut self) {
        for (index, workload) in self.workloads.iter().enumerate() {
            self.served[index] = workload.served_last as f64;
        }
        for index in 0..self.workloads.len() {
            self.workloads[index].calls_rate = self.calls_to(index, &self.served);
        }
    }

    /// Units/s that callers bring to a workload when each is served at its rate.
    pub(super) fn calls_to(&self, index: usize, served: &[f64]) -> f64 {
        self.callers[index].iter().map(|(caller, ratio)| served[*caller] * ratio).sum()
    }

    /// What goes wrong now, and what the controllers, the scheduler and the provisioner do, once what was due has happened.
    pub(super) fn settle(&mut self) {
        self.unsettled = false;
        for workload in &mut self.workloads {
            workload.ready_pods(self.now);
        }
        self.take_steps();
        for workload in &mut self.workloads {
            workload.reconcile(self.now, &mut self.events);
        }
        self.take_ended_pods();
        self.answer_resizes();
        self.schedule();
        let nodes = self.nodes.len();
        self.provision();
        if self.nodes[nodes..].iter().any(|node| node.ready_at <= self.now) {
            self.schedule();
        }
        self.consolidate();
        self.sum_up();
    }

    fn sum_up(&mut self) {
        self.reprice_nodes();
        self.nodes_per_hour = self.nodes.iter().map(|node| node.price_per_hour).sum();
        let pods_due = (0..self.workloads.len()).filter_map(|index| self.sum_up_workload(index)).min();
        let nodes_due = self.nodes.iter().filter_map(|node| node.due(self.now)).min();
        let step_due = self.steps.first().map(|(at, _)| *at);
        self.next_due = [pods_due, nodes_due, step_due].into_iter().flatten().min().unwrap_or(i64::MAX);
    }

    fn sum_up_workload(&mut self, index: usize) -> Option<i64> {
        let condition = self.condition(&self.workloads[index].spec.key);
        let per_hour = self.price_of_pods(&self.workloads[index]);
        let (nodes, workload) = (&self.nodes, &mut self.workloads[index]);
        workload.pods_per_hour = per_hour;
        workload.sum_up(&condition, |number| nodes.binary_search_by_key(&number, |node| node.number).map_or(1.0, |at| nodes[at].speed))
    }

    /// What one replica costs an hour by its declared requests and the list price of the first pool's first type, whatever has become of prices.
    #[must_use]
    pub fn list_price(&self, target: &TargetKey) -> Option<MicroUsd> {
        let spec = &self.workloads[self.find(target)?].spec;
        let option = self.pools.first()?.options.first()?;
        let requests = ResourceList {
            cpu: spec.resources.cpu_request.unwrap_or_default(),
            memory: spec.resources.memory_request.unwrap_or_default(),
            pods: 1,
            ..ResourceList::default()
        };
        Some(pod_price(&requests, &option.allocatable, option.price_per_hour))
    }

    /// What the pods of a workload cost an hour: each its share of the node it runs on, or of the first pool's first type while it has none.
    fn price_of_pods(&self, workload: &SimWorkload) -> MicroUsd {
        let fallback = self.pools.first().and_then(|pool| {
            let option = pool.options.first()?;
            Some((&option.allocatable, times(option.price_per_hour, self.price_factor(&pool.name, &option.zone))))
        });
        let price = |pod: &SimPod| {
            let machine = pod.node.and_then(|number| self.node(number)).map(|node| (&node.allocatable, node.price_per_hour));
            let (allocatable, price) = machine.or(fallback)?;
            Some(pod_price(&pod.requests(), allocatable, price))
        };
        workload.pods.iter().filter_map(price).sum()
    }
}

fn callers(workloads: &[SimWorkload]) -> Result<Vec<Vec<(usize, f64)>>, ScenarioError> {
    let mut callers = vec![Vec::new(); workloads.len()];
    for (index, caller) in workloads.iter().enumerate() {
        for (called, ratio) in &caller.spec.calls {
            let found = workloads
                .iter()
                .position(|w| w.spec.key == *called)
                .ok_or_else(|| ScenarioError::UnknownCall { caller: caller.spec.key.to_string(), called: called.to_string() })?;
            callers[found].push((index, *ratio));
        }
    }
    Ok(callers)
}

/// The moment of a Unix second.
pub(super) fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// So many times a price.
pub(super) fn times(price: MicroUsd, factor: f64) -> MicroUsd {
    MicroUsd((price.0 as f64 * factor).round() as i64)
}

/// A seed of its own for everything that has a name.
pub(super) fn seed_of(seed: u64, name: &str) -> u64 {
    name.bytes().fold(mix(seed), |hash, byte| mix(hash ^ u64::from(byte)))
}

#[cfg(test)]
mod tests;
