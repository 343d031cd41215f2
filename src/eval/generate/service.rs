//! How the services of the cases behave: a few kinds, from which a case departs where it has to.

use super::super::incident::document::{
    BoundsDocument, CallDocument, DemandDocument, MemoryDocument, RequestsDocument, RetryDocument, ServiceDocument, SloDocument,
    StartUpQuantiles, StartUpText, WorkloadDocument,
};
use super::super::incident::{CPUQuantity, CPUShare, MemoryQuantity, Observe};
use super::load::Load;
use crate::domain::limits::Criticality;
use crate::domain::units::{Bytes, GoDuration, Millicores};
use crate::service::ServiceKind;

/// Share of its CPU request that a replica uses at capacity.
const CPU_AT_CAPACITY: f64 = 0.85;

/// One service of a case, with what is asked of it.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// Its document; replicas and the series' name are filled in when demand is known.
    pub(super) document: WorkloadDocument,
    /// What comes from outside.
    pub(super) load: Option<Load>,
    /// Minutes of its series, from the scored part's begin, that were not recorded: from, until.
    pub(super) missing: Vec<(i64, i64)>,
}

/// A web service: 50 requests/s a replica, answered in 250 ms.
pub(super) fn web(name: &str, startup: StartUpText, load: Load) -> Service {
    service(name, startup, Some(load), 50.0)
}

/// A web service that is only called by others.
pub(super) fn back_end(name: &str, startup: StartUpText, capacity: f64) -> Service {
    service(name, startup, None, capacity)
}

/// Workers at a queue: 4 jobs/s each, and a job may wait five minutes.
pub(super) fn workers(name: &str, startup: StartUpText, load: Load) -> Service {
    let mut service = service(name, startup, Some(load), 4.0);
    service.document.service.kind = ServiceKind::Queue;
    service.document.service.base_latency = millis(250);
    service.document.slo = SloDocument { latency: GoDuration::from_mins(5) };
    service.document.criticality = Criticality::Medium;
    service
}

/// A language model behind an API: 2.5 answers/s a replica, each within eight seconds.
pub(super) fn llm(name: &str, startup: StartUpText, load: Load) -> Service {
    let mut service = service(name, startup, Some(load), 2.5);
    let document = &mut service.document;
    document.requests = requests(4_000, 16_384);
    document.service.cpu_per_unit = cpu_per_unit(4_000, 2.5);
    document.service.base_latency = millis(2_200);
    document.service.timeout = GoDuration::from_secs(60);
    document.service.memory = MemoryDocument { base: mib(12_288), per_unit: mib(64), leak_per_hour: mib(0) };
    document.slo = SloDocument { latency: GoDuration::from_secs(8) };
    service
}

/// All start in the same time.
pub(super) const fn always(seconds: u64) -> StartUpText {
    StartUpText::Always(GoDuration::from_secs(seconds))
}

/// Half start faster than the first; one in twenty slower than the second.
pub(super) const fn mostly(p50_s: u64, p95_s: u64) -> StartUpText {
    StartUpText::Quantiles(StartUpQuantiles { p50: GoDuration::from_secs(p50_s), p95: GoDuration::from_secs(p95_s) })
}

impl Service {
    /// Units/s that one replica serves, its CPU limit counted in.
    pub(super) fn serves(&self) -> f64 {
        let ServiceDocument { capacity, cpu_per_unit, .. } = &self.document.service;
        let limit = self.document.limits.and_then(|limits| limits.cpu);
        limit.map_or(*capacity, |limit| capacity.min(limit.0.cores() / cpu_per_unit.0))
    }

    /// Other bounds.
    pub(super) fn bounds(mut self, min: u32, max: u32) -> Self {
        self.document.bounds = BoundsDocument { min, max };
        self
    }

    /// Other requests; what a unit costs goes with them.
    pub(super) fn asks(mut self, cpu_milli: u64, memory_mib: u64) -> Self {
        self.document.requests = requests(cpu_milli, memory_mib);
        self.document.service.cpu_per_unit = cpu_per_unit(cpu_milli, self.document.service.capacity);
        self
    }

    /// Calls another service so often for each unit.
    pub(super) fn calls(mut self, name: &str, ratio: f64) -> Self {
        self.document.depends_on.push(CallDocument { name: name.to_owned(), ratio });
        self
    }

    /// Matters so much.
    pub(super) fn matters(mut self, criticality: Criticality) -> Self {
        self.document.criticality = criticality;
        self
    }

    /// Metrics show the rate that is served.
    pub(super) fn seen_served(mut self) -> Self {
        if let Some(demand) = &mut self.document.demand {
            demand.observe = Observe::Served;
        }
        self
    }

    /// Callers give up after a time, and so many of them try again.
    pub(super) fn retried(mut self, timeout_s: u64, share: f64, max: u32) -> Self {
        self.document.service.timeout = GoDuration::from_secs(timeout_s);
        self.document.service.retry = RetryDocument { share, max };
        self
    }

    /// Each further replica takes so much from all.
    pub(super) fn contended(mut self, share: f64) -> Self {
        self.document.service.contention = share;
        self
    }

    /// Uses so much CPU while it starts.
    pub(super) fn starts_with(mut self, cpu_milli: u64) -> Self {
        self.document.startup_cpu = Some(CPUQuantity(Millicores(cpu_milli)));
        self
    }

    /// Memory: at rest, for each unit held, leaked an hour; and where it is killed.
    pub(super) fn remembers(mut self, base_mib: u64, per_unit_kib: u64, leak_mib: u64, limit_mib: u64) -> Self {
        let per_unit = MemoryQuantity(Bytes(per_unit_kib << 10));
        self.document.service.memory = MemoryDocument { base: mib(base_mib), per_unit, leak_per_hour: mib(leak_mib) };
        self.document.limits.get_or_insert_default().memory = Some(mib(limit_mib));
        self
    }

    /// Asks for so much CPU and may not use more, whatever its work costs.
    pub(super) fn throttled_at(mut self, cpu_milli: u64) -> Self {
        self.document.requests.cpu = CPUQuantity(Millicores(cpu_milli));
        self.document.limits.get_or_insert_default().cpu = Some(CPUQuantity(Millicores(cpu_milli)));
        self
    }

    /// Not recorded from one minute until another.
    pub(super) fn missing(mut self, from_min: i64, until_min: i64) -> Self {
        self.missing.push((from_min, until_min));
        self
    }
}

fn service(name: &str, startup: StartUpText, load: Option<Load>, capacity: f64) -> Service {
    let demand = load.is_some().then(|| DemandDocument {
        series: format!("{name}.csv"),
        unit: "1/s".to_owned(),
        scale: 1.0,
        smooth: Some(false),
        observe: Observe::Offered,
    });
    let document = WorkloadDocument {
        name: name.to_owned(),
        replicas: 0,
        bounds: BoundsDocument { min: 2, max: 90 },
        requests: requests(500, 512),
        limits: None,
        startup,
        startup_cpu: None,
        service: ServiceDocument {
            kind: ServiceKind::HTTP,
            capacity,
            base_latency: millis(40),
            timeout: GoDuration::from_secs(30),
            retry: RetryDocument::default(),
            contention: 0.0,
            cpu_per_unit: cpu_per_unit(500, capacity),
            memory: MemoryDocument::default(),
        },
        demand,
        slo: SloDocument { latency: millis(250) },
        criticality: Criticality::High,
        depends_on: Vec::new(),
    };
    Service { document, load, missing: Vec::new() }
}

fn requests(cpu_milli: u64, memory_mib: u64) -> RequestsDocument {
    RequestsDocument { cpu: CPUQuantity(Millicores(cpu_milli)), memory: mib(memory_mib) }
}

/// To a millionth of a core-second, as it is written.
fn cpu_per_unit(cpu_milli: u64, capacity: f64) -> CPUShare {
    CPUShare((cpu_milli as f64 / 1e3 * CPU_AT_CAPACITY / capacity * 1e6).round() / 1e6)
}

const fn mib(mib: u64) -> MemoryQuantity {
    MemoryQuantity(Bytes(mib * Bytes::MIB))
}

const fn millis(milliseconds: u64) -> GoDuration {
    GoDuration(std::time::Duration::from_millis(milliseconds))
}
