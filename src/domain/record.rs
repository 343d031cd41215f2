//! The record: entries of the hash-chained ledger, and the `TickRecord` that folds those of one group and tick.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::limits::Modes;
use super::memory::AskReason;
use super::names::{Digest, GroupId, ProposalId, TargetKey, TickId};
use super::outcome::Outcome;
use super::plan::SizingBasis;
use super::proposal::{Change, Finding, Origin, Proposal};
use super::review::Review;
use super::signal::SampleFault;
use super::snapshot::{Event, SourceHealth};
use super::units::MicroUsd;
use super::workload::{Autoscaler, ReplicaCounts, Rollout};

/// One entry of the ledger, chained to the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the chain, from 1, without gaps. Entry ids are written `e<seq>`.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Which cluster.
    pub cluster: Arc<str>,
    /// Which group.
    pub group: GroupId,
    /// Which tick.
    pub tick: TickId,
    /// What it says.
    pub body: EntryBody,
    /// Digest of the entry before; empty text's digest for the first.
    pub previous: Digest,
    /// Digest of all the above.
    pub digest: Digest,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry")]
pub enum EntryBody {
    /// A tick began for a group.
    Opened(Opened),
    /// Something is about to be done.
    Intent(Intent),
    /// What came of it.
    Outcome(Outcome),
    /// The tick ended for a group.
    Closed(Box<Closed>),
}

/// A tick began for a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Digest of the [`Evidence`] body, kept apart and maybe pruned.
    pub evidence: Digest,
    /// Effective modes by target.
    pub modes: BTreeMap<TargetKey, Modes>,
    /// How metrics answered.
    pub metrics: SourceHealth,
}

/// Something is about to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Which proposal.
    pub proposal: ProposalId,
    /// Who wants it.
    pub origin: Origin,
    /// Exactly what.
    pub change: Change,
    /// Lease epoch under which it is done.
    pub epoch: u64,
    /// Whether a reflex pass does it.
    pub reflex: bool,
    /// Who approved it, where a person had to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
}

/// The tick ended for a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// How it ended.
    pub verdict: TickVerdict,
    /// Machine reason.
    pub reason: String,
    /// What the planner found for each target.
    pub plan: BTreeMap<TargetKey, PlanSummary>,
    /// Every proposal with its review and fate.
    pub proposals: Vec<Judged>,
    /// Findings that were reported.
    pub findings: Vec<Finding>,
    /// Whether and how the model took part.
    pub dialogue: DialogueSummary,
}

impl Closed {
    /// Reason of a tick after which a change waits for a person.
    pub const APPROVAL_PENDING: &str = "ApprovalPending";

    /// The verdict as people read it: what waits for a person was not refused by anything.
    #[must_use]
    pub fn shown(&self) -> &'static str {
        match self.verdict {
            TickVerdict::Acted => "Acted",
            TickVerdict::Held => "Held",
            TickVerdict::Blocked if self.reason == Self::APPROVAL_PENDING => "Waiting",
            TickVerdict::Blocked => "Blocked",
            TickVerdict::Failed => "Failed",
        }
    }
}

/// How a tick ended for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TickVerdict {
    /// At least one change was carried out.
    Acted,
    /// Nothing to do, or held until something passes.
    Held,
    /// A guardrail refused what was wanted, or it waits for a person.
    Blocked,
    /// Something failed.
    Failed,
}

/// The planner's numbers of one target, as the record keeps them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// Replicas asked for.
    pub replicas: u32,
    /// Least by the median outlook.
    pub p50_need: u32,
    /// The numbers.
    pub basis: SizingBasis,
    /// Demand at 15, 30, 60 minutes: p50, p90, p95.
    pub outlook: Option<[(usize, f64, f64, f64); 3]>,
    /// Forecasting model.
    pub model: Option<Arc<str>>,
    /// What an HPA would ask for.
    pub shadow_hpa: Option<u32>,
    /// Cost an hour at these replicas.
    pub cost_per_hour: Option<MicroUsd>,
}

/// A proposal, what the guardrails said, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The proposal.
    pub proposal: Proposal,
    /// The review.
    pub review: Review,
    /// Its fate.
    pub fate: Fate,
}

/// What came of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fate {
    /// Carried out.
    Applied,
    /// Released, but the write did not succeed.
    Failed,
    /// Waits for a person.
    Queued,
    /// Recorded only: the mode is `Observe`, or this is a dry tick.
    Shadow,
    /// Refused for now.
    Held,
    /// Refused.
    Blocked,
    /// Replaced by a proposal of the model for the same target.
    Superseded,
}

/// Whether and how the model took part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DialogueSummary {
    /// Why it was or was not asked.
    pub asked: Asked,
    /// How it ended.
    pub end: Option<DialogueEnd>,
    /// Digest of the [`DialogueRecord`] body.
    pub transcript: Option<Digest>,
    /// Tokens and calls.
    pub usage: Usage,
}

/// Whether the model was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Asked {
    /// Asked, for this reason.
    Yes(AskReason),
    /// Nothing made it worth asking.
    NotWorthIt,
    /// No model is configured, or the group does not want one.
    NoModel,
    /// Its budget is spent.
    BudgetSpent,
    /// The circuit breaker is open.
    BreakerOpen,
}

/// Tokens and calls of a dialogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Model calls.
    pub calls: u32,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of completions.
    pub completion_tokens: u64,
    /// Tool calls that were wrong.
    pub invalid_calls: u32,
}

/// How a dialogue ended. Only `Finished` lets its proposals reach the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DialogueEnd {
    /// The model called `finish`.
    Finished,
    /// Too many steps.
    StepCap,
    /// Too many tokens.
    TokenCap,
    /// Out of time.
    TimeCap,
    /// A second mistaken call.
    SecondMistake(String),
    /// The same call again and again.
    Repeating,
    /// It never called a tool.
    NoToolCall,
    /// The answer was cut off; a cut call is never repaired or run.
    Truncated,
    /// The model refused or was filtered.
    Refused,
    /// Proposals that contradict each other.
    Contradiction,
    /// The model could not be reached or answered nonsense; machine reason.
    Unavailable(String),
}

/// The whole dialogue, kept as a body by digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DialogueRecord {
    /// Model asked for.
    pub model: String,
    /// Model that answered, where it said so.
    pub served_model: Option<String>,
    /// Who plays it, if it is not a model (`scripted expert`).
    pub played_by: Option<String>,
    /// What the aliases in it stand for (`w1` to a target), for people who read it; the model was never told.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
    /// Turns in order.
    pub turns: Vec<Turn>,
    /// How it ended.
    pub end: DialogueEnd,
    /// Tokens and calls.
    pub usage: Usage,
}

/// One turn of a dialogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "turn")]
pub enum Turn {
    /// What IPA said at the start.
    Prompt {
        /// `system` or `user`.
        role: String,
        /// Text.
        text: String,
    },
    /// What the model said.
    Reply {
        /// Text, may be empty.
        text: String,
        /// Tool calls, in order.
        calls: Vec<ToolCall>,
    },
    /// What the tools answered, in the order of the calls.
    Answers {
        /// Answers.
        answers: Vec<ToolAnswer>,
    },
}

/// A tool call as the model wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Id of the call.
    pub id: String,
    /// Tool's name as written.
    pub name: String,
    /// Arguments, as JSON text.
    pub arguments: String,
}

/// A tool's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolAnswer {
    /// Id of the call it answers.
    pub call: String,
    /// Tool's name.
    pub name: String,
    /// JSON text.
    pub content: String,
    /// Whether the call was wrong.
    pub mistake: bool,
}

/// What was known of a group at a tick: the body behind [`Opened::evidence`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its targets.
    pub targets: Vec<TargetEvidence>,
    /// Events that bear on them.
    pub events: Vec<Event>,
    /// Which guardrail (UID and generation).
    pub guardrail: Option<String>,
}

/// What was known of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetEvidence {
    /// Which target.
    pub key: TargetKey,
    /// UID; absent when the cluster has no such object.
    pub uid: Option<Arc<str>>,
    /// Replica counts.
    pub replicas: ReplicaCounts,
    /// Rollout.
    pub rollout: Rollout,
    /// Other autoscalers.
    pub autoscalers: Vec<Autoscaler>,
    /// Newest value of each signal by name, its age in seconds, and what was wrong with it.
    pub signals: BTreeMap<String, SignalEvidence>,
}

/// A signal's newest value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalEvidence {
    /// Value in the signal's unit; absent when there is none.
    pub value: Option<f64>,
    /// Age in seconds.
    pub age_s: Option<i64>,
    /// Which template answered.
    pub source: Arc<str>,
    /// What was wrong.
    pub faults: Vec<SampleFault>,
}

/// The fold of one group's entries in one tick: the audit line, the API body, the source of explanations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TickRecord {
    /// Which cluster.
    pub cluster: Arc<str>,
    /// Which group.
    pub group: GroupId,
    /// Which tick.
    pub tick: TickId,
    /// When it began.
    pub at: Timestamp,
    /// Sequence numbers of its entries.
    pub entries: Vec<u64>,
    /// The opening.
    pub opened: Option<Opened>,
    /// Intents with their outcomes, in order.
    pub actions: Vec<Action>,
    /// The end; absent while it runs or after a crash.
    pub closed: Option<Closed>,
    /// Sequence number of the end.
    pub closed_seq: Option<u64>,
}

/// An intent and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Sequence number of the intent.
    pub seq: u64,
    /// The intent.
    pub intent: Intent,
    /// Sequence number and outcome; absent when it is not known.
    pub outcome: Option<(u64, Outcome)>,
}

impl TickRecord {
    /// Folds entries, given in order, into one record for each group and tick, oldest first.
    #[must_use]
    pub fn fold_all(entries: Vec<Entry>) -> Vec<Self> {
        let mut order = Vec::new();
        let mut by_tick: BTreeMap<(GroupId, TickId), Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            let key = (entry.group.clone(), entry.tick);
            if !by_tick.contains_key(&key) {
                order.push(key.clone());
            }
            by_tick.entry(key).or_default().push(entry);
        }
        order.iter().filter_map(|key| Self::fold(by_tick.get(key)?)).collect()
    }

    /// Every target that these records cover.
    #[must_use]
    pub fn targets_of(records: &[Self]) -> BTreeSet<TargetKey> {
        records.iter().filter_map(|record| record.closed.as_ref()).flat_map(|closed| closed.plan.keys().cloned()).collect()
    }

    /// Folds entries of one group and tick, given in order. `None` for no entries.
    #[must_use]
    pub fn fold(entries: &[Entry]) -> Option<Self> {
        let first = entries.first()?;
        let mut record = Self {
            cluster: first.cluster.clone(),
            group: first.group.clone(),
            tick: first.tick,
            at: first.at,
            entries: Vec::with_capacity(entries.len()),
            opened: None,
            actions: Vec::new(),
            closed: None,
            closed_seq: None,
        };
        for entry in entries {
            record.entries.push(entry.seq);
            match &entry.body {
                EntryBody::Opened(opened) => record.opened = Some(opened.clone()),
                EntryBody::Intent(intent) => {
                    record.actions.push(Action { seq: entry.seq, intent: intent.clone(), outcome: None });
                }
                EntryBody::Outcome(outcome) => {
                    let open = record.actions.iter_mut().rev().find(|a| a.intent.proposal == outcome.proposal && a.outcome.is_none());
                    if let Some(action) = open {
                        action.outcome = Some((entry.seq, outcome.clone()));
                    }
                }
                EntryBody::Closed(closed) => {
                    record.closed = Some((**closed).clone());
                    record.closed_seq = Some(entry.seq);
                }
            }
        }
        Some(record)
    }
}

/// A past decision as later ticks and the model may see it: a typed row, no free text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastDecision {
    /// Sequence number of the entry.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Which target.
    pub target: TargetKey,
    /// Who wanted it.
    pub origin: Origin,
    /// Replicas before and after, where it was about replicas.
    pub replicas: Option<(u32, u32)>,
    /// How it ended (`Applied`, `Conflicted`, …).
    pub result: String,
}
