//! The numeric planner's answer: what each target needs, why, on which nodes, and for how much. Never the model's.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fleet::CapacityType;
use super::names::TargetKey;
use super::outlook::Outlook;
use super::proposal::Proposal;
use super::resize::Through;
use super::units::MicroUsd;
use super::workload::ContainerResources;

/// The plan over all groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What each target needs.
    pub targets: BTreeMap<TargetKey, TargetPlan>,
    /// Where the planned pods go.
    pub nodes: NodeMix,
    /// What the planner wants changed, in order of priority.
    pub proposals: Vec<Proposal>,
}

/// What one target needs, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetPlan {
    /// Replicas to ask for now, inside the bounds.
    pub replicas: u32,
    /// What the median outlook needs over the lead time: the floor under a model's proposal.
    pub p50_need: u32,
    /// How `replicas` was reached, step by step; what explains it later.
    pub basis: SizingBasis,
    /// Requests and limits of the target's container, where usage asks for others.
    pub resources: Option<ResourcesPlan>,
    /// Demand outlook, where demand is known.
    pub outlook: Option<Arc<Outlook>>,
    /// What a present HPA, or one at 70 % CPU where there is none, would ask for.
    pub shadow_hpa: Option<u32>,
    /// What its pods cost an hour at `replicas`, at the price of their requests.
    pub cost_per_hour: Option<MicroUsd>,
}

/// The numbers behind a replica count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SizingBasis {
    /// Why the planner answers as it does.
    pub reason: SizingReason,
    /// Demand now, units/s.
    pub demand_now: Option<f64>,
    /// Demand planned for, units/s: `quantile` of the outlook's peak over the lead time.
    pub demand_planned: Option<f64>,
    /// Quantile planned for (0 to 1).
    pub quantile: f64,
    /// Lead time: start-up plus node provisioning plus the tick, seconds.
    pub lead_s: f64,
    /// Units/s that one ready replica serves.
    pub capacity_per_replica: Option<f64>,
    /// Where capacity comes from.
    pub capacity_source: CapacitySource,
    /// Share of capacity planned to be used (0 to 1).
    pub target_utilization: f64,
    /// Replicas before bounds and hysteresis.
    pub raw: Option<u32>,
}

/// Why a planner answers as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SizingReason {
    /// The outlook asks for it.
    Forecast,
    /// Demand now is above what was forecast.
    PresentDemand,
    /// Work is waiting, or latency shows saturation.
    Backlog,
    /// No demand signal: sized by CPU.
    CpuOnly,
    /// Fewer would do, but the need was higher a short while ago.
    HeldHigh,
    /// A bound decides.
    Bounds,
    /// Nothing fresh is known: what is there stays.
    NoData,
    /// Nobody has seen it yet: safe defaults.
    New,
    /// Paused, in conflict or not found: nothing is planned.
    NotPlanned,
}

/// Where a capacity comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CapacitySource {
    /// The group declares it.
    Declared,
    /// Learned from load, CPU and latency of its own past.
    Learned,
    /// Nothing known yet.
    Unknown,
}

/// Requests and limits that usage asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourcesPlan {
    /// Container.
    pub container: Arc<str>,
    /// As they are.
    pub from: ContainerResources,
    /// As they should be.
    pub to: ContainerResources,
    /// How they reach the pods.
    #[serde(default)]
    pub through: Through,
    /// CPU used by one pod at p95, cores.
    pub cpu_p95: Option<f64>,
    /// Largest memory working set of one pod, bytes.
    pub memory_max: Option<f64>,
    /// OOM kills that raised it.
    pub oom_kills: u32,
    /// Share of CPU periods throttled that raised it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<f64>,
}

/// A priced node mix for the planned pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeMix {
    /// Nodes to buy, with the pods put on each.
    pub new_nodes: Vec<PlannedNode>,
    /// Replicas of each target that fit on nodes there are.
    pub on_existing: BTreeMap<TargetKey, u32>,
    /// Replicas that fit nowhere, with the reason.
    pub unschedulable: Vec<Unschedulable>,
    /// What the new nodes cost an hour.
    pub cost_per_hour: MicroUsd,
    /// A proven least cost of the new nodes, where a bound is known.
    pub lower_bound_per_hour: Option<MicroUsd>,
    /// What the running nodes cost an hour, as far as prices are known.
    pub running_cost_per_hour: MicroUsd,
    /// Until when this answer stands if nothing changes.
    pub made: Option<Timestamp>,
}

/// One node to buy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedNode {
    /// Instance type.
    pub instance_type: Arc<str>,
    /// Zone.
    pub zone: Arc<str>,
    /// How it is paid.
    pub capacity_type: CapacityType,
    /// Price an hour.
    pub price_per_hour: MicroUsd,
    /// Replicas of each target on it.
    pub pods: BTreeMap<TargetKey, u32>,
}

/// Replicas that fit nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unschedulable {
    /// Target.
    pub target: TargetKey,
    /// How many.
    pub replicas: u32,
    /// Which resource or constraint, and what would mend it.
    pub reason: String,
}
