//! Hysteresis on scale-down: a backward maximum of the needs over some start-up times. A replica given up too early costs a start-up to win
//! back, so the slower the start, the longer it is held.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// Start-up times that a need is held for.
const HELD_STARTUPS: f64 = 4.0;
/// Shortest hold, seconds: three ticks, so that one low sample gives nothing up.
const SHORTEST_HOLD_S: f64 = 180.0;
/// Longest hold, seconds.
const LONGEST_HOLD_S: f64 = 1800.0;
/// Needs kept: an hour of minutes.
const NEEDS_KEPT: usize = 60;

/// How long a need is held after it was last seen.
#[must_use]
pub fn hold_window(startup_s: f64) -> SignedDuration {
    let seconds = (HELD_STARTUPS * startup_s).clamp(SHORTEST_HOLD_S, LONGEST_HOLD_S);
    SignedDuration::from_secs(if seconds.is_nan() { 180 } else { seconds as i64 })
}

/// Notes the need of now (one a minute, the largest) and gives the largest within the window.
pub fn remember_need(needs: &mut VecDeque<(Timestamp, u32)>, now: Timestamp, need: u32, window: SignedDuration) -> u32 {
    match needs.back_mut() {
        Some((at, last)) if at.as_second().div_euclid(60) == now.as_second().div_euclid(60) => *last = need.max(*last),
        _ => needs.push_back((now, need)),
    }
    let surplus = needs.len().saturating_sub(NEEDS_KEPT);
    needs.drain(..surplus);
    needs.iter().filter(|(at, _)| now.duration_since(*at) < window).map(|(_, need)| *need).fold(need, u32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    #[test]
    fn a_need_is_held_for_some_start_ups_and_then_given_up() {
        let mut needs = VecDeque::new();
        let window = hold_window(60.0);
        assert_eq!(remember_need(&mut needs, at(0), 9, window), 9);
        assert_eq!(remember_need(&mut needs, at(1), 4, window), 9);
        assert_eq!(remember_need(&mut needs, at(3), 4, window), 9);
        assert_eq!(remember_need(&mut needs, at(4), 4, window), 4, "four start-ups of a minute have passed");
        assert_eq!(hold_window(1.0).as_secs(), 180);
        assert_eq!(hold_window(f64::INFINITY).as_secs(), 1800);
    }

    #[test]
    fn passes_within_a_minute_are_one_entry() {
        let mut needs = VecDeque::new();
        for second in [0, 15, 30, 45] {
            remember_need(&mut needs, Timestamp::from_second(second).unwrap(), 3, hold_window(1.0));
        }
        assert_eq!(needs.len(), 1);
        (0..500).for_each(|minute| _ = remember_need(&mut needs, at(minute), 1, hold_window(1.0)));
        assert_eq!(needs.len(), NEEDS_KEPT);
    }
}
