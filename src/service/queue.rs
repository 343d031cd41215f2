//! The queue in front of a service, one second at a time: first in, first out, to the unit.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{ServiceKind, ServiceSpec};

/// Parts of a second looked at one by one when waits come near the time-out.
const PARTS_NEAR_TIMEOUT: f64 = 20.0;

/// Where a replica serves fewer units/s than this it is looked at by itself, unit by unit: there the second in which it ends one matters, and
/// there are few units.
const SLOW: f64 = 2.0;

/// Whether replicas that serve `rate` units/s together are looked at unit by unit: then it matters, beside who waits, when each is free again.
#[must_use]
pub fn is_slow(rate: f64, replicas: u32) -> bool {
    rate < SLOW * f64::from(replicas)
}

/// Work that waits, and what came of the work so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkQueue {
    cohorts: VecDeque<Cohort>,
    waiting: u64,
    /// Units that idle replicas could begin at once: at most one for each.
    idle: f64,
    /// Ready replicas of the last second.
    replicas: u32,
    /// When each replica is free for its next unit, in order; of slow replicas alone.
    free: VecDeque<f64>,
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

/// Units of one arrival second that gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The second in which they came.
    pub second: u64,
    /// How many.
    pub units: u64,
}

/// What became of some units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Passed {
    /// They were served.
    Served(Served),
    /// They gave up.
    Lost(Lost),
}

impl Served {
    /// How many of them waited longer than `limit_s`.
    #[must_use]
    pub fn late(&self, limit_s: f64) -> u64 {
        let slope = (self.last_wait_s - self.first_wait_s) / self.units as f64;
        // Unit `i` waited `first + i * slope`.
        let turn = (limit_s - self.first_wait_s) / slope;
        if self.first_wait_s > limit_s && self.last_wait_s > limit_s {
            self.units
        } else if self.first_wait_s <= limit_s && self.last_wait_s <= limit_s {
            0
        } else if slope > 0.0 {
            self.units - self.units.min(turn.floor() as u64 + 1)
        } else {
            self.units.min(turn.ceil() as u64)
        }
    }
}

impl WorkQueue {
    /// A queue as it stands before a second. As it is first in, first out, `backlog` alone says who waits: the last of those who came, given by
    /// `newest_first` as `(second, units)`. `replicas` were ready in the second before.
    pub fn resume(newest_first: impl Iterator<Item = (u64, u64)>, backlog: f64, replicas: u32) -> Self {
        let waiting = backlog.max(0.0).ceil();
        let mut queue = Self { idle: waiting - backlog, replicas, ..Self::default() };
        for (second, arrived) in newest_first {
            let missing = waiting as u64 - queue.waiting;
            if missing == 0 {
                break;
            }
            if arrived > 0 {
                let here = missing.min(arrived);
                queue.cohorts.push_front(Cohort { second, arrived, gone: arrived - here });
                queue.waiting += here;
            }
        }
        queue
    }

    /// Units that wait, less those that idle replicas could begin at once: with those who came and the ready replicas, all that the future of a
    /// queue depends on, where replicas are not slow.
    #[must_use]
    pub fn backlog(&self) -> f64 {
        self.waiting as f64 - self.idle
    }

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

    /// Units that have waited longer than `limit_s` at `moment` and still do.
    #[must_use]
    pub fn overdue(&self, moment: u64, limit_s: f64) -> u64 {
        let mut overdue = 0;
        for cohort in &self.cohorts {
            let over = moment as f64 - limit_s - cohort.second as f64;
            if over <= 0.0 {
                break;
            }
            overdue += ((cohort.arrived as f64 * over).ceil() as u64).clamp(cohort.gone, cohort.arrived) - cohort.gone;
        }
        overdue
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
        self.pass(spec, second, arrivals, replicas, rate, |passed| {
            if let Passed::Served(served) = passed {
                on_served(served);
            }
        })
    }

    /// As [`WorkQueue::step`]; `told` hears of what gave up, too.
    pub fn pass(
        &mut self,
        spec: &ServiceSpec,
        second: u64,
        arrivals: u64,
        replicas: u32,
        rate: f64,
        mut told: impl FnMut(Passed),
    ) -> Second {
        let early = self.give_up(spec, second as f64, &mut told);
        if arrivals > 0 {
            self.cohorts.push_back(Cohort { second, arrived: arrivals, gone: 0 });
            self.waiting += arrivals;
        }
        // A replica that has just become ready is idle: it begins a unit at once. One that went takes none.
        self.idle = (self.idle + f64::from(replicas.saturating_sub(self.replicas))).min(f64::from(replicas));
        self.replicas = replicas;
        let (served, late) = if rate <= 0.0 {
            (0, 0)
        } else if is_slow(rate, replicas) {
            self.serve_each(spec, second, replicas, rate, &mut told)
        } else {
            self.free.clear();
            self.serve(spec, second, rate, &mut told)
        };
        self.idle = self.idle.min(f64::from(replicas));
        let lost = early + late;
        self.totals.arrived += arrivals;
        self.totals.served += served;
        self.totals.lost += lost;
        Second { arrived: arrivals, served, lost }
    }

    /// Those whose wait has passed the time-out by `moment` are lost.
    fn give_up(&mut self, spec: &ServiceSpec, moment: f64, told: &mut impl FnMut(Passed)) -> u64 {
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
            if gone > cohort.gone {
                lost += gone - cohort.gone;
                told(Passed::Lost(Lost { second: cohort.second, units: gone - cohort.gone }));
            }
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
    fn serve(&mut self, spec: &ServiceSpec, second: u64, rate: f64, told: &mut impl FnMut(Passed)) -> (u64, u64) {
        let idle = self.idle;
        // Unit `position` of this second's work begins when the fluid has drained so far; idle replicas begin at once.
        let began = |position: u64| second as f64 + ((position as f64 - idle) / rate).clamp(0.0, 1.0);
        let mut budget = idle + rate;
        let (mut done, mut lost) = (0u64, 0u64);
        while budget >= 1.0 {
            lost += self.give_up(spec, began(done), told);
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
            told(Passed::Served(part));
            done += units;
            budget -= units as f64;
            cohort.gone += units;
            self.waiting -= units;
            if cohort.gone == cohort.arrived {
                self.cohorts.pop_front();
            }
        }
        self.idle = budget;
        (done, lost)
    }

    /// As `serve`, unit by unit: the first that waits takes the replica that is free first, and keeps it for as long as a unit takes.
    fn serve_each(&mut self, spec: &ServiceSpec, second: u64, replicas: u32, rate: f64, told: &mut impl FnMut(Passed)) -> (u64, u64) {
        let unit_s = f64::from(replicas) / rate;
        self.idle = 0.0;
        while self.free.len() < replicas as usize {
            self.insert_free(second as f64);
        }
        while self.free.len() > replicas as usize {
            // Neither the one that is free first nor the one that is free last: who goes is not chosen by that.
            self.free.remove(self.free.len() / 2);
        }
        let (mut done, mut lost) = (0, 0);
        while let (Some(cohort), Some(next)) = (self.cohorts.front(), self.free.front()) {
            let came = cohort.second as f64 + cohort.gone as f64 / cohort.arrived as f64;
            let begins = next.max(came).max(second as f64);
            if begins >= (second + 1) as f64 {
                break;
            }
            let gave_up = self.give_up(spec, begins, told);
            if gave_up > 0 {
                lost += gave_up;
                continue;
            }
            let wait_s = begins - came;
            told(Passed::Served(Served { units: 1, first_wait_s: wait_s, last_wait_s: wait_s }));
            self.totals.wait_s += wait_s;
            done += 1;
            self.waiting -= 1;
            self.free.pop_front();
            self.insert_free(begins + unit_s);
            if let Some(cohort) = self.cohorts.front_mut() {
                cohort.gone += 1;
                if cohort.gone == cohort.arrived {
                    self.cohorts.pop_front();
                }
            }
        }
        (done, lost)
    }

    /// Units begin in order and take the same time, so that this is nearly always the end of the list.
    fn insert_free(&mut self, at: f64) {
        let mut place = self.free.len();
        while place > 0 && self.free[place - 1] > at {
            place -= 1;
        }
        self.free.insert(place, at);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Retries, Retry, SplitMix, poisson, tests::web};
    use super::*;
    use proptest::prelude::*;
    use rand::seq::SliceRandom;
    use rand::{RngExt, SeedableRng};
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

    #[test]
    fn a_replica_that_has_become_ready_begins_a_unit_at_once() {
        // Ten seconds a unit; the second replica is ready at second 5, and a third one never comes.
        let spec = ServiceSpec { kind: ServiceKind::Queue, capacity: 0.1, ..web() };
        let (queue, _) = run(&spec, (0..7).map(|second| (if second == 0 { 9 } else { 0 }, if second < 5 { 1 } else { 2 })));
        assert_eq!(queue.totals().served, 2);
    }

    #[test]
    fn the_late_are_counted_one_by_one() {
        let late = |first_wait_s, last_wait_s, limit| Served { units: 10, first_wait_s, last_wait_s }.late(limit);
        assert_eq!(late(0.0, 1.0, 0.45), 5, "0.5 to 0.9");
        assert_eq!(late(0.0, 1.0, 0.5), 4, "just in time is in time");
        assert_eq!(late(1.0, 0.0, 0.45), 6, "1.0 to 0.5");
        assert_eq!([late(1.0, 1.0, 0.5), late(0.5, 0.5, 0.5), late(0.2, 0.1, -1.0)], [10, 0, 10]);
    }

    #[test]
    fn units_that_wait_too_long_are_overdue_before_they_are_served() {
        let spec = ServiceSpec { kind: ServiceKind::Queue, ..web() };
        let (queue, _) = run(&spec, [(10, 0), (10, 0), (10, 0)]);
        assert_eq!([0.0, 1.0, 1.55, 3.0].map(|limit| queue.overdue(3, limit)), [30, 20, 15, 0]);
    }

    /// One replica: from when until when it takes work, seconds.
    #[derive(Clone, Copy)]
    struct Shift {
        ready: f64,
        removed: f64,
    }

    /// The same service request by request: each takes the replica that can begin it first, in the order of arrival, unless it gives up before;
    /// a replica that is removed finishes what it has begun. Who gave up comes back as `spec.retry` says. Whoever comes in a second, for the
    /// first time or again, comes in any order and evenly over it.
    fn event_by_event(spec: &ServiceSpec, arrivals: &[u64], shifts: &[Shift]) -> Totals {
        let mut rng = ChaCha8Rng::seed_from_u64(99);
        let mut free_at: Vec<f64> = shifts.iter().map(|shift| shift.ready).collect();
        let mut totals = Totals::default();
        // How often each has tried, by the second in which it comes.
        let mut coming: Vec<Vec<u32>> = arrivals.iter().map(|count| vec![0; *count as usize]).collect();
        for second in 0..coming.len() {
            let mut tries_now = std::mem::take(&mut coming[second]);
            tries_now.shuffle(&mut rng);
            for (unit, tries) in tries_now.iter().enumerate() {
                let came = second as f64 + unit as f64 / tries_now.len() as f64;
                totals.arrived += 1;
                let begins = |replica: &usize| Some(free_at[*replica].max(came)).filter(|begin| *begin < shifts[*replica].removed);
                let best = (0..shifts.len()).filter_map(|replica| Some((begins(&replica)?, replica))).min_by(|a, b| a.0.total_cmp(&b.0));
                if let Some((begin, replica)) = best.filter(|(begin, _)| begin - came <= spec.timeout_s) {
                    free_at[replica] = begin + 1.0 / spec.capacity;
                    totals.served += 1;
                    totals.wait_s += begin - came;
                    continue;
                }
                totals.lost += 1;
                if *tries < spec.retry.max && rng.random::<f64>() < spec.retry.share {
                    let again = (came + spec.timeout_s + rng.random_range(0.5..5.5)) as usize;
                    coming[again].push(tries + 1);
                }
            }
        }
        totals
    }

    /// The queue over the same shifts, with the retries that the simulator makes.
    fn fluid(spec: &ServiceSpec, arrivals: &[u64], shifts: &[Shift]) -> Totals {
        let mut queue = WorkQueue::default();
        let mut retries = Retries::new(spec.retry, spec.timeout_s);
        for (second, count) in arrivals.iter().enumerate() {
            let at = second as f64;
            let ready = shifts.iter().filter(|shift| shift.ready <= at && at < shift.removed).count() as u32;
            let came = retries.as_mut().map_or(*count, |retries| retries.arrive(second as u64, *count));
            let mut rng = SplitMix::of(5, second as u64);
            queue.pass(spec, second as u64, came, ready, spec.capacity_of(ready), |passed| {
                if let (Passed::Lost(lost), Some(retries)) = (passed, retries.as_mut()) {
                    retries.give_up(lost, &mut rng);
                }
            });
        }
        assert_eq!(queue.waiting(), 0, "the quiet at the end is long enough");
        *queue.totals()
    }

    /// `load_s` seconds at `rate` units/s, then quiet for ten minutes: both ways agree to 2 %, in what came, what was lost and how long it took.
    fn check(case: &str, spec: &ServiceSpec, rate: f64, load_s: usize, shifts: &[Shift]) {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let arrivals: Vec<u64> = (0..load_s + 600).map(|s| poisson(&mut rng, if s < load_s { rate } else { 0.0 })).collect();
        let (found, exact) = (fluid(spec, &arrivals, shifts), event_by_event(spec, &arrivals, shifts));
        let latency = |totals: &Totals| spec.base_latency_s + totals.wait_s / totals.served as f64;
        let apart = |a: f64, b: f64| (a / b - 1.0).abs();
        assert!(apart(latency(&found), latency(&exact)) < 0.02, "{case}: latency {} and {}", latency(&found), latency(&exact));
        assert!(apart(found.arrived as f64, exact.arrived as f64) < 0.02, "{case}: came {} and {}", found.arrived, exact.arrived);
        assert!(apart(found.served as f64, exact.served as f64) < 0.02, "{case}: served {} and {}", found.served, exact.served);
        let lost = found.lost.abs_diff(exact.lost) as f64 / exact.arrived as f64;
        assert!(lost < 0.02, "{case}: lost {} and {}", found.lost, exact.lost);
    }

    const ALWAYS: Shift = Shift { ready: 0.0, removed: f64::INFINITY };

    #[test]
    fn it_agrees_with_a_simulation_of_each_request() {
        // Half an hour at 50 % and 90 % load; five minutes at 120 %, with and without time-outs.
        let patient = ServiceSpec { timeout_s: 600.0, ..web() };
        let four = [ALWAYS; 4];
        check("half load", &web(), 100.0, 1800, &four);
        check("near its limit", &web(), 180.0, 1800, &four);
        check("overloaded, patient", &patient, 240.0, 300, &four);
        check("overloaded", &web(), 240.0, 300, &four);
    }

    #[test]
    fn it_agrees_when_replicas_come_and_go() {
        let patient = ServiceSpec { timeout_s: 600.0, ..web() };
        let late = |ready| Shift { ready, ..ALWAYS };
        let gone = |removed| Shift { removed, ..ALWAYS };
        // Five minutes at 120 % of four replicas, until two that were launched in time are ready.
        let scaled_up = [ALWAYS, ALWAYS, ALWAYS, ALWAYS, late(300.0), late(330.0)];
        check("scaled up, patient", &patient, 240.0, 900, &scaled_up);
        check("scaled up", &web(), 240.0, 900, &scaled_up);
        let scaled_down = [ALWAYS, ALWAYS, ALWAYS, gone(600.0), gone(660.0), gone(720.0)];
        check("scaled down too far, patient", &patient, 170.0, 900, &scaled_down);
        // Answers of four seconds, as a language model gives them: a new replica begins at once, one that goes ends its answer.
        let slow = ServiceSpec { capacity: 0.25, base_latency_s: 4.0, timeout_s: 600.0, ..web() };
        let shifts: Vec<Shift> = (0..40).map(|n| if n < 20 { ALWAYS } else { late(f64::from(n) * 15.0) }).collect();
        check("slow answers", &slow, 6.0, 900, &shifts);
        let shifts: Vec<Shift> = (0..40).map(|n| if n < 24 { ALWAYS } else { gone(f64::from(n) * 20.0) }).collect();
        check("slow answers, fewer replicas", &slow, 6.0, 900, &shifts);
    }

    #[test]
    fn it_agrees_when_those_who_gave_up_come_back() {
        let stubborn = ServiceSpec { retry: Retry { share: 0.8, max: 3 }, ..web() };
        check("a retry storm", &stubborn, 240.0, 300, &[ALWAYS; 4]);
        let helped: Vec<Shift> = (0..7).map(|n| if n < 4 { ALWAYS } else { Shift { ready: 200.0, ..ALWAYS } }).collect();
        check("a retry storm that help ends", &stubborn, 240.0, 600, &helped);
    }
}
