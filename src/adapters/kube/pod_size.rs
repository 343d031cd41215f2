//! A pod's size and what came of its last resize, from its spec, its container statuses and the kubelet's two conditions.

use k8s_openapi::api::core::v1::{Pod as ApiPod, PodCondition};

use super::meta;
use super::template::container_resources;
use crate::domain::resize::{PodSize, ResizeState};
use crate::domain::workload::Container;

/// Says that the kubelet has not begun: `Deferred` or `Infeasible`.
const PENDING: &str = "PodResizePending";
/// Says that the kubelet has begun.
const IN_PROGRESS: &str = "PodResizeInProgress";

/// Size and state of a pod.
pub fn pod_size(pod: &ApiPod) -> PodSize {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let containers: Vec<Container> =
        containers.map(|c| Container { name: c.name.as_str().into(), resources: container_resources(c.resources.as_ref()) }).collect();
    PodSize { resize: state(pod, &containers), containers }
}

fn state(pod: &ApiPod, asked: &[Container]) -> ResizeState {
    let Some(status) = &pod.status else { return ResizeState::Settled };
    // A condition about an earlier size says nothing of this one.
    let of_now = |c: &PodCondition| match (c.observed_generation, pod.metadata.generation) {
        (Some(observed), Some(generation)) => observed >= generation,
        _ => true,
    };
    let condition = |kind: &str| status.conditions.iter().flatten().find(|c| c.type_ == kind && c.status == "True" && of_now(c));
    if let Some(pending) = condition(PENDING) {
        return match pending.reason.as_deref() {
            Some("Infeasible") => ResizeState::Infeasible,
            Some("Deferred") => ResizeState::Deferred { since: pending.last_transition_time.as_ref().map(meta::time) },
            _ => ResizeState::InProgress,
        };
    }
    if condition(IN_PROGRESS).is_some() {
        return ResizeState::InProgress;
    }
    if status.phase.as_deref() != Some("Running") {
        return ResizeState::Settled;
    }
    let actual = |name: &str| {
        let container = status.container_statuses.iter().flatten().find(|c| c.name == name)?;
        container.resources.as_ref().map(|resources| container_resources(Some(resources)))
    };
    let mut settled = true;
    for container in asked {
        match actual(&container.name) {
            // A kubelet that resizes reports what a container has; the API server refuses the others.
            None => return ResizeState::Unsupported,
            Some(has) => settled &= has.has(&container.resources),
        }
    }
    if settled { ResizeState::Settled } else { ResizeState::InProgress }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn state_of(has: &Value, conditions: &Value) -> ResizeState {
        let pod: ApiPod = serde_json::from_value(json!({
            "metadata": {"generation": 3},
            "spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "200m"}, "limits": {"memory": "1Gi"}}}]},
            "status": {"phase": "Running", "conditions": conditions, "containerStatuses": [
                {"name": "app", "image": "", "imageID": "", "ready": true, "restartCount": 0, "resources": has}]}
        }))
        .unwrap();
        let size = pod_size(&pod);
        assert_eq!(size.containers[0].resources.cpu_request, Some(crate::domain::units::Millicores(200)));
        size.resize
    }

    #[test]
    fn the_kubelets_words_are_told_apart() {
        let (old, new) = (json!({"requests": {"cpu": "100m"}}), json!({"requests": {"cpu": "0.2"}, "limits": {"memory": "1024Mi"}}));
        let condition = |kind: &str, reason: &str, generation: i64| json!([{"type": kind, "status": "True", "reason": reason, "observedGeneration": generation, "lastTransitionTime": "2026-03-02T10:00:00Z"}]);
        let since = Some("2026-03-02T10:00:00Z".parse().unwrap());
        assert_eq!(state_of(&new, &json!([])), ResizeState::Settled, "0.2 is 200m, 1024Mi is 1Gi");
        assert_eq!(state_of(&old, &json!([])), ResizeState::InProgress);
        assert_eq!(state_of(&old, &condition(PENDING, "Deferred", 3)), ResizeState::Deferred { since });
        assert_eq!(state_of(&old, &condition(PENDING, "Infeasible", 3)), ResizeState::Infeasible);
        assert_eq!(state_of(&old, &condition(PENDING, "Infeasible", 2)), ResizeState::InProgress, "that was said of an earlier size");
        assert_eq!(state_of(&new, &condition(IN_PROGRESS, "", 3)), ResizeState::InProgress);
        assert_eq!(state_of(&Value::Null, &json!([])), ResizeState::Unsupported);
    }

    #[test]
    fn a_pod_that_does_not_run_yet_has_nothing_to_settle() {
        let pod: ApiPod =
            serde_json::from_value(json!({"spec": {"containers": [{"name": "app"}]}, "status": {"phase": "Pending"}})).unwrap();
        assert_eq!(pod_size(&pod).resize, ResizeState::Settled);
    }
}
