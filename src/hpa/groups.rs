//! Which pods count for a metric, and as what: those with a usable sample, those without one, and those that are not ready.

use super::calculate::{Fill, Sums};
use super::observation::{ObservedPod, PodState, Sample};
use super::spec::{ControllerFlags, MetricSpec, Resource};

/// The pods of a workload, sorted for one metric.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Groups {
    /// Ready pods with a sample.
    pub measured: Sums,
    /// Pods without a sample, at nothing.
    pub missing: Sums,
    /// What `missing` would use before a scale-down, thousandths.
    pub missing_fill: i64,
    /// Pods that wait for a node, start, or are not ready, at nothing.
    pub unready: Sums,
}

impl Groups {
    /// `None` when a pod has no request of the resource: the controller gives the metric up for all of them.
    pub fn of(pods: &[ObservedPod], metric: &MetricSpec, fill: Fill, flags: &ControllerFlags, now_s: f64) -> Option<Self> {
        let mut groups = Self::default();
        for pod in pods {
            let request = match fill {
                Fill::OfRequest(_) => request_milli(pod, metric)?,
                Fill::Value(_) => 0,
            };
            if pod.ending || pod.state == PodState::Failed {
                continue;
            }
            let sample = sample(pod, metric);
            match sample {
                _ if pod.state == PodState::Pending => groups.unready.add(0, request),
                None => {
                    groups.missing.add(0, request);
                    groups.missing_fill = groups.missing_fill.saturating_add(fill.of(request));
                }
                Some(sample) if is_cpu(metric) && !counts_for_cpu(pod, &sample, flags, now_s) => groups.unready.add(0, request),
                Some(sample) => groups.measured.add(sample.value_milli, request),
            }
        }
        Some(groups)
    }
}

fn is_cpu(metric: &MetricSpec) -> bool {
    matches!(metric, MetricSpec::Resource { resource: Resource::Cpu, .. })
}

fn sample(pod: &ObservedPod, metric: &MetricSpec) -> Option<Sample> {
    match metric {
        MetricSpec::Resource { resource: Resource::Cpu, .. } => pod.cpu,
        MetricSpec::Resource { resource: Resource::Memory, .. } => pod.memory,
        MetricSpec::Pods { name, .. } => pod.custom.get(name).copied(),
        MetricSpec::External { .. } => None,
    }
}

fn request_milli(pod: &ObservedPod, metric: &MetricSpec) -> Option<i64> {
    let milli = if is_cpu(metric) { pod.cpu_request_milli? } else { pod.memory_request_bytes?.saturating_mul(1000) };
    Some(i64::try_from(milli).unwrap_or(i64::MAX))
}

/// What a starting pod uses says nothing about its share of the load. A young one counts once a whole window lies after it became ready; an old
/// one that is not ready counts unless it never was.
fn counts_for_cpu(pod: &ObservedPod, sample: &Sample, flags: &ControllerFlags, now_s: f64) -> bool {
    let (Some(ready), Some(started_s)) = (pod.ready, pod.started_s) else { return false };
    if started_s as f64 + f64::from(flags.cpu_initialization_s) > now_s {
        ready.ready && sample.at_s as f64 >= ready.since_s as f64 + sample.window_s
    } else {
        ready.ready || started_s + i64::from(flags.initial_readiness_delay_s) <= ready.since_s
    }
}
