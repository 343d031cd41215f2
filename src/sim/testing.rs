//! What the tests of the simulator share: a small catalogue, prices, and one small cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::change::MANAGER;
use super::demand::DemandCurve;
use super::scenario::{PoolSpec, Scenario, WorkloadSpec};
use super::world::World;
use crate::domain::fleet::{CapacityType, Catalogue, InstanceType, Offering};
use crate::domain::limits::{Bounds, TimeZoneName};
use crate::domain::names::{Digest, TargetKey};
use crate::domain::proposal::{Change, ReplicasChange};
use crate::domain::record::{Entry, PastDecision};
use crate::domain::units::{Bytes, MicroUsd, Millicores};
use crate::domain::workload::{ContainerResources, FieldWriter, OwnedField, ResourceList, WriteOperation};
use crate::ports::{Body, EntryFilter, Ledger, NewEntry, PortError, Prices};
use crate::service::{MemorySpec, ServiceKind, ServiceSpec};

/// Monday 2 March 2026, noon UTC.
pub(super) const NOON: i64 = 1_772_452_800;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn catalogue() -> Arc<Catalogue> {
    let machine = |name: &str, cpu: u64, memory_gib: u64, price: i64| InstanceType {
        name: name.into(),
        family: "m6i".into(),
        labels: BTreeMap::new(),
        allocatable: ResourceList { cpu: Millicores(cpu), memory: Bytes(memory_gib << 30), pods: 58, ..ResourceList::default() },
        offerings: vec![Offering { zone: "a".into(), capacity_type: CapacityType::OnDemand, price_per_hour: MicroUsd(price) }],
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

    async fn put_body(&self, _: &Body, _: Timestamp) -> Result<Digest, PortError> {
        Err(absent())
    }

    async fn body(&self, _: &Digest) -> Result<Option<Body>, PortError> {
        Ok(None)
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
        startup_s: 30,
        service: ServiceSpec {
            kind: ServiceKind::HTTP,
            capacity: 50.0,
            base_latency_s: 0.04,
            timeout_s: 5.0,
            cpu_per_unit: 0.016,
            cpu_base: 0.02,
            memory: MemorySpec { base: Bytes(200 * Bytes::MIB), per_unit: Bytes(0), leak_per_hour: Bytes(0) },
        },
        demand: DemandCurve { base: 40.0, weekend: 1.0, ..DemandCurve::default() },
        calls: Vec::new(),
        hpa: None,
        min_available: None,
        writer: FieldWriter {
            manager: MANAGER.into(),
            operation: WriteOperation::Apply,
            subresource: Some("scale".into()),
            field: OwnedField::Replicas,
            at: None,
        },
        oldest_pod_s: 3600,
    }
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
