//! The whole product as people use it: the real binary beside a real API server, its controllers, a real Prometheus and a real exporter.
//!
//! All scenarios that act share one cluster with one operator in it ([`stage::acting`]), as in a company: each has a namespace of its own.
//! What a mode may write at all is a matter of the whole cluster, so Observe has a cluster to itself.

mod auto;
mod bad_input;
mod conflict;
mod floor;
mod observe;
mod operator;
mod recommend;
mod record;
mod shop;
mod stage;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;

/// How one run of the binary ended.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// What it printed as JSON, if it ended well.
    fn json<T: DeserializeOwned>(&self) -> Result<T> {
        ensure!(self.code == Some(0), "it ended with {:?}: {}{}", self.code, self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).with_context(|| format!("it did not print JSON: {}", self.stdout))
    }
}

/// Runs the binary to its end, with nothing of the caller's that it would read: no kubeconfig, no variable of its own.
async fn ipa<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<Ran> {
    let nowhere = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipa"));
    command.args(arguments).current_dir(nowhere.path()).env("HOME", nowhere.path());
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_read_by_ipa(name)) {
        command.env_remove(name);
    }
    // The exporter lives in the test's one thread: waiting there would stop it.
    let output = tokio::task::spawn_blocking(move || command.output()).await?.context("failed to run the binary")?;
    drop(nowhere);
    Ok(Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).context("what it printed is no UTF-8")?,
        stderr: String::from_utf8(output.stderr).context("what it printed on standard error is no UTF-8")?,
    })
}

fn is_read_by_ipa(variable: &OsStr) -> bool {
    variable.to_str().is_some_and(|name| name.starts_with("IPA_") || name == "KUBECONFIG")
}

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
