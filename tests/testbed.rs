//! A real control plane for integration tests, and for a person (`cargo run --example testbed`).
//!
//! etcd and kube-apiserver always run; controllers, scheduler, kwok and Karpenter run when a test asks for them:
//!
//! ```ignore
//! let testbed = Testbed::builder().controllers().scheduler().kwok(3).shared().await?;
//! let namespace = testbed.namespace().await?;
//! apply_yaml(&testbed.client()?, MANIFEST, Some(&namespace), "kubectl").await?;
//! ```
//!
//! [`Builder::shared`] gives the one control plane that all tests of this process share: they keep out of each other's
//! way by namespace, and each makes its own client, because a client dies with the runtime of the test that made it.
//! [`Builder::start`] gives one of its own to a test that must break it. Both end with the process, however it ends.
//!
//! Nothing here simulates: every component is the real binary at the version that `go/*/go.mod` pins.

#![allow(dead_code, reason = "the tests and the example each compile this and use a part of it")]

pub mod apply;
pub mod binaries;
pub mod control_plane;
pub mod credentials;
pub mod deployments;
pub mod exporter;
pub mod folder;
pub mod http;
pub mod kubelet;
pub mod nodes;
pub mod parts;
pub mod process;
pub mod prometheus;
pub mod wait;

#[cfg(test)]
mod selftest;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Config};

use control_plane::ControlPlane;
use folder::Folder;
use parts::Part;
use process::Process;
use prometheus::{Prometheus, ScrapeTarget};

/// How long a component may take to become ready: a control plane is up within 10 s, but builds may run beside it.
pub const READY_WITHIN: Duration = Duration::from_mins(2);

static SHARED: tokio::sync::OnceCell<Testbed> = tokio::sync::OnceCell::const_new();

/// A running control plane and what runs beside it. Dropping it ends every process and removes its folder.
pub struct Testbed {
    // Dropped in this order: what talks to the API server goes before it, the folder goes last.
    parts: tokio::sync::Mutex<BTreeMap<Part, Process>>,
    control_plane: ControlPlane,
    folder: Folder,
}

/// Which parts a test needs beside etcd and kube-apiserver.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    parts: BTreeSet<Part>,
    nodes: usize,
}

impl Builder {
    /// kube-controller-manager: Deployments make pods, Services get their endpoints, namespaces are cleaned up.
    #[must_use]
    pub fn controllers(mut self) -> Self {
        self.parts.insert(Part::ControllerManager);
        self
    }

    /// kube-scheduler.
    #[must_use]
    pub fn scheduler(mut self) -> Self {
        self.parts.insert(Part::Scheduler);
        self
    }

    /// kwok, which plays the kubelet, with this many nodes of [`nodes::SHAPE`].
    #[must_use]
    pub fn kwok(mut self, nodes: usize) -> Self {
        self.parts.insert(Part::Kwok);
        self.nodes = self.nodes.max(nodes);
        self
    }

    /// Karpenter with its kwok provider and CRDs. A `NodePool` and a `KWOKNodeClass` are the test's to make.
    #[must_use]
    pub fn karpenter(mut self) -> Self {
        self.parts.insert(Part::Karpenter);
        self
    }

    /// Starts a testbed that nobody else uses.
    pub async fn start(self) -> Result<Testbed> {
        let folder = Folder::new()?;
        let control_plane = ControlPlane::start(&folder).await?;
        let testbed = Testbed { parts: tokio::sync::Mutex::default(), control_plane, folder };
        testbed.add(&self).await?;
        Ok(testbed)
    }

    /// The testbed that all tests of this process share, with these parts started if they are not running yet.
    pub async fn shared(self) -> Result<&'static Testbed> {
        let testbed = SHARED.get_or_try_init(|| Testbed::builder().start()).await?;
        testbed.add(&self).await?;
        Ok(testbed)
    }
}

impl Testbed {
    /// Begins a testbed of etcd and kube-apiserver alone.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A client with every right, for the runtime it is called in.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::try_from(self.config())?)
    }

    /// What [`Testbed::client`] connects with.
    #[must_use]
    pub fn config(&self) -> Config {
        self.control_plane.config().clone()
    }

    /// The file that `kubectl --kubeconfig` and `ipa --kubeconfig` take; it has every right.
    #[must_use]
    pub fn kubeconfig_path(&self) -> &Path {
        self.control_plane.kubeconfig_path()
    }

    /// Where logs and data lie while the testbed lives.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client that is this service account (made if it is not there), by a real token: RBAC and admission apply.
    pub async fn client_as(&self, namespace: &str, service_account: &str) -> Result<Client> {
        let token = self.token(namespace, service_account).await?;
        let mut config = self.config();
        config.auth_info = kube::config::AuthInfo { token: Some(token.into()), ..Default::default() };
        namespace.clone_into(&mut config.default_namespace);
        Ok(Client::try_from(config)?)
    }

    /// A kubeconfig that is this service account (made if it is not there), for a process that runs as it.
    pub async fn kubeconfig_as(&self, namespace: &str, service_account: &str) -> Result<PathBuf> {
        let token = self.token(namespace, service_account).await?;
        let path = self.folder.path().join(format!("kubeconfig-{namespace}-{service_account}.yaml"));
        self.control_plane.write_kubeconfig(&path, &token)?;
        Ok(path)
    }

    /// Makes a namespace that no other test has. Pods can be made in it: its default service account is there.
    pub async fn namespace(&self) -> Result<String> {
        let client = self.client()?;
        let namespace =
            Namespace { metadata: ObjectMeta { generate_name: Some("test-".to_owned()), ..Default::default() }, ..Default::default() };
        let made = Api::all(client).create(&PostParams::default(), &namespace).await.context("failed to make a namespace")?;
        let name = made.metadata.name.context("the API server named no namespace")?;
        self.service_account(&name, "default").await?;
        Ok(name)
    }

    /// Starts a Prometheus that scrapes these every second. Each caller gets its own; it ends when dropped.
    pub async fn prometheus(&self, targets: &[ScrapeTarget]) -> Result<Prometheus> {
        Prometheus::start(&self.folder, targets).await
    }

    /// The ids of all processes, for a test that watches them end.
    pub async fn process_ids(&self) -> Vec<u32> {
        let parts = self.parts.lock().await;
        let mut ids = self.control_plane.process_ids();
        ids.extend(parts.values().map(Process::id));
        ids
    }

    /// Starts the parts that are not running yet, side by side.
    pub async fn add(&self, wanted: &Builder) -> Result<()> {
        let mut running = self.parts.lock().await;
        let mut starting = Vec::new();
        // All are spawned before the first is waited for, so that they start side by side.
        for part in wanted.parts.iter().filter(|part| !running.contains_key(part)) {
            let (process, ready_url) = part.spawn(&self.folder, &self.control_plane, &self.client()?).await?;
            starting.push((*part, process, ready_url));
        }
        for (part, mut process, ready_url) in starting {
            process.wait_until_answers(&ready_url).await?;
            running.insert(part, process);
        }
        nodes::ensure(&self.client()?, wanted.nodes).await
    }

    async fn token(&self, namespace: &str, service_account: &str) -> Result<String> {
        self.service_account(namespace, service_account).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, namespace);
        let request =
            TokenRequest { spec: TokenRequestSpec { expiration_seconds: Some(24 * 3600), ..Default::default() }, ..Default::default() };
        accounts
            .create_token_request(service_account, &PostParams::default(), &request)
            .await
            .with_context(|| format!("failed to get a token for {namespace}/{service_account}"))?
            .status
            .map(|status| status.token)
            .context("the API server's answer held no token")
    }

    /// Without the controller manager nobody makes the default account; with it, either may be first.
    async fn service_account(&self, namespace: &str, name: &str) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, namespace);
        let account = ServiceAccount { metadata: ObjectMeta { name: Some(name.to_owned()), ..Default::default() }, ..Default::default() };
        match accounts.create(&PostParams::default(), &account).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(error) => Err(error).with_context(|| format!("failed to make the service account {namespace}/{name}")),
        }
    }
}
