//! An incident as a scenario of the simulator, which begins a day before the scored part.

use jiff::{SignedDuration, Timestamp};

use super::incident::{Incident, IncidentFault, IncidentFaultKind, IncidentWorkload, NAMESPACE};
use super::series::rate;
use crate::domain::names::TargetKey;
use crate::domain::workload::{FieldWriter, OwnedField, WriteOperation};
use crate::guardrails::ownership::ACTUATOR;
use crate::service::{Observe, RateSeries};
use crate::sim::{Demand, DemandCurve, Fault, FaultKind, FaultTarget, Scenario, WorkloadSpec};

/// Seconds between two looks of what is fastest.
pub const LOOK_S: u32 = 15;
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

/// Units/s offered to a workload in steps of fifteen seconds, those of its callers included.
#[must_use]
pub fn load(incident: &Incident, workload: &IncidentWorkload, from: u32, until: u32) -> Vec<f32> {
    let own = offered(incident, workload);
    let callers: Vec<(Vec<f32>, f64)> = incident
        .workloads
        .iter()
        .flat_map(|caller| caller.depends_on.iter().filter(|(name, _)| *name == workload.name).map(move |(_, ratio)| (caller, *ratio)))
        .map(|(caller, ratio)| (load(incident, caller, from, until), ratio))
        .collect();
    let start = incident.start.as_second();
    let steps = (until.saturating_sub(from)) / LOOK_S;
    (0..steps)
        .map(|step| {
            let middle = start + i64::from(from) + i64::from(LOOK_S) * i64::from(step) + i64::from(LOOK_S) / 2;
            let from_callers: f64 =
                callers.iter().map(|(rates, ratio)| f64::from(rates.get(step as usize).copied().unwrap_or(0.0)) * ratio).sum();
            (own.as_ref().map_or(0.0, |series| series.rate(middle)) + from_callers) as f32
        })
        .collect()
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
    let IncidentFaultKind::Cluster(kind) = &fault.kind else { return None };
    let begins = incident.history_s.saturating_add(fault.at_s);
    let target = fault.target.as_ref().map(|name| match kind {
        FaultKind::SpotReclaim { .. } | FaultKind::ProvisioningFailure | FaultKind::NodeSlow { .. } | FaultKind::PriceChange { .. } => {
            FaultTarget::Pool(name.clone())
        }
        FaultKind::ZoneLoss => FaultTarget::Zone(name.clone()),
        _ => FaultTarget::Workload(key(name)),
    });
    let (from, until) = (moment(incident, begins), moment(incident, begins.saturating_add(fault.for_s)));
    Some(Fault { from, until, target, kind: kind.clone() })
}
