//! Quotas and limit ranges of a namespace, as far as they bound pods and containers.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{LimitRange as ApiLimitRange, ResourceQuota};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::cache::Objects;
use crate::domain::snapshot::{LimitRange, Quota, QuotaAmounts};
use crate::domain::units::{Bytes, Millicores, parse_count};

type Quantities = BTreeMap<String, Quantity>;

/// A quota. One with scopes bounds only some pods, and which ones is not known here; the API server still enforces it.
pub fn quota(object: &ResourceQuota) -> Option<Quota> {
    let spec = object.spec.as_ref();
    if spec.is_some_and(|s| s.scopes.as_ref().is_some_and(|scopes| !scopes.is_empty()) || s.scope_selector.is_some()) {
        return None;
    }
    let status = object.status.as_ref();
    let hard = status.and_then(|s| s.hard.as_ref()).or_else(|| spec.and_then(|s| s.hard.as_ref()));
    Some(Quota {
        name: object.metadata.name.as_deref().unwrap_or_default().into(),
        hard: hard.map(amounts).unwrap_or_default(),
        used: status.and_then(|s| s.used.as_ref()).map(amounts).unwrap_or_default(),
    })
}

fn amounts(quantities: &Quantities) -> QuotaAmounts {
    let first = |names: [&str; 2]| names.iter().find_map(|name| quantities.get(*name)).map(|q| q.0.as_str());
    QuotaAmounts {
        cpu: first(["requests.cpu", "cpu"]).and_then(|q| Millicores::parse(q).ok()),
        memory: first(["requests.memory", "memory"]).and_then(|q| Bytes::parse(q).ok()),
        pods: first(["pods", "count/pods"]).and_then(|q| parse_count(q).ok()),
    }
}

/// A limit range's bounds on containers; where it names several, the narrowest.
pub fn limit_range(object: &ApiLimitRange) -> LimitRange {
    let mut range = LimitRange {
        name: object.metadata.name.as_deref().unwrap_or_default().into(),
        min_cpu: None,
        max_cpu: None,
        min_memory: None,
        max_memory: None,
    };
    for item in object.spec.iter().flat_map(|s| &s.limits).filter(|item| item.type_ == "Container") {
        let cpu = |list: &Option<Quantities>| list.as_ref().and_then(|l| l.get("cpu")).and_then(|q| Millicores::parse(&q.0).ok());
        let memory = |list: &Option<Quantities>| list.as_ref().and_then(|l| l.get("memory")).and_then(|q| Bytes::parse(&q.0).ok());
        range.min_cpu = range.min_cpu.max(cpu(&item.min));
        range.max_cpu = narrower(range.max_cpu, cpu(&item.max));
        range.min_memory = range.min_memory.max(memory(&item.min));
        range.max_memory = narrower(range.max_memory, memory(&item.max));
    }
    range
}

fn narrower<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Objects of a kind by namespace, each list in the order of names.
pub fn by_namespace<V: Clone>(objects: &Objects<V>) -> BTreeMap<Arc<str>, Vec<V>> {
    let mut grouped: BTreeMap<Arc<str>, Vec<V>> = BTreeMap::new();
    for (name, value) in objects {
        grouped.entry(name.namespace.clone()).or_default().push((**value).clone());
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_quota_without_scopes_bounds_requests_and_pods() {
        let object = json!({"metadata": {"name": "q"}, "spec": {"hard": {"cpu": "4", "pods": "10"}},
            "status": {"hard": {"cpu": "4", "requests.memory": "1Gi", "pods": "10"}, "used": {"cpu": "500m", "pods": "3"}}});
        let read = quota(&serde_json::from_value(object).unwrap()).unwrap();
        assert_eq!(read.hard, QuotaAmounts { cpu: Some(Millicores(4000)), memory: Some(Bytes(1 << 30)), pods: Some(10) });
        assert_eq!(read.used, QuotaAmounts { cpu: Some(Millicores(500)), memory: None, pods: Some(3) });
        assert_eq!(quota(&serde_json::from_value(json!({"spec": {"scopes": ["BestEffort"], "hard": {"pods": "1"}}})).unwrap()), None);
    }

    #[test]
    fn the_narrowest_bounds_on_containers_hold() {
        let object = json!({"metadata": {"name": "l"}, "spec": {"limits": [
            {"type": "Container", "min": {"cpu": "10m"}, "max": {"cpu": "2", "memory": "1Gi"}},
            {"type": "Container", "min": {"cpu": "50m"}, "max": {"cpu": "4"}},
            {"type": "Pod", "max": {"cpu": "1m"}}]}});
        let read = limit_range(&serde_json::from_value(object).unwrap());
        assert_eq!((read.min_cpu, read.max_cpu), (Some(Millicores(50)), Some(Millicores(2000))));
        assert_eq!((read.min_memory, read.max_memory), (None, Some(Bytes(1 << 30))));
    }
}
