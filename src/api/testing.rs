//! A server over a real ledger, with a small shop in it: what the tests of this room ask.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body as HttpBody, to_bytes};
use axum::http::{HeaderMap, Request};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tower::ServiceExt;

use super::{Server, ServerSettings};
use crate::adapters::ledger::SqliteLedger;
use crate::domain::limits::{Criticality, Mode, Modes};
use crate::domain::memory::AskReason;
use crate::domain::names::{Digest, EvidenceId, GroupId, ProposalId, TargetKey, TickId};
use crate::domain::outcome::{Outcome, OutcomeResult};
use crate::domain::plan::{CapacitySource, SizingBasis, SizingReason};
use crate::domain::proposal::{Change, Origin, Proposal, ReplicasChange};
use crate::domain::record::{
    Asked, Closed, DialogueEnd, DialogueRecord, DialogueSummary, EntryBody, Evidence, Fate, Intent, Judged, Opened, PlanSummary,
    SignalEvidence, TargetEvidence, TickVerdict, Usage,
};
use crate::domain::review::{Compared, Review, RuleId, Ruling, Verdict};
use crate::domain::snapshot::{DecisionVerdict, QueuedProposal, SourceHealth};
use crate::domain::status::{Condition, ConditionType};
use crate::domain::units::MicroUsd;
use crate::domain::workload::{ReplicaCounts, Rollout};
use crate::ports::{Body, Clock, Decisions, NewEntry, PortError};
use crate::tick::{GroupView, ModelView, NodesView, Published, SignalView, TargetView, Totals};

/// The target that was scaled up in tick 812.
pub(super) const WEB: &str = "shop/deployments.apps/web";

/// The proposal that waits since tick 811.
pub(super) const WAITING: &str = "t811-model-1";

/// A decision as it went out: proposal, verdict, digest, token.
pub(super) type Decided = (String, DecisionVerdict, Digest, Option<String>);

/// A server that is not served yet, and the other ends of what it holds.
pub(super) struct Fixture {
    pub(super) server: Server,
    pub(super) publisher: watch::Sender<Option<Arc<Published>>>,
    pub(super) clock: Arc<SetClock>,
    pub(super) decided: Arc<Mutex<Vec<Decided>>>,
    pub(super) asked: Option<mpsc::Receiver<GroupId>>,
    refusal: Arc<Mutex<Option<(String, String)>>>,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let (sender, published) = watch::channel(Some(Arc::new(published())));
        let (asks, asked) = mpsc::channel(4);
        let clock = Arc::new(SetClock(Mutex::new(at(812))));
        let (decided, refusal) = (Arc::default(), Arc::default());
        let server = Server {
            published,
            ledger: Arc::new(SqliteLedger::in_memory().await.unwrap()),
            decisions: Some(Arc::new(Noting { decided: Arc::clone(&decided), refusal: Arc::clone(&refusal) })),
            asks,
            clock: clock.clone(),
            settings: ServerSettings {
                listen: "127.0.0.1:0".parse().unwrap(),
                token: None,
                host_names: Vec::new(),
                interval: Duration::from_mins(1),
                demo: false,
                title: "IPA".into(),
            },
        };
        Self { server, publisher: sender, clock, decided, asked: Some(asked), refusal }
    }

    /// Decisions fail from now on.
    pub(super) fn refuse_decisions(&self, action: &str, detail: &str) {
        *self.refusal.lock().unwrap() = Some((action.into(), detail.into()));
    }

    /// Writes ticks 810 to 812: nothing to do; a scale-down held and a scale-up queued; a scale-up carried out.
    pub(super) async fn tell_a_story(&self) {
        let ledger = &*self.server.ledger;
        self.quiet_tick(810, &["front", "back"]).await;

        self.open(811, &["front", "back"]).await;
        let cart = replicas("t811-planner-1", "front", "cart", Origin::Planner, (5, 3));
        let held = judged(&cart, Verdict::Refuse, RuleId::StaleMetrics, Fate::Held, "metrics are 240 s old; the limit is 180 s");
        let queued = judged(&waiting(), Verdict::Queue, RuleId::Mode, Fate::Queued, "scale-ups of checkout need a person (Recommend)");
        self.close(811, "front", TickVerdict::Held, vec![held], not_asked()).await;
        self.close(811, "back", TickVerdict::Blocked, vec![queued], not_asked()).await;

        self.open(812, &["front", "back"]).await;
        let web = replicas("t812-model-1", "front", "web", Origin::Model, (4, 7));
        let transcript = ledger.put_bodies(vec![Body::Dialogue(dialogue())], at(812)).await.unwrap().remove(0);
        let intent = Intent {
            proposal: web.id.clone(),
            origin: Origin::Model,
            change: web.change.clone(),
            epoch: 3,
            reflex: false,
            approved_by: None,
        };
        let result = OutcomeResult::Applied { resource_version: Some("991".into()) };
        let outcome = Outcome { proposal: web.id.clone(), origin: Origin::Model, change: web.change.clone(), result, at: at(812) };
        self.append(812, "front", EntryBody::Intent(intent)).await;
        self.append(812, "front", EntryBody::Outcome(outcome)).await;
        let applied = judged(&web, Verdict::Admit, RuleId::Step, Fate::Applied, "3 more replicas are within the step of 4");
        let summary = DialogueSummary {
            asked: Asked::Yes(AskReason::SurgeNear),
            end: Some(DialogueEnd::Finished),
            transcript: Some(transcript),
            usage: dialogue().usage,
        };
        self.close(812, "front", TickVerdict::Acted, vec![applied], summary).await;
        self.close(812, "back", TickVerdict::Held, Vec::new(), not_asked()).await;
    }

    /// Ticks of one group in which nothing is done.
    pub(super) async fn quiet_ticks(&self, ticks: RangeInclusive<u64>) {
        for tick in ticks {
            self.quiet_tick(tick, &["front"]).await;
        }
    }

    async fn quiet_tick(&self, tick: u64, groups: &[&str]) {
        self.open(tick, groups).await;
        for group in groups {
            self.close(tick, group, TickVerdict::Held, Vec::new(), not_asked()).await;
        }
    }

    async fn open(&self, tick: u64, groups: &[&str]) {
        for group in groups {
            let evidence = self.server.ledger.put_bodies(vec![Body::Evidence(evidence(group))], at(tick)).await.unwrap().remove(0);
            let modes = targets(group).into_iter().map(|key| (key, Modes::all(Mode::Auto))).collect();
            self.append(tick, group, EntryBody::Opened(Opened { evidence, modes, metrics: SourceHealth::Ok })).await;
        }
    }

    async fn close(&self, tick: u64, group: &str, verdict: TickVerdict, proposals: Vec<Judged>, dialogue: DialogueSummary) {
        let plan = targets(group).into_iter().map(|key| (key, plan())).collect();
        let closed = Closed { verdict, reason: format!("{verdict:?}"), plan, proposals, findings: Vec::new(), dialogue };
        self.append(tick, group, EntryBody::Closed(Box::new(closed))).await;
    }

    async fn append(&self, tick: u64, group: &str, body: EntryBody) {
        let entry = NewEntry { at: at(tick), cluster: "demo".into(), group: GroupId::new("shop", group), tick: TickId(tick), body };
        self.server.ledger.append(vec![entry]).await.unwrap();
    }

    /// The server as something to ask.
    pub(super) fn serve(self) -> Api {
        Api { router: self.server.router() }
    }
}

/// Something to ask.
pub(super) struct Api {
    router: Router,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) text: String,
    /// Null where the answer is not JSON.
    pub(super) json: Value,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

impl Api {
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub(super) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, "").await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub(super) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "localhost:8080");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(HttpBody::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status, headers, json: serde_json::from_str(&text).unwrap_or_default(), text }
    }
}

/// A clock that stands until it is put forward.
pub(super) struct SetClock(Mutex<Timestamp>);

impl SetClock {
    pub(super) fn forward(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now += SignedDuration::from_secs(seconds);
    }
}

#[async_trait]
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep_until(&self, _: Timestamp) {}
}

/// Notes each decision, or refuses it.
struct Noting {
    decided: Arc<Mutex<Vec<Decided>>>,
    refusal: Arc<Mutex<Option<(String, String)>>>,
}

#[async_trait]
impl Decisions for Noting {
    async fn decide(
        &self,
        proposal: &ProposalId,
        verdict: DecisionVerdict,
        digest: &Digest,
        token: Option<&str>,
        _: Timestamp,
    ) -> Result<(), PortError> {
        if let Some((action, detail)) = self.refusal.lock().unwrap().clone() {
            return Err(PortError::Failed { action, detail });
        }
        self.decided.lock().unwrap().push((proposal.0.clone(), verdict, digest.clone(), token.map(str::to_owned)));
        Ok(())
    }
}

/// What tick 812 published.
pub(super) fn published() -> Published {
    let mut web = target_view("web", 4, 7);
    web.shadow_hpa = Some(5);
    let mut totals = Totals { ticks: 812, entries: 2_440, lateness_s: 0.02, tick_s: 0.3, ..Totals::default() };
    totals.decisions.insert("Applied/Planner".into(), 31);
    totals.verdicts.insert("StaleMetrics/Refuse".into(), 2);
    totals.dialogues.insert("Finished".into(), 4);
    totals.failures.insert("status".into(), 1);
    totals.usage = dialogue().usage;
    Published {
        at: at(812),
        tick: TickId(812),
        cluster: "demo".into(),
        metrics: SourceHealth::Ok,
        groups: vec![group_view("front", vec![web, target_view("cart", 5, 5)]), group_view("back", vec![target_view("checkout", 6, 14)])],
        rejected: Vec::new(),
        nodes: NodesView { count: 3, ready: 3, cost_per_hour: MicroUsd(576_000), planned: Vec::new(), unschedulable: Vec::new() },
        queue: vec![queued(waiting())],
        model: Some(ModelView {
            model: "expert".into(),
            played_by: Some("scripted expert".into()),
            availability: "Available".into(),
            tokens_remaining: Some(180_000),
        }),
        totals,
    }
}

fn at(tick: u64) -> Timestamp {
    let since = SignedDuration::from_mins(i64::try_from(tick).unwrap() - 812);
    "2026-03-02T08:00:00Z".parse::<Timestamp>().unwrap() + since
}

fn targets(group: &str) -> Vec<TargetKey> {
    let names: &[&str] = if group == "front" { &["web", "cart"] } else { &["checkout"] };
    names.iter().map(|name| TargetKey::deployment("shop", name)).collect()
}

fn group_view(name: &str, targets: Vec<TargetView>) -> GroupView {
    let fence = Condition {
        kind: ConditionType::FenceInstalled,
        status: Some(true),
        reason: "PolicyFound".into(),
        message: "the admission policy is installed".into(),
    };
    GroupView { group: GroupId::new("shop", name), conditions: vec![fence], asked: Asked::NotWorthIt, surges: Vec::new(), targets }
}

fn target_view(name: &str, current: u32, desired: u32) -> TargetView {
    let demand = SignalView { value: Some(310.0), unit: "1/s".into(), age_s: Some(12), faults: Vec::new() };
    TargetView {
        target: TargetKey::deployment("shop", name),
        criticality: Criticality::High,
        modes: Modes::all(Mode::Auto),
        min: 2,
        max: 40,
        current,
        asked_for: current,
        ready: current,
        desired,
        shadow_hpa: None,
        basis: Some(basis()),
        demand: vec![Some(250.0), None, Some(310.0)],
        outlook_p50: vec![310.0, 400.0, 455.0],
        outlook_p90: vec![340.0, 450.0, 520.0],
        signals: [("demand".to_owned(), demand)].into(),
        cost_per_hour: Some(MicroUsd(42_000)),
        current_cost_per_hour: Some(MicroUsd(24_000)),
    }
}

fn basis() -> SizingBasis {
    SizingBasis {
        reason: SizingReason::Forecast,
        demand_now: Some(310.0),
        demand_planned: Some(452.0),
        quantile: 0.9,
        lead_s: 150.0,
        capacity_per_replica: Some(92.0),
        capacity_source: CapacitySource::Learned,
        target_utilization: 0.75,
        raw: Some(7),
    }
}

fn plan() -> PlanSummary {
    PlanSummary {
        replicas: 7,
        p50_need: 5,
        basis: basis(),
        outlook: Some([(15, 400.0, 450.0, 470.0), (30, 455.0, 520.0, 540.0), (60, 430.0, 510.0, 530.0)]),
        model: Some("seasonal-naive".into()),
        shadow_hpa: Some(5),
        cost_per_hour: Some(MicroUsd(42_000)),
    }
}

fn replicas(id: &str, group: &str, name: &str, origin: Origin, (from, to): (u32, u32)) -> Proposal {
    let tick: u64 = id.trim_start_matches('t').split('-').next().unwrap().parse().unwrap();
    Proposal {
        id: ProposalId(id.into()),
        group: GroupId::new("shop", group),
        origin,
        change: Change::Replicas(ReplicasChange { target: TargetKey::deployment("shop", name), uid: "u".into(), from, to }),
        rationale: "demand rises ahead of the announced sale".into(),
        evidence: vec![EvidenceId("w1.demand".into())],
        made: at(tick),
        cost_change_per_hour: Some(MicroUsd(18_000)),
    }
}

/// The proposal that waits since tick 811.
fn waiting() -> Proposal {
    replicas(WAITING, "back", "checkout", Origin::Model, (6, 14))
}

fn queued(proposal: Proposal) -> QueuedProposal {
    QueuedProposal {
        digest: proposal.change.digest().unwrap(),
        state_digest: Digest("5".repeat(64)),
        expires: proposal.made + SignedDuration::from_mins(30),
        decisions: Vec::new(),
        rulings: Vec::new(),
        closed: false,
        ended: None,
        proposal,
    }
}

fn judged(proposal: &Proposal, verdict: Verdict, rule: RuleId, fate: Fate, sentence: &str) -> Judged {
    let compared = vec![Compared { what: "replicas asked".into(), value: 7.0, limit: 8.0 }];
    let change = (verdict != Verdict::Refuse).then(|| proposal.change.clone());
    let rulings = vec![Ruling { rule, verdict, compared, sentence: sentence.into() }];
    Judged { review: Review { proposal: proposal.id.clone(), verdict, change, rulings }, proposal: proposal.clone(), fate }
}

fn dialogue() -> DialogueRecord {
    let turns = json!([
        { "turn": "Prompt", "role": "user", "text": "w1 is at 310/s and rising" },
        { "turn": "Reply", "text": "The sale starts in 20 minutes.", "calls": [
            { "id": "c1", "name": "propose_replicas", "arguments": r#"{"target":"w1","replicas":7}"# },
        ] },
        { "turn": "Answers", "answers": [
            { "call": "c1", "name": "propose_replicas", "content": r#"{"noted":true}"#, "mistake": false },
        ] },
    ]);
    let usage = json!({ "calls": 1, "prompt_tokens": 900, "completion_tokens": 60, "invalid_calls": 0 });
    let whole = json!({
        "model": "expert", "served_model": null, "played_by": "scripted expert",
        "turns": turns, "end": "Finished", "usage": usage,
    });
    serde_json::from_value(whole).unwrap()
}

fn not_asked() -> DialogueSummary {
    DialogueSummary { asked: Asked::NotWorthIt, end: None, transcript: None, usage: Usage::default() }
}

fn evidence(group: &str) -> Evidence {
    let demand = SignalEvidence { value: Some(310.0), age_s: Some(12), source: "ingress-nginx".into(), faults: Vec::new() };
    let of = |key: TargetKey| TargetEvidence {
        key,
        uid: Some("u".into()),
        replicas: ReplicaCounts { desired: 4, current: 4, ready: 4 },
        rollout: Rollout::Complete,
        autoscalers: Vec::new(),
        signals: [("demand".to_owned(), demand.clone())].into(),
    };
    Evidence { targets: targets(group).into_iter().map(of).collect(), events: Vec::new(), guardrail: Some("u-7".into()) }
}
