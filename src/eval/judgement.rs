//! What a policy with a model understood of its incident and what the model did, by the records of the run.
//!
//! A safe act is a change that the incident does not forbid, a cause that is reported, or a dialogue that ends with the plan left as it is: to have
//! looked and to hold still is an answer too. Whether causes are right is the scores' to say.

use jiff::Timestamp;

use super::cell::{Found, ModelUse};
use super::incident::{ForbiddenAct, Incident, IncidentFaultKind};
use crate::domain::proposal::Change;
use crate::domain::record::{Asked, Closed, DialogueEnd, Fate, Judged, TickRecord};
use crate::domain::units::MicroUsd;
use crate::sim::FaultKind;

/// What a model's tokens cost, dollars a million. A millionth of a dollar for each token is one dollar a million.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenPrice {
    /// Tokens that it reads.
    pub prompt: f64,
    /// Tokens that it writes.
    pub completion: f64,
}

/// What was understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// Causes that were reported once there was anything to report.
    pub findings: Vec<Found>,
    /// Seconds from the first fault to the first safe act; 0 for one that came between an announcement and what was announced.
    pub first_safe_act_s: Option<u32>,
}

/// What was understood by a run with these records.
#[must_use]
pub fn judgement(incident: &Incident, records: &[TickRecord]) -> Judgement {
    let (known, begun) = first_fault(incident);
    let after = |at: Timestamp| at.as_second() >= known;
    let later = || records.iter().filter(|record| after(record.at));
    let acts = later().filter_map(|record| first_safe(incident, record)).filter(|at| after(*at)).min();
    Judgement {
        findings: later().filter_map(|record| record.closed.as_ref()).flat_map(findings).collect(),
        first_safe_act_s: acts.map(|at| u32::try_from((at.as_second() - begun).max(0)).unwrap_or(u32::MAX)),
    }
}

/// What the model did in a run with these records.
#[must_use]
pub fn model_use(records: &[TickRecord], price: TokenPrice) -> ModelUse {
    let mut sum = ModelUse::default();
    for dialogue in records.iter().filter_map(|record| record.closed.as_ref()).map(|closed| &closed.dialogue) {
        sum.calls += u64::from(dialogue.usage.calls);
        sum.prompt_tokens += dialogue.usage.prompt_tokens;
        sum.completion_tokens += dialogue.usage.completion_tokens;
        sum.invalid += u64::from(dialogue.usage.invalid_calls);
        let ended_without = dialogue.end.as_ref().is_some_and(|end| *end != DialogueEnd::Finished);
        let could_not_be_asked = matches!(dialogue.asked, Asked::BreakerOpen | Asked::BudgetSpent);
        sum.fallbacks += u64::from(ended_without || could_not_be_asked);
    }
    let dollars_of_a_million = sum.prompt_tokens as f64 * price.prompt + sum.completion_tokens as f64 * price.completion;
    sum.cost = MicroUsd(dollars_of_a_million.round() as i64);
    sum
}

/// When the first fault can be known and when it begins, Unix seconds; where none is named, the scored part is what goes wrong.
fn first_fault(incident: &Incident) -> (i64, i64) {
    let scored = incident.scored_from().as_second();
    let Some(first) = incident.faults.first() else { return (scored, scored) };
    let begun = scored + i64::from(first.at_s);
    match first.kind {
        IncidentFaultKind::Cluster(FaultKind::SurgeAnnounced { ahead_s, .. }) => (begun - i64::from(ahead_s), begun),
        _ => (begun, begun),
    }
}

/// When a record shows its first safe act.
fn first_safe(incident: &Incident, record: &TickRecord) -> Option<Timestamp> {
    let applied = record.actions.iter().filter_map(|action| action.outcome.as_ref()).filter(|(_, outcome)| outcome.result.is_applied());
    let (forbidden, safe): (Vec<_>, Vec<_>) =
        applied.map(|(_, outcome)| outcome).partition(|outcome| is_forbidden(incident, &outcome.change));
    let left_alone =
        record.closed.as_ref().is_some_and(|closed| closed.dialogue.end == Some(DialogueEnd::Finished)) && forbidden.is_empty();
    safe.into_iter().map(|outcome| outcome.at).chain(left_alone.then_some(record.at)).min()
}

fn is_forbidden(incident: &Incident, change: &Change) -> bool {
    let act = match change {
        Change::Replicas(change) if change.to < change.from => ForbiddenAct::ScaleDown,
        Change::Replicas(_) => ForbiddenAct::ScaleUp,
        Change::Resources(_) => ForbiddenAct::Resize,
        Change::NodePool(_) => ForbiddenAct::NodePool,
        Change::Headroom(_) | Change::Finding(_) => return false,
    };
    incident.expect.decision.as_ref().is_some_and(|decision| decision.forbidden.contains(&act))
}

/// The causes that a tick told people, each with the signals it was shown by.
fn findings(closed: &Closed) -> impl Iterator<Item = Found> + '_ {
    closed.proposals.iter().filter(|judged| judged.fate == Fate::Applied).filter_map(|Judged { proposal, .. }| {
        let Change::Finding(finding) = &proposal.change else { return None };
        // A signal is named by its target and its own name; other evidence has no dot in it.
        let signals = proposal.evidence.iter().filter_map(|id| id.0.rsplit_once('.')).map(|(_, signal)| signal.to_owned());
        Some(Found { cause: finding.cause, evidence: signals.collect() })
    })
}

#[cfg(test)]
mod tests {
    use super::super::incident::{ExpectedDecision, IncidentFault};
    use super::super::stage::key;
    use super::super::testing::{record, seasonal};
    use super::*;
    use crate::domain::memory::AskReason;
    use crate::domain::names::{EvidenceId, ProposalId};
    use crate::domain::outcome::{Outcome, OutcomeResult};
    use crate::domain::proposal::{Cause, Finding, Notify, Origin, Proposal, ReplicasChange};
    use crate::domain::record::{Action, Intent, Usage};
    use crate::domain::review::{Review, Verdict};

    /// An hour in, something goes wrong; nothing may be taken away.
    fn incident(kind: FaultKind) -> Incident {
        let mut incident = seasonal("shop", 30);
        incident.faults = vec![IncidentFault { at_s: 3600, for_s: 600, target: None, kind: IncidentFaultKind::Cluster(kind) }];
        let forbidden = vec![ForbiddenAct::ScaleDown];
        incident.expect.decision =
            Some(ExpectedDecision { class: Cause::Leak, first_safe_act_before_s: Some(900), forbidden, evidence: Vec::new() });
        incident
    }

    fn acted(incident: &Incident, second: u32, to: u32, result: OutcomeResult) -> TickRecord {
        let mut record = record(incident, second);
        let change = Change::Replicas(ReplicasChange { target: key("web"), uid: "1".into(), from: 8, to });
        let (proposal, origin, at) = (ProposalId("t1".into()), Origin::Planner, record.at);
        let intent = Intent { proposal: proposal.clone(), origin, change: change.clone(), epoch: 1, reflex: false, approved_by: None };
        record.actions.push(Action { seq: 1, intent, outcome: Some((2, Outcome { proposal, origin, change, result, at })) });
        record
    }

    fn reported(incident: &Incident, second: u32, cause: Cause, fate: Fate) -> TickRecord {
        let mut record = record(incident, second);
        let proposal = Proposal {
            id: ProposalId("t1-model-1".into()),
            group: record.group.clone(),
            origin: Origin::Model,
            change: Change::Finding(Finding { target: key("web"), cause, notify: Notify::Team }),
            rationale: String::new(),
            evidence: ["incident/deployments.apps/web.latency", "ev7"].map(|id| EvidenceId(id.into())).to_vec(),
            made: record.at,
            cost_change_per_hour: None,
        };
        let review = Review { proposal: proposal.id.clone(), verdict: Verdict::Admit, change: None, rulings: Vec::new() };
        record.closed.as_mut().unwrap().proposals.push(Judged { proposal, review, fate });
        record
    }

    fn finished(incident: &Incident, second: u32) -> TickRecord {
        let mut record = record(incident, second);
        record.closed.as_mut().unwrap().dialogue.end = Some(DialogueEnd::Finished);
        record
    }

    const APPLIED: OutcomeResult = OutcomeResult::Applied { resource_version: None };

    #[test]
    fn a_safe_act_is_one_that_was_carried_out_after_the_fault_and_is_not_forbidden() {
        let incident = incident(FaultKind::PodCrash { share: 0.5 });
        let first = |records: &[TickRecord]| judgement(&incident, records).first_safe_act_s;
        let acted = |second, to| acted(&incident, second, to, APPLIED);
        assert_eq!(first(&[acted(3000, 9), acted(3660, 7), acted(3900, 9), acted(4000, 10)]), Some(300));
        assert_eq!(first(&[acted(3000, 9), acted(3660, 7)]), None);
        let refused = super::tests::acted(&incident, 3660, 9, OutcomeResult::Gone);
        assert_eq!(first(&[refused]), None);
        assert_eq!(first(&[finished(&incident, 3540), finished(&incident, 3720)]), Some(120), "to hold still is an answer");
        let mut both = finished(&incident, 3720);
        both.actions = acted(3720, 7).actions;
        assert_eq!(first(&[both]), None, "but not beside what is forbidden");
    }

    #[test]
    fn what_is_announced_can_be_met_before_it_comes() {
        let incident = incident(FaultKind::SurgeAnnounced { ahead_s: 1800, percent: 300 });
        let first = |second| judgement(&incident, &[acted(&incident, second, 9, APPLIED)]).first_safe_act_s;
        assert_eq!([first(1740), first(1800), first(3600), first(3700)], [None, Some(0), Some(0), Some(100)]);
    }

    #[test]
    fn causes_that_people_were_told_are_found_with_their_signals() {
        let incident = incident(FaultKind::PodCrash { share: 0.5 });
        let records = [
            reported(&incident, 600, Cause::Capacity, Fate::Applied),
            reported(&incident, 3660, Cause::BadRollout, Fate::Blocked),
            reported(&incident, 3720, Cause::Leak, Fate::Applied),
        ];
        let found = judgement(&incident, &records).findings;
        assert_eq!(found, [Found { cause: Cause::Leak, evidence: vec!["latency".into()] }]);
    }

    #[test]
    fn a_model_is_counted_and_paid_by_its_tokens() {
        let incident = incident(FaultKind::PodCrash { share: 0.5 });
        let with = |asked, end: Option<DialogueEnd>, calls| {
            let mut record = record(&incident, 60);
            let dialogue = &mut record.closed.as_mut().unwrap().dialogue;
            (dialogue.asked, dialogue.end) = (asked, end);
            dialogue.usage = Usage { calls, prompt_tokens: 1000 * u64::from(calls), completion_tokens: 10, invalid_calls: 1 };
            record
        };
        let yes = Asked::Yes(AskReason::Changed);
        let records = [
            with(yes, Some(DialogueEnd::Finished), 3),
            with(yes, Some(DialogueEnd::Unavailable("Transient".into())), 1),
            with(Asked::BreakerOpen, None, 0),
            with(Asked::NotWorthIt, None, 0),
        ];
        let used = model_use(&records, TokenPrice { prompt: 0.5, completion: 2.0 });
        assert_eq!((used.calls, used.prompt_tokens, used.completion_tokens, used.invalid, used.fallbacks), (4, 4000, 40, 4, 2));
        assert_eq!(used.cost, MicroUsd(2080));
    }
}
