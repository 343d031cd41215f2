//! The four custom resources, into what people set: groups and fleets or why they cannot be taken, guardrails, the queue.
//!
//! An object that its schema would refuse today may still be stored: it is kept as a reason, and never holds up the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::DeserializeGuard;

use super::cache::Objects;
use super::dynamic::Kinds;
use super::meta;
use crate::crd::target_ref::{ResourceName, built_in};
use crate::crd::{IntelligentPodAutoscaler, NodeFleet, ScalingGuardrail, ScalingProposal, convert};
use crate::domain::limits::{Fleet, Group, Guardrail};
use crate::domain::names::GroupId;
use crate::domain::snapshot::{QueuedProposal, Rejected};

/// A custom resource, or why it could not be read.
pub type Read<K> = Result<K, Rejected>;

/// A group's or fleet's resource, without what only the API server needs.
pub fn read<K: Resource>(object: DeserializeGuard<K>) -> Read<K> {
    match object.0 {
        Ok(mut object) => {
            object.meta_mut().managed_fields = None;
            Ok(object)
        }
        Err(invalid) => Err(rejected(&invalid.metadata, &format!("the object does not fit its schema: {}", invalid.error))),
    }
}

/// A guardrail. One that cannot be taken is as good as none: nothing above Observe is allowed there.
pub fn guardrail(object: DeserializeGuard<ScalingGuardrail>) -> Option<Guardrail> {
    taken("ScalingGuardrail", object, |object| convert::guardrail(object).map_err(|e| e.to_string()))
}

/// A queued proposal.
pub fn proposal(object: DeserializeGuard<ScalingProposal>) -> Option<QueuedProposal> {
    taken("ScalingProposal", object, |object| convert::queued(object).map_err(|e| e.to_string()))
}

fn taken<K: Resource, V>(kind: &str, object: DeserializeGuard<K>, convert: impl Fn(&K) -> Result<V, String>) -> Option<V> {
    let (namespace, name) = (object.meta().namespace.clone(), object.meta().name.clone());
    let result = object.0.map_err(|invalid| invalid.error).and_then(|object| convert(&object));
    result
        .map_err(|error| {
            tracing::warn!(kind, namespace = namespace.unwrap_or_default(), name = name.unwrap_or_default(), %error, "left out a custom resource");
        })
        .ok()
}

/// All groups. Kinds that are not built in are looked up, each once; one that nobody knows is the group's error.
pub async fn groups(objects: &Objects<Read<IntelligentPodAutoscaler>>, kinds: &Kinds) -> Objects<Result<Group, Rejected>> {
    let named: BTreeSet<(&str, &str)> = objects
        .values()
        .filter_map(|o| o.as_ref().as_ref().ok())
        .flat_map(|ipa| &ipa.spec.targets)
        .map(|t| (t.target.api_version.as_str(), t.target.kind.as_str()))
        .filter(|(api_version, kind)| built_in(api_version, kind).is_none())
        .collect();
    let mut known: BTreeMap<(String, String), ResourceName> = BTreeMap::new();
    for (api_version, kind) in named {
        if let Some(name) = kinds.named(api_version, kind).await {
            known.insert((api_version.to_owned(), kind.to_owned()), name);
        }
    }
    let resolve = |api_version: &str, kind: &str| {
        built_in(api_version, kind).or_else(|| known.get(&(api_version.to_owned(), kind.to_owned())).cloned())
    };
    objects
        .iter()
        .map(|(name, object)| {
            let group = match &**object {
                Ok(ipa) => convert::group(ipa, &resolve).map_err(|error| rejected(&ipa.metadata, &error.to_string())),
                Err(reason) => Err(reason.clone()),
            };
            (name.clone(), Arc::new(group))
        })
        .collect()
}

/// All fleets.
pub fn fleets(objects: &Objects<Read<NodeFleet>>) -> Objects<Result<Fleet, Rejected>> {
    objects
        .iter()
        .map(|(name, object)| {
            let fleet = match &**object {
                Ok(fleet) => convert::fleet(fleet).map_err(|error| rejected(&fleet.metadata, &error.to_string())),
                Err(reason) => Err(reason.clone()),
            };
            (name.clone(), Arc::new(fleet))
        })
        .collect()
}

pub fn rejected(metadata: &ObjectMeta, message: &str) -> Rejected {
    Rejected {
        group: GroupId::new(metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default()),
        uid: meta::uid(metadata),
        generation: metadata.generation.unwrap_or(0),
        reason: "InvalidSpec".into(),
        message: message.to_owned(),
    }
}
