//! The replicas of a replay: launched, starting, ready, removed, and what that counts in a [`Tally`].
//!
//! Left out: nodes (a replica finds one at once), crashes, and what a replica is paid for while it ends.

use std::collections::VecDeque;

use crate::domain::limits::Bounds;
use crate::service::Tally;

/// A launch so soon after a removal is a cold restart, seconds.
pub const COLD_WITHIN_S: u32 = 3600;
/// A change that undoes the one before so soon was needless, seconds.
const REVERSAL_WITHIN_S: u32 = 600;

/// Replicas of one workload.
#[derive(Clone, Debug)]
pub struct Fleet {
    startup_s: u32,
    bounds: Bounds,
    ready: u32,
    starting: u32,
    /// `(second at which they are ready, how many)`, the next first.
    launched: VecDeque<(u32, u32)>,
    removed_at: Option<u32>,
    /// When `spec.replicas` last changed, and whether upward.
    changed: Option<(u32, bool)>,
    counts: Tally,
}

impl Fleet {
    /// `ready` replicas serve, and always did.
    #[must_use]
    pub fn new(ready: u32, startup_s: u32, bounds: Bounds) -> Self {
        Self { startup_s, bounds, ready, starting: 0, launched: VecDeque::new(), removed_at: None, changed: None, counts: Tally::default() }
    }

    /// Replicas that serve.
    #[must_use]
    pub fn ready(&self) -> u32 {
        self.ready
    }

    /// Replicas that were launched and do not serve yet.
    #[must_use]
    pub fn starting(&self) -> u32 {
        self.starting
    }

    /// `spec.replicas`.
    #[must_use]
    pub fn desired(&self) -> u32 {
        self.ready + self.starting
    }

    /// What was counted of replicas, launches and changes; nothing of units.
    #[must_use]
    pub fn counts(&self) -> &Tally {
        &self.counts
    }

    /// The second `now` begins: those whose start-up is over serve.
    pub fn begin(&mut self, now: u32) {
        while let Some((_, count)) = self.launched.pop_front_if(|(ready_at, _)| *ready_at <= now) {
            self.ready += count;
            self.starting -= count;
        }
    }

    /// Asks for so many at `now`; what the bounds do not allow is not done. Who starts is removed first, the youngest before all.
    pub fn set(&mut self, now: u32, replicas: u32) {
        let (wanted, before) = (self.bounds.clamp(replicas), self.desired());
        if wanted == before {
            return;
        }
        let upward = wanted > before;
        if self.changed.is_some_and(|(at, up)| up != upward && now - at <= REVERSAL_WITHIN_S) {
            self.counts.needless_reversals += 1;
        }
        self.changed = Some((now, upward));
        if upward {
            self.launch(now, wanted - before);
        } else {
            self.remove(now, before - wanted);
        }
    }

    /// Pays for `seconds` and gives the replica-seconds of service in them: those who become ready on the way serve for the rest.
    pub fn pass(&mut self, now: u32, seconds: u32) -> f64 {
        self.counts.replica_seconds += f64::from(self.desired()) * f64::from(seconds);
        let late: u32 = self.launched.iter().map(|(ready_at, count)| count * (now + seconds).saturating_sub(*ready_at)).sum();
        f64::from(self.ready) * f64::from(seconds) + f64::from(late)
    }

    fn launch(&mut self, now: u32, count: u32) {
        self.counts.scale_ups += 1;
        self.counts.launches += count;
        if self.removed_at.is_some_and(|at| now - at <= COLD_WITHIN_S) {
            self.counts.cold_restarts += count;
        }
        self.starting += count;
        self.launched.push_back((now + self.startup_s, count));
        self.begin(now);
    }

    fn remove(&mut self, now: u32, mut count: u32) {
        self.counts.scale_downs += 1;
        self.removed_at = Some(now);
        while count > 0 {
            let Some((_, young)) = self.launched.back_mut() else { break };
            let gone = count.min(*young);
            *young -= gone;
            self.starting -= gone;
            count -= gone;
            if *young == 0 {
                self.launched.pop_back();
            }
        }
        self.ready -= count.min(self.ready);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet() -> Fleet {
        Fleet::new(3, 40, Bounds { min: 1, max: 10 })
    }

    #[test]
    fn a_replica_is_paid_from_its_launch_and_serves_after_its_start_up() {
        let mut fleet = fleet();
        fleet.set(0, 5);
        assert_eq!((fleet.ready(), fleet.starting()), (3, 2));
        assert_eq!(fleet.pass(0, 60), 180.0 + 40.0, "two of them for the last twenty seconds");
        assert_eq!(fleet.counts().replica_seconds, 300.0);
        fleet.begin(39);
        assert_eq!(fleet.ready(), 3);
        fleet.begin(40);
        assert_eq!((fleet.ready(), fleet.starting()), (5, 0));
    }

    #[test]
    fn who_starts_is_removed_first_and_bounds_hold() {
        let mut fleet = fleet();
        fleet.set(0, 4);
        fleet.set(10, 99);
        assert_eq!(fleet.desired(), 10);
        fleet.set(20, 4);
        assert_eq!((fleet.ready(), fleet.starting()), (3, 1));
        fleet.begin(40);
        assert_eq!(fleet.ready(), 4, "the elder start-up was left");
        fleet.set(50, 0);
        assert_eq!((fleet.ready(), fleet.starting()), (1, 0));
    }

    #[test]
    fn restarts_within_an_hour_and_changes_undone_within_ten_minutes_are_counted() {
        let mut fleet = fleet();
        for (now, replicas) in [(0, 2), (300, 4), (500, 5), (1200, 4), (1201 + COLD_WITHIN_S, 6)] {
            fleet.begin(now);
            fleet.set(now, replicas);
        }
        let counts = fleet.counts();
        assert_eq!((counts.scale_ups, counts.scale_downs, counts.launches), (3, 2, 5));
        assert_eq!(counts.cold_restarts, 3, "the last two came later than an hour after");
        assert_eq!(counts.needless_reversals, 1);
    }
}
