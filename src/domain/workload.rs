//! A target as the cluster shows it: replicas, pods, template, who else writes it. Facts only; what a person asked for is in `limits`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::TargetKey;
use super::resize::{PodSize, Resized};
use super::units::{Bytes, Millicores};

/// One target, as observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// Which object.
    pub key: TargetKey,
    /// UID: a recreated object of the same name is another workload.
    pub uid: Arc<str>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.resourceVersion` that was read: an action is dropped when the world is older than this.
    pub resource_version: Arc<str>,
    /// Replica counts.
    pub replicas: ReplicaCounts,
    /// Where its rollout stands.
    pub rollout: Rollout,
    /// The pod template.
    pub template: PodTemplate,
    /// What its running pods were given in place since, where the template does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resized: Option<Resized>,
    /// Its pods, by name.
    pub pods: Vec<Pod>,
    /// Who wrote `replicas` or resources, from `managedFields`.
    pub writers: Vec<FieldWriter>,
    /// Other autoscalers that name this target.
    pub autoscalers: Vec<Autoscaler>,
    /// Disruption budgets that select its pods.
    pub disruption_budgets: Vec<DisruptionBudget>,
    /// IPA's own annotations on the object (`ipa.dev/…`), by name without the prefix.
    pub annotations: BTreeMap<String, String>,
    /// Services, ingresses that lead to it: how series that carry no pod are joined.
    pub routes: Routes,
    /// Creation time.
    pub created: Option<Timestamp>,
}

/// How many replicas are asked for and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaCounts {
    /// `spec.replicas`; 1 where the object leaves it out, as the API server reads it.
    pub desired: u32,
    /// `status.replicas`.
    pub current: u32,
    /// Ready pods.
    pub ready: u32,
}

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rollout {
    /// The newest template is everywhere.
    #[default]
    Complete,
    /// New pods are replacing old ones.
    Progressing,
    /// The progress deadline has passed.
    Stalled,
    /// `spec.paused`.
    Paused,
}

/// What a pod of the target is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodTemplate {
    /// Digest of the pod template (without replicas): learned start-up and capacity belong to one template.
    pub hash: Arc<str>,
    /// Containers, in order; init containers are in `shape`.
    pub containers: Vec<Container>,
    /// What the scheduler sees.
    pub shape: PodShape,
}

/// A container's resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Name.
    pub name: Arc<str>,
    /// Requests and limits.
    pub resources: ContainerResources,
}

/// Requests and limits of one container; what is absent is not set on the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerResources {
    /// CPU request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_request: Option<Millicores>,
    /// CPU limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<Millicores>,
    /// Memory request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_request: Option<Bytes>,
    /// Memory limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<Bytes>,
}

/// What the scheduler needs to know of a pod: its effective requests (init and sidecar containers and overhead included) and where it may go.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodShape {
    /// Effective requests.
    pub requests: ResourceList,
    /// What a node's labels must satisfy: node selector and required node affinity (terms are alternatives).
    pub node_terms: Vec<Vec<Requirement>>,
    /// Tolerated taints.
    pub tolerations: Vec<Toleration>,
}

/// Amounts of resources a pod asks for or a node has.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceList {
    /// CPU.
    pub cpu: Millicores,
    /// Memory.
    pub memory: Bytes,
    /// Pods (a pod asks for one).
    pub pods: u32,
    /// Extended resources (`nvidia.com/gpu`), by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extended: BTreeMap<Arc<str>, u64>,
}

impl ResourceList {
    /// Whether `self` fits into `room`, resource by resource.
    #[must_use]
    pub fn fits(&self, room: &Self) -> bool {
        self.cpu <= room.cpu
            && self.memory <= room.memory
            && self.pods <= room.pods
            && self.extended.iter().all(|(name, amount)| *amount <= room.extended.get(name).copied().unwrap_or(0))
    }

    /// Adds `n` times `other`.
    pub fn add(&mut self, other: &Self, n: u32) {
        self.cpu += other.cpu * n;
        self.memory += other.memory * n;
        self.pods = self.pods.saturating_add(other.pods.saturating_mul(n));
        for (name, amount) in &other.extended {
            let sum = self.extended.entry(name.clone()).or_default();
            *sum = sum.saturating_add(amount.saturating_mul(u64::from(n)));
        }
    }

    /// What is left of `self` after `other` is taken; never below zero.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut left = self.clone();
        left.cpu = Millicores(self.cpu.0.saturating_sub(other.cpu.0));
        left.memory = Bytes(self.memory.0.saturating_sub(other.memory.0));
        left.pods = self.pods.saturating_sub(other.pods);
        for (name, amount) in &mut left.extended {
            *amount = amount.saturating_sub(other.extended.get(name).copied().unwrap_or(0));
        }
        left
    }
}

/// A requirement on a label, as in node affinity and Karpenter's NodePools.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Requirement {
    /// Label key.
    pub key: Arc<str>,
    /// Operator.
    pub operator: RequirementOperator,
    /// Values, sorted.
    pub values: Vec<Arc<str>>,
}

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RequirementOperator {
    /// Value is one of.
    In,
    /// Value is none of, or the label is absent.
    NotIn,
    /// Label is there.
    Exists,
    /// Label is not there.
    DoesNotExist,
    /// Integer value is greater.
    Gt,
    /// Integer value is less.
    Lt,
}

/// A toleration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Toleration {
    /// Taint key; absent with `Exists` tolerates all.
    pub key: Option<Arc<str>>,
    /// Value to equal; absent means `Exists`.
    pub value: Option<Arc<str>>,
    /// Effect; absent means all effects.
    pub effect: Option<Arc<str>>,
}

/// A taint on a node or a pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Taint {
    /// Key.
    pub key: Arc<str>,
    /// Value; may be empty.
    pub value: Arc<str>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: Arc<str>,
}

/// One pod of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pod {
    /// Name.
    pub name: Arc<str>,
    /// Node it is bound to.
    pub node: Option<Arc<str>>,
    /// Where it stands.
    pub phase: PodPhase,
    /// Creation time.
    pub created: Option<Timestamp>,
    /// When it was bound.
    pub scheduled: Option<Timestamp>,
    /// When it became ready.
    pub ready_since: Option<Timestamp>,
    /// Restarts over all containers.
    pub restarts: u32,
    /// Whether a container's last end was an OOM kill.
    pub oom_killed: bool,
    /// Whether it runs the target's present template.
    pub current_template: bool,
    /// What its containers ask for, and what came of the last resize.
    #[serde(default, skip_serializing_if = "PodSize::is_unknown")]
    pub size: PodSize,
}

/// Where a pod stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PodPhase {
    /// Not bound to a node.
    Pending,
    /// Bound, not ready.
    Starting,
    /// Ready.
    Ready,
    /// Being deleted.
    Terminating,
    /// Ended with an error.
    Failed,
}

/// A manager that owns a field IPA would write, from `managedFields`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldWriter {
    /// Manager name (`kubectl-client-side-apply`, `kube-controller-manager`, …), shortened to 128 characters.
    pub manager: Arc<str>,
    /// How it wrote.
    pub operation: WriteOperation,
    /// Through which subresource, if any (`scale`).
    pub subresource: Option<Arc<str>>,
    /// What it owns.
    pub field: OwnedField,
    /// When it wrote last.
    pub at: Option<Timestamp>,
}

/// How a manager wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum WriteOperation {
    /// Server-side apply.
    Apply,
    /// Any other write.
    Update,
}

/// A field that IPA may write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OwnedField {
    /// `spec.replicas`.
    Replicas,
    /// Requests and limits of a container.
    Resources {
        /// The container.
        container: Arc<str>,
    },
}

/// Another autoscaler on the same target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoscaler {
    /// Which kind.
    pub kind: AutoscalerKind,
    /// Object name.
    pub name: Arc<str>,
    /// Smallest count it allows, where it has one.
    pub min: Option<u32>,
    /// Largest count it allows, where it has one.
    pub max: Option<u32>,
    /// Its average CPU utilisation target in percent, where that is what it scales on.
    pub cpu_target_percent: Option<u32>,
    /// Whether it changes anything at present (a VPA in mode `Off` does not).
    pub active: bool,
}

/// Kinds of autoscalers that IPA knows to stand back from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AutoscalerKind {
    /// `HorizontalPodAutoscaler`.
    HPA,
    /// KEDA `ScaledObject`.
    KEDA,
    /// `VerticalPodAutoscaler`.
    VPA,
}

/// A `PodDisruptionBudget` that selects the target's pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisruptionBudget {
    /// Object name.
    pub name: Arc<str>,
    /// Absolute `minAvailable`, where it is an absolute number.
    pub min_available: Option<u32>,
    /// `status.disruptionsAllowed`.
    pub disruptions_allowed: u32,
    /// `status.currentHealthy`.
    pub current_healthy: u32,
    /// `status.desiredHealthy`.
    pub desired_healthy: u32,
}

/// What leads to a target, so that series without a pod label are joined to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// Services that select its pods.
    pub services: Vec<Arc<str>>,
    /// Ingresses (and their like) whose only back end is one of these services.
    pub ingresses: Vec<Arc<str>>,
}

impl Workload {
    /// The container that resources are proposed for, with the resources in force: the named one, or the only one, or the one with the largest
    /// CPU request in the template.
    #[must_use]
    pub fn container(&self, named: Option<&str>) -> Option<&Container> {
        let largest = || self.template.containers.iter().rev().max_by_key(|c| c.resources.cpu_request.unwrap_or_default());
        match named {
            Some(name) => self.template.containers.iter().find(|c| &*c.name == name),
            None => largest(),
        }
        .and_then(|container| self.in_force(&container.name))
    }

    /// Whether an active autoscaler of `kind` names this target.
    #[must_use]
    pub fn autoscaled_by(&self, kind: AutoscalerKind) -> Option<&Autoscaler> {
        self.autoscalers.iter().find(|a| a.kind == kind && a.active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_extended_resources_is_read_back_as_it_was_written() {
        // A node pool's limits are part of ledger entries: one that could not be read would stop every later tick.
        let plain = ResourceList { cpu: Millicores(500), memory: Bytes(1 << 30), pods: 1, ..ResourceList::default() };
        let gpu = ResourceList { extended: BTreeMap::from([("nvidia.com/gpu".into(), 1)]), ..plain.clone() };
        for list in [plain, gpu] {
            let text = serde_json::to_string(&list).unwrap();
            assert_eq!(serde_json::from_str::<ResourceList>(&text).unwrap(), list, "{text}");
        }
    }
}
