//! What the components trust each other by: keys for service account tokens, and the administrator's token.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::KeyPair;

use super::folder::Folder;

/// The administrator's bearer token. The API server listens on the loopback interface and lives for minutes.
pub const ADMIN_TOKEN: &str = "testbed-admin";

/// Files that kube-apiserver and kube-controller-manager are started with.
pub struct Credentials {
    /// Signs service account tokens.
    pub signing_key: PathBuf,
    /// Checks them.
    pub public_key: PathBuf,
    /// Says who the administrator is.
    pub token_file: PathBuf,
    /// Where the API server puts the certificate that it makes for itself.
    pub certificates: PathBuf,
}

impl Credentials {
    /// Makes new ones.
    pub fn create(folder: &Folder) -> Result<Self> {
        let place = folder.subfolder("credentials")?;
        let key = KeyPair::generate().context("failed to make a key for service account tokens")?;
        Ok(Self {
            signing_key: write(&place, "service-account.key", &key.serialize_pem())?,
            public_key: write(&place, "service-account.pub", &key.public_key_pem())?,
            token_file: write(&place, "tokens.csv", &format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n"))?,
            certificates: place,
        })
    }

    /// The certificate to trust, once the API server is up.
    #[must_use]
    pub fn server_certificate(&self) -> PathBuf {
        self.certificates.join("apiserver.crt")
    }
}

/// A kubeconfig with one context.
#[must_use]
pub fn kubeconfig(server: &str, certificate: &Path, token: &str) -> String {
    // JSON is YAML, and quotes what needs quoting.
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "testbed", "cluster": {"server": server, "certificate-authority": certificate}}],
        "users": [{"name": "testbed", "user": {"token": token}}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": "testbed"}}],
        "current-context": "testbed",
    });
    format!("{config:#}\n")
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}
