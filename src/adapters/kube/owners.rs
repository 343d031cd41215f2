//! `managedFields` read for one question: who owns `spec.replicas` and each container's resources. Everything else in them is dropped.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::Value;

use super::meta;
use crate::domain::workload::{FieldWriter, OwnedField, WriteOperation};

/// Longest manager name that is kept; the API server allows no longer one.
const MANAGER_LENGTH: usize = 128;

/// Writers of the fields IPA would write, in the order of `managedFields`.
pub fn writers(object: &ObjectMeta) -> Vec<FieldWriter> {
    object.managed_fields.iter().flatten().flat_map(entry_writers).collect()
}

fn entry_writers(entry: &ManagedFieldsEntry) -> Vec<FieldWriter> {
    let Some(fields) = entry.fields_v1.as_ref().map(|f| &f.0) else { return Vec::new() };
    owned(fields)
        .into_iter()
        .map(|field| FieldWriter {
            manager: entry.manager.as_deref().unwrap_or_default().chars().take(MANAGER_LENGTH).collect::<String>().into(),
            operation: if entry.operation.as_deref() == Some("Apply") { WriteOperation::Apply } else { WriteOperation::Update },
            subresource: entry.subresource.as_deref().filter(|s| !s.is_empty()).map(Into::into),
            field,
            at: entry.time.as_ref().map(meta::time),
        })
        .collect()
}

/// The fields of interest in one entry's `fieldsV1`.
fn owned(fields: &Value) -> Vec<OwnedField> {
    let Some(spec) = fields.get("f:spec") else { return Vec::new() };
    let mut owned = Vec::new();
    if spec.get("f:replicas").is_some() {
        owned.push(OwnedField::Replicas);
    }
    let containers = spec.pointer("/f:template/f:spec/f:containers").and_then(Value::as_object);
    for (key, container) in containers.into_iter().flatten() {
        if let Some(name) = container_name(key).filter(|_| owns_resources(container)) {
            owned.push(OwnedField::Resources { container: name });
        }
    }
    owned
}

/// `k:{"name":"app"}` names the container `app`.
fn container_name(key: &str) -> Option<Arc<str>> {
    let key: Value = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
    Some(key.get("name")?.as_str()?.into())
}

/// Whether an entry owns requests or limits. kubectl writes an empty `resources: {}` too, which nobody would miss: only amounts count.
fn owns_resources(container: &Value) -> bool {
    let Some(resources) = container.get("f:resources") else { return false };
    ["f:requests", "f:limits"].iter().any(|list| {
        resources
            .get(list)
            .and_then(Value::as_object)
            .is_some_and(|amounts| amounts.contains_key("f:cpu") || amounts.contains_key("f:memory"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(entries: &Value) -> Vec<FieldWriter> {
        writers(&serde_json::from_value(json!({"managedFields": entries})).unwrap())
    }

    #[test]
    fn replicas_and_resources_are_found_with_manager_operation_and_subresource() {
        let writers = read(&json!([
            {"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-03-01T10:00:00Z",
             "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {}}, "f:spec": {"f:replicas": {},
                "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:image": {},
                    "f:resources": {".": {}, "f:requests": {".": {}, "f:cpu": {}}}},
                    "k:{\"name\":\"side\"}": {"f:resources": {}}}}}}}},
            {"manager": "ipa-actuator", "operation": "Apply", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {"f:replicas": {}}}}
        ]));
        let kubectl = |field| FieldWriter {
            manager: "kubectl-client-side-apply".into(),
            operation: WriteOperation::Update,
            subresource: None,
            field,
            at: Some("2026-03-01T10:00:00Z".parse().unwrap()),
        };
        assert_eq!(
            writers,
            vec![
                kubectl(OwnedField::Replicas),
                kubectl(OwnedField::Resources { container: "app".into() }),
                FieldWriter {
                    manager: "ipa-actuator".into(),
                    operation: WriteOperation::Apply,
                    subresource: Some("scale".into()),
                    field: OwnedField::Replicas,
                    at: None,
                },
            ]
        );
    }

    #[test]
    fn fault_k11_managed_fields_that_make_no_sense_own_nothing() {
        for fields in [
            json!(null),
            json!([]),
            json!("x"),
            json!({"f:spec": []}),
            json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{": {"f:resources": {"f:limits": {"f:cpu": {}}}}}}}}}),
        ] {
            assert_eq!(read(&json!([{"manager": "m", "fieldsV1": fields}])), vec![], "{fields}");
        }
        let huge = read(&json!([{"manager": "m".repeat(100_000), "fieldsV1": {"f:spec": {"f:replicas": {}}}}]));
        assert_eq!(huge[0].manager.len(), MANAGER_LENGTH);
    }
}
