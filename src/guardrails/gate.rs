//! The gate's bookkeeping: what it remembers of what it released, settled against each new snapshot. Values in, values out; only the gate calls.

use jiff::{SignedDuration, Timestamp};

use crate::domain::memory::{ChangeMark, Commitment, GateMemory, RegretAccount};
use crate::domain::names::ProposalId;
use crate::domain::outcome::{Outcome, OutcomeResult};
use crate::domain::proposal::Change;
use crate::domain::resize::Through;
use crate::domain::snapshot::Snapshot;

/// No write takes longer to be seen: what is still unseen then was lost, and may be tried anew (the write itself looks at the world first).
const OLDEST_COMMITMENT: SignedDuration = SignedDuration::from_secs(150);
/// Marks kept of one target.
const MOST_MARKS: usize = 32;
/// Over what time the usual is taken, seconds: a day, so that a spike is unusual and the hour of the day is not.
const USUAL_SECONDS: f64 = 86_400.0;
/// A gap longer than this tells nothing about what was between, seconds.
const LONGEST_GAP_SECONDS: f64 = 600.0;

/// Settles what the gate remembers against what a snapshot shows: commitments that are seen, overtaken or lost are closed, windows trimmed, the
/// usual moved on, the day's regret begun anew at midnight UTC. Called once a tick, before anything is judged.
#[must_use]
pub fn settle(snapshot: &Snapshot, mut gate: GateMemory) -> GateMemory {
    let now = snapshot.at;
    begin_the_day(&mut gate, now);
    let (open, closed): (Vec<_>, Vec<_>) = std::mem::take(&mut gate.commitments.open).into_iter().partition(|c| still_open(snapshot, c));
    gate.commitments.open = open;
    for commitment in closed {
        remember_what_shows(&mut gate, snapshot, &commitment);
        if commitment.regret.0 <= 0 {
            continue;
        }
        let fresh = RegretAccount { day: midnight(now), spent: crate::domain::units::MicroUsd::default() };
        gate.regret.entry(commitment.group).or_insert(fresh).spent += commitment.regret;
    }
    trim(&mut gate, snapshot);
    follow_the_usual(&mut gate, snapshot);
    gate.started = Some(gate.started.map_or(now, |started| started.min(now)));
    gate.settled = Some(now);
    gate
}

/// Takes in what came of a released change: a change that is in the cluster is remembered, one that certainly is not frees what it was charged.
/// What is not known stays charged until a snapshot shows it, or it has grown old.
#[must_use]
pub fn charge_outcome(mut gate: GateMemory, outcome: &Outcome) -> GateMemory {
    match &outcome.result {
        OutcomeResult::Applied { .. } | OutcomeResult::Confirmed | OutcomeResult::Resized { .. } => {
            let mark = match &outcome.change {
                Change::Replicas(c) => Some((c.from, c.to)),
                // What carries a size on is no new one: the next right-sizing does not wait for it.
                Change::Resources(c) => (!c.carries_on()).then_some((0, 0)),
                Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => None,
            };
            if let (Some((from, to)), Some(target)) = (mark, outcome.change.target()) {
                let marks = gate.changes.entry(target.clone()).or_default();
                marks.push_back(ChangeMark { at: outcome.at, origin: outcome.origin, from, to });
                while marks.len() > MOST_MARKS {
                    marks.pop_front();
                }
            }
        }
        OutcomeResult::Unknown { .. } => {}
        OutcomeResult::WorldChanged { .. }
        | OutcomeResult::Conflicted { .. }
        | OutcomeResult::Gone
        | OutcomeResult::Forbidden { .. }
        | OutcomeResult::Denied { .. }
        | OutcomeResult::NotLeader => {
            return take_back(gate, &outcome.proposal);
        }
    }
    gate
}

/// Takes back what a release charged, when it could not even be begun.
#[must_use]
pub fn take_back(mut gate: GateMemory, proposal: &ProposalId) -> GateMemory {
    let released = gate.commitments.open.iter().position(|commitment| commitment.proposal == *proposal);
    if let Some(commitment) = released.map(|index| gate.commitments.open.remove(index)) {
        refund(&mut gate, &commitment);
    }
    gate
}

/// A write whose answer was lost, and which the world now shows, is a change like any other: cool-downs count from it.
fn remember_what_shows(gate: &mut GateMemory, snapshot: &Snapshot, commitment: &Commitment) {
    let Change::Replicas(change) = &commitment.change else { return };
    let shows = snapshot.workload(&change.target).is_some_and(|w| w.uid == change.uid && w.replicas.desired == change.to);
    let marks = gate.changes.entry(change.target.clone()).or_default();
    if shows && marks.back().is_none_or(|mark| mark.at < commitment.at) {
        marks.push_back(ChangeMark { at: commitment.at, origin: commitment.origin, from: change.from, to: change.to });
    }
}

/// Whether a commitment has yet to be seen: the target is the one that was meant and still as it was before.
pub(super) fn still_open(snapshot: &Snapshot, commitment: &Commitment) -> bool {
    if snapshot.at.duration_since(commitment.at).abs() > OLDEST_COMMITMENT {
        return false;
    }
    match &commitment.change {
        Change::Replicas(c) => snapshot.workload(&c.target).is_some_and(|w| w.uid == c.uid && w.replicas.desired == c.from),
        Change::Resources(c) => snapshot.workload(&c.target).is_some_and(|w| {
            let shown = match (c.carries_on(), c.through) {
                (false, _) => w.in_force(&c.container).is_none_or(|container| container.resources != c.from),
                (true, Through::Template) => w.in_template(&c.container).is_none_or(|resources| *resources == c.to),
                // Each tick asks the pods that are left; there is nothing to charge and nothing to wait for.
                (true, Through::Pods) => true,
            };
            w.uid == c.uid && !shown
        }),
        Change::NodePool(c) => {
            let pool = snapshot.facts.node_pools.iter().find(|pool| pool.name == c.draft.name);
            !pool.is_some_and(|pool| pool.weight == c.draft.weight && pool.limits.as_ref() == Some(&c.draft.limits))
        }
        // These live in memory and in the record: nothing of them is waited for.
        Change::Headroom(_) | Change::Finding(_) => false,
    }
}

/// Start of a day, UTC.
fn midnight(now: Timestamp) -> Timestamp {
    let day = now.as_second().div_euclid(86_400) * 86_400;
    Timestamp::from_second(day).unwrap_or(now)
}

/// A clock that goes back begins no day anew.
fn begin_the_day(gate: &mut GateMemory, now: Timestamp) {
    let today = midnight(now);
    gate.regret.retain(|_, account| account.day >= today);
}

/// What a change that never happened was charged in the window.
fn refund(gate: &mut GateMemory, commitment: &Commitment) {
    let Change::Replicas(change) = &commitment.change else { return };
    let charged = (commitment.at, change.from.abs_diff(change.to));
    if let Some(index) = gate.commitments.window.iter().rposition(|entry| *entry == charged) {
        gate.commitments.window.remove(index);
    }
}

fn trim(gate: &mut GateMemory, snapshot: &Snapshot) {
    let (now, limits) = (snapshot.at, &snapshot.limits);
    let window = limits.change_window.signed();
    // What seems to come from the future was left by a clock that went back: it is taken as done now, so that it ends.
    for (at, _) in &mut gate.commitments.window {
        *at = (*at).min(now);
    }
    gate.commitments.window.retain(|(at, _)| now.duration_since(*at) < window);
    let longest = limits.flap_window.max(limits.cool_down_after_up).max(limits.cool_down_after_down).signed();
    for marks in gate.changes.values_mut() {
        for mark in marks.iter_mut() {
            mark.at = mark.at.min(now);
        }
        marks.retain(|mark| now.duration_since(mark.at) < longest);
    }
    gate.changes.retain(|_, marks| !marks.is_empty());
}

fn follow_the_usual(gate: &mut GateMemory, snapshot: &Snapshot) {
    let passed = gate.settled.map_or(0.0, |settled| snapshot.at.duration_since(settled).as_secs_f64());
    let weight = -(-passed.clamp(0.0, LONGEST_GAP_SECONDS) / USUAL_SECONDS).exp_m1();
    gate.usual.retain(|target, _| snapshot.facts.workloads.contains_key(target));
    for (target, workload) in &snapshot.facts.workloads {
        let now = f64::from(workload.replicas.desired);
        let usual = gate.usual.entry(target.clone()).or_insert(now);
        *usual += weight * (now - *usual);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{GroupId, ProposalId};
    use crate::domain::proposal::Origin;
    use crate::domain::units::MicroUsd;
    use crate::guardrails::testing::{Setup, calm, minutes_ago, now, replicas, resources, web};

    fn released(minutes: i64, change: Change) -> Commitment {
        Commitment {
            proposal: ProposalId(format!("t6-{minutes}")),
            group: GroupId::new("shop", "shop"),
            origin: Origin::Model,
            change,
            at: minutes_ago(minutes),
            cost_change_per_hour: MicroUsd(100),
            regret: MicroUsd(100),
        }
    }

    fn settled(setup: &Setup, gate: GateMemory) -> GateMemory {
        settle(&setup.snapshot, gate)
    }

    #[test]
    fn a_commitment_stays_until_it_is_seen_overtaken_or_lost() {
        let mut gate = GateMemory::default();
        gate.commitments.open = vec![released(1, replicas(12)), released(2, resources("2", "1Gi", "1Gi"))];
        let mut setup = calm();
        assert_eq!(settled(&setup, gate.clone()).commitments.open, gate.commitments.open, "nothing is seen yet");

        setup.workload().replicas.desired = 12;
        let seen = settled(&setup, gate.clone());
        assert_eq!(seen.commitments.open, gate.commitments.open[1..]);
        assert_eq!(seen.regret[&GroupId::new("shop", "shop")].spent, MicroUsd(100), "what was done is paid for");

        setup.workload().replicas.desired = 11;
        assert_eq!(settled(&setup, gate.clone()).commitments.open.len(), 1, "somebody else scaled since");
        setup.workload().uid = "another".into();
        assert!(settled(&setup, gate.clone()).commitments.open.is_empty());

        let old = GateMemory {
            commitments: crate::domain::memory::Commitments { open: vec![released(11, replicas(12))], ..Default::default() },
            ..GateMemory::default()
        };
        assert!(settled(&calm(), old).commitments.open.is_empty());
    }

    #[test]
    fn an_outcome_is_remembered_refunded_or_left_open() {
        let charged = || {
            let mut gate = GateMemory::default();
            gate.commitments.open.push(released(1, replicas(12)));
            gate.commitments.window = [(minutes_ago(1), 2)].into();
            gate
        };
        let outcome =
            |result| Outcome { proposal: ProposalId("t6-1".into()), origin: Origin::Planner, change: replicas(12), result, at: now() };
        let after = |result| charge_outcome(charged(), &outcome(result));

        let applied = after(OutcomeResult::Applied { resource_version: None });
        let mark = ChangeMark { at: now(), origin: Origin::Planner, from: 10, to: 12 };
        assert_eq!(applied.changes[&web()], [mark]);
        assert_eq!(applied.commitments, charged().commitments, "open until it is seen");

        assert_eq!(after(OutcomeResult::Unknown { detail: "timeout".into() }), charged());
        assert_eq!(after(OutcomeResult::Gone), GateMemory::default(), "the budget is given back");
        assert_eq!(after(OutcomeResult::WorldChanged { detail: "x".into() }), GateMemory::default());
    }

    #[test]
    fn no_more_than_32_marks_are_kept() {
        let outcome = Outcome {
            proposal: ProposalId("x".into()),
            origin: Origin::Planner,
            change: replicas(12),
            result: OutcomeResult::Confirmed,
            at: now(),
        };
        let gate = (0..40).fold(GateMemory::default(), |gate, _| charge_outcome(gate, &outcome));
        assert_eq!(gate.changes[&web()].len(), 32);
    }

    #[test]
    fn windows_and_marks_end_and_those_from_the_future_begin_now() {
        let mut setup = calm();
        setup.mark(31, 10, 12);
        setup.mark(29, 10, 12);
        setup.mark(-60, 10, 12);
        let mut gate = setup.snapshot.memory.gate.clone();
        gate.commitments.window = [(minutes_ago(6), 1), (minutes_ago(4), 2), (minutes_ago(-60), 3)].into();
        let gate = settled(&setup, gate);
        assert_eq!(gate.commitments.window, [(minutes_ago(4), 2), (now(), 3)]);
        assert_eq!(gate.changes[&web()].iter().map(|mark| mark.at).collect::<Vec<_>>(), [minutes_ago(29), now()]);
    }

    #[test]
    fn the_usual_is_a_slow_mean_that_no_clock_jump_moves() {
        let mut setup = calm();
        let mut gate = settled(&setup, GateMemory::default());
        assert_eq!(gate.usual[&web()], 10.0, "the first sight is the usual");
        assert_eq!(gate.started, Some(now()));
        setup.workload().replicas.desired = 20;
        setup.snapshot.at = now() + SignedDuration::from_mins(1);
        gate = settled(&setup, gate);
        assert!((gate.usual[&web()] - 10.007).abs() < 0.001, "{}", gate.usual[&web()]);
        setup.snapshot.at = now() + SignedDuration::from_hours(1000);
        let jumped = settled(&setup, gate.clone());
        assert!(jumped.usual[&web()] < 10.1, "{}", jumped.usual[&web()]);
        setup.snapshot.at = now() - SignedDuration::from_hours(1000);
        assert_eq!(settled(&setup, gate.clone()).usual, gate.usual);
        setup.snapshot.facts.workloads.clear();
        assert!(settled(&setup, gate).usual.is_empty());
    }

    #[test]
    fn the_days_regret_ends_at_midnight_and_never_twice() {
        let group = GroupId::new("shop", "shop");
        let mut setup = calm();
        let mut gate = GateMemory::default();
        gate.regret.insert(group.clone(), RegretAccount { day: midnight(now()), spent: MicroUsd(70) });
        setup.snapshot.at = "2026-03-01T23:59:59Z".parse().unwrap();
        assert_eq!(settled(&setup, gate.clone()).regret[&group].spent, MicroUsd(70));
        setup.snapshot.at = "2026-02-27T12:00:00Z".parse().unwrap();
        assert_eq!(settled(&setup, gate.clone()).regret[&group].spent, MicroUsd(70), "a clock that went back");
        setup.snapshot.at = "2026-03-02T00:00:00Z".parse().unwrap();
        assert!(settled(&setup, gate).regret.is_empty());
    }
}
