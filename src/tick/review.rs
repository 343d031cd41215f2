//! review (pure): what goes to the gate, in which order. The judging itself is `guardrails`.

use std::collections::BTreeSet;

use super::{GroupPass, Pass};
use crate::domain::memory::Commitments;
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::plan::SizingReason;
use crate::domain::proposal::{Change, Origin, Proposal};
use crate::domain::record::{Asked, DialogueSummary, Fate, Judged, Usage};
use crate::domain::review::{Review, Verdict};
use crate::domain::snapshot::QueuedProposal;

impl Default for GroupPass {
    fn default() -> Self {
        Self {
            judged: Vec::new(),
            findings: Vec::new(),
            events: Vec::new(),
            dialogue: DialogueSummary { asked: Asked::NotWorthIt, end: None, transcript: None, usage: Usage::default() },
            failures: Vec::new(),
        }
    }
}

/// Splits the planner's proposals: those that go now, and those that take capacity from a target whose dialogue is open.
pub(super) fn what_goes_first(pass: &Pass, open: &BTreeSet<GroupId>) -> (Vec<Proposal>, Vec<Proposal>) {
    pass.plan.proposals.iter().cloned().partition(|p| !p.change.reduces() || !open.contains(&p.group))
}

/// Of the planner's proposals that waited, those that no admitted or queued proposal of a model has taken the place of; the others are recorded
/// as superseded.
pub(super) fn not_superseded(pass: &mut Pass, waited: Vec<Proposal>) -> Vec<Proposal> {
    let mut go = Vec::new();
    for proposal in waited {
        let Some(group) = pass.groups.get_mut(&proposal.group) else { continue };
        let taken = group.judged.iter().any(|j| {
            j.proposal.origin == Origin::Model
                && same_subject(&j.proposal.change, &proposal.change)
                && matches!(j.fate, Fate::Applied | Fate::Queued | Fate::Shadow)
        });
        if taken {
            let review = Review { proposal: proposal.id.clone(), verdict: Verdict::Refuse, change: None, rulings: Vec::new() };
            group.judged.push(Judged { proposal, review, fate: Fate::Superseded });
        } else {
            go.push(proposal);
        }
    }
    go
}

/// Whether two changes are about the same thing, so that one can stand for the other.
pub(super) fn same_subject(a: &Change, b: &Change) -> bool {
    match (a, b) {
        (Change::Replicas(a), Change::Replicas(b)) => a.target == b.target,
        (Change::Resources(a), Change::Resources(b)) => a.target == b.target && a.container == b.container,
        (Change::NodePool(a), Change::NodePool(b)) => a.draft.name == b.draft.name,
        (Change::Headroom(a), Change::Headroom(b)) => a.target == b.target,
        _ => false,
    }
}

/// Whether a queued proposal still says what is wanted: people are not asked twice for nearly the same. A decision that somebody has made is never
/// taken away; otherwise the opposite direction, or a count that differs by two and by a quarter of it, is worth asking anew.
pub(super) fn still_stands(queued: &QueuedProposal, wanted: &Change) -> bool {
    if !queued.decisions.is_empty() {
        return true;
    }
    match (&queued.proposal.change, wanted) {
        (Change::Replicas(asked), Change::Replicas(now)) => {
            let apart = asked.to.abs_diff(now.to);
            queued.proposal.change.reduces() == wanted.reduces() && asked.from == now.from && (apart < 2 || apart * 4 < asked.to)
        }
        (asked, now) => asked.reduces() == now.reduces(),
    }
}

/// What a reflex pass acts on: replicas that present metrics ask for beyond what there is. Removing capacity, resources and nodes stay on the minute.
pub(super) fn reflexes(pass: &Pass) -> Vec<Proposal> {
    let urgent = |target: &TargetKey| {
        pass.plan
            .targets
            .get(target)
            .is_some_and(|p| matches!(p.basis.reason, SizingReason::PresentDemand | SizingReason::Backlog | SizingReason::CpuOnly))
    };
    let ups = pass.plan.proposals.iter().filter(|p| match &p.change {
        Change::Replicas(change) => change.to > change.from && urgent(&change.target),
        Change::Resources(_) | Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => false,
    });
    ups.cloned()
        .map(|mut proposal| {
            proposal.id.0.push_str("-reflex");
            proposal
        })
        .collect()
}

/// Starts a replicas change from what the gate has released already: a dialogue began from a snapshot that does not show it yet.
pub(super) fn rebased(commitments: &Commitments, mut proposals: Vec<Proposal>) -> Vec<Proposal> {
    for proposal in &mut proposals {
        let Change::Replicas(wanted) = &mut proposal.change else { continue };
        let released = commitments.open.iter().rev().find_map(|open| match &open.change {
            Change::Replicas(change) if change.target == wanted.target && change.uid == wanted.uid => Some(change.to),
            _ => None,
        });
        if let Some(to) = released {
            wanted.from = to;
        }
    }
    proposals.retain(|p| !matches!(&p.change, Change::Replicas(c) if c.from == c.to));
    proposals
}

/// What an unreleased review comes to.
pub(super) fn fate_of_refusal(review: &Review) -> Fate {
    use crate::domain::review::RuleId;
    let hard: Vec<_> = review.rulings.iter().filter(|r| r.verdict == Verdict::Refuse).collect();
    if hard.iter().all(|r| r.rule == RuleId::Mode) {
        Fate::Shadow
    } else if hard.iter().all(|r| r.rule == RuleId::Mode || r.rule.passes_with_time()) {
        Fate::Held
    } else {
        Fate::Blocked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::memory::Commitment;
    use crate::domain::names::{Digest, ProposalId};
    use crate::domain::proposal::ReplicasChange;
    use crate::domain::review::{RuleId, Ruling};
    use crate::domain::units::MicroUsd;
    use jiff::Timestamp;

    fn replicas(from: u32, to: u32) -> Proposal {
        Proposal {
            id: ProposalId(format!("p{from}-{to}")),
            group: GroupId::new("shop", "front"),
            origin: Origin::Model,
            change: Change::Replicas(ReplicasChange { target: TargetKey::deployment("shop", "web"), uid: "u1".into(), from, to }),
            rationale: String::new(),
            evidence: Vec::new(),
            made: Timestamp::UNIX_EPOCH,
            cost_change_per_hour: None,
        }
    }

    fn released(proposal: &Proposal) -> Commitments {
        let commitment = Commitment {
            proposal: proposal.id.clone(),
            group: proposal.group.clone(),
            origin: Origin::Planner,
            change: proposal.change.clone(),
            at: Timestamp::UNIX_EPOCH,
            cost_change_per_hour: MicroUsd(0),
            regret: MicroUsd(0),
        };
        Commitments { open: vec![commitment], ..Commitments::default() }
    }

    #[test]
    fn a_model_that_saw_the_world_before_the_floor_acted_starts_from_what_was_released() {
        let floor = released(&replicas(4, 7));
        assert_eq!(rebased(&floor, vec![replicas(4, 9)])[0].change, replicas(7, 9).change);
        assert_eq!(rebased(&floor, vec![replicas(4, 7)]), [], "it asks for what was done");
    }

    #[test]
    fn people_are_asked_anew_only_when_something_else_is_needed() {
        use crate::domain::snapshot::{Decision, DecisionVerdict};
        let queued = |from, to| QueuedProposal {
            proposal: replicas(from, to),
            digest: Digest::default(),
            state_digest: Digest::default(),
            expires: Timestamp::MAX,
            rulings: Vec::new(),
            decisions: Vec::new(),
            closed: false,
        };
        let stands = |queued: &QueuedProposal, from, to| still_stands(queued, &replicas(from, to).change);
        assert!(stands(&queued(7, 8), 7, 9), "nearly the same");
        assert!(stands(&queued(20, 40), 20, 45), "within a quarter");
        assert!(!stands(&queued(7, 8), 7, 15), "much more is needed");
        assert!(!stands(&queued(7, 8), 7, 5), "the opposite is needed");
        assert!(!stands(&queued(7, 8), 9, 10), "the world has moved");
        let by = Decision { by: "alice".into(), verdict: DecisionVerdict::Approve, digest: Digest::default(), at: Timestamp::UNIX_EPOCH };
        let decided = QueuedProposal { decisions: vec![by], ..queued(7, 8) };
        assert!(stands(&decided, 7, 15), "a decision is not taken away");
    }

    #[test]
    fn a_refusal_is_shadow_held_or_blocked_by_its_hardest_reason() {
        let refused_by = |rules: &[RuleId]| {
            let ruling = |rule| Ruling { rule, verdict: Verdict::Refuse, compared: Vec::new(), sentence: String::new() };
            fate_of_refusal(&Review {
                proposal: ProposalId("p".into()),
                verdict: Verdict::Refuse,
                change: None,
                rulings: rules.iter().copied().map(ruling).collect(),
            })
        };
        assert_eq!(refused_by(&[RuleId::Mode]), Fate::Shadow);
        assert_eq!(refused_by(&[RuleId::Mode, RuleId::CoolDown]), Fate::Held);
        assert_eq!(refused_by(&[RuleId::CoolDown, RuleId::OtherWriter]), Fate::Blocked);
    }
}
