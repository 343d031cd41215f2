//! What an autoscaler beside IPA sees of one workload: what the metrics API and the object itself would show, and nothing of what is to come.

use super::metrics::{late_s, report};
use super::pods::SimPod;
use super::workload::Sample;
use super::world::{World, time};
use crate::domain::names::TargetKey;
use crate::domain::signal::SignalName;

/// One workload at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// Unix second.
    pub at_s: i64,
    /// `spec.replicas`.
    pub desired: u32,
    /// CPU request of one pod, millicores.
    pub cpu_request_milli: u64,
    /// Memory request of one pod, bytes.
    pub memory_request_bytes: u64,
    /// Pods that are not ending.
    pub pods: Vec<PodSight>,
    /// Units/s offered over the last minute, as the ingress counts them.
    pub demand: Option<f64>,
    /// Units that wait.
    pub waiting: u64,
}

/// One pod as the metrics API and its status show it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PodSight {
    /// Unix second at which its container started; absent while it has no node.
    pub started_s: Option<i64>,
    /// Unix second since which it is ready; absent while it is not.
    pub ready_since_s: Option<i64>,
    /// CPU over the metrics API's last window, millicores; absent before the first.
    pub cpu_milli: Option<u64>,
    /// Memory working set, bytes; absent before the first sample.
    pub memory_bytes: Option<u64>,
}

impl World {
    /// What an autoscaler beside IPA sees of a target now. Faults of metrics strike it as they strike everybody: what is missing is absent, what is
    /// late is of then (the memory of pods aside, which is always the newest), a lie is believed.
    #[must_use]
    pub fn sight(&self, target: &TargetKey) -> Option<Sight> {
        let workload = &self.workloads[self.find(target)?];
        let now = time(self.now);
        let seen_by = self.now - late_s(self, target, now);
        let sample = workload.samples.iter().rev().find(|sample| sample.at <= seen_by);
        let reported = |name: &SignalName, value: f64| report(self, target, name, now, value as f32).ok().map(f64::from);
        let show = |pod: &SimPod| PodSight {
            started_s: pod.node.map(|_| pod.container_started),
            ready_since_s: pod.ready_since,
            cpu_milli: sample
                .and_then(|sample| sample.cores(pod))
                .and_then(|cores| reported(&SignalName::Cpu, cores * 1000.0))
                .map(|milli| milli.round() as u64),
            memory_bytes: pod.memory.and_then(|bytes| reported(&SignalName::Memory, bytes)).map(|bytes| bytes.round() as u64),
        };
        Some(Sight {
            at_s: self.now,
            desired: workload.desired,
            cpu_request_milli: workload.in_force().cpu_request.unwrap_or_default().0,
            memory_request_bytes: workload.in_force().memory_request.unwrap_or_default().0,
            pods: workload.pods.iter().filter(|pod| !pod.is_ending()).map(show).collect(),
            demand: sample.and_then(|sample| reported(&SignalName::Demand, sample.demand)),
            waiting: sample.and_then(|sample| reported(&SignalName::Queue, sample.waiting as f64)).unwrap_or(0.0) as u64,
        })
    }
}

impl Sample {
    /// Cores that a pod used over the window: its share of the time in which it was ready. Absent for one whose container did not run all through
    /// the window, as metrics-server has no rate before it has two samples.
    fn cores(&self, pod: &SimPod) -> Option<f64> {
        if pod.node.is_none() || pod.container_started > self.from {
            return None;
        }
        let ready_s = pod.ready_since.map_or(0, |since| self.at - since.clamp(self.from, self.at));
        let share = ready_s as f64 / (self.at - self.from).max(1) as f64;
        Some(self.cpu.unwrap_or(0.0) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{Fault, FaultKind, Scenario};
    use super::super::testing::{NOON, at, catalogue, replicas, scenario, web};
    use super::*;

    fn key() -> TargetKey {
        TargetKey::deployment("shop", "web")
    }

    fn world(faults: Vec<Fault>) -> World {
        World::new(Scenario { faults, ..scenario(vec![web()]) }, catalogue(), 1).unwrap()
    }

    fn from_minute_5(kind: FaultKind) -> Vec<Fault> {
        vec![Fault { from: at(NOON + 300), until: at(NOON + 600), target: None, kind }]
    }

    #[test]
    fn ready_pods_share_the_load_and_a_new_one_has_no_cpu_before_a_whole_window() {
        let mut world = world(Vec::new());
        assert_eq!(world.sight(&key()).unwrap().pods[0].cpu_milli, None, "nothing has been sampled yet");
        world.advance_to(at(NOON + 120));
        let sight = world.sight(&key()).unwrap();
        assert_eq!((sight.at_s, sight.desired, sight.cpu_request_milli, sight.memory_request_bytes), (NOON + 120, 2, 1000, 512 << 20));
        assert!((sight.demand.unwrap() - 40.0).abs() < 4.0 && sight.waiting < 60, "{sight:?}");
        // 40 units/s at 16 m, over two, and 20 m each.
        assert!(
            sight.pods.iter().all(|pod| (280..400).contains(&pod.cpu_milli.unwrap()) && pod.memory_bytes > Some(200 << 20)),
            "{sight:?}"
        );
        world.write(&replicas(&world, &key(), 3));
        world.advance_to(at(NOON + 123));
        let new = |world: &World| world.sight(&key()).unwrap().pods[2];
        assert_eq!((new(&world).started_s, new(&world).ready_since_s, new(&world).cpu_milli), (Some(NOON + 121), None, None));
        world.advance_to(at(NOON + 151));
        assert_eq!((new(&world).ready_since_s, new(&world).cpu_milli), (Some(NOON + 151), Some(0)), "sampled while it started");
        world.advance_to(at(NOON + 200));
        assert!((180..300).contains(&new(&world).cpu_milli.unwrap()), "a third of the load: {:?}", new(&world));
        assert_eq!(world.sight(&TargetKey::deployment("shop", "nobody")), None);
    }

    #[test]
    fn pods_that_end_are_not_seen() {
        let mut slow = web();
        slow.service.base_latency_s = 20.0;
        let mut world = World::new(scenario(vec![slow]), catalogue(), 1).unwrap();
        world.advance_to(at(NOON + 60));
        world.write(&replicas(&world, &key(), 1));
        world.advance_to(at(NOON + 65));
        assert_eq!((world.workloads[0].pods.len(), world.sight(&key()).unwrap().pods.len()), (2, 1));
    }

    #[test]
    fn faults_of_metrics_strike_everybody() {
        let seen = |kind: FaultKind, second: i64| {
            let mut world = world(from_minute_5(kind));
            world.advance_to(at(NOON + second));
            let sight = world.sight(&key()).unwrap();
            (sight.demand.map(f64::round), sight.pods[0].cpu_milli, sight.pods[0].memory_bytes.is_some())
        };
        let truth = seen(FaultKind::MetricsOutage, 299);
        assert!(truth.0.is_some() && truth.1 > Some(200) && truth.2);
        assert_eq!(seen(FaultKind::MetricsOutage, 400), (None, None, false));
        let lie = |factor| FaultKind::MetricsLie { signals: vec![SignalName::Demand], factor };
        assert_eq!((seen(lie(0.0), 400).0, seen(lie(0.0), 400).1), (Some(0.0), seen(lie(1.0), 400).1));
        let late = FaultKind::MetricsDelay { by_s: 100 };
        let honest = |second| seen(lie(1.0), second);
        assert_eq!((seen(late.clone(), 450).0, seen(late, 450).1), (honest(350).0, honest(350).1), "as it was a hundred seconds before");
        assert_ne!(honest(450).1, honest(350).1);
    }
}
