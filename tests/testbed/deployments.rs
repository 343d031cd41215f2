//! Deployments as tests make them, and waiting for their pods.

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};

use super::wait::wait_until;

/// A manifest whose pods have one container, named like the Deployment. It ends within the pods' `spec`, so that more
/// fields of it may follow; `pod_metadata` is a line of the pods' metadata, such as `annotations: {a: b}`.
#[must_use]
pub fn manifest(name: &str, replicas: u32, pod_metadata: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata:
      labels: {{app: {name}}}
      {pod_metadata}
    spec:
      containers:
      - name: {name}
        image: registry.example/testbed:1
        resources:
          requests: {{cpu: 500m, memory: 256Mi}}
          limits: {{cpu: 500m, memory: 512Mi}}
"
    )
}

/// Waits until exactly this many pods of a Deployment are Ready.
pub async fn wait_for_ready(client: &Client, namespace: &str, name: &str, replicas: i32) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let what = format!("{replicas} pods of {namespace}/{name} are Ready");
    wait_until(&what, super::READY_WITHIN, async || {
        let status = deployments.get(name).await?.status.unwrap_or_default();
        ensure!(status.ready_replicas.unwrap_or_default() == replicas, "the status is {status:?}");
        Ok(())
    })
    .await
}

/// Sets the number of replicas as `kubectl scale` does, under this field manager.
pub async fn scale(client: &Client, namespace: &str, name: &str, replicas: i32, field_manager: &str) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let patch = serde_json::json!({"spec": {"replicas": replicas}});
    let parameters = PatchParams { field_manager: Some(field_manager.to_owned()), ..Default::default() };
    deployments.patch_scale(name, &parameters, &Patch::Merge(&patch)).await?;
    Ok(())
}
