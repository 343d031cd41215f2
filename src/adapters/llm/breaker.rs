//! When a model that keeps failing is left alone. A pure state machine: time and jitter are passed in.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::agent::messages::ModelFailure;

/// Failures in a row that open it.
const CONSECUTIVE: u32 = 5;
/// Calls that its failure share looks back on; it opens above half.
const WINDOW: usize = 20;
/// How long it stays open the first time; doubled each time a probe fails.
const FIRST_REST: SignedDuration = SignedDuration::from_secs(30);
/// Longest rest.
const LONGEST_REST: SignedDuration = SignedDuration::from_mins(5);
/// Rest after the provider stopped for money: nobody pays a bill within seconds.
const BILLING_REST: SignedDuration = SignedDuration::from_mins(15);
/// Longest time that a server's own wish to wait is believed.
const LONGEST_WISH: SignedDuration = SignedDuration::from_hours(24);

/// The breaker's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    state: State,
    consecutive: u32,
    recent: VecDeque<bool>,
    rests: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    /// Open until then; the first call after is the probe.
    Open(Timestamp),
    /// One probe is on its way; nobody else calls.
    Probing,
}

/// What a call came to, as the breaker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The endpoint answered.
    Healthy,
    /// The endpoint failed.
    Failing,
    /// The endpoint asked to be left alone for so long.
    Rest(SignedDuration),
    /// Says nothing of the endpoint: our request was at fault, or none was made.
    Neutral,
}

impl Verdict {
    /// How a failure counts.
    #[must_use]
    pub fn of(failure: &ModelFailure) -> Self {
        match failure {
            ModelFailure::BillingStopped(_) => Self::Rest(BILLING_REST),
            ModelFailure::RateLimited { seconds } => {
                Self::Rest(SignedDuration::from_secs(i64::try_from(*seconds).unwrap_or(i64::MAX)).min(LONGEST_WISH))
            }
            ModelFailure::Transient(_)
            | ModelFailure::AuthFailed(_)
            | ModelFailure::NotFound(_)
            | ModelFailure::Malformed(_)
            | ModelFailure::Deadline => Self::Failing,
            ModelFailure::ContextTooLong(_) | ModelFailure::Protocol(_) | ModelFailure::BreakerOpen | ModelFailure::BudgetSpent => {
                Self::Neutral
            }
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed, consecutive: 0, recent: VecDeque::with_capacity(WINDOW), rests: 0 }
    }
}

impl Breaker {
    /// Until when nobody may call; `None` when one may. Asking changes nothing.
    #[must_use]
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.state {
            State::Open(until) if now < until => Some(until),
            State::Open(_) | State::Closed => None,
            State::Probing => Some(now),
        }
    }

    /// Takes the right to one call; after a rest there is one, the probe.
    pub fn acquire(&mut self, now: Timestamp) -> bool {
        match self.state {
            State::Closed => true,
            State::Open(until) if now >= until => {
                self.state = State::Probing;
                true
            }
            State::Open(_) | State::Probing => false,
        }
    }

    /// Takes what a call came to. `jitter`, from 0 to 1, spreads the probes of several processes.
    pub fn record(&mut self, verdict: Verdict, now: Timestamp, jitter: f64) {
        let probing = self.state == State::Probing;
        match verdict {
            Verdict::Healthy => {
                self.consecutive = 0;
                self.note(false);
                if probing {
                    *self = Self::default();
                }
            }
            Verdict::Failing => {
                self.consecutive += 1;
                self.note(true);
                let failed = self.recent.iter().filter(|failed| **failed).count();
                let mostly = self.recent.len() == WINDOW && failed * 2 > WINDOW;
                if probing || self.consecutive >= CONSECUTIVE || mostly {
                    let rest = (FIRST_REST * (1 << self.rests.min(8))).min(LONGEST_REST);
                    self.rests = self.rests.saturating_add(1);
                    self.open(now, lengthened(rest, jitter));
                }
            }
            Verdict::Rest(rest) => self.open(now, rest),
            // A probe that never reached the endpoint leaves the next one to try.
            Verdict::Neutral if probing => self.state = State::Open(now),
            Verdict::Neutral => {}
        }
    }

    fn note(&mut self, failed: bool) {
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(failed);
    }

    fn open(&mut self, now: Timestamp, rest: SignedDuration) {
        let until = now.saturating_add(rest).unwrap_or(Timestamp::MAX);
        // A longer rest that was asked for stands.
        self.state = match self.state {
            State::Open(already) if already > until => State::Open(already),
            State::Open(_) | State::Closed | State::Probing => State::Open(until),
        };
        self.consecutive = 0;
        self.recent.clear();
    }
}

/// Up to a quarter longer, never shorter.
fn lengthened(rest: SignedDuration, jitter: f64) -> SignedDuration {
    let more = rest.as_millis() as f64 * 0.25 * jitter.clamp(0.0, 1.0);
    rest.saturating_add(SignedDuration::from_millis(more as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn failing(breaker: &mut Breaker, second: i64, times: u32) {
        for _ in 0..times {
            assert!(breaker.acquire(at(second)));
            breaker.record(Verdict::Failing, at(second), 0.0);
        }
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_probe_closes_it() {
        let mut breaker = Breaker::default();
        failing(&mut breaker, 0, 4);
        assert_eq!(breaker.open_until(at(0)), None);
        failing(&mut breaker, 0, 1);
        assert_eq!(breaker.open_until(at(0)), Some(at(30)));
        assert!(!breaker.acquire(at(29)));
        assert!(breaker.acquire(at(30)));
        assert!(!breaker.acquire(at(30)), "a single probe");
        breaker.record(Verdict::Healthy, at(31), 0.0);
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn a_failed_probe_doubles_the_rest_up_to_a_bound() {
        let mut breaker = Breaker::default();
        failing(&mut breaker, 0, 5);
        let mut second = 0;
        let mut rests = Vec::new();
        for _ in 0..5 {
            let until = breaker.open_until(at(second)).unwrap();
            rests.push(until.duration_since(at(second)).as_secs());
            second += rests.last().unwrap();
            failing(&mut breaker, second, 1);
        }
        assert_eq!(rests, [30, 60, 120, 240, 300]);
    }

    #[test]
    fn jitter_only_lengthens() {
        let mut breaker = Breaker::default();
        (0..5).for_each(|_| breaker.record(Verdict::Failing, at(0), 1.0));
        assert_eq!(breaker.open_until(at(0)), Some(at(30) + SignedDuration::from_millis(7500)));
    }

    #[test]
    fn more_than_half_of_twenty_open_it() {
        let mut breaker = Breaker::default();
        for call in 0..20 {
            assert!(breaker.acquire(at(0)), "call {call}");
            breaker.record(if call % 2 == 0 || call == 19 { Verdict::Failing } else { Verdict::Healthy }, at(0), 0.0);
        }
        assert!(breaker.open_until(at(0)).is_some());
    }

    #[test]
    fn fault_l03_a_billing_stop_rests_for_a_quarter_of_an_hour() {
        let mut breaker = Breaker::default();
        breaker.record(Verdict::of(&ModelFailure::BillingStopped(String::new())), at(0), 0.0);
        assert!(!breaker.acquire(at(899)));
        assert!(breaker.acquire(at(900)));
    }

    #[test]
    fn fault_l02_a_server_that_asks_for_an_hour_gets_it() {
        let mut breaker = Breaker::default();
        breaker.record(Verdict::of(&ModelFailure::RateLimited { seconds: 3600 }), at(0), 0.0);
        breaker.record(Verdict::Failing, at(1), 0.0);
        assert_eq!(breaker.open_until(at(2)), Some(at(3600)));
    }

    #[test]
    fn our_own_mistakes_do_not_open_it() {
        let mut breaker = Breaker::default();
        for _ in 0..50 {
            breaker.record(Verdict::of(&ModelFailure::Protocol(String::new())), at(0), 0.0);
        }
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn fault_l04_a_storm_of_errors_is_asked_a_bounded_number_of_times() {
        let (mut breaker, mut calls) = (Breaker::default(), 0);
        for tick in 0..100 {
            for _ in 0..50 {
                if breaker.acquire(at(60 * tick)) {
                    calls += 1;
                    breaker.record(Verdict::Failing, at(60 * tick), 0.5);
                }
            }
        }
        assert!(calls < 30, "{calls} calls in 100 ticks of 50 groups");
        let healthy = at(60 * 110);
        assert!(breaker.acquire(healthy));
        breaker.record(Verdict::Healthy, healthy, 0.5);
        assert!(breaker.acquire(healthy), "one probe is enough");
    }
}
