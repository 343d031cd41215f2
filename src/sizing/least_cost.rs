//! Replicas as a decision under uncertainty: as many as cost least, what they are paid for and what would be bad without them taken together.
//!
//! One replica too few makes a whole service bad, not a share of it, so a quantile of demand is no answer; the expected cost over the forecast's
//! distribution is. Left out: what it costs to come back, which hysteresis is for.

use crate::domain::limits::Bounds;
use crate::forecast::peak::Peaks;
use crate::service::ServiceSpec;
use crate::service::replay::Noise;

/// How many more replicas are tried after the cost began to rise.
const TRIED_BEYOND: u32 = 6;
/// Load over capacity from which everything is late: a queue that grows all the time.
const HOPELESS: f64 = 1.2;
/// Steps of load over capacity that a table has up to [`HOPELESS`].
const STEPS: usize = 96;

/// What a bad unit is worth, and what is late when.
#[derive(Clone, Debug)]
pub struct CostOfLoad<'a> {
    service: &'a ServiceSpec,
    /// Longest wait that is not too long, seconds.
    wait_s: f64,
    /// Replica-seconds that a bad unit costs.
    bad_unit: f64,
    /// Share of units that are late, by replicas and load over capacity; empty where it is computed anew each time.
    table: Vec<[f32; STEPS + 1]>,
}

impl<'a> CostOfLoad<'a> {
    /// For one decision. `price` is what a wholly bad minute costs, in minutes of the ideal fleet.
    #[must_use]
    pub fn of(service: &'a ServiceSpec, slo_latency_s: f64, price: f64) -> Self {
        let bad_unit = price / service.capacity.max(f64::MIN_POSITIVE);
        Self { service, wait_s: service.wait_within(slo_latency_s), bad_unit, table: Vec::new() }
    }

    /// For many decisions: tabulated up to `most` replicas.
    #[must_use]
    pub fn tabulated(mut self, most: u32) -> Self {
        let row = |replicas: u32| {
            let all = self.service.capacity_of(replicas);
            std::array::from_fn(|step| self.late_share(replicas, all, all * HOPELESS * step as f64 / STEPS as f64) as f32)
        };
        self.table = (0..=most).map(row).collect();
        self
    }

    /// Replicas that cost least for a peak of this distribution, inside the bounds.
    #[must_use]
    pub fn replicas(&self, peaks: &Peaks, bounds: Bounds) -> u32 {
        // Below what even the lowest peak more than fills, nothing is cheaper.
        let first = (peaks[0] / HOPELESS / self.service.capacity.max(f64::MIN_POSITIVE)).floor();
        let first = if first.is_finite() { bounds.clamp(first.max(0.0) as u32) } else { bounds.max };
        let (mut best, mut least) = (first, f64::INFINITY);
        for replicas in first..=bounds.max {
            let cost = self.expected(replicas, peaks);
            if cost < least {
                (best, least) = (replicas, cost);
            } else if replicas > best + TRIED_BEYOND {
                break;
            }
        }
        best
    }

    /// Replica-seconds a second that `replicas` cost: themselves, and what is bad at their price.
    fn expected(&self, replicas: u32, peaks: &Peaks) -> f64 {
        let capacity = self.service.capacity_of(replicas);
        let bad: f64 = peaks.iter().map(|load| load * self.late(replicas, capacity, *load)).sum();
        f64::from(replicas) + self.bad_unit * bad / peaks.len() as f64
    }

    fn late(&self, replicas: u32, capacity: f64, load: f64) -> f64 {
        let position = load / capacity / HOPELESS * STEPS as f64;
        match self.table.get(replicas as usize) {
            // Near capacity the share leaps: there the table is too coarse.
            Some(row) if position >= 0.0 && (position + 1.0) * HOPELESS / (STEPS as f64) < 1.0 => {
                let (below, share) = (position as usize, position.fract());
                f64::from(row[below]) * (1.0 - share) + f64::from(row[below + 1]) * share
            }
            _ => self.late_share(replicas, capacity, load),
        }
    }

    /// Share of units that are late when load goes on like this: by the noise of arrivals below capacity, all of them above.
    fn late_share(&self, replicas: u32, capacity: f64, load: f64) -> f64 {
        if load <= 0.0 {
            0.0
        } else if load >= capacity || self.wait_s < 0.0 {
            1.0
        } else {
            Noise::steady(load, capacity).late_share(load, f64::from(replicas), 0.0, self.wait_s * capacity)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::ServiceKind;
    use crate::service::tests::web;

    const BOUNDS: Bounds = Bounds { min: 1, max: 60 };

    fn certain(load: f64) -> Peaks {
        [load; 12]
    }

    fn replicas(price: f64, peaks: &Peaks) -> u32 {
        CostOfLoad::of(&web(), 0.25, price).replicas(peaks, BOUNDS)
    }

    #[test]
    fn a_certain_load_needs_what_serves_it_and_a_little_for_its_noise() {
        // 50 units/s a replica: 500 need ten, and an eleventh for what comes together by chance.
        assert_eq!(replicas(10.0, &certain(500.0)), 11);
        assert_eq!(replicas(10.0, &certain(0.0)), 1);
        assert_eq!(replicas(10.0, &certain(1e9)), 60, "all there may be");
    }

    #[test]
    fn a_wider_forecast_and_a_dearer_minute_ask_for_more() {
        let wide: Peaks = std::array::from_fn(|i| 350.0 + 30.0 * i as f64);
        assert!(replicas(10.0, &wide) > replicas(10.0, &certain(500.0)));
        assert!(replicas(30.0, &wide) >= replicas(10.0, &wide));
        assert!(replicas(0.2, &wide) < replicas(30.0, &wide));
    }

    #[test]
    fn work_that_may_wait_needs_no_room_for_noise() {
        let patient = crate::service::ServiceSpec { kind: ServiceKind::Queue, ..web() };
        let cost = CostOfLoad::of(&patient, 600.0, 10.0);
        assert_eq!(cost.replicas(&certain(499.0), BOUNDS), 10);
    }

    #[test]
    fn a_table_says_what_is_computed_anew() {
        let service = web();
        let (direct, tabulated) = (CostOfLoad::of(&service, 0.25, 10.0), CostOfLoad::of(&service, 0.25, 10.0).tabulated(60));
        for load in 1..300 {
            let peaks: Peaks = std::array::from_fn(|i| f64::from(load) * (8.0 + 0.3 * i as f64));
            assert!(direct.replicas(&peaks, BOUNDS).abs_diff(tabulated.replicas(&peaks, BOUNDS)) <= 1, "{load}");
        }
    }
}
