//! Pods and instance types to a priced node mix: what fits on the nodes there are, what must be bought, and what fits nowhere.
//!
//! Works on classes of equal pods, never pod by pod. First the nodes there are, then greedily the new node whose pods are worth most for its
//! price, at the prices that the bound finds for each resource; then each new node is shrunk to the cheapest type that holds its pods.
//! Left out: spread and affinity between pods, blast radius, column generation and search, and the checker that shares no code with this.

mod bound;
mod buy;
mod digest;
mod existing;
mod offers;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::fleet::{Catalogue, Node, NodePool};
use crate::domain::limits::Fleet;
use crate::domain::names::TargetKey;
use crate::domain::plan::{NodeMix, Unschedulable};
use crate::domain::units::MicroUsd;
use crate::domain::workload::{PodShape, ResourceList};

pub use digest::input_digest;

/// Pods of one target that are alike.
#[derive(Clone, Debug, PartialEq)]
pub struct PodClass {
    /// Whose pods.
    pub target: TargetKey,
    /// What the scheduler sees of one.
    pub shape: PodShape,
    /// How many have to be placed (those that are bound already are in their node's `requested`).
    pub count: u32,
}

/// What is to be packed, and into what.
#[derive(Clone, Debug)]
pub struct PackRequest<'a> {
    /// Pods to place, in order of priority.
    pub pods: Vec<PodClass>,
    /// Nodes there are.
    pub nodes: &'a [Node],
    /// Pools that may grow; without a fleet that allows them, their requirements and limits alone count.
    pub pools: &'a [NodePool],
    /// Fleets: families, zones, capacity types that may be bought.
    pub fleets: Vec<&'a Fleet>,
    /// Prices and types.
    pub catalogue: &'a Catalogue,
}

/// Packs: nodes there are first, then the cheapest new ones. `iterations` bounds the search, `stop` ends it early; the answer is a full one
/// either way.
#[must_use]
pub fn pack(request: &PackRequest<'_>, iterations: u64, stop: &dyn Fn() -> bool) -> NodeMix {
    let mut mix =
        NodeMix { running_cost_per_hour: request.nodes.iter().filter_map(|node| node.price_per_hour).sum(), ..NodeMix::default() };
    let counts: Vec<u32> = request.pods.iter().map(|class| class.count).collect();
    let mut left = counts.clone();
    let placed = existing::place(request, &mut left);
    for (class, count) in request.pods.iter().zip(&placed).filter(|(_, count)| **count > 0) {
        *mix.on_existing.entry(class.target.clone()).or_default() += count;
    }
    if left.iter().all(|count| *count == 0) {
        mix.lower_bound_per_hour = Some(MicroUsd(0));
        return mix;
    }
    let offers = offers::offers(request, &left);
    let rates = bound::Rates::of(&request.pods, &offers);
    mix.new_nodes = buy::buy(request, &offers, &rates, &mut left, iterations, stop);
    mix.cost_per_hour = mix.new_nodes.iter().map(|node| node.price_per_hour).sum();
    let packed: Vec<u32> = counts.iter().zip(&left).map(|(all, left)| all - left).collect();
    mix.lower_bound_per_hour = Some(rates.lower_bound(request, &packed));
    mix.unschedulable = unschedulable(request, &offers, &left);
    mix
}

/// The instance types that a pool (and its fleet) allows and that hold a pod with these requests, best value for these pods first.
#[must_use]
pub fn types_for(request: &PackRequest<'_>, pool: &NodePool, largest: &ResourceList) -> Vec<Arc<str>> {
    offers::types_for(request, pool, largest)
}

/// One line a target for what fits nowhere.
fn unschedulable(request: &PackRequest<'_>, offers: &[offers::Offer<'_>], left: &[u32]) -> Vec<Unschedulable> {
    let mut reasons: BTreeMap<&TargetKey, Unschedulable> = BTreeMap::new();
    for (class, left) in request.pods.iter().zip(left).filter(|(_, left)| **left > 0) {
        let reason = offers::why_not(&class.shape, offers, request);
        reasons
            .entry(&class.target)
            .and_modify(|known| known.replicas = known.replicas.saturating_add(*left))
            .or_insert_with(|| Unschedulable { target: class.target.clone(), replicas: *left, reason });
    }
    reasons.into_values().collect()
}

#[cfg(test)]
#[path = "binpack/tests.rs"]
pub(crate) mod tests;
