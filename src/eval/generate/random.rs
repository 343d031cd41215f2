//! Dice: seeded draws that are the same to the bit on every machine, so no logarithm of the platform's own.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// A seeded generator for one purpose.
#[derive(Clone, Debug)]
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The dice of a purpose: other names, other draws, and one more draw for one purpose changes none of another's.
    pub(super) fn new(seed: u64, purpose: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        for name in purpose {
            hash.update(name.as_bytes());
            hash.update([0]);
        }
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// Evenly from 0 up to and without 1.
    pub(super) fn uniform(&mut self) -> f64 {
        // The 53 bits that a double holds.
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Evenly between two values.
    pub(super) fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.uniform()
    }

    /// The standard normal distribution (Box and Muller, 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// How long until the next of what comes at random, where `mean` is the mean.
    pub(super) fn wait(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.uniform())
    }

    /// A Pareto variable from 1 up: the share above x is x to the power of -`tail`.
    pub(super) fn pareto(&mut self, tail: f64) -> f64 {
        libm::pow(1.0 - self.uniform(), -1.0 / tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_moments_they_should() {
        let mut dice = Dice::new(1, &["moments"]);
        let mut mean = |draw: fn(&mut Dice) -> f64| (0..20_000).map(|_| draw(&mut dice)).sum::<f64>() / 20_000.0;
        assert!((mean(Dice::uniform) - 0.5).abs() < 0.01);
        assert!(mean(Dice::normal).abs() < 0.03);
        assert!((mean(|dice| dice.normal().powi(2)) - 1.0).abs() < 0.04);
        assert!((mean(|dice| dice.wait(5.0)) - 5.0).abs() < 0.15);
        assert!((mean(|dice| dice.pareto(3.0)) - 1.5).abs() < 0.05, "tail / (tail - 1)");
    }

    #[test]
    fn a_purpose_repeats_and_another_differs() {
        let draws = |seed, purpose: &[&str]| {
            let mut dice = Dice::new(seed, purpose);
            [dice.uniform(), dice.normal(), dice.pareto(2.0)]
        };
        assert_eq!(draws(1, &["a", "b"]), draws(1, &["a", "b"]));
        assert_ne!(draws(1, &["a", "b"]), draws(2, &["a", "b"]));
        assert_ne!(draws(1, &["a", "b"]), draws(1, &["ab", ""]));
    }
}
