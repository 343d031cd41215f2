//! The HPA that some workload of the simulated cluster has: average CPU utilisation, tolerance, stabilised scale-down. Enough to be a second writer
//! that behaves; the exact one is `hpa.rs`.

use std::collections::VecDeque;

use super::world::World;
use crate::domain::snapshot::EventReason;

/// No change within this share of the target, as kube-controller-manager's default.
const TOLERANCE: f64 = 0.1;
/// The highest recommendation of so many seconds counts when scaling down.
const STABILISATION_S: i64 = 300;

/// What was recommended lately, oldest first.
#[derive(Debug, Default)]
pub(super) struct Recommendations(VecDeque<(i64, u32)>);

impl Recommendations {
    /// Adds one and gives the highest of the window.
    fn stabilised(&mut self, now: i64, replicas: u32) -> u32 {
        self.0.push_back((now, replicas));
        while self.0.front().is_some_and(|(at, _)| at + STABILISATION_S <= now) {
            self.0.pop_front();
        }
        self.0.iter().map(|(_, replicas)| *replicas).max().unwrap_or(replicas)
    }
}

impl World {
    /// Every HPA looks once.
    pub(super) fn autoscale(&mut self) {
        for index in 0..self.workloads.len() {
            let workload = &mut self.workloads[index];
            let (Some(hpa), Some(cpu)) = (workload.spec.hpa, workload.cpu()) else { continue };
            let requested = workload.resources.cpu_request.unwrap_or_default().cores() * f64::from(workload.ready());
            if requested <= 0.0 {
                continue;
            }
            let ratio = cpu / requested * 100.0 / f64::from(hpa.cpu_percent);
            let wanted =
                if (ratio - 1.0).abs() <= TOLERANCE { workload.desired } else { (f64::from(workload.ready()) * ratio).ceil() as u32 };
            let wanted = wanted.clamp(hpa.min, hpa.max);
            let wanted = workload.recommendations.stabilised(self.now, wanted);
            if wanted != workload.desired {
                let key = workload.spec.key.clone();
                self.scale(index, wanted, "kube-controller-manager");
                self.events.note(self.now, &key, "HorizontalPodAutoscaler", EventReason::SuccessfulRescale);
            }
        }
    }
}
