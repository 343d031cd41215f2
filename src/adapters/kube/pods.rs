//! Pods as they are kept: where they stand, what they ask for, whose they are. A pod spec's other parts are dropped at the watch.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod as ApiPod, PodCondition, PodStatus};

use super::cache::Objects;
use super::meta::{self, ObjectName, Owner, count};
use super::pod_size::pod_size;
use super::selectors::{LabelMatch, Labels};
use super::template::effective_requests;
use super::workload::{LeanWorkload, Newest, REVISION};
use crate::domain::workload::{Pod, PodPhase, ResourceList};

/// Label by which a `StatefulSet` marks the revision a pod runs.
const REVISION_HASH: &str = "controller-revision-hash";

/// A pod, made lean.
#[derive(Clone, Debug)]
pub struct LeanPod {
    /// What a target shows of it.
    pub pod: Pod,
    /// Its labels.
    pub labels: Labels,
    /// Its controller.
    pub owner: Option<Owner>,
    /// Effective requests.
    pub requests: ResourceList,
    /// Whether it takes room on its node: bound, and not ended.
    pub holds_room: bool,
}

/// A `ReplicaSet`, as the link from a pod to its Deployment.
#[derive(Clone, Debug)]
pub struct LeanReplicaSet {
    /// Its controller.
    pub owner: Option<Owner>,
    /// Its revision.
    pub revision: Option<u64>,
}

impl LeanPod {
    /// From a pod; one that has ended well is nobody's any more.
    pub fn from_pod(object: &ApiPod) -> Option<Self> {
        let empty = PodStatus::default();
        let status = object.status.as_ref().unwrap_or(&empty);
        let spec = object.spec.as_ref();
        let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        if status.phase.as_deref() == Some("Succeeded") {
            return None;
        }
        let node: Option<Arc<str>> = spec.and_then(|s| s.node_name.as_deref()).filter(|n| !n.is_empty()).map(Into::into);
        let containers = || status.container_statuses.iter().flatten();
        Some(Self {
            holds_room: node.is_some() && !ended,
            pod: Pod {
                name: object.metadata.name.as_deref().unwrap_or_default().into(),
                phase: phase(object, status, node.is_some()),
                node,
                created: meta::created(&object.metadata),
                scheduled: turned_true(status, "PodScheduled"),
                ready_since: turned_true(status, "Ready"),
                restarts: containers().fold(0, |sum, c| count(Some(c.restart_count), 0).saturating_add(sum)),
                oom_killed: containers().any(oom_killed),
                current_template: true,
                size: pod_size(object),
            },
            labels: object.metadata.labels.clone().unwrap_or_default(),
            owner: meta::controller(&object.metadata),
            requests: spec.map(effective_requests).unwrap_or_default(),
        })
    }
}

impl LeanReplicaSet {
    /// From a `ReplicaSet`.
    pub fn from_replica_set(object: &ReplicaSet) -> Self {
        Self {
            owner: meta::controller(&object.metadata),
            revision: object.metadata.annotations.as_ref().and_then(|a| a.get(REVISION)).and_then(|r| r.parse().ok()),
        }
    }
}

fn phase(object: &ApiPod, status: &PodStatus, bound: bool) -> PodPhase {
    if object.metadata.deletion_timestamp.is_some() {
        PodPhase::Terminating
    } else if status.phase.as_deref() == Some("Failed") {
        PodPhase::Failed
    } else if !bound {
        PodPhase::Pending
    } else if condition(status, "Ready").is_some_and(|c| c.status == "True") {
        PodPhase::Ready
    } else {
        PodPhase::Starting
    }
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> Option<&'a PodCondition> {
    status.conditions.iter().flatten().find(|c| c.type_ == kind)
}

fn turned_true(status: &PodStatus, kind: &str) -> Option<Timestamp> {
    condition(status, kind).filter(|c| c.status == "True")?.last_transition_time.as_ref().map(meta::time)
}

fn oom_killed(container: &ContainerStatus) -> bool {
    [&container.last_state, &container.state]
        .into_iter()
        .flatten()
        .filter_map(|s| s.terminated.as_ref())
        .any(|t| t.reason.as_deref() == Some("OOMKilled"))
}

/// All pods, so that each target finds its own.
#[derive(Debug)]
pub struct PodIndex<'a> {
    pods: &'a Objects<LeanPod>,
    /// Pods by the UID of the target they belong to, through their `ReplicaSet` or directly; with the `ReplicaSet`'s revision.
    by_owner: BTreeMap<Arc<str>, Vec<(&'a LeanPod, Option<u64>)>>,
}

impl<'a> PodIndex<'a> {
    /// Follows every pod's owners.
    pub fn new(pods: &'a Objects<LeanPod>, replica_sets: &Objects<LeanReplicaSet>) -> Self {
        let mut by_owner: BTreeMap<Arc<str>, Vec<(&LeanPod, Option<u64>)>> = BTreeMap::new();
        for (name, pod) in pods {
            let Some(owner) = &pod.owner else { continue };
            let replica_set = (&*owner.kind == "ReplicaSet")
                .then(|| replica_sets.get(&ObjectName { namespace: name.namespace.clone(), name: owner.name.clone() }))
                .flatten();
            let (uid, revision) = match replica_set {
                Some(set) => (set.owner.as_ref().map_or(&owner.uid, |o| &o.uid), set.revision),
                None => (&owner.uid, None),
            };
            by_owner.entry(uid.clone()).or_default().push((&**pod, revision));
        }
        Self { pods, by_owner }
    }

    /// A target's pods, by name: those it owns, or, where it owns none that are seen, those its selector matches.
    pub fn pods_of(&self, namespace: &Arc<str>, workload: &LeanWorkload) -> Vec<Pod> {
        if let Some(owned) = self.by_owner.get(&workload.uid) {
            return owned.iter().map(|(pod, revision)| shown(pod, *revision, &workload.newest)).collect();
        }
        let Some(selector) = workload.selector.as_ref().filter(|_| !workload.ready_known) else { return Vec::new() };
        let selector = LabelMatch::from_selector(selector);
        let first = ObjectName { namespace: namespace.clone(), name: "".into() };
        self.pods
            .range(first..)
            .take_while(|(name, _)| name.namespace == *namespace)
            .filter(|(_, pod)| selector.matches(&pod.labels))
            .map(|(_, pod)| shown(pod, None, &workload.newest))
            .collect()
    }
}

fn shown(pod: &LeanPod, revision: Option<u64>, newest: &Newest) -> Pod {
    let current_template = match newest {
        Newest::Revision(newest) => revision.is_none_or(|r| r >= *newest),
        Newest::RevisionHash(hash) => pod.labels.get(REVISION_HASH).is_none_or(|h| **h == **hash),
        Newest::All => true,
    };
    Pod { current_template, ..pod.pod.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(value: serde_json::Value) -> Option<LeanPod> {
        LeanPod::from_pod(&serde_json::from_value(value).unwrap())
    }

    #[test]
    fn a_pods_phase_is_what_it_means_for_capacity() {
        let phase = |metadata: serde_json::Value, node: &str, status: serde_json::Value| {
            pod(json!({"metadata": metadata, "spec": {"containers": [], "nodeName": node}, "status": status}))
                .map(|p| (p.pod.phase, p.holds_room))
        };
        let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        assert_eq!(phase(json!({}), "", json!({"phase": "Pending"})), Some((PodPhase::Pending, false)));
        assert_eq!(phase(json!({}), "n1", json!({"phase": "Pending"})), Some((PodPhase::Starting, true)));
        assert_eq!(phase(json!({}), "n1", ready.clone()), Some((PodPhase::Ready, true)));
        assert_eq!(phase(json!({"deletionTimestamp": "2026-03-01T10:00:00Z"}), "n1", ready), Some((PodPhase::Terminating, true)));
        assert_eq!(phase(json!({}), "n1", json!({"phase": "Failed"})), Some((PodPhase::Failed, false)));
        assert_eq!(phase(json!({}), "n1", json!({"phase": "Succeeded"})), None);
    }

    #[test]
    fn restarts_are_summed_and_an_oom_kill_is_seen() {
        let lean = pod(json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [
            {"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 2, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
            {"name": "b", "image": "", "imageID": "", "ready": true, "restartCount": 3}
        ]}}))
        .unwrap();
        assert_eq!((lean.pod.restarts, lean.pod.oom_killed), (5, true));
    }

    #[test]
    fn pods_find_their_target_through_the_replica_set_and_know_whether_they_are_new() {
        let owned = |name: &str, set: &str| {
            let object = json!({"metadata": {"name": name, "namespace": "shop", "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": set, "controller": true}]}});
            (ObjectName::new("shop", name), Arc::new(pod(object).unwrap()))
        };
        let set = |name: &str, revision: &str| {
            let object = json!({"metadata": {"name": name, "annotations": {REVISION: revision}, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d1", "controller": true}]}});
            (ObjectName::new("shop", name), Arc::new(LeanReplicaSet::from_replica_set(&serde_json::from_value(object).unwrap())))
        };
        let pods = Objects::from([owned("web-1", "web-old"), owned("web-2", "web-new"), owned("stray", "other")]);
        let sets = Objects::from([set("web-old", "1"), set("web-new", "2")]);
        let index = PodIndex::new(&pods, &sets);
        let mut web = LeanWorkload::from_deployment(&k8s_openapi::api::apps::v1::Deployment::default());
        web.uid = "d1".into();
        web.newest = Newest::Revision(2);
        let found: Vec<(String, bool)> =
            index.pods_of(&"shop".into(), &web).into_iter().map(|p| (p.name.to_string(), p.current_template)).collect();
        assert_eq!(found, vec![("web-1".to_owned(), false), ("web-2".to_owned(), true)]);
    }
}
