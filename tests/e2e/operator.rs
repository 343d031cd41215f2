//! The operator: `ipa run` as a child process that ends with its owner, and whose log is shown when what it should do does not happen.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Ran, ipa};
use crate::testbed::process::{Process, Program};
use crate::testbed::wait::wait_until;

/// Rates are measured over a minute, and the two cores may be building something else.
const WITHIN: Duration = Duration::from_mins(3);

/// Between ticks: a real minute would make a test of minutes.
const INTERVAL: &str = "2s";

/// A running operator and where it keeps its ledger.
pub struct Operator {
    process: Process,
    data_dir: PathBuf,
}

impl Operator {
    /// Starts it as whoever the kubeconfig stands for. `name` is that of its log and of its files in `folder`.
    pub fn start(folder: &Path, name: &str, kubeconfig: &Path, prometheus_url: &str, config: &str) -> Result<Self> {
        let config_file = folder.join(format!("{name}-config.yaml"));
        std::fs::write(&config_file, config).with_context(|| format!("failed to write {}", config_file.display()))?;
        let data_dir = folder.join(format!("{name}-data"));
        let path = |path: &Path| path.display().to_string();
        let program = Program {
            name,
            binary: Path::new(env!("CARGO_BIN_EXE_ipa")),
            arguments: [
                ["run", "--log=info"].map(str::to_owned).to_vec(),
                vec!["--kubeconfig".into(), path(kubeconfig), "--config".into(), path(&config_file)],
                vec!["--prometheus-url".into(), prometheus_url.into(), "--data-dir".into(), path(&data_dir)],
                ["--interval", INTERVAL, "--reflex", "0", "--listen", "127.0.0.1:0"].map(str::to_owned).to_vec(),
            ]
            .concat(),
            environment: vec![],
        };
        Ok(Self { process: Process::start(program, folder)?, data_dir })
    }

    /// Waits until the world is as it should be; if it does not get there, says what was last seen and what the operator logged.
    pub async fn wait_until<T>(&self, what: &str, ask: impl AsyncFnMut() -> Result<T>) -> Result<T> {
        wait_until(what, WITHIN, ask).await.with_context(|| format!("the operator's log ends with:\n{}", self.process.log_tail()))
    }

    /// A subcommand over the ledger that it writes, while it runs.
    pub async fn ledger(&self, command: &[&str]) -> Result<Ran> {
        let data_dir = self.data_dir.display().to_string();
        ipa(command.iter().copied().chain(["--data-dir", &data_dir])).await
    }

    /// What `ipa why` says of a Deployment.
    pub async fn why(&self, namespace: &str, name: &str) -> Result<Value> {
        self.ledger(&["why", &format!("{namespace}/{name}"), "--output", "json"]).await?.json()
    }

    /// All entries that the ledger holds of one namespace's groups, oldest first.
    pub async fn entries(&self, namespace: &str) -> Result<Vec<Value>> {
        let exported = self.ledger(&["audit", "export"]).await?;
        let entries: Vec<Value> = exported.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let prefix = format!("{namespace}/");
        Ok(entries.into_iter().filter(|entry| entry["group"].as_str().is_some_and(|group| group.starts_with(&prefix))).collect())
    }
}
