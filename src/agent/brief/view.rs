//! The brief's form: plain data in the order in which the template tells it. How it is filled is `brief`'s.

use serde::Serialize;
use serde_json::Value;

use crate::domain::limits::{Criticality, Mode, SignalUse};
use crate::domain::memory::AskReason;
use crate::domain::plan::{CapacitySource, SizingReason};
use crate::domain::review::{RuleId, Verdict};
use crate::domain::snapshot::EventReason;
use crate::domain::workload::{AutoscalerKind, Rollout};

/// Everything a dialogue begins with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Brief {
    /// Wall clock, UTC, to the minute.
    pub at: String,
    /// Day of the week and time of day in the group's time zone.
    pub local_time: String,
    /// Why the model is asked.
    pub asked: AskReason,
    /// Whether the metrics source answered in full, in part, or not at all.
    pub metrics: &'static str,
    /// What is promised to users.
    pub slo: SloView,
    /// Cost budget an hour, dollars.
    pub cost_budget_per_hour: Value,
    /// Whether a freeze window, a freeze or a pause holds now.
    pub frozen: bool,
    /// Announced surges that are near or on.
    pub surges: Vec<SurgeView>,
    /// Targets, most relevant first.
    pub targets: Vec<TargetView>,
    /// The targets that are not told one by one.
    pub remainder: Option<Remainder>,
    /// Who calls whom.
    pub dependencies: Vec<DependencyView>,
    /// Events of the last hour, by target and reason.
    pub events: Vec<EventView>,
    /// Nodes as a whole.
    pub nodes: NodesView,
    /// Fleets whose pools may be shaped.
    pub fleets: Vec<FleetView>,
    /// The team's own signals.
    pub signals: Vec<SignalMeaning>,
}

/// What is promised to users.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SloView {
    /// A request slower than this is bad, seconds.
    pub latency_s: Value,
    /// Share of good requests promised, percent.
    pub objective_percent: Value,
    /// What a wholly bad minute costs, in minutes of the fleet.
    pub bad_minute_cost: u32,
}

/// An announced surge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SurgeView {
    /// Minutes until it begins; negative when it is on.
    pub starts_in_minutes: i64,
    /// Minutes it lasts.
    pub minutes: i64,
    /// Demand in percent of the usual.
    pub percent: u32,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetView {
    /// Alias.
    pub alias: String,
    /// Kind, from a closed list.
    pub kind: &'static str,
    /// How much it matters.
    pub criticality: Criticality,
    /// Modes by kind of change.
    pub modes: ModesView,
    /// Bounds that hold.
    pub min: u32,
    /// Bounds that hold.
    pub max: u32,
    /// Most added by one change.
    pub step_up: Value,
    /// Most removed by one change.
    pub step_down: Value,
    /// `spec.replicas`.
    pub desired: u32,
    /// Ready pods.
    pub ready: u32,
    /// Where its rollout stands.
    pub rollout: Rollout,
    /// Other autoscalers at work on it.
    pub autoscalers: Vec<AutoscalerKind>,
    /// Requests of one pod's named container.
    pub requests: ResourcesView,
    /// Newest values.
    pub signals: Vec<SignalView>,
    /// The planner's answer.
    pub plan: Option<PlanView>,
    /// What the planner proposes for it, and what review says of that.
    pub proposals: Vec<ProposalView>,
}

/// Modes by kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ModesView {
    /// Adding replicas.
    pub up: Mode,
    /// Removing replicas.
    pub down: Mode,
    /// Requests and limits.
    pub resources: Mode,
}

/// Requests and limits of a container.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResourcesView {
    /// Millicores.
    pub cpu_request: Value,
    /// Millicores.
    pub cpu_limit: Value,
    /// MiB.
    pub memory_request: Value,
    /// MiB.
    pub memory_limit: Value,
}

/// A signal of a target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SignalView {
    /// Name or alias.
    pub name: String,
    /// Unit, from a closed list.
    pub unit: String,
    /// Newest value.
    pub now: Value,
    /// Its age, seconds.
    pub age_s: i64,
    /// Mean of the last 15 minutes.
    pub mean_15m: Value,
    /// Largest of the last hour.
    pub max_60m: Value,
    /// Value a day ago.
    pub day_ago: Value,
    /// Whether this tick's samples had faults.
    pub faulty: bool,
}

/// The planner's answer for a target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanView {
    /// Replicas asked for.
    pub replicas: u32,
    /// Least by the median outlook.
    pub p50_need: u32,
    /// Why.
    pub reason: SizingReason,
    /// Demand now, units/s.
    pub demand_now: Value,
    /// Demand planned for, units/s.
    pub demand_planned: Value,
    /// Quantile planned for, percent.
    pub quantile_percent: Value,
    /// Lead time, seconds.
    pub lead_s: Value,
    /// Units/s of one ready replica.
    pub capacity: Value,
    /// Where that comes from.
    pub capacity_source: CapacitySource,
    /// What an HPA would ask for.
    pub shadow_hpa: Option<u32>,
    /// Dollars an hour.
    pub cost_per_hour: Value,
    /// Demand ahead.
    pub outlook: Vec<OutlookView>,
    /// Share by which the forecast beats the best naive one; below 0 it is worse.
    pub skill: Value,
}

/// Demand at one time ahead.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutlookView {
    /// Minutes ahead.
    pub minutes: usize,
    /// Median.
    pub p50: Value,
    /// 90 %.
    pub p90: Value,
    /// 95 %.
    pub p95: Value,
}

/// A proposal of the planner, and what review says of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProposalView {
    /// Kind of change.
    pub kind: &'static str,
    /// Replicas or quantile before and after, where it has them.
    pub from: Value,
    /// See `from`.
    pub to: Value,
    /// What review says.
    pub verdict: Option<Verdict>,
    /// Which rule decided.
    pub rule: Option<RuleId>,
    /// What the rule measured.
    pub value: Value,
    /// What it compared that with.
    pub limit: Value,
}

/// Targets that are not told one by one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Remainder {
    /// How many.
    pub targets: usize,
    /// Replicas asked for at present.
    pub desired: u64,
    /// Replicas ready.
    pub ready: u64,
    /// Replicas planned.
    pub planned: u64,
    /// Alias of the first and the last.
    pub first: String,
    /// See `first`.
    pub last: String,
}

/// A call from one target to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DependencyView {
    /// Caller.
    pub from: String,
    /// Called.
    pub to: String,
    /// Calls for each unit of the caller's demand.
    pub ratio: Value,
}

/// Events of one reason about one target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventView {
    /// Newest event's id.
    pub id: String,
    /// Target.
    pub target: String,
    /// Reason.
    pub reason: EventReason,
    /// How often.
    pub count: u64,
    /// Age of the newest, minutes.
    pub age_minutes: i64,
}

/// Nodes as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodesView {
    /// How many.
    pub count: usize,
    /// How many take pods.
    pub usable: usize,
    /// Free to request, millicores.
    pub free_cpu: Value,
    /// Free to request, MiB.
    pub free_memory: Value,
    /// Pods of the group that wait for a node.
    pub pending_pods: usize,
    /// Nodes the plan would buy.
    pub planned_new: usize,
    /// Dollars an hour they would cost.
    pub planned_cost_per_hour: Value,
    /// Replicas of the group that would fit nowhere.
    pub planned_unschedulable: u64,
}

/// A fleet whose pools may be shaped.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FleetView {
    /// Alias.
    pub alias: String,
    /// Aliases of its pools.
    pub pools: Vec<String>,
    /// Ways to pay.
    pub capacity_types: Vec<&'static str>,
    /// Least instance types in a pool.
    pub least_types: u32,
    /// Least share on demand, percent.
    pub least_on_demand_percent: u32,
    /// Dollars an hour it may cost.
    pub cost_budget_per_hour: Value,
}

/// What a team's own signal is for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SignalMeaning {
    /// Alias.
    pub alias: String,
    /// What it is for.
    pub role: SignalUse,
    /// Unit, from a closed list.
    pub unit: String,
}
