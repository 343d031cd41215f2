//! When a workload's metrics can carry no scale-down: because nothing new has come, because what comes is too late, or because a signal says less
//! than there is and the others contradict it.

use super::super::incident::{Incident, IncidentFault, IncidentFaultKind};
use crate::domain::limits::GateLimits;
use crate::domain::signal::SignalName;
use crate::sim::FaultKind;

/// Signals that a count of replicas is derived from.
const SIZED_BY: [SignalName; 3] = [SignalName::Demand, SignalName::Cpu, SignalName::Queue];

/// Whether that is so, `at_s` seconds after the scored part began.
pub(super) fn at(incident: &Incident, workload: usize, at_s: u32) -> bool {
    let name = &incident.workloads[workload].name;
    let strikes = |fault: &&IncidentFault| {
        let lasts = (fault.at_s..fault.at_s.saturating_add(fault.for_s)).contains(&at_s);
        lasts && fault.target.as_ref().is_none_or(|target| target == name)
    };
    let limit = u32::try_from(GateLimits::default().stale_after.0.as_secs()).unwrap_or(u32::MAX);
    incident.faults.iter().filter(strikes).any(|fault| match &fault.kind {
        IncidentFaultKind::Cluster(FaultKind::MetricsOutage) => at_s - fault.at_s > limit,
        IncidentFaultKind::Cluster(FaultKind::MetricsDelay { by_s }) => *by_s > limit,
        IncidentFaultKind::Cluster(FaultKind::MetricsLie { signals, factor }) => {
            *factor < 1.0 && signals.iter().any(|signal| SIZED_BY.contains(signal))
        }
        IncidentFaultKind::Cluster(_) | IncidentFaultKind::ModelOutage | IncidentFaultKind::ModelHostile => false,
    })
}
