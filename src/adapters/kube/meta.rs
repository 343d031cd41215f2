//! What every object carries, read leniently: names, owners, times, IPA's annotations. Absent is empty, never a panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

/// Prefix of IPA's own annotations.
pub const ANNOTATION_PREFIX: &str = "ipa.dev/";

/// Namespace and name; the namespace of a cluster-scoped object is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl ObjectName {
    /// An object's name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// From an object's metadata.
    pub fn of(meta: &ObjectMeta) -> Self {
        Self::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
    }
}

/// The controller that owns an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its UID.
    pub uid: Arc<str>,
    /// Its kind.
    pub kind: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// The owner that is marked as the controller, or the only owner there is.
pub fn controller(meta: &ObjectMeta) -> Option<Owner> {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|o| o.controller == Some(true)).or(if let [only] = owners { Some(only) } else { None })?;
    Some(Owner { uid: owner.uid.as_str().into(), kind: owner.kind.as_str().into(), name: owner.name.as_str().into() })
}

/// UID, empty when there is none.
pub fn uid(meta: &ObjectMeta) -> Arc<str> {
    meta.uid.as_deref().unwrap_or_default().into()
}

/// Creation time.
pub fn created(meta: &ObjectMeta) -> Option<Timestamp> {
    meta.creation_timestamp.as_ref().map(time)
}

/// A time as jiff has it.
pub fn time(time: &Time) -> Timestamp {
    time.0
}

/// IPA's own annotations, by name without the prefix.
pub fn ipa_annotations(meta: &ObjectMeta) -> BTreeMap<String, String> {
    meta.annotations
        .iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.strip_prefix(ANNOTATION_PREFIX)?.to_owned(), value.clone())))
        .collect()
}

/// A count as Kubernetes means it: absent is `default`, below zero is zero.
pub fn count(value: Option<i32>, default: u32) -> u32 {
    value.map_or(default, |v| u32::try_from(v).unwrap_or(0))
}
