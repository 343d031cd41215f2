//! What the demo's people set: six groups of teams, a guardrail for each namespace, a fleet of the platform.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Time;

use super::services;
use super::{SALE_FOR, SALE_PERCENT, START_S, vienna};
use crate::domain::fleet::CapacityType;
use crate::domain::limits::{
    Actuation, Bounds, Criticality, Dependency, Fleet, FleetLimits, FreezeWindow, Group, GroupTarget, Guardrail, Mode, Modes, NodeClassRef,
    Paused, Provider, ResourceBounds, Slo, Surge, TargetLimits,
};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::units::{Bytes, GoDuration, MicroUsd, Millicores};

/// What the team of the orders may spend an hour, in dollars: what its replicas at the start cost, and less than one more.
const ORDERS_BUDGET: MicroUsd = MicroUsd(100_000);

/// The teams' groups. The sale begins at `sale`.
pub(super) fn groups(sale: Timestamp) -> Vec<Group> {
    let announced = vec![Surge {
        name: "spring sale".into(),
        start: sale,
        duration: GoDuration::from_secs(SALE_FOR.as_secs().unsigned_abs()),
        percent: SALE_PERCENT,
    }];
    let settlement =
        FreezeWindow { days: Vec::new(), start: Time::constant(10, 0, 0, 0), duration: GoDuration::from_mins(60), scale_ups_too: false };
    vec![
        Group {
            surges: announced.clone(),
            ..group(
                "shop",
                "storefront",
                Mode::Auto,
                500,
                &[
                    ("frontend", Criticality::Critical),
                    ("search", Criticality::High),
                    ("cart", Criticality::High),
                    ("checkout", Criticality::Critical),
                    ("inventory-api", Criticality::High),
                ],
            )
        },
        Group {
            surges: announced.clone(),
            freeze_windows: vec![settlement],
            ..group("shop", "payments", Mode::Auto, 800, &[("payments", Criticality::Critical), ("auth", Criticality::High)])
        },
        Group {
            surges: announced,
            ..group(
                "ml",
                "models",
                Mode::Recommend,
                2_000,
                &[("recommendations", Criticality::Medium), ("image-resizer", Criticality::Low)],
            )
        },
        Group {
            modes: Modes { scale_down: Mode::Recommend, ..Modes::all(Mode::Auto) },
            ..group("ml", "assistant", Mode::Auto, 20_000, &[("llm-assistant", Criticality::Medium)])
        },
        Group {
            cost_budget_per_hour: Some(ORDERS_BUDGET),
            ..group("batch", "orders", Mode::Auto, 60_000, &[("orders-worker", Criticality::High)])
        },
        group("batch", "reports", Mode::Observe, 600_000, &[("nightly-reports", Criticality::Low)]),
    ]
}

fn group(namespace: &str, name: &str, mode: Mode, latency_ms: u64, targets: &[(&str, Criticality)]) -> Group {
    let targets: Vec<GroupTarget> = targets
        .iter()
        .map(|(target, criticality)| GroupTarget {
            key: TargetKey::deployment(namespace, target),
            container: None,
            bounds: Bounds { min: 2, max: 30 },
            criticality: *criticality,
            capacity_per_replica: None,
        })
        .collect();
    Group {
        id: GroupId::new(namespace, name),
        uid: format!("demo-{namespace}-{name}").into(),
        generation: 1,
        created: Timestamp::from_second(START_S - 30 * 86_400).ok(),
        depends_on: dependencies(&targets),
        targets,
        modes: Modes::all(mode),
        signals: Vec::new(),
        slo: Some(Slo { latency: GoDuration(std::time::Duration::from_millis(latency_ms)), ..Slo::default() }),
        cost_budget_per_hour: None,
        time_zone: vienna(),
        freeze_windows: Vec::new(),
        surges: Vec::new(),
        actuation: Actuation::Replicas,
        human_hold: GoDuration::from_mins(15),
        model_enabled: true,
        forecast_model: None,
        paused: Paused::default(),
    }
}

/// Calls that the group's targets make or get.
fn dependencies(targets: &[GroupTarget]) -> Vec<Dependency> {
    let of_group = |key: &TargetKey| targets.iter().any(|target| target.key == *key);
    let services = services::all(Timestamp::UNIX_EPOCH);
    let calls = services.iter().flat_map(|service| service.calls.iter().map(|(to, ratio)| (&service.key, to, *ratio)));
    calls
        .filter(|(from, to, _)| of_group(from) || of_group(to))
        .map(|(from, to, ratio)| Dependency { from: from.clone(), to: to.clone(), ratio_milli: (ratio * 1000.0).round() as u32 })
        .collect()
}

/// The platform's guardrails: every service is enrolled.
pub(super) fn guardrails() -> Vec<Guardrail> {
    let mut guardrails: BTreeMap<_, Guardrail> = BTreeMap::new();
    for service in services::all(Timestamp::UNIX_EPOCH) {
        let namespace = service.key.namespace.clone();
        let guardrail = guardrails.entry(namespace.clone()).or_insert_with(|| Guardrail {
            version: format!("demo-{namespace}/1"),
            namespace,
            targets: BTreeMap::new(),
            freeze: false,
            highest_mode: Mode::Auto,
            cost_budget_per_hour: None,
            cost_budget_per_month: None,
        });
        guardrail.targets.insert(service.key, target_limits());
    }
    guardrails.into_values().collect()
}

fn target_limits() -> TargetLimits {
    TargetLimits {
        bounds: Bounds { min: 2, max: 24 },
        max_step_up: 8,
        max_step_down: 3,
        resources: ResourceBounds {
            min_cpu: Some(Millicores(100)),
            max_cpu: Some(Millicores(3_000)),
            min_memory: Some(Bytes(128 * Bytes::MIB)),
            max_memory: Some(Bytes(8192 * Bytes::MIB)),
        },
        highest_criticality: Criticality::Critical,
        allow_zero: false,
    }
}

/// The platform's fleet.
pub(super) fn fleet() -> Fleet {
    Fleet {
        id: GroupId::fleet("general"),
        uid: "demo-fleet-general".into(),
        generation: 1,
        provider: Provider::Karpenter,
        pools: vec!["general".into()],
        node_class: NodeClassRef { group: "karpenter.k8s.aws".into(), kind: "EC2NodeClass".into(), name: "default".into() },
        families: vec!["m6i".into()],
        zones: Vec::new(),
        capacity_types: vec![CapacityType::OnDemand],
        least_on_demand_percent: 100,
        least_types_per_pool: 2,
        blast_radius_percent: 50,
        limits: FleetLimits { cpu: Some(Millicores(160_000)), memory: Some(Bytes(640 << 30)) },
        cost_budget_per_hour: None,
        highest_mode: Mode::Recommend,
    }
}
