//! What the tests of the simulator share: a small catalogue, prices, one small cluster, and the demo as a tick sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::clock::Pace;
use super::demand::{Demand, DemandCurve};
use super::demo::demo;
use super::scenario::{PoolSpec, Scenario, WorkloadSpec};
use super::world::World;
use crate::domain::fleet::{CapacityType, Catalogue, InstanceType, Offering};
use crate::domain::limits::{Bounds, GateLimits, TimeZoneName};
use crate::domain::memory::Memory;
use crate::domain::names::{Digest, TargetKey, TickId};
use crate::domain::outlook::{ForecastQuality, HORIZON_MINUTES, LEVELS, Outlook};
use crate::domain::plan::{CapacitySource, Plan, SizingBasis, SizingReason, TargetPlan};
use crate::domain::proposal::{Change, ReplicasChange};
use crate::domain::record::{Entry, PastDecision};
use crate::domain::signal::SignalName;
use crate::domain::snapshot::Snapshot;
use crate::domain::units::{Bytes, MicroUsd, Millicores};
use crate::domain::workload::{ContainerResources, FieldWriter, OwnedField, ResourceList, WriteOperation};
use crate::guardrails::ownership::ACTUATOR;
use crate::ports::{Body, EntryFilter, Ledger, NewEntry, PortError, Prices};
use crate::service::{MemorySpec, Observe, Retry, ServiceKind, ServiceSpec, StartUp};

/// Monday 2 March 2026, noon UTC.
pub(super) const NOON: i64 = 1_772_452_800;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn catalogue() -> Arc<Catalogue> {
    let offering = |zone: &str, capacity_type, price| Offering { zone: zone.into(), capacity_type, price_per_hour: MicroUsd(price) };
    let machine = |name: &str, cpu: u64, memory_gib: u64, price: i64| InstanceType {
        name: name.into(),
        family: "m6i".into(),
        labels: BTreeMap::new(),
        allocatable: ResourceList { cpu: Millicores(cpu), memory: Bytes(memory_gib << 30), pods: 58, ..ResourceList::default() },
        offerings: ["a", "b"]
            .into_iter()
            .flat_map(|zone| [offering(zone, CapacityType::OnDemand, price), offering(zone, CapacityType::Spot, price / 3)])
            .collect(),
    };
    let types = [machine("m6i.xlarge", 3_920, 14, 192_000), machine("m6i.2xlarge", 7_910, 29, 384_000)];
    Arc::new(Catalogue { source: "test".into(), as_of: None, types: types.into_iter().map(|t| (t.name.clone(), t)).collect() })
}

/// [`Prices`] that never change.
pub(super) struct ListPrices;

#[async_trait]
impl Prices for ListPrices {
    async fn catalogue(&self, _now: Timestamp) -> Arc<Catalogue> {
        catalogue()
    }
}

/// A ledger that is not there.
pub(super) struct NoLedger;

#[async_trait]
impl Ledger for NoLedger {
    async fn append(&self, _: Vec<NewEntry>) -> Result<Vec<u64>, PortError> {
        Err(absent())
    }

    async fn put_bodies(&self, _: Vec<Body>, _: Timestamp) -> Result<Vec<Digest>, PortError> {
        Err(absent())
    }

    async fn body(&self, _: &Digest) -> Result<Option<Body>, PortError> {
        Ok(None)
    }

    async fn prune(&self, _before: Timestamp) -> Result<u64, PortError> {
        Ok(0)
    }

    async fn entries(&self, _: &EntryFilter) -> Result<Vec<Entry>, PortError> {
        Ok(Vec::new())
    }

    async fn past(&self, _: usize) -> Result<Vec<PastDecision>, PortError> {
        Ok(Vec::new())
    }
}

fn absent() -> PortError {
    PortError::NotReady { what: "ledger", detail: "there is none in this test".into() }
}

/// `shop/web`: two replicas of a core each, 50 units/s a replica, 30 s to start; 40 units/s come.
pub(super) fn web() -> WorkloadSpec {
    let resources = ContainerResources {
        cpu_request: Some(Millicores(1000)),
        cpu_limit: None,
        memory_request: Some(Bytes(512 * Bytes::MIB)),
        memory_limit: Some(Bytes(512 * Bytes::MIB)),
    };
    WorkloadSpec {
        key: TargetKey::deployment("shop", "web"),
        replicas: 2,
        usual: Bounds { min: 1, max: 20 },
        resources,
        startup: StartUp::fixed(30.0),
        service: ServiceSpec {
            kind: ServiceKind::HTTP,
            capacity: 50.0,
            base_latency_s: 0.04,
            timeout_s: 5.0,
            retry: Retry::default(),
            contention: 0.0,
            cpu_per_unit: 0.016,
            cpu_base: 0.02,
            memory: MemorySpec { base: Bytes(200 * Bytes::MIB), per_unit: Bytes(0), leak_per_hour: Bytes(0) },
        },
        slo_latency_s: 0.25,
        demand: steady(40.0),
        observe: Observe::Offered,
        calls: Vec::new(),
        hpa: None,
        min_available: None,
        writer: FieldWriter {
            manager: ACTUATOR.into(),
            operation: WriteOperation::Apply,
            subresource: Some("scale".into()),
            field: OwnedField::Replicas,
            at: None,
        },
        oldest_pod_s: 3600,
    }
}

/// The same demand all the time.
pub(super) fn steady(base: f64) -> Demand {
    Demand::Curve(DemandCurve { base, weekend: 1.0, ..DemandCurve::default() })
}

/// A cluster of these workloads, on `m6i.xlarge` that boot in 90 s.
pub(super) fn scenario(workloads: Vec<WorkloadSpec>) -> Scenario {
    Scenario {
        cluster: "test".into(),
        start: at(NOON),
        time_zone: TimeZoneName::utc(),
        workloads,
        pools: vec![PoolSpec {
            name: "general".into(),
            instance_types: vec!["m6i.xlarge".into()],
            zones: Vec::new(),
            capacity_types: vec![CapacityType::OnDemand],
            provisioning_s: 90,
            max: 10,
        }],
        groups: Vec::new(),
        guardrails: Vec::new(),
        fleets: Vec::new(),
        quotas: BTreeMap::new(),
        faults: Vec::new(),
    }
}

pub(super) fn world(workloads: Vec<WorkloadSpec>) -> World {
    World::new(scenario(workloads), catalogue(), 1).unwrap()
}

/// The change of a target's replicas, from what they are.
pub(super) fn replicas(world: &World, key: &TargetKey, to: u32) -> Change {
    let workload = &world.workloads[world.find(key).unwrap()];
    Change::Replicas(ReplicasChange { target: key.clone(), uid: workload.uid.clone(), from: workload.desired, to })
}

/// The demo as a tick would see it, so many minutes after its start.
pub(super) async fn snapshot(minutes: i64) -> Snapshot {
    let demo = demo(1, Pace::Headless, Arc::new(ListPrices)).await.unwrap();
    let ports = demo.ports(None, Arc::new(NoLedger));
    let at = demo.world.look(World::now) + jiff::SignedDuration::from_mins(minutes);
    let facts = ports.cluster.observe(at).await.unwrap();
    let (signals, metrics_health) = ports.metrics.signals(&facts.groups, &facts.workloads, at).await;
    Snapshot {
        at,
        tick: TickId(1),
        cluster: "demo".into(),
        facts,
        signals,
        metrics_health,
        catalogue: catalogue(),
        limits: GateLimits::default(),
        outcomes: Vec::new(),
        memory: Memory::default(),
        past: Vec::new(),
    }
}

/// A plan that keeps what there is. The outlook stays at `growth` times the present demand.
pub(super) fn plan(snapshot: &Snapshot, growth: f64) -> Plan {
    let planned = |key: &TargetKey| {
        let demand = snapshot.signals[key][&SignalName::Demand].latest().map_or(0.0, |(_, value)| value);
        let replicas = snapshot.facts.workloads[key].replicas.desired;
        let rows = vec![[(demand * growth) as f32; LEVELS.len()]; HORIZON_MINUTES + 1];
        TargetPlan {
            replicas,
            p50_need: replicas,
            basis: SizingBasis {
                reason: SizingReason::Forecast,
                demand_now: Some(demand),
                demand_planned: Some(demand * growth),
                quantile: 0.9,
                lead_s: 120.0,
                capacity_per_replica: Some(40.0),
                capacity_source: CapacitySource::Learned,
                target_utilization: 0.8,
                raw: Some(replicas),
            },
            resources: None,
            outlook: Some(Arc::new(Outlook::new(snapshot.at, "level", rows, ForecastQuality::default()))),
            shadow_hpa: None,
            cost_per_hour: Some(MicroUsd(24_500 * i64::from(replicas))),
        }
    };
    let targets: BTreeMap<_, _> = snapshot.facts.workloads.keys().map(|key| (key.clone(), planned(key))).collect();
    Plan { targets, ..Plan::default() }
}
