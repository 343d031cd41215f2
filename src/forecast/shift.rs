//! Whether the level has shifted of late, and when: a cumulative sum (Page 1954) of how far samples lie off the level before them.
//!
//! What stood before a shift says nothing of the level after it, so a regression that looks back six hours must not look beyond. A single odd
//! sample is no shift.

use super::lags::Samples;

/// Samples that are looked back on: six hours of five minutes, as far as a regression looks.
const LOOKED_BACK: usize = 72;
/// Off by so many usual errors a sample counts as on the level.
const ALLOWED: f64 = 4.0;
/// One sample counts as off by so many usual errors at most, so that no single one is a shift.
const COUNTED: f64 = 12.0;
/// Sum of usual errors, beyond what is allowed, that is a shift: two samples far off, or more that are less so.
const ALARM: f64 = 15.0;
/// Gain of the level that samples are compared with.
const LEVEL_GAIN: f64 = 0.1;
/// Least usual error: below a twentieth of demand nothing is a shift.
const LEAST_USUAL: f64 = 0.05;

/// The instant before which the level was another one; the beginning of time when there was no shift. `rests` are log demand
/// less what is expected of a sample, in two ways of which both must be surprised; `usual` is its mean absolute error.
pub(super) fn last_shift(samples: &Samples<'_>, usual: f64, rests: impl Fn(usize) -> [f64; 2]) -> i64 {
    let usual = usual.max(LEAST_USUAL);
    let length = samples.values.len();
    let first = length.saturating_sub(LOOKED_BACK);
    let (mut levels, mut since) = (None::<[f64; 2]>, i64::MIN);
    // Sum and beginning of what lies above, and below.
    let mut sums = [(0.0f64, first); 2];
    for index in (first..length).filter(|i| samples.values[*i].is_finite()) {
        let values = rests(index);
        let held = *levels.get_or_insert(values);
        let surprises = [values[0] - held[0], values[1] - held[1]];
        let agreed =
            if surprises[0] * surprises[1] > 0.0 { surprises[0].abs().min(surprises[1].abs()) * surprises[0].signum() } else { 0.0 };
        let off = (agreed / usual).clamp(-COUNTED, COUNTED);
        for ((sum, begun), off) in sums.iter_mut().zip([off, -off]) {
            *sum += off - ALLOWED;
            if *sum <= 0.0 {
                (*sum, *begun) = (0.0, index + 1);
            }
        }
        if let Some((_, begun)) = sums.iter().find(|(sum, _)| *sum > ALARM) {
            since =
                samples.start.saturating_add(samples.step.saturating_mul(i64::try_from(*begun).unwrap_or(0))).saturating_sub(samples.step);
            levels = Some(values);
            sums = [(0.0, index + 1); 2];
        } else {
            let follow = |held: f64, surprise: f64| held + LEVEL_GAIN * surprise.clamp(-ALLOWED * usual, ALLOWED * usual);
            levels = Some([follow(held[0], surprises[0]), follow(held[1], surprises[1])]);
        }
    }
    since
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift(values: &[f32]) -> i64 {
        let samples = Samples { start: 0, step: 300, values };
        last_shift(&samples, 0.05, |i| [f64::from(values[i]).ln(); 2])
    }

    #[test]
    fn a_step_is_found_where_it_began_and_an_accident_is_none() {
        let mut values = vec![100.0f32; 72];
        assert_eq!(shift(&values), i64::MIN);
        values[60] = 400.0;
        assert_eq!(shift(&values), i64::MIN, "one sample");
        values[61..].fill(400.0);
        assert_eq!(shift(&values), 59 * 300, "the interval that ended then was the last of the old level");
        values[60..].fill(20.0);
        assert_eq!(shift(&values), 59 * 300, "downwards too");
    }

    #[test]
    fn noise_of_the_usual_size_is_no_shift() {
        let values: Vec<f32> = (0..72u8).map(|i| 100.0 + 5.0 * if i % 3 == 0 { 2.0 } else { -1.0 }).collect();
        assert_eq!(shift(&values), i64::MIN);
    }

    #[test]
    fn what_comes_each_day_is_no_shift() {
        let values: Vec<f32> = (0..72).map(|i| if i < 40 { 100.0 } else { 400.0 }).collect();
        let samples = Samples { start: 0, step: 300, values: &values };
        let by_day = |i: usize| [f64::from(values[i]).ln(), 0.0];
        assert_eq!(last_shift(&samples, 0.05, by_day), i64::MIN);
    }
}
