//! The ownership table, a test a row, each owner made by the request that its program sends.

use anyhow::{Result, ensure};
use ipa::domain::outcome::OutcomeResult;
use ipa::domain::units::GoDuration;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::{create, deployment, place, replica_owners, replicas_of, scale};

const NO_HOLD: GoDuration = GoDuration::from_mins(0);
const HOLD: GoDuration = GoDuration::from_mins(15);

/// How a row's owner writes.
#[derive(Clone, Copy)]
enum By {
    /// Creates the object.
    Create(&'static str),
    /// Server-side apply of the whole manifest.
    Apply(&'static str),
    /// A patch of the object, after another made it without a count of its own.
    Patch(&'static str),
    /// A patch of `/scale`, after another made it.
    Scale(&'static str),
}

async fn owned(client: &Client, namespace: &str, by: By) -> Result<()> {
    let api = Api::<Deployment>::namespaced(client.clone(), namespace);
    let params = |manager: &str| PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
    let three = Patch::Merge(json!({"spec": {"replicas": 3}}));
    match by {
        By::Create(manager) => {
            create(client, namespace, &deployment("web", Some(3)), manager).await?;
        }
        By::Apply(manager) => {
            api.patch("web", &PatchParams::apply(manager), &Patch::Apply(deployment("web", Some(3)))).await?;
        }
        By::Patch(manager) => {
            create(client, namespace, &deployment("web", None), "kubectl-create").await?;
            api.patch("web", &params(manager), &three).await?;
        }
        By::Scale(manager) => {
            create(client, namespace, &deployment("web", None), "kubectl-create").await?;
            api.patch_scale("web", &params(manager), &three).await?;
        }
    }
    Ok(())
}

async fn taken_over(by: By, hold: GoDuration) -> Result<()> {
    let (client, namespace) = place().await?;
    owned(&client, &namespace, by).await?;
    let result = scale(&client, &namespace, "web", 5, hold).await?;
    ensure!(result.is_applied(), "{result:?}");
    let after = Api::<Deployment>::namespaced(client, &namespace).get("web").await?;
    ensure!(replicas_of(&after) == 5, "the count is {}", replicas_of(&after));
    ensure!(replica_owners(&after) == ["ipa-actuator Apply scale"], "{:?}", replica_owners(&after));
    Ok(())
}

async fn left_alone(by: By, manager: &str, advice: &str) -> Result<()> {
    let (client, namespace) = place().await?;
    owned(&client, &namespace, by).await?;
    let api = Api::<Deployment>::namespaced(client.clone(), &namespace);
    let before = api.get("web").await?;
    match scale(&client, &namespace, "web", 5, HOLD).await? {
        OutcomeResult::Conflicted { manager: found, advice: text } => {
            ensure!(*found == *manager && text.contains(advice), "{found}: {text}");
        }
        other => anyhow::bail!("{other:?}"),
    }
    let after = api.get("web").await?;
    ensure!(replicas_of(&after) == 3 && replica_owners(&after) == replica_owners(&before), "{:?}", replica_owners(&after));
    Ok(())
}

#[tokio::test]
async fn kubectl_apply_on_the_client_is_left_alone() -> Result<()> {
    left_alone(By::Create("kubectl-client-side-apply"), "kubectl-client-side-apply", "ipa adopt").await
}

#[tokio::test]
async fn kubectl_apply_on_the_server_is_left_alone() -> Result<()> {
    left_alone(By::Apply("kubectl"), "kubectl", "ipa adopt").await
}

#[tokio::test]
async fn a_pipelines_own_apply_is_left_alone() -> Result<()> {
    left_alone(By::Apply("deploy-bot"), "deploy-bot", "ipa adopt").await
}

#[tokio::test]
async fn argo_cd_is_left_alone() -> Result<()> {
    left_alone(By::Apply("argocd-controller"), "argocd-controller", "Argo CD").await
}

#[tokio::test]
async fn flux_is_left_alone() -> Result<()> {
    left_alone(By::Apply("kustomize-controller"), "kustomize-controller", "Flux").await
}

#[tokio::test]
async fn helm_is_left_alone() -> Result<()> {
    left_alone(By::Create("helm"), "helm", "Helm").await
}

#[tokio::test]
async fn an_hpa_is_left_alone() -> Result<()> {
    left_alone(By::Scale("kube-controller-manager"), "kube-controller-manager", "HPABounds").await
}

#[tokio::test]
async fn keda_is_left_alone() -> Result<()> {
    left_alone(By::Scale("keda-operator"), "keda-operator", "KEDA").await
}

#[tokio::test]
async fn an_unknown_writer_is_left_alone() -> Result<()> {
    left_alone(By::Patch("homemade-scaler"), "homemade-scaler", "ipa adopt").await
}

#[tokio::test]
async fn a_recent_kubectl_scale_is_held() -> Result<()> {
    left_alone(By::Scale("kubectl"), "kubectl", "humanHold").await
}

#[tokio::test]
async fn a_recent_kubectl_edit_is_held() -> Result<()> {
    left_alone(By::Patch("kubectl-edit"), "kubectl-edit", "humanHold").await
}

#[tokio::test]
async fn an_old_kubectl_scale_is_taken_over() -> Result<()> {
    taken_over(By::Scale("kubectl"), NO_HOLD).await
}

#[tokio::test]
async fn an_old_kubectl_edit_is_taken_over() -> Result<()> {
    taken_over(By::Patch("kubectl-edit"), NO_HOLD).await
}

#[tokio::test]
async fn an_old_kubectl_patch_is_taken_over() -> Result<()> {
    taken_over(By::Patch("kubectl-patch"), NO_HOLD).await
}

#[tokio::test]
async fn an_old_kubectl_create_is_taken_over() -> Result<()> {
    taken_over(By::Create("kubectl-create"), NO_HOLD).await
}

#[tokio::test]
async fn the_takeover_annotation_ends_a_persons_hold() -> Result<()> {
    let (client, namespace) = place().await?;
    owned(&client, &namespace, By::Scale("kubectl")).await?;
    let api = Api::<Deployment>::namespaced(client.clone(), &namespace);
    let annotate = Patch::Merge(json!({"metadata": {"annotations": {"ipa.dev/takeover": "true"}}}));
    api.patch("web", &PatchParams::default(), &annotate).await?;
    let result = scale(&client, &namespace, "web", 5, HOLD).await?;
    ensure!(result.is_applied(), "{result:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_ours_is_scaled_again_and_again() -> Result<()> {
    let (client, namespace) = place().await?;
    create(&client, &namespace, &deployment("web", None), "kubectl-create").await?;
    for replicas in [4, 6, 3] {
        let result = scale(&client, &namespace, "web", replicas, NO_HOLD).await?;
        ensure!(result.is_applied(), "{replicas}: {result:?}");
    }
    // A person steps in, and is respected.
    let api = Api::<Deployment>::namespaced(client.clone(), &namespace);
    let params = PatchParams { field_manager: Some("kubectl".into()), ..PatchParams::default() };
    api.patch_scale("web", &params, &Patch::Merge(json!({"spec": {"replicas": 9}}))).await?;
    let result = scale(&client, &namespace, "web", 4, HOLD).await?;
    ensure!(matches!(result, OutcomeResult::Conflicted { .. }), "{result:?}");
    ensure!(replicas_of(&api.get("web").await?) == 9);
    Ok(())
}
