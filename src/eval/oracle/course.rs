//! What the search needs to know of a service: what a step brings for a backlog and a number of replicas.

use std::cell::Cell;

use crate::service::replay::{Fluid, Noise};
use crate::service::{Lost, Passed, ServiceKind, ServiceSpec, WorkQueue};

/// Seconds for which noise builds up when only the rate is known: what is judged as a whole is a minute.
const NOISE_S: f64 = 60.0;
/// Fewer bad units than this in a step are none.
const NO_UNITS: f64 = 1e-6;

/// A stretch of demand in equal steps. The backlog (units that wait, less those that idle replicas could begin at once) is all that one step
/// leaves to the next, and less of it is never worse.
pub(super) trait Course {
    /// Whether a replica that has just become ready begins a unit at once, whatever waits.
    const BEGINS_AT_ONCE: bool;

    /// How many steps there are.
    fn steps(&self) -> usize;

    /// Seconds of one.
    fn step_s(&self) -> u32;

    /// The backlog with which a step begins when so many replicas serve in it and so many did in the one before.
    fn scaled(&self, backlog: f64, before: u32, replicas: u32) -> f64;

    /// The backlog after a step, and how many units were answered too late, or lost, in it. Of the replicas `joined` have just become ready.
    fn serve(&self, step: usize, replicas: u32, backlog: f64, joined: u32) -> (f64, f64);

    /// For how many steps from this one on a further replica would change nothing: nobody waits, and all replicas are idle after each.
    fn ease(&self, step: usize, replicas: u32, backlog: f64) -> usize;

    /// Units that wait before a step and have waited too long already.
    fn overdue(&self, step: usize, backlog: f64) -> f64;

    /// What has come before a step, less what so many replicas could have served: backlogs change as this does while replicas are busy.
    fn drift(&self, step: usize, replicas: u32) -> f64;
}

/// Known arrivals, second by second, through the simulator's queue.
#[derive(Debug)]
pub(super) struct Seconds<'a> {
    service: &'a ServiceSpec,
    wait_s: f64,
    arrivals: &'a [u32],
    /// Units that came before each second, and in all.
    before: Vec<u64>,
    /// Units/s by the number of replicas.
    rates: Vec<f64>,
    /// The next second in which more come than so many replicas serve, as far as the search has come.
    next_over: Vec<Cell<usize>>,
}

impl<'a> Seconds<'a> {
    pub(super) fn new(service: &'a ServiceSpec, slo_latency_s: f64, arrivals: &'a [u32], most: u32) -> Self {
        let mut before = vec![0];
        let mut sum = 0;
        before.extend(arrivals.iter().map(|units| {
            sum += u64::from(*units);
            sum
        }));
        let rates = (0..=most).map(|replicas| service.capacity_of(replicas)).collect();
        Self {
            service,
            wait_s: service.wait_within(slo_latency_s),
            arrivals,
            before,
            rates,
            next_over: vec![Cell::new(0); most as usize + 1],
        }
    }

    /// The queue before a second, rebuilt from who came.
    fn queue(&self, second: usize, replicas: u32, backlog: f64) -> WorkQueue {
        let newest_first = (0..second).rev().map(|came| (came as u64, u64::from(self.arrivals[came])));
        WorkQueue::resume(newest_first, backlog, replicas)
    }

    /// The second in which unit `number` came; it came before `second`.
    fn came(&self, second: usize, number: u64) -> usize {
        let near = second.saturating_sub(4);
        if self.before[near] <= number {
            return (near..second).rev().find(|at| self.before[*at] <= number).unwrap_or(near);
        }
        self.before[..near].partition_point(|before| *before <= number) - 1
    }

    /// As the queue serves, where nobody gives up.
    fn late(&self, second: usize, rate: f64, waiting: u64, idle: f64) -> f64 {
        let all = waiting + u64::from(self.arrivals[second]);
        let served = all.min((idle + rate) as u64);
        let began = |position: u64| second as f64 + ((position as f64 - idle) / rate).clamp(0.0, 1.0);
        let mut number = self.before[second] - waiting;
        let mut at = if waiting > 0 { self.came(second, number) } else { second };
        let (mut done, mut late) = (0u64, 0u64);
        while done < served {
            let arrived = u64::from(self.arrivals[at]);
            let gone = number - self.before[at];
            let units = (arrived - gone).min(served - done);
            if units > 0 {
                let came = |unit: u64| at as f64 + unit as f64 / arrived as f64;
                let first_wait_s = (began(done) - came(gone)).max(0.0);
                let last_wait_s = (began(done + units) - came(gone + units)).max(0.0);
                late += crate::service::Served { units, first_wait_s, last_wait_s }.late(self.wait_s);
            }
            done += units;
            number += units;
            at += 1;
        }
        late as f64
    }

    /// Whether somebody may give up in this second.
    fn is_near_timeout(&self, second: usize, waiting: u64) -> bool {
        if self.service.kind == ServiceKind::Queue {
            return false;
        }
        // The first who waits began to wait so many seconds ago at most; the queue looks closer from a second before the time-out on.
        let head = if waiting > 0 { self.came(second, self.before[second] - waiting) } else { second };
        (second - head) as f64 + 2.0 > self.service.timeout_s
    }

    fn pass(&self, second: usize, replicas: u32, backlog: f64, joined: u32) -> (f64, f64) {
        let mut queue = self.queue(second, replicas - joined, backlog + f64::from(joined));
        let mut bad = 0;
        let rate = self.rates[replicas as usize];
        queue.pass(self.service, second as u64, u64::from(self.arrivals[second]), replicas, rate, |passed| match passed {
            Passed::Served(served) => bad += served.late(self.wait_s),
            Passed::Lost(Lost { units, .. }) => bad += units,
        });
        (queue.backlog(), bad as f64)
    }
}

impl Course for Seconds<'_> {
    const BEGINS_AT_ONCE: bool = true;

    fn steps(&self) -> usize {
        self.arrivals.len()
    }

    fn step_s(&self) -> u32 {
        1
    }

    fn scaled(&self, backlog: f64, before: u32, replicas: u32) -> f64 {
        // A replica that has just become ready is idle and begins a unit at once; one that goes begins none.
        (backlog - f64::from(replicas.saturating_sub(before))).max(-f64::from(replicas))
    }

    fn serve(&self, step: usize, replicas: u32, backlog: f64, joined: u32) -> (f64, f64) {
        let rate = self.rates[replicas as usize];
        let after = (backlog + f64::from(self.arrivals[step]) - rate).max(-f64::from(replicas));
        let waiting = (backlog + f64::from(joined)).max(0.0).ceil();
        if waiting <= 0.0 && after + 1.0 <= self.wait_s * rate && self.service.timeout_s > 2.0 {
            return (after, 0.0);
        }
        if rate <= 0.0 || self.is_near_timeout(step, waiting as u64) {
            return self.pass(step, replicas, backlog, joined);
        }
        (after, self.late(step, rate, waiting as u64, waiting - backlog))
    }

    fn ease(&self, step: usize, replicas: u32, backlog: f64) -> usize {
        let rate = self.rates[replicas as usize];
        if self.wait_s < 0.0 || backlog > 0.0 || backlog + f64::from(self.arrivals[step]) - rate > -f64::from(replicas) {
            return 0;
        }
        let next = &self.next_over[replicas as usize];
        if next.get() <= step {
            let over = self.arrivals[step + 1..].iter().position(|units| f64::from(*units) > rate);
            next.set(over.map_or(self.arrivals.len(), |ahead| step + 1 + ahead));
        }
        next.get() - step
    }

    fn overdue(&self, step: usize, backlog: f64) -> f64 {
        if backlog <= 0.0 { 0.0 } else { self.queue(step, 0, backlog).overdue(step as u64, self.wait_s) as f64 }
    }

    fn drift(&self, step: usize, replicas: u32) -> f64 {
        self.before[step] as f64 - self.rates[replicas as usize] * step as f64
    }
}

/// A known rate, and what noise makes of it on average.
#[derive(Debug)]
pub(super) struct Rates<'a> {
    service: &'a ServiceSpec,
    fluid: Fluid,
    step_s: u32,
}

impl<'a> Rates<'a> {
    pub(super) fn new(service: &'a ServiceSpec, fluid: Fluid, step_s: u32) -> Self {
        Self { service, fluid, step_s }
    }
}

impl Course for Rates<'_> {
    const BEGINS_AT_ONCE: bool = false;

    fn steps(&self) -> usize {
        self.fluid.steps()
    }

    fn step_s(&self) -> u32 {
        self.step_s
    }

    fn scaled(&self, backlog: f64, _before: u32, _replicas: u32) -> f64 {
        backlog
    }

    fn serve(&self, step: usize, replicas: u32, backlog: f64, _joined: u32) -> (f64, f64) {
        let (rate, capacity) = (self.fluid.rate(step), self.service.capacity_of(replicas));
        let flow = self.fluid.pass(step, backlog, capacity * f64::from(self.step_s));
        let noise = Noise::default().after(rate, capacity, NOISE_S);
        let share = noise.late_share(rate, f64::from(replicas), 0.0, self.fluid.bearable(step, 0.0, capacity));
        (flow.backlog, flow.late + flow.lost + (flow.served - flow.late) * share)
    }

    fn ease(&self, step: usize, replicas: u32, backlog: f64) -> usize {
        usize::from(backlog <= 0.0 && self.serve(step, replicas, backlog, 0) <= (0.0, NO_UNITS))
    }

    fn overdue(&self, step: usize, backlog: f64) -> f64 {
        self.fluid.overdue(step, backlog)
    }

    fn drift(&self, step: usize, replicas: u32) -> f64 {
        self.fluid.arrived_within(step, f64::INFINITY) - self.service.capacity_of(replicas) * step as f64 * f64::from(self.step_s)
    }
}
