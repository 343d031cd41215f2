//! The forecast of a signal: a distribution for each of the next sixty minutes.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Minutes an outlook reaches.
pub const HORIZON_MINUTES: usize = 60;

/// Quantile levels an outlook carries; others are interpolated between these.
pub const LEVELS: [f64; 7] = [0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

/// The forecast of one signal on a one-minute grid: minute 0 is `made`, minute 60 an hour later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// When it was made.
    pub made: Timestamp,
    /// The models that count most in the blend (`level`, `seasonal-naive`, `ets`, `mstl`, `ridge`, `yesterday`, `last-week`), heaviest first and
    /// joined by `+`, or the one the group names.
    pub model: Arc<str>,
    /// Values by minute (rows, 0 to 60) and level (columns, [`LEVELS`]), never falling along a row.
    grid: Vec<[f32; LEVELS.len()]>,
    /// How good the model was on this series' own past.
    pub quality: ForecastQuality,
}

/// How good a forecast was, by rolling back-test on the series' own past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ForecastQuality {
    /// Mean absolute percentage error at the lead time; absent with too little past.
    pub mape: Option<f64>,
    /// Mean pinball loss at the median.
    pub pinball50: Option<f64>,
    /// Mean pinball loss at 90 %.
    pub pinball90: Option<f64>,
    /// Share of values at or below the 90 % quantile.
    pub coverage90: Option<f64>,
    /// `1 − loss / loss of the best naive`; above 0 beats it.
    pub skill_vs_naive: Option<f64>,
    /// Origins the back-test stood on.
    pub origins: u32,
}

impl Outlook {
    /// Builds an outlook; rows are sorted so that quantiles never cross, and what is below zero or not finite becomes zero.
    /// `rows` holds [`HORIZON_MINUTES`] + 1 rows; a shorter one is continued with its last row.
    #[must_use]
    pub fn new(made: Timestamp, model: &str, mut rows: Vec<[f32; LEVELS.len()]>, quality: ForecastQuality) -> Self {
        let last = rows.last().copied().unwrap_or_default();
        rows.resize(HORIZON_MINUTES + 1, last);
        for row in &mut rows {
            for value in row.iter_mut() {
                *value = if value.is_finite() { value.max(0.0) } else { 0.0 };
            }
            row.sort_by(f32::total_cmp);
        }
        Self { made, model: model.into(), grid: rows, quality }
    }

    /// The `q` quantile (0 to 1) `minute` minutes ahead, linear between the levels carried, constant beyond the outermost.
    #[must_use]
    pub fn quantile(&self, minute: usize, q: f64) -> f64 {
        let row = &self.grid[minute.min(HORIZON_MINUTES)];
        let above = LEVELS.iter().position(|level| *level >= q).unwrap_or(LEVELS.len() - 1);
        if above == 0 || LEVELS[above] <= q {
            return f64::from(row[above]);
        }
        let (low, high) = (LEVELS[above - 1], LEVELS[above]);
        let share = (q - low) / (high - low);
        f64::from(row[above - 1]) + share * (f64::from(row[above]) - f64::from(row[above - 1]))
    }

    /// The largest `q` quantile from `from` to `to` minutes ahead, both included.
    #[must_use]
    pub fn peak(&self, from: usize, to: usize, q: f64) -> f64 {
        (from..=to.max(from).min(HORIZON_MINUTES)).map(|minute| self.quantile(minute, q)).fold(0.0, f64::max)
    }

    /// The printed view: `(minutes, p50, p90, p95)` at 15, 30 and 60 minutes.
    #[must_use]
    pub fn printed(&self) -> [(usize, f64, f64, f64); 3] {
        [15, 30, 60].map(|m| (m, self.quantile(m, 0.5), self.quantile(m, 0.9), self.quantile(m, 0.95)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated_and_never_cross() {
        let rows = vec![[9.0, 2.0, 3.0, 4.0, 5.0, 6.0, f32::NAN]; 2];
        let outlook = Outlook::new(Timestamp::UNIX_EPOCH, "level", rows, ForecastQuality::default());
        assert!((outlook.quantile(0, 0.5) - 3.0).abs() < 1e-6, "sorted row: 0 2 3 4 5 6 9");
        assert!((outlook.quantile(60, 0.625) - 3.5).abs() < 1e-6, "the last row is continued");
        assert!((outlook.quantile(0, 1.0) - 9.0).abs() < 1e-6);
        let levels: Vec<f64> = (0..=100).map(|p| outlook.quantile(5, f64::from(p) / 100.0)).collect();
        assert!(levels.is_sorted());
    }
}
