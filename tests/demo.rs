//! The shipped tick over the embedded cluster: what `ipa demo` promises for its first hour, and that an hour repeats to the byte.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ipa::adapters::ledger::SqliteLedger;
use ipa::adapters::prices::{BuiltinPrices, BuiltinPricesConfig, ListConfig, PriceList};
use ipa::controller::{self, Rhythm};
use ipa::domain::limits::{GateLimits, Mode};
use ipa::domain::names::{Digest, GroupId, TargetKey};
use ipa::domain::proposal::{Cause, Change, Origin};
use ipa::domain::record::{DialogueEnd, Entry, EntryBody, Fate, Judged, PastDecision, TickRecord};
use ipa::domain::review::{RuleId, Verdict};
use ipa::domain::snapshot::DecisionVerdict;
use ipa::domain::status::ConditionType;
use ipa::explain::{self, Confidence};
use ipa::ports::{Body, Clock, EntryFilter, Ledger, Model, NewEntry, PortError};
use ipa::sim::{self, Expert, Pace, Simulation};
use ipa::tick::{Published, Settings, Ticker};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};

/// One hour of the demo.
struct Hour {
    simulation: Simulation,
    ledger: Arc<SqliteLedger>,
    records: Vec<TickRecord>,
    began: Timestamp,
    head: Digest,
}

/// A ledger that now and then does not take what came of an action: each third try of such an append fails.
struct Forgetful {
    ledger: Arc<SqliteLedger>,
    tries: std::sync::atomic::AtomicU32,
}

#[async_trait]
impl Ledger for Forgetful {
    async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<u64>, PortError> {
        let outcomes = entries.iter().any(|entry| matches!(entry.body, EntryBody::Outcome(_)));
        if outcomes && !self.tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(3) {
            return Err(PortError::Failed { action: "append to the ledger".into(), detail: "the disk is full".into() });
        }
        self.ledger.append(entries).await
    }

    async fn put_bodies(&self, bodies: Vec<Body>, now: Timestamp) -> Result<Vec<Digest>, PortError> {
        self.ledger.put_bodies(bodies, now).await
    }

    async fn body(&self, digest: &Digest) -> Result<Option<Body>, PortError> {
        self.ledger.body(digest).await
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, PortError> {
        self.ledger.prune(before).await
    }

    async fn entries(&self, filter: &EntryFilter) -> Result<Vec<Entry>, PortError> {
        self.ledger.entries(filter).await
    }

    async fn past(&self, limit: usize) -> Result<Vec<PastDecision>, PortError> {
        self.ledger.past(limit).await
    }
}

#[tokio::test]
async fn an_outcome_that_the_ledger_did_not_take_is_written_before_the_next_tick_opens() {
    let prices =
        Arc::new(BuiltinPrices::new(&BuiltinPricesConfig { lists: vec![ListConfig { list: PriceList::AWS, zones: Vec::new() }] }).unwrap());
    let simulation = sim::demo(1, Pace::Headless, prices).await.unwrap();
    let ledger = Arc::new(SqliteLedger::in_memory().await.unwrap());
    let forgetful = Arc::new(Forgetful { ledger: ledger.clone(), tries: std::sync::atomic::AtomicU32::new(1) });
    let settings = Settings { limits: GateLimits { highest_mode: Mode::Auto, ..GateLimits::default() }, ..Settings::default() };
    let mut ticker = Ticker::start(simulation.ports(None, forgetful.clone()), settings).await.unwrap();
    let began = simulation.clock.now();
    for minute in 1..=15 {
        simulation.clock.sleep_until(began + SignedDuration::from_mins(minute)).await;
        // A tick that finds the ledger still full does nothing, and says so.
        let _ = ticker.tick().await;
    }
    let entries = ledger.entries(&EntryFilter::default()).await.unwrap();
    let position = |of: &dyn Fn(&EntryBody) -> bool| entries.iter().position(|entry| of(&entry.body));
    let intents: Vec<_> =
        entries.iter().filter_map(|e| if let EntryBody::Intent(intent) = &e.body { Some(&intent.proposal) } else { None }).collect();
    assert!(intents.len() > 3, "{intents:?}");
    assert!(forgetful.tries.load(std::sync::atomic::Ordering::Relaxed) > 4, "appends must have failed");
    for proposal in &intents[..intents.len() - 1] {
        assert!(position(&|body| matches!(body, EntryBody::Outcome(o) if o.proposal == **proposal)).is_some(), "{proposal} has no outcome");
    }
    let outcomes = entries.iter().filter(|e| matches!(e.body, EntryBody::Outcome(_))).count();
    assert!(outcomes <= intents.len(), "none is written twice");
    ledger.verify().await.unwrap();
}

/// Runs the demo headless. With `approve`, somebody at the page approves everything that waits, each time a tick has been published.
async fn hour(minutes: i64, approve: bool, with_model: bool) -> Hour {
    let lists = vec![ListConfig { list: PriceList::AWS, zones: Vec::new() }];
    let prices = Arc::new(BuiltinPrices::new(&BuiltinPricesConfig { lists }).unwrap());
    let simulation = sim::demo(1, Pace::Headless, prices).await.unwrap();
    let ledger = Arc::new(SqliteLedger::in_memory().await.unwrap());
    let model = with_model.then(|| Arc::new(Expert) as Arc<dyn Model>);
    let ports = simulation.ports(model, ledger.clone());
    let settings = Settings { limits: GateLimits { highest_mode: Mode::Auto, ..GateLimits::default() }, ..Settings::default() };
    let began = simulation.clock.now();
    let end = began + SignedDuration::from_mins(minutes);
    let ticker = Ticker::start(ports, settings).await.unwrap();
    let (publish, mut published) = watch::channel::<Option<Arc<Published>>>(None);
    let (_ask, asks) = mpsc::channel(1);
    let (decisions, clock) = (simulation.decisions(), simulation.clock.clone());
    let stop = async move {
        loop {
            published.changed().await.unwrap();
            let view = published.borrow_and_update().clone().unwrap();
            if view.at >= end {
                return;
            }
            for waiting in view.queue.iter().filter(|q| approve && !q.closed && q.decisions.is_empty()) {
                let (id, digest) = (&waiting.proposal.id, &waiting.digest);
                decisions.decide(id, DecisionVerdict::Approve, digest, None, clock.now()).await.unwrap();
            }
        }
    };
    let rhythm = Rhythm { interval: Duration::from_mins(1), reflex: Duration::from_secs(15) };
    controller::run(ticker, simulation.clock.clone(), rhythm, publish, asks, stop).await;
    let records = TickRecord::fold_all(ledger.entries(&EntryFilter::default()).await.unwrap());
    let head = ledger.verify().await.unwrap().head;
    Hour { simulation, ledger, records, began, head }
}

impl Hour {
    /// Every judged proposal with the minute of its tick.
    fn judged(&self) -> impl Iterator<Item = (i64, &Judged)> {
        self.records.iter().flat_map(|record| {
            let minute = record.at.duration_since(self.began).as_mins();
            record.closed.iter().flat_map(|c| &c.proposals).map(move |judged| (minute, judged))
        })
    }

    /// What was carried out on a target's replicas: minute, from, to.
    fn scaled(&self, target: &TargetKey) -> Vec<(i64, u32, u32)> {
        self.judged()
            .filter(|(_, judged)| judged.fate == Fate::Applied)
            .filter_map(|(minute, judged)| match judged.review.change.as_ref()? {
                Change::Replicas(change) if change.target == *target => Some((minute, change.from, change.to)),
                _ => None,
            })
            .collect()
    }

    fn findings(&self) -> Vec<(String, Cause)> {
        let closed = self.records.iter().filter_map(|r| r.closed.as_ref());
        closed.flat_map(|c| &c.findings).map(|f| (f.target.name.to_string(), f.cause)).collect()
    }
}

#[tokio::test]
async fn the_first_hour_of_the_demo_shows_what_it_promises() {
    let hour = hour(60, false, true).await;

    // A spike met ahead of time: the sale begins after 15 minutes, and the front page has grown before.
    let frontend = TargetKey::deployment("shop", "frontend");
    let before_the_sale: Vec<_> = hour.scaled(&frontend).into_iter().filter(|(minute, from, to)| *minute < 15 && to > from).collect();
    let grown = before_the_sale.iter().map(|(_, _, to)| *to).max().unwrap_or(0);
    assert!(grown >= 12, "240 % of about 200/s at 42/s a replica needs 12: {before_the_sale:?}");

    // A change that waits for a person, and was not made.
    let recommendations = TargetKey::deployment("ml", "recommendations");
    assert!(hour.judged().any(|(_, j)| j.fate == Fate::Queued && j.proposal.change.target() == Some(&recommendations)));
    assert_eq!(hour.scaled(&recommendations), []);

    // A proposal that a guardrail refuses.
    let refused = hour.judged().find(|(_, j)| {
        j.fate == Fate::Blocked && j.review.rulings.iter().any(|r| r.rule == RuleId::CostBudget && r.verdict == Verdict::Refuse)
    });
    assert!(refused.is_some(), "the orders' cost budget refuses nothing");

    // A lying metric: what it says would shrink the stock service, and nothing is taken away while it lies (18 to 53 minutes).
    let stock = TargetKey::deployment("shop", "inventory-api");
    let lied: Vec<_> = hour.scaled(&stock).into_iter().filter(|(m, from, to)| (19..53).contains(m) && to < from).collect();
    assert_eq!(lied, [], "capacity was taken away on a lie");
    let held = hour.judged().filter(|(m, j)| {
        (19..53).contains(m) && j.proposal.change.target() == Some(&stock) && matches!(j.fate, Fate::Held | Fate::Blocked)
    });
    assert!(held.count() > 0, "nobody asked to shrink on the lie, so nothing was shown");

    // The scripted expert finishes dialogues, and finds the lie and the leak.
    let ends: Vec<_> = hour.records.iter().filter_map(|r| r.closed.as_ref()?.dialogue.end.clone()).collect();
    assert!(ends.iter().filter(|e| **e == DialogueEnd::Finished).count() >= 10, "{ends:?}");
    assert!(ends.iter().all(|e| *e == DialogueEnd::Finished), "the expert is never wrong about the protocol: {ends:?}");
    let findings = hour.findings();
    assert!(findings.contains(&("inventory-api".into(), Cause::MetricFault)), "{findings:?}");
    assert!(findings.contains(&("image-resizer".into(), Cause::Leak)), "{findings:?}");

    // An HPA's target is left alone, by name.
    assert_eq!(hour.scaled(&TargetKey::deployment("shop", "search")), []);
    let told = hour.simulation.status.published();
    let conflicted =
        told[&GroupId::new("shop", "storefront")].conditions.iter().find(|c| c.kind == ConditionType::Conflicted).unwrap().clone();
    assert!(conflicted.status == Some(true) && conflicted.message.contains("search"), "{conflicted:?}");

    // Every tick has one record a group, closed, and the answer to "why" cites them.
    assert!(hour.records.iter().all(|r| r.closed.is_some()), "a record was left open");
    let records: Vec<_> = hour.records.iter().filter(|r| r.group == GroupId::new("shop", "storefront")).cloned().collect();
    let answer = explain::why(&frontend, &records);
    assert!(answer.confidence != Confidence::None && answer.answer.contains("[e"), "{answer:?}");
    for citation in &answer.evidence {
        let seq: u64 = citation.record.trim_start_matches('e').parse().unwrap();
        let found = hour.ledger.entries(&EntryFilter { after: Some(seq - 1), oldest: 1, ..EntryFilter::default() }).await.unwrap();
        assert_eq!(found[0].seq, seq, "{citation:?} cites what is not there");
    }
}

#[tokio::test]
async fn an_approved_change_is_judged_again_and_carried_out_whole() {
    let hour = hour(6, true, true).await;
    let recommendations = TargetKey::deployment("ml", "recommendations");
    let queued = hour.judged().find(|(_, j)| j.fate == Fate::Queued && j.proposal.change.target() == Some(&recommendations)).unwrap();
    let applied = hour.judged().find(|(_, j)| j.fate == Fate::Applied && j.proposal.id == queued.1.proposal.id).unwrap();
    assert!(applied.0 > queued.0, "a later tick carries it out");
    assert_eq!(applied.1.review.change, queued.1.review.change);
    assert!(hour.simulation.queue.snapshot().iter().any(|q| q.closed && q.proposal.id == queued.1.proposal.id));
}

#[tokio::test]
async fn without_a_model_the_floor_goes_on_and_the_record_says_why() {
    let hour = hour(20, false, false).await;
    assert!(hour.judged().all(|(_, j)| j.proposal.origin == Origin::Planner));
    assert!(!hour.scaled(&TargetKey::deployment("shop", "frontend")).is_empty());
    let asked: std::collections::BTreeSet<_> = hour.records.iter().filter_map(|r| Some(r.closed.as_ref()?.dialogue.asked)).collect();
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), [ipa::domain::record::Asked::NoModel]);
}

#[tokio::test]
async fn two_runs_of_one_seed_leave_the_same_chain() {
    let (first, second) = (hour(20, true, true).await, hour(20, true, true).await);
    assert_eq!(first.head, second.head);
}
