//! What runs beside the API server when a test asks for it: how each part starts, and where it says that it is ready.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::Client;

use super::apply::apply_file;
use super::binaries::{self, Component};
use super::control_plane::ControlPlane;
use super::folder::Folder;
use super::process::{Process, Program, free_port};

/// How long a pod takes from being bound to a node until it is Ready, e.g. `ipa.dev/startup: 20s`; at once without it.
pub const STARTUP_ANNOTATION: &str = "ipa.dev/startup";

/// kwok's own stages, as paths in its module.
const KWOK_STAGES: [&str; 4] = [
    "kustomize/stage/node/fast/node-initialize.yaml",
    "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "kustomize/stage/pod/fast/pod-complete.yaml",
    "kustomize/stage/pod/fast/pod-delete.yaml",
];

/// The stage that makes a pod Ready; it is given a delay.
const KWOK_POD_READY: &str = "kustomize/stage/pod/fast/pod-ready.yaml";

/// Karpenter's custom resources, as paths in its module.
const KARPENTER_CRDS: [&str; 2] = ["pkg/apis/crds", "kwok/apis/crds"];

/// A part that can be added to a running control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// kwok.
    Kwok,
    /// Karpenter with its kwok provider.
    Karpenter,
}

impl Part {
    /// Starts it; returns the address that answers once it is ready.
    pub async fn spawn(self, folder: &Folder, control_plane: &ControlPlane, client: &Client) -> Result<(Process, String)> {
        match self {
            Self::ControllerManager => controller_manager(folder, control_plane).await,
            Self::Scheduler => scheduler(folder, control_plane).await,
            Self::Kwok => kwok(folder, control_plane).await,
            Self::Karpenter => karpenter(folder, control_plane, client).await,
        }
    }
}

async fn controller_manager(folder: &Folder, control_plane: &ControlPlane) -> Result<(Process, String)> {
    let port = free_port()?;
    let place = folder.subfolder("kube-controller-manager")?.display().to_string();
    let program = Program {
        name: "kube-controller-manager",
        binary: &binaries::find(Component::ControllerManager).await?,
        arguments: vec![
            format!("--kubeconfig={}", control_plane.kubeconfig_path().display()),
            format!("--service-account-private-key-file={}", control_plane.credentials().signing_key.display()),
            "--use-service-account-credentials=true".to_owned(),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--cert-dir={place}"),
            format!("--flex-volume-plugin-dir={place}"),
            // Its algorithm is the same at any period; a test need not wait for fifteen seconds.
            "--horizontal-pod-autoscaler-sync-period=2s".to_owned(),
        ],
        environment: vec![],
    };
    let process = Process::start(program, folder.path())?;
    Ok((process, format!("https://127.0.0.1:{port}/healthz")))
}

async fn scheduler(folder: &Folder, control_plane: &ControlPlane) -> Result<(Process, String)> {
    let port = free_port()?;
    let program = Program {
        name: "kube-scheduler",
        binary: &binaries::find(Component::Scheduler).await?,
        arguments: vec![
            format!("--kubeconfig={}", control_plane.kubeconfig_path().display()),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", folder.subfolder("kube-scheduler")?.display()),
        ],
        environment: vec![],
    };
    let process = Process::start(program, folder.path())?;
    Ok((process, format!("https://127.0.0.1:{port}/readyz")))
}

async fn kwok(folder: &Folder, control_plane: &ControlPlane) -> Result<(Process, String)> {
    let port = free_port()?;
    let module = binaries::module_folder("kwok", "sigs.k8s.io/kwok").await?;
    let mut stages: Vec<PathBuf> = KWOK_STAGES.iter().map(|path| module.join(path)).collect();
    stages.push(delayed_pod_ready(folder, &module)?);
    let mut arguments = vec![
        format!("--kubeconfig={}", control_plane.kubeconfig_path().display()),
        "--manage-all-nodes=false".to_owned(),
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned(),
        format!("--server-address=127.0.0.1:{port}"),
        "--node-lease-duration-seconds=40".to_owned(),
    ];
    arguments.extend(stages.iter().map(|path| format!("--config={}", path.display())));
    let program = Program { name: "kwok", binary: &binaries::find(Component::Kwok).await?, arguments, environment: vec![] };
    let process = Process::start(program, folder.path())?;
    Ok((process, format!("http://127.0.0.1:{port}/healthz")))
}

/// kwok's stage with a delay taken from the pod's annotation, so that a start-up time can be played.
fn delayed_pod_ready(folder: &Folder, module: &Path) -> Result<PathBuf> {
    let source = module.join(KWOK_POD_READY);
    let text = fs::read_to_string(&source).with_context(|| format!("failed to read {}", source.display()))?;
    let mut stage: serde_json::Value =
        serde_saphyr::from_str(&text).with_context(|| format!("failed to read {} as YAML", source.display()))?;
    stage["spec"]["delay"] = serde_json::json!({
        "durationMilliseconds": 0,
        "durationFrom": {"expressionFrom": format!(".metadata.annotations[\"{STARTUP_ANNOTATION}\"]")},
    });
    let path = folder.path().join("pod-ready-after-startup.yaml");
    fs::write(&path, format!("{stage:#}\n")).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}

async fn karpenter(folder: &Folder, control_plane: &ControlPlane, client: &Client) -> Result<(Process, String)> {
    let module = binaries::module_folder("karpenter", "sigs.k8s.io/karpenter").await?;
    for crds in KARPENTER_CRDS {
        for definition in yaml_files(&module.join(crds))? {
            apply_file(client, &definition, None, "testbed").await?;
        }
    }
    let health = free_port()?;
    let program = Program {
        name: "karpenter",
        binary: &binaries::find(Component::Karpenter).await?,
        arguments: vec![],
        environment: vec![
            ("KUBECONFIG", control_plane.kubeconfig_path().display().to_string()),
            ("DISABLE_LEADER_ELECTION", "true".to_owned()),
            ("METRICS_PORT", free_port()?.to_string()),
            ("HEALTH_PROBE_PORT", health.to_string()),
            ("CPU_REQUESTS", "1000".to_owned()),
            ("SYSTEM_NAMESPACE", "kube-system".to_owned()),
            ("FEATURE_GATES", "NodeOverlay=true,CapacityBuffer=true".to_owned()),
        ],
    };
    let process = Process::start(program, folder.path())?;
    Ok((process, format!("http://127.0.0.1:{health}/readyz")))
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
