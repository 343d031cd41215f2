//! An approval that comes back: judged again, against the world of now, and carried out whole or not at all.

use serde::Serialize;

use super::{Batch, judge_one};
use crate::domain::memory::Commitments;
use crate::domain::names::{Digest, DigestError};
use crate::domain::plan::Plan;
use crate::domain::proposal::Change;
use crate::domain::review::{Review, RuleId, Ruling, Verdict};
use crate::domain::snapshot::{DecisionVerdict, QueuedProposal, Snapshot};
use crate::domain::workload::ContainerResources;

/// What became of a queued proposal, with the review the record keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Reentry {
    /// The review; admitted only when `end` is [`ReentryEnd::Approved`].
    pub review: Review,
    /// Why.
    pub end: ReentryEnd,
}

/// Why a queued proposal passes, waits or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReentryEnd {
    /// A person approved exactly this, the world is as it was, and every rule admits it.
    Approved,
    /// Nobody has decided: it goes on waiting.
    Undecided,
    /// It ended before.
    Closed,
    /// A person rejected it.
    Rejected,
    /// Its time is over.
    Expired,
    /// The world, the limits or the change are not those that were approved, or a rule no longer admits it.
    Stale,
}

impl ReentryEnd {
    /// Machine reason, as a queued proposal is closed with it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Approved => "Approved",
            Self::Undecided => "Undecided",
            Self::Closed => "Closed",
            Self::Rejected => "Rejected",
            Self::Expired => "Expired",
            Self::Stale => "Stale",
        }
    }
}

/// Judges a queued proposal that people may have decided on. The person stands for mode, the unusual, and a model's missing evidence; every
/// other rule is in force. Nothing is clamped: what was approved is carried out whole, or is stale.
#[must_use]
pub fn judge_approved(snapshot: &Snapshot, plan: &Plan, commitments: &Commitments, queued: &QueuedProposal) -> Reentry {
    if let Some((end, sentence)) = unfit(snapshot, queued) {
        let ruling = Ruling { rule: RuleId::Identity, verdict: Verdict::Refuse, compared: Vec::new(), sentence };
        let review = Review { proposal: queued.proposal.id.clone(), verdict: Verdict::Refuse, change: None, rulings: vec![ruling] };
        return Reentry { review, end };
    }
    let batch = Batch::new(snapshot, plan, commitments, &[&queued.proposal]);
    let mut review = judge_one(&batch, &queued.proposal, true);
    if review.verdict == Verdict::Clamp {
        for ruling in review.rulings.iter_mut().filter(|ruling| ruling.verdict == Verdict::Clamp) {
            ruling.verdict = Verdict::Refuse;
            ruling.sentence = format!("Stale: what was approved is no longer admitted whole, {}", ruling.sentence);
        }
        review.verdict = Verdict::Refuse;
        review.change = None;
    }
    let end = if review.verdict == Verdict::Admit { ReentryEnd::Approved } else { ReentryEnd::Stale };
    Reentry { review, end }
}

/// Digest of the state an approval is given for: the object, its generation and numbers, and the limits that were in force.
///
/// # Errors
/// When the state has no canonical JSON, which no well-formed snapshot lacks.
pub fn state_digest(snapshot: &Snapshot, change: &Change) -> Result<Digest, DigestError> {
    /// What an approval stands on.
    #[derive(Serialize)]
    struct State<'a> {
        uid: Option<&'a str>,
        generation: Option<i64>,
        replicas: Option<u32>,
        resources: Option<ContainerResources>,
        limits: Option<&'a str>,
        group_generation: Option<i64>,
    }
    let state = match (change.target(), change) {
        (Some(target), _) => {
            let workload = snapshot.workload(target);
            let container = match change {
                Change::Resources(c) => workload.and_then(|w| w.template.containers.iter().find(|container| container.name == c.container)),
                _ => None,
            };
            State {
                uid: workload.map(|w| &*w.uid),
                generation: workload.map(|w| w.generation),
                replicas: workload.map(|w| w.replicas.desired),
                resources: container.map(|container| container.resources),
                limits: snapshot.facts.guardrails.get(&target.namespace).map(|guardrail| guardrail.version.as_str()),
                group_generation: snapshot.group_of(target).map(|(group, _)| group.generation),
            }
        }
        (None, Change::NodePool(c)) => {
            let fleet = snapshot.facts.fleets.get(&c.fleet);
            State {
                uid: fleet.map(|fleet| &*fleet.uid),
                generation: fleet.map(|fleet| fleet.generation),
                replicas: None,
                resources: None,
                limits: None,
                group_generation: None,
            }
        }
        (None, _) => State { uid: None, generation: None, replicas: None, resources: None, limits: None, group_generation: None },
    };
    Digest::of(&state)
}

/// Why a queued proposal is not judged again.
fn unfit(snapshot: &Snapshot, queued: &QueuedProposal) -> Option<(ReentryEnd, String)> {
    let change = &queued.proposal.change;
    if queued.closed {
        return Some((ReentryEnd::Closed, "the proposal has ended before".into()));
    }
    if let Some(no) = queued.decisions.iter().find(|decision| decision.verdict == DecisionVerdict::Reject) {
        return Some((ReentryEnd::Rejected, format!("rejected at {}", no.at)));
    }
    if snapshot.at >= queued.expires {
        return Some((ReentryEnd::Expired, format!("the proposal expired at {}", queued.expires)));
    }
    let Some(decision) = queued.decisions.last() else {
        return Some((ReentryEnd::Undecided, "nobody has decided yet".into()));
    };
    let stale = |what: &str| Some((ReentryEnd::Stale, format!("Stale: {what}")));
    match change.digest() {
        Ok(digest) if digest == queued.digest && digest == decision.digest => {}
        _ => return stale("what was approved is not this change"),
    }
    if decision.at > snapshot.at + MOST_SKEW {
        return stale("the approval comes from the future");
    }
    match state_digest(snapshot, change) {
        Ok(digest) if digest == queued.state_digest => None,
        _ => stale("the target or its limits have changed since this was proposed"),
    }
}

/// How far the clocks of an API server and of this process may be apart.
const MOST_SKEW: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
