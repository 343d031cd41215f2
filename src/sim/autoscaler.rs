//! The HPA that a workload of the simulated cluster may have: the calculation of `hpa.rs`, with the default stabilisation of scale-downs. Left out are
//! behaviour policies and other metrics than CPU.

use std::collections::VecDeque;

use super::world::World;
use crate::domain::limits::Bounds;
use crate::domain::snapshot::EventReason;
use crate::hpa::{DEFAULT_TOLERANCE_MILLI, HpaSettings, PodMetrics, recommend};

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
            let (Some(hpa), Some(cores)) = (workload.spec.hpa, workload.cpu()) else { continue };
            let alive = workload.pods.iter().filter(|pod| !pod.is_ending()).count() as u32;
            let metrics = PodMetrics {
                usage_milli: (cores * 1000.0).round() as u64,
                request_milli: workload.in_force().cpu_request.unwrap_or_default().0,
                measured: workload.ready(),
                unready: alive - workload.ready(),
                missing: 0,
            };
            let settings = HpaSettings {
                target_percent: hpa.cpu_percent,
                tolerance_milli: DEFAULT_TOLERANCE_MILLI,
                bounds: Bounds { min: hpa.min, max: hpa.max },
            };
            let Some(wanted) = recommend(&metrics, workload.desired, &settings) else { continue };
            let wanted = workload.recommendations.stabilised(self.now, wanted);
            if wanted != workload.desired {
                let key = workload.spec.key.clone();
                self.scale(index, wanted, "kube-controller-manager");
                self.events.note(self.now, &key, "HorizontalPodAutoscaler", EventReason::SuccessfulRescale);
            }
        }
    }
}
