//! The metrics APIs over TLS, as the API server's aggregator calls them.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::server::TlsStream;

use super::lane::Lane;
use super::script::external_name;

/// The API services that lead here.
pub const SERVICES: [&str; 2] = ["v1beta1.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"];

/// Who connects and says nothing keeps others waiting no longer than this.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);

type Lanes = Arc<BTreeMap<&'static str, Arc<Lane>>>;

/// A running server; it ends when dropped.
pub struct MetricsApi {
    port: u16,
    task: JoinHandle<()>,
}

impl MetricsApi {
    /// Serves the metrics of these on a free loopback port.
    pub async fn serve(lanes: BTreeMap<&'static str, Arc<Lane>>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("failed to listen on 127.0.0.1")?;
        let port = listener.local_addr()?.port();
        let router = Router::new()
            .route("/apis/metrics.k8s.io/v1beta1", get(resources))
            .route("/apis/external.metrics.k8s.io/v1beta1", get(external_resources))
            .route("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods", get(pods))
            .route("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}", get(external))
            .with_state(Arc::new(lanes));
        let listener = Tls { listener, acceptor: acceptor()? };
        let task = tokio::spawn(async move {
            // It ends only when aborted: accepting is retried.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { port, task })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for MetricsApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn resources() -> Json<Value> {
    Json(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "metrics.k8s.io/v1beta1",
        "resources": [{"name": "pods", "singularName": "", "namespaced": true, "kind": "PodMetrics", "verbs": ["get", "list"]}],
    }))
}

async fn external_resources() -> Json<Value> {
    Json(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "external.metrics.k8s.io/v1beta1", "resources": []}))
}

async fn pods(State(lanes): State<Lanes>, Path(namespace): Path<String>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let app = query.get("labelSelector").and_then(|selector| selector.strip_prefix("app="));
    let lane = app.and_then(|app| lanes.get(app)).filter(|lane| lane.namespace() == namespace);
    // HPAs of other tests, which share the control plane, find no metrics.
    let items = match lane {
        Some(lane) => lane.answer().await,
        None => Ok(vec![]),
    };
    list("PodMetricsList", "metrics.k8s.io/v1beta1", items)
}

async fn external(State(lanes): State<Lanes>, Path((namespace, metric)): Path<(String, String)>) -> Response {
    let lane = lanes.iter().find(|(name, lane)| external_name(name) == metric && lane.namespace() == namespace);
    let items = match lane {
        Some((_, lane)) => lane.answer().await,
        None => Ok(vec![]),
    };
    list("ExternalMetricValueList", "external.metrics.k8s.io/v1beta1", items)
}

fn list(kind: &str, version: &str, items: Result<Vec<Value>>) -> Response {
    match items {
        Ok(items) => Json(json!({"kind": kind, "apiVersion": version, "metadata": {}, "items": items})).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}

/// A certificate of its own: the aggregator is told not to ask who signed it.
fn acceptor() -> Result<TlsAcceptor> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).context("failed to make a certificate")?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_WITHIN, self.acceptor.accept(stream)).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
