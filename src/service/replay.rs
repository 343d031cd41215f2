//! One workload's past once more under any replica policy: what would have been served, bad and paid. The floor chooses its own margins by it every
//! night, and the HPA's settings are tuned by it.
//!
//! [`replay`] knows rates alone and is fast: a fluid at steps of fifteen seconds, and what the noise of single seconds does to waits in closed
//! form, so that a week takes milliseconds. [`replay_exactly`] steps the queue of the simulator second by second through given arrivals. Both see
//! replicas alike. Left out: nodes, faults, callers that come back, and how start-up times differ.

mod exact;
mod fleet;
mod fluid;
mod noise;

pub use exact::{ExactReplay, replay_exactly};
pub use fleet::{COLD_WITHIN_S, Fleet};
pub use fluid::{Flow, Fluid};
pub use noise::Noise;

use super::{ServiceSpec, Tally};
use crate::domain::limits::Bounds;

/// Seconds between two looks of a policy.
pub const STEP_S: u32 = 15;

/// A workload and its past.
#[derive(Clone, Debug)]
pub struct ReplaySpec<'a> {
    /// How it serves, as far as is known.
    pub service: &'a ServiceSpec,
    /// A unit that is answered later than this is bad, seconds (`Queue`: that waited longer).
    pub slo_latency_s: f64,
    /// Seconds from launch to ready.
    pub startup_s: u32,
    /// Replicas it may have.
    pub bounds: Bounds,
    /// Units/s that were offered, one value for each `step_s` seconds; what is not a number or negative is nothing.
    pub rates: &'a [f32],
    /// Seconds for which a value holds; a policy looks every [`STEP_S`] seconds, or each step where steps are shorter.
    pub step_s: u32,
    /// Ready replicas at the beginning.
    pub start_replicas: u32,
}

/// What a policy sees: nothing of what is to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplaySight {
    /// Seconds since the beginning.
    pub at_s: u32,
    /// `spec.replicas`.
    pub desired: u32,
    /// Replicas that serve.
    pub ready: u32,
    /// Replicas that were launched and do not serve yet.
    pub starting: u32,
    /// Units/s offered over the last minute.
    pub rate: f64,
    /// Share of the ready replicas' capacity that was used in the last step, 0 to 1.
    pub utilisation: f64,
    /// Cores that ready replicas used in the last step, all together.
    pub cores: f64,
    /// Units that wait.
    pub waiting: f64,
}

/// What the past would have come to under `policy`, which is asked for `spec.replicas` at each step.
pub fn replay(spec: &ReplaySpec<'_>, policy: &mut dyn FnMut(&ReplaySight) -> u32) -> Tally {
    let service = spec.service;
    let step_s = spec.step_s.clamp(1, STEP_S);
    let seconds = f64::from(step_s);
    let fluid = Fluid::new(service, spec.slo_latency_s, rates_by_step(spec.rates, spec.step_s, step_s), step_s);
    let mut fleet = Fleet::new(spec.start_replicas, spec.startup_s, spec.bounds);
    let mut counter = Counter::default();
    let mut noise = Noise::default();
    let mut backlog = 0.0;
    let mut served_s = if fluid.steps() > 0 { fluid.rate(0) } else { 0.0 };
    for step in 0..fluid.steps() {
        let at = step as u32 * step_s;
        fleet.begin(at);
        let ready = fleet.ready();
        let capacity = service.capacity_of(ready);
        let looked_back_s = f64::from(at.clamp(step_s, 60));
        let sight = ReplaySight {
            at_s: at,
            desired: fleet.desired(),
            ready,
            starting: fleet.starting(),
            rate: if step == 0 { fluid.rate(0) } else { fluid.arrived_within(step, looked_back_s) / looked_back_s },
            utilisation: if capacity > 0.0 { (served_s / capacity).min(1.0) } else { 0.0 },
            cores: service.cpu(served_s, ready),
            waiting: backlog,
        };
        fleet.set(at, policy(&sight));
        let serving = fleet.pass(at, step_s) / seconds;
        let capacity = capacity_of(service, serving);
        let rate = fluid.rate(step);
        let flow = fluid.pass(step, backlog, capacity * seconds);
        noise = noise.after(rate, capacity, seconds).without(flow.lost);
        let least = backlog.min(flow.backlog);
        let by_noise = (flow.served - flow.late) * noise.late_share(rate, serving, least, fluid.bearable(step, least, capacity));
        backlog = flow.backlog;
        counter.add(&flow, by_noise, step_s);
        served_s = flow.served / seconds;
    }
    counter.tally(&fluid, backlog, *fleet.counts())
}

/// Units/s of each step of `step_s` seconds, from values that hold for `hold_s` each.
pub fn rates_by_step(rates: &[f32], hold_s: u32, step_s: u32) -> impl Iterator<Item = f64> {
    let hold_s = u64::from(hold_s.max(1));
    let count = rates.len() as u64 * hold_s / u64::from(step_s.max(1));
    (0..count).map(move |step| {
        let rate = f64::from(rates[(step * u64::from(step_s) / hold_s) as usize]);
        if rate.is_finite() { rate.max(0.0) } else { 0.0 }
    })
}

/// Units/s that so many replicas serve, where one of them may serve for a part of the time.
fn capacity_of(service: &ServiceSpec, serving: f64) -> f64 {
    let (less, part) = (serving.floor(), serving.fract());
    let fewer = service.capacity_of(less as u32);
    if part > 0.0 { fewer + (service.capacity_of(less as u32 + 1) - fewer) * part } else { fewer }
}

/// Sums of what steps brought.
#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    served: f64,
    lost: f64,
    bad: f64,
    /// Bad units, units and seconds of the minute that runs.
    minute: (f64, f64, u32),
    bad_minutes: u32,
    bad_run_s: u32,
    longest_bad_s: u32,
}

impl Counter {
    fn add(&mut self, flow: &Flow, by_noise: f64, step_s: u32) {
        let bad = flow.late + flow.lost + by_noise;
        self.served += flow.served;
        self.lost += flow.lost;
        self.bad += bad;
        // Bad each second, as far as a mean can tell.
        self.bad_run_s = if bad >= f64::from(step_s) { self.bad_run_s + step_s } else { 0 };
        self.longest_bad_s = self.longest_bad_s.max(self.bad_run_s);
        self.minute = (self.minute.0 + bad, self.minute.1 + flow.served + flow.lost, self.minute.2 + step_s);
        if self.minute.2 >= 60 {
            self.bad_minutes += u32::from(2.0 * self.minute.0 > self.minute.1);
            self.minute = (0.0, 0.0, 0);
        }
    }

    fn tally(&self, fluid: &Fluid, backlog: f64, counts: Tally) -> Tally {
        let overdue = fluid.overdue(fluid.steps(), backlog);
        Tally {
            arrived: fluid.total().round() as u64,
            served: self.served.round() as u64,
            lost: self.lost.round() as u64,
            bad: (self.bad + overdue).round() as u64,
            bad_minutes: self.bad_minutes,
            longest_bad_s: self.longest_bad_s,
            ..counts
        }
    }
}

#[cfg(test)]
mod tests;
