//! What an `IntelligentPodAutoscaler` is told about itself: scalars for the printer columns, its targets, and conditions.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crd::autoscaler::ModeSpec;
use crate::crd::condition::ConditionStatus;

/// What IPA saw and did at its last visit; written by IPA alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntelligentPodAutoscalerStatus {
    /// Generation of the spec that this status speaks of; older than metadata.generation means not yet seen.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub observed_generation: i64,
    /// Scalars of all targets together, as kubectl get shows them. Absent before the first visit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// The targets one by one, in the order of the spec, at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub targets: Vec<TargetState>,
    /// Conditions, all of them set at the first visit: Ready, AbleToScale, ScalingActive, ScalingLimited and so on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<ConditionStatus>,
}

/// Scalars for the printer columns. With one target they are its own; with more they are sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Name of the only target, or how many there are and which is closest to its max (`3 targets, web 9/10`).
    #[schemars(length(max = 320))]
    pub target: String,
    /// Effective mode of scaling; up and down apart where they differ (`Auto/Recommend`), and `Mixed` over unlike targets.
    #[schemars(length(max = 32))]
    pub mode: String,
    /// Least replicas after the guardrail; with several targets, their sum.
    #[schemars(range(min = 0))]
    pub min: i64,
    /// Most replicas after the guardrail; with several targets, their sum.
    #[schemars(range(min = 0))]
    pub max: i64,
    /// Replicas there are now; with several targets, their sum.
    #[schemars(range(min = 0))]
    pub current: i64,
    /// Replicas that the plan asks for; with several targets, their sum.
    #[schemars(range(min = 0))]
    pub desired: i64,
    /// Replicas that are ready to serve; with several targets, their sum.
    #[schemars(range(min = 0))]
    pub ready: i64,
    /// Whether the numeric planner acts alone because the model cannot: True, False or Unknown.
    #[schemars(length(max = 8))]
    pub fallback: String,
    /// Whether a person has paused scaling by annotation: True, False or Unknown.
    #[schemars(length(max = 8))]
    pub paused: String,
    /// When the last change was carried out (RFC 3339, UTC). Absent until there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub last_action_time: Option<String>,
    /// What the last change was, in a few words. Absent until there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_action: Option<String>,
    /// Replicas that an HPA at 70 % CPU would ask for now; with several targets, their sum. Absent where that cannot be said.
    #[serde(rename = "shadowHPA", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub shadow_hpa: Option<i64>,
    /// How often the forecast's band held in back-test, in percent (`92%`); of several targets the least.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub confidence: Option<String>,
    /// Forecasting model in use; `mixed` where targets differ. Absent before the first forecast.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub model: Option<String>,
    /// Machine-readable reason of the plan; of several targets, that of the one closest to its max.
    #[schemars(length(max = 128))]
    pub reason: String,
}

/// One target as IPA sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetState {
    /// The workload, as kubectl names it (`deployments.apps/web`).
    #[schemars(length(max = 640))]
    pub target: String,
    /// Effective modes: the least of what the installation, the guardrail and this resource allow.
    pub mode: ModeSpec,
    /// Least replicas after the guardrail's bounds were applied.
    #[schemars(range(min = 0))]
    pub min: i64,
    /// Most replicas after the guardrail's bounds were applied.
    #[schemars(range(min = 0))]
    pub max: i64,
    /// Replicas there are now, ready or not.
    #[schemars(range(min = 0))]
    pub current: i64,
    /// Replicas that the plan asks for at this visit.
    #[schemars(range(min = 0))]
    pub desired: i64,
    /// Replicas that are ready to serve at this visit.
    #[schemars(range(min = 0))]
    pub ready: i64,
    /// Replicas that an HPA at 70 % CPU would ask for now. Absent where that cannot be said.
    #[serde(rename = "shadowHPA", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub shadow_hpa: Option<i64>,
    /// How often the forecast's band held in back-test, in percent (`92%`). Absent before the first back-test.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub confidence: Option<String>,
    /// Forecasting model in use for its demand. Absent before the first forecast.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub model: Option<String>,
    /// Machine-readable reason of the plan in CamelCase.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// When its last change was carried out (RFC 3339, UTC). Absent until there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub last_action_time: Option<String>,
    /// What its last change was, in a few words. Absent until there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_action: Option<String>,
    /// What its pods cost an hour, in US dollars. Absent where prices are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub cost_per_hour: Option<String>,
}
