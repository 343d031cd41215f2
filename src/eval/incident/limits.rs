//! `ipa.yaml`: the custom resources under test, through the same conversion as a cluster's. A cluster's API server prunes a field that it does not
//! know; here that is an error, since the file has no other reader.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSONSchemaProps, JSONSchemaPropsOrArray};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{NAMESPACE, yaml};
use crate::crd::error::quoted;
use crate::crd::target_ref::built_in;
use crate::crd::{API_GROUP, API_VERSION, IntelligentPodAutoscaler, NodeFleet, ScalingGuardrail, SpecError, convert, crds};
use crate::domain::limits::{Fleet, Group, Guardrail};
use crate::domain::names::TargetKey;

/// What people set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Limits {
    pub(super) groups: Vec<Group>,
    pub(super) guardrails: Vec<Guardrail>,
    pub(super) fleets: Vec<Fleet>,
}

/// The resources of a file. `known` are the incident's workloads.
///
/// # Errors
/// [`SpecError`] for the first field that cannot be taken; its path begins with the resource's kind and name.
pub(super) fn read(text: &str, known: &[TargetKey]) -> Result<Limits, SpecError> {
    let mut limits = Limits::default();
    let schemas = schemas();
    for (index, value) in yaml::values(text)?.into_iter().enumerate().filter(|(_, value)| !value.is_null()) {
        take(value, index, &schemas, &mut limits)?;
    }
    if limits.groups.is_empty() {
        return Err(SpecError::new(&"kind", "there is no IntelligentPodAutoscaler; write one, or leave the file out to have all derived"));
    }
    if limits.guardrails.len() > 1 {
        return Err(SpecError::new(&"kind", "there are two ScalingGuardrails, and a namespace has one; merge them"));
    }
    let mut covered: BTreeMap<&TargetKey, &str> = BTreeMap::new();
    for (group, target) in limits.groups.iter().flat_map(|group| group.targets.iter().map(move |target| (group, target))) {
        let at = format!("IntelligentPodAutoscaler {}: spec.targets", group.id.name);
        if !known.contains(&target.key) {
            return Err(SpecError::new(
                &at,
                format_args!("{} is no workload of this incident; correct the name", target.key.kubectl_name()),
            ));
        }
        if let Some(other) = covered.insert(&target.key, &group.id.name) {
            return Err(SpecError::new(
                &at,
                format_args!("{} belongs to {} already; name it once", target.key.kubectl_name(), quoted(other)),
            ));
        }
    }
    Ok(limits)
}

fn take(mut value: Value, index: usize, schemas: &BTreeMap<String, JSONSchemaProps>, limits: &mut Limits) -> Result<(), SpecError> {
    let kind = value["kind"].as_str().unwrap_or_default().to_owned();
    let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let at = if kind.is_empty() {
        format!("document {}", index + 1)
    } else {
        format!("{} {}", quoted(&kind).trim_matches('`'), quoted(&name).trim_matches('`'))
    };
    let place = |error: SpecError| SpecError::new(&format_args!("{at}: {}", error.path), error.message);
    let Some(schema) = schemas.get(&kind) else {
        let kinds: Vec<&str> = schemas.keys().map(String::as_str).collect();
        return Err(SpecError::new(&format_args!("{at}: kind"), format_args!("it is not under test; write one of {}", kinds.join(", "))));
    };
    let version = format!("{API_GROUP}/{API_VERSION}");
    if value["apiVersion"].as_str() != Some(&version) {
        return Err(SpecError::new(&format_args!("{at}: apiVersion"), format_args!("it is not {version}; write that")));
    }
    if let Some(path) = unknown_field(&value["spec"], schema, "spec") {
        return Err(SpecError::new(&format_args!("{at}: {path}"), "there is no such field; remove it or correct its name"));
    }
    settle(&mut value, &kind).map_err(place)?;
    match kind.as_str() {
        "IntelligentPodAutoscaler" => {
            let object: IntelligentPodAutoscaler = typed(value).map_err(place)?;
            limits.groups.push(convert::group(&object, &built_in).map_err(place)?);
        }
        "ScalingGuardrail" => {
            let object: ScalingGuardrail = typed(value).map_err(place)?;
            limits.guardrails.push(convert::guardrail(&object).map_err(place)?);
        }
        _ => {
            let object: NodeFleet = typed(value).map_err(place)?;
            limits.fleets.push(convert::fleet(&object).map_err(place)?);
        }
    }
    Ok(())
}

fn typed<K: Resource + DeserializeOwned>(value: Value) -> Result<K, SpecError> {
    serde_path_to_error::deserialize(value).map_err(|error| SpecError::new(&error.path().to_string(), error.inner()))
}

/// What the API server would add: a namespace, a UID, a generation. All repeat, since records name them.
fn settle(value: &mut Value, kind: &str) -> Result<(), SpecError> {
    let Some(metadata) = value["metadata"].as_object_mut() else {
        return Err(SpecError::new(&"metadata", "it is missing; write at least a name"));
    };
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let namespaced = kind != "NodeFleet";
    match metadata.get("namespace").and_then(Value::as_str) {
        Some(namespace) if namespaced && namespace != NAMESPACE => {
            return Err(SpecError::new(
                &"metadata.namespace",
                format_args!("an incident has one namespace; write {NAMESPACE}, or leave it out"),
            ));
        }
        Some(_) | None if namespaced => {
            metadata.insert("namespace".to_owned(), json!(NAMESPACE));
        }
        Some(_) | None => {}
    }
    metadata.insert("uid".to_owned(), json!(format!("incident-{}-{name}", kind.to_lowercase())));
    metadata.insert("generation".to_owned(), json!(1));
    Ok(())
}

/// Schemas of the kinds under test, by kind. A queue of proposals belongs to an installation that runs, not to an incident.
fn schemas() -> BTreeMap<String, JSONSchemaProps> {
    let spec = |definition: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        let schema = definition.spec.versions.into_iter().find_map(|version| version.schema?.open_api_v3_schema)?;
        Some((definition.spec.names.kind, schema.properties?.remove("spec")?))
    };
    crds().into_iter().filter_map(spec).filter(|(kind, _)| kind != "ScalingProposal").collect()
}

/// The first field that the schema does not know.
fn unknown_field(value: &Value, schema: &JSONSchemaProps, path: &str) -> Option<String> {
    match value {
        Value::Object(fields) => {
            let properties = schema.properties.as_ref()?;
            fields.iter().find_map(|(name, value)| match properties.get(name) {
                Some(schema) => unknown_field(value, schema, &format!("{path}.{name}")),
                None => Some(format!("{path}.{name}")),
            })
        }
        Value::Array(items) => match &schema.items {
            Some(JSONSchemaPropsOrArray::Schema(schema)) => {
                items.iter().enumerate().find_map(|(index, item)| unknown_field(item, schema, &format!("{path}[{index}]")))
            }
            Some(JSONSchemaPropsOrArray::Schemas(_)) | None => None,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::Mode;

    const WHOLE: &str = "
apiVersion: ipa.dev/v1alpha1
kind: IntelligentPodAutoscaler
metadata: {name: shop}
spec:
  targets: [{ref: {name: web}, min: 2, max: 9}]
  mode: {scaleUp: Auto}
---
apiVersion: ipa.dev/v1alpha1
kind: ScalingGuardrail
metadata: {name: default, namespace: incident}
spec: {targets: [{name: web, min: 2, max: 9}], highestMode: Auto}
---
apiVersion: ipa.dev/v1alpha1
kind: NodeFleet
metadata: {name: general}
spec: {pools: [general], nodeClass: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}}
";

    fn check(text: &str) -> Result<Limits, String> {
        read(text, &[TargetKey::deployment(NAMESPACE, "web"), TargetKey::deployment(NAMESPACE, "api")]).map_err(|e| e.to_string())
    }

    #[test]
    fn the_resources_are_taken_as_a_cluster_would_with_names_that_repeat() {
        let limits = check(WHOLE).unwrap();
        let group = &limits.groups[0];
        assert_eq!(
            (group.id.to_string().as_str(), &*group.uid, group.generation),
            ("incident/shop", "incident-intelligentpodautoscaler-shop", 1)
        );
        assert_eq!((group.modes.scale_up, group.modes.scale_down), (Mode::Auto, Mode::Observe));
        assert_eq!((limits.guardrails[0].highest_mode, &*limits.guardrails[0].namespace), (Mode::Auto, NAMESPACE));
        assert_eq!(limits.fleets[0].id.to_string(), "nodefleet/general");
        assert_eq!(check(WHOLE).unwrap(), limits);
    }

    #[test]
    fn each_broken_resource_is_refused_by_kind_name_and_field() {
        let first = WHOLE.split("---").next().unwrap();
        for (text, error) in [
            (
                WHOLE.replace("mode:", "modes:"),
                "IntelligentPodAutoscaler shop: spec.modes: there is no such field; remove it or correct its name",
            ),
            (
                WHOLE.replace("min: 2, max: 9}]\n", "min: 2, max: 9, most: 1}]\n"),
                "IntelligentPodAutoscaler shop: spec.targets[0].most: there is no such field; remove it or correct its name",
            ),
            (
                WHOLE.replace("min: 2, max: 9}]\n", "min: 12, max: 9}]\n"),
                "IntelligentPodAutoscaler shop: spec.targets[0].min: 12 is above max 9; lower min or raise max",
            ),
            (
                WHOLE.replace("ref: {name: web}", "ref: {name: shop}"),
                "IntelligentPodAutoscaler shop: spec.targets: deployments.apps/shop is no workload of this incident; correct the name",
            ),
            (
                WHOLE.replace("namespace: incident", "namespace: shop"),
                "ScalingGuardrail default: metadata.namespace: an incident has one namespace; write incident, or leave it out",
            ),
            (
                WHOLE.replace("kind: NodeFleet", "kind: ConfigMap"),
                "ConfigMap general: kind: it is not under test; write one of IntelligentPodAutoscaler, NodeFleet, ScalingGuardrail",
            ),
            (
                WHOLE.replace("v1alpha1\nkind: NodeFleet", "v9\nkind: NodeFleet"),
                "NodeFleet general: apiVersion: it is not ipa.dev/v1alpha1; write that",
            ),
            (
                format!("{WHOLE}---{first}"),
                "IntelligentPodAutoscaler shop: spec.targets: deployments.apps/web belongs to `shop` already; name it once",
            ),
            (String::new(), "kind: there is no IntelligentPodAutoscaler; write one, or leave the file out to have all derived"),
        ] {
            assert_eq!(check(&text), Err(error.to_owned()));
        }
        assert!(check("a: [").unwrap_err().starts_with("line "), "{:?}", check("a: ["));
    }
}
