//! A real Prometheus that scrapes what a test names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};

use super::binaries::{self, Component};
use super::folder::Folder;
use super::http;
use super::process::{Process, Program, free_port};

/// Something to scrape at `http://<address>/metrics`.
#[derive(Clone, Debug, Default)]
pub struct ScrapeTarget {
    /// Host and port.
    pub address: String,
    /// Labels added to every sample. One that a sample has as well (`namespace`) renames the sample's to
    /// `exported_namespace`, as in a cluster where targets are discovered.
    pub labels: BTreeMap<String, String>,
}

/// A running Prometheus; it ends when dropped.
pub struct Prometheus {
    process: Process,
    url: String,
    targets: PathBuf,
}

/// Several may run in one testbed; each needs a folder of its own.
static STARTED: AtomicUsize = AtomicUsize::new(0);

impl ScrapeTarget {
    /// A target whose samples keep the labels that they have.
    #[must_use]
    pub fn plain(address: std::net::SocketAddr) -> Self {
        Self { address: address.to_string(), labels: BTreeMap::new() }
    }
}

impl Prometheus {
    /// Starts one and waits until it answers queries.
    pub async fn start(folder: &Folder, targets: &[ScrapeTarget]) -> Result<Self> {
        let name = format!("prometheus-{}", STARTED.fetch_add(1, Ordering::Relaxed));
        let place = folder.subfolder(&name)?;
        let targets_path = place.join("targets.json");
        write_targets(&targets_path, targets)?;
        let config = place.join("prometheus.yaml");
        write(&config, &configuration(&targets_path))?;
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let program = Program {
            name: &name,
            binary: &binaries::find(Component::Prometheus).await?,
            arguments: vec![
                format!("--config.file={}", config.display()),
                format!("--storage.tsdb.path={}", place.join("data").display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ],
            environment: vec![],
        };
        let mut process = Process::start(program, folder.path())?;
        process.wait_until_answers(&format!("{url}/-/ready")).await?;
        Ok(Self { process, url, targets: targets_path })
    }

    /// What `--prometheus-url` takes.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Scrapes these from now on instead; it notices within moments.
    pub fn set_targets(&self, targets: &[ScrapeTarget]) -> Result<()> {
        write_targets(&self.targets, targets)
    }

    /// The value of an instant query that answers with exactly one sample.
    pub async fn value(&self, query: &str) -> Result<f64> {
        let mut url = reqwest::Url::parse(&format!("{}/api/v1/query", self.url))?;
        url.query_pairs_mut().append_pair("query", query);
        let body = http::get(&http::loopback_client()?, url.as_str()).await?;
        let answer: serde_json::Value = serde_json::from_str(&body)?;
        let samples = answer["data"]["result"].as_array().with_context(|| format!("the answer to {query} holds no vector: {body}"))?;
        ensure!(samples.len() == 1, "{query} has {} samples, not one: {body}", samples.len());
        samples[0]["value"][1]
            .as_str()
            .and_then(|text| text.parse().ok())
            .with_context(|| format!("the answer to {query} holds no number: {body}"))
    }
}

fn configuration(targets: &Path) -> String {
    // JSON is YAML, and quotes what needs quoting.
    let config = serde_json::json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [{
            "job_name": "testbed",
            "file_sd_configs": [{"files": [targets], "refresh_interval": "1s"}],
        }],
    });
    format!("{config:#}\n")
}

fn write_targets(path: &Path, targets: &[ScrapeTarget]) -> Result<()> {
    let groups: Vec<_> = targets.iter().map(|target| serde_json::json!({"targets": [target.address], "labels": target.labels})).collect();
    // Renamed into place, since Prometheus may read at any moment.
    let unfinished = path.with_extension("unfinished");
    write(&unfinished, &serde_json::to_string_pretty(&groups)?)?;
    fs::rename(&unfinished, path).with_context(|| format!("failed to replace {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}
