//! `ipa adopt`: the count never jumps, IPA can scale afterwards, and the former owner neither resets the count nor overwrites it unseen.

use anyhow::{Context, Result, ensure};
use ipa::adapters::kube::{AdoptError, adopt};
use ipa::domain::names::TargetKey;
use ipa::domain::units::GoDuration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::{create, deployment, place, replica_owners, replicas_of, scale};

const HOLD: GoDuration = GoDuration::from_mins(15);
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// `kubectl apply` as kubectl does it: against its own record of the last time, fields that left the manifest are deleted.
async fn client_side_apply(client: &Client, namespace: &str, manifest: &Value) -> Result<Deployment> {
    let api = Api::<Deployment>::namespaced(client.clone(), namespace);
    let record = format!("{manifest}\n");
    let Some(present) = api.get_opt("web").await? else {
        let mut object = manifest.clone();
        object["metadata"]["annotations"] = json!({LAST_APPLIED: record});
        return create(client, namespace, &object, "kubectl-client-side-apply").await;
    };
    let last: Value = serde_json::from_str(present.annotations().get(LAST_APPLIED).context("never applied")?)?;
    let mut patch = manifest.clone();
    patch["metadata"]["annotations"] = json!({LAST_APPLIED: record});
    if last["spec"].get("replicas").is_some() && manifest["spec"].get("replicas").is_none() {
        patch["spec"]["replicas"] = Value::Null;
    }
    let params = PatchParams { field_manager: Some("kubectl-client-side-apply".into()), ..PatchParams::default() };
    Ok(api.patch("web", &params, &Patch::Strategic(patch)).await?)
}

#[tokio::test]
async fn a_deployment_that_kubectl_applied_is_handed_over_without_a_jump() -> Result<()> {
    let (client, namespace) = place().await?;
    let target = TargetKey::deployment(&namespace, "web");
    let before = client_side_apply(&client, &namespace, &deployment("web", Some(3))).await?;

    let rehearsal = adopt(&client, &target, true).await?;
    ensure!(rehearsal.changed && rehearsal.replicas == 3, "{rehearsal:?}");
    let api = Api::<Deployment>::namespaced(client.clone(), &namespace);
    ensure!(replica_owners(&api.get("web").await?) == ["kubectl-client-side-apply Update"], "a rehearsal changes nothing");

    let adoption = adopt(&client, &target, false).await?;
    ensure!(adoption.notes.iter().any(|n| n.contains("kubectl apply")), "{adoption:?}");
    let adopted = api.get("web").await?;
    ensure!(replicas_of(&adopted) == 3 && replica_owners(&adopted) == ["ipa-actuator Apply scale"], "{:?}", replica_owners(&adopted));
    ensure!(adopted.spec == before.spec, "nothing of the spec changes");

    ensure!(scale(&client, &namespace, "web", 5, HOLD).await?.is_applied());
    let applied = client_side_apply(&client, &namespace, &deployment("web", None)).await?;
    ensure!(replicas_of(&applied) == 5, "an apply without replicas reset the count to {}", replicas_of(&applied));
    ensure!(!adopt(&client, &target, false).await?.changed, "adopted once is adopted");
    Ok(())
}

#[tokio::test]
async fn without_adoption_the_same_apply_would_reset_the_count() -> Result<()> {
    let (client, namespace) = place().await?;
    client_side_apply(&client, &namespace, &deployment("web", Some(3))).await?;
    let applied = client_side_apply(&client, &namespace, &deployment("web", None)).await?;
    ensure!(replicas_of(&applied) == 1, "the danger that adoption guards against is gone: {}", replicas_of(&applied));
    Ok(())
}

#[tokio::test]
async fn a_server_side_apply_afterwards_leaves_the_count_or_conflicts_by_name() -> Result<()> {
    let (client, namespace) = place().await?;
    let api = Api::<Deployment>::namespaced(client.clone(), &namespace);
    let params = PatchParams::apply("kubectl");
    api.patch("web", &params, &Patch::Apply(deployment("web", Some(3)))).await?;
    adopt(&client, &TargetKey::deployment(&namespace, "web"), false).await?;
    ensure!(scale(&client, &namespace, "web", 5, HOLD).await?.is_applied());

    let applied = api.patch("web", &params, &Patch::Apply(deployment("web", None))).await?;
    ensure!(replicas_of(&applied) == 5, "an apply without replicas set the count to {}", replicas_of(&applied));
    match api.patch("web", &params, &Patch::Apply(deployment("web", Some(3)))).await {
        Err(kube::Error::Api(status)) if status.code == 409 => ensure!(status.message.contains("ipa-actuator"), "{}", status.message),
        other => anyhow::bail!("an apply with replicas did not conflict: {other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn what_a_controller_scales_is_not_adopted_and_says_what_to_change() -> Result<()> {
    let (client, namespace) = place().await?;
    let target = TargetKey::deployment(&namespace, "web");
    let api = Api::<Deployment>::namespaced(client.clone(), &namespace);
    api.patch("web", &PatchParams::apply("argocd-controller"), &Patch::Apply(deployment("web", Some(3)))).await?;
    match adopt(&client, &target, false).await {
        Err(AdoptError::Refused { owner, advice, .. }) => ensure!(owner == "argocd-controller" && advice.contains("ignoreDifferences")),
        other => anyhow::bail!("{other:?}"),
    }

    let hpa: HorizontalPodAutoscaler = serde_json::from_value(json!({"metadata": {"name": "web-hpa"}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 9}}))?;
    Api::namespaced(client.clone(), &namespace).create(&PostParams::default(), &hpa).await?;
    match adopt(&client, &target, false).await {
        Err(AdoptError::Refused { owner, advice, .. }) => {
            ensure!(owner.contains("web-hpa") && advice.contains("HPABounds"), "{owner}: {advice}");
        }
        other => anyhow::bail!("{other:?}"),
    }
    ensure!(replica_owners(&api.get("web").await?) == ["argocd-controller Apply"]);

    let missing = adopt(&client, &TargetKey::deployment(&namespace, "nothing"), false).await;
    ensure!(matches!(missing, Err(AdoptError::NotFound(_))), "{missing:?}");
    Ok(())
}
