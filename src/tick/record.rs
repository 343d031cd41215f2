//! record (world): a group's tick is opened before anything is done and closed after, whatever came of it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Pass, act};
use crate::domain::limits::Group;
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::outcome::{Outcome, OutcomeResult};
use crate::domain::plan::TargetPlan;
use crate::domain::record::{Closed, EntryBody, Evidence, Fate, Judged, Opened, PlanSummary, SignalEvidence, TargetEvidence, TickVerdict};
use crate::domain::snapshot::Snapshot;
use crate::ports::{Body, EntryFilter, NewEntry, PortError, Ports};

/// Opens the tick for every group: what was known, by digest, and what was allowed. Gives the number of entries.
pub(super) async fn open(ports: &Ports, snapshot: &Snapshot) -> Result<u64, PortError> {
    let bodies = snapshot.facts.groups.values().map(|group| Body::Evidence(evidence(snapshot, group))).collect();
    let digests = ports.ledger.put_bodies(bodies, snapshot.at).await?;
    let mut entries = Vec::with_capacity(digests.len());
    for ((id, group), evidence) in snapshot.facts.groups.iter().zip(digests) {
        let modes = group.targets.iter().map(|t| (t.key.clone(), snapshot.effective_modes(&t.key))).collect();
        let opened = Opened { evidence, modes, metrics: snapshot.metrics_health.clone() };
        entries.push(act::entry(snapshot, id, snapshot.at, EntryBody::Opened(opened)));
    }
    append(ports, entries).await
}

/// The entries that close the tick, one for every group (pure).
pub(super) fn closing(pass: &Pass, at: Timestamp, dry: bool) -> Vec<NewEntry> {
    let entries = pass.groups.iter().filter(|(id, _)| !id.is_fleet() || !pass.groups[*id].is_empty());
    let entries = entries.map(|(id, group)| {
        let (verdict, reason) = verdict(pass, id, dry);
        let closed = Closed {
            verdict,
            reason,
            plan: plan_summaries(pass, id),
            proposals: group.judged.clone(),
            findings: group.findings.clone(),
            dialogue: group.dialogue.clone(),
        };
        act::entry(&pass.snapshot, id, at, EntryBody::Closed(Box::new(closed)))
    });
    entries.collect()
}

/// Appends what there is. Gives the number of entries.
pub(super) async fn append(ports: &Ports, entries: Vec<NewEntry>) -> Result<u64, PortError> {
    if entries.is_empty() {
        return Ok(0);
    }
    ports.ledger.append(entries).await.map(|numbers| numbers.len() as u64)
}

/// Intents whose outcome was lost with the process that wrote them: what came of them is not known, and says so.
pub(super) async fn reconcile_unfinished(ports: &Ports) -> Result<(), PortError> {
    let recent = ports.ledger.entries(&EntryFilter { newest: 2_000, ..EntryFilter::default() }).await?;
    let mut open = BTreeMap::new();
    for entry in &recent {
        match &entry.body {
            EntryBody::Intent(intent) => {
                open.insert(intent.proposal.clone(), (entry, intent));
            }
            EntryBody::Outcome(outcome) => {
                open.remove(&outcome.proposal);
            }
            EntryBody::Opened(_) | EntryBody::Closed(_) => {}
        }
    }
    let now = ports.clock.now();
    let entries = open.into_values().map(|(entry, intent)| NewEntry {
        at: now,
        cluster: entry.cluster.clone(),
        group: entry.group.clone(),
        tick: entry.tick,
        body: EntryBody::Outcome(Outcome {
            proposal: intent.proposal.clone(),
            origin: intent.origin,
            change: intent.change.clone(),
            result: OutcomeResult::Unknown { detail: "the process ended before the outcome was recorded".into() },
            at: now,
        }),
    });
    append(ports, entries.collect()).await.map(|_| ())
}

/// How the tick ended for a group, hardest reason first: something failed, acted, blocked, held.
fn verdict(pass: &Pass, id: &GroupId, dry: bool) -> (TickVerdict, String) {
    let Some(group) = pass.groups.get(id) else { return (TickVerdict::Held, "NothingToDo".into()) };
    let decisive = |fate: Fate| group.judged.iter().find(|j| j.fate == fate);
    let rule = |judged: &Judged| judged.review.decisive().map_or_else(|| format!("{:?}", judged.fate), |r| r.rule.to_string());
    if let Some(failure) = group.failures.first() {
        (TickVerdict::Failed, failure.clone())
    } else if decisive(Fate::Applied).is_some() {
        (TickVerdict::Acted, "Applied".into())
    } else if decisive(Fate::Queued).is_some() {
        (TickVerdict::Blocked, Closed::APPROVAL_PENDING.into())
    } else if let Some(judged) = decisive(Fate::Blocked) {
        (TickVerdict::Blocked, rule(judged))
    } else if decisive(Fate::Held).is_some() && !pass.leads && !dry {
        (TickVerdict::Held, "NotLeader".into())
    } else if let Some(judged) = decisive(Fate::Held) {
        (TickVerdict::Held, rule(judged))
    } else if decisive(Fate::Shadow).is_some() {
        (TickVerdict::Held, if dry { "DryRun".into() } else { "Observe".into() })
    } else {
        (TickVerdict::Held, "NothingToDo".into())
    }
}

fn plan_summaries(pass: &Pass, id: &GroupId) -> BTreeMap<TargetKey, PlanSummary> {
    let Some(group) = pass.snapshot.facts.groups.get(id) else { return BTreeMap::new() };
    group.targets.iter().filter_map(|named| pass.plan.targets.get(&named.key).map(|plan| (named.key.clone(), summary(plan)))).collect()
}

fn summary(plan: &TargetPlan) -> PlanSummary {
    PlanSummary {
        replicas: plan.replicas,
        p50_need: plan.p50_need,
        basis: plan.basis.clone(),
        outlook: plan.outlook.as_ref().map(|o| o.printed()),
        model: plan.outlook.as_ref().map(|o| o.model.clone()),
        shadow_hpa: plan.shadow_hpa,
        cost_per_hour: plan.cost_per_hour,
    }
}

fn evidence(snapshot: &Snapshot, group: &Group) -> Evidence {
    let targets = group.targets.iter().map(|named| target_evidence(snapshot, &named.key)).collect();
    let mine = |key: &TargetKey| group.targets.iter().any(|t| t.key == *key);
    Evidence {
        targets,
        events: snapshot.facts.events.iter().filter(|e| mine(&e.target)).cloned().collect(),
        guardrail: snapshot.facts.guardrails.get(&group.id.namespace).map(|g| g.version.clone()),
    }
}

fn target_evidence(snapshot: &Snapshot, key: &TargetKey) -> TargetEvidence {
    let workload = snapshot.workload(key);
    let signals = snapshot.signals.get(key).map(|signals| {
        let evidence = |signal: &crate::domain::signal::Signal| {
            let latest = signal.latest();
            SignalEvidence {
                value: latest.map(|(_, v)| v),
                age_s: latest.map(|(at, _)| snapshot.at.duration_since(at).as_secs()),
                source: signal.source.clone(),
                faults: signal.faults.clone(),
            }
        };
        signals.iter().map(|(name, signal)| (name.to_string(), evidence(signal))).collect()
    });
    TargetEvidence {
        key: key.clone(),
        uid: workload.map(|w| w.uid.clone()),
        replicas: workload.map(|w| w.replicas).unwrap_or_default(),
        rollout: workload.map(|w| w.rollout).unwrap_or_default(),
        autoscalers: workload.map(|w| w.autoscalers.clone()).unwrap_or_default(),
        signals: signals.unwrap_or_default(),
    }
}
