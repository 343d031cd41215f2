//! One tick's outlooks for all targets: a few refits, then every model follows its signal and is carried an hour ahead.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rayon::prelude::*;

use super::backtest::OLDEST_SEEN_S;
use super::ensemble::Ensemble;
use super::fit::{Fitted, LEAST_KNOWN, fit};
use super::lags::{Past, Samples};
use super::model::{Model, ModelKind, Pace, Standing, offset_of};
use super::outage::without_outages;
use super::outlook::outlook;
use super::shape::Shape;
use super::stand::{Stand, Standings};
use super::state::{drifted, note, recall, remember, settle};
use super::walk::WARM_UP;
use super::working::{GRID_STEP_S, Working, offset_at};
use crate::domain::limits::{Group, SignalUse};
use crate::domain::memory::{PlannerMemory, TargetMemory};
use crate::domain::names::TargetKey;
use crate::domain::outlook::{ForecastQuality, Outlook};
use crate::domain::series::{History, Series, quantile};
use crate::domain::signal::{Signal, SignalName};
use crate::domain::snapshot::Snapshot;

/// Quick fits a tick may do: each is a few dozen passes over two days, a few milliseconds. A fresh fleet of 1,000 has its seasons within
/// an hour. Where a fleet is so large that a turn takes longer than [`REFIT_AFTER`], shapes grow older; levels, regressions and widths never do.
const QUICK_FITS: usize = 18;
/// Fits with every model a tick may do: each costs about as much as ten quick ones or more.
const COMPLETE_FITS: usize = 2;
/// Age at which followers are fitted anew: shapes change within days, and everything else learns by itself.
const REFIT_AFTER: SignedDuration = SignedDuration::from_hours(6);
/// Age at which every kind takes part again.
const COMPLETE_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// Least age at which drift asks for a new fit.
const REFIT_ON_DRIFT: SignedDuration = SignedDuration::from_hours(1);
/// Gain of the level where nothing is fitted yet: half of a shift is followed within two samples.
const UNFITTED_GAIN: f64 = 0.35;
/// Lead assumed where no start-up was seen yet, minutes.
const USUAL_LEAD_MINUTES: u16 = 10;
/// Targets that are worth a thread: following one takes some twenty microseconds.
const LEAST_SHARED: usize = 32;
/// Minutes between two notes of a target's forecasts.
const NOTED_EVERY_MINUTES: i64 = 5;
/// What `predict` found: an outlook of load for each target that has one, and what the forecasters carry on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Outlooks of demand, or of CPU where no demand is known.
    pub outlooks: BTreeMap<TargetKey, Arc<Outlook>>,
    /// The planner's memory with the forecasters' new states.
    pub memory: PlannerMemory,
}

/// The signal that a target is sized by: one its team named for demand, the shipped demand, or CPU as a proxy for it.
#[must_use]
pub fn load_signal<'a>(snapshot: &'a Snapshot, group: &Group, target: &TargetKey) -> Option<(&'a SignalName, &'a Signal)> {
    let signals = snapshot.signals.get(target)?;
    let seen = |name: &SignalName| signals.get_key_value(name).filter(|(_, signal)| signal.history.latest().is_some());
    let mut custom = group.signals.iter().filter(|s| s.role == SignalUse::Demand);
    custom
        .find_map(|s| seen(&SignalName::Custom(s.name.as_str().into())))
        .or_else(|| seen(&SignalName::Demand))
        .or_else(|| seen(&SignalName::Cpu))
}

/// Outlooks for every target of every group that has a load signal. Models follow each tick and are refitted rarely, so many a tick.
#[must_use]
pub fn predict(snapshot: &Snapshot) -> Prediction {
    let mut memory = PlannerMemory::clone(&snapshot.memory.planner);
    memory.targets.retain(|key, _| snapshot.facts.workloads.contains_key(key));
    let loads: Vec<Load<'_>> = loads(snapshot);
    for load in &loads {
        let workload = snapshot.facts.workloads.get(load.target);
        let target = memory.targets.entry(load.target.clone()).or_default();
        if workload.is_some_and(|w| w.uid != target.uid) {
            // Another object of the same name: nothing that was learned of the old one holds.
            *target = TargetMemory { uid: workload.map(|w| w.uid.clone()).unwrap_or_default(), ..TargetMemory::default() };
        }
        target.since.get_or_insert(snapshot.at);
    }
    let due = due(&loads, &memory, snapshot.at);
    let fits = fit_all(&due, &memory);
    for ((load, effort), fitted) in due.into_iter().zip(fits) {
        if let (Some(target), Some(fitted)) = (memory.targets.get_mut(load.target), fitted) {
            let old = target.forecaster.take();
            let completed = old.as_ref().and_then(|old| old.completed);
            let fitted = match old.as_ref().and_then(|old| recall(old, None)) {
                Some(old) => fitted.carry_on(&old, effort == Effort::Complete),
                None => fitted,
            };
            let mut state = remember(fitted, snapshot.at, if effort == Effort::Complete { Some(snapshot.at) } else { completed });
            state.notes = old.map(|old| old.notes).unwrap_or_default();
            target.forecaster = Some(state);
        }
    }
    let by_target: BTreeMap<&TargetKey, &Load<'_>> = loads.iter().map(|load| (load.target, load)).collect();
    let followed: Vec<(&Load<'_>, &mut TargetMemory)> =
        memory.targets.iter_mut().filter_map(|(key, target)| Some((*by_target.get(key)?, target))).collect();
    let outlook =
        |(load, target): (&Load<'_>, &mut TargetMemory)| Some((load.target.clone(), Arc::new(follow(load, target, snapshot.at)?)));
    let outlooks = followed.into_par_iter().with_min_len(LEAST_SHARED).filter_map(outlook).collect();
    Prediction { outlooks, memory }
}

/// A target with its load signal.
struct Load<'a> {
    group: &'a Group,
    target: &'a TargetKey,
    signal: &'a Signal,
}

fn loads(snapshot: &Snapshot) -> Vec<Load<'_>> {
    let mut loads = Vec::with_capacity(snapshot.facts.workloads.len());
    for group in snapshot.facts.groups.values() {
        for target in group.targets.iter().map(|t| &t.key).filter(|key| snapshot.facts.workloads.contains_key(*key)) {
            if let Some((_, signal)) = load_signal(snapshot, group, target) {
                loads.push(Load { group, target, signal });
            }
        }
    }
    loads
}

/// How much a fit may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// Those that are quick to fit.
    Quick,
    /// Every model competes.
    Complete,
}

/// What is fitted this tick. Quick: what has no model, then the oldest. Complete: what never was, then the drifted, then the oldest of those
/// that only a complete fit can renew.
fn due<'a>(loads: &'a [Load<'a>], memory: &PlannerMemory, now: Timestamp) -> Vec<(&'a Load<'a>, Effort)> {
    let mut fits = Vec::new();
    let mut again = Vec::new();
    let mut complete = Vec::new();
    for load in loads {
        let Some(state) = memory.targets.get(load.target).and_then(|t| t.forecaster.as_ref()) else {
            if fits.len() < QUICK_FITS && enough(&load.signal.history) {
                fits.push((load, Effort::Quick));
            }
            continue;
        };
        let age = now.duration_since(state.fitted);
        match state.completed {
            None => complete.push((0u8, state.fitted, load)),
            Some(_) if age >= REFIT_ON_DRIFT && drifted(state) => complete.push((1, state.fitted, load)),
            Some(completed) if now.duration_since(completed) >= COMPLETE_AFTER => complete.push((2, completed, load)),
            Some(_) if age >= REFIT_AFTER => again.push((state.fitted, load)),
            Some(_) => {}
        }
    }
    again.sort_by(|a, b| (a.0, a.1.target).cmp(&(b.0, b.1.target)));
    complete.sort_by(|a, b| (a.0, a.1, a.2.target).cmp(&(b.0, b.1, b.2.target)));
    let quick_left = QUICK_FITS - fits.len();
    fits.extend(again.into_iter().take(quick_left).map(|(_, load)| (load, Effort::Quick)));
    fits.extend(complete.into_iter().take(COMPLETE_FITS).map(|(_, _, load)| (load, Effort::Complete)));
    fits
}

/// Fits what is due, each core its share: a fit takes a hundred times as long as following a model. Answers in the order of `due`.
fn fit_all(due: &[(&Load<'_>, Effort)], memory: &PlannerMemory) -> Vec<Option<Fitted>> {
    let fit_one = |(load, effort): &(&Load<'_>, Effort)| {
        let target = memory.targets.get(load.target)?;
        let known = Working::of_history(&load.signal.history, load.group.time_zone.zone());
        let named = load.group.forecast_model.as_deref().and_then(ModelKind::named);
        fit(&known, lead_minutes(target), named, *effort == Effort::Complete)
    };
    due.par_iter().map(fit_one).collect()
}

fn enough(history: &History) -> bool {
    history.middle.values.iter().filter(|v| v.is_finite()).take(LEAST_KNOWN).count() >= LEAST_KNOWN
}

/// How far ahead this workload has to look: its slower start-ups and a tick.
fn lead_minutes(memory: &TargetMemory) -> u16 {
    if memory.startup_s.is_empty() {
        return USUAL_LEAD_MINUTES;
    }
    let starts: Vec<f32> = memory.startup_s.iter().copied().collect();
    let seconds = quantile(&starts, 0.95).unwrap_or(0.0).clamp(0.0, 3600.0);
    (seconds / 60.0).ceil() as u16 + 1
}

/// Follows the signal up to now and carries it an hour ahead. `None` when nothing is known at all.
fn follow(load: &Load<'_>, memory: &mut TargetMemory, now: Timestamp) -> Option<Outlook> {
    let history = &*load.signal.history;
    let (seen_at, latest) = history.latest()?;
    let shift = offset_at(load.group.time_zone.zone(), now.as_second());
    let named = load.group.forecast_model.as_deref().and_then(ModelKind::named);
    let mut state = memory.forecaster.take();
    let recalled = state.as_ref().and_then(|state| recall(state, named));
    if recalled.is_none() {
        state = None;
    }
    let mut ensemble = recalled.unwrap_or_else(|| level_of(history, latest));
    let habit = without_outages(&history.middle.values);
    let past = past_of(history, &habit, ensemble.offset, shift);
    if let Some(state) = &mut state {
        settle(state, &mut ensemble, past, history, now);
    }
    // What was seen last is carried from where it was seen, but never further than the outlook itself reaches.
    let age = now.duration_since(seen_at).as_secs().clamp(0, OLDEST_SEEN_S);
    let standings = standings(&ensemble, history, (seen_at, latest), shift);
    let stand = Stand::new(&ensemble, past, now.as_second() - age, standings, GRID_STEP_S);
    let quality = state.as_ref().map_or_else(ForecastQuality::default, |state| state.quality);
    let outlook = outlook(now, &stand, age, &load.group.surges, quality);
    if let Some(state) = &mut state
        && is_turn(load.target, now)
    {
        note(state, now, &stand, age);
    }
    memory.forecaster = state;
    Some(outlook)
}

/// The tiers of a signal, as a regression looks at them.
fn past_of<'a>(history: &'a History, habit: &'a [f32], offset: f64, shift: i64) -> Past<'a> {
    let of = |series: &Series| (series.start.as_second(), i64::from(series.step_s.max(1)));
    let samples = |series: &'a Series| Samples { start: of(series).0, step: of(series).1, values: &series.values };
    let grid = samples(&history.middle);
    let hours = history.coarse.as_ref().map(samples);
    Past { offset, fine: Some(samples(&history.fine)), grid, habit: Samples { values: habit, ..grid }, hours, shift, since: i64::MIN }
}

/// Where the followers stand after the newest sample: over the middle tier, then over the minutes that are beyond it.
fn standings(ensemble: &Ensemble, history: &History, (seen_at, latest): (Timestamp, f32), shift: i64) -> Standings {
    let since_middle = history.middle.end().unwrap_or(Timestamp::MIN).as_second();
    let fine = &history.fine;
    let fine_share = f64::from(fine.step_s.max(1)) / GRID_STEP_S as f64;
    let fresh = (0..fine.values.len()).rev().take_while(|i| fine.second(*i) > since_middle).count();
    let mut standings = Standings::default();
    for model in &ensemble.followers {
        let mut at = stand(model, &history.middle, shift);
        for index in fine.values.len() - fresh..fine.values.len() {
            let local = fine.second(index).saturating_add(shift);
            match &mut at {
                Some(at) => model.follow(at, fine.values[index], local, fine_share),
                None => at = fine.values[index].is_finite().then(|| Standing::at(model, fine.values[index], local)),
            }
        }
        let first = || Standing::at(model, latest, seen_at.as_second().saturating_add(shift));
        standings[model.kind as usize] = Some(at.unwrap_or_else(first));
    }
    standings
}

/// Where the level of `model` stands at the end of the middle tier.
fn stand(model: &Model, middle: &Series, shift: i64) -> Option<Standing> {
    let from = middle.values.len().saturating_sub(WARM_UP);
    let step = i64::from(middle.step_s.max(1));
    let start = middle.start.as_second() + shift - step / 2;
    let local = |index: usize| start + step * i64::try_from(index).unwrap_or(0);
    let first = (from..middle.values.len()).find(|i| middle.values[*i].is_finite())?;
    let mut at = Standing::at(model, middle.values[first], local(first));
    for index in first + 1..middle.values.len() {
        model.follow(&mut at, middle.values[index], local(index), 1.0);
    }
    Some(at)
}

/// The models of a series that is too young to be fitted: the level alone.
fn level_of(history: &History, latest: f32) -> Ensemble {
    let seen = history.middle.values.len().saturating_sub(WARM_UP);
    let mut offset = offset_of(&history.middle.values[seen..]);
    if history.middle.latest().is_none() {
        offset = offset_of(&[latest]);
    }
    let pace = Pace::level(UNFITTED_GAIN, 1.0);
    let level = Model { kind: ModelKind::Level, offset, shape: Shape::default(), pace, base: 0.0, shift: f64::INFINITY };
    Ensemble::new(offset, vec![level], Some(ModelKind::Level))
}

/// Whether this tick is the one in five at which a target's forecasts are noted: spread by name, so that no tick does all the work.
fn is_turn(target: &TargetKey, now: Timestamp) -> bool {
    let sum = target.name.bytes().fold(0i64, |sum, b| (sum * 31 + i64::from(b)) % 65_521);
    now.as_second().div_euclid(60).rem_euclid(NOTED_EVERY_MINUTES) == sum % NOTED_EVERY_MINUTES
}

#[cfg(test)]
#[path = "predict_tests.rs"]
mod tests;
