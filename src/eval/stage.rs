//! An incident as a scenario of the simulator, which begins a day before the scored part.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::incident::{Incident, IncidentFault, IncidentFaultKind, IncidentWorkload, NAMESPACE};
use super::series::rate;
use crate::domain::names::TargetKey;
use crate::domain::signal::SignalName;
use crate::domain::workload::{FieldWriter, OwnedField, WriteOperation};
use crate::guardrails::ownership::ACTUATOR;
use crate::service::{Observe, RateSeries};
use crate::sim::{Demand, DemandCurve, Fault, FaultKind, FaultTarget, Scenario, WorkloadSpec};

/// The last day of the history is run, so that every signal has a past.
const RUN_BEFORE_S: u32 = 86_400;

/// The key of a workload.
#[must_use]
pub fn key(name: &str) -> TargetKey {
    TargetKey::deployment(NAMESPACE, name)
}

/// A moment of the incident.
#[must_use]
pub fn moment(incident: &Incident, seconds: u32) -> Timestamp {
    incident.start.saturating_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
}

/// Units/s that are offered to a workload from outside, from the incident's start to its end.
#[must_use]
pub fn offered(incident: &Incident, workload: &IncidentWorkload) -> Option<RateSeries> {
    let samples = workload.demand.as_ref()?;
    Some(rate(samples, incident.start.as_second(), 0, incident.history_s.saturating_add(incident.duration_s)))
}

/// The scenario, which begins at the second given by [`begins_s`].
#[must_use]
pub fn scenario(incident: &Incident) -> Scenario {
    Scenario {
        cluster: "eval".into(),
        start: moment(incident, begins_s(incident)),
        time_zone: incident.time_zone.clone(),
        workloads: incident.workloads.iter().map(|workload| spec(incident, workload)).collect(),
        pools: incident.pools.clone(),
        groups: incident.groups.clone(),
        guardrails: incident.guardrails.clone(),
        fleets: incident.fleets.clone(),
        quotas: std::collections::BTreeMap::new(),
        faults: incident.faults.iter().filter_map(|fault| struck(incident, fault)).collect(),
    }
}

/// Seconds from the incident's start at which the simulation begins.
#[must_use]
pub fn begins_s(incident: &Incident) -> u32 {
    incident.history_s.saturating_sub(RUN_BEFORE_S)
}

fn spec(incident: &Incident, workload: &IncidentWorkload) -> WorkloadSpec {
    let demand = offered(incident, workload).map_or_else(|| Demand::Curve(DemandCurve::default()), Demand::Series);
    WorkloadSpec {
        key: key(&workload.name),
        replicas: workload.replicas,
        usual: workload.bounds,
        resources: workload.resources,
        startup: workload.startup,
        service: workload.service.clone(),
        slo_latency_s: workload.slo_latency_s,
        demand,
        observe: workload.demand.as_ref().map_or(Observe::default(), |samples| samples.observe),
        calls: workload.depends_on.iter().map(|(name, ratio)| (key(name), *ratio)).collect(),
        hpa: None,
        min_available: None,
        // What is under test has been adopted: nobody else owns the field.
        writer: FieldWriter {
            manager: ACTUATOR.into(),
            operation: WriteOperation::Apply,
            subresource: Some("scale".into()),
            field: OwnedField::Replicas,
            at: None,
        },
        oldest_pod_s: 6 * 3600,
    }
}

/// A fault of the cluster; those of the model are the runner's.
fn struck(incident: &Incident, fault: &IncidentFault) -> Option<Fault> {
    use IncidentFaultKind as Kind;
    let name = |signal: &Arc<str>| SignalName::SHIPPED.into_iter().find(|shipped| shipped.as_str() == &**signal);
    let kind = match &fault.kind {
        Kind::ModelOutage | Kind::ModelHostile => return None,
        Kind::MetricsOutage => FaultKind::MetricsOutage,
        Kind::MetricsLie { signals, factor } => {
            let named: Vec<SignalName> = signals.iter().filter_map(name).collect();
            FaultKind::MetricsLie { signals: if named.is_empty() { vec![SignalName::Demand] } else { named }, factor: *factor }
        }
        Kind::MetricsDelay { by_s } => FaultKind::MetricsDelay { by_s: *by_s },
        Kind::SpotReclaim { share, notice_s } => FaultKind::SpotReclaim { share: *share, notice_s: *notice_s },
        Kind::ProvisioningFailure => FaultKind::ProvisioningFailure,
        Kind::ZoneLoss => FaultKind::ZoneLoss,
        Kind::NodeSlow { share, factor } => FaultKind::NodeSlow { share: *share, factor: *factor },
        Kind::PodCrash { share } => FaultKind::PodCrash { share: *share },
        Kind::DependencyBrownout { factor, cpu_factor } => FaultKind::DependencyBrownout { factor: *factor, cpu_factor: *cpu_factor },
        Kind::ServiceTimeChange { factor } => FaultKind::ServiceTimeChange { factor: *factor },
        Kind::Rollout { factor } => FaultKind::Rollout { factor: *factor },
        Kind::PriceChange { factor } => FaultKind::PriceChange { factor: *factor },
        Kind::ApiConflict { share } => FaultKind::ApiConflict { share: *share },
        Kind::CompetingWriter { replicas, every_s } => FaultKind::CompetingWriter { replicas: *replicas, every_s: *every_s },
        Kind::HumanScale { replicas } => FaultKind::HumanScale { replicas: *replicas },
        Kind::SurgeAnnounced { ahead_s, percent } => FaultKind::SurgeAnnounced { ahead_s: *ahead_s, percent: *percent },
    };
    let begins = incident.history_s.saturating_add(fault.at_s);
    let target = fault.target.as_ref().map(|name| match fault.kind {
        Kind::SpotReclaim { .. } | Kind::ProvisioningFailure | Kind::NodeSlow { .. } | Kind::PriceChange { .. } => {
            FaultTarget::Pool(name.clone())
        }
        Kind::ZoneLoss => FaultTarget::Zone(name.clone()),
        _ => FaultTarget::Workload(key(name)),
    });
    Some(Fault { from: moment(incident, begins), until: moment(incident, begins.saturating_add(fault.for_s)), target, kind })
}
