//! Regular time series in tiers, as a signal's history is kept: fine and short, coarse and long. A gap is a missing sample, never zero.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// One regular series: sample `i` stands for the interval that ends at `start + i * step`.
///
/// `f32` halves what ten thousand targets keep; its seven digits are more than any scrape is good for. A gap is `NaN` in memory, `null` in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Time of the first sample.
    pub start: Timestamp,
    /// Seconds between samples.
    pub step_s: u32,
    /// The samples, oldest first.
    #[serde(with = "gaps")]
    pub values: Vec<f32>,
}

/// How samples with gaps are written and read: `NaN` in memory, `null` in JSON.
pub(crate) mod gaps {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|v| v.is_finite().then_some(*v)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        let values = Vec::<Option<f32>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|v| v.unwrap_or(f32::NAN)).collect())
    }
}

impl Series {
    /// An empty series whose first sample will be at `start`.
    #[must_use]
    pub const fn new(start: Timestamp, step_s: u32) -> Self {
        Self { start, step_s, values: Vec::new() }
    }

    /// Time of sample `index`.
    #[must_use]
    pub fn time(&self, index: usize) -> Timestamp {
        let seconds = i64::from(self.step_s).saturating_mul(i64::try_from(index).unwrap_or(i64::MAX));
        self.start.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
    }

    /// Time of sample `index` in seconds of the epoch, for loops over many.
    #[must_use]
    pub fn second(&self, index: usize) -> i64 {
        self.start.as_second().saturating_add(i64::from(self.step_s).saturating_mul(i64::try_from(index).unwrap_or(i64::MAX)))
    }

    /// Time of the newest sample, gap or not.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        (!self.values.is_empty()).then(|| self.time(self.values.len() - 1))
    }

    /// The newest sample that is not a gap, with its time.
    #[must_use]
    pub fn latest(&self) -> Option<(Timestamp, f32)> {
        let index = self.values.iter().rposition(|v| v.is_finite())?;
        Some((self.time(index), self.values[index]))
    }

    /// Puts one sample on the grid, filling with gaps what was missed. A sample that is not newer than the end is dropped
    /// (the first answer for an instant stands, so that a record can be replayed).
    pub fn push(&mut self, at: Timestamp, value: f32) {
        if self.values.is_empty() {
            self.start = at;
            self.values.push(value);
            return;
        }
        let offset = at.duration_since(self.start).as_secs();
        let step = i64::from(self.step_s.max(1));
        let index = (offset + step / 2).div_euclid(step);
        let Ok(index) = usize::try_from(index) else { return };
        if index < self.values.len() || index - self.values.len() > MAX_GAP_SAMPLES {
            return;
        }
        self.values.resize(index, f32::NAN);
        self.values.push(value);
    }

    /// Drops the oldest samples so that at most `keep` remain.
    pub fn trim(&mut self, keep: usize) {
        let surplus = self.values.len().saturating_sub(keep);
        if surplus > 0 {
            self.start = self.time(surplus);
            self.values.drain(..surplus);
        }
    }

    /// Samples of the last `window` before and including `now`.
    #[must_use]
    pub fn window(&self, now: Timestamp, window: SignedDuration) -> &[f32] {
        let step = i64::from(self.step_s.max(1));
        let first = now.duration_since(self.start).as_secs() - window.as_secs();
        let last = now.duration_since(self.start).as_secs().div_euclid(step) + 1;
        let first = usize::try_from(first.div_euclid(step) + 1).unwrap_or(0).min(self.values.len());
        let last = usize::try_from(last).unwrap_or(0).min(self.values.len());
        &self.values[first.min(last)..last]
    }
}

/// A gap longer than this starts the series anew: 40 days of minutes.
const MAX_GAP_SAMPLES: usize = 57_600;

/// Minutes of the fine tier: 3 h at 1 min.
pub const FINE_SAMPLES: usize = 180;
/// Samples of the middle tier: 2 d at 5 min.
pub const MIDDLE_SAMPLES: usize = 576;
/// Samples of the coarse tier: 5 weeks at 1 h.
pub const COARSE_SAMPLES: usize = 840;

/// A signal's history in tiers: 1 min for 3 h, 5 min for 2 d, and 1 h for 5 weeks where the signal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// 1 min, 3 h.
    pub fine: Series,
    /// 5 min, 2 d.
    pub middle: Series,
    /// 1 h, 5 weeks; demand, cpu and memory only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coarse: Option<Series>,
}

impl History {
    /// An empty history, with or without the coarse tier.
    #[must_use]
    pub fn new(start: Timestamp, with_coarse: bool) -> Self {
        Self { fine: Series::new(start, 60), middle: Series::new(start, 300), coarse: with_coarse.then(|| Series::new(start, 3600)) }
    }

    /// The newest sample that is not a gap.
    #[must_use]
    pub fn latest(&self) -> Option<(Timestamp, f32)> {
        self.fine.latest().or_else(|| self.middle.latest()).or_else(|| self.coarse.as_ref().and_then(Series::latest))
    }

    /// Adds one minute's sample; the coarser tiers take the mean of the fine samples when one of their own intervals is complete.
    pub fn push_minute(&mut self, at: Timestamp, value: f32) {
        self.fine.push(at, value);
        let seconds = at.as_second();
        if seconds.rem_euclid(300) < 60 {
            let mean = mean(self.fine.window(at, SignedDuration::from_mins(5)));
            self.middle.push(at, mean);
        }
        if let Some(coarse) = &mut self.coarse
            && seconds.rem_euclid(3600) < 60
        {
            let mean = mean(self.middle.window(at, SignedDuration::from_hours(1)));
            coarse.push(at, mean);
            coarse.trim(COARSE_SAMPLES);
        }
        self.fine.trim(FINE_SAMPLES);
        self.middle.trim(MIDDLE_SAMPLES);
    }
}

/// Mean of what is not a gap; `NaN` when nothing is left.
#[must_use]
pub fn mean(values: &[f32]) -> f32 {
    let (mut sum, mut count) = (0.0f64, 0u32);
    for value in values.iter().filter(|v| v.is_finite()) {
        sum += f64::from(*value);
        count += 1;
    }
    if count == 0 { f32::NAN } else { (sum / f64::from(count)) as f32 }
}

/// The `q` quantile (0 to 1) of what is not a gap, by linear interpolation between order statistics (type 7 of Hyndman and Fan 1996).
#[must_use]
pub fn quantile(values: &[f32], q: f64) -> Option<f32> {
    let mut sorted: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
    if sorted.is_empty() {
        return None;
    }
    sorted.sort_by(f32::total_cmp);
    let position = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, share) = (position.floor() as usize, (position.fract()) as f32);
    let above = (below + 1).min(sorted.len() - 1);
    Some(sorted[below] + (sorted[above] - sorted[below]) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_missed_minute_is_a_gap_and_not_zero() {
        let mut series = Series::new(at(0), 60);
        series.push(at(0), 1.0);
        series.push(at(180), 4.0);
        assert_eq!(series.values.len(), 4);
        assert!(series.values[1].is_nan() && series.values[2].is_nan());
        assert_eq!(series.latest(), Some((at(180), 4.0)));
        let json = serde_json::to_string(&series).unwrap();
        assert!(json.contains("[1.0,null,null,4.0]"), "{json}");
    }

    #[test]
    fn an_instant_that_was_answered_is_not_answered_again() {
        let mut series = Series::new(at(0), 60);
        series.push(at(0), 1.0);
        series.push(at(60), 2.0);
        series.push(at(60), 9.0);
        series.push(at(0), 9.0);
        assert_eq!(series.values, [1.0, 2.0]);
    }

    #[test]
    fn tiers_are_means_of_the_finer_one() {
        let mut history = History::new(at(0), true);
        for minute in 0..=120 {
            history.push_minute(at(minute * 60), minute as f32);
        }
        assert_eq!(history.middle.latest(), Some((at(7200), 118.0)));
        let coarse = history.coarse.unwrap();
        assert_eq!(coarse.values.len(), 3);
        assert_eq!(coarse.latest().unwrap().0, at(7200));
    }

    #[test]
    fn a_window_ends_now() {
        let mut series = Series::new(at(0), 60);
        for minute in 0..10 {
            series.push(at(minute * 60), minute as f32);
        }
        assert_eq!(series.window(at(540), SignedDuration::from_mins(3)), [7.0, 8.0, 9.0]);
        assert_eq!(series.window(at(600), SignedDuration::from_mins(2)), [9.0]);
        assert!(series.window(at(6000), SignedDuration::from_mins(3)).is_empty());
    }

    #[test]
    fn quantiles_interpolate_and_skip_gaps() {
        assert_eq!(quantile(&[1.0, f32::NAN, 3.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[f32::NAN], 0.5), None);
    }
}
