//! How much more than the median is planned for, from what a bad minute costs.
//!
//! Two uncertainties, two margins. **The outlook's**: one replica too few makes a whole service bad for as long as it lasts, not a share of it,
//! while one too many costs 1/N of the fleet. So, of the newsvendor's rule, replicas are added until the chance that demand passes them is
//! `1 / (B·N)`: `q = 1 − 1/(B·N)`, with B the cost of a bad minute in minutes of the ideal fleet and N the replicas of that fleet.
//! **The minute's own**: arrivals at rate λ scatter by √(λw) within the w seconds that a request may wait, so capacity is planned to be used
//! to `u = 1 / (1 + z/√(λw))`, with z from the Gaussian tail bound `exp(−z²/2) = 1/(B+1)`.

use crate::domain::limits::Slo;

/// Quantiles outside are no use: below, half of all minutes would be bad; above, the tail of a day's errors is guesswork.
const QUANTILES: (f64, f64) = (0.6, 0.99);
/// Utilisation is planned inside these: service times vary too, and a replica that is nearly full answers late.
const UTILIZATIONS: (f64, f64) = (0.5, 0.85);

/// The margin of a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// Quantile of the outlook that is planned for.
    pub quantile: f64,
    /// Share of capacity that is planned to be used.
    pub utilization: f64,
}

/// The margin for a median load (units/s) and a capacity per replica (units/s).
#[must_use]
pub fn margin(slo: &Slo, median: f64, capacity: f64) -> Margin {
    let cost = f64::from(slo.bad_minute_cost.max(1));
    let replicas = (median / capacity).max(1.0);
    let quantile = bounded(1.0 - 1.0 / (cost * replicas), QUANTILES);
    let z = (2.0 * (cost + 1.0).ln()).sqrt();
    let arrivals = median * slo.latency.seconds().max(1.0);
    let utilization = bounded(1.0 / (1.0 + z / arrivals.sqrt()), UTILIZATIONS);
    Margin { quantile, utilization }
}

/// Inside the bounds; what is no number is the careful end.
fn bounded(value: f64, (low, high): (f64, f64)) -> f64 {
    if value.is_nan() { low } else { value.clamp(low, high) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dearer_bad_minute_and_a_larger_fleet_ask_for_a_higher_quantile() {
        let slo = |cost| Slo { bad_minute_cost: cost, ..Slo::default() };
        assert_eq!(margin(&slo(10), 50.0, 50.0).quantile, 0.9);
        assert_eq!(margin(&slo(10), 100.0, 50.0).quantile, 0.95);
        assert_eq!(margin(&slo(3), 50.0, 50.0).quantile, 1.0 - 1.0 / 3.0);
        assert!(margin(&slo(30), 5000.0, 1000.0).utilization < margin(&slo(3), 5000.0, 1000.0).utilization + 1e-9);
    }

    #[test]
    fn few_arrivals_leave_more_room() {
        let slo = Slo::default();
        assert_eq!(margin(&slo, 2.0, 1.0).utilization, 0.5);
        let thousand = margin(&slo, 100.0, 50.0).utilization;
        assert!((0.75..0.85).contains(&thousand), "{thousand}");
        assert_eq!(margin(&slo, 1e6, 50.0).utilization, 0.85);
        assert_eq!(margin(&slo, f64::NAN, 0.0), Margin { quantile: 0.9, utilization: 0.5 });
    }
}
