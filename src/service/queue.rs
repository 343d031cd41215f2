//! The queue in front of a service, one second at a time: first in, first out, to the unit.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{ServiceKind, ServiceSpec};

/// Work that waits, and what came of the work so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkQueue {
    cohorts: VecDeque<Cohort>,
    waiting: u64,
    /// Units that idle replicas could begin at once: at most one for each.
    idle: f64,
    totals: Totals,
}

/// What arrived in one second: unit `j` of `n` came at `second + j/n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cohort {
    second: u64,
    arrived: u64,
    /// Served or lost already, from the front.
    gone: u64,
}

/// Sums over all seconds so far. `arrived = served + lost + waiting`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Units that came.
    pub arrived: u64,
    /// Units that were served.
    pub served: u64,
    /// Units that gave up.
    pub lost: u64,
    /// Waits of all served units added up, seconds.
    pub wait_s: f64,
}

/// What one second brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Units that came.
    pub arrived: u64,
    /// Units that were served.
    pub served: u64,
    /// Units that gave up.
    pub lost: u64,
}

/// Units of one arrival second that were served in one second; their waits lie evenly between the first's and the last's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Served {
    /// How many.
    pub units: u64,
    /// Wait of the first, seconds.
    pub first_wait_s: f64,
    /// Wait of the last, seconds.
    pub last_wait_s: f64,
}

impl WorkQueue {
    /// Units that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Sums so far.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Lets one second pass: `arrivals` come, `replicas` ready replicas serve `rate` units/s together. `on_served` hears of everything served, in
    /// order. Seconds are given in order.
    pub fn step(
        &mut self,
        spec: &ServiceSpec,
        second: u64,
        arrivals: u64,
        replicas: u32,
        rate: f64,
        mut on_served: impl FnMut(Served),
    ) -> Second {
        let lost = self.give_up(spec, second);
        if arrivals > 0 {
            self.cohorts.push_back(Cohort { second, arrived: arrivals, gone: 0 });
            self.waiting += arrivals;
        }
        let served = self.serve(second, replicas, rate, &mut on_served);
        self.totals.arrived += arrivals;
        self.totals.served += served;
        self.totals.lost += lost;
        Second { arrived: arrivals, served, lost }
    }

    /// Those whose wait has passed the time-out by the beginning of `second` are lost.
    fn give_up(&mut self, spec: &ServiceSpec, second: u64) -> u64 {
        let mut lost = 0;
        if spec.kind == ServiceKind::Queue {
            return lost;
        }
        while let Some(cohort) = self.cohorts.front_mut() {
            let overdue = second as f64 - spec.timeout_s - cohort.second as f64;
            if overdue <= 0.0 {
                break;
            }
            let gone = ((cohort.arrived as f64 * overdue) as u64).clamp(cohort.gone, cohort.arrived);
            lost += gone - cohort.gone;
            cohort.gone = gone;
            if gone < cohort.arrived {
                break;
            }
            self.cohorts.pop_front();
        }
        self.waiting -= lost;
        lost
    }

    fn serve(&mut self, second: u64, replicas: u32, rate: f64, on_served: &mut impl FnMut(Served)) -> u64 {
        let idle = self.idle;
        let mut budget = idle + rate.max(0.0);
        let mut done = 0u64;
        while budget >= 1.0
            && let Some(cohort) = self.cohorts.front_mut()
        {
            let units = (cohort.arrived - cohort.gone).min(budget as u64);
            // Unit `position` of this second's work begins when the fluid has drained so far; idle replicas begin at once.
            let began = |position: u64| second as f64 + ((position as f64 - idle) / rate.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
            let came = |unit: u64| cohort.second as f64 + unit as f64 / cohort.arrived as f64;
            let part = Served {
                units,
                first_wait_s: (began(done) - came(cohort.gone)).max(0.0),
                last_wait_s: (began(done + units) - came(cohort.gone + units)).max(0.0),
            };
            self.totals.wait_s += f64::midpoint(part.first_wait_s, part.last_wait_s) * units as f64;
            on_served(part);
            done += units;
            budget -= units as f64;
            cohort.gone += units;
            if cohort.gone == cohort.arrived {
                self.cohorts.pop_front();
            }
        }
        self.waiting -= done;
        self.idle = budget.min(f64::from(replicas));
        done
    }
}

#[cfg(test)]
mod tests {
    use super::super::{poisson, tests::web};
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Steps a queue through `(arrivals, replicas)` and returns it with the time-weighted sum of the queue's length.
    fn run(spec: &ServiceSpec, seconds: impl IntoIterator<Item = (u64, u32)>) -> (WorkQueue, f64) {
        let (mut queue, mut area) = (WorkQueue::default(), 0.0);
        for (second, (arrivals, replicas)) in seconds.into_iter().enumerate() {
            let mut told = 0;
            let before = queue.waiting();
            let passed =
                queue.step(spec, second as u64, arrivals, replicas, spec.capacity * f64::from(replicas), |part| told += part.units);
            assert_eq!(told, passed.served, "everything served was told of");
            let totals = queue.totals();
            assert_eq!(totals.arrived, totals.served + totals.lost + queue.waiting(), "nothing is lost from sight");
            area += (before + queue.waiting()) as f64 / 2.0;
        }
        (queue, area)
    }

    proptest! {
        #[test]
        fn what_came_was_served_or_lost_or_waits(seconds in proptest::collection::vec((0u64..400, 0u32..6), 1..200), timeout in 0.2f64..20.0) {
            run(&ServiceSpec { timeout_s: timeout, ..web() }, seconds);
        }
    }

    #[test]
    fn littles_law_holds() {
        // Load rises to 1.2 of capacity for five minutes, then the backlog drains: mean queue = throughput x mean wait.
        let spec = ServiceSpec { kind: ServiceKind::Queue, ..web() };
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let load = (0..3600).map(|second| if (600..900).contains(&second) { 240.0 } else { 160.0 });
        let (queue, area) = run(&spec, load.map(|rate| (poisson(&mut rng, rate), 4)).collect::<Vec<_>>());
        assert_eq!(queue.waiting(), 0);
        let share = queue.totals().wait_s / area;
        assert!((share - 1.0).abs() < 0.02, "sum of waits over the queue's area is {share}");
    }

    #[test]
    fn an_unloaded_service_adds_no_wait() {
        let (queue, _) = run(&web(), vec![(100, 4); 600]);
        assert_eq!(queue.totals().wait_s, 0.0);
        assert_eq!(queue.totals().lost, 0);
    }

    #[test]
    fn nobody_waits_longer_than_the_time_out() {
        let spec = web();
        let mut queue = WorkQueue::default();
        let mut longest: f64 = 0.0;
        for second in 0..60 {
            queue.step(&spec, second, 100, 1, 50.0, |part| longest = longest.max(part.first_wait_s.max(part.last_wait_s)));
        }
        assert!(longest <= spec.timeout_s + 1.0, "the last to be served waited {longest} s");
        assert!(queue.totals().lost > 2000 && queue.waiting() <= 400, "{:?}", queue.totals());
    }

    #[test]
    fn slow_replicas_begin_at_once_when_idle_and_serve_their_rate_after() {
        // Two replicas that take four seconds a unit: two begin at once, then one every two seconds.
        let spec = ServiceSpec { kind: ServiceKind::Queue, capacity: 0.25, ..web() };
        let arrivals = (0..20).map(|second| (if second == 10 { 5 } else { 0 }, 2));
        let (queue, _) = run(&spec, arrivals);
        assert_eq!(queue.waiting(), 0);
        let (early, _) = run(&spec, (0..11).map(|second| (if second == 10 { 5 } else { 0 }, 2)));
        assert_eq!(early.totals().served, 2);
    }

    #[test]
    fn without_replicas_everything_waits() {
        let spec = ServiceSpec { kind: ServiceKind::Queue, ..web() };
        let (queue, _) = run(&spec, vec![(7, 0); 10]);
        assert_eq!(queue.waiting(), 70);
    }
}
