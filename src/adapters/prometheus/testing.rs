//! Test data through one door: a small world of targets, and a server that answers as it is told and counts what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::Timestamp;

use crate::domain::limits::{Actuation, Bounds, Criticality, CustomSignal, Group, GroupTarget, Mode, Modes, Paused, TimeZoneName};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::resize::PodSize;
use crate::domain::units::{Bytes, GoDuration, Millicores};
use crate::domain::workload::{Container, ContainerResources, Pod, PodPhase, PodTemplate, ReplicaCounts, Rollout, Routes, Workload};

type World = (BTreeMap<GroupId, Group>, BTreeMap<TargetKey, Workload>);

/// Targets by namespace, name and ready pods; pods are called `NAME-0` and on, each target has a Service and an Ingress of its own name.
pub fn world(targets: &[(&str, &str, u32)]) -> World {
    let mut groups: BTreeMap<GroupId, Group> = BTreeMap::new();
    let mut workloads = BTreeMap::new();
    for (namespace, name, pods) in targets {
        let key = TargetKey::deployment(namespace, name);
        let id = GroupId::new(namespace, "all");
        groups.entry(id.clone()).or_insert_with(|| group(id)).targets.push(GroupTarget {
            key: key.clone(),
            container: None,
            bounds: Bounds { min: 1, max: 100 },
            criticality: Criticality::Medium,
            capacity_per_replica: None,
        });
        workloads.insert(key.clone(), workload(key, *pods));
    }
    (groups, workloads)
}

fn group(id: GroupId) -> Group {
    Group {
        id,
        uid: "g".into(),
        generation: 1,
        created: None,
        targets: Vec::new(),
        modes: Modes::all(Mode::Observe),
        signals: Vec::<CustomSignal>::new(),
        slo: None,
        cost_budget_per_hour: None,
        time_zone: TimeZoneName::utc(),
        freeze_windows: Vec::new(),
        surges: Vec::new(),
        depends_on: Vec::new(),
        actuation: Actuation::Replicas,
        human_hold: GoDuration::from_mins(30),
        model_enabled: false,
        forecast_model: None,
        paused: Paused::default(),
    }
}

fn workload(key: TargetKey, pods: u32) -> Workload {
    let name = key.name.clone();
    let resources = ContainerResources {
        cpu_request: Some(Millicores(500)),
        cpu_limit: Some(Millicores(1000)),
        memory_request: Some(Bytes(512 * Bytes::MIB)),
        memory_limit: Some(Bytes(1024 * Bytes::MIB)),
    };
    let sidecar = Container { name: "istio-proxy".into(), resources: ContainerResources::default() };
    Workload {
        uid: "u".into(),
        generation: 1,
        resource_version: "1".into(),
        replicas: ReplicaCounts { desired: pods, current: pods, ready: pods },
        rollout: Rollout::Complete,
        template: PodTemplate {
            hash: "h".into(),
            containers: vec![Container { name: "app".into(), resources }, sidecar],
            ..PodTemplate::default()
        },
        resized: None,
        pods: (0..pods)
            .map(|n| Pod {
                name: format!("{name}-{n}").into(),
                node: None,
                phase: PodPhase::Ready,
                created: None,
                scheduled: None,
                ready_since: None,
                restarts: 0,
                oom_killed: false,
                current_template: true,
                size: PodSize::default(),
            })
            .collect(),
        writers: Vec::new(),
        autoscalers: Vec::new(),
        disruption_budgets: Vec::new(),
        annotations: BTreeMap::new(),
        routes: Routes { services: vec![name.clone()], ingresses: vec![name] },
        created: None,
        key,
    }
}

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `query` or `query_range`.
    pub range: bool,
    /// The form.
    pub form: BTreeMap<String, String>,
    /// The headers.
    pub headers: HeaderMap,
}

impl Asked {
    /// The `PromQL`.
    pub fn query(&self) -> &str {
        &self.form["query"]
    }

    /// A number of the form.
    pub fn number(&self, field: &str) -> i64 {
        self.form[field].parse().unwrap()
    }
}

/// What the server says to a request.
pub type Script = Arc<dyn Fn(&Asked) -> Response + Send + Sync>;

/// A server on loopback that plays Prometheus.
pub struct Fake {
    /// Its base URL.
    pub url: String,
    state: Shared,
}

#[derive(Clone)]
struct Shared {
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<Script>>,
}

impl Fake {
    /// Starts one that answers by `script`.
    pub async fn start(script: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        let state = Shared { asked: Arc::default(), script: Arc::new(Mutex::new(Arc::new(script))) };
        let instant = |State(state): State<Shared>, headers: HeaderMap, body: String| async move { state.answer(false, headers, &body) };
        let range = |State(state): State<Shared>, headers: HeaderMap, body: String| async move { state.answer(true, headers, &body) };
        let app =
            axum::Router::new().route("/api/v1/query", post(instant)).route("/api/v1/query_range", post(range)).with_state(state.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, state }
    }

    /// Answers by another script from now on.
    pub fn script(&self, script: impl Fn(&Asked) -> Response + Send + Sync + 'static) {
        *self.state.script.lock().unwrap() = Arc::new(script);
    }

    /// What was asked since the last call.
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.state.asked.lock().unwrap())
    }
}

impl Shared {
    fn answer(&self, range: bool, headers: HeaderMap, body: &str) -> Response {
        // A form has the syntax of a URL's query.
        let form = reqwest::Url::parse(&format!("http://form/?{body}")).unwrap().query_pairs().into_owned().collect();
        let asked = Asked { range, form, headers };
        let script = self.script.lock().unwrap().clone();
        let response = script(&asked);
        self.asked.lock().unwrap().push(asked);
        response
    }
}

/// A body with the server's clock in its `Date`, as it stands `now`.
pub fn dated(now: Timestamp, status: StatusCode, body: impl Into<String>) -> Response {
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    (status, [(header::CONTENT_TYPE, "application/json".to_owned()), (header::DATE, date)], body.into()).into_response()
}

/// A body with no `Date` that says anything.
pub fn plain(status: StatusCode, body: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json"), (header::DATE, "-")], body.into()).into_response()
}

/// Series of one constant value each: at the instant asked for, or on the whole range.
pub fn constant(asked: &Asked, series: &[(&[(&str, &str)], f64)]) -> Response {
    let rows: Vec<serde_json::Value> = series
        .iter()
        .map(|(labels, value)| {
            let metric: BTreeMap<&str, &str> = labels.iter().copied().collect();
            if asked.range {
                let (start, end, step) = (asked.number("start"), asked.number("end"), asked.number("step"));
                let values: Vec<_> = (0..=(end - start) / step).map(|i| serde_json::json!([start + i * step, value.to_string()])).collect();
                serde_json::json!({"metric": metric, "values": values})
            } else {
                serde_json::json!({"metric": metric, "value": [asked.number("time"), value.to_string()]})
            }
        })
        .collect();
    success(asked.range, &rows)
}

/// An answer of status success.
pub fn success(range: bool, rows: &[serde_json::Value]) -> Response {
    let kind = if range { "matrix" } else { "vector" };
    plain(StatusCode::OK, serde_json::json!({"status": "success", "data": {"resultType": kind, "result": rows}}).to_string())
}
