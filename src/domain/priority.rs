//! Who goes first when not everybody can: criticality, then SLO need, then cost. One order for planner, gate and packer.

use std::cmp::Ordering;

use super::limits::Criticality;
use super::names::TargetKey;
use super::units::MicroUsd;

/// What decides between two claims on the same capacity, budget or change.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim<'a> {
    /// How much the workload matters.
    pub criticality: Criticality,
    /// How far it is from serving its demand: replicas missing over replicas needed (0 to 1).
    pub need: f64,
    /// What it costs an hour.
    pub cost: MicroUsd,
    /// Ties end here.
    pub target: &'a TargetKey,
}

/// Orders claims, the one that goes first being `Less`: higher criticality, then greater need, then lower cost, then name.
#[must_use]
pub fn priority(a: &Claim<'_>, b: &Claim<'_>) -> Ordering {
    b.criticality
        .cmp(&a.criticality)
        .then_with(|| b.need.total_cmp(&a.need))
        .then_with(|| a.cost.cmp(&b.cost))
        .then_with(|| a.target.cmp(b.target))
}
