//! What a simulated cluster is made of, as data: workloads, pools, what people set, and what goes wrong when. No behaviour.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::demand::DemandCurve;
use crate::domain::fleet::CapacityType;
use crate::domain::limits::{Bounds, Fleet, Group, Guardrail, TimeZoneName};
use crate::domain::names::TargetKey;
use crate::domain::signal::SignalName;
use crate::domain::snapshot::Quota;
use crate::domain::workload::{ContainerResources, FieldWriter};
use crate::service::ServiceSpec;

/// A cluster and what happens to it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The cluster's name, part of every record.
    pub cluster: Arc<str>,
    /// Wall clock when it begins.
    pub start: Timestamp,
    /// Whose days and weeks the demand follows. The offset at `start` counts for the past too.
    pub time_zone: TimeZoneName,
    /// What runs.
    pub workloads: Vec<WorkloadSpec>,
    /// What nodes can be had.
    pub pools: Vec<PoolSpec>,
    /// What teams set.
    pub groups: Vec<Group>,
    /// What the platform sets, one for each namespace.
    pub guardrails: Vec<Guardrail>,
    /// What the platform sets for nodes.
    pub fleets: Vec<Fleet>,
    /// Hard limits of quotas, by namespace; what is in use is counted.
    pub quotas: BTreeMap<Arc<str>, Quota>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// One workload.
#[derive(Clone, Debug)]
pub struct WorkloadSpec {
    /// Which object.
    pub key: TargetKey,
    /// Replicas at the start.
    pub replicas: u32,
    /// Bounds within which the past is assumed to have been scaled.
    pub usual: Bounds,
    /// Requests and limits of its one container.
    pub resources: ContainerResources,
    /// From bound to ready, seconds.
    pub startup_s: u32,
    /// How it serves.
    pub service: ServiceSpec,
    /// What comes from outside.
    pub demand: DemandCurve,
    /// Whom it calls, and how often for each unit it serves.
    pub calls: Vec<(TargetKey, f64)>,
    /// An HPA on it.
    pub hpa: Option<HPASpec>,
    /// `minAvailable` of a disruption budget on it.
    pub min_available: Option<u32>,
    /// Who wrote its replicas last, before the start.
    pub writer: FieldWriter,
    /// The oldest of its pods at the start has run so long, seconds; the others are spread evenly below.
    pub oldest_pod_s: u32,
}

/// A `HorizontalPodAutoscaler` on average CPU utilisation.
#[derive(Clone, Copy, Debug)]
pub struct HPASpec {
    /// Least replicas.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// Target, percent of requests.
    pub cpu_percent: u32,
}

/// A node pool.
#[derive(Clone, Debug)]
pub struct PoolSpec {
    /// Name.
    pub name: Arc<str>,
    /// Instance types it may buy; each must be in the catalogue.
    pub instance_types: Vec<Arc<str>>,
    /// How they may be paid.
    pub capacity_types: Vec<CapacityType>,
    /// From launch to ready, seconds; a tenth more or less.
    pub provisioning_s: u32,
    /// Most nodes.
    pub max: u32,
}

/// Something that goes wrong for a time.
#[derive(Clone, Debug)]
pub struct Fault {
    /// From when.
    pub from: Timestamp,
    /// Until when, not included.
    pub until: Timestamp,
    /// Whose; absent means everybody's.
    pub target: Option<TargetKey>,
    /// What.
    pub kind: FaultKind,
}

/// Kinds of faults.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// The metrics source does not answer; what would have been scraped is never known.
    MetricsOutage,
    /// Signals are reported at so many times their true value.
    MetricsLie {
        /// Which.
        signals: Vec<SignalName>,
        /// 0 reports nothing under full load.
        factor: f64,
    },
    /// Samples are seen so many seconds late.
    MetricsDelay {
        /// Seconds.
        by_s: u32,
    },
    /// Signals are reported as `NaN`.
    MetricsNaN {
        /// Which.
        signals: Vec<SignalName>,
    },
}

impl Fault {
    /// Whether it strikes `target` at `at`.
    #[must_use]
    pub fn strikes(&self, target: &TargetKey, at: Timestamp) -> bool {
        self.from <= at && at < self.until && self.target.as_ref().is_none_or(|t| t == target)
    }
}
