//! A pod spec as the scheduler sees it: effective requests by Kubernetes' own formula, where it may go, and a digest of the template.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    Container as ApiContainer, NodeSelectorTerm, PodSpec, PodTemplateSpec, ResourceRequirements, Toleration as ApiToleration,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::domain::names::Digest;
use crate::domain::units::{Bytes, Millicores, parse_count};
use crate::domain::workload::{
    Container, ContainerResources, PodShape, PodTemplate, Requirement, RequirementOperator, ResourceList, Toleration,
};

/// Label that node names are matched by; `matchFields` on `metadata.name` becomes this, since nodes carry it with their name.
const HOSTNAME: &str = "kubernetes.io/hostname";

type Quantities = BTreeMap<String, Quantity>;

/// A pod template.
pub fn pod_template(template: &PodTemplateSpec) -> PodTemplate {
    let spec = template.spec.as_ref();
    PodTemplate {
        // A template without canonical JSON does not exist; if one did, it would be told apart from none by its length.
        hash: Digest::of(template).map(|digest| digest.0).unwrap_or_default().into(),
        containers: spec.map(|s| s.containers.iter().map(container).collect()).unwrap_or_default(),
        shape: spec.map(shape).unwrap_or_default(),
    }
}

fn container(container: &ApiContainer) -> Container {
    Container { name: container.name.as_str().into(), resources: container_resources(container.resources.as_ref()) }
}

/// Requests and limits as they stand on the object. A quantity that cannot be read counts as not set.
pub fn container_resources(resources: Option<&ResourceRequirements>) -> ContainerResources {
    let quantity = |list: fn(&ResourceRequirements) -> Option<&Quantities>, name: &str| {
        resources.and_then(list).and_then(|l| l.get(name)).map(|q| q.0.as_str())
    };
    ContainerResources {
        cpu_request: quantity(requests_of, "cpu").and_then(|q| Millicores::parse(q).ok()),
        cpu_limit: quantity(limits_of, "cpu").and_then(|q| Millicores::parse(q).ok()),
        memory_request: quantity(requests_of, "memory").and_then(|q| Bytes::parse(q).ok()),
        memory_limit: quantity(limits_of, "memory").and_then(|q| Bytes::parse(q).ok()),
    }
}

fn requests_of(resources: &ResourceRequirements) -> Option<&Quantities> {
    resources.requests.as_ref()
}

fn limits_of(resources: &ResourceRequirements) -> Option<&Quantities> {
    resources.limits.as_ref()
}

/// Amounts of a list of quantities; what cannot be read is left out.
pub fn resource_list(quantities: &Quantities) -> ResourceList {
    let mut list = ResourceList::default();
    for (name, quantity) in quantities {
        let text = quantity.0.as_str();
        match name.as_str() {
            "cpu" => list.cpu = Millicores::parse(text).unwrap_or_default(),
            "memory" => list.memory = Bytes::parse(text).unwrap_or_default(),
            "pods" => list.pods = parse_count(text).ok().and_then(|n| u32::try_from(n).ok()).unwrap_or(u32::MAX),
            other => {
                if let Ok(amount) = parse_count(text) {
                    list.extended.insert(other.into(), amount);
                }
            }
        }
    }
    list
}

/// What one container asks for: its requests, and its limits where a request is missing, as the API server defaults them.
fn asked(container: &ApiContainer) -> ResourceList {
    let Some(resources) = &container.resources else { return ResourceList::default() };
    let mut quantities = resources.limits.clone().unwrap_or_default();
    quantities.extend(resources.requests.clone().unwrap_or_default());
    resource_list(&quantities)
}

/// Raises each amount of `list` to at least that of `other`.
fn raise(list: &mut ResourceList, other: &ResourceList) {
    list.cpu = list.cpu.max(other.cpu);
    list.memory = list.memory.max(other.memory);
    for (name, amount) in &other.extended {
        let entry = list.extended.entry(name.clone()).or_default();
        *entry = (*entry).max(*amount);
    }
}

/// Effective requests of a pod, as `k8s.io/component-helpers/resource.PodRequests` computes them: containers and sidecars together, or the
/// largest step of initialisation (an init container beside the sidecars that run before it), whichever is more; pod-level resources in
/// their place where set; and the runtime's overhead on top.
pub fn effective_requests(spec: &PodSpec) -> ResourceList {
    let mut running = ResourceList::default();
    for container in &spec.containers {
        running.add(&asked(container), 1);
    }
    let mut sidecars = ResourceList::default();
    let mut largest_step = ResourceList::default();
    for init in spec.init_containers.iter().flatten() {
        let mut step = asked(init);
        if init.restart_policy.as_deref() == Some("Always") {
            running.add(&step, 1);
            sidecars.add(&step, 1);
            raise(&mut largest_step, &sidecars);
        } else {
            step.add(&sidecars, 1);
            raise(&mut largest_step, &step);
        }
    }
    raise(&mut running, &largest_step);
    if let Some(pod_level) = &spec.resources {
        let mut quantities = pod_level.limits.clone().unwrap_or_default();
        quantities.extend(pod_level.requests.clone().unwrap_or_default());
        let list = resource_list(&quantities);
        if quantities.contains_key("cpu") {
            running.cpu = list.cpu;
        }
        if quantities.contains_key("memory") {
            running.memory = list.memory;
        }
    }
    if let Some(overhead) = &spec.overhead {
        running.add(&resource_list(overhead), 1);
    }
    running.pods = 1;
    running
}

/// What the scheduler sees of a pod spec.
fn shape(spec: &PodSpec) -> PodShape {
    PodShape {
        requests: effective_requests(spec),
        node_terms: node_terms(spec),
        tolerations: spec.tolerations.iter().flatten().filter_map(toleration).collect(),
    }
}

fn node_terms(spec: &PodSpec) -> Vec<Vec<Requirement>> {
    let mut selector: Vec<Requirement> = spec
        .node_selector
        .iter()
        .flatten()
        .map(|(key, value)| Requirement {
            key: key.as_str().into(),
            operator: RequirementOperator::In,
            values: vec![value.as_str().into()],
        })
        .collect();
    selector.sort();
    let required = spec
        .affinity
        .as_ref()
        .and_then(|a| a.node_affinity.as_ref())
        .and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    match required {
        None if selector.is_empty() => Vec::new(),
        None => vec![selector],
        Some(required) => {
            let mut terms: Vec<Vec<Requirement>> = required
                .node_selector_terms
                .iter()
                .map(term)
                .filter(|t| !t.is_empty())
                .map(|t| selector.iter().cloned().chain(t).collect())
                .collect();
            if terms.is_empty() {
                // A term without requirements matches no node.
                terms.push(vec![Requirement { key: HOSTNAME.into(), operator: RequirementOperator::In, values: Vec::new() }]);
            }
            terms
        }
    }
}

fn term(term: &NodeSelectorTerm) -> Vec<Requirement> {
    let by_label = term.match_expressions.iter().flatten().map(|e| (e.key.as_str(), e));
    let by_field = term.match_fields.iter().flatten().map(|e| (HOSTNAME, e));
    by_label
        .chain(by_field)
        .filter_map(|(key, expression)| requirement(key, &expression.operator, expression.values.as_deref().unwrap_or_default()))
        .collect()
}

/// A requirement as node affinity and Karpenter write it; an unknown operator matches nothing.
pub fn requirement(key: &str, operator: &str, values: &[String]) -> Option<Requirement> {
    if key.is_empty() {
        return None;
    }
    let mut values: Vec<Arc<str>> = values.iter().map(|v| v.as_str().into()).collect();
    values.sort();
    let operator = match operator {
        "In" => RequirementOperator::In,
        "NotIn" => RequirementOperator::NotIn,
        "Exists" => RequirementOperator::Exists,
        "DoesNotExist" => RequirementOperator::DoesNotExist,
        "Gt" => RequirementOperator::Gt,
        "Lt" => RequirementOperator::Lt,
        _ => {
            values.clear();
            RequirementOperator::In
        }
    };
    Some(Requirement { key: key.into(), operator, values })
}

/// A toleration; one with an operator that is not known tolerates nothing.
fn toleration(toleration: &ApiToleration) -> Option<Toleration> {
    let value = match toleration.operator.as_deref().unwrap_or("Equal") {
        "Exists" => None,
        "Equal" => Some(toleration.value.as_deref().unwrap_or_default().into()),
        _ => return None,
    };
    let present = |text: &Option<String>| text.as_deref().filter(|t| !t.is_empty()).map(Into::into);
    Some(Toleration { key: present(&toleration.key), value, effect: present(&toleration.effect) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(value: serde_json::Value) -> PodSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn sidecars_count_beside_the_containers_and_init_containers_only_when_larger() {
        let requests = |cpu: &str| json!({"requests": {"cpu": cpu}});
        let small = effective_requests(&spec(json!({
            "initContainers": [
                {"name": "proxy", "restartPolicy": "Always", "resources": requests("100m")},
                {"name": "migrate", "resources": requests("250m")}
            ],
            "containers": [{"name": "app", "resources": requests("500m")}],
            "overhead": {"cpu": "10m", "memory": "1Mi"}
        })));
        assert_eq!(small.cpu, Millicores(610), "app 500 + proxy 100 + overhead 10; migrate needs 350");
        assert_eq!((small.memory, small.pods), (Bytes(1 << 20), 1));

        let large = effective_requests(&spec(json!({
            "initContainers": [
                {"name": "proxy", "restartPolicy": "Always", "resources": requests("100m")},
                {"name": "migrate", "resources": requests("2")},
                {"name": "late", "restartPolicy": "Always", "resources": requests("300m")}
            ],
            "containers": [{"name": "app", "resources": requests("500m")}]
        })));
        assert_eq!(large.cpu, Millicores(2100), "migrate beside the one sidecar that runs before it");
    }

    #[test]
    fn a_missing_request_is_its_limit_and_pod_level_resources_win() {
        let by_limit = effective_requests(&spec(json!({
            "containers": [{"name": "a", "resources": {"limits": {"cpu": "1", "nvidia.com/gpu": "2"}, "requests": {"memory": "64Mi"}}}]
        })));
        assert_eq!((by_limit.cpu, by_limit.memory), (Millicores(1000), Bytes(64 << 20)));
        assert_eq!(by_limit.extended.get("nvidia.com/gpu"), Some(&2));

        let pod_level = effective_requests(&spec(json!({
            "containers": [{"name": "a", "resources": {"requests": {"cpu": "200m", "memory": "64Mi"}}}],
            "resources": {"requests": {"cpu": "3"}}
        })));
        assert_eq!((pod_level.cpu, pod_level.memory), (Millicores(3000), Bytes(64 << 20)));
    }

    #[test]
    fn a_node_selector_holds_in_every_affinity_term() {
        let shape = shape(&spec(json!({
            "containers": [],
            "nodeSelector": {"disk": "ssd"},
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b", "a"]}]},
                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]},
                {}
            ]}}},
            "tolerations": [{"operator": "Exists"}, {"key": "gpu", "value": "yes", "effect": "NoSchedule"}, {"key": "x", "operator": "Lt", "value": "3"}]
        })));
        let requirement = |key: &str, values: &[&str]| Requirement {
            key: key.into(),
            operator: RequirementOperator::In,
            values: values.iter().map(|v| (*v).into()).collect(),
        };
        let disk = requirement("disk", &["ssd"]);
        assert_eq!(
            shape.node_terms,
            vec![vec![disk.clone(), requirement("zone", &["a", "b"])], vec![disk, requirement(HOSTNAME, &["n1"])]]
        );
        assert_eq!(
            shape.tolerations,
            vec![
                Toleration { key: None, value: None, effect: None },
                Toleration { key: Some("gpu".into()), value: Some("yes".into()), effect: Some("NoSchedule".into()) },
            ]
        );
    }

    #[test]
    fn the_template_digest_follows_the_template() {
        let template = |image: &str| {
            pod_template(
                &serde_json::from_value(json!({"spec": {"containers": [{"name": "app", "image": image}]}, "metadata": {}})).unwrap(),
            )
        };
        assert_eq!(template("a:1"), template("a:1"));
        assert_ne!(template("a:1").hash, template("a:2").hash);
    }
}
