//! A recorded rate: units/s on a regular grid, as arrivals are drawn from it.

use std::sync::Arc;

/// Units/s from `start_s` on, one value for each `step_s` seconds. Before the first and after the last the nearest value holds.
#[derive(Clone, Debug, PartialEq)]
pub struct RateSeries {
    /// Unix second at which the first value begins to hold.
    pub start_s: i64,
    /// Seconds for which a value holds.
    pub step_s: u32,
    /// The values; finite and not negative.
    pub rates: Arc<[f32]>,
}

impl RateSeries {
    /// Units/s at a Unix second; 0 for an empty series.
    #[must_use]
    pub fn rate(&self, at_s: i64) -> f64 {
        let Some(last) = self.rates.len().checked_sub(1) else { return 0.0 };
        let index = (at_s - self.start_s).div_euclid(i64::from(self.step_s.max(1)));
        f64::from(self.rates[usize::try_from(index).unwrap_or(0).min(last)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_for_its_step_and_the_ends_hold_beyond() {
        let series = RateSeries { start_s: 100, step_s: 10, rates: vec![1.0, 2.0, 3.0].into() };
        let at = [90, 100, 109, 110, 129, 1000].map(|second| series.rate(second));
        assert_eq!(at, [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!(RateSeries { rates: Vec::new().into(), ..series }.rate(0), 0.0);
    }
}
