//! review (pure): what goes to the gate, in which order. The judging itself is `guardrails`.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{GroupPass, Pass};
use crate::domain::memory::GateMemory;
use crate::domain::names::{GroupId, ProposalId};
use crate::domain::proposal::{Change, Origin, Proposal};
use crate::domain::record::{Asked, DialogueSummary, Fate, Judged, Usage};
use crate::domain::review::{Review, Verdict};
use crate::domain::snapshot::{DecisionVerdict, QueuedProposal, Snapshot};

impl GroupPass {
    /// Takes in what came of the same group elsewhere.
    pub(super) fn absorb(&mut self, other: Self) {
        let Self { judged, findings, events, dialogue: _, failures } = other;
        self.judged.extend(judged);
        self.findings.extend(findings);
        self.events.extend(events);
        self.failures.extend(failures);
    }

    /// Whether nothing came of the group at all.
    pub(super) fn is_empty(&self) -> bool {
        self.judged.is_empty() && self.findings.is_empty() && self.failures.is_empty()
    }

    /// What a reflex pass leaves: what it did or asked. What it only considered is considered anew by the next tick.
    pub(super) fn of_a_reflex(mut self) -> Self {
        self.judged.retain(|judged| matches!(judged.fate, Fate::Applied | Fate::Failed | Fate::Queued));
        self
    }
}

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

/// Whether a person has lately said no to the same thing: nobody is asked again before that answer is as old as a question may wait.
pub(super) fn was_rejected(queued: &QueuedProposal, wanted: &Change, snapshot: &Snapshot) -> bool {
    let lately = |at: Timestamp| snapshot.at.duration_since(at) < snapshot.limits.proposal_ttl.signed();
    queued.closed
        && same_subject(&queued.proposal.change, wanted)
        && queued.proposal.change.reduces() == wanted.reduces()
        && queued.decisions.iter().any(|decision| decision.verdict == DecisionVerdict::Reject && lately(decision.at))
}

/// What a reflex pass acts on: replicas that what was read since the tick asks for. Removing capacity, resources and nodes stay on the minute.
pub(super) fn reflexes(pass: &Pass, number: u32) -> Vec<Proposal> {
    let ups = pass.plan.proposals.iter().filter(|p| match &p.change {
        Change::Replicas(change) => change.to > change.from,
        Change::Resources(_) | Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => false,
    });
    // Several passes follow one tick, and each counts its proposals from one.
    ups.cloned()
        .map(|mut proposal| {
            proposal.id = ProposalId(format!("{}-r{number}", proposal.id));
            proposal
        })
        .collect()
}

/// Starts a replicas change from where the gate itself has moved the target since it was proposed: the floor acts while a dialogue goes on. What
/// anybody else moved is left as it is, and refused.
pub(super) fn rebased(snapshot: &Snapshot, gate: &GateMemory, mut proposals: Vec<Proposal>) -> Vec<Proposal> {
    for proposal in &mut proposals {
        let Change::Replicas(wanted) = &mut proposal.change else { continue };
        let Some(live) = snapshot.workload(&wanted.target).map(|workload| workload.replicas.desired) else { continue };
        let ours =
            gate.changes.get(&wanted.target).and_then(|marks| marks.back()).is_some_and(|mark| mark.at >= proposal.made && mark.to == live);
        let same_way = (wanted.to > live) == (wanted.to > wanted.from);
        if wanted.from != live && ours && (same_way || wanted.to == live) {
            wanted.from = live;
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
    use crate::domain::names::Digest;
    use crate::domain::names::TargetKey;
    use crate::domain::proposal::ReplicasChange;
    use crate::domain::review::{RuleId, Ruling};

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

    #[test]
    fn a_model_that_saw_the_world_before_the_floor_acted_starts_from_where_the_floor_has_moved_it() {
        use crate::domain::memory::ChangeMark;
        let mut world = crate::forecast::world::empty(0);
        assert_eq!(crate::forecast::world::add(&mut world, "web", 7, false), TargetKey::deployment("shop", "web"));
        let moved_by_the_gate = |to| {
            let mark = ChangeMark { at: Timestamp::UNIX_EPOCH, origin: Origin::Planner, from: 4, to };
            GateMemory { changes: [(TargetKey::deployment("shop", "web"), [mark].into())].into(), ..GateMemory::default() }
        };
        let rebase = |gate: &GateMemory, from, to| rebased(&world, gate, vec![replicas(from, to)]).pop().map(|p| p.change);
        assert_eq!(rebase(&moved_by_the_gate(7), 4, 9), Some(replicas(7, 9).change));
        assert_eq!(rebase(&moved_by_the_gate(7), 4, 7), None, "it asks for what was done");
        assert_eq!(rebase(&moved_by_the_gate(7), 4, 2), Some(replicas(7, 2).change), "fewer than before and than now");
        assert_eq!(rebase(&moved_by_the_gate(7), 4, 6), Some(replicas(4, 6).change), "more then, fewer now: refused as it stands");
        assert_eq!(rebase(&GateMemory::default(), 4, 9), Some(replicas(4, 9).change), "somebody else moved it");
    }

    #[test]
    fn people_are_asked_anew_only_when_something_else_is_needed() {
        use crate::domain::snapshot::Decision;
        let queued = |from, to| QueuedProposal {
            proposal: replicas(from, to),
            digest: Digest::default(),
            state_digest: Digest::default(),
            expires: Timestamp::MAX,
            rulings: Vec::new(),
            decisions: Vec::new(),
            closed: false,
            ended: None,
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
