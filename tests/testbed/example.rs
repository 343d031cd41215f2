//! The testbed, left running for a person: `cargo run --example testbed -- [--replay FILE.csv --speed N]`.
//!
//! It starts a control plane with kwok nodes, deploys what lies in `manifests/shop.yaml`, puts it under load, lets a
//! Prometheus scrape the consequences, and prints what to type to watch IPA close the loop. Ctrl-C ends all of it.
#![expect(clippy::print_stdout, reason = "the terminal is where a person reads it")]

/// The folder above, so that the testbed's files are found where the tests find them.
#[path = ".."]
mod tests {
    pub mod testbed;
}

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;

use tests::testbed::Testbed;
use tests::testbed::apply::apply_file;
use tests::testbed::deployments;
use tests::testbed::exporter::load::Load;
use tests::testbed::exporter::service::Behaviour;
use tests::testbed::exporter::{Exporter, Workload};
use tests::testbed::prometheus::ScrapeTarget;

/// The quietest and the busiest moment of the made-up day, in requests a second at the `web` Ingress.
const DAY: (f64, f64) = (60.0, 450.0);

/// Of what `web` gets, `api` gets this much: some pages need no call.
const API_SHARE: f64 = 0.6;

/// A real control plane, Prometheus and a shop under load, until Ctrl-C.
#[derive(Parser)]
struct Arguments {
    /// Requests a second to replay at the `web` Ingress: a CSV file with the header `t,value`, t in seconds
    /// [default: a made-up day]
    #[arg(long, value_name = "FILE.csv")]
    replay: Option<PathBuf>,

    /// Seconds of the recording that pass in one real second
    #[arg(long, default_value_t = 60.0)]
    speed: f64,

    /// Number of kwok nodes, each of 16 cores and 64 GiB
    #[arg(long, default_value_t = 3)]
    nodes: usize,

    /// Start Karpenter as well, with a node pool for pods that tolerate `kwok-provider`
    #[arg(long)]
    karpenter: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // Read before minutes may go into a build.
    let load = match &arguments.replay {
        Some(path) => Load::read_csv(path, arguments.speed)?,
        None => Load::day(DAY.0, DAY.1, arguments.speed),
    };
    let stopped = tokio::signal::ctrl_c();
    tokio::select! {
        ended = run(&arguments, load) => ended,
        stopped = stopped => {
            println!("\nending everything");
            stopped.context("failed to listen for Ctrl-C")
        }
    }
}

async fn run(arguments: &Arguments, load: Load) -> Result<()> {
    let mut steps = Steps::begin();

    let testbed = Testbed::builder().start().await?;
    steps.done("etcd and kube-apiserver");
    let rest = Testbed::builder().controllers().scheduler().kwok(arguments.nodes);
    testbed.add(&if arguments.karpenter { rest.karpenter() } else { rest }).await?;
    steps.done(&format!(
        "kube-controller-manager, kube-scheduler, kwok with {} nodes{}",
        arguments.nodes,
        if arguments.karpenter { ", Karpenter" } else { "" }
    ));

    let client = testbed.client()?;
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testbed/manifests");
    apply_file(&client, &manifests.join("shop.yaml"), None, "kubectl").await?;
    deployments::wait_for_ready(&client, "shop", "web", 4).await?;
    deployments::wait_for_ready(&client, "shop", "api", 3).await?;
    if arguments.karpenter {
        apply_file(&client, &manifests.join("node-pool.yaml"), None, "kubectl").await?;
    }
    steps.done("the shop: Deployments `web` (4 replicas, Ready after 5 s) and `api` (3, after 15 s), each with a Service and an Ingress, in the namespace `shop`");

    let web = Workload::new("shop", "web", load.clone());
    let mut api = Workload::new("shop", "api", load.scaled(API_SHARE));
    api.behaviour = Behaviour { base_latency: Duration::from_millis(80), cpu_at_capacity: 0.9, ..Behaviour::default() };
    let exporter = Exporter::start(client, vec![web, api]).await?;
    let prometheus = testbed.prometheus(&[ScrapeTarget::plain(exporter.address())]).await?;
    steps.done("the exporter and Prometheus");

    let kubeconfig = testbed.kubeconfig_path().display();
    println!(
        "
Kubernetes   kubectl --kubeconfig {kubeconfig} -n shop get deploy,pods
Prometheus   curl '{url}/api/v1/query?query=testbed_utilisation_ratio'   (its web page is no part of its Go module)
exporter     http://{exporter}/metrics
logs         {folder}

Run IPA on it:

    cargo run --release -- run --kubeconfig {kubeconfig} --prometheus-url {url}

Ctrl-C ends everything.",
        url = prometheus.url(),
        exporter = exporter.address(),
        folder = testbed.folder().display(),
    );
    std::future::pending().await
}

/// Says how long each part took.
struct Steps {
    last: Instant,
}

impl Steps {
    fn begin() -> Self {
        Self { last: Instant::now() }
    }

    fn done(&mut self, what: &str) {
        println!("{:6.1} s  {what}", self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
    }
}
