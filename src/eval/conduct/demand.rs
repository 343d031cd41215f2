//! Whether demand by itself asks for more replicas: then having more is no answer to what else goes wrong.

use super::super::incident::Incident;
use super::super::stage::{LOOK_S, load};
use super::Scaling;

/// How far ahead somebody may grow for what comes: as far as an outlook reaches.
const AHEAD_S: u32 = 3600;
/// Share of its capacity at which a careful team runs a service.
const USUAL_UTILISATION: f64 = 0.7;

/// Whether the highest demand of the hour that follows would run the replicas that were there above what is usual.
pub(super) fn asks_for_more(incident: &Incident, scaling: Scaling) -> bool {
    let workload = &incident.workloads[scaling.workload];
    let from = incident.history_s.saturating_add(scaling.at_s).saturating_sub(LOOK_S);
    let end = incident.history_s.saturating_add(incident.duration_s);
    let highest = load(incident, workload, from, from.saturating_add(AHEAD_S).min(end)).into_iter().fold(0.0, f32::max);
    f64::from(highest) > USUAL_UTILISATION * workload.service.capacity * f64::from(scaling.from)
}
