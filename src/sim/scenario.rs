//! What a simulated cluster is made of, as data: workloads, pools, what people set, and what goes wrong when. No behaviour.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::demand::Demand;
use crate::domain::fleet::CapacityType;
use crate::domain::limits::{Bounds, Fleet, Group, Guardrail, TimeZoneName};
use crate::domain::names::TargetKey;
use crate::domain::signal::SignalName;
use crate::domain::snapshot::Quota;
use crate::domain::workload::{ContainerResources, FieldWriter};
use crate::service::{Observe, ServiceSpec, StartUp};

/// A cluster and what happens to it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The cluster's name, part of every record.
    pub cluster: Arc<str>,
    /// Wall clock when it begins; any second.
    pub start: Timestamp,
    /// Whose days and weeks the demand follows. The offset at `start` counts for the past too.
    pub time_zone: TimeZoneName,
    /// What runs.
    pub workloads: Vec<WorkloadSpec>,
    /// What nodes can be had. Where there is none, machines of the type that is cheapest for what runs come at once, as many as are needed.
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
    /// From bound to ready; drawn for each pod.
    pub startup: StartUp,
    /// How it serves.
    pub service: ServiceSpec,
    /// A unit that is answered later is bad, seconds; `Queue`: that waited longer.
    pub slo_latency_s: f64,
    /// What comes from outside.
    pub demand: Demand,
    /// Which rate metrics show as demand.
    pub observe: Observe,
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
    /// Zones it may buy in; empty means all.
    pub zones: Vec<Arc<str>>,
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
    /// From when. What began before the scenario did is as if it began with it.
    pub from: Timestamp,
    /// Until when, not included.
    pub until: Timestamp,
    /// Whose; absent means everybody's, and all nodes'.
    pub target: Option<FaultTarget>,
    /// What.
    pub kind: FaultKind,
}

/// What a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultTarget {
    /// One workload; a fault of nodes that names one strikes none.
    Workload(TargetKey),
    /// The nodes of one pool.
    Pool(Arc<str>),
    /// The nodes in one zone.
    Zone(Arc<str>),
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
    /// This share of the spot nodes is taken away; from the notice on nothing new is put on them.
    SpotReclaim {
        /// 0 to 1; above 0 it is one node at least.
        share: f64,
        /// Seconds from the notice, which comes as the fault begins, until the nodes are gone.
        notice_s: u32,
    },
    /// No new node can be had; those that boot already still come.
    ProvisioningFailure,
    /// The nodes are gone at once, and none can be had there meanwhile.
    ZoneLoss,
    /// This share of the nodes that are there works at `factor` of its speed.
    NodeSlow {
        /// 0 to 1; above 0 it is one node at least.
        share: f64,
        /// 0 to 1.
        factor: f64,
    },
    /// This share of the ready pods crashes as the fault begins; their containers start anew.
    PodCrash {
        /// 0 to 1; above 0 it is one pod at least.
        share: f64,
    },
    /// What it calls outside the scenario answers slowly: a replica serves `factor` of its capacity, each unit takes so much longer, and costs
    /// `cpu_factor` of the CPU.
    DependencyBrownout {
        /// 0 to 1.
        factor: f64,
        /// Usually below 1: who waits uses no CPU.
        cpu_factor: f64,
    },
    /// Each unit takes `factor` times the work: CPU, latency, and capacity accordingly.
    ServiceTimeChange {
        /// Above 0.
        factor: f64,
    },
    /// A new template is rolled out as the fault begins, and rolled back as it ends; each new pod serves `factor` of the capacity for the same CPU.
    Rollout {
        /// Above 0.
        factor: f64,
    },
    /// Prices of nodes are multiplied.
    PriceChange {
        /// Above 0.
        factor: f64,
    },
    /// This share of the writes meets a conflict and is not made.
    ApiConflict {
        /// 0 to 1.
        share: f64,
    },
    /// Another controller sets `replicas` every `every_s` seconds.
    CompetingWriter {
        /// To what.
        replicas: u32,
        /// Seconds.
        every_s: u32,
    },
    /// A person scales to `replicas` as the fault begins.
    HumanScale {
        /// To what.
        replicas: u32,
    },
    /// The groups are told `ahead_s` seconds before that demand will be at `percent` of the usual. Whether it will is for the demand to say.
    SurgeAnnounced {
        /// Seconds before the fault begins.
        ahead_s: u32,
        /// Percent of usual.
        percent: u32,
    },
}

impl Fault {
    /// Whether it lasts at `at`.
    #[must_use]
    pub fn lasts(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    /// Whether it is one of `key`'s.
    #[must_use]
    pub fn concerns(&self, key: &TargetKey) -> bool {
        match &self.target {
            None => true,
            Some(FaultTarget::Workload(target)) => target == key,
            Some(FaultTarget::Pool(_) | FaultTarget::Zone(_)) => false,
        }
    }

    /// Whether it is one of the nodes' in this pool and zone.
    #[must_use]
    pub fn concerns_node(&self, in_pool: &str, in_zone: &str) -> bool {
        match &self.target {
            None => true,
            Some(FaultTarget::Pool(pool)) => **pool == *in_pool,
            Some(FaultTarget::Zone(zone)) => **zone == *in_zone,
            Some(FaultTarget::Workload(_)) => false,
        }
    }

    /// Whether it strikes `target` at `at`.
    #[must_use]
    pub fn strikes(&self, target: &TargetKey, at: Timestamp) -> bool {
        self.lasts(at) && self.concerns(target)
    }
}
