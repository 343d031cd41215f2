//! The testbed holds what it promises.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};

use super::Testbed;
use super::apply::apply_yaml;
use super::binaries::{self, Component, Places};
use super::exporter::load::Load;
use super::exporter::service::{self, Behaviour, PodState, Service};
use super::exporter::{Exporter, Workload};
use super::folder::Folder;
use super::kubelet;
use super::process::{Process, Program};
use super::prometheus::ScrapeTarget;
use super::wait::wait_until;

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
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.is_forbidden()),
        "{refused}"
    );

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
    wait_until("the role is in force", SOON, async || {
        Ok(maps.list(&ListParams::default()).await?)
    })
    .await?;
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some("map".to_owned()),
            ..Default::default()
        },
        ..Default::default()
    };
    assert!(maps.create(&PostParams::default(), &map).await.is_err());
    Ok(())
}

#[tokio::test]
async fn twenty_pods_are_scheduled_and_ready_on_kwok_nodes() -> Result<()> {
    let testbed = Testbed::builder()
        .controllers()
        .scheduler()
        .kwok(3)
        .shared()
        .await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    let start = Instant::now();
    apply_yaml(
        &client,
        &deployment("web", 20, ""),
        Some(&namespace),
        MANAGER,
    )
    .await?;
    wait_for_ready(&client, &namespace, "web", 20).await?;
    println!(
        "twenty pods were Ready {:.1} s after apply",
        start.elapsed().as_secs_f64()
    );

    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    for pod in pods.list(&ListParams::default()).await? {
        let node = pod.spec.and_then(|spec| spec.node_name).unwrap_or_default();
        assert!(node.starts_with("kwok-"), "a pod is on the node `{node}`");
    }
    Ok(())
}

#[tokio::test]
async fn a_pod_takes_the_startup_time_that_its_annotation_gives() -> Result<()> {
    let testbed = Testbed::builder()
        .controllers()
        .scheduler()
        .kwok(3)
        .shared()
        .await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    let slow = deployment("slow", 1, "annotations: {ipa.dev/startup: 4s}");
    apply_yaml(&client, &slow, Some(&namespace), MANAGER).await?;
    wait_for_ready(&client, &namespace, "slow", 1).await?;

    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let pod = pods.list(&ListParams::default()).await?.items.remove(0);
    let conditions = pod
        .status
        .and_then(|status| status.conditions)
        .unwrap_or_default();
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
async fn twice_the_replicas_halve_what_prometheus_sees_of_each() -> Result<()> {
    let testbed = Testbed::builder()
        .controllers()
        .scheduler()
        .kwok(3)
        .shared()
        .await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    apply_yaml(
        &client,
        &deployment("web", 2, ""),
        Some(&namespace),
        MANAGER,
    )
    .await?;
    wait_for_ready(&client, &namespace, "web", 2).await?;

    let load = Load::Constant(80.0);
    let exporter =
        Exporter::start(client.clone(), vec![Workload::new(&namespace, "web", load)]).await?;
    let target = ScrapeTarget::plain(exporter.address());
    let prometheus = testbed.prometheus(&[target]).await?;

    let requests = "sum(nginx_ingress_controller_requests{ingress=\"web\"})";
    let first = wait_until("the exporter is scraped", SOON, async || {
        prometheus.value(requests).await
    })
    .await?;
    wait_until("the counter rises", SOON, async || {
        let now = prometheus.value(requests).await?;
        ensure!(now > first + 80.0, "it was {first} and is {now}");
        Ok(())
    })
    .await?;

    let cpu_of_each =
        "avg(rate(container_cpu_usage_seconds_total{pod=~\"web-.*\",container!=\"\"}[5s]))";
    let expect_cpu = async |cores: f64| {
        wait_until(&format!("each pod uses {cores} cores"), SOON, async || {
            let now = prometheus.value(cpu_of_each).await?;
            ensure!((now - cores).abs() < cores / 10.0, "each uses {now}");
            Ok(())
        })
        .await
    };
    // 80 requests a second on two replicas of 50 keep each busy at 80 % of its half core.
    expect_cpu(0.4).await?;
    scale(&client, &namespace, "web", 4).await?;
    expect_cpu(0.2).await?;

    exporter.set_load("web", &Load::Constant(400.0));
    let throttled = "sum(rate(container_cpu_cfs_throttled_periods_total[5s])) / sum(rate(container_cpu_cfs_periods_total[5s]))";
    let slow = "histogram_quantile(0.95, sum by (le) (rate(nginx_ingress_controller_request_duration_seconds_bucket[5s])))";
    wait_until("overload throttles and slows", SOON, async || {
        let (throttled, latency) = (
            prometheus.value(throttled).await?,
            prometheus.value(slow).await?,
        );
        ensure!(
            throttled > 0.9 && latency > 1.0,
            "{throttled} of the periods are throttled, the latency is {latency} s"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_oom_kill_shows_in_prometheus() -> Result<()> {
    let testbed = Testbed::builder()
        .controllers()
        .scheduler()
        .kwok(3)
        .shared()
        .await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    apply_yaml(
        &client,
        &deployment("web", 1, ""),
        Some(&namespace),
        MANAGER,
    )
    .await?;
    wait_for_ready(&client, &namespace, "web", 1).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let pod = pods
        .list(&ListParams::default())
        .await?
        .items
        .remove(0)
        .name_any();
    kubelet::oom_kill(&client, &namespace, &pod, "web").await?;

    let load = Load::Constant(10.0);
    let exporter = Exporter::start(client, vec![Workload::new(&namespace, "web", load)]).await?;
    let mut target = ScrapeTarget::plain(exporter.address());
    target
        .labels
        .insert("namespace".to_owned(), "monitoring".to_owned());
    let prometheus = testbed.prometheus(&[target]).await?;
    let killed = format!(
        "kube_pod_container_status_restarts_total{{exported_namespace=\"{namespace}\",namespace=\"monitoring\"}} \
         + on (pod) kube_pod_container_status_last_terminated_reason{{reason=\"OOMKilled\"}}"
    );
    let value = wait_until("the OOM kill is scraped", SOON, async || {
        prometheus.value(&killed).await
    })
    .await?;
    assert!(
        (value - 2.0).abs() < f64::EPSILON,
        "one restart and one reason, not {value}"
    );
    Ok(())
}

#[tokio::test]
async fn karpenter_launches_a_node_for_a_pending_pod() -> Result<()> {
    let testbed = Testbed::builder()
        .controllers()
        .scheduler()
        .kwok(0)
        .karpenter()
        .shared()
        .await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    apply_yaml(
        &client,
        include_str!("manifests/node-pool.yaml"),
        None,
        MANAGER,
    )
    .await?;
    let start = Instant::now();
    let pod_spec = "
      nodeSelector: {karpenter.sh/nodepool: default}
      tolerations: [{key: kwok-provider, operator: Exists}]";
    let burst = deployment("burst", 20, "") + pod_spec;
    apply_yaml(&client, &burst, Some(&namespace), MANAGER).await?;
    wait_for_ready(&client, &namespace, "burst", 20).await?;
    println!(
        "twenty pods were Ready on Karpenter's nodes {:.1} s after apply",
        start.elapsed().as_secs_f64()
    );

    let nodes: Api<Node> = Api::all(client);
    let of_karpenter = ListParams::default().labels("karpenter.sh/nodepool=default");
    assert!(!nodes.list(&of_karpenter).await?.items.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_component_that_cannot_start_shows_the_end_of_its_log() -> Result<()> {
    let folder = Folder::new()?;
    let program = Program {
        name: "etcd",
        binary: &binaries::find(Component::Etcd).await?,
        arguments: vec!["--no-such-flag".to_owned()],
        environment: vec![],
    };
    let mut process = Process::start(program, folder.path())?;
    let error = process
        .wait_until_answers("http://127.0.0.1:1/health")
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("no-such-flag"), "{error:#}");
    Ok(())
}

#[test]
fn named_folders_are_looked_into_before_anything_is_built() -> Result<()> {
    let (first, second) = (tempfile::tempdir()?, tempfile::tempdir()?);
    fs::write(first.path().join("etcd"), "")?;
    fs::write(second.path().join("etcd"), "")?;
    fs::write(second.path().join("kube-apiserver"), "")?;
    let environment: BTreeMap<&str, OsString> = [
        ("IPA_TESTBED_BIN", first.path().into()),
        ("KUBEBUILDER_ASSETS", second.path().into()),
    ]
    .into();
    let places = Places::read(|name| environment.get(name).cloned())?;
    assert_eq!(
        places.given(Component::Etcd),
        Some(first.path().join("etcd"))
    );
    assert_eq!(
        places.given(Component::ApiServer),
        Some(second.path().join("kube-apiserver"))
    );
    assert_eq!(places.given(Component::Kwok), None);
    Ok(())
}

#[test]
fn a_service_without_pods_refuses_and_an_overloaded_one_loses_what_waits_too_long() {
    let behaviour = Behaviour::default();
    let mut service = Service::default();
    let mut pods = BTreeMap::new();
    service::step(&mut service, &mut pods, &behaviour, 100.0, 1.0);
    assert_eq!(service.requests, BTreeMap::from([("503", 100.0)]));

    let ready = PodState {
        ready: true,
        running: true,
        ..Default::default()
    };
    pods.insert("web-0".to_owned(), ready);
    for _ in 0..60 {
        service::step(&mut service, &mut pods, &behaviour, 100.0, 1.0);
    }
    // 6,000 offered to one replica of 50: 3,000 answered, 500 wait ten seconds, the rest is lost.
    let whole = BTreeMap::from([("200", 3000.0), ("503", 100.0), ("504", 2500.0)]);
    assert_eq!(service.requests, whole);
    assert!((service.backlog - 500.0).abs() < 1e-9);
}

#[test]
fn a_recording_is_played_at_its_speed_and_begins_again() -> Result<()> {
    let load = Load::parse_csv("t,value\n0,1\n60,2\n120,3\n", 60.0)?;
    let values: Vec<f64> = [0.0, 0.9, 1.0, 2.5, 3.0]
        .map(|seconds| load.at(Duration::from_secs_f64(seconds)))
        .into();
    assert_eq!(values, [1.0, 1.0, 2.0, 3.0, 1.0]);
    let error = Load::parse_csv("t,value\n0,1\n60,many\n", 60.0).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "line 3: `many` is no number: invalid float literal"
    );
    Ok(())
}

/// Names the file that the child of the two tests below writes its process ids to.
const CHILD: &str = "IPA_SELFTEST_CHILD";

#[tokio::test]
async fn a_panic_ends_every_process_and_removes_the_folder() -> Result<()> {
    if let Some(report) = std::env::var_os(CHILD) {
        let testbed = Testbed::builder().controllers().start().await?;
        write_report(
            Path::new(&report),
            testbed.folder(),
            &testbed.process_ids().await,
        )?;
        panic!("as a failing test does");
    }
    let (folder, ids) = run_child(
        "a_panic_ends_every_process_and_removes_the_folder",
        |child| child.wait().map(drop),
    )?;
    assert_eq!(ids.len(), 3);
    expect_gone(&folder, &ids).await
}

#[tokio::test]
async fn a_kill_of_the_test_process_ends_every_process_and_removes_the_folder() -> Result<()> {
    if let Some(report) = std::env::var_os(CHILD) {
        let testbed = Testbed::builder().shared().await?;
        write_report(
            Path::new(&report),
            testbed.folder(),
            &testbed.process_ids().await,
        )?;
        loop {
            tokio::time::sleep(SOON).await;
        }
    }
    let (folder, ids) = run_child(
        "a_kill_of_the_test_process_ends_every_process_and_removes_the_folder",
        std::process::Child::kill,
    )?;
    assert_eq!(ids.len(), 2);
    expect_gone(&folder, &ids).await
}

/// Runs one test of this binary in a process of its own until it has written its report, then ends it in the given way.
fn run_child(
    test: &str,
    end: impl FnOnce(&mut std::process::Child) -> std::io::Result<()>,
) -> Result<(PathBuf, Vec<u32>)> {
    let place = tempfile::tempdir()?;
    let report = place.path().join("report");
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", &format!("testbed::selftest::{test}")])
        .env(CHILD, &report)
        .env_remove("IPA_TESTBED_KEEP")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    while !report.is_file() {
        if let Some(status) = child.try_wait()? {
            ensure!(
                report.is_file(),
                "the child ended ({status}) before its report"
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    end(&mut child)?;
    child.wait()?;
    let written = fs::read_to_string(&report)?;
    let mut lines = written.lines();
    let folder = PathBuf::from(lines.next().context("the report is empty")?);
    let ids = lines.map(str::parse).collect::<Result<_, _>>()?;
    Ok((folder, ids))
}

fn write_report(report: &Path, folder: &Path, ids: &[u32]) -> Result<()> {
    let mut lines = vec![folder.display().to_string()];
    lines.extend(ids.iter().map(u32::to_string));
    // Renamed into place, so that the parent never reads half of it.
    let unfinished = report.with_extension("unfinished");
    fs::write(&unfinished, lines.join("\n"))?;
    Ok(fs::rename(&unfinished, report)?)
}

async fn expect_gone(folder: &Path, ids: &[u32]) -> Result<()> {
    wait_until("nothing is left", SOON, async || {
        for id in ids {
            let alive = Command::new("kill")
                .args(["-0", &id.to_string()])
                .output()?;
            ensure!(!alive.status.success(), "process {id} still runs");
        }
        ensure!(!folder.exists(), "{} is still there", folder.display());
        Ok(())
    })
    .await
}

fn deployment(name: &str, replicas: u32, metadata: &str) -> String {
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
      {metadata}
    spec:
      containers:
      - name: {name}
        image: registry.example/testbed:1
        resources: {{requests: {{cpu: 500m, memory: 256Mi}}}}
"
    )
}

async fn wait_for_ready(client: &Client, namespace: &str, name: &str, replicas: i32) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    wait_until(
        &format!("{replicas} pods of {name} are Ready"),
        SOON,
        async || {
            let status = deployments.get(name).await?.status.unwrap_or_default();
            ensure!(
                status.ready_replicas == Some(replicas),
                "the status is {status:?}"
            );
            Ok(())
        },
    )
    .await
}

async fn scale(client: &Client, namespace: &str, name: &str, replicas: i32) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let patch = serde_json::json!({"spec": {"replicas": replicas}});
    deployments
        .patch_scale(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    Ok(())
}
