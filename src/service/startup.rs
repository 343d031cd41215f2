//! How long a replica takes from its launch until it serves.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// The 95th percentile of the standard normal distribution.
const NORMAL_P95: f64 = 1.644_853_626_951;

/// Start-up times: log-normal between these two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartUp {
    /// Half start faster, seconds.
    pub p50_s: f64,
    /// One in twenty starts slower, seconds; equal to `p50_s` where all take the same time.
    pub p95_s: f64,
}

impl StartUp {
    /// All replicas take the same time.
    #[must_use]
    pub const fn fixed(seconds: f64) -> Self {
        Self { p50_s: seconds, p95_s: seconds }
    }

    /// One start-up time, seconds.
    pub fn draw<R: Rng>(&self, rng: &mut R) -> f64 {
        if self.p50_s <= 0.0 || self.p95_s <= self.p50_s {
            return self.p50_s.max(0.0);
        }
        let sigma = (self.p95_s / self.p50_s).ln() / NORMAL_P95;
        self.p50_s * (sigma * normal(rng)).exp()
    }
}

/// A standard normal value (Box and Muller, 1958).
fn normal<R: Rng>(rng: &mut R) -> f64 {
    // One minus a value below one is above zero, where the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::super::SplitMix;
    use super::*;

    #[test]
    fn half_start_before_the_median_and_one_in_twenty_after_the_95th_percentile() {
        let startup = StartUp { p50_s: 40.0, p95_s: 70.0 };
        let times: Vec<f64> = (0..20_000).map(|pod| startup.draw(&mut SplitMix::of(3, pod))).collect();
        let above = |limit: f64| times.iter().filter(|time| **time > limit).count() as f64 / times.len() as f64;
        assert!((above(40.0) - 0.5).abs() < 0.015, "{}", above(40.0));
        assert!((above(70.0) - 0.05).abs() < 0.007, "{}", above(70.0));
    }

    #[test]
    fn where_both_are_equal_all_take_the_same_time() {
        assert!((0..100).all(|pod| StartUp::fixed(180.0).draw(&mut SplitMix::of(3, pod)) == 180.0));
        assert_eq!(StartUp::fixed(0.0).draw(&mut SplitMix::of(3, 0)), 0.0);
    }
}
