//! The four custom resources (`ipa.dev/v1alpha1`), their schemas and CEL rules, and their one conversion into the domain's checked types.
//!
//! The Rust types are the source: [`crds`] gives what `ipa crd` prints and `deploy/crds/ipa.dev.yaml` holds. What the API server checks is checked
//! again in [`convert`], because an object may be older than its schema. Nothing here talks to a cluster; a watch that must outlive a
//! broken object wraps these kinds in kube's `DeserializeGuard`.

#![expect(clippy::doc_markdown, reason = "doc comments are what `kubectl explain` shows, as plain text")]

pub mod autoscaler;
pub mod change;
pub mod condition;
pub mod convert;
pub mod error;
pub mod fleet;
pub mod guardrail;
pub mod proposal;
pub mod status;
pub mod target_ref;
pub mod text;

#[cfg(test)]
mod deploy_tests;
#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod schema_tests;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

pub use autoscaler::IntelligentPodAutoscaler;
pub use error::SpecError;
pub use fleet::NodeFleet;
pub use guardrail::ScalingGuardrail;
pub use proposal::ScalingProposal;

/// API group of all four kinds.
pub const API_GROUP: &str = "ipa.dev";
/// Version of all four kinds.
pub const API_VERSION: &str = "v1alpha1";

/// The definitions of the four kinds, as they are installed.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![IntelligentPodAutoscaler::crd(), ScalingGuardrail::crd(), NodeFleet::crd(), ScalingProposal::crd()];
    for definition in &mut definitions {
        for version in &mut definition.spec.versions {
            if let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
                forbid_null(schema);
            }
        }
    }
    definitions
}

/// An optional field is absent, never null: schemars says `nullable` of every `Option`, and a null would get past `has()` into CEL rules.
fn forbid_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(properties) = &mut schema.properties {
        properties.values_mut().for_each(forbid_null);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => forbid_null(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(forbid_null),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        forbid_null(values);
    }
}
