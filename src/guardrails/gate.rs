//! The gate's bookkeeping: what it remembers of what it released, settled against each new snapshot. Values in, values out; only the gate calls.

use jiff::{SignedDuration, Timestamp};

use crate::domain::memory::{ChangeMark, Commitment, GateMemory, RegretAccount};
use crate::domain::outcome::{Outcome, OutcomeResult};
use crate::domain::proposal::{Change, Origin};
use crate::domain::snapshot::Snapshot;

/// No write takes longer to be seen: what is still unseen then was lost.
const OLDEST_COMMITMENT: SignedDuration = SignedDuration::from_mins(10);
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
    for commitment in closed.into_iter().filter(|commitment| commitment.regret.0 > 0) {
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
pub fn charge_outcome(mut gate: GateMemory, outcome: &Outcome, origin: Origin) -> GateMemory {
    match &outcome.result {
        OutcomeResult::Applied { .. } | OutcomeResult::Confirmed => {
            let mark = match &outcome.change {
                Change::Replicas(c) => Some((c.from, c.to)),
                Change::Resources(_) => Some((0, 0)),
                Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => None,
            };
            if let (Some((from, to)), Some(target)) = (mark, outcome.change.target()) {
                let marks = gate.changes.entry(target.clone()).or_default();
                marks.push_back(ChangeMark { at: outcome.at, origin, from, to });
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
            let released = gate.commitments.open.iter().position(|commitment| commitment.proposal == outcome.proposal);
            if let Some(commitment) = released.map(|index| gate.commitments.open.remove(index)) {
                refund(&mut gate, &commitment);
            }
        }
    }
    gate
}

/// Whether a commitment has yet to be seen: the target is the one that was meant and still as it was before.
pub(super) fn still_open(snapshot: &Snapshot, commitment: &Commitment) -> bool {
    if snapshot.at.duration_since(commitment.at).abs() > OLDEST_COMMITMENT {
        return false;
    }
    match &commitment.change {
        Change::Replicas(c) => snapshot.workload(&c.target).is_some_and(|w| w.uid == c.uid && w.replicas.desired == c.from),
        Change::Resources(c) => snapshot.workload(&c.target).is_some_and(|w| {
            w.uid == c.uid && w.template.containers.iter().any(|container| container.name == c.container && container.resources == c.from)
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
