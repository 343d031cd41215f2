//! Nodes and Karpenter's node pools as they stand. Prices are not the cluster's to tell and stay open here.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node as ApiNode, NodeCondition, Taint as ApiTaint};
use kube::core::DynamicObject;
use serde_json::Value;

use super::cache::Objects;
use super::meta;
use super::pods::LeanPod;
use super::template::{requirement, resource_list};
use crate::domain::fleet::{Node, NodePool};
use crate::domain::workload::{Requirement, ResourceList, Taint};

/// Labels that name a node's pool, in the order they are looked for.
const POOL_LABELS: [&str; 4] =
    ["karpenter.sh/nodepool", "eks.amazonaws.com/nodegroup", "cloud.google.com/gke-nodepool", "kubernetes.azure.com/agentpool"];
/// Conditions that say a node is short of something.
const PRESSURES: [&str; 4] = ["MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"];

/// A node, without what its pods request.
pub fn node(object: &ApiNode) -> Node {
    let spec = object.spec.as_ref();
    let status = object.status.as_ref();
    let conditions = || status.iter().flat_map(|s| s.conditions.iter().flatten());
    let holds = |c: &NodeCondition, kind: &str| c.type_ == kind && c.status == "True";
    let ready = conditions().find(|c| holds(c, "Ready"));
    let labels: BTreeMap<Arc<str>, Arc<str>> =
        object.metadata.labels.iter().flatten().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect();
    Node {
        name: object.metadata.name.as_deref().unwrap_or_default().into(),
        pool: POOL_LABELS.iter().find_map(|label| labels.get(*label).cloned()),
        labels,
        taints: spec.and_then(|s| s.taints.as_deref()).unwrap_or_default().iter().map(taint).collect(),
        allocatable: status.and_then(|s| s.allocatable.as_ref()).map(resource_list).unwrap_or_default(),
        requested: ResourceList::default(),
        ready: ready.is_some() && !conditions().any(|c| PRESSURES.iter().any(|kind| holds(c, kind))),
        unschedulable: spec.and_then(|s| s.unschedulable).unwrap_or(false) || object.metadata.deletion_timestamp.is_some(),
        created: meta::created(&object.metadata),
        ready_since: ready.and_then(|c| c.last_transition_time.as_ref()).map(meta::time),
        price_per_hour: None,
    }
}

fn taint(taint: &ApiTaint) -> Taint {
    Taint { key: taint.key.as_str().into(), value: taint.value.as_deref().unwrap_or_default().into(), effect: taint.effect.as_str().into() }
}

/// All nodes by name, each with the sum of what the pods bound to it request.
pub fn with_requests(nodes: &Objects<Node>, pods: &Objects<LeanPod>) -> Vec<Node> {
    let mut by_name: BTreeMap<Arc<str>, Node> = nodes.values().map(|n| (n.name.clone(), (**n).clone())).collect();
    for pod in pods.values().filter(|p| p.holds_room) {
        if let Some(node) = pod.pod.node.as_ref().and_then(|name| by_name.get_mut(name)) {
            node.requested.add(&pod.requests, 1);
        }
    }
    by_name.into_values().collect()
}

/// A Karpenter `NodePool`.
pub fn node_pool(object: &DynamicObject) -> NodePool {
    let spec = object.data.get("spec").unwrap_or(&Value::Null);
    let list = |path: &str| spec.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    NodePool {
        name: object.metadata.name.as_deref().unwrap_or_default().into(),
        requirements: list("/template/spec/requirements").iter().filter_map(pool_requirement).collect(),
        taints: list("/template/spec/taints")
            .iter()
            .map(|t| Taint { key: text(t, "key").into(), value: text(t, "value").into(), effect: text(t, "effect").into() })
            .collect(),
        limits: spec.get("limits").and_then(|l| serde_json::from_value(l.clone()).ok()).map(|l| resource_list(&l)),
        weight: spec.get("weight").and_then(Value::as_u64).and_then(|w| u32::try_from(w).ok()).unwrap_or(0),
    }
}

fn pool_requirement(value: &Value) -> Option<Requirement> {
    let values: Vec<String> =
        value.get("values").and_then(Value::as_array).into_iter().flatten().filter_map(|v| v.as_str().map(ToOwned::to_owned)).collect();
    requirement(value.get("key")?.as_str()?, value.get("operator")?.as_str()?, &values)
}

#[cfg(test)]
mod tests {
    use super::super::meta::ObjectName;
    use super::*;
    use crate::domain::units::{Bytes, Millicores};
    use crate::domain::workload::RequirementOperator;
    use serde_json::json;

    fn api_node(name: &str, conditions: &Value) -> ApiNode {
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"karpenter.sh/nodepool": "general", "zone": "a"}},
            "spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]},
            "status": {"allocatable": {"cpu": "3920m", "memory": "15Gi", "pods": "110", "nvidia.com/gpu": "1"}, "conditions": conditions}
        }))
        .unwrap()
    }

    #[test]
    fn a_node_under_pressure_is_not_ready() {
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-03-01T10:00:00Z"});
        let calm = node(&api_node("n1", &json!([ready])));
        assert!(calm.usable());
        assert_eq!((calm.allocatable.cpu, calm.allocatable.pods), (Millicores(3920), 110));
        assert_eq!((calm.pool.as_deref(), calm.ready_since), (Some("general"), Some("2026-03-01T10:00:00Z".parse().unwrap())));
        assert!(!node(&api_node("n1", &json!([ready, {"type": "MemoryPressure", "status": "True"}]))).ready);
        assert!(!node(&api_node("n1", &json!([{"type": "Ready", "status": "Unknown"}]))).ready);
        assert!(!node(&ApiNode::default()).usable(), "a node without status");
    }

    #[test]
    fn a_nodes_requests_are_those_of_the_pods_bound_to_it_that_have_not_ended() {
        let pod = |name: &str, node: &str, phase: &str| {
            let object = json!({"metadata": {"name": name}, "status": {"phase": phase}, "spec": {"nodeName": node, "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "100m", "memory": "1Mi"}}}]}});
            LeanPod::from_pod(&serde_json::from_value(object).unwrap()).map(|p| (ObjectName::new("d", name), Arc::new(p)))
        };
        let pods: Objects<LeanPod> = [
            pod("a", "n1", "Running"),
            pod("b", "n1", "Pending"),
            pod("c", "n1", "Failed"),
            pod("d", "n1", "Succeeded"),
            pod("e", "gone", "Running"),
            pod("f", "", "Pending"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let nodes = Objects::from([(ObjectName::new("", "n1"), Arc::new(node(&api_node("n1", &json!([])))))]);
        let summed = with_requests(&nodes, &pods);
        assert_eq!(summed[0].requested, ResourceList { cpu: Millicores(200), memory: Bytes(2 << 20), pods: 2, ..ResourceList::default() });
    }

    #[test]
    fn a_node_pool_is_read_and_what_is_odd_in_it_is_left_out() {
        let object: DynamicObject = serde_json::from_value(json!({"metadata": {"name": "general"}, "spec": {
            "weight": 10, "limits": {"cpu": "100"},
            "template": {"spec": {"requirements": [
                {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "on-demand"]}, {"operator": "In"}, 7],
                "taints": [{"key": "team", "value": "x", "effect": "NoSchedule"}]}}}}))
        .unwrap();
        let pool = node_pool(&object);
        assert_eq!(
            pool.requirements,
            vec![Requirement {
                key: "karpenter.sh/capacity-type".into(),
                operator: RequirementOperator::In,
                values: vec!["on-demand".into(), "spot".into()]
            }]
        );
        assert_eq!((pool.weight, pool.limits.map(|l| l.cpu), pool.taints.len()), (10, Some(Millicores(100_000)), 1));
    }
}
