//! `ScalingGuardrail`: what the platform allows in one namespace. IPA can only read it, so it has no status.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::text::{MoneyText, QuantityText};
use crate::domain::limits::{Criticality, Mode};

/// The name that the one guardrail of a namespace has.
pub const GUARDRAIL_NAME: &str = "default";

/// What the platform allows IPA in this namespace; a workload that is not listed is only observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "ipa.dev",
    version = "v1alpha1",
    kind = "ScalingGuardrail",
    plural = "scalingguardrails",
    category = "autoscaling",
    namespaced,
    derive = "PartialEq",
    doc = "Limits that the platform sets for a namespace and that nothing IPA does may pass. One a namespace, named default.",
    validation = Rule::new("self.metadata.name == 'default'").message("a namespace has one ScalingGuardrail; name it default"),
    printcolumn(name = "Highest-Mode", type_ = "string", json_path = ".spec.highestMode"),
    printcolumn(name = "Freeze", type_ = "boolean", json_path = ".spec.freeze"),
    printcolumn(name = "Cost/h", type_ = "string", json_path = ".spec.costBudget.perHour"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ScalingGuardrailSpec {
    /// Workloads that IPA may change and their limits, 0 to 256; one entry for each group, resource and name. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["group".into(), "resource".into(), "name".into()]))]
    pub targets: Vec<TargetLimitsSpec>,
    /// Whether everything in this namespace is frozen: nothing changes while it is true. Default: false.
    #[serde(default)]
    pub freeze: bool,
    /// Highest mode that a team may set here: Observe, Recommend or Auto. Default: Observe.
    #[serde(default)]
    pub highest_mode: Mode,
    /// Most that all listed workloads' pods may cost, in US dollars. Default: absent, cost is not limited here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_budget: Option<NamespaceCostBudget>,
}

/// Limits of one workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("self.min <= self.max").message("min is above max; lower min or raise max").field_path(".min"),
    validation = Rule::new("self.min >= 1 || self.allowZero").message("min is 0; set allowZero or raise min to 1").field_path(".min")
)]
#[serde(rename_all = "camelCase")]
pub struct TargetLimitsSpec {
    /// API group of the workload, empty for the core group. Default: apps.
    #[serde(default = "apps")]
    #[schemars(length(max = 253), regex(pattern = "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$"))]
    pub group: String,
    /// Plural resource of the workload, as in a URL path. Default: deployments.
    #[serde(default = "deployments")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z][a-z0-9-]*$"))]
    pub resource: String,
    /// Name of the workload in this namespace, exactly. Required.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
    /// Least replicas, 0 to 100000; nothing IPA does goes below. 0 needs allowZero. Required.
    #[schemars(range(min = 0, max = 100_000))]
    pub min: i32,
    /// Most replicas, 1 to 100000; nothing IPA does goes above. Required.
    #[schemars(range(min = 1, max = 100_000))]
    pub max: i32,
    /// Most replicas added by one change, 1 to 100000. Default: 10.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_step_up: i32,
    /// Most replicas removed by one change, 1 to 100000. Default: 5.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_step_down: i32,
    /// Bounds of one container's requests and limits. Default: none set, which allows no request or limit to be raised.
    #[serde(default)]
    pub resources: ResourceBoundsSpec,
    /// Highest criticality that a team may claim for it: Low, Medium, High or Critical. Default: High.
    #[serde(default = "high")]
    pub highest_criticality: Criticality,
    /// Whether 0 replicas may be asked for. Default: false.
    #[serde(default)]
    pub allow_zero: bool,
}

/// Bounds of one container's requests and limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("!has(self.minCPU) || !has(self.maxCPU) || quantity(self.minCPU).compareTo(quantity(self.maxCPU)) <= 0")
        .message("minCPU is above maxCPU; lower minCPU or raise maxCPU")
        .field_path(".minCPU"),
    validation = Rule::new(
        "!has(self.minMemory) || !has(self.maxMemory) || quantity(self.minMemory).compareTo(quantity(self.maxMemory)) <= 0"
    )
    .message("minMemory is above maxMemory; lower minMemory or raise maxMemory")
    .field_path(".minMemory")
)]
#[serde(rename_all = "camelCase")]
pub struct ResourceBoundsSpec {
    /// Least CPU request of a container, as a quantity such as 50m. Default: absent, not bounded below.
    #[serde(rename = "minCPU", skip_serializing_if = "Option::is_none")]
    pub min_cpu: Option<QuantityText>,
    /// Most CPU request or limit of a container, as a quantity such as 4. Default: absent, CPU may not be raised.
    #[serde(rename = "maxCPU", skip_serializing_if = "Option::is_none")]
    pub max_cpu: Option<QuantityText>,
    /// Least memory request of a container, as a quantity such as 64Mi. Default: absent, not bounded below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_memory: Option<QuantityText>,
    /// Most memory request or limit of a container, as a quantity such as 8Gi. Default: absent, memory may not be raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<QuantityText>,
}

/// Most that a namespace's listed workloads may cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceCostBudget {
    /// Most that the pods may cost an hour, in US dollars, such as 40.00. Default: absent, not limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("!self.startsWith('-')", "perHour is negative; a budget starts at 0"))]
    pub per_hour: Option<MoneyText>,
    /// Most that the pods may cost a calendar month, in US dollars. Default: absent, not limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("!self.startsWith('-')", "perMonth is negative; a budget starts at 0"))]
    pub per_month: Option<MoneyText>,
}

fn apps() -> String {
    "apps".to_owned()
}

fn deployments() -> String {
    "deployments".to_owned()
}

const fn ten() -> i32 {
    10
}

const fn five() -> i32 {
    5
}

const fn high() -> Criticality {
    Criticality::High
}
