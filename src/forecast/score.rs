//! How good forecasts were, and how good those would have been that need no model.

use super::model::{Model, ModelKind, Pace};
use super::shape::Shape;
use super::width::Width;
use super::working::{Grid, Working};
use crate::domain::outlook::{ForecastQuality, LEVELS};

/// Places of the median and of 90 % in [`LEVELS`].
pub(super) const P50: usize = 2;
pub(super) const P90: usize = 4;
/// Forecasts without which a naive one is not judged: an hour of them.
const LEAST_JUDGED: u32 = 12;
const DAY_S: i64 = 86_400;

/// Pinball loss of a quantile forecast (Koenker and Bassett 1978).
fn pinball(seen: f64, forecast: f64, level: f64) -> f64 {
    let miss = seen - forecast;
    if miss >= 0.0 { level * miss } else { (level - 1.0) * miss }
}

/// Sums over scored forecasts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Score {
    pinball50: f64,
    pinball90: f64,
    percent: f64,
    percent_count: u32,
    covered: u32,
    /// How many were scored.
    pub count: u32,
}

impl Score {
    /// Takes in one forecast of what was then seen.
    pub fn add(&mut self, seen: f64, p50: f64, p90: f64) {
        self.pinball50 += pinball(seen, p50, LEVELS[P50]);
        self.pinball90 += pinball(seen, p90, LEVELS[P90]);
        if seen > 0.0 {
            self.percent += ((seen - p50) / seen).abs();
            self.percent_count += 1;
        }
        self.covered += u32::from(seen <= p90);
        self.count += 1;
    }

    /// Mean loss at the median and at 90 %, together.
    fn loss(&self) -> f64 {
        (self.pinball50 + self.pinball90) / f64::from(self.count.max(1))
    }

    /// What it comes to, beside the loss of the best naive forecast.
    pub fn quality(&self, naive: Option<f64>) -> ForecastQuality {
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

/// The least loss of what needs no model: the last value goes on, or the value a day or a week before comes again, from origins `from` on. Their
/// widths are learned as the blend's are, from the beginning of the series on.
pub(super) fn naive_loss(known: &Working, from: usize, ahead: usize, offset: f64) -> Option<f64> {
    let grid = &known.grid;
    let backs = [Some(ahead), samples(grid, DAY_S), samples(grid, 7 * DAY_S)];
    // A season that the past does not hold is no rival.
    let rivals = backs.into_iter().flatten().filter(|back| (ahead..=from + ahead).contains(back));
    rivals.filter_map(|back| repeated(grid, from, ahead, back, offset)).min_by(f64::total_cmp)
}

/// The loss of forecasting what was seen `back` samples before.
fn repeated(grid: &Grid, from: usize, ahead: usize, back: usize, offset: f64) -> Option<f64> {
    let pace = Pace::level(1.0, 1.0);
    let last = Model { kind: ModelKind::Level, offset, shape: Shape::default(), pace, base: 0.0, shift: f64::INFINITY };
    let mut width = Width::default();
    let mut score = Score::default();
    let forecast = |due: usize| last.log(grid.values[due - back]);
    for due in back..grid.values.len() {
        let origin = due - ahead;
        // What was forecast for the origin is known there.
        if origin >= back && grid.values[origin].is_finite() {
            width.learn(last.log(grid.values[origin]) - forecast(origin));
        }
        let known = [due, due - back, origin].iter().all(|i| grid.values[*i].is_finite());
        if origin >= from && known {
            let row = width.offsets();
            let demand = |level: usize| last.demand(forecast(due) + f64::from(row[level]));
            score.add(f64::from(grid.values[due]), demand(P50), demand(P90));
        }
    }
    (score.count >= LEAST_JUDGED).then(|| score.loss())
}

fn samples(grid: &Grid, seconds: i64) -> Option<usize> {
    (seconds % grid.step == 0).then(|| usize::try_from(seconds / grid.step).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinball_charges_a_quantile_by_the_side_it_missed_on() {
        assert!((pinball(10.0, 8.0, 0.9) - 1.8).abs() < 1e-12);
        assert!((pinball(8.0, 10.0, 0.9) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn the_best_rival_is_the_measure() {
        // A day that comes again exactly: yesterday is right but for its width, the last value is not.
        let values: Vec<f32> = (0..4 * 288u16).map(|i| if (i % 288) / 12 % 2 == 0 { 50.0 } else { 150.0 }).collect();
        let grid = Grid { start: 300, step: 300, values };
        let known = Working { fine: None, habit: grid.clone(), hours: Grid::default(), grid, zone: jiff::tz::TimeZone::UTC };
        let best = naive_loss(&known, 2 * 288, 3, 10.0).unwrap();
        let last = repeated(&known.grid, 2 * 288, 3, 3, 10.0).unwrap();
        assert!(best < 0.2 * last, "{best} {last}");
    }
}
