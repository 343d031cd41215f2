//! `incident.yaml` as it stands on disk: what is read, and what a recorder or a generator writes. Strict: no field is passed over. Whether what it
//! says makes sense is checked after.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::text::{CPUQuantity, CPUShare, MemoryQuantity};
use super::{ForbiddenAct, Never, Observe};
use crate::domain::fleet::CapacityType;
use crate::domain::limits::Criticality;
use crate::domain::proposal::Cause;
use crate::domain::units::{Bytes, GoDuration};
use crate::service::ServiceKind;

pub use super::text::{StartUpQuantiles, StartUpText};

/// `apiVersion` of an incident.
pub const API_VERSION: &str = "ipa.dev/v1alpha1";
/// `kind` of an incident.
pub const KIND: &str = "Incident";

/// A whole `incident.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IncidentDocument {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// What it is called.
    pub metadata: MetadataDocument,
    /// What happens.
    pub spec: SpecDocument,
}

/// `metadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataDocument {
    /// As Kubernetes names objects.
    pub name: String,
    /// For people. Default: the name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Where the data come from. Default: nothing is said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Under which licence. Default: nothing is said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// Kinds it belongs to. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// `spec`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpecDocument {
    /// Wall clock at t = 0.
    pub start: Timestamp,
    /// Whose days demand follows. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The past that is known.
    pub history: GoDuration,
    /// The part that is scored, right after.
    pub duration: GoDuration,
    /// What runs.
    pub workloads: Vec<WorkloadDocument>,
    /// What nodes there are. Default: there is always room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodesDocument>,
    /// What goes wrong. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultDocument>,
    /// What must and must not come of it. Default: nothing is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<ExpectDocument>,
}

/// One workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadDocument {
    /// The Deployment's name.
    pub name: String,
    /// Replicas when the scored part begins.
    pub replicas: u32,
    /// Replicas it may have.
    pub bounds: BoundsDocument,
    /// Requests of its container.
    pub requests: RequestsDocument,
    /// Limits of its container. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsDocument>,
    /// From scheduled to ready.
    pub startup: StartUpText,
    /// CPU that a replica uses while it starts. Default: what it uses idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_cpu: Option<CPUQuantity>,
    /// How it serves.
    pub service: ServiceDocument,
    /// What comes from outside. Default: nothing, it is only called by others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<DemandDocument>,
    /// What is promised.
    pub slo: SloDocument,
    /// How much it matters. Default: Medium.
    #[serde(default)]
    pub criticality: Criticality,
    /// Whom it calls. Default: nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<CallDocument>,
}

/// `bounds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundsDocument {
    /// Least replicas.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
}

/// `requests`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestsDocument {
    /// CPU.
    pub cpu: CPUQuantity,
    /// Memory.
    pub memory: MemoryQuantity,
}

/// `limits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsDocument {
    /// CPU. Default: not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CPUQuantity>,
    /// Memory. Default: not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryQuantity>,
}

/// `service`: the truth, which no policy sees. Everything but the capacity has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceDocument {
    /// What happens to work that waits. Default: HTTP.
    #[serde(default = "http")]
    pub kind: ServiceKind,
    /// Units/s that one ready replica serves.
    pub capacity: f64,
    /// Latency without any wait. Default: 40ms.
    #[serde(default = "forty_milliseconds")]
    pub base_latency: GoDuration,
    /// A request that waited longer is lost. Default: 30s.
    #[serde(default = "thirty_seconds")]
    pub timeout: GoDuration,
    /// What callers do then. Default: nothing comes back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry: RetryDocument,
    /// Share of capacity lost for each further replica. Default: 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub contention: f64,
    /// Core-seconds a unit costs. Default: 8m.
    #[serde(default = "eight_millicores")]
    pub cpu_per_unit: CPUShare,
    /// What a replica's memory is made of. Default: 200Mi, 1Mi for each unit held, no leak.
    #[serde(default)]
    pub memory: MemoryDocument,
}

/// `service.retry`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryDocument {
    /// Share of lost requests that come back. Default: 0.
    #[serde(default)]
    pub share: f64,
    /// How often one comes back at most. Default: 0.
    #[serde(default)]
    pub max: u32,
}

/// `service.memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MemoryDocument {
    /// Without any load. Default: 200Mi.
    pub base: MemoryQuantity,
    /// For each unit it holds. Default: 1Mi.
    pub per_unit: MemoryQuantity,
    /// What it loses for ever, each hour. Default: 0.
    pub leak_per_hour: MemoryQuantity,
}

/// `demand`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DemandDocument {
    /// A file beside `incident.yaml`.
    pub series: String,
    /// Its unit, a rate per second. Default: 1/s.
    #[serde(default = "per_second")]
    pub unit: String,
    /// What each value is multiplied with. Default: 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub scale: f64,
    /// Whether the rate is smoothed over ten minutes of its past. Default: true where it is scaled or its samples are more than 15 s apart; false
    /// is for counts of just this service, whose minutes are as jagged as they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smooth: Option<bool>,
    /// Which rate metrics show. Default: Offered.
    #[serde(default, skip_serializing_if = "is_default")]
    pub observe: Observe,
}

/// `slo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SloDocument {
    /// A request slower than this is bad.
    pub latency: GoDuration,
}

/// One of `dependsOn`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallDocument {
    /// Who is called.
    pub name: String,
    /// Calls for each unit served. Default: 1.
    #[serde(default = "one")]
    pub ratio: f64,
}

/// `nodes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodesDocument {
    /// Where nodes come from.
    pub pools: Vec<PoolDocument>,
}

/// One node pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolDocument {
    /// Name.
    pub name: String,
    /// What it may buy.
    pub instance_types: Vec<String>,
    /// Where. Default: the zones of the price list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// How it may pay. Default: on-demand.
    #[serde(default = "on_demand")]
    pub capacity_types: Vec<CapacityType>,
    /// From launch to ready. Default: 90s.
    #[serde(default = "ninety_seconds")]
    pub provisioning: GoDuration,
    /// Most nodes. Default: 50.
    #[serde(default = "fifty")]
    pub max: u32,
}

/// One fault: when, whose, what, and the parameters of its kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultDocument {
    /// After the scored part began.
    pub at: GoDuration,
    /// How long. Default: until the end.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<GoDuration>,
    /// What goes wrong.
    pub kind: FaultName,
    /// Which workload, node pool or zone. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// `MetricsLie`: which signals, as metrics name them. Default: demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signals: Option<Vec<String>>,
    /// `MetricsLie`, `NodeSlow`, `DependencyBrownout`, `ServiceTimeChange`, `Rollout`, `PriceChange`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// `DependencyBrownout`: CPU of what is served. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_factor: Option<f64>,
    /// `MetricsDelay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<GoDuration>,
    /// `SpotReclaim`, `NodeSlow`, `PodCrash`, `ApiConflict`. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// `SpotReclaim`. Default: 2m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<GoDuration>,
    /// `CompetingWriter`, `HumanScale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// `CompetingWriter`. Default: 3m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<GoDuration>,
    /// `SurgeAnnounced`. Default: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<GoDuration>,
    /// `SurgeAnnounced`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
}

/// Kinds of faults, as they are written; what each means stands with [`super::IncidentFaultKind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "documented where they are used")]
pub enum FaultName {
    #[default]
    MetricsOutage,
    MetricsLie,
    MetricsDelay,
    ModelOutage,
    ModelHostile,
    SpotReclaim,
    ProvisioningFailure,
    ZoneLoss,
    NodeSlow,
    PodCrash,
    DependencyBrownout,
    ServiceTimeChange,
    Rollout,
    PriceChange,
    ApiConflict,
    CompetingWriter,
    HumanScale,
    SurgeAnnounced,
}

/// `expect`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectDocument {
    /// Most of the requests that may be bad. Default: not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bad_fraction: Option<f64>,
    /// Most that it may cost, over the oracle's cost. Default: not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_over_oracle: Option<f64>,
    /// What must never happen. Default: not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub never: Vec<Never>,
    /// What has to be understood. Default: not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionDocument>,
}

/// `expect.decision`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionDocument {
    /// The cause.
    pub class: Cause,
    /// From the first fault. Default: not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_safe_act_before: Option<GoDuration>,
    /// Kinds of changes that must not come. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<ForbiddenAct>,
    /// Signals that a finding has to name. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

impl ServiceDocument {
    /// A service of this capacity, units/s of one replica, whose every other field has its default.
    #[must_use]
    pub fn of(capacity: f64) -> Self {
        Self {
            kind: http(),
            capacity,
            base_latency: forty_milliseconds(),
            timeout: thirty_seconds(),
            retry: RetryDocument::default(),
            contention: 0.0,
            cpu_per_unit: eight_millicores(),
            memory: MemoryDocument::default(),
        }
    }
}

impl Default for MemoryDocument {
    fn default() -> Self {
        let mib = |mib: u64| MemoryQuantity(Bytes(mib * Bytes::MIB));
        Self { base: mib(200), per_unit: mib(1), leak_per_hour: mib(0) }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, clippy::float_cmp, reason = "serde passes a reference; exactly 1 is the default")]
fn is_one(value: &f64) -> bool {
    *value == 1.0
}

const fn one() -> f64 {
    1.0
}

const fn fifty() -> u32 {
    50
}

const fn http() -> ServiceKind {
    ServiceKind::HTTP
}

const fn forty_milliseconds() -> GoDuration {
    GoDuration(std::time::Duration::from_millis(40))
}

const fn thirty_seconds() -> GoDuration {
    GoDuration::from_secs(30)
}

const fn ninety_seconds() -> GoDuration {
    GoDuration::from_secs(90)
}

const fn eight_millicores() -> CPUShare {
    CPUShare(0.008)
}

fn per_second() -> String {
    "1/s".to_owned()
}

fn on_demand() -> Vec<CapacityType> {
    vec![CapacityType::OnDemand]
}
