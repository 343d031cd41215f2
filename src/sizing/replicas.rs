//! Outlook to replicas: the need at the lead time, escalated by what is seen already, held by hysteresis, inside the bounds. Every step is kept
//! in the basis, so that it can be explained.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::hysteresis::{hold_window, remember_need};
use super::margin::margin;
use super::startup::Lead;
use super::tuned::observed_kind;
use crate::domain::limits::{Bounds, Slo};
use crate::domain::memory::Headroom;
use crate::domain::outlook::{HORIZON_MINUTES, Outlook};
use crate::domain::plan::{CapacitySource, SizingBasis, SizingReason};
use crate::service::ServiceKind;

/// CPU utilisation that is planned for where no demand or no capacity is known, as an HPA's usual target.
const CPU_UTILIZATION: f64 = 0.7;
/// Share of what the ready replicas can serve from which slow answers mean too few of them.
const SATURATED_LOAD: f64 = 0.85;
/// Share of throttled periods from which slow answers mean too little CPU.
const SATURATED_THROTTLING: f64 = 0.25;
/// Share of failing requests from which more replicas are no cure: a failing dependency or release looks like this.
const FAILING: f64 = 0.5;
/// Factor on ready replicas when they are saturated: demand beyond what is served cannot be seen, so it is searched for.
const SATURATED_FACTOR: f64 = 1.3;
/// Within how many seconds waiting work is to be done, at least.
const DRAIN_S: f64 = 120.0;
/// However little is left of what was promised to work in a queue, seconds.
const LEAST_DRAIN_S: f64 = 60.0;
/// No count above this is computed; bounds are far below.
const MOST_REPLICAS: f64 = 1e6;

/// What a size is computed from: one target at one tick.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and no two of them make a state")]
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// When.
    pub at: Timestamp,
    /// `spec.replicas`.
    pub desired: u32,
    /// Ready replicas.
    pub ready: u32,
    /// Bounds of team and platform together.
    pub bounds: Bounds,
    /// What is promised.
    pub slo: Slo,
    /// Outlook of the load.
    pub outlook: Option<&'a Outlook>,
    /// Load now, if fresh, in the outlook's unit.
    pub load_now: Option<f64>,
    /// The load is CPU, in cores, for want of a demand signal.
    pub load_is_cpu: bool,
    /// Demand that callers are planned to send, units/s.
    pub from_callers: f64,
    /// Load that one replica serves.
    pub capacity: Option<f64>,
    /// Where that comes from.
    pub capacity_source: CapacitySource,
    /// Lead time.
    pub lead: Lead,
    /// Granted headroom that has not expired.
    pub headroom: Option<Headroom>,
    /// An announced surge begins within the outlook.
    pub surge_near: bool,
    /// Work waiting, items.
    pub queue: Option<f64>,
    /// Latency over the promised one.
    pub latency_ratio: Option<f64>,
    /// Share of requests that fail.
    pub errors: Option<f64>,
    /// Share of CPU periods throttled.
    pub throttling: Option<f64>,
    /// CPU over request of the ready pods, where known.
    pub cpu_utilization: Option<f64>,
    /// What is promised was kept until lately and is not now: answers are slow, or fail.
    pub degraded: bool,
    /// Too little of it was seen to size it.
    pub young: bool,
    /// What the rule says that a replay of the own past chose.
    pub tuned: Option<Tuned>,
}

/// What a tuned rule asks for now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// Replicas.
    pub replicas: u32,
    /// Load that the rule sees ahead, units/s: the median of its peak.
    pub median: f64,
    /// Load that these replicas are for, and the share of what may come that is below it.
    pub planned: (f64, f64),
    /// Seconds that a need is held after it was last seen.
    pub hold_s: u32,
    /// Seconds ahead that it looks.
    pub lead_s: u32,
}

/// A size with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Sized {
    /// Replicas to ask for.
    pub replicas: u32,
    /// What the median outlook needs.
    pub p50_need: u32,
    /// How it was reached.
    pub basis: SizingBasis,
}

/// The load that a target is planned for: its own outlook's peak over the lead, or its callers' planned calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Planned {
    pub load: f64,
    pub median: f64,
    pub quantile: f64,
    pub utilization: f64,
    pub lead_s: f64,
}

impl Situation<'_> {
    /// What is planned for; `None` where nothing is fresh or no outlook is known.
    pub(crate) fn planned(&self) -> Option<Planned> {
        let outlook = self.outlook.filter(|_| self.load_now.is_some())?;
        let granted = self.headroom.map_or(0.0, |h| f64::from(h.extra_lead_minutes) * 60.0);
        let lead_s = self.lead.total_s() + granted;
        // Up to the minute in which the next tick's decision would arrive.
        let minutes = (((lead_s + self.lead.tick_s) / 60.0).ceil() as usize).clamp(1, HORIZON_MINUTES);
        let median = outlook.peak(0, minutes, 0.5).max(self.from_callers);
        let mut margin = margin(&self.slo, median, self.capacity.unwrap_or(1.0));
        if self.load_is_cpu || self.capacity_source == CapacitySource::Unknown {
            margin.utilization = CPU_UTILIZATION;
        }
        let quantile = self.headroom.map_or(margin.quantile, |h| margin.quantile.max(f64::from(h.quantile_percent) / 100.0));
        let planned = outlook.peak(0, minutes, quantile).max(self.from_callers);
        Some(Planned { load: planned, median, quantile, utilization: margin.utilization, lead_s })
    }

    fn saturated(&self) -> bool {
        let slow = self.latency_ratio.is_some_and(|r| r > 1.0);
        let failing = self.errors.is_some_and(|e| e >= FAILING);
        let full = match (self.load_now.filter(|_| !self.load_is_cpu), self.capacity) {
            (Some(load), Some(capacity)) => load >= SATURATED_LOAD * capacity * f64::from(self.ready),
            _ => false,
        };
        let busy = self.cpu_utilization.is_some_and(|u| u >= SATURATED_LOAD) || self.throttling.is_some_and(|t| t >= SATURATED_THROTTLING);
        slow && !failing && (full || busy)
    }
}

/// Sizes one target. `needs` is what hysteresis looks back on; the need of now is added to it.
#[must_use]
pub fn size(situation: &Situation<'_>, needs: &mut VecDeque<(Timestamp, u32)>) -> Sized {
    let planned = situation.planned();
    let capacity = situation.capacity.filter(|c| c.is_finite() && *c > 0.0);
    let mut basis = SizingBasis {
        reason: SizingReason::NoData,
        demand_now: situation.load_now.filter(|_| !situation.load_is_cpu),
        demand_planned: planned.map(|p| p.load).filter(|_| !situation.load_is_cpu),
        quantile: planned.map_or(0.5, |p| p.quantile),
        lead_s: planned.map_or_else(|| situation.lead.total_s(), |p| p.lead_s),
        capacity_per_replica: capacity.filter(|_| !situation.load_is_cpu),
        capacity_source: situation.capacity_source,
        target_utilization: planned.map_or(CPU_UTILIZATION, |p| p.utilization),
        raw: None,
    };
    let desired = situation.desired;
    let (Some(planned), Some(capacity)) = (planned, capacity) else {
        // Nothing fresh, or nothing to size by: what is there stays, inside the bounds.
        let replicas = situation.bounds.clamp(desired);
        if situation.young && situation.load_now.is_some() {
            basis.reason = SizingReason::New;
        }
        return Sized { replicas, p50_need: replicas.min(desired), basis };
    };
    let each = capacity * planned.utilization;
    let need = |load: f64| (load / each).ceil().clamp(0.0, MOST_REPLICAS) as u32;
    // What was tuned knows this workload's own errors; what is announced or asked for besides is known to the outlook alone.
    let beside = situation.from_callers > 0.0 || situation.headroom.is_some() || situation.surge_near;
    let (forecast, median, hold) = match situation.tuned {
        Some(tuned) => {
            basis.demand_planned = Some(tuned.planned.0);
            basis.quantile = tuned.planned.1;
            basis.lead_s = f64::from(tuned.lead_s);
            basis.target_utilization = (tuned.planned.0 / (capacity * f64::from(tuned.replicas.max(1)))).min(1.0);
            let outlook = if beside { need(planned.load) } else { 0 };
            (tuned.replicas.max(outlook), tuned.median, SignedDuration::from_secs(i64::from(tuned.hold_s)))
        }
        None => (need(planned.load), planned.median, hold_window(situation.lead.startup_s)),
    };
    basis.reason = if situation.load_is_cpu || situation.capacity_source == CapacitySource::Unknown {
        SizingReason::CpuOnly
    } else {
        SizingReason::Forecast
    };
    let (raw, escalation) = escalated(situation, forecast, capacity, need);
    basis.reason = escalation.unwrap_or(basis.reason);
    basis.raw = Some(raw);
    let wanted = if situation.young && raw < desired {
        basis.reason = SizingReason::New;
        desired
    } else {
        let before = remember_need(needs, situation.at, raw, hold);
        // Whatever the cause, nobody takes capacity from a service that has just begun to break its promise.
        let before = if situation.degraded { before.max(desired) } else { before };
        let wanted = raw.max(before.min(desired));
        if wanted > raw {
            basis.reason = SizingReason::HeldHigh;
        }
        wanted
    };
    let replicas = situation.bounds.clamp(wanted);
    if replicas != wanted {
        basis.reason = SizingReason::Bounds;
    }
    let p50_need = situation.bounds.clamp(need(median)).min(replicas);
    Sized { replicas, p50_need, basis }
}

/// What is seen already and asks for more than the outlook does.
fn escalated(situation: &Situation<'_>, forecast: u32, capacity: f64, need: impl Fn(f64) -> u32) -> (u32, Option<SizingReason>) {
    let mut best = (forecast, None);
    let mut raise = |replicas: u32, reason| {
        if replicas > best.0 {
            best = (replicas, Some(reason));
        }
    };
    let now = situation.load_now.unwrap_or(0.0);
    // Who is tuned has seen the present already, and how much room it needs.
    let present = if situation.tuned.is_some() { (now / capacity).ceil().clamp(0.0, MOST_REPLICAS) as u32 } else { need(now) };
    raise(present, SizingReason::PresentDemand);
    // Work that waits is done beside what arrives, before twice a start-up has passed; where waiting itself is promised, in half of what is left of
    // the promise when new replicas are ready.
    let left_s = situation.slo.latency.seconds() - situation.lead.startup_s;
    let drain_s = match observed_kind(&situation.slo) {
        ServiceKind::Queue => (left_s / 2.0).max(LEAST_DRAIN_S),
        ServiceKind::HTTP => DRAIN_S.max(2.0 * situation.lead.startup_s),
    };
    let waiting = situation.queue.filter(|q| q.is_finite() && *q > 0.0 && !situation.load_is_cpu).unwrap_or(0.0);
    // What waits less than a second is no backlog but the way a queue looks.
    if waiting > capacity * f64::from(situation.ready) {
        raise(need(now + waiting / drain_s), SizingReason::Backlog);
    }
    if situation.saturated() {
        raise((f64::from(situation.ready) * SATURATED_FACTOR).ceil() as u32, SizingReason::Backlog);
    }
    best
}

#[cfg(test)]
#[path = "replicas_tests.rs"]
mod tests;
