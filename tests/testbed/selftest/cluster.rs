//! The control plane and its parts do what the real ones do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::api::{Api, ListParams, ObjectMeta, PostParams};

use super::super::Testbed;
use super::super::apply::apply_yaml;
use super::super::deployments;
use super::super::wait::wait_until;

const MANAGER: &str = "selftest";
const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_control_plane_answers_and_gives_each_test_a_namespace() -> Result<()> {
    let testbed = Testbed::builder().shared().await?;
    let version = testbed.client()?.apiserver_version().await?;
    assert_eq!(version.git_version, "v1.36.3");
    let (one, other) = (testbed.namespace().await?, testbed.namespace().await?);
    assert_ne!(one, other);
    Ok(())
}

#[tokio::test]
async fn a_service_account_may_do_what_its_roles_say_and_nothing_else() -> Result<()> {
    let testbed = Testbed::builder().shared().await?;
    let namespace = testbed.namespace().await?;
    let client = testbed.client_as(&namespace, "reader").await?;
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let refused = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.is_forbidden()), "{refused}");

    let role = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [''], resources: [configmaps], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader}]
";
    apply_yaml(&testbed.client()?, role, Some(&namespace), MANAGER).await?;
    // The authorizer learns of new roles by watching them.
    wait_until("the role is in force", SOON, async || Ok(maps.list(&ListParams::default()).await?)).await?;
    let map = ConfigMap { metadata: ObjectMeta { name: Some("map".to_owned()), ..Default::default() }, ..Default::default() };
    assert!(maps.create(&PostParams::default(), &map).await.is_err());
    Ok(())
}

#[tokio::test]
async fn twenty_pods_are_scheduled_and_ready_on_kwok_nodes() -> Result<()> {
    let testbed = Testbed::builder().controllers().scheduler().kwok(3).shared().await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    let start = Instant::now();
    apply_yaml(&client, &deployments::manifest("web", 20, ""), Some(&namespace), MANAGER).await?;
    deployments::wait_for_ready(&client, &namespace, "web", 20).await?;
    println!("twenty pods were Ready {:.1} s after apply", start.elapsed().as_secs_f64());

    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    for pod in pods.list(&ListParams::default()).await? {
        let node = pod.spec.and_then(|spec| spec.node_name).unwrap_or_default();
        assert!(node.starts_with("kwok-"), "a pod is on the node `{node}`");
    }
    Ok(())
}

#[tokio::test]
async fn a_pod_takes_the_startup_time_that_its_annotation_gives() -> Result<()> {
    let testbed = Testbed::builder().controllers().scheduler().kwok(3).shared().await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    let slow = deployments::manifest("slow", 1, "annotations: {ipa.dev/startup: 4s}");
    apply_yaml(&client, &slow, Some(&namespace), MANAGER).await?;
    deployments::wait_for_ready(&client, &namespace, "slow", 1).await?;

    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let pod = pods.list(&ListParams::default()).await?.items.remove(0);
    let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
    let since = |kind: &str| {
        conditions
            .iter()
            .find(|condition| condition.type_ == kind)
            .and_then(|condition| condition.last_transition_time.clone())
            .with_context(|| format!("the pod has no condition {kind}: {conditions:?}"))
    };
    let startup = since("Ready")?.0.duration_since(since("PodScheduled")?.0);
    // Both times are whole seconds.
    assert!(startup.as_secs() >= 3, "it took {startup:?}");
    Ok(())
}

#[tokio::test]
async fn karpenter_launches_a_node_for_a_pending_pod() -> Result<()> {
    let testbed = Testbed::builder().controllers().scheduler().kwok(0).karpenter().shared().await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    apply_yaml(&client, include_str!("../manifests/node-pool.yaml"), None, MANAGER).await?;
    let start = Instant::now();
    let pod_spec = "
      nodeSelector: {karpenter.sh/nodepool: default}
      tolerations: [{key: kwok-provider, operator: Exists}]";
    let burst = deployments::manifest("burst", 20, "") + pod_spec;
    apply_yaml(&client, &burst, Some(&namespace), MANAGER).await?;
    deployments::wait_for_ready(&client, &namespace, "burst", 20).await?;
    println!("twenty pods were Ready on Karpenter's nodes {:.1} s after apply", start.elapsed().as_secs_f64());

    let nodes: Api<Node> = Api::all(client);
    let of_karpenter = ListParams::default().labels("karpenter.sh/nodepool=default");
    assert!(!nodes.list(&of_karpenter).await?.items.is_empty());
    Ok(())
}
