//! One look without a past: what an HPA's calculation says of counts, before anything holds it back.

use super::calculate::{Fill, Sums, from_counts};
use super::groups::Groups;
use super::spec::{AverageTarget, MetricSpec, Resource, Tolerances};
use crate::domain::limits::Bounds;

/// What the metrics API would show for the pods of a target, all of one template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodMetrics {
    /// CPU used over all measured ready pods, millicores.
    pub usage_milli: u64,
    /// CPU request of one pod, millicores.
    pub request_milli: u64,
    /// Ready pods with a metric.
    pub measured: u32,
    /// Pods that are not ready, or too young to count.
    pub unready: u32,
    /// Ready pods without a metric.
    pub missing: u32,
}

/// What an HPA is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HpaSettings {
    /// Average utilisation wanted, percent of the request.
    pub target_percent: u32,
    /// Tolerance, thousandths.
    pub tolerance_milli: u64,
    /// `minReplicas` and `maxReplicas`.
    pub bounds: Bounds,
}

/// The replicas one sync would ask for, given `current` in `spec.replicas`, within the bounds and before any policy or stabilisation. `None` when
/// the controller could not compute any (no request, no metric at all) and would leave things as they are.
#[must_use]
pub fn recommend(metrics: &PodMetrics, current: u32, settings: &HpaSettings) -> Option<u32> {
    // An HPA whose target is scaled to zero is disabled, whatever its bounds.
    if current == 0 {
        return Some(0);
    }
    let metric = MetricSpec::Resource { resource: Resource::Cpu, target: AverageTarget::Utilization(settings.target_percent) };
    let tolerance = settings.tolerance_milli as f64 / 1000.0;
    let wanted = from_counts(&metric, metrics, current, Tolerances { up: tolerance, down: tolerance }).ok()?;
    Some(settings.bounds.clamp(wanted))
}

impl PodMetrics {
    pub(super) fn groups(&self, fill: Fill) -> Groups {
        let milli = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let request = milli(self.request_milli);
        let of = |pods: u32, usage: i64| Sums { usage, requests: request.saturating_mul(i64::from(pods)), pods };
        Groups {
            measured: of(self.measured, milli(self.usage_milli)),
            missing: of(self.missing, 0),
            missing_fill: fill.of(request).saturating_mul(i64::from(self.missing)),
            unready: of(self.unready, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpa::DEFAULT_TOLERANCE_MILLI;

    fn settings(target_percent: u32) -> HpaSettings {
        HpaSettings { target_percent, tolerance_milli: DEFAULT_TOLERANCE_MILLI, bounds: Bounds { min: 1, max: 100 } }
    }

    /// `usages` in millicores of ready pods with a request of 1000 m, as the controller's own tests write them.
    fn ask(usages: &[u64], unready: u32, missing: u32, current: u32, target: u32) -> Option<u32> {
        let metrics = PodMetrics { usage_milli: usages.iter().sum(), request_milli: 1000, measured: usages.len() as u32, unready, missing };
        recommend(&metrics, current, &settings(target))
    }

    #[test]
    fn cases_of_the_controllers_own_tests() {
        // TestReplicaCalcScaleUp, ScaleUpUnreadyLessScale, ScaleUpUnreadyNoScale, ScaleDown, Tolerance, and the missing-metrics cases.
        assert_eq!(ask(&[300, 500, 700], 0, 0, 3, 30), Some(5));
        assert_eq!(ask(&[500, 700], 1, 0, 3, 30), Some(4));
        assert_eq!(ask(&[400], 2, 0, 3, 30), Some(3));
        assert_eq!(ask(&[100, 300, 500, 250, 250], 0, 0, 5, 50), Some(3));
        assert_eq!(ask(&[1010, 1030, 1020], 0, 0, 3, 100), Some(3));
        assert_eq!(ask(&[1000], 0, 1, 2, 100), Some(2), "missing metrics, at the target");
        assert_eq!(ask(&[1000], 0, 1, 2, 50), Some(2), "missing pods at nothing bring the average to the target");
        assert_eq!(ask(&[100, 300], 0, 3, 5, 50), Some(5), "missing pods at all of their request forbid the scale-down");
    }

    #[test]
    fn utilisation_is_truncated_to_whole_percent() {
        // 77.9 % reads as 77, which is within ten percent of 70; 78 is not.
        assert_eq!(ask(&[779], 0, 0, 1, 70), Some(1));
        assert_eq!(ask(&[780], 0, 0, 1, 70), Some(2));
    }

    #[test]
    fn at_a_high_target_it_cannot_leave_saturation() {
        assert_eq!(ask(&[1000; 4], 0, 0, 4, 95), Some(4));
    }

    #[test]
    fn without_a_request_or_a_metric_there_is_no_answer_and_zero_stays_zero() {
        assert_eq!(ask(&[], 0, 3, 3, 70), None);
        assert_eq!(recommend(&PodMetrics { measured: 1, ..PodMetrics::default() }, 1, &settings(70)), None);
        assert_eq!(ask(&[900], 0, 0, 0, 70), Some(0));
    }
}
