//! What the model is told at the start of a dialogue, as one typed view of snapshot and plan: numbers and closed enums, aliases instead of
//! names, and bounded in size whatever the cluster. The words around it are `prompts/brief.hbs`.
//!
//! Left out on purpose: every text a cluster or a team can write (names, labels, annotations, event notes, reasons, queries).

mod view;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::aliases::Aliases;
use super::numbers::{dollars, maybe, mebibytes, millicores, number};
use crate::domain::limits::{Group, GroupTarget, Modes};
use crate::domain::memory::AskReason;
use crate::domain::names::TargetKey;
use crate::domain::outlook::Outlook;
use crate::domain::plan::Plan;
use crate::domain::proposal::{Change, Proposal};
use crate::domain::review::Review;
use crate::domain::series::mean;
use crate::domain::signal::{Signal, SignalName};
use crate::domain::snapshot::{EventReason, Snapshot, SourceHealth};
use crate::domain::workload::{AutoscalerKind, Workload};

pub use view::{
    Brief, DependencyView, EventView, FleetView, ModesView, NodesView, OutlookView, PlanView, ProposalView, Remainder, ResourcesView,
    SignalMeaning, SignalView, SloView, SurgeView, TargetView,
};

/// Targets that are told one by one; the rest are told as sums.
pub const MOST_TARGETS: usize = 12;
/// Rows of events.
const MOST_EVENTS: usize = 24;
/// Rows of dependencies.
const MOST_DEPENDENCIES: usize = 24;
/// Announced surges.
const MOST_SURGES: usize = 4;
/// Signals of one target, a team's own included.
const MOST_SIGNALS: usize = 16;
/// Node fleets.
const MOST_FLEETS: usize = 4;
/// How long an event is news.
const EVENT_WINDOW_MINUTES: i64 = 60;

impl Brief {
    /// The brief of one group. `reviews` are those of the planner's own proposals, as [`crate::guardrails::judge`] gives them.
    #[must_use]
    pub fn new(snapshot: &Snapshot, plan: &Plan, group: &Group, aliases: &Aliases, reviews: &[Review], asked: AskReason) -> Self {
        let local = snapshot.at.to_zoned(group.time_zone.zone().clone());
        let slo = group.slo.unwrap_or_default();
        let told = &aliases.targets()[..aliases.targets().len().min(MOST_TARGETS)];
        Self {
            at: snapshot.at.strftime("%Y-%m-%dT%H:%MZ").to_string(),
            local_time: local.strftime("%A %H:%M").to_string(),
            asked,
            metrics: match snapshot.metrics_health {
                SourceHealth::Ok => "Ok",
                SourceHealth::Degraded(_) => "Degraded",
                SourceHealth::Down(_) => "Down",
            },
            slo: SloView {
                latency_s: number(slo.latency.seconds()),
                objective_percent: number(f64::from(slo.objective_bp) / 100.0),
                bad_minute_cost: slo.bad_minute_cost,
            },
            cost_budget_per_hour: dollars(group.cost_budget_per_hour),
            frozen: is_frozen(snapshot, group),
            surges: surges(snapshot.at, group),
            targets: told.iter().filter_map(|key| target(snapshot, plan, group, aliases, reviews, key)).collect(),
            remainder: remainder(snapshot, plan, aliases),
            dependencies: dependencies(group, aliases),
            events: events(snapshot, aliases),
            nodes: nodes(snapshot, plan, aliases),
            fleets: fleets(snapshot, aliases),
            signals: aliases
                .custom_signals()
                .take(MOST_SIGNALS)
                .map(|(alias, signal)| SignalMeaning { alias, role: signal.role, unit: signal.unit.to_string() })
                .collect(),
        }
    }
}

/// Requests and limits as a model reads them.
#[must_use]
pub fn resources(of: &crate::domain::workload::ContainerResources) -> ResourcesView {
    ResourcesView {
        cpu_request: of.cpu_request.map_or(Value::Null, millicores),
        cpu_limit: of.cpu_limit.map_or(Value::Null, millicores),
        memory_request: of.memory_request.map_or(Value::Null, mebibytes),
        memory_limit: of.memory_limit.map_or(Value::Null, mebibytes),
    }
}

/// A change and what review says of it.
#[must_use]
pub fn judged(proposal: &Proposal, review: Option<&Review>) -> ProposalView {
    let (kind, from, to) = match &proposal.change {
        Change::Replicas(c) => ("Replicas", Value::from(c.from), Value::from(c.to)),
        Change::Resources(_) => ("Resources", Value::Null, Value::Null),
        Change::NodePool(_) => ("NodePool", Value::Null, Value::Null),
        Change::Headroom(c) => ("Headroom", Value::Null, Value::from(c.quantile_percent)),
        Change::Finding(_) => ("Finding", Value::Null, Value::Null),
    };
    let decisive = review.and_then(Review::decisive);
    let compared = decisive.and_then(|ruling| ruling.compared.first());
    ProposalView {
        kind,
        from,
        to,
        verdict: review.map(|r| r.verdict),
        rule: decisive.map(|r| r.rule),
        value: maybe(compared.map(|c| c.value)),
        limit: maybe(compared.map(|c| c.limit)),
    }
}

/// The kind of a target, from a closed list.
#[must_use]
pub fn kind_of(key: &TargetKey) -> &'static str {
    match (&*key.group, &*key.resource) {
        ("apps", "deployments") => "Deployment",
        ("apps", "statefulsets") => "StatefulSet",
        ("apps", "replicasets") => "ReplicaSet",
        _ => "Other",
    }
}

fn is_frozen(snapshot: &Snapshot, group: &Group) -> bool {
    let by_platform = snapshot.facts.guardrails.get(&group.id.namespace).is_some_and(|g| g.freeze);
    by_platform || group.paused.all || group.freeze_windows.iter().any(|w| w.covers(snapshot.at, group.time_zone.zone()))
}

fn surges(now: Timestamp, group: &Group) -> Vec<SurgeView> {
    let mut near: Vec<SurgeView> = group
        .surges
        .iter()
        .map(|surge| SurgeView {
            starts_in_minutes: surge.start.duration_since(now).as_mins(),
            minutes: surge.duration.signed().as_mins(),
            percent: surge.percent,
        })
        .filter(|s| s.starts_in_minutes + s.minutes >= 0 && s.starts_in_minutes <= 24 * 60)
        .collect();
    near.sort_by_key(|s| (s.starts_in_minutes, s.minutes, s.percent));
    near.truncate(MOST_SURGES);
    near
}

fn target(snapshot: &Snapshot, plan: &Plan, group: &Group, aliases: &Aliases, reviews: &[Review], key: &TargetKey) -> Option<TargetView> {
    let workload = snapshot.workload(key)?;
    let named = group.targets.iter().find(|t| t.key == *key)?;
    let limits = snapshot.target_limits(key);
    let bounds = bounds(snapshot, named);
    let modes: Modes = snapshot.effective_modes(key);
    let own = plan.proposals.iter().filter(|p| p.change.target() == Some(key));
    Some(TargetView {
        alias: aliases.of_target(key)?,
        kind: kind_of(key),
        criticality: named.criticality,
        modes: ModesView { up: modes.scale_up, down: modes.scale_down, resources: modes.resources },
        min: bounds.0,
        max: bounds.1,
        step_up: limits.map_or(Value::Null, |l| Value::from(l.max_step_up)),
        step_down: limits.map_or(Value::Null, |l| Value::from(l.max_step_down)),
        desired: workload.replicas.desired,
        ready: workload.replicas.ready,
        rollout: workload.rollout,
        autoscalers: active_autoscalers(workload),
        requests: resources(&workload.container(named.container.as_deref()).map(|c| c.resources).unwrap_or_default()),
        signals: signals(snapshot, aliases, key),
        plan: plan.targets.get(key).map(|planned| PlanView {
            replicas: planned.replicas,
            p50_need: planned.p50_need,
            reason: planned.basis.reason,
            demand_now: maybe(planned.basis.demand_now),
            demand_planned: maybe(planned.basis.demand_planned),
            quantile_percent: number(100.0 * planned.basis.quantile),
            lead_s: number(planned.basis.lead_s),
            capacity: maybe(planned.basis.capacity_per_replica),
            capacity_source: planned.basis.capacity_source,
            shadow_hpa: planned.shadow_hpa,
            cost_per_hour: dollars(planned.cost_per_hour),
            outlook: planned.outlook.as_deref().map(outlook).unwrap_or_default(),
            skill: maybe(planned.outlook.as_ref().and_then(|o| o.quality.skill_vs_naive)),
        }),
        proposals: own.map(|p| judged(p, reviews.iter().find(|r| r.proposal == p.id))).collect(),
    })
}

/// Replica bounds that hold: the team's inside the platform's.
#[must_use]
pub fn bounds(snapshot: &Snapshot, named: &GroupTarget) -> (u32, u32) {
    snapshot.target_limits(&named.key).map_or((named.bounds.min, named.bounds.max), |limits| {
        (limits.bounds.clamp(named.bounds.min), limits.bounds.clamp(named.bounds.max))
    })
}

/// Autoscalers at work on a target, each kind once.
#[must_use]
pub fn active_autoscalers(workload: &Workload) -> Vec<AutoscalerKind> {
    let mut kinds: Vec<AutoscalerKind> = workload.autoscalers.iter().filter(|a| a.active).map(|a| a.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn outlook(outlook: &Outlook) -> Vec<OutlookView> {
    let row = |(minutes, p50, p90, p95)| OutlookView { minutes, p50: number(p50), p90: number(p90), p95: number(p95) };
    outlook.printed().into_iter().map(row).collect()
}

/// Signals of a target that have data, shipped ones first, a team's own by alias.
#[must_use]
pub fn signals(snapshot: &Snapshot, aliases: &Aliases, key: &TargetKey) -> Vec<SignalView> {
    let Some(all) = snapshot.signals.get(key) else { return Vec::new() };
    let mut known: Vec<(bool, usize, SignalView)> = all
        .iter()
        .filter_map(|(name, signal)| {
            let alias = aliases.of_signal(name)?;
            let own = matches!(name, SignalName::Custom(_));
            // Aliases are numbered without leading zeros: the shorter is the lower.
            let place = if own { alias[1..].parse().unwrap_or(usize::MAX) } else { SignalName::SHIPPED.iter().position(|s| s == name)? };
            Some((own, place, signal_view(snapshot.at, alias, aliases.unit_of(name), signal)?))
        })
        .collect();
    known.sort_by_key(|(own, place, _)| (*own, *place));
    known.truncate(MOST_SIGNALS);
    known.into_iter().map(|(_, _, view)| view).collect()
}

fn signal_view(now: Timestamp, name: String, unit: &str, signal: &Signal) -> Option<SignalView> {
    let (at, value) = signal.latest()?;
    let minutes = |count| signal.history.fine.window(now, jiff::SignedDuration::from_mins(count));
    let day_ago = now.saturating_sub(jiff::SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
    let max = minutes(60).iter().copied().filter(|v| v.is_finite()).fold(f32::NAN, f32::max);
    Some(SignalView {
        name,
        unit: unit.to_owned(),
        now: number(value),
        age_s: now.duration_since(at).as_secs(),
        mean_15m: number(f64::from(mean(minutes(15)))),
        max_60m: number(f64::from(max)),
        day_ago: number(f64::from(mean(signal.history.middle.window(day_ago, jiff::SignedDuration::from_mins(15))))),
        faulty: !signal.faults.is_empty(),
    })
}

fn remainder(snapshot: &Snapshot, plan: &Plan, aliases: &Aliases) -> Option<Remainder> {
    let rest = aliases.targets().get(MOST_TARGETS..).filter(|rest| !rest.is_empty())?;
    let replicas = rest.iter().filter_map(|key| snapshot.workload(key)).map(|w| w.replicas);
    let (desired, ready) = replicas.fold((0, 0), |(d, r), counts| (d + u64::from(counts.desired), r + u64::from(counts.ready)));
    Some(Remainder {
        targets: rest.len(),
        desired,
        ready,
        planned: rest.iter().filter_map(|key| plan.targets.get(key)).map(|p| u64::from(p.replicas)).sum(),
        first: format!("w{}", MOST_TARGETS + 1),
        last: format!("w{}", aliases.targets().len()),
    })
}

fn dependencies(group: &Group, aliases: &Aliases) -> Vec<DependencyView> {
    let known = group.depends_on.iter().filter_map(|d| {
        Some(DependencyView {
            from: aliases.of_target(&d.from)?,
            to: aliases.of_target(&d.to)?,
            ratio: number(f64::from(d.ratio_milli) / 1000.0),
        })
    });
    known.take(MOST_DEPENDENCIES).collect()
}

fn events(snapshot: &Snapshot, aliases: &Aliases) -> Vec<EventView> {
    let mut rows: BTreeMap<(usize, EventReason), EventView> = BTreeMap::new();
    for (target, event) in aliases.events(snapshot) {
        let age_minutes = snapshot.at.duration_since(event.at).as_mins();
        let Some(place) = aliases.targets().iter().position(|key| *key == event.target) else { continue };
        if age_minutes > EVENT_WINDOW_MINUTES {
            continue;
        }
        let row = rows.entry((place, event.reason)).or_insert_with(|| EventView {
            id: event.id.clone(),
            target,
            reason: event.reason,
            count: 0,
            age_minutes,
        });
        row.count += u64::from(event.count);
        if age_minutes <= row.age_minutes {
            row.age_minutes = age_minutes;
            row.id.clone_from(&event.id);
        }
    }
    rows.into_values().take(MOST_EVENTS).collect()
}

fn nodes(snapshot: &Snapshot, plan: &Plan, aliases: &Aliases) -> NodesView {
    let room = snapshot.free_room();
    let own = |key: &TargetKey| aliases.targets().contains(key);
    let pods = aliases.targets().iter().filter_map(|key| snapshot.workload(key)).flat_map(|w| &w.pods);
    NodesView {
        count: snapshot.facts.nodes.len(),
        usable: snapshot.facts.nodes.iter().filter(|n| n.usable()).count(),
        free_cpu: millicores(room.cpu),
        free_memory: mebibytes(room.memory),
        pending_pods: pods.filter(|pod| pod.phase == crate::domain::workload::PodPhase::Pending).count(),
        planned_new: plan.nodes.new_nodes.len(),
        planned_cost_per_hour: dollars(Some(plan.nodes.cost_per_hour)),
        planned_unschedulable: plan.nodes.unschedulable.iter().filter(|u| own(&u.target)).map(|u| u64::from(u.replicas)).sum(),
    }
}

fn fleets(snapshot: &Snapshot, aliases: &Aliases) -> Vec<FleetView> {
    let all = aliases.fleets(snapshot).map(|(alias, fleet, pools)| FleetView {
        alias,
        pools,
        capacity_types: fleet.capacity_types.iter().map(|c| c.label()).collect(),
        least_types: fleet.least_types_per_pool,
        least_on_demand_percent: fleet.least_on_demand_percent,
        cost_budget_per_hour: dollars(fleet.cost_budget_per_hour),
    });
    all.take(MOST_FLEETS).collect()
}
