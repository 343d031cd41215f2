//! Oracles: what nobody can beat, because they know what is to come.
//!
//! [`oracle`] knows every arrival: the least objective that any replica schedule could reach, by dynamic programming over replicas and backlog, to
//! the second and to the unit. [`oracle_rate`] knows the rate and not the noise: the schedule that is best on average. Left out: nodes, faults,
//! callers that come back, dependencies. All of these only add cost or load, so that where they are, the oracle's objective is a lower bound.

mod course;
mod front;
mod schedule;
mod search;
#[cfg(test)]
mod tests;
mod tree;

use course::{Rates, Seconds};
use schedule::{asked_for, come_to};
use search::{Terms, Thinning, search};

use crate::domain::limits::Bounds;
use crate::service::replay::{Fluid, STEP_S};
use crate::service::{ServiceSpec, Tally, Worth, is_slow};

/// The achieved objective may lie so far above the bound, as a share of it, by rounding alone.
const ROUNDING: f64 = 1e-9;

/// A workload and what its outcome is worth.
#[derive(Clone, Debug)]
pub struct OracleSpec<'a> {
    /// How it serves.
    pub service: &'a ServiceSpec,
    /// A unit that is answered later than this is bad, seconds (`Queue`: that waited longer).
    pub slo_latency_s: f64,
    /// Seconds from launch to ready: the least that any replica may need, so that none can beat the oracle by luck.
    pub startup_s: u32,
    /// Seconds that a replica is paid for after its removal; again the least.
    pub ending_s: u32,
    /// Replicas it may have.
    pub bounds: Bounds,
    /// Ready replicas at the beginning.
    pub start_replicas: u32,
    /// Seconds at the beginning in which nothing is counted.
    pub unscored_s: u32,
    /// What the outcome is worth.
    pub worth: Worth,
}

/// What an oracle would do, and come to.
#[derive(Clone, Debug, PartialEq)]
pub struct OracleAnswer {
    /// The least objective that any schedule can reach, replica-seconds: exact, or a lower bound.
    pub objective: f64,
    /// What `schedule` reaches through the simulator's queue, replica-seconds; the same where `exact`.
    pub achieved: f64,
    /// Replica-seconds paid under `schedule`.
    pub cost_replica_s: f64,
    /// Bad units under `schedule`.
    pub bad: u64,
    /// Whether `schedule` reaches `objective`, and replicas and backlog are all that matters to this service.
    pub exact: bool,
    /// Replicas to ask for: `(second, replicas)` at each change, from second 0 on.
    pub schedule: Vec<(u32, u32)>,
}

/// The least objective that any replica schedule could reach when `arrivals` come, a count for each second.
#[must_use]
pub fn oracle(spec: &OracleSpec<'_>, arrivals: &[u32]) -> OracleAnswer {
    let run = |thinning| search(&Seconds::new(spec.service, spec.slo_latency_s, arrivals, spec.bounds.max), &spec.terms(), thinning);
    let found = run(Thinning::Bound);
    let mut schedule = asked_for(&found.ready, 1, spec.startup_s);
    let mut tally = score(spec, arrivals, &schedule);
    if found.was_rounded {
        // The way that was found may owe much to rounding: one that owes it nothing may come to less.
        let feasible = asked_for(&run(Thinning::Drop).ready, 1, spec.startup_s);
        let other = score(spec, arrivals, &feasible);
        if spec.worth.objective(&other) < spec.worth.objective(&tally) {
            (schedule, tally) = (feasible, other);
        }
    }
    let achieved = spec.worth.objective(&tally);
    let reached = achieved <= found.objective + found.objective.abs() * ROUNDING;
    OracleAnswer {
        objective: found.objective,
        achieved,
        cost_replica_s: tally.replica_seconds,
        bad: tally.bad,
        exact: reached && spec.is_whole(),
        schedule,
    }
}

/// The schedule with the least objective on average when units arrive at `rates`, one value in units/s for each `step_s` seconds: replicas to ask
/// for, `(second, replicas)` at each change, from second 0 on. Replicas become ready at steps of [`STEP_S`].
#[must_use]
pub fn oracle_rate(spec: &OracleSpec<'_>, rates: &[f32], step_s: u32) -> Vec<(u32, u32)> {
    let own_s = step_s.clamp(1, STEP_S);
    let by_step = crate::service::replay::rates_by_step(rates, step_s, own_s);
    let fluid = Fluid::new(spec.service, spec.slo_latency_s, by_step, own_s);
    let found = search(&Rates::new(spec.service, fluid, own_s), &spec.terms(), Thinning::Drop);
    asked_for(&found.ready, own_s, spec.startup_s)
}

/// What a schedule (as oracles give it) comes to in the scored part when `arrivals` come, through the simulator's queue, to the unit.
#[must_use]
pub fn score(spec: &OracleSpec<'_>, arrivals: &[u32], schedule: &[(u32, u32)]) -> Tally {
    come_to(spec, arrivals, schedule)
}

impl OracleSpec<'_> {
    fn terms(&self) -> Terms {
        Terms {
            bounds: self.bounds,
            start_replicas: self.start_replicas,
            startup_s: self.startup_s,
            ending_s: self.ending_s,
            unscored_s: self.unscored_s,
            worth: self.worth,
        }
    }

    /// Whether replicas and backlog are the whole state: nobody comes back, no replica takes from another, and none is so slow that it matters
    /// when it ends its unit. (Slow ones never begin more units than a fluid does that has one begun for each idle replica.)
    fn is_whole(&self) -> bool {
        let retries = self.service.retry.share > 0.0 && self.service.retry.max > 0;
        !retries && self.service.contention == 0.0 && !is_slow(self.service.capacity, 1)
    }
}
