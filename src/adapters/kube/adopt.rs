//! The first hand-over of `spec.replicas`, without a jump in the count.
//!
//! 1. `ipa-actuator` applies the present count on `/scale`, by force: now it owns the field, perhaps beside others.
//! 2. The field is taken out of the other managers' `managedFields`, and out of kubectl's last-applied annotation, so that the next `kubectl apply` of
//!    a manifest without `replicas` leaves the count alone instead of resetting it to 1 (what the hand-over in Kubernetes' documentation on
//!    server-side apply warns of). A manifest that still says `replicas` conflicts by name under server-side apply; client-side apply knows no
//!    conflicts, writes it, and shows as `Conflicted` in status.
//!
//! A field that a controller writes (HPA, KEDA, Argo CD, Flux, Helm) is not adopted: it would be written again. The answer says what to change.

use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Client, ResourceExt as _};
use serde_json::{Map, Value, json};

use super::autoscalers::LeanAutoscaler;
use super::dynamic::Kinds;
use super::meta::count;
use super::owners::writers;
use crate::domain::names::TargetKey;
use crate::domain::workload::{FieldWriter, OwnedField, WriteOperation};
use crate::guardrails::ownership::ACTUATOR;

/// kubectl's record of what was applied client-side.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Who changes that record: its owner's name, or kubectl would find a stranger's annotation.
const ANNOTATION_OWNER: &str = "kubectl-client-side-apply";
/// How long to wait, try after try, when the object moves meanwhile: a rollout writes status many times a second.
const WAITS: [Duration; 7] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
    Duration::from_millis(3_200),
];

/// What an adoption found and did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Adoption {
    /// The target.
    pub target: TargetKey,
    /// Its replicas, before and after.
    pub replicas: u32,
    /// Who owned `spec.replicas` before.
    pub owners: Vec<FieldWriter>,
    /// Whether anything was (or, in a rehearsal, would be) changed.
    pub changed: bool,
    /// What a person should still do, in sentences.
    pub notes: Vec<String>,
}

/// Why a target was not adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// There is no such object, or its kind has no `/scale`.
    #[error("there is no {0} with a /scale: check namespace, kind and name")]
    NotFound(TargetKey),
    /// A controller owns the field.
    #[error("{target} is not adopted: {owner} writes its replicas. {advice}")]
    Refused {
        /// The target.
        target: TargetKey,
        /// Who owns the field.
        owner: String,
        /// What to change first.
        advice: String,
    },
    /// Others kept changing the object.
    #[error("{0} kept changing while it was adopted; nothing jumped, run `ipa adopt` again")]
    Moved(TargetKey),
    /// The API server refused or did not answer.
    #[error("failed to {action} {target}: {detail}")]
    Api {
        /// What was tried.
        action: &'static str,
        /// The target.
        target: TargetKey,
        /// What the server said.
        detail: String,
    },
}

/// Hands `spec.replicas` of a target over to IPA at its present value; with `rehearse`, only says what would be done.
///
/// # Errors
/// [`AdoptError`], one line with the mend.
pub async fn adopt(client: &Client, target: &TargetKey, rehearse: bool) -> Result<Adoption, AdoptError> {
    let failed = |action: &'static str| {
        move |error: kube::Error| match error {
            kube::Error::Api(status) if status.code == 404 => AdoptError::NotFound(target.clone()),
            kube::Error::Api(status) if status.code == 409 => AdoptError::Moved(target.clone()),
            other => AdoptError::Api { action, target: target.clone(), detail: other.to_string() },
        }
    };
    let kinds = Kinds::new(client.clone());
    let kind = kinds.of(target).await.map_err(failed("look up"))?.ok_or_else(|| AdoptError::NotFound(target.clone()))?;
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), &target.namespace, &kind);
    let object = api.get(&target.name).await.map_err(failed("read"))?;
    let scale = api.get_scale(&target.name).await.map_err(failed("read"))?;
    let replicas = count(scale.spec.as_ref().and_then(|s| s.replicas), 0);

    let owners: Vec<FieldWriter> = writers(&object.metadata).into_iter().filter(|w| w.field == OwnedField::Replicas).collect();
    if let Some(name) = autoscaler_of(client, target, &kind.kind).await.map_err(failed("look for autoscalers of"))? {
        let advice = "Set `actuation: HPABounds` and leave the reflex to it, or delete it and run `ipa adopt` again.".into();
        return Err(AdoptError::Refused { target: target.clone(), owner: format!("the HorizontalPodAutoscaler {name}"), advice });
    }
    if let Some((owner, advice)) = owners.iter().find_map(|w| refusal(&w.manager, target, &kind.kind).map(|advice| (w, advice))) {
        return Err(AdoptError::Refused { target: target.clone(), owner: owner.manager.to_string(), advice });
    }

    let ours = |w: &FieldWriter| &*w.manager == ACTUATOR && w.operation == WriteOperation::Apply;
    let applied_record = last_applied_without_replicas(&object);
    let changed = !owners.iter().any(ours) || owners.iter().any(|w| !ours(w)) || applied_record.is_some();
    let adoption = Adoption { target: target.clone(), replicas, notes: notes(&owners, applied_record.is_some()), owners, changed };
    if !changed || rehearse {
        return Ok(adoption);
    }

    let replicas = until_it_rests(|| take_over(&api, target)).await.map_err(failed("apply the replicas of"))?;
    until_it_rests(|| release_others(&api, target)).await.map_err(failed("release the former owner of"))?;
    Ok(Adoption { replicas, ..adoption })
}

/// Tries again, later and later, while the object changes between a read and the write that stands on it.
async fn until_it_rests<T, F: Future<Output = Result<T, kube::Error>>>(attempt: impl Fn() -> F) -> Result<T, kube::Error> {
    for wait in WAITS {
        match attempt().await {
            Err(kube::Error::Api(status)) if status.code == 409 => tokio::time::sleep(wait).await,
            done => return done,
        }
    }
    attempt().await
}

/// Step 1; answers the count that was applied, which is the count there was.
async fn take_over(api: &Api<DynamicObject>, target: &TargetKey) -> Result<u32, kube::Error> {
    let scale = api.get_scale(&target.name).await?;
    let replicas = count(scale.spec.as_ref().and_then(|s| s.replicas), 0);
    let body = json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        // The version that was read goes with it: the count that is applied is the count there is.
        "metadata": {"name": &*target.name, "namespace": &*target.namespace, "resourceVersion": scale.metadata.resource_version},
        "spec": {"replicas": replicas},
    });
    api.patch_scale(&target.name, &PatchParams::apply(ACTUATOR).force(), &Patch::Apply(&body)).await?;
    Ok(replicas)
}

/// Step 2.
async fn release_others(api: &Api<DynamicObject>, target: &TargetKey) -> Result<(), kube::Error> {
    let object = api.get(&target.name).await?;
    let mut metadata = json!({
        "resourceVersion": object.resource_version(),
        "managedFields": without_replicas(object.managed_fields()),
    });
    if let Some(record) = last_applied_without_replicas(&object) {
        metadata["annotations"] = json!({LAST_APPLIED: record});
    }
    let params = PatchParams { field_manager: Some(ANNOTATION_OWNER.into()), ..PatchParams::default() };
    api.patch(&target.name, &params, &Patch::Merge(json!({"metadata": metadata}))).await.map(drop)
}

/// The name of an HPA that scales the target, whether it has written yet or not. KEDA makes one, too.
async fn autoscaler_of(client: &Client, target: &TargetKey, kind: &str) -> Result<Option<String>, kube::Error> {
    let hpas = Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), &target.namespace).list(&ListParams::default()).await?;
    let scales =
        |hpa: &HorizontalPodAutoscaler| LeanAutoscaler::from_hpa(hpa).is_some_and(|lean| lean.scales(&target.group, kind, &target.name));
    Ok(hpas.items.iter().find(|hpa| scales(hpa)).map(kube::ResourceExt::name_any))
}

/// What to change first, where a manager would write the field again.
fn refusal(manager: &str, target: &TargetKey, kind: &str) -> Option<String> {
    let (group, name) = (&target.group, &target.name);
    match manager {
        "keda-operator" | "keda" => Some("Delete its ScaledObject, then run `ipa adopt` again.".into()),
        "argocd-controller" | "argocd-application-controller" => Some(format!(
            "Add to the Application: ignoreDifferences: [{{group: {group}, kind: {kind}, name: {name}, jsonPointers: [/spec/replicas]}}] with the sync \
             option RespectIgnoreDifferences=true, take replicas out of the manifest, then run `ipa adopt` again."
        )),
        "kustomize-controller" | "helm-controller" => Some(format!(
            "Add to Flux's Kustomization: spec.ignore: [{{paths: [/spec/replicas], target: {{kind: {kind}, name: {name}}}}}], or take replicas out of the \
             manifest, then run `ipa adopt` again."
        )),
        "helm" | "Helm" => {
            Some("Take replicas out of the chart's template or values, upgrade the release, then run `ipa adopt` again.".into())
        }
        _ => None,
    }
}

fn notes(owners: &[FieldWriter], client_side: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if client_side || owners.iter().any(|w| &*w.manager == ANNOTATION_OWNER) {
        notes.push(
            "take `replicas` out of the manifest before the next `kubectl apply`: client-side apply would write it without asking"
                .to_owned(),
        );
    }
    if owners.iter().any(|w| w.operation == WriteOperation::Apply && &*w.manager != ACTUATOR) {
        notes.push("take `replicas` out of the manifest: the next server-side apply that names it conflicts with ipa-actuator".to_owned());
    }
    notes
}

/// The managed fields with `spec.replicas` left to us alone; entries that own nothing any more are gone.
fn without_replicas(entries: &[ManagedFieldsEntry]) -> Vec<ManagedFieldsEntry> {
    entries
        .iter()
        .filter_map(|entry| {
            let mut entry = entry.clone();
            if entry.manager.as_deref() == Some(ACTUATOR) && entry.operation.as_deref() == Some("Apply") {
                return Some(entry);
            }
            let Some(fields) = entry.fields_v1.as_mut().and_then(|f| f.0.as_object_mut()) else { return Some(entry) };
            let Some(spec) = fields.get_mut("f:spec").and_then(Value::as_object_mut) else { return Some(entry) };
            if spec.remove("f:replicas").is_none() {
                return Some(entry);
            }
            if spec.is_empty() {
                fields.remove("f:spec");
            }
            (!fields.is_empty()).then_some(entry)
        })
        .collect()
}

/// kubectl's record without `spec.replicas`; `None` when there is no record or it has none.
fn last_applied_without_replicas(object: &DynamicObject) -> Option<String> {
    let record = object.annotations().get(LAST_APPLIED)?;
    let mut record: Map<String, Value> = serde_json::from_str(record).ok()?;
    record.get_mut("spec")?.as_object_mut()?.remove("replicas")?;
    let mut text = Value::Object(record).to_string();
    // As kubectl writes it, with a line's end.
    text.push('\n');
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_replicas_leave_the_managed_fields_and_only_from_others() {
        let entries: Vec<ManagedFieldsEntry> = serde_json::from_value(json!([
            {"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {}}}},
            {"manager": "kubectl", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "ipa-actuator", "operation": "Apply", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {"f:replicas": {}}}},
            {"manager": "odd"}
        ]))
        .unwrap();
        let left = serde_json::to_value(without_replicas(&entries)).unwrap();
        let short: Vec<(&str, &Value)> =
            left.as_array().unwrap().iter().map(|e| (e["manager"].as_str().unwrap(), &e["fieldsV1"])).collect();
        assert_eq!(
            short,
            vec![
                ("kubectl-client-side-apply", &json!({"f:spec": {"f:template": {}}})),
                ("ipa-actuator", &json!({"f:spec": {"f:replicas": {}}})),
                ("kube-controller-manager", &json!({"f:status": {"f:replicas": {}}})),
                ("odd", &Value::Null),
            ]
        );
    }

    #[test]
    fn the_last_applied_record_forgets_replicas_alone() {
        let object = |record: &str| -> DynamicObject {
            serde_json::from_value(json!({"metadata": {"name": "web", "annotations": {LAST_APPLIED: record}}})).unwrap()
        };
        assert_eq!(
            last_applied_without_replicas(&object(r#"{"kind":"Deployment","spec":{"replicas":3,"template":{}}}"#)).as_deref(),
            Some("{\"kind\":\"Deployment\",\"spec\":{\"template\":{}}}\n")
        );
        for nothing in [r#"{"spec":{}}"#, r#"{"kind":"X"}"#, "not json", "[]"] {
            assert_eq!(last_applied_without_replicas(&object(nothing)), None, "{nothing}");
        }
    }

    #[test]
    fn controllers_are_refused_by_name_with_what_to_change() {
        let target = TargetKey::deployment("shop", "web");
        for (manager, word) in [
            ("argocd-controller", "jsonPointers: [/spec/replicas]"),
            ("kustomize-controller", "target: {kind: Deployment, name: web}"),
            ("helm", "chart"),
            ("keda-operator", "ScaledObject"),
        ] {
            assert!(refusal(manager, &target, "Deployment").unwrap().contains(word), "{manager}");
        }
        assert_eq!(refusal("kubectl-client-side-apply", &target, "Deployment"), None);
    }
}
