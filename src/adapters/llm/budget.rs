//! The day's tokens. A pure state machine: time is passed in, the day is UTC's, and it never goes back.

use jiff::Timestamp;

const SECONDS_A_DAY: i64 = 86_400;

/// Tokens of one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyBudget {
    cap: u64,
    day: i64,
    spent: u64,
    reserved: u64,
}

impl DailyBudget {
    /// A budget of `cap` tokens a day.
    #[must_use]
    pub const fn new(cap: u64) -> Self {
        Self { cap, day: i64::MIN, spent: 0, reserved: 0 }
    }

    /// Tokens left today. A clock that goes back changes nothing.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> u64 {
        let spent = if day_of(now) > self.day { 0 } else { self.spent };
        self.cap.saturating_sub(spent.saturating_add(self.reserved))
    }

    /// When the next day begins.
    #[must_use]
    pub fn next_day(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_second((day_of(now).max(self.day) + 1).saturating_mul(SECONDS_A_DAY)).unwrap_or(Timestamp::MAX)
    }

    /// Sets tokens aside for a call that is about to be made; `false`, and nothing set aside, when they are not there.
    pub fn reserve(&mut self, tokens: u64, now: Timestamp) -> bool {
        if tokens > self.left(now) {
            return false;
        }
        self.turn(now);
        self.reserved = self.reserved.saturating_add(tokens);
        true
    }

    /// Exchanges what was set aside for what was used.
    pub fn settle(&mut self, reserved: u64, used: u64, now: Timestamp) {
        self.turn(now);
        self.reserved = self.reserved.saturating_sub(reserved);
        self.spent = self.spent.saturating_add(used);
    }

    fn turn(&mut self, now: Timestamp) {
        if day_of(now) > self.day {
            self.day = day_of(now);
            self.spent = 0;
        }
    }
}

fn day_of(now: Timestamp) -> i64 {
    now.as_second().div_euclid(SECONDS_A_DAY)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn fault_l18_one_token_left_allows_no_call() {
        let mut budget = DailyBudget::new(1000);
        let noon = at("2026-03-06T12:00:00Z");
        assert!(budget.reserve(999, noon));
        budget.settle(999, 999, noon);
        assert_eq!(budget.left(noon), 1);
        assert!(!budget.reserve(2, noon));
        assert_eq!(budget.next_day(noon), at("2026-03-07T00:00:00Z"));
    }

    #[test]
    fn fault_l18_midnight_resets_once_and_a_clock_that_goes_back_does_not() {
        let mut budget = DailyBudget::new(1000);
        budget.settle(0, 900, at("2026-03-06T23:59:59Z"));
        assert_eq!(budget.left(at("2026-03-07T00:00:00Z")), 1000);
        budget.settle(0, 600, at("2026-03-07T00:00:01Z"));
        assert_eq!(budget.left(at("2026-03-06T23:59:59Z")), 400, "yesterday again");
        assert_eq!(budget.left(at("2026-03-07T12:00:00Z")), 400);
    }

    proptest! {
        #[test]
        fn spending_never_passes_the_cap_by_more_than_what_calls_ran_over(calls in prop::collection::vec((1u64..500, 0u64..600), 0..60)) {
            let mut budget = DailyBudget::new(5000);
            let noon = at("2026-03-06T12:00:00Z");
            let (mut spent, mut over) = (0, 0);
            for (reserved, used) in calls {
                if budget.reserve(reserved, noon) {
                    budget.settle(reserved, used, noon);
                    spent += used;
                    over = over.max(used.saturating_sub(reserved));
                }
            }
            prop_assert!(spent <= 5000 + over);
        }
    }
}
