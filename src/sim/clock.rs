//! Virtual time: a multiple of real time, or headless, as fast as the program keeps up.
//!
//! Whoever waits for something outside the simulation (a real model, a disk) takes a [`Hold`]: meanwhile a multiple falls back to real time, so that
//! ten seconds of thinking are ten seconds, and headless time stands still. Headless, time jumps to the earliest sleeper once nobody holds it and all
//! that could run has run; on a current-thread runtime two runs are then equal. On several threads a busy one can be overtaken.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use crate::ports::Clock;

/// Times that a sleeper steps back before time jumps, so that whatever others can do is done: more than any chain of tasks that wake each other.
const YIELDS: u32 = 100;
/// A sleeper looks at least so often whether the pace has changed.
const LOOK: Duration = Duration::from_millis(50);

/// How fast virtual time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many times as fast as real time.
    Times(f64),
    /// It jumps to what is waited for.
    Headless,
}

/// [`Clock`] of a simulation.
#[derive(Debug)]
pub struct VirtualClock {
    pace: Pace,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// Virtual time at `real`.
    base: Timestamp,
    real: Instant,
    holds: usize,
    /// Who sleeps: until when, and a number of its own.
    sleepers: BTreeSet<(Timestamp, u64)>,
    numbers: u64,
}

/// As long as this lives, somebody waits for the world outside.
#[derive(Debug)]
pub struct Hold {
    clock: Arc<VirtualClock>,
}

impl VirtualClock {
    /// A clock that shows `start` now.
    #[must_use]
    pub fn new(start: Timestamp, pace: Pace) -> Self {
        let state = State { base: start, real: Instant::now(), holds: 0, sleepers: BTreeSet::new(), numbers: 0 };
        Self { pace, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Says that somebody waits for the world outside, until the hold is dropped.
    #[must_use]
    pub fn hold(self: &Arc<Self>) -> Hold {
        let mut state = self.state();
        self.rebase(&mut state);
        state.holds += 1;
        Hold { clock: self.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Virtual seconds in a real one.
    fn rate(&self, state: &State) -> f64 {
        match self.pace {
            Pace::Headless => 0.0,
            Pace::Times(times) if state.holds == 0 => times,
            Pace::Times(times) => times.min(1.0),
        }
    }

    fn now_in(&self, state: &State) -> Timestamp {
        let passed = state.real.elapsed().as_secs_f64() * self.rate(state);
        state.base.saturating_add(SignedDuration::from_millis((passed * 1000.0) as i64)).unwrap_or(Timestamp::MAX)
    }

    fn rebase(&self, state: &mut State) {
        state.base = self.now_in(state);
        state.real = Instant::now();
    }

    /// Real time until virtual time is `until`; `None` when it is.
    fn real_wait(&self, until: Timestamp) -> Option<Duration> {
        let state = self.state();
        let left = until.duration_since(self.now_in(&state)).as_secs_f64();
        let wait = left / self.rate(&state).max(f64::MIN_POSITIVE);
        (left > 0.0).then(|| Duration::from_secs_f64(wait.clamp(0.001, LOOK.as_secs_f64())))
    }

    async fn sleep_headless(&self, until: Timestamp) {
        let sleeper = Sleeper::new(self, until);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            for _ in 0..YIELDS {
                if self.now() >= until {
                    return;
                }
                tokio::task::yield_now().await;
            }
            if sleeper.jump() {
                return;
            }
            changed.await;
        }
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.now_in(&self.state())
    }

    async fn sleep_until(&self, until: Timestamp) {
        if self.pace == Pace::Headless {
            return self.sleep_headless(until).await;
        }
        while let Some(wait) = self.real_wait(until) {
            tokio::time::sleep(wait).await;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.clock.state();
        self.clock.rebase(&mut state);
        state.holds -= 1;
        drop(state);
        self.clock.changed.notify_waiters();
    }
}

/// One who sleeps headless; leaves the list however the sleep ends.
struct Sleeper<'a> {
    clock: &'a VirtualClock,
    entry: (Timestamp, u64),
}

impl<'a> Sleeper<'a> {
    fn new(clock: &'a VirtualClock, until: Timestamp) -> Self {
        let mut state = clock.state();
        state.numbers += 1;
        let entry = (until, state.numbers);
        state.sleepers.insert(entry);
        drop(state);
        Self { clock, entry }
    }

    /// Moves time to this sleeper's end, if nobody holds it and nobody is to wake before.
    fn jump(&self) -> bool {
        let mut state = self.clock.state();
        let first = state.holds == 0 && state.sleepers.first() == Some(&self.entry);
        if first {
            state.base = state.base.max(self.entry.0);
        }
        first
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.clock.state().sleepers.remove(&self.entry);
        self.clock.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn headless_time_jumps_to_each_sleeper_in_turn() {
        let clock = Arc::new(VirtualClock::new(at(0), Pace::Headless));
        let log = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = [(300, "b"), (60, "a"), (86_400, "c")]
            .into_iter()
            .map(|(until, name)| {
                let (clock, log) = (clock.clone(), log.clone());
                tokio::spawn(async move {
                    clock.sleep_until(at(until)).await;
                    log.lock().unwrap().push((name, clock.now().as_second()));
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*log.lock().unwrap(), [("a", 60), ("b", 300), ("c", 86_400)]);
    }

    #[tokio::test]
    async fn headless_time_stands_still_while_it_is_held() {
        let clock = Arc::new(VirtualClock::new(at(0), Pace::Headless));
        let hold = clock.hold();
        let outside = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let seen = clock.now();
            drop(hold);
            seen
        };
        let (seen, ()) = tokio::join!(outside, clock.sleep_until(at(60)));
        assert_eq!((seen, clock.now()), (at(0), at(60)));
    }

    #[tokio::test]
    async fn an_abandoned_sleep_keeps_nobody() {
        let clock = VirtualClock::new(at(0), Pace::Headless);
        tokio::select! {
            biased;
            () = async { tokio::task::yield_now().await } => {}
            () = clock.sleep_until(at(45)) => panic!("the deadline came first"),
        }
        clock.sleep_until(at(60)).await;
        assert_eq!(clock.now(), at(60));
    }

    #[tokio::test]
    async fn a_multiple_passes_faster_and_falls_back_while_it_is_held() {
        let clock = Arc::new(VirtualClock::new(at(0), Pace::Times(6000.0)));
        let began = Instant::now();
        clock.sleep_until(at(60)).await;
        assert!(clock.now() >= at(60) && began.elapsed() < Duration::from_secs(5));
        let hold = clock.hold();
        let before = clock.now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(clock.now().duration_since(before) < SignedDuration::from_secs(10), "real time, not two minutes");
        drop(hold);
    }
}
