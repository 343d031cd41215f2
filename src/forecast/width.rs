//! How wide an outlook is: quantiles of the model's own recent errors, newer ones weighing more, wider while few are known.

use std::collections::VecDeque;

use crate::domain::outlook::LEVELS;

/// Minutes ahead at which errors are kept; between them the width is linear, before the first and after the last it is theirs.
pub(super) const ERROR_MINUTES: [u16; 4] = [5, 15, 30, 60];
/// Errors kept at each: at one in five minutes this is the last day.
pub(super) const ERRORS_KEPT: usize = 288;
/// Errors after which an older one weighs half: six hours at one in five minutes. Width follows what was recent.
const HALF_LIFE: f64 = 72.0;
/// Errors that tell how things are at present: an hour of them.
const PRESENT: usize = 12;
/// How far the present may narrow or widen what the last day says.
const PRESENT_FACTOR: (f64, f64) = (0.85, 2.0);
/// Spread of log demand assumed where nothing is known yet: one in ten is off by more than a third.
const UNKNOWN_SPREAD: f64 = 0.25;
/// Errors that the assumed spread counts for.
const PRIOR_WEIGHT: f64 = 8.0;
/// Quantiles of the standard normal distribution at [`LEVELS`].
const NORMAL: [f64; LEVELS.len()] = [-1.645, -0.674, 0.0, 0.674, 1.282, 1.645, 2.326];

/// Offsets of the quantiles from the point forecast, in log demand, one row for each of [`ERROR_MINUTES`].
pub(super) type Widths = [[f32; LEVELS.len()]; ERROR_MINUTES.len()];

/// The offsets that `errors` (seen minus forecast, oldest first) ask for.
///
/// This is split conformal prediction (Lei et al. 2018) with weights that fade: the weighted empirical quantile at level `q` of n errors is
/// taken at `q` moved outwards by about 1/(n+1), and blended with a prior spread of weight [`PRIOR_WEIGHT`]; then scaled by how the present hour compares.
pub(super) fn offsets<'a>(errors: impl Iterator<Item = &'a f32>, scratch: &mut Vec<(f32, f64)>) -> [f32; LEVELS.len()] {
    scratch.clear();
    scratch.extend(errors.filter(|e| e.is_finite()).map(|e| (*e, 0.0)));
    let count = scratch.len();
    let fade = 0.5f64.powf(1.0 / HALF_LIFE);
    let mut weight = 1.0;
    for (_, w) in scratch.iter_mut().rev() {
        *w = weight;
        weight *= fade;
    }
    let present = present_factor(scratch);
    scratch.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = scratch.iter().map(|(_, w)| w).sum();
    let trust = count as f64 / (count as f64 + PRIOR_WEIGHT);
    let mut row = [0.0f32; LEVELS.len()];
    for ((out, level), normal) in row.iter_mut().zip(LEVELS).zip(NORMAL) {
        // The median stays where it is.
        let outward = if (level - 0.5).abs() < 1e-9 { 0.0 } else { (level - 0.5).signum() / (total + 1.0) };
        let wanted = (level + outward * 0.5).clamp(0.0, 1.0) * total;
        let mut below = 0.0;
        let seen = scratch.iter().find(|(_, w)| {
            below += w;
            below >= wanted
        });
        let seen = seen.or(scratch.last()).map_or(0.0, |(e, _)| f64::from(*e));
        *out = (trust * seen * present + (1.0 - trust) * normal * UNKNOWN_SPREAD) as f32;
    }
    // The prior can cross the sample near the median.
    row.sort_by(f32::total_cmp);
    row
}

/// How much wider the present hour is than the past: the root of the ratio of mean absolute errors, so that one odd hour counts half.
fn present_factor(weighted: &[(f32, f64)]) -> f64 {
    if weighted.len() < 2 * PRESENT {
        return 1.0;
    }
    let size = |errors: &[(f32, f64)]| {
        let (sum, weight) = errors.iter().fold((0.0, 0.0), |(sum, weight), (e, w)| (sum + w * f64::from(e.abs()), weight + w));
        sum / weight
    };
    let ratio = size(&weighted[weighted.len() - PRESENT..]) / size(weighted);
    if ratio.is_finite() { ratio.sqrt().clamp(PRESENT_FACTOR.0, PRESENT_FACTOR.1) } else { 1.0 }
}

/// Offsets at every kept horizon.
pub(super) fn widths(errors: &[VecDeque<f32>], scratch: &mut Vec<(f32, f64)>) -> Widths {
    let mut out = [[0.0; LEVELS.len()]; ERROR_MINUTES.len()];
    for (row, index) in out.iter_mut().zip(0..) {
        *row = match errors.get(index) {
            Some(errors) => offsets(errors.iter(), scratch),
            None => offsets([].iter(), scratch),
        };
    }
    out
}

/// The offsets `minute` minutes ahead.
pub(super) fn at_minute(widths: &Widths, minute: usize) -> [f32; LEVELS.len()] {
    let above = ERROR_MINUTES.iter().position(|m| usize::from(*m) >= minute).unwrap_or(ERROR_MINUTES.len() - 1);
    if above == 0 || usize::from(ERROR_MINUTES[above]) <= minute {
        return widths[above];
    }
    let (low, high) = (f32::from(ERROR_MINUTES[above - 1]), f32::from(ERROR_MINUTES[above]));
    let share = (minute as f32 - low) / (high - low);
    let mut row = widths[above - 1];
    for (value, up) in row.iter_mut().zip(widths[above]) {
        *value += share * (up - *value);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_follows_recent_error() {
        let calm: VecDeque<f32> = (0..288).map(|i| if i % 2 == 0 { 0.01 } else { -0.01 }).collect();
        let mut stormy = calm.clone();
        stormy.iter_mut().skip(230).for_each(|e| *e *= 40.0);
        let mut scratch = Vec::new();
        let (calm, stormy) = (offsets(calm.iter(), &mut scratch), offsets(stormy.iter(), &mut scratch));
        assert!(calm[4] < 0.03, "{calm:?}");
        assert!(stormy[4] > 0.3, "{stormy:?}");
    }

    #[test]
    fn with_nothing_known_it_is_wide_and_with_little_it_stays_so() {
        let mut scratch = Vec::new();
        let none = offsets([].iter(), &mut scratch);
        assert!((none[4] - 0.32).abs() < 0.01, "{none:?}");
        let few = offsets([0.0f32; 4].iter(), &mut scratch);
        assert!(few[4] > 0.15, "{few:?}");
        assert!(few.is_sorted());
    }

    #[test]
    fn between_horizons_it_is_linear() {
        let mut widths = [[0.0; LEVELS.len()]; 4];
        widths[1] = [1.0; LEVELS.len()];
        assert_eq!(at_minute(&widths, 10)[0], 0.5);
        assert_eq!(at_minute(&widths, 0)[0], 0.0);
        assert_eq!(at_minute(&widths, 90)[0], 0.0);
    }
}
