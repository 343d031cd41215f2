//! Recent events, reduced to reason, count and time: the text of a note is free text and is dropped at the watch.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event as ApiEvent;

use super::cache::Objects;
use super::meta::{self, ObjectName, count};
use crate::domain::names::TargetKey;
use crate::domain::snapshot::{Event, EventReason};
use crate::domain::workload::Workload;

/// Older events say nothing about what a tick decides; the API server itself keeps them for an hour.
const RECENT: SignedDuration = SignedDuration::from_hours(1);
/// Most events of a snapshot, the newest kept.
const MOST: usize = 1_000;
/// Kinds that events are kept about.
const KINDS: [&str; 5] = ["Pod", "Deployment", "StatefulSet", "ReplicaSet", "Node"];

/// An event, made lean.
#[derive(Clone, Debug)]
pub struct LeanEvent {
    kind: Arc<str>,
    name: Arc<str>,
    reason: EventReason,
    count: u32,
    at: Timestamp,
}

impl LeanEvent {
    /// From an event about something that bears on scaling.
    pub fn from_event(object: &ApiEvent) -> Option<Self> {
        let about = &object.involved_object;
        let kind = KINDS.iter().find(|kind| about.kind.as_deref() == Some(**kind))?;
        let series = object.series.as_ref();
        let at = series
            .and_then(|s| s.last_observed_time.as_ref())
            .map(|t| t.0)
            .or_else(|| object.last_timestamp.as_ref().map(meta::time))
            .or_else(|| object.event_time.as_ref().map(|t| t.0))
            .or_else(|| object.first_timestamp.as_ref().map(meta::time))
            .or_else(|| meta::created(&object.metadata))?;
        Some(Self {
            kind: (*kind).into(),
            name: about.name.as_deref()?.into(),
            reason: EventReason::from_event(object.reason.as_deref().unwrap_or_default()),
            count: count(series.and_then(|s| s.count).or(object.count), 1).max(1),
            at,
        })
    }
}

/// Recent events that bear on targets, newest last: about a target, one of its pods, or a node that its pods run on.
pub fn events(
    events: &Objects<LeanEvent>,
    workloads: &BTreeMap<TargetKey, Workload>,
    kinds: &BTreeMap<TargetKey, Arc<str>>,
    now: Timestamp,
) -> Vec<Event> {
    let mut by_object: BTreeMap<(&str, &str, &str), Vec<&TargetKey>> = BTreeMap::new();
    for (key, workload) in workloads {
        let kind = kinds.get(key).map_or("", |k| &**k);
        by_object.entry((&*key.namespace, kind, &*key.name)).or_default().push(key);
        for pod in &workload.pods {
            by_object.entry((&*key.namespace, "Pod", &*pod.name)).or_default().push(key);
            if let Some(node) = pod.node.as_deref() {
                let on_node = by_object.entry(("", "Node", node)).or_default();
                if on_node.last() != Some(&key) {
                    on_node.push(key);
                }
            }
        }
    }
    let mut found: Vec<(Timestamp, &ObjectName, &LeanEvent, &TargetKey)> = Vec::new();
    for (name, event) in events.iter().filter(|(_, e)| now.duration_since(e.at) <= RECENT) {
        // Events about nodes lie in the namespace `default`.
        let namespace = if &*event.kind == "Node" { "" } else { &*name.namespace };
        let about = by_object.get(&(namespace, &*event.kind, &*event.name)).or_else(|| {
            // A Deployment's ReplicaSets are named after it, with the template's hash behind a dash.
            let deployment = event.name.rsplit_once('-').filter(|_| &*event.kind == "ReplicaSet")?.0;
            by_object.get(&(namespace, "Deployment", deployment))
        });
        found.extend(about.into_iter().flatten().map(|target| (event.at, name, &**event, *target)));
    }
    found.sort_by(|a, b| (a.0, a.1, a.3).cmp(&(b.0, b.1, b.3)));
    found
        .split_off(found.len().saturating_sub(MOST))
        .into_iter()
        .enumerate()
        .map(|(index, (at, _, event, target))| Event {
            id: format!("ev{}", index + 1),
            at,
            target: target.clone(),
            kind: event.kind.clone(),
            reason: event.reason,
            count: event.count,
        })
        .collect()
}
