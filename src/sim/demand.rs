//! Demand from outside over time, as a curve or as it was recorded: the same function gives the past that metrics remember and the rate that
//! arrivals are drawn from.

use serde::{Deserialize, Serialize};

use crate::service::{RateSeries, mix};

/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// Seconds for which a curve's rate is taken to hold: it is smooth, and a moment of it costs more than a second of service.
const HOLDS_S: i64 = 10;

/// What comes from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Demand {
    /// A curve.
    Curve(DemandCurve),
    /// What was recorded.
    Series(RateSeries),
}

impl Default for Demand {
    fn default() -> Self {
        Self::Curve(DemandCurve::default())
    }
}

impl Demand {
    /// Units/s in the second that begins at `at_s` (Unix), where the wall clock is `utc_offset_s` ahead of UTC; `seed` as for a curve.
    #[must_use]
    pub fn rate(&self, at_s: i64, utc_offset_s: i64, seed: u64) -> f64 {
        match self {
            Self::Curve(curve) => curve.rate(at_s - at_s.rem_euclid(HOLDS_S), utc_offset_s, seed),
            Self::Series(series) => series.rate(at_s),
        }
    }

    /// When, after `at_s`, the rate may be another.
    pub(super) fn holds_until(&self, at_s: i64) -> i64 {
        match self {
            Self::Curve(_) => at_s - at_s.rem_euclid(HOLDS_S) + HOLDS_S,
            Self::Series(series) => {
                let step = i64::from(series.step_s.max(1));
                at_s - (at_s - series.start_s).rem_euclid(step) + step
            }
        }
    }

    /// Mean rate from `from_s` to `to_s` as metrics remember it: of a series its mean, of a curve the middle. `None` before anything was recorded.
    pub(super) fn mean(&self, from_s: i64, to_s: i64, utc_offset_s: i64, seed: u64) -> Option<f64> {
        match self {
            Self::Curve(curve) => Some(curve.rate(i64::midpoint(from_s, to_s), utc_offset_s, seed)),
            Self::Series(series) if series.rates.is_empty() => Some(0.0),
            Self::Series(series) => {
                let mut at = from_s.max(series.start_s);
                let (mut sum, seconds) = (0.0, to_s - at);
                while at < to_s {
                    let until = self.holds_until(at).min(to_s);
                    sum += series.rate(at) * (until - at) as f64;
                    at = until;
                }
                (seconds > 0).then(|| sum / seconds as f64)
            }
        }
    }
}

/// The rate at which units come from outside, by wall clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DemandCurve {
    /// Units/s that a factor of 1 stands for.
    pub base: f64,
    /// Factor by local hour of the day, in order; between two a half cosine, around midnight too. Empty is 1 all day.
    pub day: Vec<(f64, f64)>,
    /// Factor on Saturdays and Sundays.
    pub weekend: f64,
    /// Share by which the level wanders at most, over minutes and over the better part of an hour.
    pub wander: f64,
    /// What comes again and again.
    pub recurring: Vec<Recurring>,
    /// What comes once.
    pub surges: Vec<SurgeShape>,
}

/// A stretch that comes again and again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recurring {
    /// Seconds from one beginning to the next.
    pub every_s: i64,
    /// Seconds after local midnight of the first.
    pub offset_s: i64,
    /// Seconds it lasts.
    pub lasts_s: i64,
    /// Factor meanwhile.
    pub factor: f64,
}

/// A stretch that comes once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SurgeShape {
    /// When it begins, Unix seconds.
    pub start_s: i64,
    /// Seconds it lasts, rise and fall included.
    pub lasts_s: i64,
    /// Seconds it rises, and falls.
    pub ramp_s: i64,
    /// Factor at its height.
    pub factor: f64,
}

impl DemandCurve {
    /// Units/s at `at_s` (Unix seconds), where the wall clock is `utc_offset_s` ahead of UTC. `seed` makes the wandering of one workload another's
    /// no copy.
    #[must_use]
    pub fn rate(&self, at_s: i64, utc_offset_s: i64, seed: u64) -> f64 {
        if self.base <= 0.0 {
            return 0.0;
        }
        let local = at_s + utc_offset_s;
        let mut rate = self.base * self.hour_factor(local);
        // 1 January 1970 was a Thursday.
        if (local.div_euclid(DAY_S) + 3).rem_euclid(7) >= 5 {
            rate *= self.weekend;
        }
        for again in &self.recurring {
            if (local - again.offset_s).rem_euclid(again.every_s.max(1)) < again.lasts_s {
                rate *= again.factor;
            }
        }
        for surge in &self.surges {
            rate *= surge.factor_at(at_s);
        }
        let slow = wandering(at_s, 2_820, seed);
        let quick = wandering(at_s, 420, seed ^ 0xA5A5);
        rate * (1.0 + self.wander * (0.7 * slow + 0.3 * quick))
    }

    fn hour_factor(&self, local_s: i64) -> f64 {
        let (Some(first), Some(last)) = (self.day.first(), self.day.last()) else { return 1.0 };
        let hour = local_s.rem_euclid(DAY_S) as f64 / 3600.0;
        let after = self.day.iter().position(|(h, _)| *h > hour);
        let (from, to) = match after {
            Some(0) => ((last.0 - 24.0, last.1), *first),
            Some(index) => (self.day[index - 1], self.day[index]),
            None => (*last, (first.0 + 24.0, first.1)),
        };
        let share = (hour - from.0) / (to.0 - from.0).max(f64::EPSILON);
        from.1 + (to.1 - from.1) * (1.0 - (std::f64::consts::PI * share).cos()) / 2.0
    }
}

impl SurgeShape {
    fn factor_at(&self, at_s: i64) -> f64 {
        let (into, left) = (at_s - self.start_s, self.start_s + self.lasts_s - at_s);
        if into < 0 || left <= 0 {
            return 1.0;
        }
        let risen = (into.min(left) as f64 / self.ramp_s.max(1) as f64).min(1.0);
        1.0 + (self.factor - 1.0) * risen
    }
}

/// A smooth value between -1 and 1 that takes a new direction every `period_s`: value noise, so that any moment can be asked for alone.
fn wandering(at_s: i64, period_s: i64, seed: u64) -> f64 {
    let (cell, into) = (at_s.div_euclid(period_s), at_s.rem_euclid(period_s) as f64 / period_s as f64);
    let corner = |cell: i64| mix(seed ^ cell.cast_unsigned()) as f64 / u64::MAX as f64 * 2.0 - 1.0;
    let eased = into * into * (3.0 - 2.0 * into);
    corner(cell) + (corner(cell + 1) - corner(cell)) * eased
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> DemandCurve {
        DemandCurve { base: 100.0, day: vec![(4.0, 0.2), (12.0, 1.0), (20.0, 1.4)], weekend: 0.5, ..DemandCurve::default() }
    }

    /// Thursday 1 January 1970.
    fn hour(hours: i64) -> i64 {
        hours * 3600
    }

    #[test]
    fn a_day_passes_through_its_points_by_local_time() {
        assert!((curve().rate(hour(12), 0, 1) - 100.0).abs() < 1e-9);
        assert!((curve().rate(hour(11), 3600, 1) - 100.0).abs() < 1e-9, "an hour ahead of UTC");
        assert!((curve().rate(hour(8), 0, 1) - 60.0).abs() < 1e-9, "half way up");
        assert!((curve().rate(hour(24), 0, 1) - 80.0).abs() < 1e-9, "half way down, over midnight");
        assert!((curve().rate(hour(2 * 24 + 12), 0, 1) - 50.0).abs() < 1e-9, "Saturday");
        assert!((curve().rate(hour(4 * 24 + 12), 0, 1) - 100.0).abs() < 1e-9, "Monday");
    }

    #[test]
    fn a_series_is_remembered_by_its_means_and_not_before_it_began() {
        let series = RateSeries { start_s: 100, step_s: 10, rates: vec![1.0, 2.0, 4.0].into() };
        let demand = Demand::Series(series);
        let mean = |from, to| demand.mean(from, to, 0, 1);
        assert_eq!([mean(100, 110), mean(105, 115), mean(100, 130)], [Some(1.0), Some(1.5), Some(7.0 / 3.0)]);
        assert_eq!((mean(40, 100), mean(90, 110)), (None, Some(1.0)));
        assert_eq!([99, 100, 109, 110].map(|at| demand.holds_until(at)), [100, 110, 110, 120]);
    }

    #[test]
    fn a_surge_rises_stays_and_falls() {
        let surge = SurgeShape { start_s: 1000, lasts_s: 1000, ramp_s: 100, factor: 3.0 };
        let factors = [999, 1050, 1100, 1500, 1950, 2000].map(|at| surge.factor_at(at));
        assert_eq!(factors, [1.0, 2.0, 3.0, 3.0, 2.0, 1.0]);
    }

    #[test]
    fn what_recurs_is_there_in_the_past_too() {
        let again = Recurring { every_s: 3600, offset_s: 0, lasts_s: 600, factor: 2.0 };
        let curve = DemandCurve { base: 10.0, weekend: 1.0, recurring: vec![again], ..DemandCurve::default() };
        assert_eq!([0, 599, 600, 3600, -3600, -1].map(|at| curve.rate(at, 0, 1)), [20.0, 20.0, 10.0, 20.0, 20.0, 10.0]);
    }

    #[test]
    fn the_level_wanders_within_its_share_and_repeats_by_seed() {
        let curve = DemandCurve { base: 100.0, weekend: 1.0, wander: 0.1, ..DemandCurve::default() };
        let rates = |seed| (0..2000).map(|i| curve.rate(i * 60, 0, seed)).collect::<Vec<_>>();
        assert!(rates(1).iter().all(|r| (90.0..=110.0).contains(r)));
        assert!(rates(1).iter().any(|r| *r > 104.0) && rates(1).iter().any(|r| *r < 96.0));
        assert_eq!(rates(1), rates(1));
        assert_ne!(rates(1), rates(2));
    }
}
