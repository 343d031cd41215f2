//! What is counted of one workload while it runs, for its tally: what was paid, launched, changed and lost, and how long things were bad.

use crate::domain::units::MicroUsd;
use crate::service::{Bill, Tally, Totals};

/// A launch within so many seconds of a removal is a cold restart.
const COLD_S: i64 = 3600;
/// A change that undoes one of so many seconds ago was needless.
const REVERSAL_S: i64 = 600;

/// The counts of one workload.
#[derive(Debug, Default)]
pub(super) struct Count {
    replica_seconds: u64,
    bill: Bill,
    launches: u32,
    cold_restarts: u32,
    scale_ups: u32,
    scale_downs: u32,
    needless_reversals: u32,
    evictions: u32,
    oom_kills: u32,
    /// When a replica was removed last.
    removed: Option<i64>,
    /// Evicted pods that no launch has replaced yet.
    unreplaced: u32,
    /// When `spec.replicas` changed last, and whether upward.
    changed: Option<(i64, bool)>,
    bad: u64,
    bad_minutes: u32,
    /// Of the minute that runs: what was bad, and what was answered or lost.
    minute: (u64, u64),
    bad_run_s: u32,
    longest_bad_s: u32,
}

impl Count {
    /// A second is over: `pods` were there, at `per_hour` together; `bad` of the `answered` or lost units were bad.
    pub(super) fn second(&mut self, pods: usize, per_hour: MicroUsd, bad: u64, answered: u64) {
        self.replica_seconds += pods as u64;
        self.bill.add(per_hour, 1);
        self.bad += bad;
        self.minute.0 += bad;
        self.minute.1 += answered;
        self.bad_run_s = if bad > 0 { self.bad_run_s + 1 } else { 0 };
        self.longest_bad_s = self.longest_bad_s.max(self.bad_run_s);
    }

    /// A minute is over.
    pub(super) fn close_minute(&mut self) {
        let (bad, answered) = std::mem::take(&mut self.minute);
        if 2 * bad > answered {
            self.bad_minutes += 1;
        }
    }

    /// A pod was made.
    pub(super) fn launched(&mut self, now: i64) {
        self.launches += 1;
        let soon = self.removed.is_some_and(|removed| now - removed <= COLD_S);
        if soon || self.unreplaced > 0 {
            self.cold_restarts += 1;
        }
        self.unreplaced = self.unreplaced.saturating_sub(1);
    }

    /// Pods were taken away because fewer are asked for.
    pub(super) fn removed(&mut self, now: i64) {
        self.removed = Some(now);
    }

    /// A pod was lost with its node.
    pub(super) fn evicted(&mut self) {
        self.evictions += 1;
        self.unreplaced += 1;
    }

    /// A container crashed and is launched anew; `oom` says that it was killed for memory.
    pub(super) fn crashed(&mut self, oom: bool) {
        self.cold_restarts += 1;
        self.oom_kills += u32::from(oom);
    }

    /// `spec.replicas` was changed.
    pub(super) fn scaled(&mut self, now: i64, from: u32, to: u32) {
        if from == to {
            return;
        }
        let up = to > from;
        if up {
            self.scale_ups += 1;
        } else {
            self.scale_downs += 1;
        }
        if self.changed.is_some_and(|(at, before)| before != up && now - at <= REVERSAL_S) {
            self.needless_reversals += 1;
        }
        self.changed = Some((now, up));
    }

    /// The longest bad stretch is looked for from now on.
    pub(super) fn begin_stretch(&mut self) {
        (self.bad_run_s, self.longest_bad_s) = (0, 0);
    }

    /// All of it, with what the queue knows; `overdue` units wait and are bad already.
    pub(super) fn tally(&self, totals: &Totals, overdue: u64) -> Tally {
        Tally {
            arrived: totals.arrived,
            served: totals.served,
            lost: totals.lost,
            bad: self.bad + overdue,
            bad_minutes: self.bad_minutes,
            longest_bad_s: self.longest_bad_s,
            replica_seconds: self.replica_seconds as f64,
            pod_cost: self.bill.total(),
            launches: self.launches,
            cold_restarts: self.cold_restarts,
            scale_ups: self.scale_ups,
            scale_downs: self.scale_downs,
            needless_reversals: self.needless_reversals,
            evictions: self.evictions,
            oom_kills: self.oom_kills,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(count: &Count) -> Tally {
        count.tally(&Totals::default(), 0)
    }

    #[test]
    fn a_launch_soon_after_a_removal_or_for_a_lost_pod_is_a_cold_restart() {
        let mut count = Count::default();
        count.launched(0);
        assert_eq!((tally(&count).launches, tally(&count).cold_restarts), (1, 0));
        count.removed(100);
        count.launched(3700);
        count.launched(3701);
        assert_eq!((tally(&count).launches, tally(&count).cold_restarts), (3, 1), "within an hour, and after");
        count.evicted();
        count.launched(9000);
        count.launched(9000);
        assert_eq!((tally(&count).launches, tally(&count).cold_restarts, tally(&count).evictions), (5, 2, 1));
        count.crashed(true);
        assert_eq!((tally(&count).launches, tally(&count).cold_restarts, tally(&count).oom_kills), (5, 3, 1));
    }

    #[test]
    fn a_change_that_undoes_the_last_within_ten_minutes_was_needless() {
        let mut count = Count::default();
        for (at, from, to) in [(0, 2, 4), (60, 4, 6), (600, 6, 5), (660, 5, 5), (1300, 5, 6)] {
            count.scaled(at, from, to);
        }
        let found = tally(&count);
        assert_eq!((found.scale_ups, found.scale_downs, found.needless_reversals), (3, 1, 1));
    }

    #[test]
    fn bad_seconds_and_minutes_are_counted_and_what_is_overdue_is_bad() {
        let mut count = Count::default();
        for second in 0..120 {
            count.second(2, MicroUsd(3600), if (10..45).contains(&second) { 10 } else { 0 }, 10);
            if second % 60 == 59 {
                count.close_minute();
            }
        }
        let found = count.tally(&Totals { arrived: 1200, served: 1200, ..Totals::default() }, 7);
        assert_eq!((found.bad, found.bad_minutes, found.longest_bad_s), (357, 1, 35));
        assert_eq!((found.arrived, found.replica_seconds, found.pod_cost), (1200, 240.0, MicroUsd(120)));
        count.begin_stretch();
        assert_eq!(tally(&count).longest_bad_s, 0);
    }
}
