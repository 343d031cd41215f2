//! How wide an outlook is: quantiles of the blend's own errors, each moved by every error that comes, in units of how large errors are now.
//!
//! This is adaptive conformal prediction in its online form (Gibbs and Candès 2021; the update of a quantile itself is Angelopoulos, Barber and
//! Bates 2024): a quantile at level `q` rises by `q` steps when it was passed and falls by `1 − q` steps when it was not, so whatever the
//! errors do its long-run coverage is `q`. Because errors are measured in units of their recent size, the width follows unrest within
//! minutes, while the far tail, which few errors pass, still remembers weeks. The state is ten numbers; no list of errors is kept.

use crate::domain::outlook::LEVELS;

/// Mean absolute error of log demand assumed where nothing is known yet: one in ten is off by more than a third.
const UNKNOWN_SIZE: f32 = 0.2;
/// Errors that the assumed size counts for.
const PRIOR_ERRORS: f32 = 8.0;
/// Quantiles of the standard normal distribution at [`LEVELS`], in units of its mean absolute value.
const NORMAL: [f32; LEVELS.len()] = [-2.061, -0.845, 0.0, 0.845, 1.606, 2.061, 2.916];
/// Gain of the size at present: two hours of errors at one in five minutes.
const PRESENT_GAIN: f32 = 0.06;
/// Gain of the usual size: a day and a half.
const USUAL_GAIN: f32 = 0.0025;
/// How much the present counts beside the usual.
const PRESENT_SHARE: f32 = 0.8;
/// Step of a quantile, in units of size, once many errors are known; and how much larger the first ones are.
const STEP: f32 = 0.03;
const FIRST_STEPS: f32 = 4.0;
/// An error counts as so many times the size at most: one accident must not widen a day.
const LARGEST: f32 = 8.0;
/// Size from which an error counts in full, however calm it was before: unrest must be seen at once.
const STARTLING: f32 = 0.05;
/// Least size: below a thousandth of demand nobody feels an error.
const LEAST_SIZE: f32 = 1e-3;

/// What is known of the errors at one horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Width {
    /// Mean absolute error of log demand, of late and usually.
    pub present: f32,
    pub usual: f32,
    /// Quantiles of the error by level, in units of size.
    pub quantiles: [f32; LEVELS.len()],
    /// Errors seen.
    pub seen: f32,
}

impl Default for Width {
    fn default() -> Self {
        Self { present: UNKNOWN_SIZE, usual: UNKNOWN_SIZE, quantiles: NORMAL, seen: 0.0 }
    }
}

impl Width {
    /// How large errors are to be expected now.
    fn size(&self) -> f32 {
        (self.present.powf(PRESENT_SHARE) * self.usual.powf(1.0 - PRESENT_SHARE)).max(LEAST_SIZE)
    }

    /// Takes in one error: seen less forecast, in log demand.
    pub fn learn(&mut self, error: f64) {
        if !error.is_finite() {
            return;
        }
        let size = self.size();
        let largest = LARGEST * size.max(STARTLING);
        let error = (error as f32).clamp(-largest, largest);
        let step = STEP * (1.0 + FIRST_STEPS * PRIOR_ERRORS / (self.seen + PRIOR_ERRORS));
        for (quantile, level) in self.quantiles.iter_mut().zip(LEVELS) {
            let level = level as f32;
            *quantile += step * if error > *quantile * size { level } else { level - 1.0 };
        }
        let first = 1.0 / (self.seen + PRIOR_ERRORS);
        self.present += PRESENT_GAIN.max(first) * (error.abs() - self.present);
        self.usual += USUAL_GAIN.max(first) * (error.abs() - self.usual);
        self.seen = (self.seen + 1.0).min(1e6);
    }

    /// Offsets of the quantiles from the forecast, in log demand, never falling.
    pub fn offsets(&self) -> [f32; LEVELS.len()] {
        let size = self.size();
        let mut row = self.quantiles.map(|q| q * size);
        row.sort_by(f32::total_cmp);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A width after so many errors of a triangular distribution of the given size, in a fixed order that mixes.
    fn after(mut width: Width, errors: u32, size: f64) -> Width {
        for i in 0..errors {
            let uniform = |salt: u32| f64::from((i * 7919 + salt * 104_729) % 10_007) / 10_007.0;
            width.learn(size * (uniform(1) + uniform(5) - 1.0));
        }
        width
    }

    #[test]
    fn nine_in_ten_errors_lie_below_its_ninety_percent() {
        for size in [0.01, 0.1, 1.0] {
            let mut width = after(Width::default(), 2000, size);
            let mut below = 0u32;
            for i in 0..2000u32 {
                let uniform = |salt: u32| f64::from((i * 6007 + salt * 50_021) % 10_007) / 10_007.0;
                let error = size * (uniform(2) + uniform(3) - 1.0);
                below += u32::from(error <= f64::from(width.offsets()[4]));
                width.learn(error);
            }
            assert!((1740..=1860).contains(&below), "{below} at {size}");
        }
    }

    #[test]
    fn it_follows_unrest_within_an_hour_and_calms_down_again() {
        let calm = after(Width::default(), 1000, 0.02);
        let storm = after(calm, 12, 0.6);
        let later = after(storm, 200, 0.02);
        let [calm, storm, later] = [calm, storm, later].map(|w| w.offsets()[4]);
        assert!(storm > 4.0 * calm, "{calm} {storm}");
        assert!(later < 2.0 * calm, "{calm} {later}");
    }

    #[test]
    fn with_nothing_known_it_is_wide_and_with_little_it_stays_so() {
        let mut width = Width::default();
        assert!((width.offsets()[4] - 0.32).abs() < 0.01, "{:?}", width.offsets());
        (0..4).for_each(|_| width.learn(0.0));
        assert!(width.offsets()[4] > 0.1, "{:?}", width.offsets());
    }

    #[test]
    fn quantiles_never_cross_whatever_comes() {
        let mut width = Width::default();
        for error in [f64::NAN, 3.0, -3.0, f64::INFINITY, 1e9, -1e9, 0.0].into_iter().cycle().take(500) {
            width.learn(error);
            assert!(width.offsets().is_sorted() && width.offsets().iter().all(|v| v.is_finite()));
        }
    }
}
