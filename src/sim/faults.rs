//! What goes wrong with the cluster itself: each fault is a few steps in time, and while it lasts it changes how things behave. Faults of metrics
//! are in `metrics` and `sight`, where they are looked at.

use std::sync::Arc;

use jiff::SignedDuration;

use super::nodes::SimNode;
use super::scenario::{Fault, FaultKind, FaultTarget};
use super::world::{World, time, times};
use crate::domain::fleet::CapacityType;
use crate::domain::limits::Surge;
use crate::domain::names::TargetKey;
use crate::domain::snapshot::EventReason;
use crate::domain::units::GoDuration;
use crate::service::{Condition, mix};

/// The manager under which a competing controller writes. No ownership table knows it.
const OTHER_CONTROLLER: &str = "legacy-scaler";
/// The manager under which `kubectl scale` writes.
const PERSON: &str = "kubectl";

/// A brownout makes answers slower by its inverse at most: nothing answers a thousand times slower and is not given up.
const LEAST_FACTOR: f64 = 0.001;

/// What happens at a moment, in the order in which it does when several do at one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// The fault (by index) is told of before it begins.
    Announce(usize),
    /// It begins.
    Begin(usize),
    /// It does its work once more.
    Again(usize),
    /// A node is taken away.
    Reclaim(u64),
    /// It ends.
    End(usize),
}

impl FaultKind {
    /// By how much metrics are late, seconds, where that is what is wrong.
    pub(super) fn delay_s(&self) -> Option<u32> {
        if let Self::MetricsDelay { by_s } = self { Some(*by_s) } else { None }
    }

    /// Whether a replica gets more done while it lasts than what is declared.
    #[must_use]
    pub fn speeds_up(&self) -> bool {
        match self {
            Self::ServiceTimeChange { factor } => *factor < 1.0,
            Self::Rollout { factor } => *factor > 1.0,
            _ => false,
        }
    }
}

impl Fault {
    /// What it multiplies prices by, where that is what it does.
    fn price_factor(&self) -> Option<f64> {
        if let FaultKind::PriceChange { factor } = self.kind { Some(factor) } else { None }
    }
}

impl World {
    /// Takes the faults in: what they will do stands in `steps` from now on.
    pub(super) fn await_faults(&mut self, faults: Vec<Fault>) {
        let soon = self.now + 1;
        for (index, fault) in faults.iter().enumerate() {
            let (from, until) = (fault.from.as_second(), fault.until.as_second());
            if until <= self.now {
                continue;
            }
            if let FaultKind::SurgeAnnounced { ahead_s, .. } = fault.kind {
                self.steps.insert(((from - i64::from(ahead_s)).max(soon), Step::Announce(index)));
                continue;
            }
            self.steps.insert((from.max(soon), Step::Begin(index)));
            self.steps.insert((until.max(soon), Step::End(index)));
        }
        self.faults = faults;
        self.unsettled |= !self.steps.is_empty();
    }

    /// Everything that is due happens.
    pub(super) fn take_steps(&mut self) {
        while self.steps.first().is_some_and(|(at, _)| *at <= self.now) {
            let Some((_, step)) = self.steps.pop_first() else { break };
            match step {
                Step::Announce(index) => self.announce(index),
                Step::Begin(index) => self.begin(index),
                Step::Again(index) => self.write_again(index),
                Step::Reclaim(number) => self.lose_nodes(&[number]),
                Step::End(index) => self.end(index),
            }
        }
    }

    /// How a workload behaves now.
    pub(super) fn condition(&self, target: &TargetKey) -> Condition {
        let mut condition = Condition::default();
        for fault in self.active().filter(|fault| fault.concerns(target)) {
            match fault.kind {
                FaultKind::DependencyBrownout { factor, cpu_factor } => {
                    condition.capacity *= factor;
                    condition.cpu *= cpu_factor;
                    // By Little's law: a replica holds what it can, and each of these takes so much longer.
                    condition.latency /= factor.max(LEAST_FACTOR);
                }
                FaultKind::ServiceTimeChange { factor } => {
                    condition.capacity /= factor;
                    condition.cpu *= factor;
                    condition.latency *= factor;
                }
                _ => {}
            }
        }
        condition
    }

    /// Whether no node can be had in a pool and zone.
    pub(super) fn is_short(&self, pool: &str, zone: &str) -> bool {
        let short = |fault: &Fault| matches!(fault.kind, FaultKind::ProvisioningFailure | FaultKind::ZoneLoss);
        self.active().any(|fault| short(fault) && fault.concerns_node(pool, zone))
    }

    /// What prices are multiplied by.
    pub(super) fn price_factor(&self, pool: &str, zone: &str) -> f64 {
        self.active().filter(|fault| fault.concerns_node(pool, zone)).filter_map(Fault::price_factor).product()
    }

    /// Whether prices are others than those of the list.
    pub(super) fn prices_changed(&self) -> bool {
        self.active().any(|fault| matches!(fault.kind, FaultKind::PriceChange { .. }))
    }

    /// What the price of an instance type in a zone is multiplied by: a fault of a pool's prices is one of what the pool buys.
    pub(super) fn offering_factor(&self, instance_type: &Arc<str>, zone: &str) -> f64 {
        let buys = |pool: &Arc<str>| self.pools.iter().any(|p| p.name == *pool && p.instance_types.contains(instance_type));
        let concerns = |fault: &&Fault| match &fault.target {
            None => true,
            Some(FaultTarget::Zone(struck)) => **struck == *zone,
            Some(FaultTarget::Pool(pool)) => buys(pool),
            Some(FaultTarget::Workload(_)) => false,
        };
        self.active().filter(concerns).filter_map(Fault::price_factor).product()
    }

    /// What nodes cost now.
    pub(super) fn reprice_nodes(&mut self) {
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let price = times(node.list_price, self.price_factor(&node.pool, &node.zone));
            self.nodes[index].price_per_hour = price;
        }
    }

    /// Whether a write to a workload meets a conflict; each write is drawn by itself.
    pub(super) fn write_conflicts(&mut self, target: &TargetKey) -> bool {
        self.writes += 1;
        let chance = mix(self.seed ^ mix(self.writes)) as f64 / u64::MAX as f64;
        let strikes = |fault: &Fault| matches!(fault.kind, FaultKind::ApiConflict { share } if chance < share);
        self.active().any(|fault| fault.concerns(target) && strikes(fault))
    }

    fn active(&self) -> impl Iterator<Item = &Fault> {
        let now = time(self.now);
        self.faults.iter().filter(move |fault| fault.lasts(now))
    }

    fn announce(&mut self, index: usize) {
        let fault = &self.faults[index];
        let FaultKind::SurgeAnnounced { percent, .. } = fault.kind else { return };
        let surge = Surge {
            name: format!("surge {}", index + 1),
            start: fault.from,
            duration: GoDuration::from_secs(fault.until.duration_since(fault.from).max(SignedDuration::ZERO).as_secs().unsigned_abs()),
            percent,
        };
        for group in self.groups.values_mut().filter(|group| group.targets.iter().any(|target| fault.concerns(&target.key))) {
            group.surges.push(surge.clone());
            group.generation += 1;
        }
    }

    fn begin(&mut self, index: usize) {
        match self.faults[index].kind {
            FaultKind::SpotReclaim { share, notice_s } => self.give_notice(index, share, notice_s),
            FaultKind::ZoneLoss => {
                let lost = self.numbers_of(index, |_| true);
                self.lose_nodes(&lost);
            }
            FaultKind::NodeSlow { share, factor } => {
                let slow = self.chosen(index, share, self.numbers_of(index, |_| true));
                self.set_speed(&slow, factor);
            }
            FaultKind::PodCrash { share } => self.crash_pods(index, share),
            FaultKind::Rollout { factor } => self.roll_out(index, factor),
            FaultKind::CompetingWriter { .. } => self.write_again(index),
            FaultKind::HumanScale { replicas } => {
                for workload in self.struck(index) {
                    self.scale(workload, replicas, PERSON);
                }
            }
            FaultKind::MetricsOutage
            | FaultKind::MetricsLie { .. }
            | FaultKind::MetricsDelay { .. }
            | FaultKind::MetricsNaN { .. }
            | FaultKind::ProvisioningFailure
            | FaultKind::DependencyBrownout { .. }
            | FaultKind::ServiceTimeChange { .. }
            | FaultKind::PriceChange { .. }
            | FaultKind::ApiConflict { .. }
            | FaultKind::SurgeAnnounced { .. } => {}
        }
    }

    fn end(&mut self, index: usize) {
        match self.faults[index].kind {
            FaultKind::NodeSlow { .. } => {
                let all = self.numbers_of(index, |_| true);
                self.set_speed(&all, 1.0);
            }
            FaultKind::Rollout { .. } => self.roll_out(index, 1.0),
            _ => {}
        }
    }

    /// Spot nodes are told of their end: nothing new is put on them, and then they are gone.
    fn give_notice(&mut self, index: usize, share: f64, notice_s: u32) {
        let spot = self.numbers_of(index, |node| node.capacity_type == CapacityType::Spot);
        for number in self.chosen(index, share, spot) {
            self.steps.insert((self.now + i64::from(notice_s), Step::Reclaim(number)));
            for node in self.nodes.iter_mut().filter(|node| node.number == number) {
                node.cordoned = true;
            }
            for workload in self.workloads.iter().filter(|workload| workload.pods.iter().any(|pod| pod.node == Some(number))) {
                self.events.note(self.now, &workload.spec.key, "Node", EventReason::SpotInterrupted);
            }
        }
    }

    fn set_speed(&mut self, numbers: &[u64], speed: f64) {
        for node in self.nodes.iter_mut().filter(|node| numbers.contains(&node.number)) {
            node.speed = speed;
        }
    }

    fn crash_pods(&mut self, index: usize, share: f64) {
        for workload in self.struck(index) {
            let ready = self.workloads[workload].pods.iter().filter(|pod| pod.is_ready()).map(|pod| pod.number).collect();
            let chosen = self.chosen(index, share, ready);
            self.workloads[workload].crash(self.now, &chosen, &mut self.events);
        }
    }

    fn roll_out(&mut self, index: usize, speed: f64) {
        for workload in self.struck(index) {
            self.workloads[workload].roll_out(speed);
        }
    }

    fn write_again(&mut self, index: usize) {
        let FaultKind::CompetingWriter { replicas, every_s } = self.faults[index].kind else { return };
        for workload in self.struck(index) {
            self.scale(workload, replicas, OTHER_CONTROLLER);
        }
        let next = self.now + i64::from(every_s.max(1));
        if next < self.faults[index].until.as_second() {
            self.steps.insert((next, Step::Again(index)));
        }
    }

    /// Workloads (by index) that a fault strikes.
    fn struck(&self, index: usize) -> Vec<usize> {
        (0..self.workloads.len()).filter(|at| self.faults[index].concerns(&self.workloads[*at].spec.key)).collect()
    }

    /// Nodes (by number) that a fault strikes.
    fn numbers_of(&self, index: usize, such: impl Fn(&SimNode) -> bool) -> Vec<u64> {
        let struck = self.nodes.iter().filter(|node| self.faults[index].concerns_node(&node.pool, &node.zone) && such(node));
        struck.map(|node| node.number).collect()
    }

    /// A share of these, by the seed: to the nearest whole, and at least one where the share is above zero.
    fn chosen(&self, index: usize, share: f64, mut of: Vec<u64>) -> Vec<u64> {
        let count = ((share * of.len() as f64).round() as usize).max(usize::from(share > 0.0));
        of.sort_by_key(|number| (mix(self.seed ^ mix(index as u64) ^ *number), *number));
        of.truncate(count);
        of
    }
}

#[cfg(test)]
mod tests;
