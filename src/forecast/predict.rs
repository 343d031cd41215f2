//! One tick's outlooks for all targets: a few refits, then every model follows its signal and is carried an hour ahead.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rayon::prelude::*;

use super::backtest::{Fitted, LEAST_KNOWN, WARM_UP, fit};
use super::model::{Model, ModelKind, Pace, Standing, offset_of};
use super::shape::Shape;
use super::state::{drifted, note, recall, recall_widths, remember, settle};
use super::width::{Widths, at_minute, widths};
use super::working::{GRID_STEP_S, Working, offset_at};
use crate::domain::limits::{Group, SignalUse, Surge};
use crate::domain::memory::{PlannerMemory, TargetMemory};
use crate::domain::names::TargetKey;
use crate::domain::outlook::{ForecastQuality, HORIZON_MINUTES, LEVELS, Outlook};
use crate::domain::series::{History, Series, quantile};
use crate::domain::signal::{Signal, SignalName};
use crate::domain::snapshot::Snapshot;

/// Quick fits a tick may do: each is a few dozen passes over two days, one or two milliseconds. A fresh fleet of 1,000 has its seasons within
/// an hour. Where a fleet is so large that a turn takes longer than [`REFIT_AFTER`], shapes grow older; levels never do.
const QUICK_FITS: usize = 18;
/// Fits with every model a tick may do: each costs about as much as ten quick ones or more.
const COMPLETE_FITS: usize = 2;
/// Age at which a model is fitted anew.
const REFIT_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// Least age at which drift asks for a new fit.
const REFIT_ON_DRIFT: SignedDuration = SignedDuration::from_mins(15);
/// Gain of the level where nothing is fitted yet: half of a shift is followed within two samples.
const UNFITTED_GAIN: f64 = 0.35;
/// Lead assumed where no start-up was seen yet, minutes.
const USUAL_LEAD_MINUTES: u16 = 10;
/// Minutes between two notes of a target's forecasts.
const NOTED_EVERY_MINUTES: i64 = 5;
/// Minutes between the points at which the path is computed; between them it is linear.
const NODE_MINUTES: usize = 5;

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
    let mut scratch = Vec::new();
    let due = due(&loads, &memory, snapshot.at);
    let fits = fit_all(&due, &memory);
    for ((load, effort), fitted) in due.into_iter().zip(fits) {
        if let (Some(target), Some(fitted)) = (memory.targets.get_mut(load.target), fitted) {
            let old = target.forecaster.take();
            let complete = effort != Effort::First;
            let mut state = remember(fitted, snapshot.at, complete, &mut scratch);
            state.open = old.map(|old| old.open).unwrap_or_default();
            target.forecaster = Some(state);
        }
    }
    let mut outlooks = BTreeMap::new();
    for load in &loads {
        if let Some(target) = memory.targets.get_mut(load.target)
            && let Some(outlook) = follow(load, target, snapshot.at, &mut scratch)
        {
            outlooks.insert(load.target.clone(), Arc::new(outlook));
        }
    }
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
    /// Quick, because nothing is fitted yet.
    First,
    /// Quick, because the model is old and of a kind that is quick to fit.
    Again,
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
                fits.push((load, Effort::First));
            }
            continue;
        };
        let age = now.duration_since(state.fitted);
        let is_slow = matches!(ModelKind::named(&state.model), Some(ModelKind::Ets | ModelKind::Mstl));
        if !state.complete {
            complete.push((0u8, state.fitted, load));
        } else if age >= REFIT_ON_DRIFT && drifted(state) {
            complete.push((1, state.fitted, load));
        } else if age >= REFIT_AFTER && is_slow {
            complete.push((2, state.fitted, load));
        } else if age >= REFIT_AFTER {
            again.push((state.fitted, load));
        }
    }
    again.sort_by(|a, b| (a.0, a.1.target).cmp(&(b.0, b.1.target)));
    complete.sort_by(|a, b| (a.0, a.1, a.2.target).cmp(&(b.0, b.1, b.2.target)));
    let quick_left = QUICK_FITS - fits.len();
    fits.extend(again.into_iter().take(quick_left).map(|(_, load)| (load, Effort::Again)));
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
fn follow(load: &Load<'_>, memory: &mut TargetMemory, now: Timestamp, scratch: &mut Vec<(f32, f64)>) -> Option<Outlook> {
    let history = &*load.signal.history;
    let zone = load.group.time_zone.zone();
    let (seen_at, latest) = history.latest()?;
    let shift = offset_at(zone, now.as_second());
    let mut state = memory.forecaster.take().and_then(|state| recall(&state).map(|model| (state, model)));
    if let Some((state, model)) = &mut state {
        settle(state, model, history, now, scratch);
    }
    let unfitted;
    let model = if let Some((_, model)) = &state {
        model
    } else {
        unfitted = level_of(history, latest);
        &unfitted
    };
    let mut at = stand(model, &history.middle, shift);
    let since_middle = history.middle.end().unwrap_or(Timestamp::MIN).as_second();
    let fine_share = f64::from(history.fine.step_s.max(1)) / GRID_STEP_S as f64;
    let fresh = (0..history.fine.values.len()).rev().take_while(|i| history.fine.second(*i) > since_middle).count();
    for index in history.fine.values.len() - fresh..history.fine.values.len() {
        let local = history.fine.second(index) + shift;
        match &mut at {
            Some(at) => model.follow(at, history.fine.values[index], local, fine_share),
            None => at = history.fine.values[index].is_finite().then(|| Standing::at(model, history.fine.values[index], local)),
        }
    }
    let at = at.unwrap_or_else(|| Standing::at(model, latest, seen_at.as_second() + shift));
    // What was seen last is carried from where it was seen, but never further than the outlook itself reaches.
    let age = now.duration_since(seen_at).as_secs().clamp(0, 3600);
    let ahead = |seconds: i64| model.ahead(at, GRID_STEP_S, now.as_second() + shift - age, seconds + age);
    let (widths, quality) = match &state {
        Some((state, _)) => (recall_widths(state, scratch), state.quality),
        None => (widths(&[], scratch), ForecastQuality::default()),
    };
    let outlook = outlook(now, model, ahead, &widths, &load.group.surges, quality);
    memory.forecaster = state.map(|(mut state, _)| {
        if is_turn(load.target, now) {
            note(&mut state, now, |minute| outlook.quantile(minute, 0.5));
        }
        state
    });
    Some(outlook)
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

/// The model of a series that is too young to be fitted.
fn level_of(history: &History, latest: f32) -> Model {
    let seen = history.middle.values.len().saturating_sub(WARM_UP);
    let mut offset = offset_of(&history.middle.values[seen..]);
    if history.middle.latest().is_none() {
        offset = offset_of(&[latest]);
    }
    Model {
        kind: ModelKind::Level,
        offset,
        shape: Shape::default(),
        pace: Pace::level(UNFITTED_GAIN, 1.0),
        base: 0.0,
        shift: f64::INFINITY,
    }
}

/// Whether this tick is the one in five at which a target's forecasts are noted: spread by name, so that no tick does all the work.
fn is_turn(target: &TargetKey, now: Timestamp) -> bool {
    let sum = target.name.bytes().fold(0i64, |sum, b| (sum * 31 + i64::from(b)) % 65_521);
    now.as_second().div_euclid(60).rem_euclid(NOTED_EVERY_MINUTES) == sum % NOTED_EVERY_MINUTES
}

/// An outlook from the log path `ahead` (of seconds), the widths around it and the surges upon it.
pub(super) fn outlook(
    made: Timestamp,
    model: &Model,
    ahead: impl Fn(i64) -> f64,
    widths: &Widths,
    surges: &[Surge],
    quality: ForecastQuality,
) -> Outlook {
    let mut rows = Vec::with_capacity(HORIZON_MINUTES + 1);
    let node = |minute: usize| {
        let point = ahead(60 * i64::try_from(minute).unwrap_or(0));
        at_minute(widths, minute).map(|offset| model.demand(point + f64::from(offset)) as f32)
    };
    let mut low = node(0);
    for start in (0..HORIZON_MINUTES).step_by(NODE_MINUTES) {
        let high = node(start + NODE_MINUTES);
        for minute in 0..NODE_MINUTES {
            let share = minute as f32 / NODE_MINUTES as f32;
            let mut row = low;
            for (value, high) in row.iter_mut().zip(high) {
                *value += share * (high - *value);
            }
            rows.push(row);
        }
        low = high;
    }
    rows.push(low);
    for surge in surges {
        apply(surge, made, &mut rows);
    }
    Outlook::new(made, model.kind.name(), rows, quality)
}

/// Multiplies the minutes that an announced surge covers. One that runs already is in what is seen, so it is carried on, not multiplied again.
fn apply(surge: &Surge, made: Timestamp, rows: &mut [[f32; LEVELS.len()]]) {
    if surge.start <= made {
        return;
    }
    let first = (surge.start.duration_since(made).as_secs() + 59) / 60;
    let last = first.saturating_add(i64::try_from(surge.duration.0.as_secs() / 60).unwrap_or(i64::MAX));
    let factor = surge.percent as f32 / 100.0;
    for (minute, row) in (0i64..).zip(rows) {
        if (first..last.max(first + 1)).contains(&minute) {
            for value in row {
                *value *= factor;
            }
        }
    }
}

#[cfg(test)]
#[path = "predict_tests.rs"]
mod tests;
