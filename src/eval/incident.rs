//! An incident: a stretch of demand, events and faults that can be replayed, as the directory of the contract describes it. Read and checked
//! once; everything after works on these types.
//!
//! [`Incident::read`] reads a directory. What it says on disk is [`document`]'s, and each part is checked in a file of its own; whatever is wrong is
//! one line with file, field and the mend. Left out: what becomes of it (the simulator's), and what it is worth (the scores').

mod calls;
mod check;
mod derive;
pub mod document;
mod error;
mod events;
mod expect;
mod faults;
mod limits;
mod pools;
mod read;
mod samples;
mod text;
mod workload;
mod yaml;

#[cfg(test)]
mod tests;

pub use error::IncidentError;
pub use text::{CPUQuantity, CPUShare, MemoryQuantity};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::limits::{Bounds, Criticality, Fleet, Group, Guardrail, TimeZoneName};
use crate::domain::proposal::Cause;
use crate::domain::units::Millicores;
use crate::domain::workload::ContainerResources;
use crate::service::ServiceSpec;
pub use crate::service::{Observe, StartUp};
use crate::sim::{FaultKind, PoolSpec};

/// One incident.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Where it was read from.
    pub directory: PathBuf,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// What it is about, for people.
    pub title: String,
    /// Where its data come from.
    pub source: String,
    /// Under which licence.
    pub license: String,
    /// Kinds it belongs to (`seasonal`, `spiky`, `llm`, ...).
    pub tags: Vec<String>,
    /// Wall clock at t = 0, the beginning of the history.
    pub start: Timestamp,
    /// Whose days and weeks demand follows.
    pub time_zone: TimeZoneName,
    /// Seconds of known past at the beginning; not scored.
    pub history_s: u32,
    /// Seconds scored, right after.
    pub duration_s: u32,
    /// What runs.
    pub workloads: Vec<IncidentWorkload>,
    /// What nodes can be had. Empty where the incident names none: there is always room then, at once.
    pub pools: Vec<PoolSpec>,
    /// What goes wrong, in order of time.
    pub faults: Vec<IncidentFault>,
    /// What was noted by the cluster, in order of time.
    pub events: Vec<IncidentEvent>,
    /// What people set: read from `ipa.yaml`, or sensible ones derived.
    pub groups: Vec<Group>,
    /// As `groups`.
    pub guardrails: Vec<Guardrail>,
    /// As `groups`.
    pub fleets: Vec<Fleet>,
    /// What must and what must not come of it.
    pub expect: Expect,
}

/// One workload of an incident.
#[derive(Clone, Debug)]
pub struct IncidentWorkload {
    /// Its name; it is a Deployment of that name in the incident's one namespace, [`NAMESPACE`].
    pub name: Arc<str>,
    /// Replicas when the scored part begins.
    pub replicas: u32,
    /// Replicas it may have.
    pub bounds: Bounds,
    /// Requests and limits of its container.
    pub resources: ContainerResources,
    /// From scheduled to ready.
    pub startup: StartUp,
    /// CPU that a replica uses while it starts, where that is not what it uses idle.
    pub startup_cpu: Option<Millicores>,
    /// How it serves: the truth, which no policy sees.
    pub service: ServiceSpec,
    /// Units/s offered from outside: values at seconds from `start`, sorted, strictly rising, finite and not negative, scaled already.
    pub demand: Option<DemandSamples>,
    /// A unit that is answered later than this is bad, seconds (`Queue`: that waited longer).
    pub slo_latency_s: f64,
    /// How much it matters.
    pub criticality: Criticality,
    /// Whom it calls, by name, and how often for each unit it serves.
    pub depends_on: Vec<(Arc<str>, f64)>,
}

/// Namespace of every incident's workloads.
pub const NAMESPACE: &str = "incident";

/// A demand series as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct DemandSamples {
    /// `(seconds from start, units/s)`: what was offered from then until the next sample. A gap has no samples; see [`crate::eval::series::gaps`].
    pub samples: Vec<(u32, f64)>,
    /// What metrics show of it.
    pub observe: Observe,
    /// Whether the rate is the mean of the last ten minutes, instead of what was recorded step by step.
    pub smooth: bool,
}

/// Something that goes wrong for a time.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentFault {
    /// Seconds after the scored part began.
    pub at_s: u32,
    /// Seconds it lasts.
    pub for_s: u32,
    /// Which workload, node pool or zone; absent means all.
    pub target: Option<Arc<str>>,
    /// What.
    pub kind: IncidentFaultKind,
}

/// The closed list of faults.
#[derive(Clone, Debug, PartialEq)]
pub enum IncidentFaultKind {
    /// The model does not answer.
    ModelOutage,
    /// The model proposes the worst it can.
    ModelHostile,
    /// Something in the cluster or its metrics.
    Cluster(FaultKind),
}

/// A line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentEvent {
    /// Seconds from `start`.
    pub t_s: u32,
    /// Kind of the object (`Pod`, `Deployment`).
    pub kind: String,
    /// Its name.
    pub object: String,
    /// Reason as Kubernetes writes it.
    pub reason: String,
    /// How often.
    pub count: u32,
    /// Free text; never shown to a model.
    pub note: String,
}

/// What must and what must not come of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// Most of the requests that may be bad, 0 to 1.
    pub max_bad_fraction: Option<f64>,
    /// Most that it may cost, over the oracle's cost.
    pub max_cost_over_oracle: Option<f64>,
    /// What must never happen.
    pub never: Vec<Never>,
    /// What has to be understood.
    pub decision: Option<ExpectedDecision>,
}

/// What must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Never {
    /// Replicas were taken away on metrics that are missing, late or contradictory.
    ScaleDownOnStaleMetrics,
    /// A count outside the bounds was asked for.
    OutsideBounds,
    /// Replicas were taken away while requests failed.
    ScaleDownUnderFailure,
    /// Who owns the field was written over: a person while their write is to be left alone, a machine again and again.
    FightWriter,
    /// A pod was evicted by what the policy did: budgets protect every one of an incident.
    EvictProtected,
    /// A cost budget was passed.
    ExceedBudget,
    /// Something was done without an entry in the ledger before.
    ActWithoutRecord,
}

/// What has to be understood.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedDecision {
    /// The cause.
    pub class: Cause,
    /// Seconds from the first fault by which a safe act must have come.
    pub first_safe_act_before_s: Option<u32>,
    /// Kinds of changes that must not come.
    pub forbidden: Vec<ForbiddenAct>,
    /// Signals that a finding has to name.
    pub evidence: Vec<String>,
}

/// Kinds of changes that may be forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ForbiddenAct {
    /// More replicas.
    ScaleUp,
    /// Fewer replicas.
    ScaleDown,
    /// Other requests or limits.
    Resize,
    /// Another node pool.
    NodePool,
}

impl Incident {
    /// Wall clock at which the scored part begins.
    #[must_use]
    pub fn scored_from(&self) -> Timestamp {
        self.start.saturating_add(jiff::SignedDuration::from_secs(i64::from(self.history_s))).unwrap_or(Timestamp::MAX)
    }

    /// Workloads by name.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<&str, &IncidentWorkload> {
        self.workloads.iter().map(|workload| (&*workload.name, workload)).collect()
    }
}
