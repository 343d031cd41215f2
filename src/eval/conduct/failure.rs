//! What the last minute came to in truth, whatever metrics showed of it: whether requests failed, and what a replica cost.

use std::collections::VecDeque;

use crate::service::Tally;

/// However loose a promise, more bad requests than this are a failure.
const MOST_BAD: f64 = 0.05;
/// Seconds that are looked back.
const BACK_S: u32 = 60;

/// The looks of the last minute, each with the tally of each workload.
#[derive(Debug, Default)]
pub(super) struct Minute(VecDeque<(u32, Vec<Tally>)>);

impl Minute {
    pub(super) fn add(&mut self, second: u32, tallies: &[Tally]) {
        self.0.push_back((second, tallies.to_vec()));
        // One look from before the minute stays: the minute is counted from it.
        while self.0.get(1).is_some_and(|(at, _)| at.saturating_add(BACK_S) <= second) {
            self.0.pop_front();
        }
    }

    /// Evictions of each workload so far.
    pub(super) fn newest(&self) -> Vec<u32> {
        self.0.back().map(|(_, tallies)| tallies.iter().map(|tally| tally.evictions).collect()).unwrap_or_default()
    }

    /// Whether requests of a workload failed: were lost, or answered later than promised.
    pub(super) fn is_failing(&self, workload: usize) -> bool {
        self.passed(workload).is_some_and(|passed| {
            let answered = passed.served + passed.lost;
            passed.bad as f64 > MOST_BAD * answered.max(passed.bad) as f64
        })
    }

    /// What a replica of a workload was paid an hour, dollars.
    pub(super) fn price_per_hour(&self, workload: usize) -> Option<f64> {
        let passed = self.passed(workload)?;
        (passed.replica_seconds > 0.0).then(|| passed.pod_cost.dollars() / passed.replica_seconds * 3600.0)
    }

    fn passed(&self, workload: usize) -> Option<Tally> {
        let ((began, first), (ended, last)) = (self.0.front()?, self.0.back()?);
        (ended > began).then(|| Some(last.get(workload)?.since(first.get(workload)?))).flatten()
    }
}
