//! Manifests to objects, by server-side apply, as `kubectl apply --server-side` does it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use kube::{Client, ResourceExt};

use super::wait::wait_until;

/// Applies every document of a YAML text in order. Namespaced objects that name no namespace go to `namespace`.
/// A CRD is waited for, so that its objects may follow in the same text.
pub async fn apply_yaml(client: &Client, yaml: &str, namespace: Option<&str>, field_manager: &str) -> Result<Vec<DynamicObject>> {
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(yaml).context("failed to read the manifest as YAML")?;
    let mut applied = Vec::new();
    for document in documents.into_iter().filter(|value| !value.is_null()) {
        let object: DynamicObject =
            serde_json::from_value(document).context("failed to read a document of the manifest as a Kubernetes object")?;
        applied.push(apply(client, object, namespace, field_manager).await?);
    }
    Ok(applied)
}

/// Applies every document of a YAML file: [`apply_yaml`].
pub async fn apply_file(client: &Client, path: &Path, namespace: Option<&str>, field_manager: &str) -> Result<Vec<DynamicObject>> {
    let yaml = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    apply_yaml(client, &yaml, namespace, field_manager).await.with_context(|| format!("failed to apply {}", path.display()))
}

async fn apply(client: &Client, mut object: DynamicObject, namespace: Option<&str>, field_manager: &str) -> Result<DynamicObject> {
    let types = object.types.as_ref().context("an object of the manifest has no apiVersion and kind")?;
    let kind = GroupVersionKind::try_from(types)?;
    let name = object.name_any();
    let (resource, capabilities) =
        discovery::pinned_kind(client, &kind).await.with_context(|| format!("the API server does not know {} {name}", kind.kind))?;
    let api: Api<DynamicObject> = if capabilities.scope == Scope::Namespaced {
        let place = object
            .namespace()
            .or_else(|| namespace.map(str::to_owned))
            .with_context(|| format!("{} {name} names no namespace", kind.kind))?;
        Api::namespaced_with(client.clone(), &place, &resource)
    } else {
        Api::all_with(client.clone(), &resource)
    };
    // A manifest that was read from a server once may carry them; apply refuses them.
    object.metadata.managed_fields = None;
    let applied = api
        .patch(&name, &PatchParams::apply(field_manager), &Patch::Apply(&object))
        .await
        .with_context(|| format!("failed to apply {} {name}", kind.kind))?;
    if kind.kind == "CustomResourceDefinition" {
        wait_for_definition(client, &name).await?;
    }
    Ok(applied)
}

async fn wait_for_definition(client: &Client, name: &str) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let what = format!("the API server serves {name}");
    wait_until(&what, Duration::from_secs(30), async || {
        let conditions = definitions.get(name).await?.status.and_then(|status| status.conditions).unwrap_or_default();
        let established = conditions.iter().any(|condition| condition.type_ == "Established" && condition.status == "True");
        ensure!(established, "its conditions are {conditions:?}");
        Ok(())
    })
    .await
}
