//! propose (model): which groups are worth asking about, and their dialogues, in parallel, beside the tick. The agent's loop does no I/O: here
//! is the driver that talks for it.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::Future;
use futures::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};

use super::publish::ModelView;
use super::{Pass, Ticker};
use crate::agent::aliases::Aliases;
use crate::agent::brief::Brief;
use crate::agent::dialogue::{Caps, Dialogue, DialogueResult, Step};
use crate::agent::prompt::{PromptError, Prompts};
use crate::agent::tools::{self, ToolContext};
use crate::domain::limits::Group;
use crate::domain::memory::{AskReason, LastDialogue, Memory};
use crate::domain::names::GroupId;
use crate::domain::plan::Plan;
use crate::domain::proposal::Proposal;
use crate::domain::record::{Asked, DialogueEnd, DialogueRecord, DialogueSummary};
use crate::domain::snapshot::{EventReason, Snapshot};
use crate::domain::status::StatusEventReason;
use crate::guardrails;
use crate::ports::{Availability, Body, Clock, Model, Ports};

/// A group is not asked about again sooner, unless a person asks.
const LEAST_BETWEEN_LOOKS: SignedDuration = SignedDuration::from_mins(10);
/// A look older than this is too old.
const LOOK_TOO_OLD: SignedDuration = SignedDuration::from_hours(6);
/// A surge this near is looked at.
const SURGE_NEAR: SignedDuration = SignedDuration::from_mins(60);
/// An outlook whose 95 % quantile in half an hour is this many times its median is unsure.
const UNSURE_RATIO: f64 = 2.0;
/// Dialogues that may be open at once; the others wait for the next tick.
const MOST_DIALOGUES: usize = 8;

/// What may happen while dialogues are open.
pub(super) enum Event {
    /// A dialogue ended.
    Ended(Box<Ended>),
    /// It is time for a reflex pass.
    Reflex,
}

/// A dialogue that ended.
pub(super) struct Ended {
    group: GroupId,
    record: DialogueRecord,
    proposals: Vec<Proposal>,
}

/// Open dialogues.
pub(super) struct Dialogues {
    open: FuturesUnordered<Pin<Box<dyn Future<Output = Ended> + Send>>>,
    groups: BTreeSet<GroupId>,
    stop: tokio::sync::watch::Sender<bool>,
    stopped: bool,
}

/// Chooses the groups worth asking about and begins their dialogues; says for the others why not.
pub(super) fn begin(ticker: &mut Ticker, pass: &mut Pass) -> Dialogues {
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let mut dialogues = Dialogues { open: FuturesUnordered::new(), groups: BTreeSet::new(), stop, stopped: false };
    let asked = std::mem::take(&mut ticker.asked);
    let snapshot = pass.snapshot.clone();
    ticker.memory.dialogues.retain(|id, _| snapshot.facts.groups.contains_key(id));
    for (id, group) in longest_unseen_first(&snapshot, &ticker.memory) {
        let answer = match (&ticker.ports.model, worth_asking(pass, group, ticker, asked.contains(id))) {
            (None, _) => Asked::NoModel,
            _ if !group.model_enabled => Asked::NoModel,
            (Some(_), None) => Asked::NotWorthIt,
            (Some(model), Some(reason)) => match model.availability(snapshot.at) {
                Availability::BreakerOpen { .. } => Asked::BreakerOpen,
                Availability::BudgetSpent { .. } => Asked::BudgetSpent,
                Availability::Available if dialogues.groups.len() >= MOST_DIALOGUES => Asked::NotWorthIt,
                Availability::Available => match Talk::new(ticker, pass, group, reason) {
                    Ok(talk) => {
                        dialogues.open.push(Box::pin(talk.run(model.clone(), ticker.ports.clock.clone(), stopping.clone())));
                        dialogues.groups.insert(id.clone());
                        ticker.memory.dialogues.insert(id.clone(), LastDialogue { at: snapshot.at, reason, end: None });
                        Asked::Yes(reason)
                    }
                    Err(error) => {
                        // A test holds that the shipped templates render; a build whose templates do not asks nobody.
                        tracing::error!(group = %id, %error, "the prompt could not be rendered");
                        Asked::NoModel
                    }
                },
            },
        };
        if let Some(group) = pass.groups.get_mut(id) {
            group.dialogue.asked = answer;
        }
    }
    dialogues
}

/// Groups in the order in which they may be asked about: those with a target in the cluster, never looked at or longest ago first, so that no
/// namespace's many groups keep the others from being seen.
fn longest_unseen_first<'a>(snapshot: &'a Snapshot, memory: &Memory) -> Vec<(&'a GroupId, &'a Group)> {
    let there = |group: &&Group| group.targets.iter().any(|named| snapshot.workload(&named.key).is_some());
    let mut groups: Vec<(&GroupId, &Group)> = snapshot.facts.groups.iter().filter(|(_, group)| there(group)).collect();
    groups.sort_by_key(|(id, _)| (memory.dialogues.get(*id).map(|last| last.at), *id));
    groups
}

/// Whether this tick is worth asking about a group, and why.
fn worth_asking(pass: &Pass, group: &Group, ticker: &Ticker, asked: bool) -> Option<AskReason> {
    let memory = &ticker.memory;
    if asked {
        return Some(AskReason::Asked);
    }
    let snapshot = &*pass.snapshot;
    let since_last = memory.dialogues.get(&group.id).map(|last| snapshot.at.duration_since(last.at));
    if since_last.is_some_and(|since| since < LEAST_BETWEEN_LOOKS) {
        return None;
    }
    let surge_near = group.surges.iter().any(|surge| {
        let until = surge.start.duration_since(snapshot.at);
        !until.is_negative() && until <= SURGE_NEAR
    });
    let surge_was_seen = since_last.is_some_and(|since| since < SURGE_NEAR)
        && memory.dialogues.get(&group.id).is_some_and(|last| last.reason == AskReason::SurgeNear);
    if surge_near && !surge_was_seen {
        Some(AskReason::SurgeNear)
    } else if changed(pass, snapshot, group, since_last) {
        Some(AskReason::Changed)
    } else if unsure(pass, group) {
        Some(AskReason::Unsure)
    } else if since_last.is_none_or(|since| since >= LOOK_TOO_OLD) {
        Some(AskReason::LookTooOld)
    } else {
        None
    }
}

/// Whether something material changed: the plan moves a target by a fifth and at least two, or events of trouble came since the last look.
fn changed(pass: &Pass, snapshot: &Snapshot, group: &Group, since_last: Option<SignedDuration>) -> bool {
    let moved = group.targets.iter().any(|named| {
        let desired = snapshot.workload(&named.key).map(|w| w.replicas.desired);
        let planned = pass.plan.targets.get(&named.key).map(|p| p.replicas);
        desired.zip(planned).is_some_and(|(d, p)| d.abs_diff(p) >= 2 && d.abs_diff(p) * 5 >= d)
    });
    let trouble = |reason: EventReason| {
        matches!(
            reason,
            EventReason::OOMKilling
                | EventReason::FailedScheduling
                | EventReason::BackOff
                | EventReason::Evicted
                | EventReason::NodeNotReady
                | EventReason::SpotInterrupted
                | EventReason::ProgressDeadlineExceeded
                | EventReason::InsufficientCapacityError
        )
    };
    let window = since_last.unwrap_or(LEAST_BETWEEN_LOOKS).min(SURGE_NEAR);
    moved
        || snapshot.facts.events.iter().any(|event| {
            trouble(event.reason) && snapshot.at.duration_since(event.at) <= window && group.targets.iter().any(|t| t.key == event.target)
        })
        || group.targets.iter().any(|named| {
            snapshot
                .signals
                .get(&named.key)
                .is_some_and(|signals| signals.values().any(|s| s.faults.contains(&crate::domain::signal::SampleFault::Implausible)))
        })
}

fn unsure(pass: &Pass, group: &Group) -> bool {
    group.targets.iter().filter_map(|named| pass.plan.targets.get(&named.key)?.outlook.as_ref()).any(|outlook| {
        let median = outlook.quantile(30, 0.5);
        median > 1.0 && outlook.quantile(30, 0.95) > UNSURE_RATIO * median
    })
}

/// One group's dialogue with all it answers from: the snapshot and plan of the tick that began it.
struct Talk {
    snapshot: Arc<Snapshot>,
    plan: Arc<Plan>,
    prompts: Arc<Prompts>,
    group: Group,
    aliases: Aliases,
    dialogue: Dialogue,
}

impl Talk {
    fn new(ticker: &Ticker, pass: &Pass, group: &Group, reason: AskReason) -> Result<Self, PromptError> {
        let (snapshot, plan) = (pass.snapshot.clone(), pass.plan.clone());
        let own: Vec<Proposal> = plan.proposals.iter().filter(|p| p.group == group.id).cloned().collect();
        let reviews = guardrails::judge(&snapshot, &plan, &ticker.memory.gate.commitments, &own);
        let aliases = Aliases::new(&snapshot, &plan, group);
        let brief = Brief::new(&snapshot, &plan, group, &aliases, &reviews, reason);
        let caps: Caps = ticker.settings.caps;
        let dialogue = Dialogue::start(ticker.prompts.open(&brief, &caps)?, caps);
        Ok(Self { snapshot, plan, prompts: ticker.prompts.clone(), group: group.clone(), aliases, dialogue })
    }

    /// Talks until the dialogue is done or told to stop.
    async fn run(mut self, model: Arc<dyn Model>, clock: Arc<dyn Clock>, mut stopping: tokio::sync::watch::Receiver<bool>) -> Ended {
        let begun = clock.now();
        let result: DialogueResult = loop {
            match self.dialogue.step() {
                Step::CallModel(request) => {
                    let answer = tokio::select! {
                        biased;
                        answer = model.complete(&request, CALL_DEADLINE) => Some(answer),
                        _ = stopping.wait_for(|stop| *stop) => None,
                    };
                    match answer {
                        Some(answer) => self.dialogue.reply(answer),
                        None => self.dialogue.expire(),
                    }
                }
                Step::RunTools(calls) => {
                    let context = ToolContext {
                        snapshot: &self.snapshot,
                        plan: &self.plan,
                        group: &self.group,
                        aliases: &self.aliases,
                        prompts: &self.prompts,
                    };
                    let outcomes = tools::answer(&context, &calls, self.dialogue.proposals());
                    self.dialogue.answers(outcomes);
                }
                Step::Done(result) => break result,
            }
        };
        tracing::debug!(group = %self.group.id, took = %clock.now().duration_since(begun), "dialogue ended");
        let identity = model.identity();
        let proposals = result.proposals.clone();
        let record = result.into_record(&identity.model, identity.played_by.as_deref(), self.aliases.legend());
        Ended { group: self.group.id, record, proposals }
    }
}

/// One call's own deadline; the dialogue's is the driver's.
const CALL_DEADLINE: std::time::Duration = std::time::Duration::from_secs(40);

impl Dialogues {
    /// Groups whose dialogue is open.
    pub(super) fn groups(&self) -> BTreeSet<GroupId> {
        self.groups.clone()
    }

    /// What happens next; `None` when no dialogue is open any more. At the deadline the open ones are told to stop, and end as such.
    pub(super) async fn next(&mut self, ports: &Ports, deadline: Timestamp, reflex: Option<Timestamp>) -> Option<Event> {
        if self.open.is_empty() {
            return None;
        }
        loop {
            let reflex_at = reflex.filter(|_| !self.stopped).unwrap_or(Timestamp::MAX);
            let wake = if self.stopped { Timestamp::MAX } else { deadline.min(reflex_at) };
            tokio::select! {
                biased;
                ended = self.open.next() => return ended.map(|ended| {
                    self.groups.remove(&ended.group);
                    Event::Ended(Box::new(ended))
                }),
                () = ports.clock.sleep_until(wake) => {
                    if reflex_at < deadline {
                        return Some(Event::Reflex);
                    }
                    self.stopped = true;
                    let _ = self.stop.send(true);
                }
            }
        }
    }
}

impl Ticker {
    /// Notes how a dialogue ended and gives the proposals that it leaves: none, unless it finished.
    pub(super) async fn dialogue_ended(&mut self, pass: &mut Pass, ended: Ended) -> Vec<Proposal> {
        let Ended { group, record, proposals } = ended;
        self.totals.count_dialogue(&record.end, record.usage);
        let (end, usage) = (record.end.clone(), record.usage);
        let stored = self.ports.ledger.put_bodies(vec![Body::Dialogue(record)], pass.snapshot.at).await;
        let transcript = self.noted("ledger", stored).ok().and_then(|mut digests| digests.pop());
        match &end {
            DialogueEnd::Finished => {}
            DialogueEnd::Truncated => {
                pass.event(&group, StatusEventReason::TruncatedResponse, None, "the model's answer was cut off and not used".into());
            }
            DialogueEnd::Unavailable(reason) => {
                let note = format!("the model did not answer ({reason}): the planner's own proposals went on");
                pass.event(&group, StatusEventReason::LLMUnavailable, None, note);
            }
            other => {
                let note = format!("the dialogue ended without a valid answer ({other:?}): the planner's own proposals went on");
                pass.event(&group, StatusEventReason::FallbackActivated, None, note);
            }
        }
        if let Some(last) = self.memory.dialogues.get_mut(&group) {
            last.end = Some(end.clone());
        }
        let asked = pass.groups.get(&group).map_or(Asked::NotWorthIt, |g| g.dialogue.asked);
        if let Some(into) = pass.groups.get_mut(&group) {
            into.dialogue = DialogueSummary { asked, end: Some(end.clone()), transcript, usage };
        }
        proposals
    }
}

/// The model at a glance.
pub(super) fn model_view(model: &dyn Model, now: Timestamp) -> ModelView {
    let identity = model.identity();
    ModelView {
        model: identity.model,
        played_by: identity.played_by,
        availability: match model.availability(now) {
            Availability::Available => "Available".into(),
            Availability::BreakerOpen { .. } => "BreakerOpen".into(),
            Availability::BudgetSpent { .. } => "BudgetSpent".into(),
        },
        tokens_remaining: model.tokens_remaining(now),
    }
}
