//! How custom resources name a workload: `apiVersion`, `kind` and `name`, as an HPA's `scaleTargetRef`; and how a kind becomes the resource
//! that a URL needs.

use std::fmt::Display;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{SpecError, quoted};
use crate::domain::names::TargetKey;

/// A workload, named by apiVersion, kind and name; anything with a `/scale` subresource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// API group and version of the workload, such as apps/v1. Default: apps/v1.
    #[serde(default = "apps_v1")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^([a-z0-9.-]+/)?v[a-z0-9]+$"))]
    pub api_version: String,
    /// Kind of the workload; it must have a /scale subresource. Default: Deployment.
    #[serde(default = "deployment")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Z][A-Za-z0-9]*$"))]
    pub kind: String,
    /// Name of the workload, which lies in this resource's namespace. Required.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
}

/// A kind's API group and plural resource, as a URL names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceName {
    /// API group, empty for the core group.
    pub group: Arc<str>,
    /// Plural resource (`deployments`).
    pub resource: Arc<str>,
}

/// Turns `apiVersion` and `kind` into a resource. [`built_in`] knows the usual three; discovery knows the rest.
pub type Resolve<'a> = &'a dyn Fn(&str, &str) -> Option<ResourceName>;

/// The workloads that every cluster serves.
#[must_use]
pub fn built_in(api_version: &str, kind: &str) -> Option<ResourceName> {
    let resource = match (api_version, kind) {
        ("apps/v1", "Deployment") => "deployments",
        ("apps/v1", "StatefulSet") => "statefulsets",
        ("apps/v1", "ReplicaSet") => "replicasets",
        _ => return None,
    };
    Some(ResourceName { group: "apps".into(), resource: resource.into() })
}

impl TargetRef {
    /// The workload's key.
    ///
    /// # Errors
    /// [`SpecError`] below `path` when the name is no object's name, or no resource of that kind is served.
    pub fn key(&self, path: &dyn Display, namespace: &str, resolve: Resolve<'_>) -> Result<TargetKey, SpecError> {
        if !is_object_name(&self.name) {
            return Err(SpecError::new(
                &format_args!("{path}.name"),
                format_args!(
                    "{} is no object's name; write the workload's metadata.name (lower-case letters, digits, - and .)",
                    quoted(&self.name)
                ),
            ));
        }
        let Some(ResourceName { group, resource }) = resolve(&self.api_version, &self.kind) else {
            return Err(SpecError::new(
                &format_args!("{path}.kind"),
                format_args!(
                    "no resource of apiVersion {} and kind {} is served; check both with `kubectl api-resources`",
                    quoted(&self.api_version),
                    quoted(&self.kind)
                ),
            ));
        };
        Ok(TargetKey { namespace: namespace.into(), group, resource, name: self.name.as_str().into() })
    }
}

/// Whether this can be an object's name (RFC 1123 subdomain, as far as it matters for a URL and a record).
pub(crate) fn is_object_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.len() <= 253
        && bytes.first().copied().is_some_and(plain)
        && bytes.last().copied().is_some_and(plain)
        && bytes.iter().all(|b| plain(*b) || matches!(b, b'-' | b'.'))
}

fn apps_v1() -> String {
    "apps/v1".to_owned()
}

fn deployment() -> String {
    "Deployment".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: &str, name: &str) -> TargetRef {
        TargetRef { api_version: "apps/v1".into(), kind: kind.into(), name: name.into() }
    }

    #[test]
    fn a_workload_is_found_by_its_kind() {
        assert_eq!(named("Deployment", "web").key(&"ref", "shop", &built_in), Ok(TargetKey::deployment("shop", "web")));
        assert_eq!(named("StatefulSet", "db").key(&"ref", "shop", &built_in), Ok(TargetKey::new("shop", "apps", "statefulsets", "db")));
    }

    #[test]
    fn what_the_cluster_does_not_serve_or_no_object_is_called_is_refused_by_field() {
        let error = |r: TargetRef| r.key(&"spec.targets[0].ref", "shop", &built_in).unwrap_err().path;
        assert_eq!(error(named("CronJob", "web")), "spec.targets[0].ref.kind");
        for name in ["", "Web", "../secrets", "a/b", "-a", "a-", &"x".repeat(254)] {
            assert_eq!(error(named("Deployment", name)), "spec.targets[0].ref.name", "{name}");
        }
    }
}
