//! Identities: what a target, a group, a proposal and a record are called. Cheap to clone, ordered, printable.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One workload: anything with a `/scale` subresource, by namespace, API group, plural resource and name.
///
/// In JSON it is one text (`shop/deployments.apps/web`), since a map's key must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TargetKey {
    /// Namespace.
    pub namespace: Arc<str>,
    /// API group, empty for the core group.
    pub group: Arc<str>,
    /// Plural resource, as in a URL (`deployments`).
    pub resource: Arc<str>,
    /// Object name.
    pub name: Arc<str>,
}

impl TargetKey {
    /// A key from its four parts.
    #[must_use]
    pub fn new(namespace: &str, group: &str, resource: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), group: group.into(), resource: resource.into(), name: name.into() }
    }

    /// A Deployment of `apps`.
    #[must_use]
    pub fn deployment(namespace: &str, name: &str) -> Self {
        Self::new(namespace, "apps", "deployments", name)
    }

    /// As kubectl names it: `deployments.apps/web`.
    #[must_use]
    pub fn kubectl_name(&self) -> String {
        if self.group.is_empty() {
            format!("{}/{}", self.resource, self.name)
        } else {
            format!("{}.{}/{}", self.resource, self.group, self.name)
        }
    }
}

impl fmt::Display for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.kubectl_name())
    }
}

/// One `IntelligentPodAutoscaler` (or, for a `NodeFleet`, its pseudo-group with an empty namespace).
///
/// In JSON it is one text (`shop/front`, and `/gpu` for a fleet), since a map's key must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct GroupId {
    /// Namespace; empty for a fleet.
    pub namespace: Arc<str>,
    /// Object name.
    pub name: Arc<str>,
}

impl GroupId {
    /// The group of an `IntelligentPodAutoscaler`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The pseudo-group of a `NodeFleet`.
    #[must_use]
    pub fn fleet(name: &str) -> Self {
        Self::new("", name)
    }

    /// Whether this is a fleet's pseudo-group.
    #[must_use]
    pub fn is_fleet(&self) -> bool {
        self.namespace.is_empty()
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_fleet() { write!(f, "nodefleet/{}", self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// SHA-256 in lower-case hex, over RFC 8785 canonical JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Digest(pub String);

impl Digest {
    /// The digest of a value's canonical JSON (RFC 8785).
    ///
    /// # Errors
    /// When the value cannot be written as JSON (a map with keys that are not text, a float that is not finite).
    pub fn of<T: Serialize>(value: &T) -> Result<Self, DigestError> {
        use sha2::Digest as _;
        let bytes = serde_json_canonicalizer::to_vec(value).map_err(|e| DigestError(e.to_string()))?;
        Ok(Self(hex::encode(sha2::Sha256::digest(bytes))))
    }

    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value that has no canonical JSON.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to write canonical JSON: {0}")]
pub struct DigestError(String);

/// A tick's number, counted up without gaps across restarts; a reflex pass carries the number of the tick it follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TickId(pub u64);

impl fmt::Display for TickId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

/// A proposal's name: tick, origin and a number, so that it repeats when a tick is replayed (`t812-planner-3`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProposalId(pub String);

impl fmt::Display for ProposalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a claim rests on: the id of a ledger entry (`e1042`), of a cluster event (`ev3`), or a target's signal (`w1.latency`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EvidenceId(pub String);

impl FromStr for TargetKey {
    type Err = TargetKeyError;
    /// Reads `namespace/name` (a Deployment), `namespace/resource/name`, or `namespace/resource.group/name`.
    fn from_str(text: &str) -> Result<Self, TargetKeyError> {
        let parts: Vec<&str> = text.split('/').collect();
        let bad = || TargetKeyError(text.chars().take(80).collect());
        if parts.iter().any(|p| p.is_empty()) {
            return Err(bad());
        }
        match parts[..] {
            [namespace, name] => Ok(Self::deployment(namespace, name)),
            [namespace, kind, name] => {
                let (resource, group) = kind.split_once('.').unwrap_or((kind, "apps"));
                let resource = match resource {
                    "deployment" | "deploy" => "deployments",
                    "statefulset" | "sts" => "statefulsets",
                    plural => plural,
                };
                Ok(Self::new(namespace, group, resource, name))
            }
            _ => Err(bad()),
        }
    }
}

impl From<TargetKey> for String {
    /// As [`TargetKey::from_str`] reads it back; the core group's empty name keeps its dot.
    fn from(key: TargetKey) -> Self {
        format!("{}/{}.{}/{}", key.namespace, key.resource, key.group, key.name)
    }
}

impl TryFrom<String> for TargetKey {
    type Error = TargetKeyError;
    fn try_from(text: String) -> Result<Self, TargetKeyError> {
        text.parse()
    }
}

impl From<GroupId> for String {
    fn from(id: GroupId) -> Self {
        format!("{}/{}", id.namespace, id.name)
    }
}

impl TryFrom<String> for GroupId {
    type Error = GroupIdError;
    fn try_from(text: String) -> Result<Self, GroupIdError> {
        text.parse()
    }
}

impl FromStr for GroupId {
    type Err = GroupIdError;
    /// Reads `namespace/name`; an empty namespace is a fleet's.
    fn from_str(text: &str) -> Result<Self, GroupIdError> {
        match text.split_once('/') {
            Some((namespace, name)) if !name.is_empty() && !name.contains('/') => Ok(Self::new(namespace, name)),
            _ => Err(GroupIdError(text.chars().take(80).collect())),
        }
    }
}

/// Text that names no group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no group: write NAMESPACE/NAME of an IntelligentPodAutoscaler")]
pub struct GroupIdError(String);

/// Text that names no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no target: write NAMESPACE/NAME for a Deployment, or NAMESPACE/RESOURCE.GROUP/NAME")]
pub struct TargetKeyError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_groups_are_keys_of_maps_in_json() {
        use std::collections::BTreeMap;
        let targets =
            BTreeMap::from([(TargetKey::deployment("shop", "web"), 1), (TargetKey::new("old", "", "replicationcontrollers", "rc"), 2)]);
        let groups = BTreeMap::from([(GroupId::new("shop", "front"), 1), (GroupId::fleet("gpu"), 2)]);
        let (as_targets, as_groups) = (serde_json::to_string(&targets).unwrap(), serde_json::to_string(&groups).unwrap());
        assert_eq!(as_targets, r#"{"old/replicationcontrollers./rc":2,"shop/deployments.apps/web":1}"#);
        assert_eq!(as_groups, r#"{"/gpu":2,"shop/front":1}"#);
        assert_eq!(serde_json::from_str::<BTreeMap<TargetKey, i32>>(&as_targets).unwrap(), targets);
        assert_eq!(serde_json::from_str::<BTreeMap<GroupId, i32>>(&as_groups).unwrap(), groups);
        assert!("shop".parse::<GroupId>().is_err() && "a/b/c".parse::<GroupId>().is_err() && "a/".parse::<GroupId>().is_err());
    }

    #[test]
    fn a_target_is_read_as_people_write_it() {
        let web = TargetKey::deployment("shop", "web");
        assert_eq!("shop/web".parse(), Ok(web.clone()));
        assert_eq!("shop/deployment/web".parse(), Ok(web.clone()));
        assert_eq!(web.to_string().parse(), Ok(web));
        assert_eq!("ml/inferencepools.x.io/llm".parse(), Ok(TargetKey::new("ml", "x.io", "inferencepools", "llm")));
        for bad in ["web", "", "/", "a/b/c/d", "a//b"] {
            assert!(bad.parse::<TargetKey>().is_err(), "{bad}");
        }
    }
}
