//! Outages in the past: a stretch of nothing between two stretches of usual demand says nothing about what a day is like.
//!
//! Only what is over is left out. While demand is zero it is zero, and a forecast follows it; and a series that is often zero, or that runs out
//! slowly, has that habit.

use std::borrow::Cow;

/// Share of mean demand at or below which a sample is nothing.
const NOTHING: f32 = 0.01;
/// Share of samples that are nothing above which that is a habit.
const HABIT_SHARE: f64 = 0.1;
/// Samples in a row that make an outage: one may be a scrape that failed.
const LEAST_RUN: usize = 2;
/// Share of mean demand that must have stood just before, and stand just after.
const USUAL: f32 = 0.25;

/// `values` with outages that are over as gaps.
pub(super) fn without_outages(values: &[f32]) -> Cow<'_, [f32]> {
    let mean = crate::domain::series::mean(values);
    let nothing = mean * NOTHING;
    let known = values.iter().filter(|v| v.is_finite()).count();
    let empty = values.iter().filter(|v| **v <= nothing).count();
    if empty < LEAST_RUN || empty as f64 > HABIT_SHARE * known as f64 {
        return Cow::Borrowed(values);
    }
    let is_usual = |index: Option<usize>| index.and_then(|i| values.get(i)).is_some_and(|v| *v >= mean * USUAL);
    let mut mended = Cow::Borrowed(values);
    let mut index = 0;
    while index < values.len() {
        let run = values[index..].iter().take_while(|v| **v <= nothing).count();
        if run >= LEAST_RUN && is_usual(index.checked_sub(1)) && is_usual(Some(index + run)) {
            mended.to_mut()[index..index + run].fill(f32::NAN);
        }
        index += run.max(1);
    }
    mended
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(values: &[f32]) -> Vec<usize> {
        without_outages(values).iter().enumerate().filter(|(_, v)| v.is_nan()).map(|(i, _)| i).collect()
    }

    #[test]
    fn an_outage_that_is_over_is_a_gap() {
        let mut values = vec![100.0; 60];
        values[20..23].fill(0.0);
        assert_eq!(gaps(&values), [20, 21, 22]);
    }

    #[test]
    fn a_zero_that_lasts_is_zero() {
        let mut values = vec![100.0; 60];
        values[57..].fill(0.0);
        assert_eq!(gaps(&values), [0; 0]);
    }

    #[test]
    fn a_night_without_demand_is_a_habit() {
        let mut often = vec![100.0; 60];
        often[10..20].fill(0.0);
        assert_eq!(gaps(&often), [0; 0]);
        let mut slowly = vec![100.0; 60];
        slowly[18..25].copy_from_slice(&[50.0, 20.0, 0.0, 0.0, 0.0, 20.0, 50.0]);
        assert_eq!(gaps(&slowly), [0; 0]);
    }
}
