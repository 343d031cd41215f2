//! predict, plan (pure): the floor, computed off the threads that answer requests.

use std::sync::Arc;

use crate::domain::memory::PlannerMemory;
use crate::domain::plan::Plan;
use crate::domain::snapshot::Snapshot;
use crate::forecast;
use crate::planner;
use crate::ports::PortError;

/// Series to outlook, outlook to plan.
pub(super) async fn predict_and_plan(snapshot: Arc<Snapshot>) -> Result<(Plan, PlannerMemory), PortError> {
    let planned = tokio::task::spawn_blocking(move || planner::plan(&snapshot, forecast::predict(&snapshot))).await;
    planned.map_err(|error| PortError::Failed { action: "plan".into(), detail: error.to_string() })
}
