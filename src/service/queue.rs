//! The queue in front of a service, one second at a time: first in, first out, to the unit.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{ServiceKind, ServiceSpec};

/// Parts of a second looked at one by one when waits come near the time-out.
const PARTS_NEAR_TIMEOUT: f64 = 20.0;

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
        let early = self.give_up(spec, second as f64);
        if arrivals > 0 {
            self.cohorts.push_back(Cohort { second, arrived: arrivals, gone: 0 });
            self.waiting += arrivals;
        }
        let (served, late) = self.serve(spec, second, replicas, rate, &mut on_served);
        let lost = early + late;
        self.totals.arrived += arrivals;
        self.totals.served += served;
        self.totals.lost += lost;
        Second { arrived: arrivals, served, lost }
    }

    /// Those whose wait has passed the time-out by `moment` are lost.
    fn give_up(&mut self, spec: &ServiceSpec, moment: f64) -> u64 {
        let mut lost = 0;
        if spec.kind == ServiceKind::Queue {
            return lost;
        }
        while let Some(cohort) = self.cohorts.front_mut() {
            let overdue = moment - spec.timeout_s - cohort.second as f64;
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

    /// Serves what one second's work allows; gives how many were served, and how many gave up before their turn within the second.
    fn serve(&mut self, spec: &ServiceSpec, second: u64, replicas: u32, rate: f64, on_served: &mut impl FnMut(Served)) -> (u64, u64) {
        let idle = self.idle;
        // Unit `position` of this second's work begins when the fluid has drained so far; idle replicas begin at once.
        let began = |position: u64| second as f64 + ((position as f64 - idle) / rate.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        let mut budget = idle + rate.max(0.0);
        let (mut done, mut lost) = (0u64, 0u64);
        while budget >= 1.0 {
            lost += self.give_up(spec, began(done));
            let Some(cohort) = self.cohorts.front_mut() else { break };
            let came = |unit: u64| cohort.second as f64 + unit as f64 / cohort.arrived as f64;
            let first_wait_s = (began(done) - came(cohort.gone)).max(0.0);
            let mut units = (cohort.arrived - cohort.gone).min(budget as u64);
            if spec.kind == ServiceKind::HTTP && first_wait_s + 1.0 > spec.timeout_s {
                // Near the time-out it matters within the second who gives up before whom.
                units = units.min((rate / PARTS_NEAR_TIMEOUT).ceil() as u64).max(1);
            }
            let part = Served { units, first_wait_s, last_wait_s: (began(done + units) - came(cohort.gone + units)).max(0.0) };
            self.totals.wait_s += f64::midpoint(part.first_wait_s, part.last_wait_s) * units as f64;
            on_served(part);
            done += units;
            budget -= units as f64;
            cohort.gone += units;
            self.waiting -= units;
            if cohort.gone == cohort.arrived {
                self.cohorts.pop_front();
            }
        }
        self.idle = budget.min(f64::from(replicas));
        (done, lost)
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
        assert!(longest <= spec.timeout_s + 0.1, "the last to be served waited {longest} s");
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

    /// The same service request by request: each takes the replica that is free first, in the order of arrival, unless it gives up before.
    fn event_by_event(spec: &ServiceSpec, arrivals: &[u64], replicas: usize) -> Totals {
        let mut free_at = vec![0.0f64; replicas];
        let mut totals = Totals::default();
        for (second, count) in arrivals.iter().enumerate() {
            for unit in 0..*count {
                let came = second as f64 + unit as f64 / *count as f64;
                let next = (0..replicas).min_by(|a, b| free_at[*a].total_cmp(&free_at[*b])).unwrap();
                let wait = (free_at[next] - came).max(0.0);
                totals.arrived += 1;
                if wait > spec.timeout_s {
                    totals.lost += 1;
                } else {
                    free_at[next] = came + wait + 1.0 / spec.capacity;
                    totals.served += 1;
                    totals.wait_s += wait;
                }
            }
        }
        totals
    }

    #[test]
    fn it_agrees_with_a_simulation_of_each_request() {
        // 50 % and 90 % load for half an hour; 120 % for five minutes, with and without time-outs; and quiet after each, until all is served.
        let patient = ServiceSpec { timeout_s: 600.0, ..web() };
        for (spec, load, loaded_s) in [(web(), 0.5, 1800), (web(), 0.9, 1800), (patient, 1.2, 300), (web(), 1.2, 300)] {
            let replicas = 4;
            let mut rng = ChaCha8Rng::seed_from_u64(11);
            let rate = load * spec.capacity * f64::from(replicas);
            let arrivals: Vec<u64> = (0..loaded_s + 300).map(|s| poisson(&mut rng, if s < loaded_s { rate } else { 0.0 })).collect();
            let (queue, _) = run(&spec, arrivals.iter().map(|count| (*count, replicas)));
            let (found, exact) = (queue.totals(), event_by_event(&spec, &arrivals, replicas as usize));
            let latency = |totals: &Totals| spec.base_latency_s + totals.wait_s / totals.served as f64;
            let apart = (latency(found) / latency(&exact) - 1.0).abs();
            assert!(apart < 0.02, "latency at {load}: {} and {}", latency(found), latency(&exact));
            let lost = (found.lost as f64 - exact.lost as f64).abs() / exact.arrived as f64;
            assert!(lost < 0.02, "lost at {load}: {} and {}", found.lost, exact.lost);
        }
    }
}
