//! What a group is told about itself after a tick: status, conditions, events. Pure; the `Status` port writes it where people read it.

use super::Pass;
use crate::domain::limits::{Fleet, Group, Mode};
use crate::domain::memory::Memory;
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::outcome::{Outcome, OutcomeResult};
use crate::domain::proposal::{Change, Proposal};
use crate::domain::record::{Asked, DialogueEnd, Fate, Judged};
use crate::domain::resize::ResizeTally;
use crate::domain::review::{Review, RuleId, Verdict};
use crate::domain::snapshot::{Rejected, SourceHealth};
use crate::domain::status::{Condition, ConditionType, GroupStatus, StatusEvent, StatusEventReason, TargetStatus};
use crate::domain::workload::{AutoscalerKind, Workload};

/// Whether a group has a model, and what is known of it. Most ticks ask nothing: what the last dialogue showed holds until the next.
struct ModelUse<'a> {
    configured: bool,
    enabled: bool,
    asked: Asked,
    last_end: Option<&'a DialogueEnd>,
}

/// Fills the pass with a status for every group, and for every custom resource that could not be taken.
pub(super) fn fill(pass: &mut Pass, memory: &Memory, has_model: bool) {
    let mut statuses: Vec<GroupStatus> =
        pass.snapshot.facts.groups.values().map(|group| group_status(pass, memory, group, has_model)).collect();
    statuses.extend(pass.snapshot.facts.fleets.values().map(|fleet| fleet_status(pass, fleet)));
    statuses.extend(pass.snapshot.facts.rejected.iter().map(|rejected| rejected_status(pass, rejected)));
    pass.statuses = statuses;
}

fn group_status(pass: &Pass, memory: &Memory, group: &Group, has_model: bool) -> GroupStatus {
    let targets: Vec<TargetStatus> = group.targets.iter().map(|t| target_status(pass, memory, &t.key)).collect();
    let model = ModelUse {
        configured: has_model,
        enabled: group.model_enabled,
        asked: pass.groups.get(&group.id).map_or(Asked::NotWorthIt, |g| g.dialogue.asked),
        last_end: memory.dialogues.get(&group.id).and_then(|last| last.end.as_ref()),
    };
    let conditions = ConditionType::ALL.map(|kind| condition(pass, group, kind, &model)).to_vec();
    GroupStatus {
        group: group.id.clone(),
        uid: group.uid.clone(),
        observed_generation: group.generation,
        at: pass.snapshot.at,
        targets,
        conditions,
        events: pass.groups.get(&group.id).map(|g| g.events.clone()).unwrap_or_default(),
    }
}

fn target_status(pass: &Pass, memory: &Memory, key: &TargetKey) -> TargetStatus {
    let snapshot = &*pass.snapshot;
    let replicas = snapshot.workload(key).map(|w| w.replicas).unwrap_or_default();
    let plan = pass.plan.targets.get(key);
    let named = snapshot.group_of(key).map(|(_, t)| t.bounds);
    let hard = snapshot.target_limits(key).map(|l| l.bounds);
    let min = named.map_or(0, |b| b.min).max(hard.map_or(0, |b| b.min));
    let max = named.map_or(0, |b| b.max).min(hard.map_or(u32::MAX, |b| b.max));
    let last = memory.gate.changes.get(key).and_then(|marks| marks.back());
    TargetStatus {
        target: key.clone(),
        modes: snapshot.effective_modes(key),
        min,
        max,
        current: replicas.current,
        desired: plan.map_or(replicas.desired, |p| p.replicas),
        ready: replicas.ready,
        shadow_hpa: plan.and_then(|p| p.shadow_hpa),
        confidence: plan.and_then(|p| p.outlook.as_ref()).and_then(|o| o.quality.coverage90),
        model: plan.and_then(|p| p.outlook.as_ref()).map(|o| o.model.clone()),
        reason: plan.map_or_else(|| "NotFound".to_owned(), |p| format!("{:?}", p.basis.reason)),
        last_action: last.map(|mark| (mark.at, format!("{} -> {}", mark.from, mark.to))),
        cost_per_hour: plan.and_then(|p| p.cost_per_hour),
    }
}

/// A fleet: it has no targets, metrics or model of its own.
fn fleet_status(pass: &Pass, fleet: &Fleet) -> GroupStatus {
    let group = pass.groups.get(&fleet.id);
    let failure = group.and_then(|g| g.failures.first());
    let waiting = pass.queue.iter().any(|q| !q.closed && q.proposal.group == fleet.id);
    let conditions = ConditionType::ALL.map(|kind| match kind {
        ConditionType::Ready => match failure {
            Some(failure) => no(kind, failure, "a change could not be carried out; see the events"),
            None => yes(kind, "TickCompleted", "the last tick went through"),
        },
        ConditionType::AbleToScale if fleet.highest_mode == Mode::Observe => {
            no(kind, "Observe", "what would be done is recorded, no pool is changed")
        }
        ConditionType::AbleToScale => yes(kind, &format!("{:?}", fleet.highest_mode), "pools that the fleet lists may be changed"),
        ConditionType::ApprovalPending if waiting => yes(kind, "Waiting", "proposals wait: `ipa proposals list`"),
        ConditionType::ApprovalPending => no(kind, "NothingWaits", "no proposal waits for a person"),
        _ => Condition { kind, status: None, reason: "NotOfAFleet".into(), message: "says nothing of a fleet".into() },
    });
    GroupStatus {
        group: fleet.id.clone(),
        uid: fleet.uid.clone(),
        observed_generation: fleet.generation,
        at: pass.snapshot.at,
        targets: Vec::new(),
        conditions: conditions.to_vec(),
        events: group.map(|g| g.events.clone()).unwrap_or_default(),
    }
}

/// A custom resource that could not be taken: one condition says why, nothing else is known.
fn rejected_status(pass: &Pass, rejected: &Rejected) -> GroupStatus {
    let conditions = ConditionType::ALL.map(|kind| match kind {
        ConditionType::Ready => no(kind, &rejected.reason, &rejected.message),
        ConditionType::Conflicted if rejected.reason == "AlreadyManaged" => yes(kind, &rejected.reason, &rejected.message),
        ConditionType::Conflicted => no(kind, "NoConflict", "no other autoscaler or writer owns a target"),
        _ => Condition { kind, status: None, reason: rejected.reason.clone(), message: rejected.message.clone() },
    });
    GroupStatus {
        group: rejected.group.clone(),
        uid: rejected.uid.clone(),
        observed_generation: rejected.generation,
        at: pass.snapshot.at,
        targets: Vec::new(),
        conditions: conditions.to_vec(),
        events: Vec::new(),
    }
}

fn yes(kind: ConditionType, reason: &str, message: &str) -> Condition {
    Condition { kind, status: Some(true), reason: reason.to_owned(), message: message.to_owned() }
}

fn no(kind: ConditionType, reason: &str, message: &str) -> Condition {
    Condition { kind, status: Some(false), reason: reason.to_owned(), message: message.to_owned() }
}

fn condition(pass: &Pass, group: &Group, kind: ConditionType, model: &ModelUse<'_>) -> Condition {
    match kind {
        ConditionType::Ready => ready(pass, group),
        ConditionType::AbleToScale => able_to_scale(pass, group),
        ConditionType::ScalingActive => scaling_active(pass, group),
        ConditionType::ScalingLimited => scaling_limited(pass, group),
        ConditionType::MetricsAvailable => metrics_available(&pass.snapshot.metrics_health),
        ConditionType::LLMAvailable => llm_available(model),
        ConditionType::Fallback => fallback(model),
        ConditionType::Paused => paused(group),
        ConditionType::Conflicted => conflicted(pass, group),
        ConditionType::ApprovalPending => approval_pending(pass, group),
        ConditionType::FenceInstalled => fence_installed(pass, group),
        ConditionType::AuditHealthy => audit_healthy(pass, group),
    }
}

fn ready(pass: &Pass, group: &Group) -> Condition {
    let kind = ConditionType::Ready;
    let missing: Vec<String> =
        group.targets.iter().filter(|t| pass.snapshot.workload(&t.key).is_none()).map(|t| t.key.kubectl_name()).collect();
    let failures = pass.groups.get(&group.id).map(|g| g.failures.as_slice()).unwrap_or_default();
    if !missing.is_empty() {
        no(kind, "TargetNotFound", &format!("the cluster has no {}: correct spec.targets or create it", missing.join(", ")))
    } else if let Some(failure) = failures.first() {
        no(kind, failure, "a change could not be carried out; see the events and `ipa why`")
    } else {
        yes(kind, "TickCompleted", "the last tick went through")
    }
}

fn able_to_scale(pass: &Pass, group: &Group) -> Condition {
    let kind = ConditionType::AbleToScale;
    let highest = group.targets.iter().map(|t| pass.snapshot.effective_modes(&t.key)).map(|m| m.scale_up.max(m.scale_down)).max();
    match highest.unwrap_or_default() {
        Mode::Auto => yes(kind, "Auto", "changes inside the limits are carried out"),
        Mode::Recommend => yes(kind, "Recommend", "changes inside the limits wait for approval"),
        Mode::Observe => no(kind, "Observe", "shadow: what would be done is recorded, nothing is changed"),
    }
}

fn scaling_active(pass: &Pass, group: &Group) -> Condition {
    let kind = ConditionType::ScalingActive;
    let blind: Vec<String> = group
        .targets
        .iter()
        .filter(|t| pass.plan.targets.get(&t.key).is_none_or(|p| p.basis.demand_now.is_none()))
        .map(|t| t.key.kubectl_name())
        .collect();
    if blind.is_empty() {
        yes(kind, "ValidMetricFound", "every target has a fresh load signal")
    } else {
        no(kind, "FailedGetMetrics", &format!("no fresh load signal for {}: what is there stays", blind.join(", ")))
    }
}

fn scaling_limited(pass: &Pass, group: &Group) -> Condition {
    let kind = ConditionType::ScalingLimited;
    let limited = judged(pass, group)
        .filter(|j| matches!(j.review.verdict, Verdict::Clamp | Verdict::Refuse) && j.fate != Fate::Shadow)
        .find_map(|j| j.review.decisive());
    if let Some(ruling) = limited {
        return yes(kind, &ruling.rule.to_string(), &ruling.sentence);
    }
    let waiting = group.targets.iter().filter_map(|t| pass.snapshot.workload(&t.key)).find_map(resize_waits);
    match waiting {
        Some((reason, message)) => yes(kind, reason, &message),
        None => no(kind, "DesiredWithinRange", "no guardrail limits what is wanted"),
    }
}

/// What keeps running pods from the size in force of one of their containers, where nodes said so.
fn resize_waits(workload: &Workload) -> Option<(&'static str, String)> {
    workload.template.containers.iter().find_map(|container| {
        let tally = workload.resize_tally(&container.name);
        let reason = match tally {
            ResizeTally { infeasible: 1.., .. } => "ResizeInfeasible",
            ResizeTally { deferred: 1.., .. } => "ResizeDeferred",
            _ => return None,
        };
        Some((reason, format!("the size in force of container {} of {}: {tally}", container.name, workload.key.kubectl_name())))
    })
}

fn metrics_available(health: &SourceHealth) -> Condition {
    let kind = ConditionType::MetricsAvailable;
    match health {
        SourceHealth::Ok => yes(kind, "Answered", "the metrics source answered in full"),
        SourceHealth::Degraded(reason) => no(kind, "Degraded", &format!("the metrics source answered in part: {reason}")),
        SourceHealth::Down(reason) => no(kind, "Down", &format!("the metrics source did not answer: {reason}; nothing is scaled down")),
    }
}

fn llm_available(model: &ModelUse<'_>) -> Condition {
    let kind = ConditionType::LLMAvailable;
    match (model.asked, model.last_end) {
        _ if !model.configured => no(kind, "NotConfigured", "no model is configured: the planner decides alone"),
        _ if !model.enabled => no(kind, "Disabled", "this group does not want a model: the planner decides alone"),
        (Asked::BreakerOpen, _) => no(kind, "BreakerOpen", "the model failed too often and is left alone for a while"),
        (Asked::BudgetSpent, _) => no(kind, "BudgetSpent", "the day's tokens are spent"),
        (_, Some(DialogueEnd::Unavailable(reason))) => no(kind, "Unavailable", &format!("the model did not answer: {reason}")),
        (_, Some(_)) => yes(kind, "Available", "the model answered when it was last asked"),
        (_, None) => {
            Condition { kind, status: None, reason: "NotAskedYet".into(), message: "nothing has been worth asking the model yet".into() }
        }
    }
}

fn fallback(model: &ModelUse<'_>) -> Condition {
    let kind = ConditionType::Fallback;
    let failed = matches!(model.asked, Asked::BreakerOpen | Asked::BudgetSpent)
        || model.last_end.is_some_and(|end| !matches!(end, DialogueEnd::Finished));
    if model.configured && model.enabled && failed {
        yes(kind, "FloorAlone", "the model gave no valid answer: the planner's own proposals went on")
    } else {
        no(kind, "AsConfigured", "the model answers where it is asked, or is not configured")
    }
}

fn paused(group: &Group) -> Condition {
    let kind = ConditionType::Paused;
    match (group.paused.all, group.paused.scale_in, group.paused.scale_out) {
        (true, _, _) => yes(kind, "Paused", "annotation ipa.dev/paused: nothing is changed"),
        (_, true, true) => yes(kind, "PausedBoth", "annotations ipa.dev/paused-scale-in and -out: replicas stay"),
        (_, true, false) => yes(kind, "PausedScaleIn", "annotation ipa.dev/paused-scale-in: no replicas are removed"),
        (_, false, true) => yes(kind, "PausedScaleOut", "annotation ipa.dev/paused-scale-out: no replicas are added"),
        (false, false, false) => no(kind, "NotPaused", "no pause annotation is set"),
    }
}

fn conflicted(pass: &Pass, group: &Group) -> Condition {
    let kind = ConditionType::Conflicted;
    let outcome = pass.groups.get(&group.id).into_iter().flat_map(|g| &g.failures).any(|f| f == "Conflicted");
    let ruling =
        judged(pass, group).flat_map(|j| &j.review.rulings).find(|r| r.rule == RuleId::OtherWriter && r.verdict == Verdict::Refuse);
    let autoscaled = group.targets.iter().filter_map(|t| pass.snapshot.workload(&t.key)).find_map(|workload| {
        [AutoscalerKind::HPA, AutoscalerKind::KEDA].into_iter().find_map(|k| workload.autoscaled_by(k).map(|a| (workload, a)))
    });
    if let Some(ruling) = ruling {
        yes(kind, "OtherWriter", &ruling.sentence)
    } else if let Some((workload, other)) = autoscaled {
        let message = format!(
            "{} is scaled by {:?} {}: IPA only records what it would do; to share, set spec.actuation: HPABounds",
            workload.key.kubectl_name(),
            other.kind,
            other.name
        );
        yes(kind, "OtherAutoscaler", &message)
    } else if outcome {
        yes(kind, "FieldOwned", "another manager owns a field: see the events")
    } else {
        no(kind, "NoConflict", "no other autoscaler or writer owns a target")
    }
}

fn approval_pending(pass: &Pass, group: &Group) -> Condition {
    let kind = ConditionType::ApprovalPending;
    let waiting = pass.queue.iter().filter(|q| !q.closed && q.proposal.group == group.id).count();
    if waiting > 0 {
        yes(kind, "Waiting", &format!("{waiting} proposals wait: `ipa proposals list`"))
    } else {
        no(kind, "NothingWaits", "no proposal waits for a person")
    }
}

fn fence_installed(pass: &Pass, group: &Group) -> Condition {
    let kind = ConditionType::FenceInstalled;
    if pass.snapshot.facts.guardrails.contains_key(&group.id.namespace) {
        Condition {
            kind,
            status: None,
            reason: "NotProbed".into(),
            message: "a ScalingGuardrail is there; the admission policy is not probed".into(),
        }
    } else {
        no(kind, "NoGuardrail", "the namespace has no ScalingGuardrail named default: nothing above Observe is done")
    }
}

fn audit_healthy(pass: &Pass, group: &Group) -> Condition {
    let kind = ConditionType::AuditHealthy;
    let broken = pass.groups.get(&group.id).is_some_and(|g| g.failures.iter().any(|f| f == "NoRecordNoAction"));
    if broken {
        no(kind, "NotWritten", "the ledger could not be written: nothing was changed")
    } else {
        yes(kind, "Written", "the record of this tick is in the ledger")
    }
}

fn judged<'a>(pass: &'a Pass, group: &Group) -> impl Iterator<Item = &'a Judged> {
    pass.groups.get(&group.id).into_iter().flat_map(|g| &g.judged)
}

/// What is told of a change that was carried out, or was not.
pub(super) fn outcome_event(proposal: &Proposal, review: &Review, outcome: &Outcome) -> Option<StatusEvent> {
    let target = outcome.change.target().cloned();
    let reason = match (&outcome.result, &outcome.change) {
        (result, Change::Replicas(change)) if result.is_applied() && change.to > change.from => StatusEventReason::ScaledUp,
        (result, Change::Replicas(_)) if result.is_applied() => StatusEventReason::ScaledDown,
        (result, Change::Resources(_)) if result.is_applied() => StatusEventReason::Resized,
        (result, Change::Finding(_)) if result.is_applied() => StatusEventReason::Finding,
        (OutcomeResult::Conflicted { .. }, _) => StatusEventReason::ConflictDetected,
        _ => return None,
    };
    let note = match &outcome.result {
        OutcomeResult::Conflicted { manager, advice } => {
            format!("{}: not done, {manager} owns the field; {advice}", outcome.change.summary())
        }
        OutcomeResult::Resized { pods } => format!("{} ({}); {pods}", outcome.change.summary(), proposal.rationale),
        _ if review.verdict == Verdict::Clamp => {
            let why = review.decisive().map(|r| r.sentence.clone()).unwrap_or_default();
            format!("{} ({}; clamped: {why})", outcome.change.summary(), proposal.rationale)
        }
        _ => format!("{} ({})", outcome.change.summary(), proposal.rationale),
    };
    Some(StatusEvent { reason, warning: reason == StatusEventReason::ConflictDetected, target, note })
}

/// What is told of a change that a guardrail held back or refused. What was only recorded, or waits, is told elsewhere.
pub(super) fn verdict_event(proposal: &Proposal, review: &Review, fate: Fate) -> Option<StatusEvent> {
    if !matches!(fate, Fate::Held | Fate::Blocked) {
        return None;
    }
    let ruling = review.decisive()?;
    let reason = match ruling.rule {
        RuleId::OtherWriter => StatusEventReason::ConflictDetected,
        RuleId::StaleMetrics => StatusEventReason::MetricsStale,
        _ => StatusEventReason::HeldByGuardrail,
    };
    Some(StatusEvent {
        reason,
        warning: fate == Fate::Blocked,
        target: proposal.change.target().cloned(),
        note: format!("{}: not done, {}", proposal.change.summary(), ruling.sentence),
    })
}

impl Pass {
    /// Notes that something failed for a group; the first one is the tick's machine reason.
    pub(super) fn note_failure(&mut self, group: &GroupId, reason: &str) {
        self.groups.entry(group.clone()).or_default().failures.push(reason.to_owned());
    }

    /// Notes an event for a group.
    pub(super) fn event(&mut self, group: &GroupId, reason: StatusEventReason, target: Option<&TargetKey>, note: String) {
        let event = StatusEvent { reason, warning: false, target: target.cloned(), note };
        self.groups.entry(group.clone()).or_default().events.push(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::memory::AskReason;
    use crate::domain::resize::{PodSize, ResizeState};

    #[test]
    fn a_model_that_did_not_answer_stays_away_until_it_answers_again() {
        let away = DialogueEnd::Unavailable("ConnectFailed".into());
        let said = |asked, last_end: Option<&DialogueEnd>| {
            let model = ModelUse { configured: true, enabled: true, asked, last_end };
            (llm_available(&model).status, fallback(&model).status)
        };
        assert_eq!(said(Asked::NotWorthIt, None), (None, Some(false)), "nobody knows yet");
        assert_eq!(said(Asked::Yes(AskReason::Changed), Some(&away)), (Some(false), Some(true)));
        assert_eq!(said(Asked::NotWorthIt, Some(&away)), (Some(false), Some(true)), "a tick that asks nothing has learned nothing");
        assert_eq!(said(Asked::BreakerOpen, Some(&away)), (Some(false), Some(true)));
        assert_eq!(said(Asked::NotWorthIt, Some(&DialogueEnd::Repeating)), (Some(true), Some(true)), "it answers, but not validly");
        assert_eq!(said(Asked::NotWorthIt, Some(&DialogueEnd::Finished)), (Some(true), Some(false)));
    }

    #[test]
    fn a_size_that_nodes_defer_or_can_never_hold_is_told() {
        let waits = |resize| {
            let mut workload = crate::forecast::world::workload("web", 2);
            let container = workload.template.containers[0].clone();
            for pod in &mut workload.pods {
                pod.node = Some("n1".into());
                pod.size = PodSize { containers: vec![container.clone()], resize };
            }
            resize_waits(&workload)
        };
        let told = |resize| waits(resize).map(|(reason, message)| (reason, message.split_once(": ").unwrap().1.to_owned()));
        assert_eq!(told(ResizeState::Settled), None);
        let deferred = "0 of 2 pods have it, 2 wait for room on their nodes (Deferred)".to_owned();
        assert_eq!(told(ResizeState::Deferred { since: None }), Some(("ResizeDeferred", deferred)));
        let infeasible = "0 of 2 pods have it, 2 ask for more than their nodes can give (Infeasible)".to_owned();
        assert_eq!(told(ResizeState::Infeasible), Some(("ResizeInfeasible", infeasible)));
    }

    #[test]
    fn without_a_model_nothing_falls_back() {
        for (configured, enabled) in [(false, true), (true, false)] {
            let model = ModelUse { configured, enabled, asked: Asked::NoModel, last_end: Some(&DialogueEnd::TimeCap) };
            assert_eq!((llm_available(&model).status, fallback(&model).status), (Some(false), Some(false)));
        }
    }
}
