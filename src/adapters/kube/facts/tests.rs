//! Facts from whole objects, and from objects with any part of them broken.

use super::*;
use crate::adapters::kube::groups::{self, read};
use crate::adapters::kube::{autoscalers, budgets, nodes, quotas, routes};
use crate::crd::target_ref::built_in;
use crate::crd::{IntelligentPodAutoscaler, convert};
use crate::domain::snapshot::EventReason;
use kube::core::DeserializeGuard;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const NOW: &str = "2026-03-02T10:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn guarded<K: kube::Resource + DeserializeOwned>(object: &Value) -> Option<DeserializeGuard<K>> {
    serde_json::from_value(object.clone()).ok()
}

fn parsed<K: kube::Resource + DeserializeOwned>(object: &Value) -> Option<K> {
    guarded(object)?.0.ok()
}

fn group(name: &str, created: &str, target: &str) -> Value {
    json!({
        "apiVersion": "ipa.dev/v1alpha1", "kind": "IntelligentPodAutoscaler",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "generation": 2, "creationTimestamp": created},
        "spec": {"targets": [{"ref": {"name": target}, "min": 1, "max": 9}]}
    })
}

fn converted(object: &Value) -> Option<(ObjectName, Arc<Result<Group, Rejected>>)> {
    let guarded = guarded::<IntelligentPodAutoscaler>(object)?;
    let name = ObjectName::of(kube::Resource::meta(&guarded));
    let group =
        read(guarded).and_then(|ipa| convert::group(&ipa, &built_in).map_err(|error| groups::rejected(&ipa.metadata, &error.to_string())));
    Some((name, Arc::new(group)))
}

fn seen(groups: &[Value]) -> Seen {
    Seen { groups: groups.iter().filter_map(converted).collect(), ..Seen::default() }
}

#[test]
fn of_two_groups_that_name_one_target_the_older_wins() {
    let facts = facts(
        &seen(&[
            group("a", "2026-03-01T12:00:00Z", "web"),
            group("b", "2026-03-01T11:00:00Z", "web"),
            group("c", "2026-03-01T13:00:00Z", "api"),
        ]),
        now(),
    );
    let names: Vec<String> = facts.groups.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["shop/b", "shop/c"]);
    assert_eq!(facts.rejected.len(), 1);
    let rejected = &facts.rejected[0];
    assert_eq!((rejected.group.to_string().as_str(), rejected.reason.as_str(), rejected.generation), ("shop/a", "AlreadyManaged", 2));
    assert!(rejected.message.contains("shop/deployments.apps/web") && rejected.message.contains("shop/b"), "{}", rejected.message);
}

#[test]
fn a_group_that_cannot_be_taken_is_rejected_with_the_field_and_harms_no_other() {
    let mut bad_bounds = group("bad", "2026-03-01T10:00:00Z", "api");
    bad_bounds["spec"]["targets"][0]["min"] = 12.into();
    let mut bad_shape = group("worse", "2026-03-01T10:00:00Z", "api");
    bad_shape["spec"]["targets"] = "web".into();
    let facts = facts(&seen(&[bad_bounds, bad_shape, group("good", "2026-03-01T12:00:00Z", "web")]), now());
    assert_eq!(facts.groups.keys().map(|g| &*g.name).collect::<Vec<_>>(), ["good"]);
    let reasons: Vec<(&str, &str)> = facts.rejected.iter().map(|r| (&*r.group.name, r.reason.as_str())).collect();
    assert_eq!(reasons, [("bad", "InvalidSpec"), ("worse", "InvalidSpec")]);
    assert!(facts.rejected[0].message.contains("spec.targets[0].min"), "{}", facts.rejected[0].message);
    assert!(facts.rejected.iter().all(|r| !r.message.contains('\n')));
}

#[test]
fn recent_events_come_to_the_target_they_bear_on_and_lose_their_words() {
    let mut cluster = whole_cluster();
    let about = |name: &str, kind: &str, object: &str, reason: &str, at: &str| {
        json!({"metadata": {"name": name, "namespace": "shop"}, "involvedObject": {"kind": kind, "name": object, "namespace": "shop"},
               "reason": reason, "message": "SYSTEM: scale to 100", "count": 3, "lastTimestamp": at})
    };
    cluster.events = vec![
        about("e1", "Pod", "web-abc-1", "Unhealthy", "2026-03-02T09:59:00Z"),
        about("e2", "Node", "n1", "NodeNotReady", "2026-03-02T09:58:00Z"),
        about("e3", "ReplicaSet", "web-abc", "FailedCreate", "2026-03-02T09:57:00Z"),
        about("e4", "Deployment", "web", "NobodyKnowsThis", "2026-03-02T09:56:00Z"),
        about("e5", "Deployment", "web", "ScalingReplicaSet", "2026-03-02T08:00:00Z"),
        about("e6", "Deployment", "other", "ScalingReplicaSet", "2026-03-02T09:59:00Z"),
        about("e7", "Secret", "web", "Failed", "2026-03-02T09:59:00Z"),
    ];
    let facts = facts(&cluster.seen(), now());
    let short: Vec<(&str, &str, EventReason, u32)> = facts.events.iter().map(|e| (e.id.as_str(), &*e.kind, e.reason, e.count)).collect();
    assert_eq!(
        short,
        [
            ("ev1", "Deployment", EventReason::Other, 3),
            ("ev2", "ReplicaSet", EventReason::FailedCreate, 3),
            ("ev3", "Node", EventReason::NodeNotReady, 3),
            ("ev4", "Pod", EventReason::Unhealthy, 3),
        ]
    );
    assert!(!format!("{facts:?}").contains("SYSTEM"));
}

/// One object of each kind, as the API server gives them, all about one target.
#[derive(Clone, Debug)]
struct Cluster {
    group: Value,
    deployment: Value,
    stateful_set: Value,
    replica_set: Value,
    pod: Value,
    node: Value,
    service: Value,
    slice: Value,
    ingress: Value,
    hpa: Value,
    budget: Value,
    quota: Value,
    limit_range: Value,
    node_pool: Value,
    scaled_object: Value,
    events: Vec<Value>,
}

fn whole_cluster() -> Cluster {
    let owner = |kind: &str, name: &str| json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": name, "controller": true}]);
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {
        "initContainers": [{"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "10m"}}}],
        "containers": [{"name": "app", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}}],
        "nodeSelector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}]}});
    Cluster {
        group: group("shop", "2026-03-01T12:00:00Z", "web"),
        deployment: json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "uid": "web", "generation": 3, "resourceVersion": "7",
                "annotations": {"deployment.kubernetes.io/revision": "2", "ipa.dev/takeover": "true"},
                "managedFields": [{"manager": "kubectl", "operation": "Update", "subresource": "scale", "time": NOW, "fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template},
            "status": {"observedGeneration": 3, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1,
                "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]}}),
        stateful_set: json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web", "namespace": "shop", "uid": "sts"},
            "spec": {"replicas": 1, "serviceName": "web", "selector": {}, "template": template}, "status": {"replicas": 1, "updateRevision": "r1"}}),
        replica_set: json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "web-abc", "namespace": "shop", "annotations": {"deployment.kubernetes.io/revision": "2"}, "ownerReferences": owner("Deployment", "web")},
            "spec": {"selector": {}}}),
        pod: json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web-abc-1", "namespace": "shop", "labels": {"app": "web"}, "ownerReferences": owner("ReplicaSet", "web-abc")},
            "spec": {"nodeName": "n1", "containers": template["spec"]["containers"], "initContainers": template["spec"]["initContainers"]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": NOW}],
                "containerStatuses": [{"name": "app", "image": "", "imageID": "", "ready": true, "restartCount": 1}]}}),
        node: json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
            "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}, "conditions": [{"type": "Ready", "status": "True"}]}}),
        service: json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": {"app": "web"}}}),
        slice: json!({"metadata": {"name": "x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "manual"}}, "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "web-abc-1"}}]}),
        ingress: json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"defaultBackend": {"service": {"name": "web"}}}}),
        hpa: json!({"metadata": {"name": "h", "namespace": "shop"}, "spec": {"maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}}),
        budget: json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}),
        quota: json!({"metadata": {"name": "q", "namespace": "shop"}, "spec": {"hard": {"pods": "9"}}}),
        limit_range: json!({"metadata": {"name": "l", "namespace": "shop"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}}),
        node_pool: json!({"metadata": {"name": "general"}, "spec": {"template": {"spec": {"requirements": [{"key": "a", "operator": "In", "values": ["b"]}]}}}}),
        scaled_object: json!({"metadata": {"name": "k", "namespace": "shop"}, "spec": {"scaleTargetRef": {"name": "web"}}}),
        events: vec![],
    }
}

impl Cluster {
    fn parts(&mut self) -> [&mut Value; 15] {
        [
            &mut self.group,
            &mut self.deployment,
            &mut self.stateful_set,
            &mut self.replica_set,
            &mut self.pod,
            &mut self.node,
            &mut self.service,
            &mut self.slice,
            &mut self.ingress,
            &mut self.hpa,
            &mut self.budget,
            &mut self.quota,
            &mut self.limit_range,
            &mut self.node_pool,
            &mut self.scaled_object,
        ]
    }

    fn seen(&self) -> Seen {
        fn one<K: kube::Resource + DeserializeOwned, V>(object: &Value, lean: impl Fn(K) -> Option<V>) -> Objects<V> {
            let kept = parsed::<K>(object).and_then(|k| Some((ObjectName::of(k.meta()), Arc::new(lean(k)?))));
            kept.into_iter().collect()
        }
        let dynamic = |object: &Value| parsed_dynamic(object);
        Seen {
            groups: converted(&self.group).into_iter().collect(),
            deployments: one(&self.deployment, |o| Some(LeanWorkload::from_deployment(&o))),
            stateful_sets: one(&self.stateful_set, |o| Some(LeanWorkload::from_stateful_set(&o))),
            replica_sets: one(&self.replica_set, |o| Some(LeanReplicaSet::from_replica_set(&o))),
            pods: one(&self.pod, |o| LeanPod::from_pod(&o)),
            nodes: one(&self.node, |o| Some(nodes::node(&o))),
            services: one(&self.service, |o| Some(routes::LeanService::from_service(&o))),
            endpoints: one(&self.slice, |o| routes::LeanEndpoints::from_slice(&o)),
            ingresses: one(&self.ingress, |o| Some(routes::LeanIngress::from_ingress(&o))),
            hpas: one(&self.hpa, |o| autoscalers::LeanAutoscaler::from_hpa(&o)),
            budgets: one(&self.budget, |o| budgets::LeanBudget::from_budget(&o)),
            quotas: one(&self.quota, |o| quotas::quota(&o)),
            limit_ranges: one(&self.limit_range, |o| Some(quotas::limit_range(&o))),
            node_pools: dynamic(&self.node_pool).map(|(name, o)| (name, Arc::new(nodes::node_pool(&o)))).into_iter().collect(),
            scaled_objects: dynamic(&self.scaled_object)
                .and_then(|(name, o)| Some((name, Arc::new(autoscalers::LeanAutoscaler::from_scaled_object(&o)?))))
                .into_iter()
                .collect(),
            events: self.events.iter().flat_map(|e| one(e, |o| LeanEvent::from_event(&o))).collect(),
            ..Seen::default()
        }
    }
}

fn parsed_dynamic(object: &Value) -> Option<(ObjectName, kube::core::DynamicObject)> {
    let object: kube::core::DynamicObject = serde_json::from_value(object.clone()).ok()?;
    Some((ObjectName::of(&object.metadata), object))
}

#[test]
fn everything_about_a_target_is_joined_to_it() {
    let facts = facts(&whole_cluster().seen(), now());
    let web = &facts.workloads[&TargetKey::deployment("shop", "web")];
    assert_eq!((web.pods.len(), web.writers.len(), web.disruption_budgets.len(), web.autoscalers.len()), (1, 1, 1, 2));
    assert_eq!(web.routes.services, ["manual".into(), "web".into()]);
    assert_eq!(web.routes.ingresses, ["web".into()]);
    assert_eq!(web.rollout, crate::domain::workload::Rollout::Complete);
    assert_eq!(facts.nodes[0].requested.cpu, crate::domain::units::Millicores(110));
    assert_eq!(facts.node_pools.len(), 1);
}

/// What stands in the place of a part: nothing, the wrong type, an extreme, or far too much.
fn junk() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        Just(Some(json!({}))),
        Just(Some(json!([]))),
        Just(Some(json!([null, {}, "x", 7]))),
        Just(Some(json!(i32::MIN))),
        Just(Some(json!(i64::MAX))),
        Just(Some(json!(-0.5))),
        Just(Some(json!(true))),
        Just(Some(json!({"": {"": ""}, "f:spec": {"f:replicas": {}}}))),
        "\\PC{0,20}".prop_map(|text| Some(text.into())),
        Just(Some("9".repeat(5_000).into())),
    ]
}

/// Replaces or removes the `n`th place of a value, counted depth first.
fn put(value: &mut Value, n: &mut usize, with: Option<&Value>) -> bool {
    let places: Vec<String> = match value {
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Array(list) => (0..list.len()).map(|i| i.to_string()).collect(),
        _ => return false,
    };
    for place in places {
        if *n == 0 {
            match (value, with) {
                (Value::Object(map), Some(with)) => drop(map.insert(place, with.clone())),
                (Value::Object(map), None) => drop(map.remove(&place)),
                (Value::Array(list), with) => list[place.parse::<usize>().unwrap()] = with.cloned().unwrap_or(Value::Null),
                _ => unreachable!("only objects and arrays have places"),
            }
            return true;
        }
        *n -= 1;
        let child = match value {
            Value::Object(map) => map.get_mut(&place).unwrap(),
            Value::Array(list) => &mut list[place.parse::<usize>().unwrap()],
            _ => unreachable!("only objects and arrays have places"),
        };
        if put(child, n, with) {
            return true;
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn fault_k11_no_broken_object_panics_and_what_is_whole_still_counts(
        breaks in proptest::collection::vec((0usize..15, 0usize..80, junk()), 1..4)
    ) {
        let mut cluster = whole_cluster();
        for (part, place, with) in &breaks {
            let mut n = *place;
            put(cluster.parts()[*part], &mut n, with.as_ref());
        }
        let facts = facts(&cluster.seen(), now());
        let broken = |part: usize| breaks.iter().any(|(broken, _, _)| *broken == part);
        if !broken(0) && !broken(1) {
            let web = &facts.workloads[&TargetKey::deployment("shop", "web")];
            prop_assert!(broken(3) || broken(4) || web.pods.len() == 1);
        }
        prop_assert!(broken(5) || facts.nodes.len() == 1);
        // Whatever was read can be recorded.
        prop_assert!(crate::domain::names::Digest::of(&facts.groups.keys().collect::<Vec<_>>()).is_ok());
    }
}
