//! observe → predict → plan → propose → review → act | queue → record: the program, one file a verb.
//!
//! One tick covers all groups. The floor goes first: what adds capacity acts at once; what takes capacity from a target whose dialogue is open
//! waits for the dialogue, or for the deadline. Every batch, whoever wants it, passes the same gate. A reflex pass runs the same line without a
//! model. One [`Ticker`] owns memory, so passes never overlap.

mod act;
mod observe;
mod plan;
mod propose;
mod publish;
mod record;
mod review;
mod status;
mod study;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

pub use publish::{GroupView, ModelView, NodesView, Published, SignalView, SurgeView, TargetView, Totals};

use crate::agent::dialogue::Caps;
use crate::agent::prompt::Prompts;
use crate::domain::limits::GateLimits;
use crate::domain::memory::Memory;
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::outcome::Outcome;
use crate::domain::plan::Plan;
use crate::domain::proposal::{Finding, Proposal};
use crate::domain::record::{DialogueSummary, Judged};
use crate::domain::review::Review;
use crate::domain::snapshot::{QueuedProposal, Snapshot};
use crate::domain::status::{GroupStatus, StatusEvent};
use crate::guardrails;
use crate::ports::{EntryFilter, NewEntry, PortError, Ports};

/// What the installation decides about ticks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster's name, part of every record.
    pub cluster: Arc<str>,
    /// Time between ticks.
    pub interval: Duration,
    /// Time between reflex passes; zero for none.
    pub reflex: Duration,
    /// How long after a tick's start a dialogue may still end.
    pub dialogue_deadline: Duration,
    /// Whether nothing is to be carried out, whatever the modes say.
    pub dry: bool,
    /// The gate's limits.
    pub limits: GateLimits,
    /// What one dialogue may use.
    pub caps: Caps,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cluster: "default".into(),
            interval: Duration::from_mins(1),
            reflex: Duration::from_secs(15),
            dialogue_deadline: Duration::from_secs(45),
            dry: false,
            limits: GateLimits::default(),
            caps: Caps::default(),
        }
    }
}

/// What a pass knows, and what has come of it so far.
pub(crate) struct Pass {
    snapshot: Arc<Snapshot>,
    plan: Arc<Plan>,
    groups: BTreeMap<GroupId, GroupPass>,
    queue: Vec<QueuedProposal>,
    statuses: Vec<GroupStatus>,
    reflex: bool,
    /// Whether this process holds the right to act.
    leads: bool,
    /// Whether something was carried out since the snapshot.
    moved: bool,
    started: Instant,
}

/// What has come of one group in a pass.
struct GroupPass {
    judged: Vec<Judged>,
    findings: Vec<Finding>,
    events: Vec<StatusEvent>,
    dialogue: DialogueSummary,
    failures: Vec<String>,
}

/// The one owner of memory: takes ticks and reflex passes in turn.
pub struct Ticker {
    ports: Ports,
    settings: Settings,
    prompts: Arc<Prompts>,
    memory: Memory,
    totals: Totals,
    /// What reflex passes did since the last tick, for the next one's record.
    carried: BTreeMap<GroupId, GroupPass>,
    /// Reflex passes since the tick began: part of their proposals' names.
    reflexes_in_tick: u32,
    /// What was told of refusals, and when: told anew only after a while.
    told: BTreeMap<String, Timestamp>,
    /// When a workload's past was last studied, whatever came of it.
    studied: BTreeMap<TargetKey, Timestamp>,
    /// Outcomes since the last snapshot, for the next one.
    outcomes: Vec<Outcome>,
    /// Outcomes that the ledger did not take yet: written before anything else is.
    unwritten: Vec<NewEntry>,
    /// Groups a person asked the model about, since the last tick.
    asked: BTreeSet<GroupId>,
    ticks_until_full_save: u32,
}

/// Evidence and dialogues are kept this long; the chain itself is kept for good.
const KEPT_BODIES: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Ended proposals stay where people see them for so long after their expiry.
const KEPT_ENDED: SignedDuration = SignedDuration::from_hours(24);
/// Ended proposals that one tick clears away.
const CLEARED_AT_ONCE: usize = 32;
/// Once an hour is often enough.
const TICKS_BETWEEN_PRUNINGS: u64 = 60;

/// The planner's part of memory can be learned anew, and is large: it is saved this often.
const TICKS_BETWEEN_FULL_SAVES: u32 = 5;

impl Ticker {
    /// Takes up where the last run left off: loads memory, and writes down that actions whose outcome was lost are unknown.
    ///
    /// # Errors
    /// [`PortError`] when memory or ledger cannot be read: without them nothing may act.
    pub async fn start(ports: Ports, settings: Settings) -> Result<Self, PortError> {
        let mut memory = ports.state.load().await?.unwrap_or_default();
        // A crash may have come between a tick's first entry and its last save: its number is not given twice.
        let newest = ports.ledger.entries(&EntryFilter { newest: 1, ..EntryFilter::default() }).await?;
        memory.tick = memory.tick.max(newest.first().map_or(memory.tick, |entry| entry.tick));
        record::reconcile_unfinished(&ports).await?;
        let prompts =
            Prompts::load().map_err(|error| PortError::Failed { action: "load the prompts".into(), detail: error.to_string() })?;
        Ok(Self {
            ports,
            settings,
            prompts: Arc::new(prompts),
            memory,
            totals: Totals::default(),
            carried: BTreeMap::new(),
            reflexes_in_tick: 0,
            told: BTreeMap::new(),
            studied: BTreeMap::new(),
            outcomes: Vec::new(),
            unwritten: Vec::new(),
            asked: BTreeSet::new(),
            ticks_until_full_save: 0,
        })
    }

    /// What the loop carries on.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Asks that the next tick consult the model about a group.
    pub fn ask(&mut self, group: GroupId) {
        self.asked.insert(group);
    }

    /// Counts a tick that began late.
    pub fn count_lateness(&mut self, lateness: Duration, late: u64) {
        self.totals.lateness_s = lateness.as_secs_f64();
        self.totals.late_ticks += late;
    }

    /// Counts ticks that were left out, since the one before took too long.
    pub fn count_left_out(&mut self, ticks: u64) {
        self.totals.late_ticks += ticks;
    }

    /// One tick over all groups.
    ///
    /// # Errors
    /// [`PortError`] when the world could not be observed or recorded; nothing was done then.
    pub async fn tick(&mut self) -> Result<Published, PortError> {
        self.totals.ticks += 1;
        self.memory.tick.0 += 1;
        self.reflexes_in_tick = 0;
        self.write_outcomes().await; //                                           what the last tick could not write (world)
        let (mut pass, opened) = self.begin(false).await?; //                     observe (world); predict, plan (pure) while it is opened (world)
        for (id, group) in std::mem::take(&mut self.carried) {
            pass.groups.entry(id).or_default().absorb(group);
        }
        match self.noted("ledger", opened) {
            Ok(entries) => self.totals.entries += entries,
            Err(error) => return self.tell_unrecorded(pass, error).await,
        }

        let started = pass.snapshot.at;
        let mut dialogues = propose::begin(self, &mut pass); //                   (model)
        let (first, later) = review::what_goes_first(&pass, &dialogues.groups()); // (pure)
        self.decided(&mut pass).await; //                                         approvals: review (pure), act (world)
        self.gate(&mut pass, first).await; //                                     review (pure), act | queue (world)

        let deadline = add(started, self.settings.dialogue_deadline);
        let mut next_reflex = self.reflex_after(started);
        while let Some(event) = dialogues.next(&self.ports, deadline, next_reflex).await {
            match event {
                propose::Event::Ended(ended) => {
                    // What the floor has moved since is judged on as it is now.
                    if pass.moved {
                        self.refresh(&mut pass).await;
                    }
                    let proposals = self.dialogue_ended(&mut pass, *ended).await;
                    self.gate(&mut pass, proposals).await;
                }
                propose::Event::Reflex => {
                    self.refresh(&mut pass).await;
                    next_reflex = self.reflex_after(self.ports.clock.now());
                }
            }
        }
        let later = review::not_superseded(&mut pass, later); //                  (pure)
        self.gate(&mut pass, later).await;
        self.finish(pass).await
    }

    /// One pass without a model, between ticks: reacts to what metrics already show. Leaves entries only when it acts, in the running tick's record.
    ///
    /// # Errors
    /// [`PortError`] when the world could not be observed; nothing was done then.
    pub async fn reflex(&mut self) -> Result<(), PortError> {
        let (mut pass, _) = self.begin(true).await?;
        self.reflex_line(&mut pass).await;
        for (id, group) in pass.groups {
            self.carried.entry(id).or_default().absorb(group.of_a_reflex());
        }
        Ok(())
    }

    /// Observes and plans. A tick's record is opened meanwhile, since it holds what was known, not what is planned; a reflex opens none.
    async fn begin(&mut self, reflex: bool) -> Result<(Pass, Result<u64, PortError>), PortError> {
        let started = Instant::now();
        let observed = observe::observe(&self.ports, &self.settings, &self.memory, &self.outcomes).await; // (world)
        let mut snapshot = self.noted("observe", observed)?;
        self.outcomes.clear();
        self.memory.gate = guardrails::settle(&snapshot, std::mem::take(&mut self.memory.gate));
        snapshot.memory.gate = self.memory.gate.clone();
        let snapshot = Arc::new(snapshot);
        let leads = !self.settings.dry && self.ports.lease.epoch(snapshot.at).await.is_some();
        let opening = async { if reflex { Ok(0) } else { record::open(&self.ports, &snapshot).await } };
        let (answer, opened) = tokio::join!(plan::predict_and_plan(snapshot.clone()), opening); // (pure), (world)
        let (plan, planner) = answer?;
        self.memory.planner = Arc::new(planner);
        let fleets = snapshot.facts.fleets.values().map(|fleet| &fleet.id);
        let pass = Pass {
            groups: snapshot.facts.groups.keys().chain(fleets).map(|id| (id.clone(), GroupPass::default())).collect(),
            queue: snapshot.facts.queue.clone(),
            statuses: Vec::new(),
            plan: Arc::new(plan),
            snapshot: snapshot.clone(),
            reflex,
            leads,
            moved: false,
            started,
        };
        Ok((pass, opened))
    }

    /// A reflex pass while a tick's dialogues are open: the tick goes on with the newer snapshot and plan.
    async fn refresh(&mut self, pass: &mut Pass) {
        let Ok((mut newer, _)) = self.begin(true).await else { return };
        self.reflex_line(&mut newer).await;
        pass.snapshot = newer.snapshot;
        pass.plan = newer.plan;
        pass.queue = newer.queue;
        pass.leads = newer.leads;
        pass.moved = newer.moved;
        for (id, group) in newer.groups {
            pass.groups.entry(id).or_default().absorb(group.of_a_reflex());
        }
    }

    async fn reflex_line(&mut self, pass: &mut Pass) {
        self.totals.reflex_passes += 1;
        self.reflexes_in_tick += 1;
        let wanted = review::reflexes(pass, self.reflexes_in_tick); // (pure)
        self.gate(pass, wanted).await;
    }

    /// Every batch of proposals passes here, whoever wants it.
    async fn gate(&mut self, pass: &mut Pass, proposals: Vec<Proposal>) {
        let proposals = review::rebased(&pass.snapshot, &self.memory.gate, proposals);
        let reviews = guardrails::judge(&pass.snapshot, &pass.plan, &self.memory.gate.commitments, &proposals); // (pure)
        let batch: Vec<(Proposal, Review)> = proposals.into_iter().zip(reviews).collect();
        self.carry_through(pass, batch).await;
    }

    /// Proposals that people have decided on, judged again before anything is done; those that ended long ago are cleared away.
    async fn decided(&mut self, pass: &mut Pass) {
        if !pass.leads {
            return;
        }
        let long_ago = before(pass.snapshot.at, KEPT_ENDED);
        for ended in pass.snapshot.facts.queue.iter().filter(|q| q.closed && q.expires < long_ago).take(CLEARED_AT_ONCE) {
            let forgotten = self.ports.queue.forget(ended).await;
            let _ = self.noted("queue", forgotten);
        }
        let open: Vec<QueuedProposal> = pass.snapshot.facts.queue.iter().filter(|q| !q.closed).cloned().collect();
        for queued in open {
            act::settle_queued(self, pass, queued).await;
        }
    }

    async fn finish(&mut self, mut pass: Pass) -> Result<Published, PortError> {
        let closing = record::closing(&pass, self.ports.clock.now(), self.settings.dry); // (pure)
        let model = self.ports.model.as_ref().map(|model| propose::model_view(&**model, pass.snapshot.at));
        let telling = async {
            status::fill(&mut pass, &self.memory, model.is_some());
            publish::view(&pass, model, Totals::default())
        };
        let (closed, mut view) = tokio::join!(record::append(&self.ports, closing), telling); // (world), (pure)
        self.totals.entries += self.noted("ledger", closed)?;
        self.publish(&pass).await; //                                               (world)
        if self.memory.tick.0.is_multiple_of(TICKS_BETWEEN_PRUNINGS) && !self.settings.dry {
            let pruned = self.ports.ledger.prune(before(pass.snapshot.at, KEPT_BODIES)).await;
            let _ = self.noted("ledger", pruned);
        }
        self.ticks_until_full_save = self.ticks_until_full_save.checked_sub(1).unwrap_or(TICKS_BETWEEN_FULL_SAVES - 1);
        self.save(self.ticks_until_full_save == 0).await;
        self.totals.tick_s = pass.started.elapsed().as_secs_f64();
        let snapshot = pass.snapshot.clone();
        drop(pass);
        self.study(&snapshot).await; //                                             (world), (pure)
        view.totals = self.totals.clone();
        Ok(view)
    }

    /// Groups are told that nothing could be written down, and hence nothing was done.
    async fn tell_unrecorded(&mut self, mut pass: Pass, error: PortError) -> Result<Published, PortError> {
        let groups: Vec<GroupId> = pass.groups.keys().cloned().collect();
        for group in groups {
            pass.note_failure(&group, "NoRecordNoAction");
        }
        status::fill(&mut pass, &self.memory, self.ports.model.is_some());
        self.publish(&pass).await;
        Err(error)
    }

    /// Only who leads speaks: two that told groups of themselves would contradict each other.
    async fn publish(&mut self, pass: &Pass) {
        if pass.leads {
            let published = self.ports.status.publish(&pass.statuses).await;
            let _ = self.noted("status", published);
        }
    }

    async fn save(&mut self, whole: bool) {
        if self.settings.dry {
            return;
        }
        let saved = if whole { self.ports.state.save(&self.memory).await } else { self.ports.state.save_gate(&self.memory).await };
        let _ = self.noted("state", saved);
    }

    fn reflex_after(&self, at: Timestamp) -> Option<Timestamp> {
        (!self.settings.reflex.is_zero()).then(|| add(at, self.settings.reflex))
    }

    /// Logs and counts a part's failure, once, here at the top.
    fn noted<T>(&mut self, part: &'static str, result: Result<T, PortError>) -> Result<T, PortError> {
        if let Err(error) = &result {
            tracing::warn!(part, tick = self.memory.tick.0, %error, "a part of the tick failed");
            self.totals.count_failure(part);
        }
        result
    }
}

fn before(at: Timestamp, duration: SignedDuration) -> Timestamp {
    at.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

fn add(at: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration).ok().and_then(|d| at.checked_add(d).ok()).unwrap_or(Timestamp::MAX)
}
