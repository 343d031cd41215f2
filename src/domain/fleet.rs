//! Nodes: those that run, those that could be bought, and what they cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::MicroUsd;
use super::workload::{Requirement, ResourceList, Taint};

/// A node that is in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Name.
    pub name: Arc<str>,
    /// Labels that scheduling looks at.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Taints.
    pub taints: Vec<Taint>,
    /// Allocatable.
    pub allocatable: ResourceList,
    /// Sum of the requests of the pods bound to it.
    pub requested: ResourceList,
    /// Ready, and no pressure reported.
    pub ready: bool,
    /// Cordoned or on its way out.
    pub unschedulable: bool,
    /// Creation time.
    pub created: Option<Timestamp>,
    /// When it became ready.
    pub ready_since: Option<Timestamp>,
    /// Pool (`karpenter.sh/nodepool` or the provider's like).
    pub pool: Option<Arc<str>>,
    /// Price an hour, where the catalogue knows its type.
    pub price_per_hour: Option<MicroUsd>,
}

impl Node {
    /// Whether a pod may be put on it.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.ready && !self.unschedulable
    }

    /// What is left to request.
    #[must_use]
    pub fn room(&self) -> ResourceList {
        self.allocatable.minus(&self.requested)
    }
}

/// How a machine is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CapacityType {
    /// List price, kept until released.
    OnDemand,
    /// Cheaper, may be reclaimed.
    Spot,
    /// Paid for already.
    Reserved,
}

impl CapacityType {
    /// Karpenter's label value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
            Self::Reserved => "reserved",
        }
    }
}

/// A machine type that can be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceType {
    /// Name (`m6i.xlarge`).
    pub name: Arc<str>,
    /// Family (`m6i`).
    pub family: Arc<str>,
    /// Node labels it would carry beside zone and capacity type.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Allocatable to pods.
    pub allocatable: ResourceList,
    /// Where and how it can be had.
    pub offerings: Vec<Offering>,
}

/// One way to buy an instance type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Offering {
    /// Zone.
    pub zone: Arc<str>,
    /// How it is paid.
    pub capacity_type: CapacityType,
    /// Price an hour.
    pub price_per_hour: MicroUsd,
}

/// What can be bought and for how much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// Where it comes from, for people (`built-in: AWS us-east-1, list of 2026-08`).
    pub source: String,
    /// As of when; prices older than a week are shown as stale.
    pub as_of: Option<Timestamp>,
    /// Types by name.
    pub types: BTreeMap<Arc<str>, InstanceType>,
}

impl Catalogue {
    /// The on-demand price of a type, the cheapest zone where no zone is given.
    #[must_use]
    pub fn price(&self, instance_type: &str, zone: Option<&str>, capacity_type: CapacityType) -> Option<MicroUsd> {
        self.types
            .get(instance_type)?
            .offerings
            .iter()
            .filter(|o| o.capacity_type == capacity_type && zone.is_none_or(|z| &*o.zone == z))
            .map(|o| o.price_per_hour)
            .min()
    }

    /// The price of a running node by its labels (`node.kubernetes.io/instance-type`, `topology.kubernetes.io/zone`,
    /// `karpenter.sh/capacity-type`), or nothing where the lists do not know it. A zone that no list names has the price of the cheapest;
    /// a node that does not say how it is paid is taken to be on demand.
    #[must_use]
    pub fn node_price(&self, labels: &BTreeMap<Arc<str>, Arc<str>>) -> Option<MicroUsd> {
        let instance_type = labels.get("node.kubernetes.io/instance-type")?;
        let zone = labels.get("topology.kubernetes.io/zone").map(|z| &**z);
        let spot = labels.get("karpenter.sh/capacity-type").is_some_and(|c| &**c == CapacityType::Spot.label())
            || labels.get("eks.amazonaws.com/capacityType").is_some_and(|c| &**c == "SPOT")
            || labels.get("cloud.google.com/gke-spot").is_some_and(|c| &**c == "true");
        let how = match labels.get("karpenter.sh/capacity-type").map(|c| &**c) {
            // What is paid for already costs nothing more an hour that this catalogue knows of.
            Some("reserved") => return None,
            _ if spot => CapacityType::Spot,
            _ => CapacityType::OnDemand,
        };
        self.price(instance_type, zone, how).or_else(|| self.price(instance_type, None, how))
    }
}

/// A Karpenter NodePool (or its like) as it stands in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePool {
    /// Name.
    pub name: Arc<str>,
    /// Requirements on instance types and placement.
    pub requirements: Vec<Requirement>,
    /// Taints its nodes carry.
    pub taints: Vec<Taint>,
    /// Most resources it may have in use, where it says so.
    pub limits: Option<ResourceList>,
    /// Preference; higher goes first.
    pub weight: u32,
}
