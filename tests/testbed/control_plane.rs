//! etcd and kube-apiserver, ready for a client.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::binaries::{self, Component};
use super::credentials::{ADMIN_TOKEN, Credentials, kubeconfig};
use super::folder::Folder;
use super::process::{Process, Program, free_port};

/// A running API server with its store.
pub struct ControlPlane {
    // Dropped in this order: the API server complains when its store goes first.
    api_server: Process,
    etcd: Process,
    server: String,
    credentials: Credentials,
    kubeconfig: PathBuf,
    config: Config,
}

impl ControlPlane {
    /// Starts both and waits until the API server says that it is ready.
    pub async fn start(folder: &Folder) -> Result<Self> {
        let credentials = Credentials::create(folder)?;
        let (etcd_binary, api_server_binary) = (binaries::find(Component::Etcd).await?, binaries::find(Component::ApiServer).await?);

        let store = format!("http://127.0.0.1:{}", free_port()?);
        let mut etcd = start_etcd(folder, &etcd_binary, &store)?;
        etcd.wait_until_answers(&format!("{store}/health")).await?;

        let port = free_port()?;
        let server = format!("https://127.0.0.1:{port}");
        let mut api_server = start_api_server(folder, &api_server_binary, &store, port, &credentials)?;
        api_server.wait_until_answers(&format!("{server}/readyz")).await?;

        let path = folder.path().join("kubeconfig.yaml");
        let text = kubeconfig(&server, &credentials.server_certificate(), ADMIN_TOKEN);
        fs::write(&path, &text).with_context(|| format!("failed to write {}", path.display()))?;
        let config = Config::from_custom_kubeconfig(Kubeconfig::from_yaml(&text)?, &KubeConfigOptions::default()).await?;
        Ok(Self { api_server, etcd, server, credentials, kubeconfig: path, config })
    }

    /// What an administrator's client connects with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// Keys and certificates.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Writes a kubeconfig for the bearer of a token.
    pub fn write_kubeconfig(&self, path: &Path, token: &str) -> Result<()> {
        let text = kubeconfig(&self.server, &self.credentials.server_certificate(), token);
        fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
    }

    /// The ids of both processes.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        vec![self.api_server.id(), self.etcd.id()]
    }
}

fn start_etcd(folder: &Folder, binary: &Path, store: &str) -> Result<Process> {
    let peer = format!("http://127.0.0.1:{}", free_port()?);
    let data = folder.path().join("etcd");
    let program = Program {
        name: "etcd",
        binary,
        arguments: vec![
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={store}"),
            format!("--advertise-client-urls={store}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            // Nothing here outlives its process, so nothing needs to reach the disk.
            "--unsafe-no-fsync".to_owned(),
        ],
        environment: vec![],
    };
    Process::start(program, folder.path())
}

fn start_api_server(folder: &Folder, binary: &Path, store: &str, port: u16, credentials: &Credentials) -> Result<Process> {
    let program = Program {
        name: "kube-apiserver",
        binary,
        arguments: vec![
            format!("--etcd-servers={store}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", credentials.certificates.display()),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", credentials.public_key.display()),
            format!("--service-account-signing-key-file={}", credentials.signing_key.display()),
            "--authorization-mode=RBAC".to_owned(),
            format!("--token-auth-file={}", credentials.token_file.display()),
            // The `kubernetes` Service would point at the loopback interface, which Endpoints refuse.
            "--endpoint-reconciler-type=none".to_owned(),
        ],
        environment: vec![],
    };
    Process::start(program, folder.path())
}
