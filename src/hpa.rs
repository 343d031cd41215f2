//! autoscaling/v2's replica calculator for a resource target, after kube-controller-manager's `replica_calculator.go`: the shadow that every
//! plan is compared with.
//!
//! This is the calculation of one sync. Behaviour policies and stabilisation act on its results over time and belong beside it, on
//! [`recommend`]'s answers; several metrics are the largest of several answers.

use crate::domain::limits::Bounds;

/// Relative distance from the target within which nothing changes, in thousandths: the controller's
/// `--horizontal-pod-autoscaler-tolerance`, 0.1 by default.
pub const DEFAULT_TOLERANCE_MILLI: u64 = 100;

/// CPU utilisation, percent of the request, that a target without an HPA is compared at.
pub const DEFAULT_CPU_TARGET_PERCENT: u32 = 70;

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

/// The replicas one sync would ask for, given `current` in `spec.replicas`. `None` when the controller could not compute any (no request, no
/// metric at all) and would leave things as they are.
#[must_use]
pub fn recommend(metrics: &PodMetrics, current: u32, settings: &HpaSettings) -> Option<u32> {
    // An HPA whose target is scaled to zero is disabled, whatever its bounds.
    if current == 0 {
        return Some(0);
    }
    calculate(metrics, current, settings).map(|wanted| settings.bounds.clamp(wanted))
}

fn calculate(metrics: &PodMetrics, current: u32, settings: &HpaSettings) -> Option<u32> {
    if metrics.request_milli == 0 || metrics.measured == 0 || settings.target_percent == 0 {
        return None;
    }
    let utilization = |usage: u64, pods: u32| {
        // Integer percent, as `GetResourceUtilizationRatio` truncates it.
        usage.saturating_mul(100) / metrics.request_milli.saturating_mul(u64::from(pods)).max(1)
    };
    let target = u64::from(settings.target_percent);
    let tolerated = |utilization: u64| utilization.saturating_mul(1000).abs_diff(target * 1000) <= settings.tolerance_milli * target;
    let replicas = |utilization: u64, pods: u32| u32::try_from((utilization * u64::from(pods)).div_ceil(target)).unwrap_or(u32::MAX);

    let first = utilization(metrics.usage_milli, metrics.measured);
    let up_with_unready = metrics.unready > 0 && first > target;
    if !up_with_unready && metrics.missing == 0 {
        return Some(if tolerated(first) { current } else { replicas(first, metrics.measured) });
    }
    // Pods without a metric count as using all of their request before a scale-down, and nothing before a scale-up; unready ones, before
    // a scale-up, nothing.
    let mut usage = metrics.usage_milli;
    let mut pods = metrics.measured;
    if metrics.missing > 0 && first != target {
        pods = pods.saturating_add(metrics.missing);
        if first < target {
            let each = metrics.request_milli.saturating_mul(target.max(100)) / 100;
            usage = usage.saturating_add(each.saturating_mul(u64::from(metrics.missing)));
        }
    }
    if up_with_unready {
        pods = pods.saturating_add(metrics.unready);
    }
    let second = utilization(usage, pods);
    if tolerated(second) || (first < target && second > target) || (first > target && second < target) {
        return Some(current);
    }
    let wanted = replicas(second, pods);
    let against_direction = (second < target && wanted > current) || (second > target && wanted < current);
    Some(if against_direction { current } else { wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

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
