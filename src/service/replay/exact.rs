//! The past once more with every single unit: the queue of the simulator, second by second.
//!
//! Left out: callers that come back (`arrivals` are all there are), nodes, and faults.

use super::{Fleet, ReplaySight, ReplaySpec, STEP_S};
use crate::service::{Tally, WorkQueue};

/// A workload that is stepped second by second.
#[derive(Clone, Debug)]
pub struct ExactReplay<'a> {
    spec: ReplaySpec<'a>,
    wait_s: f64,
    second: u32,
    fleet: Fleet,
    queue: WorkQueue,
    bad: u64,
    /// Bad units, and units, of the minute that runs.
    minute: (u64, u64),
    bad_minutes: u32,
    bad_run_s: u32,
    longest_bad_s: u32,
}

impl<'a> ExactReplay<'a> {
    /// At the beginning; of the spec's rates nothing is used.
    #[must_use]
    pub fn new(spec: &ReplaySpec<'a>) -> Self {
        Self {
            wait_s: spec.service.wait_within(spec.slo_latency_s),
            second: 0,
            fleet: Fleet::new(spec.start_replicas, spec.startup_s, spec.bounds),
            queue: WorkQueue::default(),
            bad: 0,
            minute: (0, 0),
            bad_minutes: 0,
            bad_run_s: 0,
            longest_bad_s: 0,
            spec: spec.clone(),
        }
    }

    /// Its replicas.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Units that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.queue.waiting()
    }

    /// Asks for so many replicas from the next second on.
    pub fn scale(&mut self, replicas: u32) {
        self.fleet.begin(self.second);
        self.fleet.set(self.second, replicas);
    }

    /// Lets a second pass in which `arrivals` units come; gives how many were served.
    pub fn pass(&mut self, arrivals: u32) -> u64 {
        let (service, wait_s) = (self.spec.service, self.wait_s);
        self.fleet.begin(self.second);
        let ready = self.fleet.ready();
        self.fleet.pass(self.second, 1);
        let mut late = 0;
        let passed = self.queue.step(service, u64::from(self.second), u64::from(arrivals), ready, service.capacity_of(ready), |served| {
            late += served.late(wait_s);
        });
        let bad = late + passed.lost;
        self.bad += bad;
        self.bad_run_s = if bad > 0 { self.bad_run_s + 1 } else { 0 };
        self.longest_bad_s = self.longest_bad_s.max(self.bad_run_s);
        self.minute = (self.minute.0 + bad, self.minute.1 + passed.served + passed.lost);
        self.second += 1;
        if self.second.is_multiple_of(60) {
            self.bad_minutes += u32::from(2 * self.minute.0 > self.minute.1);
            self.minute = (0, 0);
        }
        passed.served
    }

    /// What it came to so far; who waits too long already is bad before he is answered.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let totals = self.queue.totals();
        Tally {
            arrived: totals.arrived,
            served: totals.served,
            lost: totals.lost,
            bad: self.bad + self.queue.overdue(u64::from(self.second), self.wait_s),
            bad_minutes: self.bad_minutes,
            longest_bad_s: self.longest_bad_s,
            ..*self.fleet.counts()
        }
    }
}

/// As [`super::replay`], with these very arrivals, a count for each second.
pub fn replay_exactly(spec: &ReplaySpec<'_>, arrivals: &[u32], policy: &mut dyn FnMut(&ReplaySight) -> u32) -> Tally {
    let mut run = ExactReplay::new(spec);
    let mut served_s = f64::from(arrivals.first().copied().unwrap_or(0));
    let steps = arrivals.chunks(STEP_S as usize);
    for (index, step) in steps.enumerate() {
        let at = index * STEP_S as usize;
        let minute = &arrivals[at.saturating_sub(60)..at.max(1)];
        run.fleet.begin(at as u32);
        let ready = run.fleet.ready();
        let capacity = spec.service.capacity_of(ready);
        let sight = ReplaySight {
            at_s: at as u32,
            desired: run.fleet.desired(),
            ready,
            starting: run.fleet.starting(),
            rate: minute.iter().map(|units| f64::from(*units)).sum::<f64>() / minute.len() as f64,
            utilisation: if capacity > 0.0 { (served_s / capacity).min(1.0) } else { 0.0 },
            cores: spec.service.cpu(served_s, ready),
            waiting: run.waiting() as f64,
        };
        run.scale(policy(&sight));
        let served: u64 = step.iter().map(|units| run.pass(*units)).sum();
        served_s = served as f64 / step.len() as f64;
    }
    run.tally()
}
