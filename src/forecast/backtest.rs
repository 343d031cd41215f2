//! One series by itself: its outlook, and how good the whole procedure has been on it.

use jiff::tz::TimeZone;

use super::fit::{Fitted, fit, followers};
use super::model::ModelKind;
use super::outlook::outlook;
use super::score::{Score, naive_loss};
use super::stand::Stand;
use super::walk::{Judge, past_at, stand_at, steps, walk};
use super::working::{Working, offset_at};
use crate::domain::outlook::{ForecastQuality, HORIZON_MINUTES, Outlook};
use crate::domain::series::Series;

/// Folds of a day that a whole procedure is judged on.
const FOLDS: usize = 7;
const DAY_S: i64 = 86_400;
/// What was seen last is carried on for an hour at most, as far as an outlook reaches.
pub(super) const OLDEST_SEEN_S: i64 = 3600;

/// The outlook of one series, and how good the whole procedure has been on it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesForecast {
    /// The outlook from the end of the series.
    pub outlook: Outlook,
    /// The back-test: each of the last days forecast by models that were chosen and fitted on what came before it, and that learned as it went.
    pub backtest: ForecastQuality,
    /// Step of the grid it works on, seconds.
    pub step_s: u32,
}

/// Forecasts one regular series of any step, as a tick would, and back-tests the procedure at `horizon_minutes` (1 to 60) ahead over the last
/// week, or half of what is known. `None` when fewer than two dozen samples are known.
#[must_use]
pub fn forecast_series(series: &Series, horizon_minutes: u16, named: Option<ModelKind>, zone: &TimeZone) -> Option<SeriesForecast> {
    let known = Working::of_series(series, zone);
    let lead_minutes = horizon_minutes.clamp(1, HORIZON_MINUTES as u16);
    let grid = &known.grid;
    let length = grid.values.len();
    let fold = usize::try_from(DAY_S / grid.step).unwrap_or(1).max(1);
    let folds = (length / 2 / fold).min(FOLDS);
    let first = length - folds * fold;
    let lead = steps(grid, lead_minutes);
    let begin = |upto: usize| fit(&known.until(grid.time(upto.saturating_sub(1))), lead_minutes, named, true);
    // Where little is known before the folds, all of it is needed for a fit, and the newest stretch is the back-test.
    let (Fitted { mut ensemble, quality }, first) = match begin(first) {
        Some(fitted) => (fitted, first),
        None => (begin(length)?, length),
    };
    let mut score = Score::default();
    for from in (first..length).step_by(fold) {
        if from > first {
            ensemble.followers = followers(&known.until(grid.time(from - 1)), lead_minutes, true, ensemble.offset);
        }
        walk(&mut ensemble, &known, from..from + fold, Some(Judge { lead, score: &mut score }));
    }
    let mut backtest = quality;
    if score.count > 0 {
        backtest = score.quality(naive_loss(&known, first, lead, ensemble.offset));
        ensemble.followers = followers(&known, lead_minutes, true, ensemble.offset);
        ensemble.set_shifts();
    }
    let made = series.end()?;
    let last = grid.values.iter().rposition(|v| v.is_finite())?;
    let at = grid.time(last);
    let shift = offset_at(zone, at);
    let standings = stand_at(&ensemble, &known, last, shift);
    let stand = Stand::new(&ensemble, past_at(&known, ensemble.offset, last, shift), at, standings, grid.step);
    let age = made.as_second().saturating_sub(at).clamp(0, OLDEST_SEEN_S);
    let outlook = outlook(made, &stand, age, &[], backtest);
    Some(SeriesForecast { outlook, backtest, step_s: u32::try_from(grid.step).unwrap_or(u32::MAX) })
}

#[cfg(test)]
#[path = "backtest_tests.rs"]
mod tests;
