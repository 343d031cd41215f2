//! Everything one tick may know, frozen. What follows from it is pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fleet::{Catalogue, Node, NodePool};
use super::limits::{Fleet, GateLimits, Group, GroupTarget, Guardrail, Modes, TargetLimits};
use super::memory::Memory;
use super::names::{GroupId, ProposalId, TargetKey, TickId};
use super::outcome::Outcome;
use super::proposal::Proposal;
use super::record::PastDecision;
use super::review::Ruling;
use super::signal::{Signal, SignalName, Signals};
use super::units::{Bytes, Millicores};
use super::workload::{ResourceList, Workload};

/// What the cluster showed, all at one moment of its caches. The kube adapter and the simulator both fill it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterFacts {
    /// Groups by id, those in conflict left out (they are in `rejected`).
    pub groups: BTreeMap<GroupId, Group>,
    /// Custom resources that could not be taken, with the reason.
    pub rejected: Vec<Rejected>,
    /// Guardrails by namespace.
    pub guardrails: BTreeMap<Arc<str>, Guardrail>,
    /// Node fleets by name.
    pub fleets: BTreeMap<Arc<str>, Fleet>,
    /// Observed targets. One that a group names and the cluster lacks is absent here.
    pub workloads: BTreeMap<TargetKey, Workload>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Node pools.
    pub node_pools: Vec<NodePool>,
    /// Quotas by namespace.
    pub quotas: BTreeMap<Arc<str>, Vec<Quota>>,
    /// Limit ranges by namespace.
    pub limit_ranges: BTreeMap<Arc<str>, Vec<LimitRange>>,
    /// Recent events about targets, newest last.
    pub events: Vec<Event>,
    /// Proposals in the queue, with what people decided.
    pub queue: Vec<QueuedProposal>,
    /// Whether the API server resizes running pods (`pods/resize`).
    #[serde(default)]
    pub resizes_in_place: bool,
}

/// A custom resource that is not acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Which group or fleet.
    pub group: GroupId,
    /// UID of the custom resource.
    pub uid: Arc<str>,
    /// Its generation.
    pub generation: i64,
    /// Machine reason (`AlreadyManaged`, `InvalidSpec`).
    pub reason: String,
    /// One sentence that names the field and the mend.
    pub message: String,
}

/// A ResourceQuota, as far as it bounds pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Name.
    pub name: Arc<str>,
    /// Hard limits that are set: cpu and memory are of requests.
    pub hard: QuotaAmounts,
    /// In use.
    pub used: QuotaAmounts,
}

/// Amounts a quota counts; absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaAmounts {
    /// `requests.cpu`.
    pub cpu: Option<Millicores>,
    /// `requests.memory`.
    pub memory: Option<Bytes>,
    /// `pods`.
    pub pods: Option<u64>,
}

/// A LimitRange for containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitRange {
    /// Name.
    pub name: Arc<str>,
    /// Least CPU of a container.
    pub min_cpu: Option<Millicores>,
    /// Most CPU of a container.
    pub max_cpu: Option<Millicores>,
    /// Least memory of a container.
    pub min_memory: Option<Bytes>,
    /// Most memory of a container.
    pub max_memory: Option<Bytes>,
}

/// A Kubernetes event about a target, reduced to what is known: the free text of its note never leaves the adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Id within this snapshot (`ev3`).
    pub id: String,
    /// When it was last seen.
    pub at: Timestamp,
    /// Which target it bears on, directly or through one of its pods.
    pub target: TargetKey,
    /// Kind of the object it is about (`Pod`, `Deployment`, `Node`).
    pub kind: Arc<str>,
    /// A known reason, or `Other`.
    pub reason: EventReason,
    /// How often.
    pub count: u32,
}

macro_rules! event_reasons {
    ($($name:ident),* $(,)?) => {
        /// Reasons of events that bear on scaling. What is not known is `Other`: its text is free text and goes no further.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[allow(missing_docs, reason = "Kubernetes' own words")]
        pub enum EventReason { $($name,)* Other }

        impl EventReason {
            /// The reason as an event carries it.
            #[must_use]
            pub fn from_event(reason: &str) -> Self {
                match reason {
                    $(stringify!($name) => Self::$name,)*
                    _ => Self::Other,
                }
            }

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Other => "Other",
                }
            }
        }
    };
}
event_reasons!(
    BackOff,
    Created,
    Evicted,
    Failed,
    FailedCreate,
    FailedMount,
    FailedScheduling,
    FailedGetResourceMetric,
    Killing,
    NodeNotReady,
    NotTriggerScaleUp,
    OOMKilling,
    Preempted,
    Preempting,
    ProgressDeadlineExceeded,
    Pulled,
    Pulling,
    Scheduled,
    ScalingReplicaSet,
    Started,
    SuccessfulCreate,
    SuccessfulDelete,
    SuccessfulRescale,
    TriggeredScaleUp,
    Unhealthy,
    SpotInterrupted,
    DisruptionBlocked,
    Nominated,
    InsufficientCapacityError,
);

/// A proposal that waits for a person, and what was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueuedProposal {
    /// The proposal.
    pub proposal: Proposal,
    /// Digest of the exact change; a decision names it.
    pub digest: super::names::Digest,
    /// Digest of the state it was judged against.
    pub state_digest: super::names::Digest,
    /// When it lapses.
    pub expires: Timestamp,
    /// What the guardrails said when it was queued.
    #[serde(default)]
    pub rulings: Vec<Ruling>,
    /// What people decided, oldest first.
    pub decisions: Vec<Decision>,
    /// Whether it has ended.
    pub closed: bool,
    /// Machine reason for which it ended (`Applied`, `Rejected`, `Expired`, `Stale`, `Superseded`), where it has and the reason is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// One person's decision on a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who.
    pub by: String,
    /// Yes or no.
    pub verdict: DecisionVerdict,
    /// Digest of the change that was decided on.
    pub digest: super::names::Digest,
    /// When.
    pub at: Timestamp,
}

/// A person's yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum DecisionVerdict {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// How a source answered this tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceHealth {
    /// Answered.
    Ok,
    /// Answered in part; machine reason.
    Degraded(String),
    /// Did not answer; machine reason.
    Down(String),
}

impl SourceHealth {
    /// Whether it answered in full.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok)
    }
}

/// Everything one tick may know, frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Wall clock of the tick.
    pub at: Timestamp,
    /// The tick's number.
    pub tick: TickId,
    /// The cluster's name, part of every record.
    pub cluster: Arc<str>,
    /// What the cluster showed.
    pub facts: ClusterFacts,
    /// Signals of all targets.
    pub signals: Signals,
    /// How the metrics source answered.
    pub metrics_health: SourceHealth,
    /// Prices.
    pub catalogue: Arc<Catalogue>,
    /// The installation's limits.
    pub limits: GateLimits,
    /// Outcomes of actions since the last tick.
    pub outcomes: Vec<Outcome>,
    /// What the loop carries on.
    pub memory: Memory,
    /// A bounded digest of past decisions, newest last.
    pub past: Vec<PastDecision>,
}

impl Snapshot {
    /// A signal of a target.
    #[must_use]
    pub fn signal(&self, target: &TargetKey, name: &SignalName) -> Option<&Signal> {
        self.signals.get(target)?.get(name)
    }

    /// The newest value of a signal, if it is fresh by the installation's limit.
    #[must_use]
    pub fn fresh(&self, target: &TargetKey, name: &SignalName) -> Option<f64> {
        self.signal(target, name)?.fresh(self.at, self.limits.stale_after.signed())
    }

    /// A target as observed.
    #[must_use]
    pub fn workload(&self, target: &TargetKey) -> Option<&Workload> {
        self.facts.workloads.get(target)
    }

    /// The group that covers a target, and how it names it.
    #[must_use]
    pub fn group_of(&self, target: &TargetKey) -> Option<(&Group, &GroupTarget)> {
        // Groups of one namespace are few; a target lies in its group's namespace.
        let first = GroupId { namespace: target.namespace.clone(), name: "".into() };
        self.facts
            .groups
            .range(first..)
            .take_while(|(id, _)| id.namespace == target.namespace)
            .find_map(|(_, group)| group.targets.iter().find(|t| t.key == *target).map(|t| (group, t)))
    }

    /// The platform's limits of a target; without them nothing above `Observe` is allowed.
    #[must_use]
    pub fn target_limits(&self, target: &TargetKey) -> Option<&TargetLimits> {
        self.facts.guardrails.get(&target.namespace)?.targets.get(target)
    }

    /// The mode each kind of change really has for a target: the least of installation, guardrail and group; `Observe` without a guardrail
    /// that enrols it.
    #[must_use]
    pub fn effective_modes(&self, target: &TargetKey) -> Modes {
        let Some((group, _)) = self.group_of(target) else { return Modes::default() };
        let Some(guardrail) = self.facts.guardrails.get(&target.namespace) else { return Modes::default() };
        if !guardrail.targets.contains_key(target) {
            return Modes::default();
        }
        group.modes.at_most(guardrail.highest_mode).at_most(self.limits.highest_mode)
    }

    /// A proposal in the queue.
    #[must_use]
    pub fn queued(&self, id: &ProposalId) -> Option<&QueuedProposal> {
        self.facts.queue.iter().find(|q| q.proposal.id == *id)
    }

    /// Sum of what all usable nodes have left to request.
    #[must_use]
    pub fn free_room(&self) -> ResourceList {
        let mut room = ResourceList::default();
        for node in self.facts.nodes.iter().filter(|n| n.usable()) {
            room.add(&node.room(), 1);
        }
        room
    }
}
