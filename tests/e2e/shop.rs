//! One team's namespace: a Deployment behind a Service and an Ingress, under load, with IPA's limits and resource.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use ipa::crd::autoscaler::IntelligentPodAutoscalerStatus;
use ipa::crd::condition::{ConditionStatus, ConditionValue};
use ipa::crd::{IntelligentPodAutoscaler, ScalingProposal};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::{Ran, ipa};
use crate::testbed::Testbed;
use crate::testbed::apply::apply_yaml;
use crate::testbed::deployments;
use crate::testbed::exporter::load::Load;
use crate::testbed::exporter::{Exporter, Workload};

/// The Deployment, its Service, its Ingress and the resource that scales it.
pub const NAME: &str = "web";
/// Replicas before anything happens.
pub const BEFORE: i32 = 2;
/// What two replicas of 50 requests a second each bear.
pub const CALM: f64 = 60.0;
/// What needs six of them and more.
pub const RUSH: f64 = 300.0;
/// Fewer cannot bear the rush.
pub const NEEDED: i32 = 7;
/// Most replicas: far above what is needed, so that the load decides.
pub const LIMIT: i32 = 30;

/// The team's applier.
const TEAM: &str = "kubectl";

/// A namespace with its workload.
pub struct Shop {
    pub namespace: String,
    pub client: Client,
    kubeconfig: String,
    exporter: Exporter,
}

impl Shop {
    /// Makes the namespace and waits until its pods serve.
    pub async fn open(testbed: &Testbed, load: &Load) -> Result<Self> {
        let client = testbed.client()?;
        let namespace = testbed.namespace().await?;
        let routes = format!(
            "
---
apiVersion: v1
kind: Service
metadata: {{name: {NAME}}}
spec:
  selector: {{app: {NAME}}}
  ports: [{{port: 80}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {NAME}}}
spec:
  rules:
  - host: {NAME}.example
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: {NAME}, port: {{number: 80}}}}}}}}]}}
"
        );
        let replicas = BEFORE.unsigned_abs();
        let manifest = deployments::manifest(NAME, replicas, "") + &routes;
        apply_yaml(&client, &manifest, Some(&namespace), TEAM).await?;
        deployments::wait_for_ready(&client, &namespace, NAME, BEFORE).await?;
        let exporter = Exporter::start(client.clone(), vec![Workload::new(&namespace, NAME, load.clone())]).await?;
        let kubeconfig = testbed.kubeconfig_path().display().to_string();
        Ok(Self { namespace, client, kubeconfig, exporter })
    }

    /// What Prometheus scrapes.
    pub fn exporter_address(&self) -> SocketAddr {
        self.exporter.address()
    }

    /// From now on this many requests a second arrive.
    pub fn set_load(&self, requests_per_second: f64) {
        self.exporter.set_load(NAME, &Load::Constant(requests_per_second));
    }

    /// Sets the platform's limits and the team's resource. `extra` is more of the resource's spec.
    pub async fn enrol(&self, mode: &str, extra: &str) -> Result<()> {
        let manifest = format!(
            "
apiVersion: ipa.dev/v1alpha1
kind: ScalingGuardrail
metadata: {{name: default}}
spec:
  highestMode: {mode}
  costBudget: {{perHour: '100.00'}}
  targets:
  - {{name: {NAME}, min: 1, max: {LIMIT}, maxStepUp: {LIMIT}, maxStepDown: {LIMIT}}}
---
apiVersion: ipa.dev/v1alpha1
kind: IntelligentPodAutoscaler
metadata: {{name: {NAME}}}
spec:
  targets:
  - {{ref: {{name: {NAME}}}, min: {BEFORE}, max: {LIMIT}, capacityPerReplica: '50'}}
  mode: {{scaleUp: {mode}, scaleDown: Observe}}
  {extra}
"
        );
        apply_yaml(&self.client, &manifest, Some(&self.namespace), TEAM).await?;
        Ok(())
    }

    /// A subcommand as the administrator.
    pub async fn as_administrator(&self, command: &[&str]) -> Result<Ran> {
        ipa(command.iter().copied().chain(["--kubeconfig", &self.kubeconfig])).await
    }

    /// Hands the replicas over, as the README says to do first.
    pub async fn adopt(&self) -> Result<()> {
        let target = format!("{}/{NAME}", self.namespace);
        let adopted = self.as_administrator(&["adopt", &target]).await?;
        ensure!(adopted.code == Some(0), "{}{}", adopted.stdout, adopted.stderr);
        ensure!(adopted.stdout.contains("is handed over"), "{}", adopted.stdout);
        ensure!(replicas(&self.deployment().await?) == BEFORE, "the hand-over moved the count");
        Ok(())
    }

    /// The workload now.
    pub async fn deployment(&self) -> Result<Deployment> {
        Ok(Api::namespaced(self.client.clone(), &self.namespace).get(NAME).await?)
    }

    /// The team's resource now.
    pub async fn autoscaler(&self) -> Result<IntelligentPodAutoscaler> {
        Ok(Api::namespaced(self.client.clone(), &self.namespace).get(NAME).await?)
    }

    /// What IPA says of it.
    pub async fn status(&self) -> Result<IntelligentPodAutoscalerStatus> {
        self.autoscaler().await?.status.context("it has no status yet")
    }

    /// Where its Ready pods run.
    pub async fn nodes_of_pods(&self) -> Result<Vec<String>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let is_ready = |pod: &Pod| {
            let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
            conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        };
        let ready = pods.list(&ListParams::default()).await?.items.into_iter().filter(is_ready);
        Ok(ready.filter_map(|pod| pod.spec.and_then(|spec| spec.node_name)).collect())
    }

    /// Proposals of this namespace.
    pub async fn proposals(&self) -> Result<Vec<ScalingProposal>> {
        Ok(Api::namespaced(self.client.clone(), &self.namespace).list(&ListParams::default()).await?.items)
    }

    /// IPA's events of this namespace: the reasons of each object that they are about, by kind.
    pub async fn events(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in events.list(&ListParams::default()).await?.items {
            if event.reporting_controller.as_deref() == Some("ipa.dev/ipa") {
                let about = event.regarding.and_then(|regarding| regarding.kind).unwrap_or_default();
                found.entry(about).or_default().push(event.reason.unwrap_or_default());
            }
        }
        Ok(found)
    }
}

/// `spec.replicas`.
pub fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// Pods that are Ready.
pub fn ready(deployment: &Deployment) -> i32 {
    deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0)
}

/// `manager operation subresource` of every owner of `spec.replicas`.
pub fn owners_of_replicas(deployment: &Deployment) -> Vec<String> {
    let owns = |fields: &serde_json::Value| fields.pointer("/f:spec/f:replicas").is_some();
    let entries = deployment.managed_fields().iter().filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| owns(&fields.0)));
    entries
        .map(|entry| [&entry.manager, &entry.operation, &entry.subresource].map(|word| word.clone().unwrap_or_default()).join(" "))
        .collect()
}

/// One condition of a status.
pub fn condition<'a>(status: &'a IntelligentPodAutoscalerStatus, kind: &str) -> Result<&'a ConditionStatus> {
    status.conditions.iter().find(|condition| condition.kind == kind).with_context(|| format!("{kind} is not set: {status:?}"))
}

/// Fails unless a condition has this status.
pub fn ensure_condition(status: &IntelligentPodAutoscalerStatus, kind: &str, value: ConditionValue) -> Result<()> {
    let condition = condition(status, kind)?;
    ensure!(condition.status == value, "{condition:?}");
    Ok(())
}
