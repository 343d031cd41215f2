//! A HorizontalPodAutoscaler: `hpa` at 70 % of CPU, `hpa-tuned` and `hpa-hindsight` with whatever spec was found best.

use super::Baseline;
use super::observe::observation;
use crate::domain::limits::Bounds;
use crate::hpa::{DEFAULT_CPU_TARGET_PERCENT, Hpa, HpaSpec, SYNC_S};
use crate::sim::Sight;

/// autoscaling/v2 as kube-controller-manager carries it out.
#[derive(Clone, Debug)]
pub struct HpaBaseline {
    hpa: Hpa,
}

impl HpaBaseline {
    /// One of this spec. Metrics that a sight does not show fail, as they would in a cluster without an adapter for them.
    #[must_use]
    pub fn new(spec: HpaSpec) -> Self {
        Self { hpa: Hpa::new(spec) }
    }

    /// The one that most teams begin with: 70 % of the CPU request, all else by default.
    #[must_use]
    pub fn usual(bounds: Bounds) -> Self {
        Self::new(HpaSpec::cpu(DEFAULT_CPU_TARGET_PERCENT, bounds))
    }
}

impl Baseline for HpaBaseline {
    fn every_s(&self) -> u32 {
        SYNC_S
    }

    fn decide(&mut self, sight: &Sight) -> Option<u32> {
        let decision = self.hpa.sync(&observation(sight), sight.at_s as f64);
        (decision.desired != sight.desired).then_some(decision.desired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::PodSight;

    fn pod(cpu_milli: Option<u64>, age_s: i64) -> PodSight {
        PodSight { started_s: Some(1000 - age_s), ready_since_s: Some(1000 - age_s), cpu_milli, memory_bytes: None }
    }

    fn ask(pods: &[PodSight]) -> Option<u32> {
        let sight = Sight { at_s: 1000, desired: pods.len() as u32, cpu_request_milli: 500, pods: pods.to_vec(), ..Sight::default() };
        HpaBaseline::usual(Bounds { min: 1, max: 20 }).decide(&sight)
    }

    #[test]
    fn it_scales_by_what_pods_use_of_their_request() {
        assert_eq!(ask(&[pod(Some(490), 600); 4]), Some(6), "98 of 70 percent of four");
        assert_eq!(ask(&[pod(Some(350), 600); 4]), None, "at the target");
    }

    #[test]
    fn a_pod_counts_one_window_after_it_became_ready_and_never_while_it_waits() {
        let busy = pod(Some(490), 600);
        assert_eq!(ask(&[busy, busy, pod(Some(500), 15)]), Some(5));
        assert_eq!(ask(&[busy, busy, pod(Some(500), 14)]), None, "two at 98 and one at nothing: 65 percent");
        assert_eq!(ask(&[busy, busy, PodSight::default()]), None);
        let starting = PodSight { ready_since_s: None, ..pod(Some(500), 600) };
        assert_eq!(ask(&[busy, busy, starting]), None);
    }

    #[test]
    fn without_a_request_it_leaves_things_as_they_are() {
        let sight = Sight { at_s: 1000, desired: 2, pods: vec![pod(Some(490), 600); 2], ..Sight::default() };
        assert_eq!(HpaBaseline::usual(Bounds { min: 1, max: 20 }).decide(&sight), None);
    }
}
