//! The Kubernetes adapter against a real API server: what it reads, what it writes, under whose name, and what it leaves alone.

mod adopt;
mod observe;
mod ownership;
mod people;
mod pools;
mod resize;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use ipa::adapters::kube::{Known, KubeActuator, Lookout};
use ipa::domain::limits::{Fleet, GateLimits};
use ipa::domain::memory::{Commitments, Memory};
use ipa::domain::names::{GroupId, ProposalId, TargetKey, TickId};
use ipa::domain::outcome::OutcomeResult;
use ipa::domain::plan::Plan;
use ipa::domain::proposal::{Change, Origin, Proposal, ReplicasChange};
use ipa::domain::review::{Review, Verdict};
use ipa::domain::snapshot::{ClusterFacts, Snapshot, SourceHealth};
use ipa::domain::units::GoDuration;
use ipa::guardrails::{Released, release};
use ipa::ports::{Actuator, Lease};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::testbed::Testbed;
use crate::testbed::apply::apply_file;

const EPOCH: u64 = 1;

/// A client, and a namespace to itself.
async fn place() -> Result<(Client, String)> {
    let testbed = Testbed::builder().shared().await?;
    Ok((testbed.client()?, testbed.namespace().await?))
}

async fn install_definitions(client: &Client) -> Result<()> {
    let definitions = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/crds/ipa.dev.yaml");
    apply_file(client, &definitions, None, "crd-test").await?;
    Ok(())
}

fn deployment(name: &str, replicas: Option<u32>) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": "registry.example/testbed:1",
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}}]}
            }
        }
    });
    if let Some(replicas) = replicas {
        object["spec"]["replicas"] = replicas.into();
    }
    object
}

/// Creates a Deployment as `manager` would, with one of `kubectl create`'s kind of requests.
async fn create(client: &Client, namespace: &str, object: &Value, manager: &str) -> Result<Deployment> {
    let params = PostParams { field_manager: Some(manager.into()), ..PostParams::default() };
    let object: Deployment = serde_json::from_value(object.clone())?;
    Ok(Api::namespaced(client.clone(), namespace).create(&params, &object).await?)
}

struct Always;

#[async_trait::async_trait]
impl Lease for Always {
    async fn epoch(&self, _: Timestamp) -> Option<u64> {
        Some(EPOCH)
    }
}

struct Hold(GoDuration);

impl Lookout for Hold {
    fn known(&self, _: &TargetKey) -> Known {
        Known { human_hold: self.0, resource_version: None }
    }

    fn fleet(&self, _: &str) -> Option<Fleet> {
        None
    }
}

fn released(change: Change) -> Result<Released> {
    let at = Timestamp::now();
    let proposal = Proposal {
        id: ProposalId("t1-planner-1".into()),
        group: GroupId::new("shop", "web"),
        origin: Origin::Planner,
        change: change.clone(),
        rationale: String::new(),
        evidence: vec![],
        made: at,
        cost_change_per_hour: None,
    };
    let review = Review { proposal: proposal.id.clone(), verdict: Verdict::Admit, change: Some(change), rulings: vec![] };
    let snapshot = Snapshot {
        at,
        tick: TickId(1),
        cluster: "test".into(),
        facts: ClusterFacts::default(),
        signals: BTreeMap::new(),
        metrics_health: SourceHealth::Ok,
        catalogue: Arc::default(),
        limits: GateLimits::default(),
        outcomes: vec![],
        memory: Memory::default(),
        past: vec![],
    };
    release(&snapshot, &Plan::default(), &proposal, &review, EPOCH, &mut Commitments::default()).context("the review does not release")
}

/// Carries a change out with the real actuator.
async fn carry_out(client: &Client, change: Change, hold: GoDuration) -> Result<OutcomeResult> {
    let actuator = KubeActuator::new(client.clone(), Arc::new(Always), Arc::new(Hold(hold)));
    Ok(actuator.carry_out(released(change)?, Timestamp::now()).await.result)
}

async fn scale(client: &Client, namespace: &str, name: &str, to: u32, hold: GoDuration) -> Result<OutcomeResult> {
    let now = Api::<Deployment>::namespaced(client.clone(), namespace).get(name).await?;
    let change = ReplicasChange {
        target: TargetKey::deployment(namespace, name),
        uid: now.uid().unwrap_or_default().into(),
        from: u32::try_from(replicas_of(&now))?,
        to,
    };
    carry_out(client, Change::Replicas(change), hold).await
}

fn replicas_of(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1)
}

/// `manager operation subresource` of every owner of `spec.replicas`, sorted.
fn replica_owners(deployment: &Deployment) -> Vec<String> {
    let mut owners: Vec<String> = deployment
        .managed_fields()
        .iter()
        .filter(|f| f.fields_v1.as_ref().is_some_and(|v| v.0.pointer("/f:spec/f:replicas").is_some()))
        .map(|f| {
            let word = |text: &Option<String>| text.clone().unwrap_or_default();
            format!("{} {} {}", word(&f.manager), word(&f.operation), word(&f.subresource)).trim_end().to_owned()
        })
        .collect();
    owners.sort();
    owners
}
