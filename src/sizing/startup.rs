//! How long a replica takes: from its own pods' scheduling to readiness, and from nodes' creation to readiness.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::domain::fleet::Node;
use crate::domain::memory::{PlannerMemory, TargetMemory};
use crate::domain::series::quantile;
use crate::domain::workload::Workload;

/// Start-ups kept of a target: enough for a p95, few enough that a better image shows within a day.
const STARTUPS_KEPT: usize = 48;
/// Pods whose start-up was counted are remembered, so that each counts once.
const COUNTED_KEPT: usize = 128;
/// Start-ups of an old template that stand in for a new one until it has its own.
const PRIOR_KEPT: usize = 3;
/// A pod that took longer had another trouble than starting, seconds.
const LONGEST_STARTUP_S: f64 = 1800.0;
/// Start-up assumed before any was seen, seconds.
const USUAL_STARTUP_S: f64 = 60.0;
/// Nodes whose provisioning counts.
const NODES_KEPT: usize = 32;
/// A node whose readiness came later flapped since, seconds.
const LONGEST_PROVISIONING_S: f64 = 900.0;
/// Provisioning assumed before any was seen, seconds.
const USUAL_PROVISIONING_S: f64 = 90.0;

/// The lead time of a workload, by its parts, seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lead {
    /// Scheduled to ready, p95.
    pub startup_s: f64,
    /// A node's creation to readiness, p95; 0 where the pods fit on nodes there are.
    pub provisioning_s: f64,
    /// Until the next tick can act.
    pub tick_s: f64,
}

impl Lead {
    /// All parts together.
    #[must_use]
    pub fn total_s(&self) -> f64 {
        self.startup_s + self.provisioning_s + self.tick_s
    }
}

/// Learns start-ups from pods that became ready and never restarted. A new template begins with the last few of the old one.
pub fn learn_startup(memory: &mut TargetMemory, workload: &Workload) {
    if memory.template != workload.template.hash {
        let surplus = memory.startup_s.len().saturating_sub(PRIOR_KEPT);
        memory.startup_s.drain(..surplus);
        memory.template = workload.template.hash.clone();
    }
    for pod in workload.pods.iter().filter(|pod| pod.current_template && pod.restarts == 0) {
        let Some((scheduled, ready)) = pod.scheduled.zip(pod.ready_since) else { continue };
        if memory.startup_counted.contains(&pod.name) {
            continue;
        }
        memory.startup_counted.push_back(pod.name.clone());
        let seconds = seconds_between(scheduled, ready);
        if (0.0..=LONGEST_STARTUP_S).contains(&seconds) {
            memory.startup_s.push_back(seconds as f32);
        }
    }
    keep_newest(&mut memory.startup_s, STARTUPS_KEPT);
    keep_newest(&mut memory.startup_counted, COUNTED_KEPT);
}

/// Learns how long nodes take, from those that are there; while none tells, what was learned stands.
pub fn learn_provisioning(memory: &mut PlannerMemory, nodes: &[Node]) {
    let mut seen: Vec<(Timestamp, &str, f64)> = nodes
        .iter()
        .filter_map(|node| {
            let (created, ready) = node.created.zip(node.ready_since)?;
            let seconds = seconds_between(created, ready);
            (0.0..=LONGEST_PROVISIONING_S).contains(&seconds).then_some((ready, &*node.name, seconds))
        })
        .collect();
    if seen.is_empty() {
        return;
    }
    seen.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let surplus = seen.len().saturating_sub(NODES_KEPT);
    memory.provisioning_s = seen[surplus..].iter().map(|(_, _, seconds)| *seconds as f32).collect();
}

/// The lead time of a workload; `needs_node` when its next pods fit on no node there is.
#[must_use]
pub fn lead(memory: &TargetMemory, provisioning_s: &VecDeque<f32>, needs_node: bool, tick_s: f64) -> Lead {
    let startup_s = p95(&memory.startup_s).unwrap_or(USUAL_STARTUP_S);
    let provisioning_s = if needs_node { p95(provisioning_s).unwrap_or(USUAL_PROVISIONING_S) } else { 0.0 };
    Lead { startup_s, provisioning_s, tick_s }
}

fn p95(seconds: &VecDeque<f32>) -> Option<f64> {
    let (front, back) = seconds.as_slices();
    // A ring that never wrapped is one slice, which is the usual case; a wrapped one is copied.
    let value = if back.is_empty() { quantile(front, 0.95) } else { quantile(&[front, back].concat(), 0.95) };
    value.map(f64::from)
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

fn keep_newest<T>(ring: &mut VecDeque<T>, keep: usize) {
    let surplus = ring.len().saturating_sub(keep);
    ring.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::resize::PodSize;
    use crate::domain::workload::{Pod, PodPhase, PodTemplate};
    use crate::forecast::world::workload;

    fn pod(name: &str, startup: i64) -> Pod {
        let at = |s: i64| Some(Timestamp::from_second(1_000 + s).unwrap());
        Pod {
            name: name.into(),
            node: None,
            phase: PodPhase::Ready,
            created: at(0),
            scheduled: at(0),
            ready_since: at(startup),
            restarts: 0,
            oom_killed: false,
            current_template: true,
            size: PodSize::default(),
        }
    }

    #[test]
    fn each_pod_counts_once_and_a_restarted_one_never() {
        let mut memory = TargetMemory::default();
        let mut workload = workload("web", 2);
        workload.pods = vec![pod("a", 40), pod("b", 60), Pod { restarts: 1, ..pod("c", 900) }, pod("d", -5)];
        (0..3).for_each(|_| learn_startup(&mut memory, &workload));
        assert_eq!(memory.startup_s, [40.0, 60.0]);
        assert_eq!(lead(&memory, &VecDeque::new(), false, 60.0).total_s(), 59.0 + 60.0);
    }

    #[test]
    fn a_new_template_begins_with_the_last_start_ups_of_the_old() {
        let mut memory = TargetMemory { startup_s: (0..10).map(|i| i as f32).collect(), template: "old".into(), ..Default::default() };
        let workload = Workload { template: PodTemplate { hash: "new".into(), ..Default::default() }, pods: vec![], ..workload("web", 1) };
        learn_startup(&mut memory, &workload);
        assert_eq!(memory.startup_s, [7.0, 8.0, 9.0]);
    }

    #[test]
    fn before_anything_was_seen_the_usual_times_count() {
        let lead = lead(&TargetMemory::default(), &VecDeque::new(), true, 60.0);
        assert_eq!((lead.startup_s, lead.provisioning_s), (USUAL_STARTUP_S, USUAL_PROVISIONING_S));
    }
}
