//! What a regression looks at: how high demand stood over the last minutes and hours, and what it did an hour, a day and a week ago.
//!
//! Everything is log demand less the level of the last twenty minutes, so a level shift moves all of it at once and a forecast of zero means
//! "as it is now". What is not known is zero too: a series of two days has no last week, and loses nothing by it.

use super::shape::Shape;
use super::working::Grid;

/// Numbers a regression sees.
pub(super) const INPUTS: usize = 12;

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;
const WEEK_S: i64 = 7 * DAY_S;
const MINUTE_S: i64 = 60;
/// The level that all else is measured from, seconds: long enough that one odd sample moves it by a quarter.
const REFERENCE_S: i64 = 20 * MINUTE_S;
/// Differences beyond this (a factor of twenty) are an outage or its end, and would bend a regression for days.
const FARTHEST: f64 = 3.0;

/// A regular series that is only looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Samples<'a> {
    /// End of the first interval, Unix seconds.
    pub start: i64,
    /// Seconds between samples, at least one.
    pub step: i64,
    /// Demand; a gap is `NaN`.
    pub values: &'a [f32],
}

impl<'a> Samples<'a> {
    /// A grid's.
    pub fn of(grid: &'a Grid) -> Self {
        Self { start: grid.start, step: grid.step.max(1), values: &grid.values }
    }

    /// Index of the interval that holds the second which ends at `at`.
    fn index(&self, at: i64) -> Option<usize> {
        let index = at.checked_sub(self.start)?.checked_add(self.step - 1)?.div_euclid(self.step);
        usize::try_from(index).ok().filter(|i| *i < self.values.len())
    }

    /// Mean of what is known of the `window` seconds that end at `at` and began no earlier than `since`; `None` when less than half is.
    fn mean(&self, at: i64, window: i64, since: i64) -> Option<f64> {
        // An interval belongs to the window that it ends in.
        let behind = |t: i64| usize::try_from(t.saturating_sub(self.start).div_euclid(self.step) + 1).unwrap_or(0);
        let count = ((window + self.step / 2) / self.step).max(1);
        let end = behind(at).min(self.values.len());
        let first = end.saturating_sub(usize::try_from(count).unwrap_or(usize::MAX)).max(behind(since));
        let (mut sum, mut known) = (0.0, 0u32);
        for value in self.values.get(first..end)?.iter().filter(|v| v.is_finite()) {
            sum += f64::from(*value);
            known += 1;
        }
        (known > 0 && 2 * known as usize >= end - first).then(|| sum / f64::from(known))
    }
}

/// The past of one series in its tiers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past<'a> {
    /// Added to demand before its logarithm.
    pub offset: f64,
    /// The finest tier, where it reaches.
    pub fine: Option<Samples<'a>>,
    /// Five minutes.
    pub grid: Samples<'a>,
    /// The same without outages: what days repeat.
    pub habit: Samples<'a>,
    /// Hours, where there are any beyond the grid.
    pub hours: Option<Samples<'a>>,
    /// Seconds east of UTC, for the shape.
    pub shift: i64,
    /// Instant before which the level was another one.
    pub since: i64,
}

/// How things stood at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Origin {
    at: i64,
    /// The reference.
    level: f64,
    /// Latest minute less the latest five, five less the reference, eighty and 360 minutes less it.
    levels: [f64; 4],
    /// Level of this time yesterday, and last week.
    yesterday: Option<f64>,
    last_week: Option<f64>,
}

impl Past<'_> {
    fn log(&self, value: f64) -> f64 {
        (value.max(0.0) + self.offset).ln()
    }

    /// Log of the mean over a window that ends at `at`.
    fn level(&self, at: i64, window: i64, since: i64) -> Option<f64> {
        let fine = self.fine.filter(|fine| fine.start <= at.saturating_sub(window));
        let mean = fine.and_then(|fine| fine.mean(at, window, since)).or_else(|| self.grid.mean(at, window, since));
        mean.map(|mean| self.log(mean))
    }

    /// How things stood at `at`; `None` when nothing of the last twenty minutes is known.
    pub fn origin(&self, at: i64) -> Option<Origin> {
        let level = self.level(at, REFERENCE_S, self.since)?;
        let five = self.level(at, 5 * MINUTE_S, self.since).unwrap_or(level);
        let one = self.fine.filter(|fine| fine.step <= MINUTE_S).and_then(|fine| fine.mean(at, MINUTE_S, self.since));
        let one = one.map_or(five, |mean| self.log(mean));
        let longer = |minutes: i64| self.level(at, minutes * MINUTE_S, self.since).map_or(0.0, |l| near(l - level));
        let levels = [near(one - five), near(five - level), longer(80), longer(360)];
        let yesterday = self.habit.mean(at.saturating_sub(DAY_S), REFERENCE_S, i64::MIN).map(|mean| self.log(mean));
        Some(Origin { at, level, levels, yesterday, last_week: self.week_before(at) })
    }

    /// Log demand of the sample that holds the second which ends at `at`.
    fn log_at(&self, samples: &Samples<'_>, at: i64) -> Option<f64> {
        let value = *samples.values.get(samples.index(at)?)?;
        value.is_finite().then(|| self.log(f64::from(value)))
    }

    /// The same, of what days repeat.
    fn habit_at(&self, at: i64) -> Option<f64> {
        self.log_at(&self.habit, at)
    }

    /// Log demand at an instant a day before.
    pub fn day_before(&self, at: i64) -> Option<f64> {
        self.habit_at(at.saturating_sub(DAY_S))
    }

    /// Log demand at an instant a week before, from the finest tier that reaches there.
    fn week_before(&self, at: i64) -> Option<f64> {
        let at = at.saturating_sub(WEEK_S);
        if let Some(log) = self.habit_at(at) {
            return Some(log);
        }
        // Between the middles of two hours.
        let hours = self.hours?;
        let after = hours.index(at.saturating_add(hours.step / 2))?;
        let before = after.checked_sub(1)?;
        let middle = hours.start.saturating_add(hours.step * i64::try_from(before).ok()?) - hours.step / 2;
        let share = (at - middle) as f64 / hours.step as f64;
        let value = f64::from(hours.values[before]) * (1.0 - share) + f64::from(hours.values[after]) * share;
        value.is_finite().then(|| self.log(value))
    }

    /// Log demand a day and a week before what is `ahead` of `origin`. After a shift it is moved to the present level: the season goes on, the
    /// level does not.
    pub fn repeats(&self, origin: &Origin, ahead: i64) -> [Option<f64>; 2] {
        let due = origin.at.saturating_add(ahead);
        let moved = |log: Option<f64>, level: Option<f64>| if self.has_shifted() { Some(log? + origin.level - level?) } else { log };
        [moved(self.day_before(due), origin.yesterday), moved(self.week_before(due), origin.last_week)]
    }

    /// Whether the level stood elsewhere within what a regression looks back on.
    fn has_shifted(&self) -> bool {
        self.since > i64::MIN
    }

    /// What a regression sees of `origin` when it looks `ahead` seconds on. A day that is not known is taken to be as the shape says.
    pub fn inputs(&self, origin: &Origin, shape: &Shape, ahead: i64) -> [f64; INPUTS] {
        let due = origin.at.saturating_add(ahead);
        let step = self.habit.step;
        let local = |t: i64| t.saturating_add(self.shift);
        let drift = near(shape.at(local(due - step / 2)) - shape.at(local(origin.at - REFERENCE_S / 2)));
        // After a shift, what was seen before it counts only against its own level.
        let own = |level: Option<f64>| if self.has_shifted() { level } else { Some(origin.level) };
        let against = |log: Option<f64>, level: Option<f64>| Some(near(log? - own(level)?));
        let day_before = due.saturating_sub(DAY_S);
        let around = self.habit.mean(day_before.saturating_add(step), 3 * step, i64::MIN).map(|mean| self.log(mean));
        let hours_back = ahead.div_euclid(HOUR_S) + i64::from(ahead.rem_euclid(HOUR_S) > 0);
        let hour_before = due.saturating_sub(hours_back.max(1) * HOUR_S);
        // Whether an outage of the last hour is over is not known yet, so this looks at what was seen.
        let hour = self.log_at(&self.grid, hour_before).filter(|_| hour_before > self.since).map_or(0.0, |log| near(log - origin.level));
        let [one, five, eighty, long] = origin.levels;
        [
            1.0,
            one,
            five,
            eighty,
            long,
            against(self.day_before(due), origin.yesterday).unwrap_or(drift),
            against(around, origin.yesterday).unwrap_or(drift),
            against(origin.yesterday, origin.yesterday).unwrap_or(0.0),
            against(self.week_before(due), origin.last_week).unwrap_or(0.0),
            against(origin.last_week, origin.last_week).unwrap_or(0.0),
            hour,
            drift,
        ]
    }
}

impl Origin {
    /// The log level that the inputs are measured from.
    pub fn level(&self) -> f64 {
        self.level
    }
}

fn near(difference: f64) -> f64 {
    difference.clamp(-FARTHEST, FARTHEST)
}
