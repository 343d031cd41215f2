//! One model that follows: a shape, and a level of log demand. All kinds but the regression are this form.

use super::shape::Shape;
use super::working::{Grid, offset_at};
use jiff::tz::TimeZone;

/// The kinds a group may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModelKind {
    /// The recent level goes on.
    Level,
    /// Yesterday, or last week, moved to the present level.
    SeasonalNaive,
    /// Exponential smoothing with a damped trend.
    Ets,
    /// Seasons taken out by loess, exponential smoothing of what is left.
    Mstl,
    /// Regression on levels and on an hour, a day and a week ago.
    Ridge,
}

impl ModelKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Level, Self::SeasonalNaive, Self::Ets, Self::Mstl, Self::Ridge];

    /// Its name in custom resources, records and outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Level => "level",
            Self::SeasonalNaive => "seasonal-naive",
            Self::Ets => "ets",
            Self::Mstl => "mstl",
            Self::Ridge => "ridge",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How the level follows what is seen, and how it is carried into the future. Damped Holt smoothing (Gardner and `McKenzie` 1985) around the
/// shape, with a deviation that may fade.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// Share of a sample's surprise that the level takes.
    pub alpha: f64,
    /// Share that the trend takes.
    pub beta: f64,
    /// What is left of the trend a sample later.
    pub phi: f64,
    /// What is left of the level's deviation from `base` an hour later.
    pub keep_hourly: f64,
}

impl Pace {
    /// A level without trend.
    pub const fn level(alpha: f64, keep_hourly: f64) -> Self {
        Self { alpha, beta: 0.0, phi: 0.0, keep_hourly }
    }
}

/// A fitted model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model {
    /// Its kind.
    pub kind: ModelKind,
    /// Added to demand before its logarithm.
    pub offset: f64,
    /// Its shape.
    pub shape: Shape,
    /// Its pace.
    pub pace: Pace,
    /// Log level that a deviation returns to.
    pub base: f64,
    /// Surprise, of log demand, beyond which a second one in a row means that the level has shifted.
    pub shift: f64,
}

/// Where the level stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    level: f64,
    trend: f64,
    /// Level before the samples that were far off, and how far shifts have moved what is usual.
    before: f64,
    moved: f64,
    /// Samples in a row that were far above (or, negative, below) what was expected.
    strikes: f64,
}

impl Standing {
    const fn new(level: f64) -> Self {
        Self { level, trend: 0.0, before: level, moved: 0.0, strikes: 0.0 }
    }

    /// A level that begins with one sample.
    pub fn at(model: &Model, value: f32, local: i64) -> Self {
        Self::new(model.log(value) - model.shape.at(local))
    }
}

/// Far surprises in a row, in samples, beyond which the level has shifted: one may be an accident.
const SHIFT_STRIKES: f64 = 1.1;
/// Gain with which a shifted level is followed.
const SHIFT_GAIN: f64 = 0.8;
/// Furthest that a trend alone carries demand, in log demand: half as much again, or a third less. Beyond that it is a guess that pays for idle
/// replicas or starves a service.
const LARGEST_DRIFT: f64 = 0.405;

/// Share of mean demand that is added before the logarithm: errors below that are no errors that replicas feel.
pub(super) const OFFSET_SHARE: f64 = 0.1;

/// The offset for a series: a share of its mean, and never nothing.
pub(super) fn offset_of(values: &[f32]) -> f64 {
    let mean = f64::from(crate::domain::series::mean(values));
    if mean.is_finite() { (mean * OFFSET_SHARE).max(1e-6) } else { 1.0 }
}

impl Model {
    /// Log demand.
    pub fn log(&self, value: f32) -> f64 {
        (f64::from(value).max(0.0) + self.offset).ln()
    }

    /// Demand of a log.
    pub fn demand(&self, log: f64) -> f64 {
        // Beyond e^80 there is no demand; the bound keeps sums finite.
        (log.min(80.0).exp() - self.offset).max(0.0)
    }

    /// Where the level begins: the first known samples.
    pub fn begin(&self, grid: &Grid, from: usize, zone: &TimeZone) -> Option<Standing> {
        let shift = offset_at(zone, grid.time(grid.values.len().saturating_sub(1)));
        let (mut sum, mut count) = (0.0, 0);
        for index in (from..grid.values.len()).filter(|i| grid.values[*i].is_finite()).take(3) {
            sum += self.log(grid.values[index]) - self.shape.at(grid.middle(index) + shift);
            count += 1;
        }
        (count > 0).then(|| Standing::new(sum / f64::from(count)))
    }

    /// Follows one sample, of which only `share` (0 to 1) of an interval is known; a gap lets the trend die and the level stand.
    pub fn follow(&self, at: &mut Standing, value: f32, local: i64, share: f64) {
        let Pace { alpha, beta, phi, .. } = self.pace;
        if !value.is_finite() {
            at.level += phi * at.trend * share;
            at.trend *= 1.0 - (1.0 - phi) * share;
            return;
        }
        let expected = at.level + phi * at.trend * share;
        let surprise = self.log(value) - self.shape.at(local) - expected;
        if at.strikes.abs() == 0.0 {
            at.before = expected;
        }
        at.strikes = if surprise.abs() <= self.shift || at.strikes * surprise < 0.0 { 0.0 } else { at.strikes + share * surprise.signum() };
        let shifted = at.strikes.abs() > SHIFT_STRIKES;
        let alpha = if shifted { alpha.max(SHIFT_GAIN) } else { alpha };
        // For part of an interval the gain is the part's: 1 − (1 − α)^share.
        let gain = if share >= 1.0 { alpha } else { 1.0 - (1.0 - alpha).max(0.0).powf(share) };
        at.level = expected + gain * surprise;
        if shifted {
            // The new level is no deviation that fades: what is usual has moved with it.
            at.moved += at.level - at.before;
            at.before = at.level;
        }
        // A step is no slope: what lies beyond the usual moves the level and not the trend, and a level that has shifted begins without one.
        let sloped = surprise.clamp(-self.shift, self.shift);
        at.trend = if shifted { 0.0 } else { (1.0 - (1.0 - phi) * share) * at.trend + beta * share * sloped };
    }

    /// Log demand `ahead` seconds after the last sample, which ended at `local` (local seconds).
    pub fn ahead(&self, at: Standing, step: i64, local: i64, ahead: i64) -> f64 {
        let Pace { phi, keep_hourly, .. } = self.pace;
        let steps = ahead as f64 / step as f64;
        // Sum of φ + φ² + … over `steps` samples.
        let drift = if phi < 1.0 { phi * (1.0 - phi.powf(steps)) / (1.0 - phi) } else { steps };
        let kept = if keep_hourly >= 1.0 { 1.0 } else { keep_hourly.powf(ahead as f64 / 3600.0) };
        let base = self.base + at.moved;
        let level = base + (at.level - base) * kept + (at.trend * drift).clamp(-LARGEST_DRIFT, LARGEST_DRIFT);
        self.shape.at(local + ahead - step.min(60) / 2) + level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(alpha: f64) -> Model {
        Model {
            kind: ModelKind::Level,
            offset: 1.0,
            shape: Shape::default(),
            pace: Pace::level(alpha, 1.0),
            base: 0.0,
            shift: f64::INFINITY,
        }
    }

    #[test]
    fn a_gap_moves_no_level() {
        let model = flat(0.5);
        let mut at = Standing::new(2.0);
        model.follow(&mut at, f32::NAN, 0, 1.0);
        assert_eq!(at.level, 2.0);
    }

    #[test]
    fn five_fifths_of_a_sample_count_as_one() {
        let model = flat(0.4);
        let (mut whole, mut parts) = ([0; 2]).map(|_| Standing::new(0.0)).into();
        model.follow(&mut whole, 9.0, 0, 1.0);
        (0..5).for_each(|_| model.follow(&mut parts, 9.0, 0, 0.2));
        assert!((whole.level - parts.level).abs() < 1e-9, "{whole:?} {parts:?}");
    }

    #[test]
    fn one_outlier_is_an_accident_and_two_are_a_shift() {
        let slow = Model { shift: 0.5, ..flat(0.05) };
        let mut at = Standing::new(0.0);
        slow.follow(&mut at, 9.0, 0, 1.0);
        assert!(at.level < 0.2, "{at:?}");
        slow.follow(&mut at, 9.0, 0, 1.0);
        assert!(at.level > 1.8, "{at:?}");
    }

    #[test]
    fn a_shifted_level_does_not_fade_back() {
        let fading = Model { pace: Pace::level(0.3, 0.3), shift: 0.5, ..flat(0.3) };
        let mut at = Standing::new(0.0);
        (0..3).for_each(|_| fading.follow(&mut at, 9.0, 0, 1.0));
        assert!((fading.ahead(at, 300, 0, 3600) - fading.log(9.0)).abs() < 0.3, "{at:?}");
    }

    #[test]
    fn a_step_is_no_slope_and_a_slope_does_not_run_away() {
        let holt = Model { pace: Pace { alpha: 0.5, beta: 0.5, phi: 1.0, keep_hourly: 1.0 }, shift: 0.2, ..flat(0.5) };
        let mut at = Standing::new(0.0);
        let after: Vec<f64> = (0..6)
            .map(|_| {
                holt.follow(&mut at, 9.0, 0, 1.0);
                holt.ahead(at, 300, 0, 3600)
            })
            .collect();
        let truth = holt.log(9.0);
        assert!(after[1..].iter().all(|log| (log - truth).abs() < 0.45), "{after:?} {truth}");
        at.trend = 0.3;
        let carried = holt.ahead(at, 300, 0, 3600) - at.level;
        assert!((carried - LARGEST_DRIFT).abs() < 1e-9, "{carried}");
    }

    #[test]
    fn names_are_read_back() {
        for kind in ModelKind::ALL {
            assert_eq!(ModelKind::named(kind.name()), Some(kind));
        }
        assert_eq!(ModelKind::named("prophet"), None);
    }
}
