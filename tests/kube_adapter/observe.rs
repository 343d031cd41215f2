//! What the watches make of real objects, and of a server that serves less than they wish.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ipa::adapters::kube::Watches;
use ipa::domain::names::{GroupId, TargetKey};
use ipa::domain::outcome::OutcomeResult;
use ipa::domain::proposal::{Change, ResourcesChange};
use ipa::domain::resize::Through;
use ipa::domain::snapshot::{ClusterFacts, EventReason};
use ipa::domain::units::{Bytes, GoDuration, Millicores};
use ipa::domain::workload::{AutoscalerKind, OwnedField, PodPhase, Rollout, Workload};
use ipa::ports::Cluster;
use jiff::Timestamp;
use kube::Client;

use super::{carry_out, install_definitions, scale};
use crate::testbed::Testbed;
use crate::testbed::apply::apply_yaml;
use crate::testbed::wait::wait_until;

const WITHIN: Duration = Duration::from_secs(90);

const SHOP: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: {ipa.dev/takeover: 'true', other/thing: x}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers:
      - {name: proxy, image: 'registry.example/proxy:1', restartPolicy: Always, resources: {requests: {cpu: 10m, memory: 16Mi}}}
      containers:
      - {name: app, image: 'registry.example/app:1', resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: elsewhere}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: web}, maxReplicas: 3}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota}
spec: {hard: {requests.cpu: '4', pods: '20'}}
---
apiVersion: ipa.dev/v1alpha1
kind: IntelligentPodAutoscaler
metadata: {name: shop}
spec:
  targets:
  - {ref: {name: web}, min: 1, max: 9}
  - {ref: {apiVersion: apps/v1, kind: ReplicaSet, name: bare}, min: 1, max: 9}
  - {ref: {name: missing}, min: 1, max: 9}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: bare}
spec:
  replicas: 1
  selector: {matchLabels: {app: bare}}
  template:
    metadata: {labels: {app: bare}}
    spec: {containers: [{name: app, image: 'registry.example/app:1', resources: {requests: {cpu: 20m}}}]}
";

const TWIN: &str = "
apiVersion: ipa.dev/v1alpha1
kind: IntelligentPodAutoscaler
metadata: {name: twin}
spec: {targets: [{ref: {name: web}, min: 1, max: 3}]}
";

async fn observed(watches: &Watches, target: &TargetKey, settled: impl Fn(&Workload) -> bool) -> Result<ClusterFacts> {
    wait_until(&format!("{target} is observed as it should be"), WITHIN, async || {
        let facts = watches.observe(Timestamp::now()).await?;
        let workload = facts.workloads.get(target).context("it is not observed at all")?;
        ensure!(settled(workload), "it is {workload:?}");
        Ok(facts)
    })
    .await
}

#[tokio::test]
async fn a_real_deployment_becomes_facts_and_a_write_shows_in_the_next_ones() -> Result<()> {
    let testbed = Testbed::builder().controllers().scheduler().kwok(1).shared().await?;
    let (client, namespace) = (testbed.client()?, testbed.namespace().await?);
    install_definitions(&client).await?;
    apply_yaml(&client, SHOP, Some(&namespace), "kubectl").await?;
    let watches = Watches::start(client.clone());
    let web = TargetKey::deployment(&namespace, "web");
    let facts = observed(&watches, &web, |w| w.replicas.ready == 2 && w.rollout == Rollout::Complete && w.pods.len() == 2).await?;

    let workload = &facts.workloads[&web];
    ensure!(workload.pods.iter().all(|p| p.phase == PodPhase::Ready && p.current_template && p.scheduled.is_some()), "{:?}", workload.pods);
    ensure!(workload.template.shape.requests.cpu == Millicores(110), "the sidecar counts: {:?}", workload.template.shape);
    ensure!(workload.template.containers[0].resources.memory_limit == Some(Bytes(128 << 20)));
    ensure!(workload.routes.services == ["web".into()] && workload.routes.ingresses == ["web".into()], "{:?}", workload.routes);
    ensure!(workload.disruption_budgets.len() == 1 && workload.disruption_budgets[0].min_available == Some(1));
    ensure!(workload.autoscalers.iter().all(|a| a.kind != AutoscalerKind::HPA), "that HPA scales another kind");
    ensure!(workload.annotations.len() == 1 && workload.annotations["takeover"] == "true");
    ensure!(workload.writers.iter().any(|w| &*w.manager == "kubectl" && w.field == OwnedField::Replicas), "{:?}", workload.writers);
    ensure!(facts.events.iter().any(|e| e.target == web && e.reason == EventReason::ScalingReplicaSet), "{:?}", facts.events);
    ensure!(facts.quotas[&*namespace][0].hard.pods == Some(20));
    let node = workload.pods[0].node.clone().context("not bound")?;
    let node = facts.nodes.iter().find(|n| n.name == node).context("its node is not observed")?;
    ensure!(node.usable() && node.requested.cpu >= Millicores(110) && node.requested.pods >= 1, "{node:?}");

    let bare = &facts.workloads[&TargetKey::new(&namespace, "apps", "replicasets", "bare")];
    ensure!(bare.replicas.desired == 1 && bare.pods.len() == 1, "a kind that is not watched is read by its scale: {bare:?}");
    ensure!(!facts.workloads.contains_key(&TargetKey::deployment(&namespace, "missing")));
    ensure!(facts.groups.contains_key(&GroupId::new(&namespace, "shop")));

    // The annotation waives nothing that a pipeline owns; take the count out of its hands first.
    ipa::adapters::kube::adopt(&client, &web, false).await?;
    ensure!(scale(&client, &namespace, "web", 3, GoDuration::from_mins(15)).await?.is_applied());
    let facts = observed(&watches, &web, |w| w.replicas.ready == 3).await?;
    let owners: Vec<_> = facts.workloads[&web].writers.iter().filter(|w| w.field == OwnedField::Replicas).collect();
    ensure!(owners.len() == 1 && &*owners[0].manager == "ipa-actuator" && owners[0].subresource.as_deref() == Some("scale"), "{owners:?}");

    younger_twin_is_rejected(&client, &namespace, &watches).await
}

async fn younger_twin_is_rejected(client: &Client, namespace: &str, watches: &Watches) -> Result<()> {
    // Creation times have a second's grain.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    apply_yaml(client, TWIN, Some(namespace), "kubectl").await?;
    let twin = GroupId::new(namespace, "twin");
    wait_until("the twin is rejected", WITHIN, async || {
        let facts = watches.observe(Timestamp::now()).await?;
        let rejected = facts.rejected.iter().find(|r| r.group == twin).context("it is not rejected")?;
        ensure!(rejected.reason == "AlreadyManaged" && rejected.message.contains("shop"), "{rejected:?}");
        ensure!(facts.groups.contains_key(&GroupId::new(namespace, "shop")) && !facts.groups.contains_key(&twin));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn resources_of_one_container_are_applied_and_nothing_else_changes() -> Result<()> {
    let (client, namespace) = super::place().await?;
    let made = super::create(&client, &namespace, &super::deployment("web", Some(1)), "kubectl-create").await?;
    let from = ipa::domain::workload::ContainerResources {
        cpu_request: Some(Millicores(100)),
        cpu_limit: None,
        memory_request: Some(Bytes(64 << 20)),
        memory_limit: Some(Bytes(128 << 20)),
    };
    let to =
        ipa::domain::workload::ContainerResources { cpu_request: Some(Millicores(150)), memory_request: Some(Bytes(96 << 20)), ..from };
    let change = |from, to| {
        Change::Resources(ResourcesChange {
            target: TargetKey::deployment(&namespace, "web"),
            uid: made.metadata.uid.clone().unwrap_or_default().into(),
            container: "app".into(),
            from,
            to,
            through: Through::Template,
        })
    };
    let result = carry_out(&client, change(from, to), GoDuration::from_mins(0)).await?;
    ensure!(result.is_applied(), "{result:?}");
    let after = kube::Api::<k8s_openapi::api::apps::v1::Deployment>::namespaced(client.clone(), &namespace).get("web").await?;
    let mut expected = made.spec.clone().context("no spec")?;
    let requests = expected.template.spec.as_mut().and_then(|s| s.containers[0].resources.as_mut()).and_then(|r| r.requests.as_mut());
    let requests = requests.context("no requests")?;
    requests.insert("cpu".into(), k8s_openapi::apimachinery::pkg::api::resource::Quantity("150m".into()));
    requests.insert("memory".into(), k8s_openapi::apimachinery::pkg::api::resource::Quantity("96Mi".into()));
    ensure!(after.spec.as_ref() == Some(&expected), "{:?}", after.spec);

    let repeated = carry_out(&client, change(from, to), GoDuration::from_mins(0)).await?;
    ensure!(repeated == OutcomeResult::Confirmed, "{repeated:?}");
    Ok(())
}
