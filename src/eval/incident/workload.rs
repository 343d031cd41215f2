//! One workload of an incident: its document and its series, checked.

use std::path::Path;
use std::sync::Arc;

use super::check::{above_zero, each_once, name, within};
use super::document::{DemandDocument, LimitsDocument, RequestsDocument, ServiceDocument, StartUpText, WorkloadDocument};
use super::{DemandSamples, IncidentWorkload, StartUp};
use crate::crd::SpecError;
use crate::crd::error::quoted;
use crate::domain::limits::Bounds;
use crate::domain::units::{Bytes, GoDuration, Millicores};
use crate::domain::workload::ContainerResources;
use crate::eval::series::coarse;
use crate::service::{MemorySpec, Retry, ServiceKind, ServiceSpec};

/// As the custom resources have it.
const MOST_REPLICAS: u32 = 100_000;
/// Units/s of one replica, and what a scale may make of a value.
const MOST_RATE: f64 = 1e9;
/// Nobody asks more often.
const MOST_RETRIES: f64 = 100.0;
/// A start-up beyond a day is a mistake in the unit.
const LONGEST_START_S: f64 = 86_400.0;

/// Checks what concerns the list: there is something, and each name is there once.
///
/// # Errors
/// [`SpecError`] for an empty list or a name that is there twice.
pub(super) fn check_list(documents: &[WorkloadDocument]) -> Result<(), SpecError> {
    if documents.is_empty() {
        return Err(SpecError::new(&"spec.workloads", "there is no workload; write at least one"));
    }
    each_once(documents.iter().map(|w| w.name.as_str()), |index| format!("spec.workloads[{index}].name"))
}

/// A workload; `samples` are its series as written, where it has one.
///
/// # Errors
/// [`SpecError`] for the first field that cannot be taken.
pub(super) fn workload(document: &WorkloadDocument, at: &str, samples: Option<Vec<(u32, f64)>>) -> Result<IncidentWorkload, SpecError> {
    // Destructured whole: a field that is added to the document must be taken here.
    let WorkloadDocument {
        name: called,
        replicas,
        bounds,
        requests,
        limits,
        startup,
        startup_cpu,
        service,
        demand,
        slo,
        criticality,
        depends_on,
    } = document;
    let called = name(called, &format_args!("{at}.name"))?;
    let bounds = Bounds::new(bounds.min, bounds.max).filter(|b| b.max >= 1 && b.max <= MOST_REPLICAS).ok_or_else(|| {
        SpecError::new(
            &format_args!("{at}.bounds"),
            format_args!("{} to {} holds no count; write min, and max from it and 1 up to {MOST_REPLICAS}", bounds.min, bounds.max),
        )
    })?;
    if bounds.clamp(*replicas) != *replicas {
        return Err(SpecError::new(
            &format_args!("{at}.replicas"),
            format_args!("{replicas} is outside bounds {} to {}; write a count inside, or widen the bounds", bounds.min, bounds.max),
        ));
    }
    let spec = read_service(service, &format!("{at}.service"))?;
    let slo_latency_s = slo.latency.seconds();
    let least = if spec.kind == ServiceKind::HTTP { spec.base_latency_s } else { 0.0 };
    if slo_latency_s <= least {
        return Err(SpecError::new(
            &format_args!("{at}.slo.latency"),
            format_args!("{} would make every request bad; write more than service.baseLatency", slo.latency),
        ));
    }
    let depends_on = depends_on.iter().enumerate().map(|(i, call)| {
        within(call.ratio, &format_args!("{at}.dependsOn[{i}].ratio"), 0.001, 1000.0).map(|ratio| (Arc::from(call.name.as_str()), ratio))
    });
    Ok(IncidentWorkload {
        name: called.into(),
        replicas: *replicas,
        bounds,
        resources: read_resources(requests, limits.as_ref(), at)?,
        startup: read_start_up(startup, &format!("{at}.startup"))?,
        startup_cpu: startup_cpu.map(|cpu| cpu.0),
        service: spec,
        demand: demand.as_ref().zip(samples).map(|(document, samples)| read_demand(document, samples, at)).transpose()?,
        slo_latency_s,
        criticality: *criticality,
        depends_on: depends_on.collect::<Result<_, _>>()?,
    })
}

/// The file of a series: one that lies beside `incident.yaml`, nowhere else.
///
/// # Errors
/// [`SpecError`] when the name leads elsewhere.
pub(super) fn series_file<'a>(demand: &'a DemandDocument, at: &str) -> Result<&'a str, SpecError> {
    let file = demand.series.as_str();
    let plain = file.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && !file.starts_with('.');
    if plain && file.len() <= 255 && Path::new(file).extension().is_some_and(|ending| ending == "csv") {
        return Ok(file);
    }
    Err(SpecError::new(
        &format_args!("{at}.demand.series"),
        format_args!("{} is no file beside incident.yaml; write a name such as web.csv", quoted(file)),
    ))
}

fn read_demand(document: &DemandDocument, samples: Vec<(u32, f64)>, at: &str) -> Result<DemandSamples, SpecError> {
    let DemandDocument { series: _, unit, scale, smooth, observe } = document;
    if !unit.ends_with("/s") {
        return Err(SpecError::new(
            &format_args!("{at}.demand.unit"),
            format_args!("{} is no rate per second; write 1/s, and a scale that makes it one", quoted(unit)),
        ));
    }
    let scale = above_zero(*scale, &format_args!("{at}.demand.scale"), MOST_RATE)?;
    #[expect(clippy::float_cmp, reason = "exactly 1 leaves the series as it was recorded")]
    let as_recorded = scale == 1.0;
    let smooth = smooth.unwrap_or(!as_recorded || coarse(&samples));
    let scaled = |(second, value): (u32, f64)| {
        let value = if as_recorded { value } else { within(value * scale, &format_args!("{at}.demand.scale"), 0.0, MOST_RATE)? };
        Ok((second, value))
    };
    let samples = samples.into_iter().map(scaled).collect::<Result<_, SpecError>>()?;
    Ok(DemandSamples { samples, observe: *observe, smooth })
}

fn read_service(document: &ServiceDocument, at: &str) -> Result<ServiceSpec, SpecError> {
    let ServiceDocument { kind, capacity, base_latency, timeout, retry, contention, cpu_per_unit, memory } = document;
    if *kind == ServiceKind::HTTP && *timeout == GoDuration::default() {
        return Err(SpecError::new(&format_args!("{at}.timeout"), "0s would lose every request that waits; write a time such as 30s"));
    }
    within(f64::from(retry.max), &format_args!("{at}.retry.max"), 0.0, MOST_RETRIES)?;
    let retry = Retry { share: within(retry.share, &format_args!("{at}.retry.share"), 0.0, 1.0)?, max: retry.max };
    let spec = ServiceSpec {
        kind: *kind,
        capacity: above_zero(*capacity, &format_args!("{at}.capacity"), MOST_RATE)?,
        base_latency_s: base_latency.seconds(),
        timeout_s: timeout.seconds(),
        retry,
        contention: within(*contention, &format_args!("{at}.contention"), 0.0, 1.0)?,
        cpu_per_unit: cpu_per_unit.0,
        cpu_base: 0.0,
        memory: MemorySpec { base: memory.base.0, per_unit: memory.per_unit.0, leak_per_hour: memory.leak_per_hour.0 },
    };
    Ok(spec)
}

fn read_resources(requests: &RequestsDocument, limits: Option<&LimitsDocument>, at: &str) -> Result<ContainerResources, SpecError> {
    let RequestsDocument { cpu, memory } = requests;
    let LimitsDocument { cpu: cpu_limit, memory: memory_limit } = limits.copied().unwrap_or_default();
    let (cpu, memory) = (cpu.0, memory.0);
    let (cpu_limit, memory_limit) = (cpu_limit.map(|l| l.0), memory_limit.map(|l| l.0));
    let refuse = |field: &str, problem: String| Err(SpecError::new(&format_args!("{at}.{field}"), problem));
    if cpu == Millicores(0) {
        return refuse("requests.cpu", "0 leaves nothing to measure use by; write what a replica asks for, such as 500m".to_owned());
    }
    if memory == Bytes(0) {
        return refuse("requests.memory", "0 leaves nothing to measure use by; write what a replica asks for, such as 512Mi".to_owned());
    }
    if let Some(limit) = cpu_limit.filter(|limit| *limit < cpu) {
        return refuse("limits.cpu", format!("{limit} is below the request {cpu}; raise the limit or lower the request"));
    }
    if let Some(limit) = memory_limit.filter(|limit| *limit < memory) {
        return refuse("limits.memory", format!("{limit} is below the request {memory}; raise the limit or lower the request"));
    }
    Ok(ContainerResources { cpu_request: Some(cpu), cpu_limit, memory_request: Some(memory), memory_limit })
}

fn read_start_up(text: &StartUpText, at: &str) -> Result<StartUp, SpecError> {
    let (p50, p95, fields) = match text {
        StartUpText::Always(always) => (*always, *always, ["", ""]),
        StartUpText::Quantiles(quantiles) => (quantiles.p50, quantiles.p95, [".p50", ".p95"]),
    };
    for (quantile, field) in [(p50, fields[0]), (p95, fields[1])] {
        above_zero(quantile.seconds(), &format_args!("{at}{field}"), LONGEST_START_S)?;
    }
    if p95 < p50 {
        return Err(SpecError::new(&format_args!("{at}.p95"), format_args!("{p95} is below p50 {p50}; write a time that is not")));
    }
    Ok(StartUp { p50_s: p50.seconds(), p95_s: p95.seconds() })
}
