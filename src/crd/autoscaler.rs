//! `IntelligentPodAutoscaler`: what a team says of its workloads. It holds no URL and no secret: where metrics and the model are is the
//! administrators' affair.

#![expect(clippy::duplicated_attributes, reason = "each printcolumn has a type and a path of its own")]

pub mod signal;
pub mod status;
pub mod windows;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target_ref::TargetRef;
use super::text::{DecimalText, DurationText, MoneyText};
use crate::domain::limits::{Actuation, Criticality, Mode};
use signal::SignalSpec;
pub use status::IntelligentPodAutoscalerStatus;
use windows::{FreezeWindowSpec, SurgeSpec};

/// What a team wants of IPA: which workloads to scale, between which bounds, on which signals, and how far IPA may go alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "ipa.dev",
    version = "v1alpha1",
    kind = "IntelligentPodAutoscaler",
    plural = "intelligentpodautoscalers",
    shortname = "ipa",
    category = "autoscaling",
    namespaced,
    derive = "PartialEq",
    status = "IntelligentPodAutoscalerStatus",
    doc = "Scales a team's workloads ahead of demand, inside the bounds of the team and of the namespace's ScalingGuardrail.",
    printcolumn(name = "Target", type_ = "string", json_path = ".status.summary.target"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".status.summary.mode"),
    printcolumn(name = "Min", type_ = "integer", json_path = ".status.summary.min"),
    printcolumn(name = "Cur", type_ = "integer", json_path = ".status.summary.current"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.summary.desired"),
    printcolumn(name = "Max", type_ = "integer", json_path = ".status.summary.max"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.summary.ready"),
    printcolumn(name = "Fallback", type_ = "string", json_path = ".status.summary.fallback"),
    printcolumn(name = "Paused", type_ = "string", json_path = ".status.summary.paused"),
    printcolumn(name = "Last-Action", type_ = "date", json_path = ".status.summary.lastActionTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Shadow-HPA", type_ = "integer", json_path = ".status.summary.shadowHPA", priority = 1),
    printcolumn(name = "Confidence", type_ = "string", json_path = ".status.summary.confidence", priority = 1),
    printcolumn(name = "Model", type_ = "string", json_path = ".status.summary.model", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.summary.reason", priority = 1)
)]
#[x_kube(
    validation = ("self.targets.all(t, self.targets.exists_one(u, u.ref == t.ref))", "a workload is listed twice; list each once"),
    validation = (
        "!has(self.signals) || self.signals.filter(s, s.use == 'Demand').size() <= 1",
        "more than one signal has use Demand; a workload is sized for one, so make the others Leading or Guard"
    ),
    validation = (
        "!has(self.dependsOn) || self.dependsOn.all(d, self.targets.exists(t, \
         t.ref.name == d.from.name && t.ref.kind == d.from.kind && t.ref.apiVersion == d.from.apiVersion))",
        "dependsOn.from names a workload that is not among the targets; add it there or correct the name"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct IntelligentPodAutoscalerSpec {
    /// Workloads to scale, 1 to 32, each listed once. Of two resources that name one workload the older wins. Required.
    #[schemars(length(min = 1, max = 32))]
    pub targets: Vec<TargetSpec>,
    /// How far IPA may go for each kind of change; the guardrail and the installation may allow less. Default: Observe for all.
    #[serde(default)]
    pub mode: ModeSpec,
    /// Signals of the team's own beside the shipped ones, 0 to 16, with unique names. Default: none, the shipped ones are used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub signals: Vec<SignalSpec>,
    /// What is promised to users; without it IPA sizes for a latency of 500ms and an objective of 99 %. Default: absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo: Option<SloSpec>,
    /// Most that these workloads' pods may cost, in US dollars. Default: absent, only the guardrail's budget counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_budget: Option<TeamCostBudget>,
    /// IANA time zone of freeze windows and of daily and weekly seasons, such as Europe/Vienna. Default: UTC.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_+/-]+$"))]
    pub time_zone: String,
    /// Weekly stretches in which nothing may change, in the time zone above, 0 to 16. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub freeze_windows: Vec<FreezeWindowSpec>,
    /// Surges that are known ahead, such as a sale or a broadcast, 0 to 32, with unique names. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub surges: Vec<SurgeSpec>,
    /// Which target calls which workload, so that load is foreseen downstream, 0 to 32 calls. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub depends_on: Vec<DependencySpec>,
    /// How replicas are moved: Replicas writes the /scale subresource, HPABounds moves an existing HPA's min and max. Default: Replicas.
    #[serde(default)]
    pub actuation: Actuation,
    /// How long a person's kubectl scale is left alone, as a Go duration of at most 168h. Default: 15m.
    #[serde(default = "quarter_of_an_hour")]
    #[x_kube(validation = ("duration(self) <= duration('168h')", "humanHold is longer than 168h; write a shorter duration"))]
    pub human_hold: DurationText,
    /// How demand is foreseen. Default: the model is chosen for each signal by back-test.
    #[serde(default)]
    pub forecast: ForecastSpec,
    /// Whether the language model is asked for this resource. Default: enabled.
    #[serde(default)]
    pub model: ModelSpec,
}

/// One workload as its team wants it scaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("self.min <= self.max").message("min is above max; lower min or raise max").field_path(".min"))]
#[serde(rename_all = "camelCase")]
pub struct TargetSpec {
    /// The workload: apiVersion, kind and name, as in an HPA's scaleTargetRef. Required.
    #[serde(rename = "ref")]
    pub target: TargetRef,
    /// Container whose requests and limits may change. Default: absent, the only one or the one with the largest request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub container: Option<String>,
    /// Least replicas, 0 to 100000; 0 needs allowZero in the guardrail, whose bounds count first. Required.
    #[schemars(range(min = 0, max = 100_000))]
    pub min: i32,
    /// Most replicas, 1 to 100000; the guardrail's bounds count first. Required.
    #[schemars(range(min = 1, max = 100_000))]
    pub max: i32,
    /// How much it matters when not all can be served; at most the guardrail's highestCriticality. Default: Medium.
    #[serde(default)]
    pub criticality: Criticality,
    /// Units of demand per second that one ready replica serves, as a decimal. Default: absent, it is learned from history.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = (
        "quantity(self).compareTo(quantity('0')) > 0",
        "capacityPerReplica is 0; write what one replica serves, or leave it out to have it learned"
    ))]
    pub capacity_per_replica: Option<DecimalText>,
}

/// How far IPA may go, by kind of change: Observe records, Recommend asks a person each time, Auto acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ModeSpec {
    /// Mode for adding replicas: Observe, Recommend or Auto. Default: Observe.
    pub scale_up: Mode,
    /// Mode for removing replicas: Observe, Recommend or Auto. Default: Observe.
    pub scale_down: Mode,
    /// Mode for changing requests and limits: Observe, Recommend or Auto. Default: Observe.
    pub resources: Mode,
    /// Mode for node pools on this group's behalf: Observe, Recommend or Auto. Default: Observe.
    pub nodes: Mode,
}

/// What is promised to users, and what a broken promise costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SloSpec {
    /// A request slower than this is bad, as a Go duration above 0 and at most 1h. Required.
    #[x_kube(validation = (
        "duration(self) > duration('0s') && duration(self) <= duration('1h')",
        "latency is not between 0s and 1h; write a duration such as 250ms"
    ))]
    pub latency: DurationText,
    /// Share of good requests promised, in percent from 1 to 99.99. Default: 99.
    #[serde(default = "ninety_nine")]
    #[x_kube(validation = (
        "quantity(self).compareTo(quantity('1')) >= 0 && quantity(self).compareTo(quantity('99.99')) <= 0",
        "objective is not between 1 and 99.99; write a percentage such as 99.9"
    ))]
    pub objective: DecimalText,
    /// What one wholly bad minute at mean demand costs, in minutes of the ideal fleet, 1 to 1000. Default: 10.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1_000))]
    pub bad_minute_cost: i32,
}

/// Most that a group's pods may cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TeamCostBudget {
    /// Most that these workloads' pods may cost an hour, in US dollars, such as 12.50. Required.
    #[x_kube(validation = ("!self.startsWith('-')", "perHour is negative; a budget starts at 0"))]
    pub per_hour: MoneyText,
}

/// A call from one of this resource's targets to another workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DependencySpec {
    /// The caller: one of the targets above, by the same apiVersion, kind and name. Required.
    pub from: TargetRef,
    /// The workload that is called; it may lie in another group or namespace. Required.
    pub to: TargetRef,
    /// Namespace of the workload that is called. Default: absent, this resource's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub to_namespace: Option<String>,
    /// Calls for each unit of the caller's demand, as a decimal from 0.001 to 1000. Default: 1.
    #[serde(default = "one")]
    #[x_kube(validation = (
        "quantity(self).compareTo(quantity('0.001')) >= 0 && quantity(self).compareTo(quantity('1000')) <= 0",
        "ratio is not between 0.001 and 1000; write how many calls one unit of demand makes"
    ))]
    pub ratio: DecimalText,
}

/// How demand is foreseen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForecastSpec {
    /// Forecasting model by name, such as seasonal-naive, ets or mstl. Default: absent, chosen for each signal by back-test.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub model: Option<String>,
}

/// Whether the language model is asked. Which one, and where it is, is the administrators' configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ModelSpec {
    /// Whether the language model is asked for this resource; without it the numeric planner acts alone. Default: true.
    pub enabled: bool,
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self { enabled: true }
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn quarter_of_an_hour() -> DurationText {
    "15m".into()
}

fn ninety_nine() -> DecimalText {
    "99".into()
}

fn one() -> DecimalText {
    "1".into()
}

const fn ten() -> i32 {
    10
}
