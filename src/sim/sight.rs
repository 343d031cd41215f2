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
            cpu_request_milli: workload.resources.cpu_request.unwrap_or_default().0,
            memory_request_bytes: workload.resources.memory_request.unwrap_or_default().0,
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
