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
                Change::Resources(c) => workload.and_then(|w| w.in_force(&c.container)),
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
    if decision.at.duration_since(snapshot.at) > MOST_SKEW {
        return stale("the approval comes from the future");
    }
    match state_digest(snapshot, change) {
        Ok(digest) if digest == queued.state_digest => None,
        _ => stale("the target or its limits have changed since this was proposed"),
    }
}

/// How far the clocks of an API server and of this process may be apart.
const MOST_SKEW: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::{Mode, Modes};
    use crate::domain::proposal::Origin;
    use crate::domain::snapshot::Decision;
    use crate::guardrails::testing::{Setup, calm, minutes_ago, now, proposal, replicas, said, web};

    fn asking() -> Setup {
        let mut setup = calm();
        setup.group().modes = Modes::all(Mode::Recommend);
        setup
    }

    fn queued(setup: &Setup, change: Change, verdicts: &[DecisionVerdict]) -> QueuedProposal {
        let digest = change.digest().unwrap();
        QueuedProposal {
            state_digest: state_digest(&setup.snapshot, &change).unwrap(),
            proposal: proposal(1, Origin::Planner, change),
            expires: now() + jiff::SignedDuration::from_mins(10),
            decisions: verdicts
                .iter()
                .map(|verdict| Decision { by: "ada".into(), verdict: *verdict, digest: digest.clone(), at: minutes_ago(1) })
                .collect(),
            digest,
            rulings: Vec::new(),
            closed: false,
            ended: None,
        }
    }

    fn approved(setup: &Setup, change: Change) -> QueuedProposal {
        queued(setup, change, &[DecisionVerdict::Approve])
    }

    fn check(setup: &Setup, queued: &QueuedProposal, end: ReentryEnd, expect: &str) {
        let reentry = judge_approved(&setup.snapshot, &setup.plan, &setup.commitments, queued);
        assert_eq!((reentry.end, said(&reentry.review).as_str()), (end, expect));
    }

    #[test]
    fn what_a_person_approved_passes_whole() {
        let mut setup = asking();
        setup.snapshot.memory.gate.usual.insert(web(), 1.0);
        check(
            &setup,
            &approved(&setup, replicas(12)),
            ReentryEnd::Approved,
            "Admit 10 -> 12\nMode Admit: a person approved exactly this change\n\
             Unusual Admit: 12 replicas are above 10 times the usual 1.0; a person approved it",
        );
    }

    #[test]
    fn an_approval_overrules_no_other_rule_and_is_never_clamped() {
        let mut setup = asking();
        let ask = approved(&setup, replicas(14));
        setup.snapshot.facts.nodes.truncate(1);
        setup.snapshot.facts.nodes[0].allocatable.cpu.0 = 2_000;
        check(
            &setup,
            &ask,
            ReentryEnd::Stale,
            "Refuse\nMode Admit: a person approved exactly this change\n\
             Fit Refuse: Stale: what was approved is no longer admitted whole, 2 of 4 replicas may be added: a pod asks for cpu 1 and \
             memory 512Mi, the freest nodes have cpu 2 and memory 256Gi, and no pool may buy more",
        );
        let mut frozen = asking();
        let ask = approved(&frozen, replicas(12));
        frozen.guardrail().freeze = true;
        check(
            &frozen,
            &ask,
            ReentryEnd::Stale,
            "Refuse\nMode Admit: a person approved exactly this change\nFreeze Refuse: the ScalingGuardrail of namespace shop is frozen",
        );
    }

    #[test]
    fn observe_is_not_overruled_by_an_approval() {
        let mut setup = calm();
        setup.group().modes = Modes::all(Mode::Observe);
        let refused = "Refuse\nMode Refuse: the mode of scale-ups is Observe: this is recorded and not carried out";
        check(&setup, &approved(&setup, replicas(12)), ReentryEnd::Stale, refused);
    }

    #[test]
    fn fault_a03_a_world_that_moved_makes_an_approval_stale() {
        let setup = asking();
        let ask = approved(&setup, replicas(12));
        let stale = "Refuse\nIdentity Refuse: Stale: the target or its limits have changed since this was proposed";
        let moved = |edit: fn(&mut Setup)| {
            let mut moved = asking();
            edit(&mut moved);
            check(&moved, &ask, ReentryEnd::Stale, stale);
        };
        moved(|s| s.workload().uid = "uid-other".into());
        moved(|s| s.workload().generation += 1);
        moved(|s| s.workload().replicas.desired = 11);
        moved(|s| s.guardrail().version = "uid-guardrail/2".into());
        moved(|s| s.group().generation += 1);
        check(&asking(), &ask, ReentryEnd::Approved, "Admit 10 -> 12\nMode Admit: a person approved exactly this change");
    }

    #[test]
    fn fault_a02_only_a_standing_approval_of_exactly_this_counts() {
        use DecisionVerdict::{Approve, Reject};
        let setup = asking();
        let refused = |ask: &QueuedProposal, end, sentence: &str| check(&setup, ask, end, &format!("Refuse\nIdentity Refuse: {sentence}"));
        let with = |verdicts: &[DecisionVerdict]| queued(&setup, replicas(12), verdicts);
        refused(&with(&[]), ReentryEnd::Undecided, "nobody has decided yet");
        refused(&with(&[Reject, Approve]), ReentryEnd::Rejected, "rejected at 2026-03-01T09:59:00Z");
        refused(&with(&[Approve, Reject]), ReentryEnd::Rejected, "rejected at 2026-03-01T09:59:00Z");
        let expired = QueuedProposal { expires: now(), ..with(&[Approve]) };
        refused(&expired, ReentryEnd::Expired, "the proposal expired at 2026-03-01T10:00:00Z");
        let closed = QueuedProposal { closed: true, ..with(&[Approve]) };
        refused(&closed, ReentryEnd::Closed, "the proposal has ended before");
        let mut edited = with(&[Approve]);
        edited.proposal.change = replicas(14);
        refused(&edited, ReentryEnd::Stale, "Stale: what was approved is not this change");
        let mut other = with(&[Approve]);
        other.decisions[0].digest = replicas(14).digest().unwrap();
        refused(&other, ReentryEnd::Stale, "Stale: what was approved is not this change");
    }
}
