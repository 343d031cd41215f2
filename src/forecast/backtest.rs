//! Rolling origins: which model a series gets, how good it has been, and what its errors were.

use std::collections::VecDeque;

use jiff::tz::TimeZone;

use super::candidates::candidates;
use super::model::{Model, ModelKind, Pace};
use super::predict::outlook;
use super::shape::Shape;
use super::width::{ERROR_MINUTES, ERRORS_KEPT, offsets, widths};
use super::working::{Grid, Working, offset_at};
use crate::domain::outlook::{ForecastQuality, HORIZON_MINUTES, LEVELS, Outlook};
use crate::domain::series::Series;

/// Longest stretch that models are compared on: a day and a half, so that each hour of the day counts and the newest ones twice.
const TRIAL_S: i64 = 36 * 3600;
/// Samples the level is followed over before a trial begins, and on each tick: after six hours a gain of 0.05 has forgotten its start.
pub(super) const WARM_UP: usize = 72;
/// Known samples without which nothing is fitted: two hours.
pub(super) const LEAST_KNOWN: usize = 24;
/// By how much a more complicated kind must win.
const SIMPLER_WINS: f64 = 0.98;
/// Origins between two looks at the errors so far, when a forecast is scored as it would have been made.
const RELEARN_EVERY: usize = 12;
/// Origins that candidates are compared at, about: with more, neighbours say nearly the same.
const COMPARED_ORIGINS: usize = 144;
/// Folds of a day that a whole procedure is judged on.
const FOLDS: usize = 7;
const DAY_S: i64 = 86_400;

/// A model chosen and fitted, with what is known of its errors.
pub(super) struct Fitted {
    pub model: Model,
    /// Errors of log demand at each of [`ERROR_MINUTES`], oldest first.
    pub errors: Vec<VecDeque<f32>>,
    pub quality: ForecastQuality,
}

/// One forecast of a trial: from which sample, for which, what was forecast (log) and seen.
#[derive(Clone, Copy, Debug)]
struct Point {
    origin: usize,
    due: usize,
    forecast: f64,
    seen: f32,
}

/// Samples in so many minutes, one at least.
fn steps(grid: &Grid, minutes: u16) -> usize {
    usize::try_from((i64::from(minutes) * 60 + grid.step / 2) / grid.step).unwrap_or(1).max(1)
}

/// Runs a model over the grid and forecasts `ahead` samples from every `stride`th origin at or after `from`.
fn trial(model: &Model, known: &Working, from: usize, ahead: &[usize], stride: usize) -> Vec<Vec<Point>> {
    let grid = &known.grid;
    let mut points = vec![Vec::with_capacity(grid.values.len().saturating_sub(from)); ahead.len()];
    let warm = from.saturating_sub(WARM_UP);
    let Some(mut at) = model.begin(grid, warm, &known.zone) else { return points };
    let shift = offset_at(&known.zone, grid.time(grid.values.len().saturating_sub(1)));
    for origin in warm..grid.values.len() {
        model.follow(&mut at, grid.values[origin], grid.middle(origin) + shift, 1.0);
        if origin < from || !(origin - from).is_multiple_of(stride) || !grid.values[origin].is_finite() {
            continue;
        }
        for (points, ahead) in points.iter_mut().zip(ahead) {
            let due = origin + ahead;
            if let Some(seen) = grid.values.get(due).copied().filter(|v| v.is_finite()) {
                let seconds = grid.step * i64::try_from(*ahead).unwrap_or(1);
                points.push(Point { origin, due, forecast: model.ahead(at, grid.step, grid.time(origin) + shift, seconds), seen });
            }
        }
    }
    points
}

fn errors_of(model: &Model, points: &[Point]) -> VecDeque<f32> {
    let surplus = points.len().saturating_sub(ERRORS_KEPT);
    points[surplus..].iter().map(|p| (model.log(p.seen) - p.forecast) as f32).collect()
}

/// Pinball loss of a quantile forecast (Koenker and Bassett 1978).
fn pinball(seen: f64, forecast: f64, level: f64) -> f64 {
    let miss = seen - forecast;
    if miss >= 0.0 { level * miss } else { (level - 1.0) * miss }
}

const P50: usize = 2;
const P90: usize = 4;

/// Sums of a scored trial.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    pinball50: f64,
    pinball90: f64,
    percent: f64,
    percent_count: u32,
    covered: u32,
    count: u32,
}

impl Score {
    fn add(&mut self, model: &Model, point: &Point, widths: &[f32; LEVELS.len()]) {
        let seen = f64::from(point.seen);
        let (p50, p90) = (model.demand(point.forecast + f64::from(widths[P50])), model.demand(point.forecast + f64::from(widths[P90])));
        self.pinball50 += pinball(seen, p50, LEVELS[P50]);
        self.pinball90 += pinball(seen, p90, LEVELS[P90]);
        if seen > 0.0 {
            self.percent += ((seen - p50) / seen).abs();
            self.percent_count += 1;
        }
        self.covered += u32::from(seen <= p90);
        self.count += 1;
    }

    fn loss(&self) -> f64 {
        (self.pinball50 + self.pinball90) / f64::from(self.count.max(1))
    }

    fn quality(&self, naive: Option<f64>) -> ForecastQuality {
        if self.count == 0 {
            return ForecastQuality::default();
        }
        let n = f64::from(self.count);
        ForecastQuality {
            mape: (self.percent_count > 0).then(|| self.percent / f64::from(self.percent_count)),
            pinball50: Some(self.pinball50 / n),
            pinball90: Some(self.pinball90 / n),
            coverage90: Some(f64::from(self.covered) / n),
            skill_vs_naive: naive.filter(|naive| *naive > 0.0).map(|naive| 1.0 - self.loss() / naive),
            origins: self.count,
        }
    }
}

/// Scores points as they would have been forecast: widths from the errors that were known at each origin.
fn score(model: &Model, points: &[Point], mut errors: VecDeque<f32>) -> Score {
    let mut scratch = Vec::new();
    let mut row = offsets(errors.iter(), &mut scratch);
    let (mut total, mut learned) = (Score::default(), 0);
    for (index, point) in points.iter().enumerate() {
        if index % RELEARN_EVERY == 0 {
            while learned < index && points[learned].due <= point.origin {
                errors.push_back((model.log(points[learned].seen) - points[learned].forecast) as f32);
                learned += 1;
            }
            errors.drain(..errors.len().saturating_sub(ERRORS_KEPT));
            row = offsets(errors.iter(), &mut scratch);
        }
        total.add(model, point, &row);
    }
    total
}

/// The losses that need no model: the last value goes on, or the value a day or a week before comes again. The best of them is the measure
/// of skill. Their widths are learned as a model's are.
fn naive_losses(known: &Working, from: usize, ahead: usize, offset: f64) -> Vec<f64> {
    let grid = &known.grid;
    let last =
        Model { kind: ModelKind::Level, offset, shape: Shape::default(), pace: Pace::level(1.0, 1.0), base: 0.0, shift: f64::INFINITY };
    let backs = [Some(ahead), samples(grid, DAY_S), samples(grid, 7 * DAY_S)];
    let lossy = |back: usize| {
        // A season that the past does not hold is no rival.
        if from + ahead < back || back < ahead {
            return None;
        }
        let points: Vec<Point> = (from..grid.values.len().saturating_sub(ahead))
            .filter_map(|origin| {
                let due = origin + ahead;
                let (seen, before) = (grid.values[due], grid.values[due - back]);
                let known = seen.is_finite() && before.is_finite() && grid.values[origin].is_finite();
                known.then(|| Point { origin, due, forecast: last.log(before), seen })
            })
            .collect();
        (points.len() >= LEAST_KNOWN / 2).then(|| score(&last, &points, VecDeque::new()).loss())
    };
    backs.into_iter().flatten().filter_map(lossy).collect()
}

fn samples(grid: &Grid, seconds: i64) -> Option<usize> {
    (seconds % grid.step == 0).then(|| usize::try_from(seconds / grid.step).unwrap_or(usize::MAX))
}

/// What tells one candidate from another across fits on different stretches.
#[expect(clippy::float_cmp, reason = "both come from the same menu, bit for bit")]
fn same_candidate(a: &Model, b: &Model) -> bool {
    let gain_matters = matches!(a.kind, ModelKind::Level | ModelKind::SeasonalNaive);
    a.kind == b.kind
        && a.shape.values.len() == b.shape.values.len()
        && a.pace.keep_hourly == b.pace.keep_hourly
        && (!gain_matters || a.pace.alpha == b.pace.alpha)
}

/// Chooses and fits a model: candidates fitted on all but the newest stretch compete there for the least pinball loss (median and 90 %) at
/// `lead_minutes`; the winner is fitted anew on everything. `None` with too little past.
pub(super) fn fit(known: &Working, lead_minutes: u16, named: Option<ModelKind>, complete: bool) -> Option<Fitted> {
    let grid = &known.grid;
    if grid.known() < LEAST_KNOWN {
        return None;
    }
    let length = grid.values.len();
    let window = usize::try_from(TRIAL_S / grid.step).unwrap_or(length).clamp(1, length.div_ceil(2));
    let from = length - window;
    let before = known.until(grid.time(from.saturating_sub(1)));
    let lead = steps(grid, lead_minutes);
    let mut models = candidates(&before, complete);
    if let Some(kind) = named.filter(|kind| models.iter().any(|m| m.kind == *kind)) {
        models.retain(|m| m.kind == kind);
    }
    let mut scratch = Vec::new();
    let mut best: Option<(f64, Model)> = None;
    for model in models {
        let Some(points) = trial(&model, known, from, &[lead], (window / COMPARED_ORIGINS).max(1)).pop() else { continue };
        let row = offsets(errors_of(&model, &points).iter(), &mut scratch);
        let mut total = Score::default();
        for point in &points {
            total.add(&model, point, &row);
        }
        let needed = |best: &Model, loss: f64| if best.kind == model.kind { loss } else { loss * SIMPLER_WINS };
        if total.count > 0 && best.as_ref().is_none_or(|(loss, held)| total.loss() < needed(held, *loss)) {
            best = Some((total.loss(), model));
        }
    }
    let (_, tried) = best?;
    let points = trial(&tried, known, from, &[lead], 1).pop()?;
    let naive = naive_losses(known, from, lead, tried.offset).into_iter().min_by(f64::total_cmp);
    let quality = score(&tried, &points, VecDeque::new()).quality(naive);
    let errors = trial(&tried, known, from, &ERROR_MINUTES.map(|m| steps(grid, m)), 1).iter().map(|p| errors_of(&tried, p)).collect();
    let slow = matches!(tried.kind, ModelKind::Ets | ModelKind::Mstl);
    let model = candidates(known, slow).into_iter().find(|m| same_candidate(m, &tried)).unwrap_or(tried);
    Some(Fitted { model, errors, quality })
}

/// The outlook of one series, and how good the whole procedure has been on it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesForecast {
    /// The outlook from the end of the series.
    pub outlook: Outlook,
    /// The back-test: each of the last days forecast by a model that was chosen and fitted on what came before it.
    pub backtest: ForecastQuality,
    /// Step of the grid it works on, seconds.
    pub step_s: u32,
}

/// Forecasts one regular series of any step, as a tick would, and back-tests the choice at `horizon_minutes` (1 to 60) ahead. `None` when
/// fewer than two hours of samples are known.
#[must_use]
pub fn forecast_series(series: &Series, horizon_minutes: u16, named: Option<ModelKind>, zone: &TimeZone) -> Option<SeriesForecast> {
    let known = Working::of_series(series, zone);
    let lead_minutes = horizon_minutes.clamp(1, HORIZON_MINUTES as u16);
    let fitted = fit(&known, lead_minutes, named, true)?;
    let backtest = backtest(&known, lead_minutes, named).unwrap_or(fitted.quality);
    let grid = &known.grid;
    let mut at = fitted.model.begin(grid, grid.values.len().saturating_sub(WARM_UP), zone)?;
    let shift = offset_at(zone, grid.time(grid.values.len() - 1));
    for index in grid.values.len().saturating_sub(WARM_UP)..grid.values.len() {
        fitted.model.follow(&mut at, grid.values[index], grid.middle(index) + shift, 1.0);
    }
    let widths = widths(&fitted.errors, &mut Vec::new());
    let ahead = |seconds: i64| fitted.model.ahead(at, grid.step, grid.time(grid.values.len() - 1) + shift, seconds);
    let made = series.end()?;
    let outlook = outlook(made, &fitted.model, ahead, &widths, &[], backtest);
    Some(SeriesForecast { outlook, backtest, step_s: u32::try_from(grid.step).unwrap_or(u32::MAX) })
}

/// The procedure as a whole, judged on the last days (at most half of the past): for each of them a model is chosen and fitted on what came
/// before, and then only follows.
fn backtest(known: &Working, lead_minutes: u16, named: Option<ModelKind>) -> Option<ForecastQuality> {
    let grid = &known.grid;
    let fold = usize::try_from(DAY_S / grid.step).unwrap_or(1).max(1);
    let folds = (grid.values.len() / 2 / fold).min(FOLDS);
    let lead = steps(grid, lead_minutes);
    let mut total = Score::default();
    let first = grid.values.len() - folds * fold;
    let mut offset = None;
    for from in (0..folds).map(|k| first + k * fold) {
        let Some(fitted) = fit(&known.until(grid.time(from - 1)), lead_minutes, named, true) else { continue };
        let fold = known.until(grid.time(from + fold - 1));
        let points = trial(&fitted.model, &fold, from, &[lead], 1).pop()?;
        // The errors of the trial before, at the horizon that is nearest to the lead.
        let nearest = ERROR_MINUTES.iter().enumerate().min_by_key(|(_, m)| m.abs_diff(lead_minutes)).map_or(0, |(i, _)| i);
        let part = score(&fitted.model, &points, fitted.errors.get(nearest).cloned().unwrap_or_default());
        total.pinball50 += part.pinball50;
        total.pinball90 += part.pinball90;
        total.percent += part.percent;
        total.percent_count += part.percent_count;
        total.covered += part.covered;
        total.count += part.count;
        offset = offset.or(Some(fitted.model.offset));
    }
    let naive = naive_losses(known, first, lead, offset?).into_iter().min_by(f64::total_cmp);
    (total.count > 0).then(|| total.quality(naive))
}

#[cfg(test)]
#[path = "backtest_tests.rs"]
mod tests;
