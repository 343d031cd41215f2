//! How sure a ratio of sums is, by a paired bootstrap: incidents are drawn with replacement, then seeds within each that was drawn, and the same
//! draw serves every policy, so that a hard day is hard for all of them.
//!
//! The interval is the percentile interval of 95 % (Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13). Not the `BCa` one: its
//! acceleration would be estimated by leaving out one of what is often a handful of incidents, and a ratio of sums over few of them jumps then.

use std::ops::{Add, AddAssign};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// What the intervals are, for people.
pub const METHOD: &str = "95 % percentile interval of a paired bootstrap: incidents resampled, then seeds within them";
/// Draws: an interval's ends then move by about a hundredth of its length from seed to seed.
const DRAWS: usize = 2_000;
/// Left out at each end.
const TAIL: f64 = 0.025;

/// A part of a sum, and of the sum it is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ratio {
    /// Above the line.
    pub top: f64,
    /// Below it.
    pub bottom: f64,
}

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Ratio {
    /// The ratio; nothing when there is nothing below the line.
    #[must_use]
    pub fn value(self) -> Option<f64> {
        Some(self.top / self.bottom).filter(|value| self.bottom > 0.0 && value.is_finite())
    }
}

impl Add for Ratio {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { top: self.top + other.top, bottom: self.bottom + other.bottom }
    }
}

impl AddAssign for Ratio {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Ratio {
    fn sum<I: Iterator<Item = Self>>(ratios: I) -> Self {
        ratios.fold(Self::default(), Add::add)
    }
}

/// Intervals of several ratios at once. `incidents` holds for each incident its seeds, for each seed one part of every ratio (a ratio that does
/// not cover it has zeros there). Nothing for a ratio that fewer than two incidents make: one incident does not say how others would be.
#[must_use]
pub fn intervals(incidents: &[Vec<Vec<Ratio>>], ratios: usize, seed: u64) -> Vec<Option<Interval>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(DRAWS); ratios];
    for _ in 0..if incidents.len() < 2 { 0 } else { DRAWS } {
        let mut sums = vec![Ratio::default(); ratios];
        for _ in incidents {
            let seeds = &incidents[rng.random_range(0..incidents.len())];
            for _ in seeds {
                for (sum, part) in sums.iter_mut().zip(&seeds[rng.random_range(0..seeds.len())]) {
                    *sum += *part;
                }
            }
        }
        for (values, sum) in drawn.iter_mut().zip(sums) {
            values.extend(sum.value());
        }
    }
    let covered = |ratio: usize| incidents.iter().filter(|seeds| seeds.iter().any(|parts| parts[ratio].bottom > 0.0)).count();
    drawn.into_iter().enumerate().map(|(ratio, values)| if covered(ratio) < 2 { None } else { ends(values) }).collect()
}

fn ends(mut values: Vec<f64>) -> Option<Interval> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let out = (last as f64 * TAIL).floor() as usize;
    Some(Interval { low: values[out], high: values[last - out] })
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn ratio(top: f64) -> Ratio {
        Ratio { top, bottom: 1.0 }
    }

    /// Incidents with a common noise and their own, two policies that differ by exactly 0.1 everywhere.
    fn incidents(count: usize, seeds: usize, mean: f64, rng: &mut ChaCha8Rng) -> Vec<Vec<Vec<Ratio>>> {
        (0..count)
            .map(|_| {
                let own: f64 = rng.random_range(-1.0..1.0);
                (0..seeds).map(|_| own + rng.random_range(-0.1..0.1)).map(|x: f64| vec![ratio(mean + x), ratio(mean + x + 0.1)]).collect()
            })
            .collect()
    }

    #[test]
    fn an_interval_holds_the_truth_about_as_often_as_it_says() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let trials = 100;
        let held = (0..trials)
            .filter(|trial| {
                let interval = intervals(&incidents(20, 2, 0.5, &mut rng), 2, *trial)[0].unwrap();
                interval.low <= 0.5 && 0.5 <= interval.high
            })
            .count();
        assert!((88..=99).contains(&held), "{held} of {trials}");
    }

    #[test]
    fn one_draw_serves_all_policies() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let both = intervals(&incidents(10, 3, 0.0, &mut rng), 2, 1);
        let (first, second) = (both[0].unwrap(), both[1].unwrap());
        assert!((second.low - first.low - 0.1).abs() < 1e-9 && (second.high - first.high - 0.1).abs() < 1e-9);
    }

    #[test]
    fn incidents_are_drawn_and_not_only_seeds() {
        // All the spread is between incidents: drawing seeds alone would give an interval of no width.
        let apart = vec![vec![vec![ratio(0.0)]; 5], vec![vec![ratio(1.0)]; 5]];
        assert_eq!(intervals(&apart, 1, 1)[0], Some(Interval { low: 0.0, high: 1.0 }));
        // And all of it between seeds: drawing incidents alone would.
        let within = vec![vec![vec![ratio(0.0)], vec![ratio(1.0)]]; 2];
        assert_eq!(intervals(&within, 1, 1)[0], Some(Interval { low: 0.0, high: 1.0 }));
    }

    #[test]
    fn a_seed_repeats_an_interval_and_one_incident_has_none() {
        let some = incidents(6, 2, 0.3, &mut ChaCha8Rng::seed_from_u64(9));
        assert_eq!(intervals(&some, 2, 4), intervals(&some, 2, 4));
        assert_ne!(intervals(&some, 2, 4), intervals(&some, 2, 5));
        assert_eq!(intervals(&some[..1], 2, 4), [None, None]);
        assert_eq!(intervals(&[], 2, 4), [None, None]);
        let mut half = some;
        for seeds in &mut half[1..] {
            for parts in seeds.iter_mut() {
                parts[1] = Ratio::default();
            }
        }
        assert!(matches!(intervals(&half, 2, 4)[..], [Some(_), None]), "the second covers one incident only");
    }

    #[test]
    fn a_ratio_without_anything_below_the_line_has_no_value() {
        assert_eq!(Ratio { top: 1.0, bottom: 0.0 }.value(), None);
        assert_eq!(Ratio { top: 1.0, bottom: 4.0 }.value(), Some(0.25));
    }
}
