//! The series a model is fitted and judged on: a fine grid of log demand, and hours for the shape. Gaps stay gaps.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::outage::without_outages;
use crate::domain::series::{History, Series};

/// Finest grid a model works on, seconds: a minute of requests is mostly noise, five minutes are what replicas are sized for.
pub(super) const GRID_STEP_S: i64 = 300;
/// Grid of a series that is too short for that one, seconds.
const SHORT_STEP_S: i64 = 60;
/// Samples of [`GRID_STEP_S`] below which a series is short: eight hours.
const SHORT_SAMPLES: i64 = 96;
/// Hours of the past that a shape is taken from: five weeks, as the coarse tier keeps.
const SHAPE_HOURS: usize = 840;
/// Grid samples kept at most: five weeks of five minutes.
const GRID_SAMPLES: usize = 10_080;

/// A regular series in Unix seconds; sample `i` stands for the interval that ends at `start + i * step`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Grid {
    /// End of the first interval, Unix seconds.
    pub start: i64,
    /// Seconds between samples.
    pub step: i64,
    /// Demand; a gap is `NaN`.
    pub values: Vec<f32>,
}

impl Grid {
    fn of(series: &Series) -> Self {
        let values = series.values.iter().map(|v| sane(*v)).collect();
        Self { start: series.start.as_second(), step: i64::from(series.step_s.max(1)), values }
    }

    /// End of interval `index`, Unix seconds.
    pub fn time(&self, index: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(i64::try_from(index).unwrap_or(i64::MAX)))
    }

    /// Middle of interval `index`, Unix seconds.
    pub fn middle(&self, index: usize) -> i64 {
        self.time(index).saturating_sub(self.step / 2)
    }

    /// Samples that are not gaps.
    pub fn known(&self) -> usize {
        self.values.iter().filter(|v| v.is_finite()).count()
    }

    /// Only what ends at or before `until`.
    pub fn until(&self, until: i64) -> Self {
        let keep = usize::try_from((until - self.start).div_euclid(self.step) + 1).unwrap_or(0).min(self.values.len());
        Self { values: self.values[..keep].to_vec(), ..*self }
    }

    /// Means over intervals of `step` seconds that end at multiples of it; an interval that is less than half known is a gap.
    fn coarser(&self, step: i64) -> Self {
        if self.step >= step || self.values.is_empty() {
            return self.clone();
        }
        let end_of = |t: i64| (t + step - 1).div_euclid(step) * step;
        let start = end_of(self.start);
        let mut sums: Vec<(f64, u32)> = Vec::new();
        for (index, value) in self.values.iter().enumerate() {
            let slot = usize::try_from((end_of(self.time(index)) - start) / step).unwrap_or(0);
            if slot >= sums.len() {
                sums.resize(slot + 1, (0.0, 0));
            }
            if value.is_finite() {
                sums[slot].0 += f64::from(*value);
                sums[slot].1 += 1;
            }
        }
        let half = (step / self.step / 2).max(1);
        let values = sums.iter().map(|(sum, n)| if i64::from(*n) >= half { (sum / f64::from(*n)) as f32 } else { f32::NAN });
        Self { start, step, values: values.collect() }
    }

    /// The same with outages that are over as gaps.
    fn without_outages(&self) -> Self {
        Self { values: without_outages(&self.values).into_owned(), ..*self }
    }

    fn newest(mut self, keep: usize) -> Self {
        let surplus = self.values.len().saturating_sub(keep);
        self.start = self.time(surplus);
        self.values.drain(..surplus);
        self
    }
}

/// Demand that is negative, or beyond what 32 bits add up, is no demand.
fn sane(value: f32) -> f32 {
    if (0.0..1e30).contains(&value) { value } else { f32::NAN }
}

/// What a fit sees.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Working {
    /// The finest samples there are, where they are finer than the grid.
    pub fine: Option<Grid>,
    /// The fine grid.
    pub grid: Grid,
    /// The same without outages: what days repeat.
    pub habit: Grid,
    /// Hours, longer into the past, without outages.
    pub hours: Grid,
    /// Where days begin.
    pub zone: TimeZone,
}

impl Working {
    /// From the tiers of a signal: the middle tier, and the coarse one continued by the middle's hours.
    pub fn of_history(history: &History, zone: &TimeZone) -> Self {
        let grid = Grid::of(&history.middle);
        let habit = grid.without_outages();
        let recent = habit.coarser(3600);
        let hours = match &history.coarse {
            Some(coarse) if !coarse.values.is_empty() => joined(Grid::of(coarse).without_outages(), &recent),
            _ => recent,
        };
        Self { fine: Some(Grid::of(&history.fine)), grid, habit, hours: hours.newest(SHAPE_HOURS), zone: zone.clone() }
    }

    /// From one regular series of any step.
    pub fn of_series(series: &Series, zone: &TimeZone) -> Self {
        let all = Grid::of(series);
        let span = all.step.saturating_mul(i64::try_from(all.values.len()).unwrap_or(i64::MAX));
        let step = if span < SHORT_SAMPLES * GRID_STEP_S { SHORT_STEP_S } else { GRID_STEP_S };
        let grid = all.coarser(step).newest(GRID_SAMPLES);
        let habit = grid.without_outages();
        let hours = habit.coarser(3600).newest(SHAPE_HOURS);
        let fine = (all.step < step).then_some(all);
        Self { fine, grid, habit, hours, zone: zone.clone() }
    }

    /// The same, as it was known at `until` (Unix seconds).
    pub fn until(&self, until: i64) -> Self {
        let grid = self.grid.until(until);
        let habit = grid.without_outages();
        Self { fine: self.fine.clone(), grid, habit, hours: self.hours.until(until), zone: self.zone.clone() }
    }
}

/// `old` continued with what `new` has beyond it.
fn joined(mut old: Grid, new: &Grid) -> Grid {
    let mut next = old.time(old.values.len());
    for (index, value) in new.values.iter().enumerate() {
        let time = new.time(index);
        while next < time && old.values.len() < SHAPE_HOURS * 2 {
            old.values.push(f32::NAN);
            next += old.step;
        }
        if time == next {
            old.values.push(*value);
            next += old.step;
        }
    }
    old
}

/// Seconds east of UTC at an instant.
pub(super) fn offset_at(zone: &TimeZone, unix: i64) -> i64 {
    Timestamp::from_second(unix).map_or(0, |t| i64::from(zone.to_offset(t).seconds()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarser_means_skip_gaps_and_a_mostly_unknown_hour_is_a_gap() {
        let mut values = vec![2.0f32; 24];
        values[0] = f32::NAN;
        values[12..20].fill(f32::NAN);
        let grid = Grid { start: 300, step: 300, values };
        let hours = grid.coarser(3600);
        assert_eq!(hours.start, 3600);
        assert_eq!(hours.values.len(), 2);
        assert_eq!(hours.values[0], 2.0);
        assert!(hours.values[1].is_nan());
    }

    #[test]
    fn negative_and_infinite_demand_is_a_gap() {
        for bad in [-1.0, f32::INFINITY, f32::NAN, f32::MAX] {
            assert!(sane(bad).is_nan(), "{bad}");
        }
        assert_eq!(sane(0.0), 0.0);
    }
}
