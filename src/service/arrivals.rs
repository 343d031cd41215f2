//! How many units arrive in a second when the rate is known: a Poisson draw. The generator is a value, so that a seed repeats everything.

use rand::{Rng, RngExt};

use super::random::SplitMix;

/// Below this mean a draw walks the distribution from zero; above, that would be slow.
const WALK_BELOW: f64 = 10.0;

/// Who comes from outside, second by second. Each second is drawn by itself: a simulation that begins later, and an oracle that never simulates,
/// find the same units in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrivals {
    seed: u64,
}

impl Arrivals {
    /// The arrivals of one seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Units that come in the second that begins at `second` (Unix), at `rate` units/s.
    #[must_use]
    pub fn at(&self, second: i64, rate: f64) -> u64 {
        poisson(&mut SplitMix::of(self.seed, second.cast_unsigned()), rate)
    }
}

/// One draw from a Poisson distribution. A mean that is not above zero gives 0.
///
/// Inversion for small means; above, the transformed rejection PTRS of Hörmann, "The transformed rejection method for generating Poisson random
/// variables", 1993, exact and of constant cost.
pub fn poisson<R: Rng>(rng: &mut R, mean: f64) -> u64 {
    if mean.is_nan() || mean <= 0.0 {
        0
    } else if mean < WALK_BELOW {
        walk(rng, mean)
    } else {
        ptrs(rng, mean)
    }
}

fn walk<R: Rng>(rng: &mut R, mean: f64) -> u64 {
    let mut left: f64 = rng.random();
    let mut probability = (-mean).exp();
    let mut count = 0u64;
    // The bound is never reached but for the rounding of the last few probabilities.
    while left > probability && count < 100 {
        left -= probability;
        count += 1;
        probability *= mean / count as f64;
    }
    count
}

/// Names in the paper: `spread` is b, `pull` is a, `tail` is us, `accepted` is `v_r`.
fn ptrs<R: Rng>(rng: &mut R, mean: f64) -> u64 {
    let spread = 0.931 + 2.53 * mean.sqrt();
    let pull = -0.059 + 0.024_83 * spread;
    let inverse_alpha = 1.1239 + 1.1328 / (spread - 3.4);
    let accepted = 0.9277 - 3.6224 / (spread - 2.0);
    loop {
        let u = rng.random::<f64>() - 0.5;
        let v: f64 = rng.random();
        let tail = 0.5 - u.abs();
        let count = ((2.0 * pull / tail + spread) * u + mean + 0.43).floor();
        if tail >= 0.07 && v <= accepted {
            return count as u64;
        }
        if count < 0.0 || (tail < 0.013 && v > tail) {
            continue;
        }
        if (v * inverse_alpha / (pull / (tail * tail) + spread)).ln() <= count * mean.ln() - mean - ln_factorial(count) {
            return count as u64;
        }
    }
}

/// `ln k!`: summed for small `k`, by Stirling's series above, where its error is below 1e-9.
fn ln_factorial(k: f64) -> f64 {
    if k < 16.0 {
        return (2..=k as u32).map(|i| f64::from(i).ln()).sum();
    }
    (k + 0.5) * k.ln() - k + 0.5 * (2.0 * std::f64::consts::PI).ln() + 1.0 / (12.0 * k) - 1.0 / (360.0 * k * k * k)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn draws_have_the_mean_and_the_variance_of_a_poisson_distribution() {
        for mean in [0.05, 0.9, 9.9, 10.0, 17.0, 220.0, 5_000.0] {
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            let draws: Vec<f64> = (0..20_000).map(|_| poisson(&mut rng, mean) as f64).collect();
            let count = draws.len() as f64;
            let average = draws.iter().sum::<f64>() / count;
            let variance = draws.iter().map(|d| (d - average).powi(2)).sum::<f64>() / count;
            // Five standard errors: of the mean, and (for any Poisson mean, roughly) of the variance.
            assert!((average - mean).abs() < 5.0 * (mean / count).sqrt(), "mean of {mean}: {average}");
            assert!((variance - mean).abs() < 5.0 * ((2.0 * mean * mean + mean) / count).sqrt(), "variance of {mean}: {variance}");
        }
    }

    #[test]
    fn arrivals_of_a_second_do_not_depend_on_those_before() {
        let all: Vec<u64> = (0..10_000).map(|second| Arrivals::new(5).at(second, 30.0)).collect();
        assert_eq!(Arrivals::new(5).at(9_000, 30.0), all[9_000]);
        assert_ne!(all, (0..10_000).map(|second| Arrivals::new(6).at(second, 30.0)).collect::<Vec<_>>());
        let mean = all.iter().sum::<u64>() as f64 / all.len() as f64;
        let variance = all.iter().map(|count| (*count as f64 - mean).powi(2)).sum::<f64>() / all.len() as f64;
        assert!((mean - 30.0).abs() < 0.3 && (variance / 30.0 - 1.0).abs() < 0.08, "{mean} {variance}");
    }

    #[test]
    fn no_rate_brings_nobody() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for mean in [0.0, -1.0, f64::NAN] {
            assert_eq!(poisson(&mut rng, mean), 0);
        }
    }
}
