//! Whether a count of replicas carries what comes, in truth: what demand by itself asks for, up or down, is no answer to what else goes wrong.

use super::super::incident::{Incident, IncidentFault, IncidentFaultKind};
use super::super::stage::{LOOK_S, load};
use crate::domain::units::Millicores;
use crate::sim::FaultKind;

/// How far ahead somebody may look: as far as an outlook reaches.
const AHEAD_S: u32 = 3600;
/// Steps of a load that are taken together: five minutes, in which a single sample's noise is no demand.
const TOGETHER: usize = (300 / LOOK_S) as usize;
/// Share of its capacity at which a careful team runs a service: who has that needs no more.
pub(super) const USUAL: f64 = 0.7;
/// All of its capacity: who is left with less than what comes has taken too much away.
pub(super) const ALL: f64 = 1.0;

/// Whether so many replicas carry the highest demand of the hour that follows with such a share of what they serve in truth `at_s` seconds after the
/// scored part began.
pub(super) fn carries(incident: &Incident, workload: usize, replicas: u32, share: f64, at_s: u32) -> bool {
    let known = &incident.workloads[workload];
    let from = incident.history_s.saturating_add(at_s).saturating_sub(LOOK_S);
    let end = incident.history_s.saturating_add(incident.duration_s);
    let coming = load(incident, known, from, from.saturating_add(AHEAD_S).min(end));
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    let highest = coming.chunks(TOGETHER).map(mean).fold(0.0, f32::max);
    let service = &known.service;
    let limit = known.resources.cpu_limit.map(Millicores::cores);
    let each = service.capacity_within(limit) * service.beside(replicas) * left(incident, &known.name, at_s);
    f64::from(highest) <= share * each * f64::from(replicas)
}

/// What the faults of a moment leave of a replica's capacity.
fn left(incident: &Incident, workload: &str, at_s: u32) -> f64 {
    let lasts = |fault: &&IncidentFault| (fault.at_s..fault.at_s.saturating_add(fault.for_s)).contains(&at_s);
    let strikes = |fault: &IncidentFault| fault.target.as_ref().is_none_or(|target| **target == *workload);
    let factor = |fault: &IncidentFault| match &fault.kind {
        IncidentFaultKind::Cluster(FaultKind::DependencyBrownout { factor, .. } | FaultKind::Rollout { factor }) if strikes(fault) => {
            *factor
        }
        IncidentFaultKind::Cluster(FaultKind::ServiceTimeChange { factor }) if strikes(fault) => 1.0 / factor,
        // Machines are struck, and which of them carry whose pods is not told: the mean of all.
        IncidentFaultKind::Cluster(FaultKind::NodeSlow { share, factor }) => 1.0 - share * (1.0 - factor),
        IncidentFaultKind::Cluster(_) | IncidentFaultKind::ModelOutage | IncidentFaultKind::ModelHostile => 1.0,
    };
    incident.faults.iter().filter(lasts).map(factor).product()
}
