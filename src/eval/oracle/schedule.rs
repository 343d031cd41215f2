//! From ready replicas to the replicas that have to be asked for, and what a schedule comes to, to the unit.

use std::collections::VecDeque;

use super::OracleSpec;
use crate::service::Tally;
use crate::service::replay::{ExactReplay, ReplaySpec};

/// Replicas to ask for, `(second, replicas)` at each change from second 0 on, so that `ready` (by steps of `step_s` seconds) are ready: the most
/// that are needed within the start-up to come.
pub(super) fn asked_for(ready: &[u32], step_s: u32, startup_s: u32) -> Vec<(u32, u32)> {
    let end = ready.len() as u32 * step_s;
    let at = |second: u32| ready[(second / step_s) as usize];
    let mut schedule: Vec<(u32, u32)> = Vec::new();
    // Seconds of the window whose replicas are more than all later ones'.
    let mut window: VecDeque<u32> = VecDeque::new();
    let mut entered = 0;
    for second in 0..end {
        while entered <= second.saturating_add(startup_s).min(end - 1) {
            while window.back().is_some_and(|last| at(*last) <= at(entered)) {
                window.pop_back();
            }
            window.push_back(entered);
            entered += 1;
        }
        while window.front().is_some_and(|first| *first < second) {
            window.pop_front();
        }
        let Some(replicas) = window.front().map(|first| at(*first)) else { break };
        if schedule.last().is_none_or(|(_, before)| *before != replicas) {
            schedule.push((second, replicas));
        }
    }
    schedule
}

/// What a schedule comes to in the scored part, through the simulator's queue.
pub(super) fn come_to(spec: &OracleSpec<'_>, arrivals: &[u32], schedule: &[(u32, u32)]) -> Tally {
    let replay = ReplaySpec {
        service: spec.service,
        slo_latency_s: spec.slo_latency_s,
        startup_s: spec.startup_s,
        bounds: spec.bounds,
        rates: &[],
        step_s: 1,
        start_replicas: spec.bounds.clamp(spec.start_replicas),
    };
    let mut run = ExactReplay::new(&replay);
    let mut changes = schedule.iter().peekable();
    let mut unscored = Tally::default();
    let mut ended_s = 0.0;
    for (second, units) in (0u32..).zip(arrivals) {
        if second == spec.unscored_s {
            unscored = run.tally();
        }
        if let Some((_, replicas)) = changes.next_if(|(at, _)| *at <= second) {
            let removed = run.fleet().desired().saturating_sub(*replicas);
            let paid_until = second + spec.ending_s;
            ended_s += f64::from(removed) * f64::from(paid_until - second.max(spec.unscored_s).min(paid_until));
            run.scale(*replicas);
        }
        run.pass(*units);
    }
    let tally = run.tally().since(&unscored);
    Tally { replica_seconds: tally.replica_seconds + ended_s, ..tally }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_asked_for_a_start_up_before_it_is_needed_and_let_go_when_it_is_not() {
        let ready = [2, 2, 2, 2, 4, 4, 1, 1, 1, 1, 1, 1];
        assert_eq!(asked_for(&ready, 1, 3), [(0, 2), (1, 4), (6, 1)]);
        assert_eq!(asked_for(&ready, 1, 0), [(0, 2), (4, 4), (6, 1)]);
        assert_eq!(asked_for(&ready, 15, 30), [(0, 2), (30, 4), (90, 1)]);
    }

    #[test]
    fn a_gap_shorter_than_a_start_up_is_bridged() {
        assert_eq!(asked_for(&[3, 3, 1, 1, 3, 3], 1, 4), [(0, 3)]);
    }
}
