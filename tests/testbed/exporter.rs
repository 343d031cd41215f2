//! A real HTTP exporter whose load is given and whose every other number follows from the pods that are Ready now.
//!
//! It stands for cAdvisor, kube-state-metrics, ingress-nginx and the application itself, which have no pods to measure
//! where kwok plays the kubelet: it reads the Deployment's pods from the API server twice a second, lets the offered
//! load meet their capacity ([`service`]), and shows the result under the real names and labels ([`metrics`]).

pub mod load;
pub mod metrics;
pub mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::core::Selector;
use kube::{Client, ResourceExt};
use tokio::task::JoinHandle;

use load::Load;
use service::{Behaviour, PodState, Service};

/// Twice for each scrape of the testbed's Prometheus.
const STEP: Duration = Duration::from_millis(500);

/// A Deployment that is under load.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Where it is.
    pub namespace: String,
    /// Its name; container, Service and Ingress are taken to have the same.
    pub deployment: String,
    /// The host that clients ask for.
    pub host: String,
    /// Requests a second that are offered at the ingress.
    pub load: Load,
    /// What its replicas can do.
    pub behaviour: Behaviour,
}

/// A workload and what has happened to it since the exporter started.
pub struct Observed {
    workload: Workload,
    load_since: Instant,
    service: Service,
    pods: BTreeMap<String, PodState>,
}

/// A running exporter; it ends when dropped, and with the runtime that it was started in.
pub struct Exporter {
    address: SocketAddr,
    observed: Arc<Mutex<Vec<Observed>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Workload {
    /// A workload of the usual behaviour.
    #[must_use]
    pub fn new(namespace: &str, deployment: &str, load: Load) -> Self {
        Self {
            namespace: namespace.to_owned(),
            deployment: deployment.to_owned(),
            host: format!("{deployment}.example"),
            load,
            behaviour: Behaviour::default(),
        }
    }
}

impl Exporter {
    /// Serves `/metrics` on a free loopback port for these workloads. The client needs to read Deployments and pods.
    pub async fn start(client: Client, workloads: Vec<Workload>) -> Result<Self> {
        let now = Instant::now();
        let observed: Vec<Observed> = workloads
            .into_iter()
            .map(|workload| Observed { workload, load_since: now, service: Service::default(), pods: BTreeMap::new() })
            .collect();
        let observed = Arc::new(Mutex::new(observed));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("failed to listen on 127.0.0.1")?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/metrics", get(page)).with_state(Arc::clone(&observed));
        let server = tokio::spawn(async move {
            // It ends only when aborted: accepting is retried by axum.
            let _ = axum::serve(listener, router).await;
        });
        let stepper = tokio::spawn(step_forever(client, Arc::clone(&observed)));
        Ok(Self { address, observed, tasks: vec![server, stepper] })
    }

    /// What a [`super::prometheus::ScrapeTarget`] takes.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces a Deployment's load, beginning at its time zero.
    pub fn set_load(&self, deployment: &str, load: &Load) {
        let mut observed = lock(&self.observed);
        for one in observed.iter_mut().filter(|one| one.workload.deployment == deployment) {
            one.workload.load = load.clone();
            one.load_since = Instant::now();
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn page(State(observed): State<Arc<Mutex<Vec<Observed>>>>) -> impl IntoResponse {
    let body = metrics::render(&lock(&observed));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], body)
}

async fn step_forever(client: Client, observed: Arc<Mutex<Vec<Observed>>>) {
    let mut clock = tokio::time::interval(STEP);
    let mut last = Instant::now();
    loop {
        clock.tick().await;
        let names: Vec<(String, String)> =
            lock(&observed).iter().map(|one| (one.workload.namespace.clone(), one.workload.deployment.clone())).collect();
        let mut pods = Vec::new();
        for (namespace, deployment) in &names {
            pods.push(pods_of(&client, namespace, deployment).await);
        }
        let seconds = last.elapsed().as_secs_f64();
        last = Instant::now();
        for (one, pods) in lock(&observed).iter_mut().zip(pods) {
            // While the API server does not answer, the pods that were last seen go on serving, as they would.
            if let Ok(pods) = pods {
                meet(&mut one.pods, &pods);
            }
            let demand = one.workload.load.at(one.load_since.elapsed());
            service::step(&mut one.service, &mut one.pods, &one.workload.behaviour, demand, seconds);
        }
    }
}

async fn pods_of(client: &Client, namespace: &str, deployment: &str) -> Result<Vec<Pod>> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let labels = deployments.get(deployment).await?.spec.and_then(|spec| spec.selector.match_labels).unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let of_deployment = ListParams::default().labels_from(&Selector::from_iter(labels));
    Ok(pods.list(&of_deployment).await?.items)
}

/// Takes over what the API server says of each pod; new pods start at zero, and what is gone takes its series along.
fn meet(known: &mut BTreeMap<String, PodState>, pods: &[Pod]) {
    let names: BTreeSet<String> = pods.iter().map(ResourceExt::name_any).collect();
    known.retain(|name, _| names.contains(name));
    for pod in pods {
        let state = known.entry(pod.name_any()).or_default();
        state.uid = pod.uid().unwrap_or_default();
        let spec = pod.spec.clone().unwrap_or_default();
        state.cpu_limited = spec.containers.iter().any(|container| {
            container.resources.as_ref().and_then(|resources| resources.limits.as_ref()).is_some_and(|limits| limits.contains_key("cpu"))
        });
        state.node = spec.node_name.unwrap_or_default();
        let status = pod.status.clone().unwrap_or_default();
        state.running = status.phase.as_deref() == Some("Running");
        state.ready = pod.metadata.deletion_timestamp.is_none()
            && status.conditions.unwrap_or_default().iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
        state.containers = status.container_statuses.unwrap_or_default();
    }
}

/// A panic elsewhere leaves plain numbers behind, which are still good to read.
fn lock(observed: &Mutex<Vec<Observed>>) -> std::sync::MutexGuard<'_, Vec<Observed>> {
    observed.lock().unwrap_or_else(PoisonError::into_inner)
}
