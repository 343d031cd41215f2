//! The demo's dozen services: what they are asked for, by whom, and how they serve.

use jiff::Timestamp;

use super::super::demand::{Demand, DemandCurve, Recurring, SurgeShape};
use super::super::scenario::{HPASpec, WorkloadSpec};
use super::{SALE_FOR, SALE_PERCENT};
use crate::domain::limits::Bounds;
use crate::domain::names::TargetKey;
use crate::domain::units::{Bytes, Millicores};
use crate::domain::workload::{ContainerResources, FieldWriter, OwnedField, WriteOperation};
use crate::guardrails::ownership::ACTUATOR;
use crate::service::{MemorySpec, Observe, Retry, ServiceKind, ServiceSpec, StartUp};

/// Share of its CPU request that a replica uses at capacity.
const CPU_AT_CAPACITY: f64 = 0.9;
/// One in twenty pods takes so many times the usual start-up or longer.
const START_UP_P95: f64 = 1.1;
/// An answer is prompt within so many times the latency of an unloaded replica.
const PROMPT: f64 = 5.0;
/// Share of its CPU request that a replica uses without load.
const CPU_IDLE: f64 = 0.03;

/// What differs between the services.
struct Row {
    name: (&'static str, &'static str),
    replicas: u32,
    startup_s: u32,
    cpu: u64,
    memory_mib: u64,
    /// Units/s of a replica.
    capacity: f64,
    latency_ms: u64,
    kind: ServiceKind,
    demand: DemandCurve,
    calls: &'static [(&'static str, &'static str, f64)],
}

/// All services. The sale begins at `sale`.
pub(super) fn all(sale: Timestamp) -> Vec<WorkloadSpec> {
    let mut services: Vec<WorkloadSpec> =
        front(sale).into_iter().chain(back()).chain(machine_learning()).chain(batch()).map(spec).collect();
    for service in &mut services {
        match &*service.key.name {
            "search" => {
                service.hpa = Some(HPASpec { min: 3, max: 20, cpu_percent: 70 });
                service.writer = writer("kube-controller-manager", WriteOperation::Update, Some("scale"));
            }
            "nightly-reports" => service.writer = writer("kubectl-client-side-apply", WriteOperation::Update, None),
            "frontend" => service.min_available = Some(3),
            "checkout" | "payments" => service.min_available = Some(2),
            "image-resizer" => {
                // The oldest of eight reaches the limit of 1 GiB after 7 h 20 min, the next ones an hour apart.
                service.service.memory.leak_per_hour = Bytes(60 * Bytes::MIB);
                service.oldest_pod_s = 7 * 3600;
            }
            _ => {}
        }
    }
    services
}

fn front(sale: Timestamp) -> Vec<Row> {
    let surge = SurgeShape { start_s: sale.as_second(), lasts_s: SALE_FOR.as_secs(), ramp_s: 120, factor: f64::from(SALE_PERCENT) / 100.0 };
    vec![
        Row {
            demand: DemandCurve { surges: vec![surge], ..shoppers(220.0) },
            calls: &[
                ("shop", "search", 0.4),
                ("shop", "cart", 0.15),
                ("shop", "inventory-api", 0.8),
                ("shop", "auth", 0.1),
                ("ml", "recommendations", 0.6),
            ],
            ..web("frontend", 8, 30, 500, 40.0, 45)
        },
        web("search", 5, 45, 500, 30.0, 80),
        Row { calls: &[("shop", "checkout", 0.3)], ..web("cart", 3, 25, 250, 25.0, 30) },
        Row { calls: &[("shop", "payments", 1.0), ("batch", "orders-worker", 1.0)], ..web("checkout", 3, 40, 250, 8.0, 120) },
    ]
}

fn back() -> Vec<Row> {
    vec![web("inventory-api", 6, 35, 500, 60.0, 25), web("payments", 7, 45, 500, 5.0, 180), web("auth", 3, 20, 250, 15.0, 35)]
}

fn machine_learning() -> Vec<Row> {
    let office = vec![(5.0, 0.1), (9.0, 0.7), (11.5, 1.2), (16.0, 1.0), (21.0, 0.5)];
    let digest = Recurring { every_s: 3600, offset_s: 0, lasts_s: 900, factor: 1.6 };
    let curve = |base| DemandCurve { base, day: office.clone(), weekend: 0.6, wander: 0.12, ..DemandCurve::default() };
    vec![
        Row { name: ("ml", "recommendations"), memory_mib: 2048, ..web("", 7, 60, 1000, 20.0, 90) },
        Row {
            name: ("ml", "image-resizer"),
            memory_mib: 1024,
            kind: ServiceKind::Queue,
            demand: curve(12.0),
            ..web("", 8, 30, 1000, 4.0, 400)
        },
        Row {
            name: ("ml", "llm-assistant"),
            memory_mib: 6144,
            demand: DemandCurve { recurring: vec![digest], ..curve(0.9) },
            ..web("", 6, 180, 2000, 0.25, 6000)
        },
    ]
}

fn batch() -> Vec<Row> {
    let night = DemandCurve {
        base: 6.0,
        day: vec![(1.0, 0.02), (2.5, 1.0), (4.5, 1.0), (6.0, 0.02)],
        weekend: 1.0,
        wander: 0.1,
        ..DemandCurve::default()
    };
    vec![
        Row { name: ("batch", "orders-worker"), kind: ServiceKind::Queue, ..web("", 4, 20, 500, 3.0, 300) },
        Row { name: ("batch", "nightly-reports"), kind: ServiceKind::Queue, demand: night, ..web("", 2, 30, 500, 1.0, 900) },
    ]
}

/// A web service of the shop that is only called by others.
fn web(name: &'static str, replicas: u32, startup_s: u32, cpu: u64, capacity: f64, latency_ms: u64) -> Row {
    Row {
        name: ("shop", name),
        replicas,
        startup_s,
        cpu,
        memory_mib: 512,
        capacity,
        latency_ms,
        kind: ServiceKind::HTTP,
        demand: DemandCurve::default(),
        calls: &[],
    }
}

/// How a shop is visited: little at night, more towards noon, most in the evening.
fn shoppers(base: f64) -> DemandCurve {
    let day = vec![(4.0, 0.15), (9.0, 0.8), (12.5, 1.15), (15.5, 0.95), (20.0, 1.5), (23.5, 0.5)];
    DemandCurve { base, day, weekend: 1.3, wander: 0.06, ..DemandCurve::default() }
}

fn spec(row: Row) -> WorkloadSpec {
    let request = Millicores(row.cpu);
    let memory = Bytes(row.memory_mib * Bytes::MIB);
    WorkloadSpec {
        key: TargetKey::deployment(row.name.0, row.name.1),
        replicas: row.replicas,
        usual: Bounds { min: 2, max: 40 },
        resources: ContainerResources {
            cpu_request: Some(request),
            cpu_limit: None,
            memory_request: Some(memory),
            memory_limit: Some(memory),
        },
        startup: StartUp { p50_s: f64::from(row.startup_s), p95_s: f64::from(row.startup_s) * START_UP_P95 },
        service: ServiceSpec {
            kind: row.kind,
            capacity: row.capacity,
            base_latency_s: row.latency_ms as f64 / 1000.0,
            timeout_s: 10.0f64.max(row.latency_ms as f64 / 100.0),
            retry: Retry::default(),
            contention: 0.0,
            cpu_per_unit: request.cores() * CPU_AT_CAPACITY / row.capacity,
            cpu_base: request.cores() * CPU_IDLE,
            memory: MemorySpec { base: Bytes(memory.0 / 100 * 55), per_unit: Bytes(64 << 10), leak_per_hour: Bytes(0) },
        },
        // What a person still takes for prompt: some times what an unloaded replica needs.
        slo_latency_s: row.latency_ms as f64 / 1000.0 * PROMPT,
        demand: Demand::Curve(row.demand),
        observe: Observe::Offered,
        calls: row.calls.iter().map(|(namespace, name, ratio)| (TargetKey::deployment(namespace, name), *ratio)).collect(),
        hpa: None,
        min_available: None,
        writer: writer(ACTUATOR, WriteOperation::Apply, Some("scale")),
        oldest_pod_s: 2 * 86_400,
    }
}

fn writer(manager: &str, operation: WriteOperation, subresource: Option<&str>) -> FieldWriter {
    FieldWriter { manager: manager.into(), operation, subresource: subresource.map(Into::into), field: OwnedField::Replicas, at: None }
}
