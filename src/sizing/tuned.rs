//! A tuned rule at work: the need it sees now.

use jiff::Timestamp;

use super::least_cost::CostOfLoad;
use super::replicas::Tuned;
use crate::domain::limits::{Bounds, Slo};
use crate::domain::memory::{PeakWatch, Tuning, TuningRule};
use crate::domain::series::quantile;
use crate::domain::signal::Signal;
use crate::domain::units::Bytes;
use crate::forecast::peak::{View, forecast, watch};
use crate::service::{MemorySpec, ServiceKind, ServiceSpec};

/// A promise of at least this is one about work in a queue, not about an answer, seconds.
const QUEUE_PROMISE_S: f64 = 30.0;
/// Callers are taken to give up after so long, seconds.
const USUAL_TIMEOUT_S: f64 = 30.0;
/// Share of the promise that an answer takes where nothing is known of it.
const USUAL_LATENCY_SHARE: f64 = 0.2;
/// No more of the promise than this is taken as the answer's own time: what is left is the room to wait.
const MOST_LATENCY_SHARE: f64 = 0.8;

/// Whether work waits in a queue, as what is promised for it tells.
#[must_use]
pub fn observed_kind(slo: &Slo) -> ServiceKind {
    if slo.latency.seconds() >= QUEUE_PROMISE_S { ServiceKind::Queue } else { ServiceKind::HTTP }
}

/// How a workload serves, as far as its signals and its capacity tell.
#[must_use]
pub fn observed_service(slo: &Slo, capacity: f64, latency: Option<&Signal>) -> ServiceSpec {
    let promised = slo.latency.seconds();
    let usual = latency.and_then(|signal| quantile(&signal.history.middle.values, 0.2)).map(f64::from);
    let base = usual.unwrap_or(USUAL_LATENCY_SHARE * promised).clamp(0.0, MOST_LATENCY_SHARE * promised);
    ServiceSpec {
        kind: observed_kind(slo),
        capacity,
        contention: 0.0,
        base_latency_s: base,
        timeout_s: USUAL_TIMEOUT_S.max(promised),
        retry: crate::service::Retry::default(),
        cpu_per_unit: 0.0,
        cpu_base: 0.0,
        memory: MemorySpec { base: Bytes(0), per_unit: Bytes(0), leak_per_hour: Bytes(0) },
    }
}

/// What a tuned rule asks for now, and the forecasts' errors taken in. `None` where nothing fresh is known.
pub fn tuned(
    tuning: &Tuning,
    seen: &mut PeakWatch,
    load: &Signal,
    service: &ServiceSpec,
    slo: &Slo,
    bounds: Bounds,
    now: Timestamp,
) -> Option<Tuned> {
    let view = View::of(load);
    if seen.width <= 0.0 {
        seen.width = tuning.width;
    }
    watch(&tuning.model, seen, &view, now);
    match tuning.rule {
        TuningRule::Forecast { spread, hold_s } => {
            let peaks = forecast(&tuning.model, seen, &view, now, spread)?;
            let cost = CostOfLoad::of(service, slo.latency.seconds(), f64::from(slo.bad_minute_cost.max(1)));
            let replicas = cost.replicas(&peaks, bounds);
            let room = service.capacity_of(replicas);
            let below = peaks.iter().filter(|peak| **peak <= room).count().clamp(1, peaks.len());
            let planned = peaks[below - 1];
            // The values are the middles of as many equal shares.
            let share = (below as f64 - 0.5) / peaks.len() as f64;
            Some(Tuned { replicas, median: peaks[peaks.len() / 2], planned: (planned, share), hold_s, lead_s: tuning.model.lead_s })
        }
        TuningRule::Present { utilisation, hold_s } => {
            let load = view.level(now.as_second())?;
            let replicas = bounds.clamp((load / service.capacity / utilisation).ceil() as u32);
            Some(Tuned { replicas, median: load, planned: (load / utilisation, 0.5), hold_s, lead_s: tuning.model.lead_s })
        }
    }
}
