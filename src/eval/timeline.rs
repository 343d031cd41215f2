//! A workload's scored part minute by minute, thinned out for charts. Nothing is scored by it.

use serde::{Deserialize, Serialize};

/// Columns of equal length, one value for each `step_s` seconds from the beginning of the scored part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Seconds a value stands for.
    pub step_s: u32,
    /// Units/s that were offered; after thinning, the highest.
    pub demand: Vec<f32>,
    /// Ready replicas; after thinning, the mean.
    pub ready: Vec<f32>,
    /// Units/s that the ready replicas could serve; after thinning, the mean.
    pub capacity: Vec<f32>,
    /// Share of what was answered or lost that was bad, 0 to 1; after thinning, that of the worst step.
    pub bad: Vec<f32>,
}

impl Timeline {
    /// Values that are enough for a chart: a day in steps of five minutes.
    pub const ENOUGH: usize = 288;

    /// The same in at most `most` steps. A peak of demand and a bad minute survive, however short.
    #[must_use]
    pub fn thinned(&self, most: usize) -> Self {
        let every = self.demand.len().div_ceil(most.max(1)).max(1);
        let highest = |column: &[f32]| column.chunks(every).map(|part| part.iter().copied().fold(0.0, f32::max)).collect();
        let mean = |column: &[f32]| column.chunks(every).map(|part| part.iter().sum::<f32>() / part.len() as f32).collect();
        Self {
            step_s: self.step_s.saturating_mul(u32::try_from(every).unwrap_or(u32::MAX)),
            demand: highest(&self.demand),
            ready: mean(&self.ready),
            capacity: mean(&self.capacity),
            bad: highest(&self.bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_each_peak_and_each_bad_minute() {
        let mut timeline =
            Timeline { step_s: 60, demand: vec![10.0; 1440], ready: vec![2.0; 1440], capacity: vec![100.0; 1440], bad: vec![0.0; 1440] };
        timeline.demand[701] = 300.0;
        timeline.bad[701] = 0.9;
        timeline.ready[701] = 7.0;
        let thin = timeline.thinned(288);
        assert_eq!((thin.step_s, thin.demand.len()), (300, 288));
        assert_eq!((thin.demand[140], thin.bad[140], thin.ready[140]), (300.0, 0.9, 3.0));
        assert_eq!(thin.demand.iter().filter(|d| **d > 10.0).count(), 1);
    }

    #[test]
    fn what_is_short_enough_stays_as_it_is() {
        let short = Timeline { step_s: 60, demand: vec![1.0, 2.0], ready: vec![1.0, 1.0], capacity: vec![5.0, 5.0], bad: vec![0.0, 0.1] };
        assert_eq!(short.thinned(288), short);
        assert_eq!(short.thinned(1).demand, [2.0]);
        assert_eq!(Timeline::default().thinned(10), Timeline::default());
    }
}
