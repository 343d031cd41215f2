//! Nodes: pods are bound to those there are, new ones are bought for pods without a place, empty ones are given back.
//!
//! Binding spreads as kube-scheduler does by default: the node that is left emptiest, less a little for each pod of the same workload. Buying takes what is cheapest for each pod it takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::demand::mix;
use super::scenario::PoolSpec;
use super::world::{ScenarioError, World};
use crate::domain::fleet::{CapacityType, Catalogue};
use crate::domain::snapshot::EventReason;
use crate::domain::units::MicroUsd;
use crate::domain::workload::{PodPhase, ResourceList};
use crate::scheduling;

/// A node without pods is given back after so many seconds.
const EMPTY_S: i64 = 60;
/// What a pod of the same workload on a node counts against it, in points of a hundred.
const SPREAD: i64 = 10;

/// One simulated node.
#[derive(Clone, Debug)]
pub(super) struct SimNode {
    pub(super) name: Arc<str>,
    pub(super) pool: Arc<str>,
    pub(super) labels: BTreeMap<Arc<str>, Arc<str>>,
    pub(super) allocatable: ResourceList,
    pub(super) requested: ResourceList,
    pub(super) price_per_hour: MicroUsd,
    pub(super) launched: i64,
    pub(super) ready_at: i64,
    pub(super) empty_since: Option<i64>,
}

/// One simulated pool.
#[derive(Clone, Debug)]
pub(super) struct SimPool {
    pub(super) name: Arc<str>,
    pub(super) instance_types: Vec<Arc<str>>,
    pub(super) capacity_types: Vec<CapacityType>,
    pub(super) provisioning_s: u32,
    pub(super) max: u32,
    /// Most resources in use, where the pool says so.
    pub(super) limits: Option<ResourceList>,
    pub(super) weight: u32,
    /// What it may buy, cheapest first.
    pub(super) options: Vec<PoolOption>,
}

/// One thing a pool may buy.
#[derive(Clone, Debug)]
pub(super) struct PoolOption {
    pub(super) labels: BTreeMap<Arc<str>, Arc<str>>,
    pub(super) allocatable: ResourceList,
    pub(super) price_per_hour: MicroUsd,
}

impl SimNode {
    /// What is left to request.
    pub(super) fn room(&self) -> ResourceList {
        self.allocatable.minus(&self.requested)
    }

    /// When it changes by itself.
    pub(super) fn due(&self, now: i64) -> Option<i64> {
        if self.ready_at > now { Some(self.ready_at) } else { self.empty_since.map(|since| since + EMPTY_S) }
    }
}

impl SimPool {
    /// Pools as a scenario asks for them.
    pub(super) fn all(specs: Vec<PoolSpec>, catalogue: &Catalogue) -> Result<Vec<Self>, ScenarioError> {
        specs
            .into_iter()
            .map(|spec| {
                let mut pool = Self {
                    options: Vec::new(),
                    name: spec.name,
                    instance_types: spec.instance_types,
                    capacity_types: spec.capacity_types,
                    provisioning_s: spec.provisioning_s,
                    max: spec.max,
                    limits: None,
                    weight: 1,
                };
                pool.options = pool.find_options(catalogue);
                let bought = |name: &Arc<str>| pool.options.iter().any(|o| o.labels.get(INSTANCE_TYPE) == Some(name));
                match pool.instance_types.iter().find(|name| !bought(name)) {
                    Some(missing) => Err(ScenarioError::UnknownInstanceType { pool: pool.name.clone(), instance_type: missing.clone() }),
                    None => Ok(pool),
                }
            })
            .collect()
    }

    /// What the catalogue offers of what the pool may buy, cheapest first.
    pub(super) fn find_options(&self, catalogue: &Catalogue) -> Vec<PoolOption> {
        let types = self.instance_types.iter().filter_map(|name| catalogue.types.get(name));
        let mut options: Vec<PoolOption> = types
            .flat_map(|t| t.offerings.iter().filter(|o| self.capacity_types.contains(&o.capacity_type)).map(move |o| (t, o)))
            .map(|(t, offering)| {
                let mut labels = t.labels.clone();
                labels.insert(INSTANCE_TYPE.into(), t.name.clone());
                labels.insert("topology.kubernetes.io/zone".into(), offering.zone.clone());
                labels.insert("karpenter.sh/capacity-type".into(), offering.capacity_type.label().into());
                labels.insert("karpenter.sh/nodepool".into(), self.name.clone());
                PoolOption { labels, allocatable: t.allocatable.clone(), price_per_hour: offering.price_per_hour }
            })
            .collect();
        options.sort_by(|a, b| (a.price_per_hour, &a.labels).cmp(&(b.price_per_hour, &b.labels)));
        options
    }
}

const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";

impl World {
    /// Places the pods of the start on nodes that have always been there, and makes them ready.
    pub(super) fn place_first_pods(&mut self) -> Result<(), ScenarioError> {
        // Binding spreads where buying packs, so that what was bought may not do at first.
        loop {
            let (before, unplaced) = (self.nodes.len(), self.pending().len());
            self.provision();
            if unplaced > 0 && self.nodes.len() == before {
                return Err(ScenarioError::NoRoom { pods: unplaced });
            }
            for node in &mut self.nodes {
                node.launched = self.start - 86_400;
                node.ready_at = node.launched + 60;
            }
            self.schedule();
            if self.pending().is_empty() {
                break;
            }
        }
        for workload in &mut self.workloads {
            let startup_s = i64::from(workload.spec.startup_s);
            for pod in &mut workload.pods {
                pod.phase = PodPhase::Ready;
                pod.due = None;
                pod.scheduled = Some(pod.created);
                pod.container_started = pod.created;
                pod.ready_since = Some(pod.created + startup_s);
            }
        }
        self.events.clear();
        self.settle();
        Ok(())
    }

    /// Pods and nodes that were due: pods become ready or are gone, nodes without pods are noticed.
    pub(super) fn end_pods_and_boot_nodes(&mut self) {
        for workload in &mut self.workloads {
            for (name, requests) in workload.end_and_ready_pods(self.now) {
                if let Some(node) = self.nodes.iter_mut().find(|node| node.name == name) {
                    node.requested = node.requested.minus(&requests);
                }
            }
        }
    }

    /// Binds pending pods to ready nodes, in the order in which they were made.
    pub(super) fn schedule(&mut self) {
        for (index, pod_index) in self.pending() {
            let workload = &self.workloads[index];
            let requests = workload.pods[pod_index].requests();
            let alike = |node: &SimNode| workload.pods.iter().filter(|pod| pod.node.as_ref() == Some(&node.name)).count();
            let score = |node: &SimNode| {
                let emptiness = scheduling::least_allocated(&requests, &node.allocatable, &node.room());
                emptiness.cast_signed() - SPREAD * i64::try_from(alike(node)).unwrap_or(i64::MAX / SPREAD)
            };
            let fitting = self.nodes.iter().enumerate().filter(|(_, node)| node.ready_at <= self.now && requests.fits(&node.room()));
            let best = fitting
                .map(|(at, node)| (at, score(node)))
                .max_by(|a, b| a.1.cmp(&b.1).then_with(|| self.nodes[b.0].name.cmp(&self.nodes[a.0].name)));
            let workload = &mut self.workloads[index];
            let pod = &mut workload.pods[pod_index];
            if let Some((at, _)) = best {
                let node = &mut self.nodes[at];
                node.requested.add(&requests, 1);
                pod.bind(&node.name, self.now, i64::from(workload.spec.startup_s), workload.seed);
            } else if !pod.place_missed {
                pod.place_missed = true;
                self.events.note(self.now, &workload.spec.key, "Pod", EventReason::FailedScheduling);
            }
        }
    }

    /// Buys nodes for pods that have no place on those there are or that boot.
    pub(super) fn provision(&mut self) {
        let mut waiting: Vec<(usize, ResourceList)> =
            self.pending().into_iter().map(|(index, pod)| (index, self.workloads[index].pods[pod].requests())).collect();
        let mut rooms: Vec<ResourceList> = self.nodes.iter().filter(|node| node.ready_at > self.now).map(SimNode::room).collect();
        waiting.retain(|(_, requests)| !take_first(&mut rooms, requests));
        waiting.sort_by(|a, b| (b.1.cpu, b.1.memory, a.0).cmp(&(a.1.cpu, a.1.memory, b.0)));
        while !waiting.is_empty() {
            let Some((pool, option)) = self.cheapest(&waiting) else { break };
            let mut room = [option.allocatable.clone()];
            waiting.retain(|(index, requests)| {
                let placed = take_first(&mut room, requests);
                if placed {
                    self.events.note(self.now, &self.workloads[*index].spec.key, "Pod", EventReason::Nominated);
                }
                !placed
            });
            self.launch(pool, option);
        }
    }

    /// Gives nodes back that have been empty for a while.
    pub(super) fn consolidate(&mut self) {
        let now = self.now;
        for node in &mut self.nodes {
            let empty = node.ready_at <= now && node.requested.pods == 0;
            node.empty_since = if empty { node.empty_since.or(Some(now)) } else { None };
        }
        self.nodes.retain(|node| node.empty_since.is_none_or(|since| since + EMPTY_S > now));
    }

    fn pending(&self) -> Vec<(usize, usize)> {
        let mut pending: Vec<(i64, usize, usize)> = Vec::new();
        for (index, workload) in self.workloads.iter().enumerate() {
            let unbound = workload.pods.iter().enumerate().filter(|(_, pod)| pod.phase == PodPhase::Pending);
            pending.extend(unbound.map(|(at, pod)| (pod.created, index, at)));
        }
        pending.sort_unstable();
        pending.into_iter().map(|(_, index, at)| (index, at)).collect()
    }

    /// The pool (by index) and the machine whose price for each waiting pod it takes is least.
    fn cheapest(&self, waiting: &[(usize, ResourceList)]) -> Option<(usize, PoolOption)> {
        let mut best: Option<(f64, usize, &PoolOption)> = None;
        for (index, pool) in self.pools.iter().enumerate() {
            let of_pool = || self.nodes.iter().filter(|node| node.pool == pool.name);
            if of_pool().count() as u32 >= pool.max {
                continue;
            }
            let mut in_use = ResourceList::default();
            of_pool().for_each(|node| in_use.add(&node.allocatable, 1));
            let within =
                |option: &PoolOption| pool.limits.as_ref().is_none_or(|limits| within_limits(&option.allocatable, &in_use, limits));
            for option in pool.options.iter().filter(|option| within(option)) {
                let mut room = [option.allocatable.clone()];
                let taken = waiting.iter().filter(|(_, requests)| take_first(&mut room, requests)).count();
                let price = option.price_per_hour.0 as f64 / taken as f64;
                if taken > 0 && best.is_none_or(|(least, _, _)| price < least) {
                    best = Some((price, index, option));
                }
            }
        }
        best.map(|(_, index, option)| (index, option.clone()))
    }

    fn launch(&mut self, pool: usize, option: PoolOption) {
        self.nodes_launched += 1;
        let pool = &self.pools[pool];
        let share = mix(self.seed ^ self.nodes_launched) as f64 / u64::MAX as f64;
        let provisioning_s = f64::from(pool.provisioning_s) * (0.9 + 0.2 * share);
        self.nodes.push(SimNode {
            name: format!("{}-{:05x}", pool.name, mix(self.seed ^ self.nodes_launched) >> 44).into(),
            pool: pool.name.clone(),
            labels: option.labels,
            allocatable: option.allocatable,
            requested: ResourceList::default(),
            price_per_hour: option.price_per_hour,
            launched: self.now,
            ready_at: self.now + provisioning_s.round() as i64,
            empty_since: None,
        });
    }
}

/// Takes a pod's requests from the first room they fit into.
fn take_first(rooms: &mut [ResourceList], requests: &ResourceList) -> bool {
    match rooms.iter_mut().find(|room| requests.fits(room)) {
        Some(room) => {
            *room = room.minus(requests);
            true
        }
        None => false,
    }
}

fn within_limits(machine: &ResourceList, in_use: &ResourceList, limits: &ResourceList) -> bool {
    (limits.cpu.0 == 0 || machine.cpu + in_use.cpu <= limits.cpu)
        && (limits.memory.0 == 0 || machine.memory + in_use.memory <= limits.memory)
}
