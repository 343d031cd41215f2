//! "Why did you scale?", and "why not?": the last decision about a target, from what was known to what came of it.

use super::{Answer, Builder, Confidence};
use crate::domain::names::TargetKey;
use crate::domain::outcome::OutcomeResult;
use crate::domain::plan::CapacitySource;
use crate::domain::proposal::{Change, Origin};
use crate::domain::record::{Action, Asked, Closed, DialogueEnd, Fate, Judged, PlanSummary, TickRecord};
use crate::domain::review::Verdict;

/// Explains the newest carried-out change of a target among `records` (oldest first, of its group), and what has been wanted and not done since.
#[must_use]
pub fn why(target: &TargetKey, records: &[TickRecord]) -> Answer {
    let mut answer = Builder::default();
    let acted = records.iter().enumerate().rev().find_map(|(index, record)| {
        let action = record.actions.iter().rev().find(|a| is_scaling(&a.intent.change, target))?;
        Some((index, record, action))
    });
    let since = acted.map_or(0, |(index, _, _)| index + 1);
    if let Some((_, record, action)) = acted {
        explain_action(&mut answer, record, action);
        explain_reason(&mut answer, target, records, action);
    }
    let refused = records[since..].iter().rev().find_map(|record| refusal(target, record));
    if let Some((entry, judged, record)) = refused {
        explain_refusal(&mut answer, entry, judged, record);
    }
    let confidence = match (acted, refused) {
        (None, None) => {
            explain_nothing(&mut answer, target, records);
            if answer.sentences.is_empty() { Confidence::None } else { Confidence::Recorded }
        }
        _ if answer.unknowns.is_empty() => Confidence::Recorded,
        _ => Confidence::Partial,
    };
    answer.finish(confidence)
}

fn is_scaling(change: &Change, target: &TargetKey) -> bool {
    matches!(change, Change::Replicas(_) | Change::Resources(_)) && change.target() == Some(target)
}

fn time(record: &TickRecord) -> String {
    record.at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn explain_action(answer: &mut Builder, record: &TickRecord, action: &Action) {
    let summary = action.intent.change.summary();
    let mut citations = vec![(action.seq, "intent.change", summary.clone())];
    if let Some((seq, outcome)) = &action.outcome {
        citations.push((*seq, "outcome.result", outcome.result.reason().to_owned()));
        let done = match &outcome.result {
            OutcomeResult::Resized { pods } => format!("was asked of running pods: {pods}"),
            result if result.is_applied() => "was carried out".to_owned(),
            OutcomeResult::Unknown { .. } => "was tried, and whether it was done is not known".to_owned(),
            _ => "was tried and did not succeed".to_owned(),
        };
        answer.say(&format!("At {} the change {summary} {done} ({}).", time(record), outcome.result.reason()), &citations);
    } else {
        answer.say(&format!("At {} the change {summary} was begun.", time(record)), &citations);
        answer.unknown("the outcome was not recorded");
    }
}

/// The numbers are those of the record that judged it: a reflex pass acts in one tick's record, and is judged in the next one's.
fn explain_reason(answer: &mut Builder, target: &TargetKey, records: &[TickRecord], action: &Action) {
    if let Some(by) = &action.intent.approved_by {
        answer.say(&format!("{by} approved it."), &[(action.seq, "intent.approved_by", by.clone())]);
    }
    let judged_in = records.iter().find_map(|record| {
        let (entry, closed) = closing(record)?;
        let is_it = |j: &&Judged| j.proposal.id == action.intent.proposal && is_scaling(&j.proposal.change, target);
        closed.proposals.iter().find(is_it).map(|judged| (entry, closed, judged))
    });
    let Some((entry, closed, judged)) = judged_in else {
        let who = format!("{:?}", action.intent.origin);
        answer.say(&format!("It came from the {who}."), &[(action.seq, "intent.origin", who)]);
        answer.unknown("the closing entry that judged it is missing: the numbers behind the change are not known");
        return;
    };
    explain_origin(answer, entry, judged, closed);
    explain_rulings(answer, entry, judged);
    match closed.plan.get(target) {
        _ if action.intent.reflex => answer.unknown("a reflex pass did it, between the plans that are recorded"),
        Some(plan) => explain_numbers(answer, entry, plan),
        None => answer.unknown("the plan of that tick does not cover the target"),
    }
}

fn closing(record: &TickRecord) -> Option<(u64, &Closed)> {
    let closed = record.closed.as_ref()?;
    record.closed_seq.map(|seq| (seq, closed))
}

fn explain_origin(answer: &mut Builder, entry: u64, judged: &Judged, closed: &Closed) {
    let who = match judged.proposal.origin {
        Origin::Planner => "The numeric planner asked for it",
        Origin::Model => "The model asked for it",
        Origin::Person => "A person asked for it",
    };
    let origin = format!("{:?}", judged.proposal.origin);
    let because = if judged.proposal.rationale.is_empty() { String::new() } else { format!(": {}", judged.proposal.rationale) };
    answer.say(&format!("{who}{because}."), &[(entry, "proposal.origin", origin)]);
    let dialogue = match (&closed.dialogue.asked, &closed.dialogue.end) {
        (Asked::Yes(reason), Some(DialogueEnd::Finished)) => {
            Some(format!("The model was consulted ({reason:?}) and finished its dialogue."))
        }
        (Asked::Yes(reason), Some(end)) => {
            Some(format!("The model was consulted ({reason:?}) but gave no valid answer ({end:?}); the planner's proposals went on alone."))
        }
        (Asked::BreakerOpen | Asked::BudgetSpent, _) => {
            Some(format!("The model was not consulted ({:?}); the planner's proposals went on alone.", closed.dialogue.asked))
        }
        _ => None,
    };
    if let Some(sentence) = dialogue {
        answer.say(&sentence, &[(entry, "dialogue.asked", format!("{:?}", closed.dialogue.asked))]);
    }
}

fn explain_rulings(answer: &mut Builder, entry: u64, judged: &Judged) {
    for ruling in judged.review.rulings.iter().filter(|r| r.verdict != Verdict::Admit) {
        let sentence = format!("Guardrail {} said {:?}: {}.", ruling.rule, ruling.verdict, ruling.sentence.trim_end_matches('.'));
        answer.say(&sentence, &[(entry, "review.ruling", format!("{} {:?}", ruling.rule, ruling.verdict))]);
    }
}

fn explain_numbers(answer: &mut Builder, entry: u64, plan: &PlanSummary) {
    let basis = &plan.basis;
    let number = |value: f64| if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    if let (Some(now), Some(planned)) = (basis.demand_now, basis.demand_planned) {
        let model = plan.model.as_deref().unwrap_or("no model");
        answer.say(
            &format!(
                "Demand was {}/s; the {:.0} % quantile of the {model} outlook over the lead time of {:.0} s was {}/s.",
                number(now),
                basis.quantile * 100.0,
                basis.lead_s,
                number(planned)
            ),
            &[(entry, "plan.demand_now", number(now)), (entry, "plan.demand_planned", number(planned))],
        );
    }
    if let Some(capacity) = basis.capacity_per_replica {
        let source = match basis.capacity_source {
            CapacitySource::Declared => "declared by the team",
            CapacitySource::Learned => "learned from its own past",
            CapacitySource::Unknown => "assumed",
        };
        answer.say(
            &format!(
                "One replica serves {}/s ({source}) and is planned to {:.0} %, which gives {} replicas ({:?}).",
                number(capacity),
                basis.target_utilization * 100.0,
                plan.replicas,
                basis.reason
            ),
            &[(entry, "plan.capacity_per_replica", number(capacity)), (entry, "plan.replicas", plan.replicas.to_string())],
        );
    } else {
        answer.say(
            &format!("The plan was {} replicas ({:?}).", plan.replicas, basis.reason),
            &[(entry, "plan.replicas", plan.replicas.to_string())],
        );
    }
    if let Some(shadow) = plan.shadow_hpa {
        answer.say(&format!("An HPA would have asked for {shadow}."), &[(entry, "plan.shadow_hpa", shadow.to_string())]);
    }
}

/// The newest thing that was wanted for the target and not done.
fn refusal<'a>(target: &TargetKey, record: &'a TickRecord) -> Option<(u64, &'a Judged, &'a TickRecord)> {
    let (entry, closed) = closing(record)?;
    let judged = closed.proposals.iter().rev().find(|j| {
        is_scaling(&j.proposal.change, target) && matches!(j.fate, Fate::Held | Fate::Blocked | Fate::Queued | Fate::Shadow | Fate::Failed)
    })?;
    Some((entry, judged, record))
}

fn explain_refusal(answer: &mut Builder, entry: u64, judged: &Judged, record: &TickRecord) {
    let summary = judged.proposal.change.summary();
    let fate = match judged.fate {
        Fate::Queued => "waits for a person's approval",
        Fate::Shadow => "was only recorded, since the mode is Observe",
        Fate::Held => "was held",
        Fate::Failed => "could not be carried out",
        Fate::Blocked | Fate::Applied | Fate::Superseded => "was refused",
    };
    answer.say(&format!("At {} {summary} {fate}.", time(record)), &[(entry, "proposal.fate", format!("{:?}", judged.fate))]);
    explain_rulings(answer, entry, judged);
}

fn explain_nothing(answer: &mut Builder, target: &TargetKey, records: &[TickRecord]) {
    let covered = records.iter().rev().find_map(|record| {
        let (entry, closed) = closing(record)?;
        closed.plan.get(target).map(|plan| (entry, plan))
    });
    match covered {
        Some((entry, plan)) => {
            answer.say(
                &format!("No change of {target} is recorded: the plan has been {} replicas, which is what there is.", plan.replicas),
                &[(entry, "plan.replicas", plan.replicas.to_string())],
            );
            explain_numbers(answer, entry, plan);
        }
        None => answer.unknown("no recorded decision about this target: name one of a group, or ask for an earlier time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::GroupId;

    #[test]
    fn what_is_not_recorded_is_not_said() {
        let answer = why(&TargetKey::deployment("shop", "web"), &[]);
        assert_eq!((answer.answer.as_str(), answer.confidence), ("", Confidence::None));
        assert!(answer.unknowns[0].starts_with("no recorded decision"), "{answer:?}");
    }

    #[test]
    fn an_action_without_its_closing_says_what_is_missing() {
        use crate::domain::names::{ProposalId, TickId};
        use crate::domain::proposal::ReplicasChange;
        use crate::domain::record::Intent;
        let target = TargetKey::deployment("shop", "web");
        let change = Change::Replicas(ReplicasChange { target: target.clone(), uid: "u".into(), from: 4, to: 7 });
        let intent = Intent {
            proposal: ProposalId("t1-planner-1".into()),
            origin: Origin::Planner,
            change,
            epoch: 1,
            reflex: false,
            approved_by: None,
        };
        let record = TickRecord {
            cluster: "c".into(),
            group: GroupId::new("shop", "front"),
            tick: TickId(1),
            at: "2026-03-02T08:00:00Z".parse().unwrap(),
            entries: vec![1, 2],
            opened: None,
            actions: vec![Action { seq: 2, intent, outcome: None }],
            closed: None,
            closed_seq: None,
        };
        let answer = why(&target, &[record]);
        assert_eq!(
            answer.answer,
            "At 2026-03-02 08:00:00 UTC the change replicas of shop/deployments.apps/web 4 -> 7 was begun. [e2]\nIt came from the Planner. [e2]"
        );
        assert_eq!(answer.confidence, Confidence::Partial);
        assert_eq!(answer.unknowns.len(), 2);
        assert_eq!(answer.evidence[0].record, "e2");
    }
}
