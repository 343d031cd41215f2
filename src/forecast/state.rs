//! A model as memory keeps it, and the errors that each tick adds to it.

use jiff::{SignedDuration, Timestamp};

use super::backtest::Fitted;
use super::model::{Model, ModelKind, Pace};
use super::shape::{Season, Shape};
use super::width::{ERROR_MINUTES, ERRORS_KEPT, Widths, widths};
use crate::domain::memory::ForecasterState;
use crate::domain::outlook::LEVELS;
use crate::domain::series::{History, mean};

/// Forecasts that may wait for what they forecast: twelve an hour at four horizons, with room for a late tick.
const OPEN_KEPT: usize = 32;
/// Recent errors that may show that a model no longer fits: an hour of them.
const DRIFT_WINDOW: usize = 12;
/// Least change of log demand that counts as a shift of level: a tenth.
const LEAST_SHIFT: f64 = 0.1;
/// A model has drifted when its recent errors are so many times its usual ones.
const DRIFT_FACTOR: f32 = 2.5;

/// What memory keeps of a fit.
pub(super) fn remember(fitted: Fitted, at: Timestamp, complete: bool, scratch: &mut Vec<(f32, f64)>) -> ForecasterState {
    let Fitted { model, errors, quality } = fitted;
    let widths = widths(&errors, scratch).iter().map(|row| row.to_vec()).collect();
    let Pace { alpha, beta, phi, keep_hourly } = model.pace;
    ForecasterState {
        model: model.kind.name().into(),
        fitted: at,
        complete,
        offset: model.offset,
        shape: model.shape.values,
        pace: [alpha, beta, phi, keep_hourly],
        base: model.base,
        errors,
        widths,
        open: std::collections::VecDeque::new(),
        quality,
    }
}

/// The model that memory keeps. A state that does not hold together (a shape of no season, a number that is none) gives nothing, and the
/// series is fitted anew.
pub(super) fn recall(state: &ForecasterState) -> Option<Model> {
    let [alpha, beta, phi, keep_hourly] = state.pace;
    let whole = [alpha, beta, phi, keep_hourly].iter().all(|p| (0.0..=1.0).contains(p))
        && state.base.is_finite()
        && state.offset.is_finite()
        && state.offset > 0.0
        && (state.shape.is_empty() || Season::of_slots(state.shape.len()).is_some())
        && state.shape.iter().all(|v| v.is_finite());
    whole.then(|| Model {
        kind: ModelKind::named(&state.model).unwrap_or(ModelKind::Level),
        offset: state.offset,
        shape: Shape { values: state.shape.clone() },
        pace: Pace { alpha, beta, phi, keep_hourly },
        base: state.base,
        shift: shift_of(&state.widths),
    })
}

/// A surprise that is no longer noise: half as far again as all but one in twenty usually are.
fn shift_of(widths: &[Vec<f32>]) -> f64 {
    let Some([low, .., high, _]) = widths.first().map(Vec::as_slice) else { return f64::INFINITY };
    let usual = f64::from(high.max(-low));
    if usual.is_finite() { (1.5 * usual).max(LEAST_SHIFT) } else { f64::INFINITY }
}

/// The widths last derived; the prior's where memory holds none.
pub(super) fn recall_widths(state: &ForecasterState, scratch: &mut Vec<(f32, f64)>) -> Widths {
    let mut out = [[0.0; LEVELS.len()]; ERROR_MINUTES.len()];
    for (row, kept) in out.iter_mut().zip(&state.widths) {
        match <[f32; LEVELS.len()]>::try_from(kept.as_slice()) {
            Ok(kept) if kept.iter().all(|v| v.is_finite()) => *row = kept,
            _ => return widths(&state.errors, scratch),
        }
    }
    if state.widths.len() == ERROR_MINUTES.len() { out } else { widths(&state.errors, scratch) }
}

/// Compares forecasts that are due with what was seen in the five minutes before, and derives the widths anew when there were any.
pub(super) fn settle(state: &mut ForecasterState, model: &Model, history: &History, now: Timestamp, scratch: &mut Vec<(f32, f64)>) {
    let mut settled = false;
    state.errors.resize_with(ERROR_MINUTES.len(), Default::default);
    state.open.retain(|(due, horizon, forecast)| {
        if *due > now {
            return true;
        }
        let seen = mean(history.fine.window(*due, SignedDuration::from_mins(5)));
        if let Some(errors) = state.errors.get_mut(usize::from(*horizon)).filter(|_| seen.is_finite()) {
            errors.push_back((model.log(seen) - model.log(*forecast)) as f32);
            errors.drain(..errors.len().saturating_sub(ERRORS_KEPT));
            settled = true;
        }
        false
    });
    if settled {
        state.widths = widths(&state.errors, scratch).iter().map(|row| row.to_vec()).collect();
    }
}

/// Notes point forecasts to be compared later.
pub(super) fn note(state: &mut ForecasterState, now: Timestamp, forecast: impl Fn(usize) -> f64) {
    for (horizon, minutes) in ERROR_MINUTES.iter().enumerate() {
        let due = now.saturating_add(SignedDuration::from_mins(i64::from(*minutes))).unwrap_or(Timestamp::MAX);
        state.open.push_back((due, horizon as u16, forecast(usize::from(*minutes)) as f32));
    }
    state.open.drain(..state.open.len().saturating_sub(OPEN_KEPT));
}

/// Whether recent errors at half an hour are far above the usual ones.
pub(super) fn drifted(state: &ForecasterState) -> bool {
    let Some(errors) = state.errors.get(2).filter(|e| e.len() >= 4 * DRIFT_WINDOW) else { return false };
    let size = |errors: &mut dyn Iterator<Item = &f32>| {
        let (sum, count) = errors.fold((0.0f32, 0u16), |(sum, count), e| (sum + e.abs(), count + 1));
        sum / f32::from(count.max(1))
    };
    let recent = size(&mut errors.iter().rev().take(DRIFT_WINDOW));
    let usual = size(&mut errors.iter().rev().skip(DRIFT_WINDOW));
    recent > DRIFT_FACTOR * usual && recent > 0.05
}
