//! A target's object as it is kept between its change and the tick: counts, rollout, template, writers. Pods are joined to it later.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::core::DynamicObject;
use serde_json::Value;

use super::meta::{self, count};
use super::owners;
use super::selectors::Labels;
use super::template::pod_template;
use crate::domain::workload::{FieldWriter, PodTemplate, ReplicaCounts, Rollout};

/// Annotation by which a Deployment and its `ReplicaSets` count revisions.
pub const REVISION: &str = "deployment.kubernetes.io/revision";

/// A target's object, made lean.
#[derive(Clone, Debug)]
pub struct LeanWorkload {
    /// Its kind, as other objects refer to it.
    pub kind: Arc<str>,
    /// UID.
    pub uid: Arc<str>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.resourceVersion`.
    pub resource_version: Arc<str>,
    /// Counts; `ready` is absent where the kind does not say.
    pub replicas: ReplicaCounts,
    /// Whether `replicas.ready` was on the object.
    pub ready_known: bool,
    /// Where its rollout stands.
    pub rollout: Rollout,
    /// The pod template.
    pub template: PodTemplate,
    /// The labels its new pods carry.
    pub template_labels: Labels,
    /// How its pods are found where ownership does not lead to them.
    pub selector: Option<LabelSelector>,
    /// What tells its newest pods from older ones.
    pub newest: Newest,
    /// Who wrote what IPA would write.
    pub writers: Vec<FieldWriter>,
    /// IPA's annotations.
    pub annotations: BTreeMap<String, String>,
    /// Creation time.
    pub created: Option<Timestamp>,
}

/// What tells a target's newest pods from older ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Newest {
    /// The `ReplicaSet` with this revision owns them.
    Revision(u64),
    /// They carry this `controller-revision-hash`.
    RevisionHash(Arc<str>),
    /// The kind does not say; all count as newest.
    All,
}

impl LeanWorkload {
    /// From a Deployment.
    pub fn from_deployment(object: &Deployment) -> Self {
        let spec = object.spec.as_ref();
        let status = object.status.as_ref();
        let desired = count(spec.and_then(|s| s.replicas), 1);
        let revision = object.metadata.annotations.as_ref().and_then(|a| a.get(REVISION)).and_then(|r| r.parse().ok());
        Self {
            replicas: ReplicaCounts {
                desired,
                current: count(status.and_then(|s| s.replicas), 0),
                ready: count(status.and_then(|s| s.ready_replicas), 0),
            },
            rollout: deployment_rollout(object),
            selector: spec.map(|s| s.selector.clone()),
            newest: revision.map_or(Newest::All, Newest::Revision),
            ..Self::common("Deployment", &object.metadata, spec.map(|s| &s.template))
        }
    }

    /// From a `StatefulSet`.
    pub fn from_stateful_set(object: &StatefulSet) -> Self {
        let spec = object.spec.as_ref();
        let status = object.status.as_ref();
        Self {
            replicas: ReplicaCounts {
                desired: count(spec.and_then(|s| s.replicas), 1),
                current: status.map_or(0, |s| count(Some(s.replicas), 0)),
                ready: count(status.and_then(|s| s.ready_replicas), 0),
            },
            rollout: stateful_set_rollout(object),
            selector: spec.map(|s| s.selector.clone()),
            newest: status.and_then(|s| s.update_revision.as_deref()).map_or(Newest::All, |revision| Newest::RevisionHash(revision.into())),
            ..Self::common("StatefulSet", &object.metadata, spec.map(|s| &s.template))
        }
    }

    /// From anything else that has a `/scale`, whose counts and selector are the scale's.
    pub fn from_scale(kind: &str, object: &DynamicObject, scale: &Scale) -> Self {
        let template: Option<PodTemplateSpec> = object.data.pointer("/spec/template").cloned().and_then(|t| serde_json::from_value(t).ok());
        let observed = object.data.pointer("/status/observedGeneration").and_then(Value::as_i64);
        let paused = object.data.pointer("/spec/paused").and_then(Value::as_bool).unwrap_or(false);
        let generation = object.metadata.generation.unwrap_or(0);
        Self {
            replicas: ReplicaCounts {
                desired: count(scale.spec.as_ref().and_then(|s| s.replicas), 0),
                current: scale.status.as_ref().map_or(0, |s| count(Some(s.replicas), 0)),
                ready: 0,
            },
            ready_known: false,
            rollout: match observed {
                _ if paused => Rollout::Paused,
                Some(observed) if observed < generation => Rollout::Progressing,
                _ => Rollout::Complete,
            },
            selector: scale.status.as_ref().and_then(|s| s.selector.as_deref()).and_then(parse_selector),
            newest: Newest::All,
            ..Self::common(kind, &object.metadata, template.as_ref())
        }
    }

    fn common(kind: &str, metadata: &ObjectMeta, template: Option<&PodTemplateSpec>) -> Self {
        Self {
            kind: kind.into(),
            uid: meta::uid(metadata),
            generation: metadata.generation.unwrap_or(0),
            resource_version: metadata.resource_version.as_deref().unwrap_or_default().into(),
            replicas: ReplicaCounts::default(),
            ready_known: true,
            rollout: Rollout::Complete,
            template: template.map(pod_template).unwrap_or_default(),
            template_labels: template.and_then(|t| t.metadata.as_ref()).and_then(|m| m.labels.clone()).unwrap_or_default(),
            selector: None,
            newest: Newest::All,
            writers: owners::writers(metadata),
            annotations: meta::ipa_annotations(metadata),
            created: meta::created(metadata),
        }
    }
}

/// As `kubectl rollout status` judges it, but for one thing: pods that a scale-up added and that are not available yet are no rollout. The
/// Deployment controller keeps them apart by the reason of its `Progressing` condition, which scaling does not touch.
fn deployment_rollout(object: &Deployment) -> Rollout {
    let status = object.status.as_ref();
    if object.spec.as_ref().and_then(|s| s.paused).unwrap_or(false) {
        return Rollout::Paused;
    }
    let Some(status) = status else { return Rollout::Progressing };
    if status.observed_generation.unwrap_or(0) < object.metadata.generation.unwrap_or(0) {
        return Rollout::Progressing;
    }
    let reason = status.conditions.iter().flatten().find(|c| c.type_ == "Progressing").map(|c| c.reason.as_deref().unwrap_or_default());
    let replicas = count(status.replicas, 0);
    let updated = count(status.updated_replicas, 0);
    match reason {
        Some("ProgressDeadlineExceeded") => Rollout::Stalled,
        Some("NewReplicaSetAvailable") | None if replicas == updated => Rollout::Complete,
        _ => Rollout::Progressing,
    }
}

/// As `kubectl rollout status` judges it, partitions included; with `OnDelete` nothing is ever rolled out by itself.
fn stateful_set_rollout(object: &StatefulSet) -> Rollout {
    let (Some(spec), Some(status)) = (&object.spec, &object.status) else { return Rollout::Progressing };
    if status.observed_generation.unwrap_or(0) < object.metadata.generation.unwrap_or(0) {
        return Rollout::Progressing;
    }
    let strategy = spec.update_strategy.as_ref();
    if status.update_revision == status.current_revision || strategy.is_some_and(|s| s.type_.as_deref() == Some("OnDelete")) {
        return Rollout::Complete;
    }
    let partition = count(strategy.and_then(|s| s.rolling_update.as_ref()).and_then(|r| r.partition), 0);
    let to_update = count(spec.replicas, 1).saturating_sub(partition);
    if partition > 0 && count(status.updated_replicas, 0) >= to_update { Rollout::Complete } else { Rollout::Progressing }
}

/// A scale's selector is text (`app=web,tier in (a,b)`); equality terms are all that IPA needs to find pods, and anything else is not taken.
fn parse_selector(text: &str) -> Option<LabelSelector> {
    let mut labels = Labels::new();
    for term in text.split(',').map(str::trim).filter(|t| !t.is_empty()) {
        let (key, value) = term.split_once("==").or_else(|| term.split_once('='))?;
        if key.ends_with('!') || key.contains(' ') {
            return None;
        }
        labels.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    (!labels.is_empty()).then_some(LabelSelector { match_labels: Some(labels), match_expressions: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(spec: &Value, status: &Value) -> LeanWorkload {
        let object: Deployment = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "generation": 2, "annotations": {REVISION: "3", "ipa.dev/takeover": "true", "x": "y"}},
            "spec": spec, "status": status
        }))
        .unwrap();
        LeanWorkload::from_deployment(&object)
    }

    fn rollout(status: &Value) -> Rollout {
        deployment(&json!({"replicas": 5, "selector": {}, "template": {}}), status).rollout
    }

    #[test]
    fn a_scale_up_is_no_rollout() {
        let done = json!([{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]);
        let under_way = json!([{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}]);
        let late = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        let status = |observed: i64, replicas: u32, updated: u32, conditions: &Value| json!({"observedGeneration": observed, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": 2, "conditions": conditions});
        assert_eq!(rollout(&status(2, 5, 5, &done)), Rollout::Complete, "five replicas, two available yet");
        assert_eq!(rollout(&status(1, 5, 5, &done)), Rollout::Progressing, "the controller has not seen the newest spec");
        assert_eq!(rollout(&status(2, 6, 2, &under_way)), Rollout::Progressing);
        assert_eq!(rollout(&status(2, 0, 0, &under_way)), Rollout::Progressing, "Recreate between its two halves");
        assert_eq!(rollout(&status(2, 6, 2, &late)), Rollout::Stalled);
        assert_eq!(deployment(&json!({"paused": true, "selector": {}, "template": {}}), &json!({})).rollout, Rollout::Paused);
    }

    #[test]
    fn a_stateful_set_with_a_partition_is_complete_when_its_part_is() {
        let rollout = |partition: u32, updated: u32, update: &str| {
            let object: StatefulSet = serde_json::from_value(json!({
                "metadata": {"name": "db"},
                "spec": {"replicas": 3, "serviceName": "db", "selector": {}, "template": {},
                         "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}},
                "status": {"replicas": 3, "updatedReplicas": updated, "currentRevision": "a", "updateRevision": update}
            }))
            .unwrap();
            LeanWorkload::from_stateful_set(&object).rollout
        };
        assert_eq!(rollout(0, 3, "a"), Rollout::Complete);
        assert_eq!(rollout(0, 1, "b"), Rollout::Progressing);
        assert_eq!(rollout(2, 1, "b"), Rollout::Complete);
        assert_eq!(rollout(2, 0, "b"), Rollout::Progressing);
    }

    #[test]
    fn fault_k11_missing_replicas_are_one_and_negative_ones_none() {
        let counts = |spec: Value| deployment(&spec, &json!(null)).replicas.desired;
        assert_eq!(counts(json!({"selector": {}, "template": {}})), 1);
        assert_eq!(counts(json!({"replicas": -7, "selector": {}, "template": {}})), 0);
        let bare = LeanWorkload::from_deployment(&Deployment::default());
        assert_eq!((bare.replicas.desired, bare.rollout, bare.newest), (1, Rollout::Progressing, Newest::All));
        let named = deployment(&json!({"selector": {}, "template": {}}), &json!(null));
        assert_eq!(named.annotations, BTreeMap::from([("takeover".to_owned(), "true".to_owned())]));
        assert_eq!(named.newest, Newest::Revision(3));
    }

    #[test]
    fn a_scale_of_any_kind_carries_counts_and_selector() {
        let object: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": "r", "generation": 4}, "spec": {"template": {"metadata": {"labels": {"a": "b"}}}}, "status": {"observedGeneration": 3}
        }))
        .unwrap();
        let scale = |selector: &str| {
            serde_json::from_value(json!({"spec": {"replicas": 4}, "status": {"replicas": 3, "selector": selector}})).unwrap()
        };
        let lean = LeanWorkload::from_scale("Rollout", &object, &scale("app=web,tier==x"));
        assert_eq!((lean.replicas.desired, lean.replicas.current, lean.rollout), (4, 3, Rollout::Progressing));
        let labels = lean.selector.unwrap().match_labels.unwrap();
        assert_eq!(labels, Labels::from([("app".into(), "web".into()), ("tier".into(), "x".into())]));
        for not_taken in ["", "app!=web", "app in (a)", "app"] {
            assert_eq!(LeanWorkload::from_scale("Rollout", &object, &scale(not_taken)).selector, None, "{not_taken}");
        }
    }
}
