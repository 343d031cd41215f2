//! The actuator against an API server that answers as it is told: what each answer comes to, and how often is written.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{Method, Request, Response};
use jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::{Known, KubeActuator, Lookout};
use crate::domain::limits::{Fleet, GateLimits};
use crate::domain::memory::{Commitments, Memory};
use crate::domain::names::{GroupId, ProposalId, TargetKey, TickId};
use crate::domain::outcome::OutcomeResult;
use crate::domain::plan::Plan;
use crate::domain::proposal::{Change, Origin, Proposal, ReplicasChange, ResourcesChange};
use crate::domain::resize::{Resized, Through};
use crate::domain::review::{Review, Verdict};
use crate::domain::snapshot::{ClusterFacts, Snapshot, SourceHealth};
use crate::domain::units::{GoDuration, Millicores};
use crate::domain::workload::{Container, ContainerResources};
use crate::guardrails::{Released, release};
use crate::ports::{Actuator, Lease};

const NOW: &str = "2026-03-02T10:00:00Z";
const EPOCH: u64 = 7;

/// How the server answers a write.
enum Answer {
    /// Stores it and says so.
    Store,
    /// Stores it or not, and never answers.
    Silence { stored: bool },
    /// Refuses it, after the object was changed by somebody else.
    Refuse { code: u16, reason: &'static str, message: &'static str, manager: Option<&'static str>, meanwhile: fn(&mut Value) },
}

fn refuse(code: u16, reason: &'static str, message: &'static str) -> Answer {
    Answer::Refuse { code, reason, message, manager: None, meanwhile: |_| {} }
}

/// One Deployment and what becomes of it.
struct Server {
    deployment: Option<Value>,
    answers: VecDeque<Answer>,
    writes: Vec<(String, Value)>,
}

type Shared = Arc<Mutex<Server>>;

fn writer(manager: &str, operation: &str, subresource: &str, at: &str) -> Value {
    json!({"manager": manager, "operation": operation, "subresource": subresource, "time": at, "fieldsV1": {"f:spec": {"f:replicas": {}}}})
}

fn deployment(replicas: u32, writers: &[Value]) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": "100", "generation": 4, "managedFields": writers},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [
            {"name": "app", "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}}, {"name": "side"}]}}},
        "status": {"replicas": replicas}
    })
}

impl Server {
    fn new(deployment: Option<Value>, answers: Vec<Answer>) -> Shared {
        Arc::new(Mutex::new(Self { deployment, answers: answers.into(), writes: Vec::new() }))
    }

    fn read(&self, path: &str) -> (u16, Value) {
        match &self.deployment {
            None => (404, status(404, "NotFound", "deployments.apps \"web\" not found", None)),
            Some(deployment) if path.ends_with("/scale") => (200, scale_of(deployment)),
            Some(deployment) => (200, deployment.clone()),
        }
    }

    /// Stores what is asked for and gives the answer's body.
    fn store(&mut self, path: &str, body: &Value) -> Value {
        let deployment = self.deployment.as_mut().unwrap();
        deployment["metadata"]["resourceVersion"] = "101".into();
        let writers = deployment["metadata"]["managedFields"].as_array_mut().unwrap();
        if path.contains("/scale") {
            writers.push(writer("ipa-actuator", "Apply", "scale", NOW));
            deployment["spec"]["replicas"] = body["spec"]["replicas"].clone();
            scale_of(deployment)
        } else {
            for container in body["spec"]["template"]["spec"]["containers"].as_array().unwrap() {
                let stored = deployment["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
                let place = stored.iter_mut().find(|c| c["name"] == container["name"]).unwrap();
                for list in ["requests", "limits"] {
                    for (name, amount) in container["resources"][list].as_object().unwrap() {
                        place["resources"][list][name] = amount.clone();
                    }
                }
            }
            deployment.clone()
        }
    }
}

fn scale_of(deployment: &Value) -> Value {
    json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": deployment["metadata"],
           "spec": {"replicas": deployment["spec"]["replicas"]}, "status": {"replicas": 1}})
}

fn status(code: u16, reason: &str, message: &str, manager: Option<&str>) -> Value {
    let causes: Vec<Value> = manager
        .map(|m| json!({"reason": "FieldManagerConflict", "message": format!("conflict with \"{m}\" using apps/v1"), "field": ".spec.replicas"}))
        .into_iter()
        .collect();
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message, "details": {"causes": causes}})
}

fn client(server: &Shared) -> Client {
    let server = server.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let server = server.clone();
        async move {
            let method = request.method().clone();
            let path = request.uri().path().to_owned();
            let query = request.uri().query().unwrap_or_default().to_owned();
            let body = request.into_body().collect_bytes().await.unwrap();
            let answer = answer(&server, &method, &path, &query, &body);
            let Some((code, body)) = answer else { return std::future::pending().await };
            let response = Response::builder().status(code).body(Body::from(serde_json::to_vec(&body).unwrap())).unwrap();
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    Client::new(service, "default")
}

fn answer(server: &Shared, method: &Method, path: &str, query: &str, body: &[u8]) -> Option<(u16, Value)> {
    let mut server = server.lock().unwrap();
    if *method == Method::GET {
        return Some(server.read(path));
    }
    let body: Value = serde_json::from_slice(body).unwrap();
    server.writes.push((format!("{path}?{query}"), body.clone()));
    match server.answers.pop_front().expect("one write more than was foreseen") {
        Answer::Store => Some((200, server.store(path, &body))),
        Answer::Silence { stored } => {
            if stored {
                server.store(path, &body);
            }
            None
        }
        Answer::Refuse { code, reason, message, manager, meanwhile } => {
            if let Some(deployment) = &mut server.deployment {
                meanwhile(deployment);
            }
            Some((code, status(code, reason, message, manager)))
        }
    }
}

struct Held(Option<u64>);

#[async_trait]
impl Lease for Held {
    async fn epoch(&self, until: Timestamp) -> Option<u64> {
        // Held for a minute: long enough for a write, and no longer.
        self.0.filter(|_| until < NOW.parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_mins(1))
    }
}

struct Fixed(Known);

impl Lookout for Fixed {
    fn known(&self, _: &TargetKey) -> Known {
        self.0.clone()
    }

    fn fleet(&self, _: &str) -> Option<Fleet> {
        None
    }
}

fn released(change: Change) -> Released {
    let at: Timestamp = NOW.parse().unwrap();
    let proposal = Proposal {
        id: ProposalId("t1-planner-1".into()),
        group: GroupId::new("shop", "web"),
        origin: Origin::Planner,
        change: change.clone(),
        rationale: String::new(),
        evidence: vec![],
        made: at,
        cost_change_per_hour: None,
    };
    let review = Review { proposal: proposal.id.clone(), verdict: Verdict::Admit, change: Some(change), rulings: vec![] };
    let snapshot = Snapshot {
        at,
        tick: TickId(1),
        cluster: "test".into(),
        facts: ClusterFacts::default(),
        signals: BTreeMap::new(),
        metrics_health: SourceHealth::Ok,
        catalogue: Arc::default(),
        limits: GateLimits::default(),
        outcomes: vec![],
        memory: Memory::default(),
        past: vec![],
    };
    release(&snapshot, &Plan::default(), &proposal, &review, EPOCH, &mut Commitments::default()).unwrap()
}

fn scale(from: u32, to: u32) -> Change {
    Change::Replicas(ReplicasChange { target: TargetKey::deployment("shop", "web"), uid: "u1".into(), from, to })
}

async fn carry_out_as(server: &Shared, change: Change, lease: Held, seen: &str) -> OutcomeResult {
    let known = Known { human_hold: GoDuration::from_mins(15), resource_version: Some(seen.into()) };
    let actuator = KubeActuator {
        write_deadline: Duration::from_millis(200),
        ..KubeActuator::new(client(server), Arc::new(lease), Arc::new(Fixed(known)))
    };
    actuator.carry_out(released(change), NOW.parse().unwrap()).await.result
}

async fn carry_out(server: &Shared, change: Change) -> OutcomeResult {
    carry_out_as(server, change, Held(Some(EPOCH)), "100").await
}

fn writes(server: &Shared) -> usize {
    server.lock().unwrap().writes.len()
}

#[tokio::test]
async fn replicas_are_applied_on_scale_with_the_uid_and_version_they_were_decided_on() {
    let server = Server::new(Some(deployment(4, &[writer("ipa-actuator", "Apply", "scale", NOW)])), vec![Answer::Store]);
    assert_eq!(carry_out(&server, scale(4, 7)).await, OutcomeResult::Applied { resource_version: Some("101".into()) });
    let (request, body) = server.lock().unwrap().writes[0].clone();
    assert_eq!(request, "/apis/apps/v1/namespaces/shop/deployments/web/scale?&fieldManager=ipa-actuator");
    assert_eq!(
        body,
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 7},
               "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": "100"}})
    );
}

#[tokio::test]
async fn force_is_used_only_where_the_owner_may_be_taken_over() {
    let old_scale = writer("kubectl", "Update", "scale", "2026-03-02T09:00:00Z");
    let server = Server::new(Some(deployment(4, &[old_scale])), vec![Answer::Store]);
    assert!(carry_out(&server, scale(4, 7)).await.is_applied());
    assert!(server.lock().unwrap().writes[0].0.contains("force=true"));

    for (manager, operation, subresource, at, advice) in [
        ("kubectl", "Update", "scale", "2026-03-02T09:55:00Z", "humanHold"),
        ("argocd-controller", "Apply", "", "2026-03-01T00:00:00Z", "Argo CD"),
        ("kube-controller-manager", "Update", "scale", "2026-03-01T00:00:00Z", "HPA"),
        ("kubectl-client-side-apply", "Update", "", "2026-03-01T00:00:00Z", "ipa adopt"),
    ] {
        let server = Server::new(Some(deployment(4, &[writer(manager, operation, subresource, at)])), vec![]);
        match carry_out(&server, scale(4, 7)).await {
            OutcomeResult::Conflicted { manager: found, advice: text } => assert!(*found == *manager && text.contains(advice), "{text}"),
            other => panic!("{manager}: {other:?}"),
        }
        assert_eq!(writes(&server), 0);
    }
}

#[tokio::test]
async fn fault_k01_a_conflict_of_versions_is_looked_at_again_and_written_at_most_three_times() {
    let stale =
        |meanwhile| Answer::Refuse { code: 409, reason: "Conflict", message: "the object has been modified", manager: None, meanwhile };
    let status_only: fn(&mut Value) = |d| d["metadata"]["resourceVersion"] = "101".into();
    let own = [writer("ipa-actuator", "Apply", "scale", NOW)];

    let server = Server::new(Some(deployment(4, &own)), vec![stale(status_only), Answer::Store]);
    assert!(carry_out(&server, scale(4, 7)).await.is_applied());
    assert_eq!(server.lock().unwrap().writes[1].1["metadata"]["resourceVersion"], "101", "the second write is decided on the second look");

    let server = Server::new(Some(deployment(4, &own)), vec![stale(status_only), stale(status_only), stale(status_only)]);
    assert!(matches!(carry_out(&server, scale(4, 7)).await, OutcomeResult::WorldChanged { .. }));
    assert_eq!(writes(&server), 3);

    for meanwhile in [(|d: &mut Value| d["spec"]["replicas"] = 5.into()) as fn(&mut Value), |d| d["metadata"]["generation"] = 5.into()] {
        let server = Server::new(Some(deployment(4, &own)), vec![stale(meanwhile)]);
        assert!(matches!(carry_out(&server, scale(4, 7)).await, OutcomeResult::WorldChanged { .. }), "judged on another world");
        assert_eq!(writes(&server), 1);
    }

    let person: fn(&mut Value) = |d| d["metadata"]["managedFields"] = json!([writer("kubectl", "Update", "scale", NOW)]);
    let server = Server::new(Some(deployment(4, &own)), vec![stale(person)]);
    assert!(matches!(carry_out(&server, scale(4, 7)).await, OutcomeResult::Conflicted { .. }), "a person stepped in between the tries");
    assert_eq!(writes(&server), 1);
}

#[tokio::test]
async fn fault_k02_an_apply_that_conflicts_names_the_manager_and_is_not_forced() {
    let conflict = Answer::Refuse {
        code: 409,
        reason: "Conflict",
        message: "Apply failed with 1 conflict",
        manager: Some("argocd-controller"),
        meanwhile: |_| {},
    };
    let server = Server::new(Some(deployment(4, &[])), vec![conflict]);
    match carry_out(&server, scale(4, 7)).await {
        OutcomeResult::Conflicted { manager, .. } => assert_eq!(&*manager, "argocd-controller"),
        other => panic!("{other:?}"),
    }
    let server = server.lock().unwrap();
    assert!(server.writes.len() == 1 && !server.writes[0].0.contains("force"));
}

#[tokio::test]
async fn fault_k03_rbac_admission_and_quota_are_told_apart_and_not_tried_again() {
    let rbac = "deployments.apps \"web\" is forbidden: User \"system:serviceaccount:ipa-system:ipa-actuator\" cannot patch resource \"deployments/scale\" in API group \"apps\" in the namespace \"shop\"";
    let policy = "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'ipa-fence-scale' with binding 'ipa-fence-scale' denied request: target not enrolled";
    for (code, message, reason) in
        [(403, rbac, "Forbidden"), (403, policy, "Denied"), (422, "replicas: Invalid value", "Denied"), (401, "Unauthorized", "Forbidden")]
    {
        let server = Server::new(Some(deployment(4, &[])), vec![refuse(code, "", message)]);
        assert_eq!(carry_out(&server, scale(4, 7)).await.reason(), reason, "{message}");
        assert_eq!(writes(&server), 1);
    }
}

#[tokio::test]
async fn fault_k05_a_write_whose_answer_is_lost_is_confirmed_by_a_look_and_never_repeated() {
    for (stored, expected) in [(true, "Confirmed"), (false, "Unknown")] {
        let server = Server::new(Some(deployment(4, &[])), vec![Answer::Silence { stored }]);
        assert_eq!(carry_out(&server, scale(4, 7)).await.reason(), expected);
        assert_eq!(writes(&server), 1);
    }
    // The outcome was lost with the process; the next one finds it done.
    let server = Server::new(Some(deployment(7, &[writer("ipa-actuator", "Apply", "scale", NOW)])), vec![]);
    assert_eq!(carry_out(&server, scale(4, 7)).await, OutcomeResult::Confirmed);
    // The same number by somebody else's hand is not ours.
    let server = Server::new(Some(deployment(7, &[writer("kubectl", "Update", "scale", NOW)])), vec![]);
    assert!(matches!(carry_out(&server, scale(4, 7)).await, OutcomeResult::WorldChanged { .. }));
}

#[tokio::test]
async fn fault_k07_an_older_world_is_not_acted_on() {
    let server = Server::new(Some(deployment(4, &[])), vec![]);
    assert!(matches!(carry_out_as(&server, scale(4, 7), Held(Some(EPOCH)), "101").await, OutcomeResult::WorldChanged { .. }));
}

#[tokio::test]
async fn fault_k08_a_target_that_is_gone_or_another_one_is_left_alone() {
    let server = Server::new(None, vec![]);
    assert_eq!(carry_out(&server, scale(4, 7)).await, OutcomeResult::Gone);

    let mut recreated = deployment(4, &[]);
    recreated["metadata"]["uid"] = "u2".into();
    let server = Server::new(Some(recreated), vec![]);
    assert_eq!(carry_out(&server, scale(4, 7)).await, OutcomeResult::Gone);

    let mut dying = deployment(4, &[]);
    dying["metadata"]["deletionTimestamp"] = NOW.into();
    let server = Server::new(Some(dying), vec![]);
    assert_eq!(carry_out(&server, scale(4, 7)).await, OutcomeResult::Gone);

    let server = Server::new(Some(deployment(4, &[])), vec![refuse(404, "NotFound", "not found")]);
    assert_eq!(carry_out(&server, scale(4, 7)).await, OutcomeResult::Gone);
}

#[tokio::test]
async fn nothing_is_written_without_the_lease_or_under_another_epoch() {
    for lease in [Held(None), Held(Some(EPOCH + 1))] {
        let server = Server::new(Some(deployment(4, &[])), vec![]);
        assert_eq!(carry_out_as(&server, scale(4, 7), lease, "100").await, OutcomeResult::NotLeader);
    }
}

fn resize(from: ContainerResources, to: ContainerResources) -> Change {
    Change::Resources(ResourcesChange {
        target: TargetKey::deployment("shop", "web"),
        uid: "u1".into(),
        container: "app".into(),
        from,
        to,
        through: Through::Template,
    })
}

const HALF: ContainerResources =
    ContainerResources { cpu_request: Some(Millicores(500)), cpu_limit: Some(Millicores(1000)), memory_request: None, memory_limit: None };

#[tokio::test]
async fn resources_of_the_named_container_alone_are_applied() {
    let server = Server::new(Some(deployment(4, &[])), vec![Answer::Store]);
    let more = ContainerResources { cpu_request: Some(Millicores(750)), ..HALF };
    assert!(carry_out(&server, resize(HALF, more)).await.is_applied());
    let (request, body) = server.lock().unwrap().writes[0].clone();
    assert_eq!(request, "/apis/apps/v1/namespaces/shop/deployments/web?&fieldManager=ipa-actuator");
    assert_eq!(
        body["spec"],
        json!({"template": {"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "750m"}, "limits": {"cpu": "1"}}}]}}})
    );
}

#[tokio::test]
async fn containers_that_are_ours_already_stay_ours_when_another_is_resized() {
    let mut object = deployment(4, &[]);
    object["spec"]["template"]["spec"]["containers"][1]["resources"] = json!({"requests": {"cpu": "100m"}});
    object["metadata"]["managedFields"] = json!([{"manager": "ipa-actuator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {"f:spec":
        {"f:containers": {"k:{\"name\":\"side\"}": {"f:resources": {"f:requests": {"f:cpu": {}}}}}}}}}}]);
    let server = Server::new(Some(object), vec![Answer::Store]);
    let more = ContainerResources { cpu_request: Some(Millicores(750)), ..HALF };
    assert!(carry_out(&server, resize(HALF, more)).await.is_applied());
    let containers = server.lock().unwrap().writes[0].1["spec"]["template"]["spec"]["containers"].clone();
    assert_eq!(containers[1], json!({"name": "side", "resources": {"requests": {"cpu": "100m"}, "limits": {}}}));
}

#[tokio::test]
async fn a_limit_that_somebody_else_set_cannot_be_unset_and_is_not_half_done() {
    let server = Server::new(Some(deployment(4, &[])), vec![Answer::Store]);
    let without_limit = ContainerResources { cpu_limit: None, ..HALF };
    assert!(matches!(carry_out(&server, resize(HALF, without_limit)).await, OutcomeResult::Conflicted { .. }));
    let server = server.lock().unwrap();
    assert!(server.writes.len() == 1 && server.writes[0].0.contains("dryRun=All"), "rehearsed, not written");
}

#[tokio::test]
async fn resources_that_changed_meanwhile_are_judged_anew() {
    let server = Server::new(Some(deployment(4, &[])), vec![]);
    let other = ContainerResources { cpu_request: Some(Millicores(600)), ..HALF };
    assert!(matches!(carry_out(&server, resize(other, HALF)).await, OutcomeResult::WorldChanged { .. }));
}

#[tokio::test]
async fn sizes_in_force_ride_along_into_the_template_in_one_write() {
    let side = Container { name: "side".into(), resources: ContainerResources { cpu_request: Some(Millicores(50)), ..Default::default() } };
    let written = Container { name: "side".into(), resources: ContainerResources::default() };
    let resized = Resized { containers: vec![side], since: NOW.parse().unwrap() };
    let mut object = deployment(4, &[]);
    object["metadata"]["annotations"] = json!({"ipa.dev/resized": crate::adapters::kube::resized::write(&resized, &[written]).unwrap()});
    let server = Server::new(Some(object), vec![Answer::Store]);
    let more = ContainerResources { cpu_request: Some(Millicores(750)), ..HALF };
    assert!(carry_out(&server, resize(HALF, more)).await.is_applied());
    let body = server.lock().unwrap().writes[0].1.clone();
    let containers = body["spec"]["template"]["spec"]["containers"].clone();
    assert_eq!(containers[0]["resources"]["requests"], json!({"cpu": "750m"}));
    assert_eq!(containers[1], json!({"name": "side", "resources": {"requests": {"cpu": "50m"}, "limits": {}}}));
    assert!(body["metadata"]["annotations"].is_null(), "what is in the template is no longer in force beside it");
}
