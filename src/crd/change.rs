//! The exact change of a `ScalingProposal`, with a schema: one member is set, the one that `kind` names. It carries all of the domain's
//! change, so that the digest of what is read back is the digest that was approved.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{DurationText, QuantityText};
use crate::domain::fleet::CapacityType;
use crate::domain::limits::Provider;
use crate::domain::proposal::{Cause, Notify};
use crate::domain::resize::Through;

/// The kinds of change there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ChangeKind {
    /// Another number of replicas.
    Replicas,
    /// Other requests or limits.
    Resources,
    /// A node pool.
    NodePool,
    /// More lead or a higher quantile for a time.
    Headroom,
    /// A cause, told to people.
    Finding,
}

/// One change, exactly as it would be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = (
    "has(self.replicas) == (self.kind == 'Replicas') \
     && has(self.resources) == (self.kind == 'Resources') \
     && has(self.nodePool) == (self.kind == 'NodePool') \
     && has(self.headroom) == (self.kind == 'Headroom') \
     && has(self.finding) == (self.kind == 'Finding')",
    "exactly the member that kind names must be set; set that one and no other"
))]
#[serde(rename_all = "camelCase")]
pub struct ChangeSpec {
    /// Which kind of change it is: Replicas, Resources, NodePool, Headroom or Finding. Required.
    pub kind: ChangeKind,
    /// Another number of replicas; set when kind is Replicas. Default: absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<ReplicasSpec>,
    /// Other requests or limits of one container; set when kind is Resources. Default: absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,
    /// A node pool, new or changed; set when kind is NodePool. Default: absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_pool: Option<NodePoolSpec>,
    /// More lead or a higher quantile for a time; set when kind is Headroom. Default: absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headroom: Option<HeadroomSpec>,
    /// A cause that people are told; set when kind is Finding. Default: absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<FindingSpec>,
}

/// A workload by namespace, API group, plural resource and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetKeySpec {
    /// Namespace that the workload lies in. Required.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// API group of the workload, empty for the core group. Required.
    #[schemars(length(max = 253))]
    pub group: String,
    /// Plural resource of the workload, as in a URL path. Required.
    #[schemars(length(min = 1, max = 63))]
    pub resource: String,
    /// Name of the workload in its namespace. Required.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Another number of replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicasSpec {
    /// Workload whose replicas would change. Required.
    pub target: TargetKeySpec,
    /// UID of the workload that was meant; one that was created anew is another. Required.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
    /// Replicas asked for (spec.replicas) when this was made. Required.
    #[schemars(range(min = 0))]
    pub from: i64,
    /// Replicas that the workload would have. Required.
    #[schemars(range(min = 0))]
    pub to: i64,
}

/// Other requests or limits of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourcesSpec {
    /// Workload whose pods or pod template would change. Required.
    pub target: TargetKeySpec,
    /// UID of the workload that was meant; one that was created anew is another. Required.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
    /// Container whose requests and limits would change. Required.
    #[schemars(length(min = 1, max = 63))]
    pub container: String,
    /// Requests and limits when this was made. Required.
    pub from: ContainerResourcesSpec,
    /// Requests and limits that the container would have; what is absent is unset. Required.
    pub to: ContainerResourcesSpec,
    /// How they reach the pods: Pods (running ones, in place) or Template (all are replaced). Default: Template.
    #[serde(default)]
    pub through: Through,
}

/// Requests and limits of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerResourcesSpec {
    /// CPU request as a quantity, such as 250m. Default: absent, not set.
    #[serde(rename = "cpuRequest", skip_serializing_if = "Option::is_none")]
    pub cpu_request: Option<QuantityText>,
    /// CPU limit as a quantity, such as 1. Default: absent, not set.
    #[serde(rename = "cpuLimit", skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<QuantityText>,
    /// Memory request as a quantity, such as 256Mi. Default: absent, not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_request: Option<QuantityText>,
    /// Memory limit as a quantity, such as 512Mi. Default: absent, not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<QuantityText>,
}

/// A node pool, new or changed, within a fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodePoolSpec {
    /// NodeFleet by name, which allows this pool. Required.
    #[schemars(length(min = 1, max = 253))]
    pub fleet: String,
    /// Who provisions its nodes: Karpenter or ClusterAPI. Required.
    pub provider: Provider,
    /// Whether the pool is in the cluster already and would be changed. Required.
    pub exists: bool,
    /// Name of the pool, one that the fleet lists. Required.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Instance types that it may launch, sorted, 0 to 256. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)))]
    pub instance_types: Vec<String>,
    /// Ways to pay: on-demand, spot, reserved. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub capacity_types: Vec<CapacityType>,
    /// Zones that it may launch in, 0 to 32. Default: none listed, which means the fleet's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63)))]
    pub zones: Vec<String>,
    /// Further requirements on node labels, 0 to 32. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub requirements: Vec<RequirementSpec>,
    /// Taints that its nodes carry, 0 to 16. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub taints: Vec<TaintSpec>,
    /// Most resources that it may have in use. Required.
    pub limits: AmountsSpec,
    /// Preference from 1 to 100; the higher weight goes first. Required.
    #[schemars(range(min = 1, max = 100))]
    pub weight: i64,
    /// How long one of its nodes lives at most, as a Go duration such as 720h. Required.
    pub expire_after: DurationText,
    /// Share of its nodes that may be disrupted at a time, in percent, 0 to 100. Required.
    #[schemars(range(min = 0, max = 100))]
    pub disruption_percent: i64,
}

/// A requirement on a node label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequirementSpec {
    /// Label that is compared, such as kubernetes.io/arch. Required.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// How it is compared: In, NotIn, Exists, DoesNotExist, Gt or Lt. Required.
    pub operator: OperatorSpec,
    /// Values that it is compared with, sorted, 0 to 64. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub values: Vec<String>,
}

/// How a requirement compares; Kubernetes' own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "Kubernetes' own words")]
pub enum OperatorSpec {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
}

/// A taint on a pool's nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaintSpec {
    /// Key of the taint, such as dedicated. Required.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// Value of the taint, which may be empty. Default: empty.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub value: String,
    /// Effect of the taint: NoSchedule, PreferNoSchedule or NoExecute. Required.
    #[schemars(length(min = 1, max = 32))]
    pub effect: String,
}

/// Amounts of resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmountsSpec {
    /// CPU as a quantity in cores, such as 64. Required.
    pub cpu: QuantityText,
    /// Memory as a quantity, such as 256Gi. Required.
    pub memory: QuantityText,
    /// Number of pods; 0 where it is not limited. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub pods: i64,
    /// Extended resources such as nvidia.com/gpu, 0 to 16, each once. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub extended: Vec<ExtendedAmountSpec>,
}

/// An amount of one extended resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtendedAmountSpec {
    /// Name of the extended resource, such as nvidia.com/gpu. Required.
    #[schemars(length(min = 1, max = 317))]
    pub name: String,
    /// How many of it there may be, counted in whole units. Required.
    #[schemars(range(min = 0))]
    pub amount: i64,
}

/// More lead or a higher quantile for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeadroomSpec {
    /// Workload that would be sized with more headroom. Required.
    pub target: TargetKeySpec,
    /// Quantile of demand to size for, in percent, 50 to 99. Required.
    #[schemars(range(min = 50, max = 99))]
    pub quantile_percent: i64,
    /// Minutes of lead beside what start-up needs, 0 to 1440. Required.
    #[schemars(range(min = 0, max = 1_440))]
    pub extra_lead_minutes: i64,
    /// Until when it counts, as an RFC 3339 time. Required.
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub until: String,
}

/// A cause that people are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingSpec {
    /// Workload that is struck by it. Required.
    pub target: TargetKeySpec,
    /// The cause, from a closed list such as Capacity, BadRollout or Leak. Required.
    pub cause: Cause,
    /// Whom it is for: Team, Platform or DependencyOwner. Required.
    pub notify: Notify,
}
