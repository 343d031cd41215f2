//! Proposals: one typed change that somebody wants. Nothing here is allowed yet.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fleet::CapacityType;
use super::limits::Provider;
use super::names::{Digest, DigestError, EvidenceId, GroupId, ProposalId, TargetKey};
use super::resize::Through;
use super::units::{Bytes, GoDuration, MicroUsd, Millicores};
use super::workload::{ContainerResources, Requirement, ResourceList, Taint};

/// Who wants a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// The numeric planner: the floor.
    Planner,
    /// The model.
    Model,
    /// A person, through `ipa adopt` or the API.
    Person,
}

/// A proposal: data, so that it can cross from a planner process to the gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its name.
    pub id: ProposalId,
    /// The group it belongs to.
    pub group: GroupId,
    /// Who wants it.
    pub origin: Origin,
    /// What is wanted.
    pub change: Change,
    /// Why, in a sentence for people. A model's words are bounded and shown escaped; code never reads them.
    pub rationale: String,
    /// What it rests on.
    pub evidence: Vec<EvidenceId>,
    /// When it was made.
    pub made: Timestamp,
    /// What it changes in cost an hour, where prices are known.
    pub cost_change_per_hour: Option<MicroUsd>,
}

/// The kinds of change there are. Closed: nothing else can be asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Change {
    /// Another number of replicas.
    Replicas(ReplicasChange),
    /// Other requests or limits of one container.
    Resources(ResourcesChange),
    /// A node pool, new or changed.
    NodePool(NodePoolChange),
    /// More lead or a higher quantile for a time.
    Headroom(HeadroomChange),
    /// A cause, told to people.
    Finding(Finding),
}

/// Another number of replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicasChange {
    /// Which target.
    pub target: TargetKey,
    /// UID of the target that was meant.
    pub uid: Arc<str>,
    /// `spec.replicas` when this was made.
    pub from: u32,
    /// Replicas wanted.
    pub to: u32,
}

/// Other requests or limits of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourcesChange {
    /// Which target.
    pub target: TargetKey,
    /// UID of the target that was meant.
    pub uid: Arc<str>,
    /// Which container.
    pub container: Arc<str>,
    /// Resources when this was made.
    pub from: ContainerResources,
    /// Resources wanted, all of them (what is absent is unset). The same as `from` where what is in force has yet to reach new pods, or the
    /// template.
    pub to: ContainerResources,
    /// How it reaches the pods.
    #[serde(default)]
    pub through: Through,
}

/// A node pool, new or changed, within a fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePoolChange {
    /// Fleet, by name.
    pub fleet: Arc<str>,
    /// Who provisions.
    pub provider: Provider,
    /// The pool as it should be.
    pub draft: NodePoolDraft,
    /// Whether the pool is there already.
    pub exists: bool,
}

/// A node pool as drafted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePoolDraft {
    /// Pool name, one the fleet lists.
    pub name: Arc<str>,
    /// Instance types, sorted.
    pub instance_types: Vec<Arc<str>>,
    /// Ways to pay.
    pub capacity_types: Vec<CapacityType>,
    /// Zones; empty means the fleet's.
    pub zones: Vec<Arc<str>>,
    /// Further requirements.
    pub requirements: Vec<Requirement>,
    /// Taints its nodes carry.
    pub taints: Vec<Taint>,
    /// Most resources it may have in use.
    pub limits: ResourceList,
    /// Preference, 1 to 100; higher goes first.
    pub weight: u32,
    /// How long a node lives at most.
    pub expire_after: GoDuration,
    /// Share of its nodes that may be disrupted at a time, percent.
    pub disruption_percent: u32,
}

/// More lead or a higher quantile for a time: counts in the next plans until it expires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadroomChange {
    /// Which target.
    pub target: TargetKey,
    /// Quantile to size for, percent (50 to 99).
    pub quantile_percent: u32,
    /// Minutes of lead beside what start-up needs.
    pub extra_lead_minutes: u32,
    /// Until when.
    pub until: Timestamp,
}

/// A cause from a closed list, with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which target it strikes.
    pub target: TargetKey,
    /// The cause.
    pub cause: Cause,
    /// Whom to tell.
    pub notify: Notify,
}

/// Causes that `report_finding` knows; the same list as an incident's `decision.class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Cause {
    /// Not enough replicas or resources.
    Capacity,
    /// Something it calls is failing: not a capacity problem.
    DependencyFailure,
    /// A new version made it worse: not a capacity problem.
    BadRollout,
    /// It leaks memory or connections: not a capacity problem.
    Leak,
    /// The metrics lie or are missing.
    MetricFault,
    /// Somebody else writes the same field.
    CompetingWriter,
    /// Pods wait for nodes.
    NodeShortage,
    /// Spot machines are being taken back.
    SpotReclaim,
    /// Traffic that looks like no user's.
    TrafficAnomaly,
    /// A surge that was announced.
    AnnouncedSurge,
    /// Another workload on the node takes its share.
    NoisyNeighbour,
    /// Nothing of the above can be shown.
    Unknown,
}

/// Whom a finding is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Notify {
    /// The team that owns the target.
    Team,
    /// The platform team.
    Platform,
    /// The owner of the dependency.
    DependencyOwner,
}

impl Change {
    /// The target a change is about; a node pool has none.
    #[must_use]
    pub fn target(&self) -> Option<&TargetKey> {
        match self {
            Self::Replicas(c) => Some(&c.target),
            Self::Resources(c) => Some(&c.target),
            Self::Headroom(c) => Some(&c.target),
            Self::Finding(c) => Some(&c.target),
            Self::NodePool(_) => None,
        }
    }

    /// Whether it takes capacity away.
    #[must_use]
    pub fn reduces(&self) -> bool {
        match self {
            Self::Replicas(c) => c.to < c.from,
            Self::Resources(c) => c.to.cpu_request < c.from.cpu_request || c.to.memory_request < c.from.memory_request,
            Self::NodePool(_) | Self::Headroom(_) | Self::Finding(_) => false,
        }
    }

    /// Whether carrying it out writes a workload or a pool (headroom and findings live in memory and the record).
    #[must_use]
    pub fn writes_cluster(&self) -> bool {
        matches!(self, Self::Replicas(_) | Self::Resources(_) | Self::NodePool(_))
    }

    /// Digest of the exact change, which an approval names.
    ///
    /// # Errors
    /// When it has no canonical JSON, which no well-formed change lacks.
    pub fn digest(&self) -> Result<Digest, DigestError> {
        Digest::of(self)
    }

    /// One line for people: `replicas of shop/deployments.apps/web 4 -> 7`.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Replicas(c) => format!("replicas of {} {} -> {}", c.target, c.from, c.to),
            Self::Resources(c) => c.summary(),
            Self::NodePool(c) => format!(
                "{} node pool {} with {} instance types",
                if c.exists { "change" } else { "create" },
                c.draft.name,
                c.draft.instance_types.len()
            ),
            Self::Headroom(c) => format!(
                "headroom of {}: size for p{} with {} more minutes of lead until {}",
                c.target, c.quantile_percent, c.extra_lead_minutes, c.until
            ),
            Self::Finding(c) => format!("finding on {}: {:?}", c.target, c.cause),
        }
    }
}

impl ResourcesChange {
    /// Whether it only carries on what is in force: to pods that came since, or into the template.
    #[must_use]
    pub fn carries_on(&self) -> bool {
        self.from == self.to
    }

    fn summary(&self) -> String {
        let Self { target, container, from, to, through, uid: _ } = self;
        let (from, to) = (from.summary(), to.summary());
        match (self.carries_on(), through) {
            (false, Through::Template) => format!("resources of {target} container {container}: {from} -> {to}"),
            (false, Through::Pods) => format!("resources of {target} container {container}, in place: {from} -> {to}"),
            (true, Through::Template) => format!("resources of {target} container {container} into its template: {to}"),
            (true, Through::Pods) => format!("resources of {target} container {container} to new pods, in place: {to}"),
        }
    }
}

impl ContainerResources {
    /// `cpu 500m, memory 512Mi, memory limit 1Gi`; what is not set is left out.
    #[must_use]
    pub fn summary(&self) -> String {
        let part = |name: &str, value: Option<String>| value.map(|v| format!("{name} {v}"));
        let parts: Vec<String> = [
            part("cpu", self.cpu_request.map(Millicores::quantity)),
            part("cpu limit", self.cpu_limit.map(Millicores::quantity)),
            part("memory", self.memory_request.map(Bytes::quantity)),
            part("memory limit", self.memory_limit.map(Bytes::quantity)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if parts.is_empty() { "none".into() } else { parts.join(", ") }
    }
}
