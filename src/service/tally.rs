//! What came of a stretch of service, as sums, and what that is worth: simulation, replay and oracle count the same things and are scored by the
//! same rule.

use serde::{Deserialize, Serialize};

use crate::domain::units::MicroUsd;

/// Sums over a stretch, for one workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Units that came, retries included.
    pub arrived: u64,
    /// Units that were served.
    pub served: u64,
    /// Units that were lost.
    pub lost: u64,
    /// Units that were lost, or answered later than promised (`Queue`: waited longer).
    pub bad: u64,
    /// Minutes in which more than half of what was answered or lost was bad.
    pub bad_minutes: u32,
    /// The longest run of seconds in which something bad happened each second.
    pub longest_bad_s: u32,
    /// Seconds that replicas were paid for, from launch to end, over all of them.
    pub replica_seconds: f64,
    /// What that cost, at the price of the pods' requests.
    pub pod_cost: MicroUsd,
    /// Replicas launched.
    pub launches: u32,
    /// Launches within an hour of a removal from the same workload, or after a crash.
    pub cold_restarts: u32,
    /// Changes of `spec.replicas` upward.
    pub scale_ups: u32,
    /// Changes of `spec.replicas` downward.
    pub scale_downs: u32,
    /// Changes that undo the one before within ten minutes.
    pub needless_reversals: u32,
    /// Pods evicted (node gone, drained or reclaimed).
    pub evictions: u32,
    /// Containers killed for memory.
    pub oom_kills: u32,
}

impl Tally {
    /// What happened since `earlier`, a tally of the same workload. The longest bad stretch is the later one's.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            arrived: self.arrived - earlier.arrived,
            served: self.served - earlier.served,
            lost: self.lost - earlier.lost,
            // Units that wait too long already are bad before they are answered, and by a rounding error one of them may be found in time later.
            bad: self.bad.saturating_sub(earlier.bad),
            bad_minutes: self.bad_minutes - earlier.bad_minutes,
            longest_bad_s: self.longest_bad_s,
            replica_seconds: self.replica_seconds - earlier.replica_seconds,
            pod_cost: self.pod_cost - earlier.pod_cost,
            launches: self.launches - earlier.launches,
            cold_restarts: self.cold_restarts - earlier.cold_restarts,
            scale_ups: self.scale_ups - earlier.scale_ups,
            scale_downs: self.scale_downs - earlier.scale_downs,
            needless_reversals: self.needless_reversals - earlier.needless_reversals,
            evictions: self.evictions - earlier.evictions,
            oom_kills: self.oom_kills - earlier.oom_kills,
        }
    }
}

/// What the outcome of a stretch is worth, in replica-seconds: what a second of one replica costs is the unit.
///
/// One wholly bad minute at mean demand costs `price` minutes of the fleet that mean demand needs ideally, which is `mean demand / capacity`
/// replicas; so one bad unit costs `price / capacity` replica-seconds, whatever the demand. A cold restart costs one start-up of one replica.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// Minutes of the ideal fleet that a wholly bad minute costs (3, 10 or 30 in evals).
    pub price: f64,
    /// Units/s that one ready replica serves.
    pub capacity: f64,
    /// Seconds from launch to ready.
    pub startup_s: f64,
}

impl Worth {
    /// Replica-seconds that one bad unit costs.
    #[must_use]
    pub fn bad_unit(&self) -> f64 {
        self.price / self.capacity
    }

    /// The objective of a stretch, replica-seconds: what was paid, what was bad at its price, and the cold restarts.
    #[must_use]
    pub fn objective(&self, tally: &Tally) -> f64 {
        tally.replica_seconds + self.bad_unit() * tally.bad as f64 + self.startup_s * f64::from(tally.cold_restarts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wholly_bad_minute_at_mean_demand_costs_its_price_in_minutes_of_the_ideal_fleet() {
        let worth = Worth { price: 10.0, capacity: 50.0, startup_s: 30.0 };
        // 200 units/s need four replicas ideally; sixty seconds of them bad cost ten minutes of four replicas.
        let bad = Tally { bad: 200 * 60, ..Tally::default() };
        assert_eq!(worth.objective(&bad), 10.0 * 60.0 * 4.0);
        let restarts = Tally { replica_seconds: 100.0, cold_restarts: 2, ..Tally::default() };
        assert_eq!(worth.objective(&restarts), 160.0);
    }

    #[test]
    fn a_stretch_is_the_difference_of_two_tallies() {
        let earlier = Tally { arrived: 10, served: 9, bad: 1, replica_seconds: 50.0, pod_cost: MicroUsd(7), ..Tally::default() };
        let later = Tally { arrived: 30, served: 28, bad: 2, replica_seconds: 90.0, pod_cost: MicroUsd(9), ..Tally::default() };
        let between = Tally { arrived: 20, served: 19, bad: 1, replica_seconds: 40.0, pod_cost: MicroUsd(2), ..Tally::default() };
        assert_eq!(later.since(&earlier), between);
    }
}
