//! Resizing in place on a real API server: what it takes, what it refuses, and what becomes of a pod whose node answers `Deferred` or `Infeasible`.
//!
//! Requests, validation, controllers and scheduler are real. kwok's nodes have no kubelet that acts on a resize, so the test plays it: it writes the
//! container statuses and conditions that a kubelet would write.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ipa::adapters::kube::Watches;
use ipa::domain::names::TargetKey;
use ipa::domain::outcome::OutcomeResult;
use ipa::domain::proposal::{Change, ResourcesChange};
use ipa::domain::resize::{ResizeState, ResizeTally, Through};
use ipa::domain::snapshot::ClusterFacts;
use ipa::domain::units::{Bytes, GoDuration, Millicores};
use ipa::domain::workload::{ContainerResources, Pod, Rollout, Workload};
use ipa::ports::Cluster;
use ipa::sizing::{carry_on, reach};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod as ApiPod;
use kube::api::Api;
use kube::{Client, ResourceExt};

use super::{carry_out, create, deployment, install_definitions};
use crate::testbed::Testbed;
use crate::testbed::apply::apply_yaml;
use crate::testbed::deployments::wait_for_ready;
use crate::testbed::kubelet::{refuse_resize, take_resources};
use crate::testbed::wait::wait_until;

const WITHIN: Duration = Duration::from_secs(90);
const NO_HOLD: GoDuration = GoDuration::from_mins(0);

const SHOP: &str = "
apiVersion: ipa.dev/v1alpha1
kind: IntelligentPodAutoscaler
metadata: {name: shop}
spec: {targets: [{ref: {name: web}, min: 1, max: 9}]}
";

/// What `deployment` asks for.
const OLD: ContainerResources = ContainerResources {
    cpu_request: Some(Millicores(100)),
    cpu_limit: None,
    memory_request: Some(Bytes(64 << 20)),
    memory_limit: Some(Bytes(128 << 20)),
};
const NEW: ContainerResources = ContainerResources {
    cpu_request: Some(Millicores(150)),
    memory_request: Some(Bytes(96 << 20)),
    memory_limit: Some(Bytes(192 << 20)),
    ..OLD
};

/// Four pods of `web`, and the cluster as IPA sees it.
struct Stage {
    client: Client,
    namespace: String,
    watches: Watches,
    uid: String,
}

impl Stage {
    async fn start() -> Result<Self> {
        let testbed = Testbed::builder().controllers().scheduler().kwok(1).shared().await?;
        let (client, namespace) = (testbed.client()?, testbed.namespace().await?);
        install_definitions(&client).await?;
        let made = create(&client, &namespace, &deployment("web", Some(4)), "kubectl-create").await?;
        apply_yaml(&client, SHOP, Some(&namespace), "kubectl").await?;
        wait_for_ready(&client, &namespace, "web", 4).await?;
        Ok(Self { watches: Watches::start(client.clone()), uid: made.uid().unwrap_or_default(), client, namespace })
    }

    fn key(&self) -> TargetKey {
        TargetKey::deployment(&self.namespace, "web")
    }

    fn change(&self, from: ContainerResources, to: ContainerResources, through: Through) -> Change {
        Change::Resources(ResourcesChange { target: self.key(), uid: self.uid.as_str().into(), container: "app".into(), from, to, through })
    }

    async fn carry_out(&self, from: ContainerResources, to: ContainerResources, through: Through) -> Result<OutcomeResult> {
        carry_out(&self.client, self.change(from, to, through), NO_HOLD).await
    }

    /// One more step in place: few pods at a time.
    async fn step(&self, from: ContainerResources, to: ContainerResources) -> Result<ResizeTally> {
        match self.carry_out(from, to, Through::Pods).await? {
            OutcomeResult::Resized { pods } => Ok(pods),
            other => bail!("not resized: {other:?}"),
        }
    }

    async fn observed(&self, what: &str, settled: impl Fn(&Workload) -> bool) -> Result<(ClusterFacts, Workload)> {
        wait_until(what, WITHIN, async || {
            let facts = self.watches.observe(Timestamp::now()).await?;
            let workload = facts.workloads.get(&self.key()).context("it is not observed at all")?.clone();
            ensure!(settled(&workload), "it is {workload:?}");
            Ok((facts, workload))
        })
        .await
    }

    async fn object(&self) -> Result<Deployment> {
        Ok(Api::namespaced(self.client.clone(), &self.namespace).get("web").await?)
    }

    async fn kubelets_report(&self) -> Result<()> {
        for pod in Api::<ApiPod>::namespaced(self.client.clone(), &self.namespace).list(&kube::api::ListParams::default()).await? {
            take_resources(&self.client, &self.namespace, &pod.name_any()).await?;
        }
        Ok(())
    }

    /// The pod that was asked and has not been answered.
    async fn waiting_pod(&self) -> Result<String> {
        let (_, workload) = self.observed("one pod waits for its kubelet", |w| waiting(w).count() == 1).await?;
        Ok(waiting(&workload).next().context("none")?.name.to_string())
    }
}

fn waiting(workload: &Workload) -> impl Iterator<Item = &Pod> {
    workload.pods.iter().filter(|pod| pod.is_running() && pod.size.resize == ResizeState::InProgress)
}

#[tokio::test]
async fn running_pods_are_resized_in_place_and_what_a_node_cannot_give_falls_back_to_the_template() -> Result<()> {
    let stage = Stage::start().await?;
    let (facts, workload) = stage.observed("pods are seen", |w| w.pods.len() == 4 && w.rollout == Rollout::Complete).await?;
    ensure!(facts.resizes_in_place, "this API server serves pods/resize");
    let of = |workload: &Workload| workload.container(Some("app")).cloned().context("no container");
    ensure!(workload.pods.iter().all(|pod| pod.size.resize == ResizeState::Unsupported), "kwok's nodes report no resources yet");
    ensure!(reach(&workload, &of(&workload)?, &NEW, &facts) == Through::Template, "what a node cannot do is not asked of it");

    stage.kubelets_report().await?;
    let (facts, before) =
        stage.observed("kubelets have reported", |w| w.pods.iter().all(|pod| pod.size.resize == ResizeState::Settled)).await?;
    ensure!(reach(&before, &of(&before)?, &NEW, &facts) == Through::Pods);
    let spec = stage.object().await?.spec;

    // One of four at a time; the first is taken, and the others only carry on what is in force.
    ensure!(stage.step(OLD, NEW).await? == ResizeTally { in_progress: 1, to_ask: 3, ..ResizeTally::default() });
    let taken = stage.waiting_pod().await?;
    ensure!(stage.step(NEW, NEW).await? == ResizeTally { in_progress: 1, to_ask: 3, ..ResizeTally::default() }, "it is waited for");
    take_resources(&stage.client, &stage.namespace, &taken).await?;
    for reason in ["Deferred", "Infeasible"] {
        ensure!(stage.step(NEW, NEW).await?.in_progress == 1);
        refuse_resize(&stage.client, &stage.namespace, &stage.waiting_pod().await?, reason).await?;
    }
    let (facts, after) = stage.observed("nodes have answered", |w| waiting(w).count() == 0).await?;
    let expected = ResizeTally { taken: 1, deferred: 1, infeasible: 1, to_ask: 1, ..ResizeTally::default() };
    ensure!(after.resize_tally("app") == expected, "{:?}", after.resize_tally("app"));

    let names = |w: &Workload| w.pods.iter().map(|pod| (pod.name.clone(), pod.restarts)).collect::<Vec<_>>();
    ensure!(names(&before) == names(&after), "no pod was replaced or restarted");
    ensure!(of(&after)?.resources == NEW && after.template.containers[0].resources == OLD, "in force, and not in the template");
    let object = stage.object().await?;
    ensure!(object.spec == spec && object.annotations().contains_key("ipa.dev/resized"), "{:?}", object.metadata);

    // One node can never give it, another could: all pods go through the template, in one roll-out, and nothing is in force beside it any more.
    let plan = carry_on(&after, &of(&after)?, &facts, Timestamp::now()).context("nothing follows")?;
    ensure!(plan.through == Through::Template && plan.to == NEW, "{plan:?}");
    let written = stage.carry_out(plan.from, plan.to, plan.through).await?;
    ensure!(written.is_applied(), "{written:?}");
    let rolled =
        |w: &Workload| w.rollout == Rollout::Complete && w.replicas.ready == 4 && w.pods.iter().all(|pod| pod.asks_for("app", &NEW));
    let (_, rolled) = stage.observed("new pods come from the new template", rolled).await?;
    ensure!(rolled.resized.is_none() && rolled.template.containers[0].resources == NEW, "{rolled:?}");
    Ok(())
}

#[tokio::test]
async fn another_quality_of_service_is_refused_by_the_server_and_leaves_nothing_half_done() -> Result<()> {
    let stage = Stage::start().await?;
    stage.kubelets_report().await?;
    let before = stage.object().await?;
    let guaranteed = ContainerResources {
        cpu_request: Some(Millicores(200)),
        cpu_limit: Some(Millicores(200)),
        memory_request: Some(Bytes(128 << 20)),
        memory_limit: Some(Bytes(128 << 20)),
    };
    let OutcomeResult::Denied { detail } = stage.carry_out(OLD, guaranteed, Through::Pods).await? else { bail!("not denied") };
    ensure!(detail.starts_with("pod web-") && detail.contains("cannot be resized in place") && detail.contains("QOS"), "{detail}");
    let after = stage.object().await?;
    ensure!(before.annotations() == after.annotations() && before.spec == after.spec, "{after:?}");

    let outdated = ContainerResources { cpu_request: Some(Millicores(90)), ..OLD };
    let moved = stage.carry_out(outdated, NEW, Through::Pods).await?;
    ensure!(matches!(moved, OutcomeResult::WorldChanged { .. }), "{moved:?}");
    Ok(())
}

#[tokio::test]
async fn a_person_who_changes_the_template_has_the_last_word() -> Result<()> {
    let stage = Stage::start().await?;
    stage.kubelets_report().await?;
    stage.step(OLD, NEW).await?;
    stage.observed("the size is in force", |w| w.resized.is_some()).await?;
    let patch =
        serde_json::json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "120m"}}}]}}}});
    let params = kube::api::PatchParams { field_manager: Some("kubectl-edit".into()), ..Default::default() };
    Api::<Deployment>::namespaced(stage.client.clone(), &stage.namespace)
        .patch("web", &params, &kube::api::Patch::Strategic(&patch))
        .await?;
    let (_, workload) = stage.observed("the size in force is void", |w| w.resized.is_none()).await?;
    let in_force = workload.container(Some("app")).context("no container")?.resources;
    ensure!(in_force.cpu_request == Some(Millicores(120)), "{in_force:?}");
    Ok(())
}
