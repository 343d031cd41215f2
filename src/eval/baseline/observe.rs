//! A sight as an HPA's controller would see it.

use crate::hpa::{Observation, ObservedPod, PodState, Readiness, Sample};
use crate::sim::{PodSight, Sight};

/// Seconds that metrics-server averages CPU over: its `--metric-resolution`.
const METRIC_WINDOW_S: f64 = 15.0;

/// What a sync at `sight.at_s` finds. Samples count as taken at that moment. A pod that is not ready is taken never to have been: a sight does not
/// say since when it is not.
pub(super) fn observation(sight: &Sight) -> Observation {
    let pods: Vec<ObservedPod> = sight.pods.iter().map(|pod| observed(pod, sight)).collect();
    Observation { desired: sight.desired, current: u32::try_from(pods.len()).unwrap_or(u32::MAX), pods, ..Observation::default() }
}

fn observed(pod: &PodSight, sight: &Sight) -> ObservedPod {
    let sample = |value_milli: u64| Sample {
        value_milli: i64::try_from(value_milli).unwrap_or(i64::MAX),
        at_s: sight.at_s,
        window_s: METRIC_WINDOW_S,
    };
    let since = |ready: bool| move |since_s: i64| Readiness { ready, since_s };
    ObservedPod {
        state: if pod.started_s.is_some() { PodState::Running } else { PodState::Pending },
        ending: false,
        started_s: pod.started_s,
        ready: pod.ready_since_s.map(since(true)).or(pod.started_s.map(since(false))),
        cpu_request_milli: Some(sight.cpu_request_milli).filter(|request| *request > 0),
        memory_request_bytes: Some(sight.memory_request_bytes).filter(|request| *request > 0),
        cpu: pod.cpu_milli.map(sample),
        memory: pod.memory_bytes.map(|bytes| sample(bytes.saturating_mul(1000))),
        ..ObservedPod::default()
    }
}
