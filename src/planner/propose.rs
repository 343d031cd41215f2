//! What the planner wants changed, each with the numbers it rests on.

use super::assess::Assessed;
use super::prices::Prices;
use crate::domain::names::{EvidenceId, ProposalId};
use crate::domain::plan::{Plan, ResourcesPlan, SizingReason, TargetPlan};
use crate::domain::proposal::{Change, Origin, Proposal, ReplicasChange, ResourcesChange};
use crate::domain::resize::Through;
use crate::domain::signal::SignalName;
use crate::domain::snapshot::Snapshot;
use crate::domain::units::{Bytes, MicroUsd};
use crate::domain::workload::ResourceList;

/// Proposals for replicas and resources, targets in order of priority. A change of resources may restart pods, so it never goes with one
/// of replicas.
pub(super) fn proposals(snapshot: &Snapshot, order: &[&Assessed<'_>], plan: &Plan, prices: &Prices) -> Vec<Proposal> {
    let mut out = Vec::new();
    for target in order {
        let Some(target_plan) = plan.targets.get(target.key()) else { continue };
        let (from, to) = (target.situation.desired, target_plan.replicas);
        let (change, rationale, cost) = if from != to {
            let change = ReplicasChange { target: target.key().clone(), uid: target.workload.uid.clone(), from, to };
            let requests = &target.workload.template.shape.requests;
            let cost = prices.of_pods(requests, to).zip(prices.of_pods(requests, from)).map(|(to, from)| to - from);
            (Change::Replicas(change), why_replicas(target, target_plan), cost)
        } else if let Some(resources) = &target_plan.resources {
            let change = ResourcesChange {
                target: target.key().clone(),
                uid: target.workload.uid.clone(),
                container: resources.container.clone(),
                from: resources.from,
                to: resources.to,
                through: resources.through,
            };
            (Change::Resources(change), why_resources(resources), cost_of_resources(resources, to, prices))
        } else {
            continue;
        };
        out.push(Proposal {
            id: ProposalId(String::new()),
            group: target.group.id.clone(),
            origin: Origin::Planner,
            evidence: evidence(target, &change),
            change,
            rationale,
            made: snapshot.at,
            cost_change_per_hour: cost,
        });
    }
    out
}

/// The signals a change rests on.
fn evidence(target: &Assessed<'_>, change: &Change) -> Vec<EvidenceId> {
    let situation = &target.situation;
    let mut names: Vec<&str> = Vec::new();
    match change {
        Change::Resources(_) => names.extend(["cpu", "memory"]),
        Change::Replicas(_) | Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => {
            names.extend(target.load.map(SignalName::as_str));
            names.extend(situation.latency_ratio.filter(|ratio| *ratio > 1.0).map(|_| "latency"));
            names.extend(situation.queue.filter(|queue| *queue > 0.0).map(|_| "queue"));
        }
    }
    names.into_iter().map(|name| EvidenceId(format!("{}.{name}", target.key()))).collect()
}

fn why_replicas(target: &Assessed<'_>, plan: &TargetPlan) -> String {
    let basis = &plan.basis;
    let situation = &target.situation;
    let number = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |v| format!("{v:.1}"));
    let planned = format!(
        "p{:.0} of demand over the next {:.0} s is {} units/s (now {}), a replica serves {} units/s used to {:.0} %",
        basis.quantile * 100.0,
        basis.lead_s,
        number(basis.demand_planned),
        number(basis.demand_now),
        number(basis.capacity_per_replica),
        basis.target_utilization * 100.0
    );
    let raw = basis.raw.map_or_else(String::new, |raw| format!(", which needs {raw}"));
    let bounds = situation.bounds;
    match basis.reason {
        SizingReason::Forecast => format!("{planned}{raw}"),
        SizingReason::PresentDemand => format!("demand now is above the outlook: {planned}{raw}"),
        SizingReason::Backlog => format!(
            "work is waiting or answers are slow (queue {}, latency {} of the promised): {planned}{raw}",
            number(situation.queue),
            number(situation.latency_ratio)
        ),
        SizingReason::CpuOnly => format!(
            "no capacity is known, so CPU decides: {} of the request is used now, {:.0} % is aimed at{raw}",
            situation.cpu_utilization.map_or_else(|| "an unknown share".into(), |u| format!("{:.0} %", u * 100.0)),
            basis.target_utilization * 100.0
        ),
        SizingReason::HeldHigh => format!("the need was higher within the last start-ups, so only part is given up: {planned}{raw}"),
        SizingReason::Bounds => format!("the bounds {} to {} decide: {planned}{raw}", bounds.min, bounds.max),
        SizingReason::NoData => format!("nothing fresh is known; the bounds {} to {} decide", bounds.min, bounds.max),
        SizingReason::New => format!("seen for too short a time to be sized below what it has: {planned}{raw}"),
        SizingReason::NotPlanned => "nothing is planned".into(),
    }
}

fn why_resources(plan: &ResourcesPlan) -> String {
    if plan.from == plan.to {
        return match plan.through {
            Through::Pods => "pods came from an older template and are brought to the size in force".into(),
            Through::Template => "the template follows the size in force, all containers in one write".into(),
        };
    }
    let mut parts = Vec::new();
    if plan.to.cpu_request != plan.from.cpu_request
        && let Some(p95) = plan.cpu_p95
    {
        parts.push(format!("p95 of CPU a pod is {p95:.2} cores"));
    }
    if let Some(largest) = plan.memory_max.filter(|_| plan.to.memory_request != plan.from.memory_request) {
        parts.push(format!("the largest working set is {:.0} MiB", largest / Bytes::MIB as f64));
    }
    if plan.oom_kills > 0 && plan.to.memory_limit > plan.from.memory_limit {
        parts.push(format!("{} OOM kills were seen at the present limit", plan.oom_kills));
    }
    if let Some(share) = plan.throttled {
        parts.push(format!("the CPU limit throttled {:.0} % of the periods of the last quarter of an hour", share * 100.0));
    }
    if parts.is_empty() {
        parts.push("limits follow the requests".into());
    }
    parts.join(", ")
}

fn cost_of_resources(plan: &ResourcesPlan, replicas: u32, prices: &Prices) -> Option<MicroUsd> {
    let list = |cpu, memory| ResourceList { cpu, memory, ..ResourceList::default() };
    let to = list(plan.to.cpu_request.unwrap_or_default(), plan.to.memory_request.unwrap_or_default());
    let from = list(plan.from.cpu_request.unwrap_or_default(), plan.from.memory_request.unwrap_or_default());
    Some(prices.of_pods(&to, replicas)? - prices.of_pods(&from, replicas)?)
}
