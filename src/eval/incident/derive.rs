//! What people set where an incident has no `ipa.yaml`: everything is Auto, and nothing holds a policy back but the workloads' own bounds, so that
//! what is scored is the policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::limits::Limits;
use super::{IncidentWorkload, NAMESPACE, PoolSpec};
use crate::domain::limits::{
    Actuation, Criticality, Dependency, Fleet, FleetLimits, Group, GroupTarget, Guardrail, Mode, Modes, NodeClassRef, Paused, Provider,
    ResourceBounds, Slo, TargetLimits, TimeZoneName,
};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::units::{Bytes, GoDuration, Millicores};

/// Name of the derived group and fleet.
const NAME: &str = "incident";
/// Requests may become so many times smaller or larger.
const RESIZED: u64 = 4;
/// The group is older than anything in the history: nothing else was there first.
const OLDER_S: i64 = 30 * 86_400;

/// What an incident's pieces are put together from.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'a> {
    pub(super) start: Timestamp,
    pub(super) time_zone: &'a TimeZoneName,
    pub(super) workloads: &'a [IncidentWorkload],
    pub(super) pools: &'a [PoolSpec],
}

/// Groups, a guardrail, and a fleet where there are pools.
pub(super) fn limits(pieces: Pieces<'_>) -> Limits {
    let fleets = if pieces.pools.is_empty() { Vec::new() } else { vec![fleet(pieces)] };
    Limits { groups: groups(pieces), guardrails: vec![guardrail(pieces.workloads)], fleets }
}

/// The key of a workload.
pub(super) fn key(name: &str) -> TargetKey {
    TargetKey::deployment(NAMESPACE, name)
}

/// One group of all workloads. Only where they promise different latencies are there several, since a group has one promise: the first is
/// `incident`, the others are numbered.
fn groups(pieces: Pieces<'_>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for workload in pieces.workloads {
        let latency = GoDuration(std::time::Duration::try_from_secs_f64(workload.slo_latency_s).unwrap_or_default());
        let slo = Slo { latency, ..Slo::default() };
        let place = groups.iter().position(|group| group.slo == Some(slo)).unwrap_or_else(|| {
            groups.push(group(groups.len(), slo, pieces));
            groups.len() - 1
        });
        let group = &mut groups[place];
        group.targets.push(GroupTarget {
            key: key(&workload.name),
            container: None,
            bounds: workload.bounds,
            criticality: workload.criticality,
            capacity_per_replica: None,
        });
        let calls = workload.depends_on.iter().map(|(to, ratio)| Dependency {
            from: key(&workload.name),
            to: key(to),
            // Between 1 and 1,000,000, as it was read.
            ratio_milli: (ratio * 1000.0).round() as u32,
        });
        group.depends_on.extend(calls);
    }
    groups
}

fn group(before: usize, slo: Slo, pieces: Pieces<'_>) -> Group {
    let name = if before == 0 { NAME.to_owned() } else { format!("{NAME}-{}", before + 1) };
    Group {
        uid: format!("incident-group-{name}").into(),
        id: GroupId::new(NAMESPACE, &name),
        generation: 1,
        created: pieces.start.saturating_sub(SignedDuration::from_secs(OLDER_S)).ok(),
        targets: Vec::new(),
        modes: Modes::all(Mode::Auto),
        signals: Vec::new(),
        slo: Some(slo),
        cost_budget_per_hour: None,
        time_zone: pieces.time_zone.clone(),
        freeze_windows: Vec::new(),
        surges: Vec::new(),
        depends_on: Vec::new(),
        actuation: Actuation::Replicas,
        human_hold: GoDuration::from_mins(15),
        model_enabled: true,
        forecast_model: None,
        paused: Paused::default(),
    }
}

fn guardrail(workloads: &[IncidentWorkload]) -> Guardrail {
    let limits = |workload: &IncidentWorkload| {
        let (bounds, resources) = (workload.bounds, workload.resources);
        // One change may go from end to end.
        let step = (bounds.max - bounds.min).max(1);
        TargetLimits {
            bounds,
            max_step_up: step,
            max_step_down: step,
            resources: ResourceBounds {
                min_cpu: resources.cpu_request.map(|cpu| Millicores((cpu.0 / RESIZED).max(1))),
                max_cpu: resources.cpu_limit.max(resources.cpu_request).map(|cpu| Millicores(cpu.0.saturating_mul(RESIZED))),
                min_memory: resources.memory_request.map(|memory| Bytes((memory.0 / RESIZED).max(1))),
                max_memory: resources.memory_limit.max(resources.memory_request).map(|memory| Bytes(memory.0.saturating_mul(RESIZED))),
            },
            highest_criticality: Criticality::Critical,
            allow_zero: bounds.min == 0,
        }
    };
    Guardrail {
        namespace: NAMESPACE.into(),
        version: "incident-guardrail/1".to_owned(),
        targets: workloads.iter().map(|workload| (key(&workload.name), limits(workload))).collect::<BTreeMap<_, _>>(),
        freeze: false,
        highest_mode: Mode::Auto,
        cost_budget_per_hour: None,
        cost_budget_per_month: None,
    }
}

/// A fleet of all pools, of the families and zones that they have.
fn fleet(pieces: Pieces<'_>) -> Fleet {
    let types = pieces.pools.iter().flat_map(|pool| &pool.instance_types);
    let families: BTreeSet<Arc<str>> = types.filter_map(|name| name.split_once('.')).map(|(family, _)| Arc::from(family)).collect();
    let zones: BTreeSet<Arc<str>> = pieces.pools.iter().flat_map(|pool| &pool.zones).cloned().collect();
    Fleet {
        id: GroupId::fleet(NAME),
        uid: "incident-fleet".into(),
        generation: 1,
        provider: Provider::Karpenter,
        pools: pieces.pools.iter().map(|pool| pool.name.clone()).collect(),
        node_class: NodeClassRef { group: "karpenter.k8s.aws".to_owned(), kind: "EC2NodeClass".to_owned(), name: "default".to_owned() },
        families: families.into_iter().collect(),
        zones: zones.into_iter().collect(),
        capacity_types: pieces
            .pools
            .iter()
            .flat_map(|pool| pool.capacity_types.iter().copied())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        least_on_demand_percent: 0,
        least_types_per_pool: 1,
        blast_radius_percent: 100,
        limits: FleetLimits::default(),
        cost_budget_per_hour: None,
        highest_mode: Mode::Auto,
    }
}
