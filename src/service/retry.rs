//! What was lost and comes back: callers that gave up try again after a short while, some of them, some times. A storm of them is more load
//! than there ever were callers.

use std::collections::VecDeque;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::queue::Lost;

/// Seconds after which the last of those who try again has done so; the first does in the second after it gave up.
const LONGEST_DELAY_S: u64 = 5;
/// Tries beyond this are not made, whatever `max` says: each came after a whole time-out.
const MOST_TRIES: u32 = 32;

/// Whether callers that gave up try again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// Of lost units so many come back, 0 to 1.
    pub share: f64,
    /// One unit comes back so often at most.
    pub max: u32,
}

/// Those who will come back, and how often those who wait have tried.
#[derive(Clone, Debug)]
pub struct Retries {
    share: f64,
    /// Numbers a row has: the first try, and each further one.
    tries: usize,
    /// Seconds for which it is remembered who came.
    kept_s: usize,
    /// Who came: a row for each second, the newest last.
    came: VecDeque<u64>,
    /// The second of the first row of `came`.
    first: u64,
    /// Who comes back: a row for each second after the last that passed.
    due: VecDeque<u64>,
}

impl Retries {
    /// Nobody has given up yet. `None` where nobody ever comes back.
    #[must_use]
    pub fn new(retry: Retry, timeout_s: f64) -> Option<Self> {
        let tries = retry.max.min(MOST_TRIES) as usize + 1;
        (retry.share > 0.0 && tries > 1).then(|| Self {
            share: retry.share,
            tries,
            kept_s: timeout_s.max(0.0).ceil() as usize + 2,
            came: VecDeque::new(),
            first: 0,
            due: VecDeque::from(vec![0; tries * LONGEST_DELAY_S as usize]),
        })
    }

    /// A second begins: `fresh` units come for the first time; gives how many come in all. Seconds follow each other without a gap.
    pub fn arrive(&mut self, second: u64, fresh: u64) -> u64 {
        if self.came.is_empty() {
            self.first = second;
        }
        if self.came.len() == self.tries * self.kept_s {
            self.came.drain(..self.tries);
            self.first += 1;
        }
        let mut all = 0;
        for attempt in 0..self.tries {
            let back = self.due.pop_front().unwrap_or(0) + if attempt == 0 { fresh } else { 0 };
            all += back;
            self.came.push_back(back);
            self.due.push_back(0);
        }
        all
    }

    /// Units gave up in the second that passes: each was at its first try or a later one as those were who came with it.
    pub fn give_up<R: Rng>(&mut self, lost: Lost, rng: &mut R) {
        let Some(row) = lost.second.checked_sub(self.first).map(|row| row as usize * self.tries) else { return };
        if row + self.tries > self.came.len() {
            return;
        }
        let mut together: u64 = self.came.range(row..row + self.tries).sum();
        for _ in 0..lost.units {
            let mut left = (rng.random::<f64>() * together as f64) as u64;
            let attempt = (0..self.tries).find(|attempt| {
                let of_attempt = self.came[row + attempt];
                let here = left < of_attempt;
                left = left.saturating_sub(of_attempt);
                here
            });
            let Some(attempt) = attempt else { return };
            self.came[row + attempt] -= 1;
            together -= 1;
            let next = attempt + 1;
            if next < self.tries && rng.random::<f64>() < self.share {
                let delay = rng.random_range(0..LONGEST_DELAY_S) as usize;
                self.due[delay * self.tries + next] += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SplitMix;
    use super::*;

    /// Everybody is lost after two seconds; how many come in each of the first 40 seconds.
    fn all_lost(share: f64, max: u32) -> Vec<u64> {
        let mut retries = Retries::new(Retry { share, max }, 2.0).unwrap();
        let mut came = Vec::new();
        for second in 0..40u64 {
            came.push(retries.arrive(second, if second == 0 { 10_000 } else { 0 }));
            if let Some(before) = second.checked_sub(2) {
                let lost = Lost { second: before, units: came[before as usize] };
                retries.give_up(lost, &mut SplitMix::of(1, second));
            }
        }
        came
    }

    #[test]
    fn each_comes_back_as_often_as_it_may_and_no_more() {
        assert_eq!(all_lost(1.0, 3).iter().sum::<u64>(), 40_000);
        assert_eq!(all_lost(1.0, 1).iter().sum::<u64>(), 20_000);
        let some: u64 = all_lost(0.5, 2).iter().sum();
        assert!((some as f64 / 17_500.0 - 1.0).abs() < 0.02, "{some}");
    }

    #[test]
    fn they_come_within_five_seconds_of_giving_up() {
        let came = all_lost(1.0, 1);
        assert_eq!(came[1..3], [0, 0]);
        assert!(came[3..8].iter().all(|count| (1_800..2_200).contains(count)), "{came:?}");
        assert_eq!(came[8..].iter().sum::<u64>(), 0);
    }

    #[test]
    fn where_nobody_comes_back_nothing_is_kept() {
        assert!(Retries::new(Retry { share: 0.0, max: 3 }, 2.0).is_none());
        assert!(Retries::new(Retry { share: 1.0, max: 0 }, 2.0).is_none());
    }
}
