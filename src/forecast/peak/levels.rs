//! Means of a series over any stretch at constant cost.

use crate::domain::series::Series;

/// A series of which means are asked. A sample stands for the interval that ends at its time; within it load is taken as even.
#[derive(Clone, Debug)]
pub struct Levels<'a> {
    /// Second at which the first sample's interval begins.
    begin_s: i64,
    step_s: i64,
    count: i64,
    source: Source<'a>,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    /// Sums of value times seconds, and of seconds that are known, before each sample and after the last: for a past that is walked through.
    Sums(Vec<(f64, f64)>),
    /// The samples themselves: for one look.
    Samples(&'a [f32]),
}

impl<'a> Levels<'a> {
    /// Sums up a series, so that a mean over any stretch is two look-ups; gaps are unknown.
    #[must_use]
    pub fn summed(series: &Series) -> Levels<'static> {
        let step_s = i64::from(series.step_s.max(1));
        let mut sums = Vec::with_capacity(series.values.len() + 2);
        let mut sum = (0.0, 0.0);
        sums.push(sum);
        for value in &series.values {
            if value.is_finite() {
                sum.0 += f64::from(*value) * step_s as f64;
                sum.1 += step_s as f64;
            }
            sums.push(sum);
        }
        Levels {
            begin_s: series.start.as_second() - step_s,
            step_s,
            count: series.values.len().cast_signed() as i64,
            source: Source::Sums(sums),
        }
    }

    /// A series of which a few means are asked.
    #[must_use]
    pub fn of(series: &'a Series) -> Self {
        let step_s = i64::from(series.step_s.max(1));
        Self {
            begin_s: series.start.as_second() - step_s,
            step_s,
            count: series.values.len().cast_signed() as i64,
            source: Source::Samples(&series.values),
        }
    }

    /// Second up to which there are samples.
    #[must_use]
    pub fn end_s(&self) -> i64 {
        self.begin_s + self.step_s * self.count
    }

    /// Second from which there are samples.
    #[must_use]
    pub fn begin_s(&self) -> i64 {
        self.begin_s
    }

    /// Mean from second `from` to second `to`; `None` where less than half of it is known.
    #[must_use]
    pub fn mean(&self, from: i64, to: i64) -> Option<f64> {
        let to = to.max(from);
        let (sum, known) = match &self.source {
            Source::Sums(sums) => {
                let (before, after) = (self.until(sums, from), self.until(sums, to));
                (after.0 - before.0, after.1 - before.1)
            }
            Source::Samples(samples) => self.between(samples, from, to),
        };
        (known > 0.0 && 2.0 * known >= (to - from) as f64).then(|| (sum / known).max(0.0))
    }

    /// The largest mean over a minute and a half within the `lead_s` seconds after `from`.
    #[must_use]
    pub fn peak(&self, from: i64, lead_s: i64) -> Option<f64> {
        let mut peak: Option<f64> = None;
        let mut ahead = 15;
        while ahead <= lead_s.max(15) {
            if let Some(mean) = self.mean(from + ahead - 45, from + ahead + 45) {
                peak = Some(peak.map_or(mean, |p| p.max(mean)));
            }
            ahead += 30;
        }
        peak
    }

    /// Sums up to a second: value times seconds, and seconds known.
    fn until(&self, sums: &[(f64, f64)], second: i64) -> (f64, f64) {
        let offset = (second - self.begin_s).clamp(0, self.step_s * self.count);
        let index = (offset / self.step_s) as usize;
        let Some((before, after)) = sums.get(index).zip(sums.get(index + 1)) else { return sums.last().copied().unwrap_or_default() };
        let share = (offset % self.step_s) as f64 / self.step_s as f64;
        (before.0 + share * (after.0 - before.0), before.1 + share * (after.1 - before.1))
    }

    /// Value times seconds, and seconds known, between two seconds.
    fn between(&self, samples: &[f32], from: i64, to: i64) -> (f64, f64) {
        let (mut sum, mut known) = (0.0, 0.0);
        let (from, to) = (from.max(self.begin_s), to.min(self.end_s()));
        let mut second = from;
        while second < to {
            let index = (second - self.begin_s) / self.step_s;
            let until = (self.begin_s + self.step_s * (index + 1)).min(to);
            if let Some(value) = samples.get(index as usize).filter(|value| value.is_finite()) {
                sum += f64::from(*value) * (until - second) as f64;
                known += (until - second) as f64;
            }
            second = until;
        }
        (sum, known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn series(values: &[f32]) -> Series {
        let mut series = Series::new(Timestamp::from_second(60).unwrap(), 60);
        series.values = values.to_vec();
        series
    }

    #[test]
    fn a_mean_takes_parts_of_samples_and_knows_gaps() {
        let series = series(&[1.0, 3.0, f32::NAN, 5.0]);
        for levels in [Levels::of(&series), Levels::summed(&series)] {
            assert_eq!((levels.begin_s(), levels.end_s()), (0, 240));
            assert_eq!(levels.mean(0, 120), Some(2.0));
            assert_eq!(levels.mean(30, 90), Some(2.0));
            assert_eq!(levels.mean(60, 180), Some(3.0), "half of it is known");
            assert_eq!(levels.mean(110, 180), None);
            assert_eq!(levels.mean(210, 240), Some(5.0));
            assert_eq!(levels.mean(300, 400), None);
            assert_eq!(levels.mean(-100, 20), None, "most of it was before the first");
        }
        let empty = Series::new(Timestamp::UNIX_EPOCH, 60);
        assert_eq!((Levels::of(&empty).mean(0, 60), Levels::summed(&empty).mean(0, 60)), (None, None));
    }

    #[test]
    fn a_peak_is_within_the_lead() {
        let series = series(&[1.0, 1.0, 9.0, 9.0, 1.0]);
        let levels = Levels::summed(&series);
        assert_eq!(levels.peak(0, 30), Some(1.0));
        assert_eq!(levels.peak(60, 180), Some(9.0));
    }
}
