//! Means of a series over any stretch at constant cost.

use crate::domain::series::Series;

/// A series summed up, so that the mean over a stretch is two look-ups. A sample stands for the interval that ends at its time; within it load is
/// taken as even.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    /// Second at which the first sample's interval begins.
    begin_s: i64,
    step_s: i64,
    /// Sums of value times seconds, and of seconds that are known, before each sample and after the last.
    sums: Vec<(f64, f64)>,
}

impl Levels {
    /// Sums up a series; gaps are unknown.
    #[must_use]
    pub fn of(series: &Series) -> Self {
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
        Self { begin_s: series.start.as_second() - step_s, step_s, sums }
    }

    /// Second up to which there are samples.
    #[must_use]
    pub fn end_s(&self) -> i64 {
        self.begin_s + self.step_s * (self.sums.len() as i64 - 1)
    }

    /// Second from which there are samples.
    #[must_use]
    pub fn begin_s(&self) -> i64 {
        self.begin_s
    }

    /// Mean from second `from` to second `to`; `None` where less than half of it is known.
    #[must_use]
    pub fn mean(&self, from: i64, to: i64) -> Option<f64> {
        let (from, to) = (self.until(from), self.until(to.max(from)));
        let known = to.1 - from.1;
        let asked = to.2 - from.2;
        (known > 0.0 && 2.0 * known >= asked).then(|| ((to.0 - from.0) / known).max(0.0))
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

    /// Sums up to a second: value times seconds, seconds known, and the second itself as asked.
    fn until(&self, second: i64) -> (f64, f64, f64) {
        let Some(last) = self.sums.len().checked_sub(2) else { return (0.0, 0.0, second as f64) };
        let offset = second - self.begin_s;
        if offset <= 0 {
            return (0.0, 0.0, second as f64);
        }
        let index = usize::try_from(offset / self.step_s).unwrap_or(usize::MAX);
        if index > last {
            let end = self.sums[last + 1];
            return (end.0, end.1, second as f64);
        }
        let share = (offset % self.step_s) as f64 / self.step_s as f64;
        let (before, after) = (self.sums[index], self.sums[index + 1]);
        (before.0 + share * (after.0 - before.0), before.1 + share * (after.1 - before.1), second as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn levels(values: &[f32]) -> Levels {
        let mut series = Series::new(Timestamp::from_second(60).unwrap(), 60);
        series.values = values.to_vec();
        Levels::of(&series)
    }

    #[test]
    fn a_mean_takes_parts_of_samples_and_knows_gaps() {
        let levels = levels(&[1.0, 3.0, f32::NAN, 5.0]);
        assert_eq!((levels.begin_s(), levels.end_s()), (0, 240));
        assert_eq!(levels.mean(0, 120), Some(2.0));
        assert_eq!(levels.mean(30, 90), Some(2.0));
        assert_eq!(levels.mean(60, 180), Some(3.0), "half of it is known");
        assert_eq!(levels.mean(110, 180), None);
        assert_eq!(levels.mean(300, 400), None);
        assert_eq!(levels.mean(-100, 20), None, "most of it was before the first");
        assert_eq!(Levels::default().mean(0, 60), None);
    }

    #[test]
    fn a_peak_is_within_the_lead() {
        let levels = levels(&[1.0, 1.0, 9.0, 9.0, 1.0]);
        assert_eq!(levels.peak(0, 30), Some(1.0));
        assert_eq!(levels.peak(60, 180), Some(9.0));
    }
}
