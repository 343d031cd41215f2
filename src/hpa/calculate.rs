//! One metric to a number of replicas, after the controller's `replica_calculator.go`. Ratios are floats and roundings stand where the controller
//! has them: at the edge of a tolerance a different rounding is a different answer.

use super::decision::ScalingActive;
use super::groups::Groups;
use super::observation::Observation;
use super::recommend::PodMetrics;
use super::spec::{AverageTarget, ControllerFlags, MetricSpec, Resource, Tolerances, ValueTarget};

/// Sums over some pods, thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub usage: i64,
    pub requests: i64,
    pub pods: u32,
}

impl Sums {
    pub fn add(&mut self, usage: i64, request: i64) {
        *self = self.and(Self { usage, requests: request, pods: 1 });
    }

    fn and(self, other: Self) -> Self {
        Self {
            usage: self.usage.saturating_add(other.usage),
            requests: self.requests.saturating_add(other.requests),
            pods: self.pods.saturating_add(other.pods),
        }
    }
}

/// What a pod without a sample is taken to use before a scale-down.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fill {
    /// Percent of its request.
    OfRequest(u32),
    /// Thousandths.
    Value(i64),
}

impl Fill {
    pub fn of(self, request: i64) -> i64 {
        match self {
            Self::OfRequest(percent) => request.saturating_mul(i64::from(percent)) / 100,
            Self::Value(value) => value,
        }
    }
}

impl AverageTarget {
    fn fill(self) -> Fill {
        match self {
            Self::Utilization(percent) => Fill::OfRequest(percent.max(100)),
            Self::Value(value) => Fill::Value(value),
        }
    }

    /// How many times the target the pods use on average; integer percent or thousandths, as the controller truncates them. `None` without any
    /// pod, request or target.
    fn ratio(self, sums: Sums) -> Option<f64> {
        let (average, target) = match self {
            Self::Utilization(percent) => (sums.usage.saturating_mul(100).checked_div(sums.requests)?, i64::from(percent)),
            Self::Value(value) => (sums.usage.checked_div(i64::from(sums.pods))?, value),
        };
        (target > 0).then(|| average as f64 / target as f64)
    }
}

/// The replicas that one metric asks for.
pub(super) fn replicas(
    metric: &MetricSpec,
    seen: &Observation,
    tolerances: Tolerances,
    flags: &ControllerFlags,
    now_s: f64,
) -> Result<u32, ScalingActive> {
    let average = |target: AverageTarget| {
        let groups = Groups::of(&seen.pods, metric, target.fill(), flags, now_s)?;
        by_average(&groups, target, seen.desired, tolerances)
    };
    match metric {
        MetricSpec::Resource { target, .. } => average(*target).ok_or(ScalingActive::FailedGetResourceMetric),
        MetricSpec::Pods { average_milli, .. } => average(AverageTarget::Value(*average_milli)).ok_or(ScalingActive::FailedGetPodsMetric),
        MetricSpec::External { name, target } => {
            let value = seen.external.get(name).copied();
            value.and_then(|value| by_value(value, *target, seen, tolerances)).ok_or(ScalingActive::FailedGetExternalMetric)
        }
    }
}

/// The replicas that a CPU metric asks for, where pods of one template are known by their numbers.
pub(super) fn from_counts(metric: &MetricSpec, metrics: &PodMetrics, desired: u32, tolerances: Tolerances) -> Result<u32, ScalingActive> {
    let MetricSpec::Resource { resource: Resource::Cpu, target } = metric else { return Err(ScalingActive::FailedGetResourceMetric) };
    by_average(&metrics.groups(target.fill()), *target, desired, tolerances).ok_or(ScalingActive::FailedGetResourceMetric)
}

/// Replicas for an average over pods. Before a scale-up pods without a sample, and those that are not ready, count as using nothing; before a
/// scale-down those without a sample count as busy. Neither may turn the direction round.
fn by_average(groups: &Groups, target: AverageTarget, current: u32, tolerances: Tolerances) -> Option<u32> {
    let measured = groups.measured;
    let first = target.ratio(measured)?;
    let up_with_unready = groups.unready.pods > 0 && first > 1.0;
    if !up_with_unready && groups.missing.pods == 0 {
        return Some(if tolerances.holds(first) { current } else { whole(first * f64::from(measured.pods)) });
    }
    let mut all = measured;
    if first < 1.0 {
        all = all.and(Sums { usage: groups.missing_fill, ..groups.missing });
    } else if first > 1.0 {
        all = all.and(groups.missing);
    }
    if up_with_unready {
        all = all.and(groups.unready);
    }
    let second = target.ratio(all)?;
    let turned = (first < 1.0 && second > 1.0) || (first > 1.0 && second < 1.0);
    if tolerances.holds(second) || turned {
        return Some(current);
    }
    let wanted = whole(second * f64::from(all.pods));
    let against = (second < 1.0 && wanted > current) || (second > 1.0 && wanted < current);
    Some(if against { current } else { wanted })
}

/// Replicas for one number that all pods share.
fn by_value(value: i64, target: ValueTarget, seen: &Observation, tolerances: Tolerances) -> Option<u32> {
    match target {
        ValueTarget::Value(wanted) if wanted > 0 => {
            let ratio = value as f64 / wanted as f64;
            if tolerances.holds(ratio) {
                return Some(seen.desired);
            }
            let ready = seen.pods.iter().filter(|pod| pod.is_ready()).count();
            (!seen.pods.is_empty()).then(|| whole(ratio * ready as f64))
        }
        ValueTarget::AverageValue(wanted) if wanted > 0 => {
            let ratio = value as f64 / (wanted as f64 * f64::from(seen.current));
            Some(if tolerances.holds(ratio) { seen.current } else { whole(value as f64 / wanted as f64) })
        }
        ValueTarget::Value(_) | ValueTarget::AverageValue(_) => None,
    }
}

/// Rounded up, within Kubernetes' 32 signed bits.
fn whole(replicas: f64) -> u32 {
    (replicas.ceil() as u32).min(i32::MAX.unsigned_abs())
}
