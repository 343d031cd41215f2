//! `NodeFleet`: what the platform lets IPA do with nodes.

#![expect(clippy::duplicated_attributes, reason = "each printcolumn has a type and a path of its own")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::ConditionStatus;
use super::text::{MoneyText, QuantityText};
use crate::domain::fleet::CapacityType;
use crate::domain::limits::{Mode, Provider};

/// Which node pools IPA may shape, of which machines, and how far it may go alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "ipa.dev",
    version = "v1alpha1",
    kind = "NodeFleet",
    plural = "nodefleets",
    shortname = "nf",
    category = "autoscaling",
    derive = "PartialEq",
    status = "NodeFleetStatus",
    doc = "Node pools that IPA may shape, within the families, zones, shares and budget that the platform sets.",
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider"),
    printcolumn(name = "Highest-Mode", type_ = "string", json_path = ".spec.highestMode"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Cost/h", type_ = "string", json_path = ".spec.costBudget.perHour", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct NodeFleetSpec {
    /// Who provisions nodes: Karpenter (IPA drafts NodePools) or ClusterAPI (IPA sets MachineDeployment replicas). Default: Karpenter.
    #[serde(default)]
    pub provider: Provider,
    /// Names of the node pools that IPA may create or change, 1 to 32; no other pool is touched. Required.
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub pools: Vec<String>,
    /// The provider's node class that drafted pools refer to, by group, kind and name. Required.
    pub node_class: NodeClassSpec,
    /// Instance families allowed, such as m6i, 0 to 64. Default: none listed, which allows all that the catalogue knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub families: Vec<String>,
    /// Zones allowed, by the value of topology.kubernetes.io/zone, 0 to 32. Default: none listed, which allows all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub zones: Vec<String>,
    /// Ways to pay that are allowed: on-demand, spot, reserved. Default: on-demand alone.
    #[serde(default = "on_demand")]
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub capacity_types: Vec<CapacityType>,
    /// Least share of the fleet's CPU that is on demand or reserved, in percent, 0 to 100. Default: 30.
    #[serde(default = "thirty")]
    #[schemars(range(min = 0, max = 100))]
    pub least_on_demand_percent: i32,
    /// Least number of instance types in a pool, against stock-outs, 1 to 100. Default: 5.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 100))]
    pub least_types_per_pool: i32,
    /// Most percent of one workload's pods that the loss of one node may take, 1 to 100. Default: 25.
    #[serde(default = "twenty_five")]
    #[schemars(range(min = 1, max = 100))]
    pub blast_radius_percent: i32,
    /// Most CPU and memory over all pools of this fleet. Default: none set, not limited.
    #[serde(default)]
    pub limits: FleetLimitsSpec,
    /// Most that the fleet's nodes may cost, in US dollars. Default: absent, cost is not limited here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_budget: Option<FleetCostBudget>,
    /// Highest mode for node changes: Observe, Recommend or Auto. Default: Observe.
    #[serde(default)]
    pub highest_mode: Mode,
}

/// The provider's node class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeClassSpec {
    /// API group of the node class, such as karpenter.k8s.aws. Required.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub group: String,
    /// Kind of the node class, such as EC2NodeClass. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Z][A-Za-z0-9]*$"))]
    pub kind: String,
    /// Name of the node class, which lies in no namespace. Required.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
}

/// Most resources over all pools of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetLimitsSpec {
    /// Most CPU over all pools, as a quantity in cores such as 400. Default: absent, not limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<QuantityText>,
    /// Most memory over all pools, as a quantity such as 2Ti. Default: absent, not limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<QuantityText>,
}

/// Most that a fleet's nodes may cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetCostBudget {
    /// Most that the fleet's nodes may cost an hour, in US dollars, such as 120.00. Required.
    #[x_kube(validation = ("!self.startsWith('-')", "perHour is negative; a budget starts at 0"))]
    pub per_hour: MoneyText,
}

/// What IPA saw at its last visit; written by IPA alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeFleetStatus {
    /// Generation of the spec that this status speaks of; older than metadata.generation means not yet seen.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub observed_generation: i64,
    /// Conditions of the fleet, in the words of IntelligentPodAutoscaler, Ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<ConditionStatus>,
}

fn on_demand() -> Vec<CapacityType> {
    vec![CapacityType::OnDemand]
}

const fn thirty() -> i32 {
    30
}

const fn five() -> i32 {
    5
}

const fn twenty_five() -> i32 {
    25
}
