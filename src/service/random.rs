//! Random numbers that are a function of what they are for: one seed and one second give one answer, whoever asks and whatever was asked before.

use std::convert::Infallible;

use rand::rand_core::TryRng;

/// What a state moves by between two numbers: 2^64 over the golden ratio, odd.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Spreads a number over all 64 bits: the finaliser of `SplitMix64` (Steele, Lea and Flood, 2014).
#[must_use]
pub const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(STEP);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// `SplitMix64`: it costs nothing to begin anew, so each second and each pod has one of its own.
#[derive(Clone, Debug)]
pub struct SplitMix {
    state: u64,
}

impl SplitMix {
    /// The generator of `number` (a second, a pod) under a seed.
    #[must_use]
    pub const fn of(seed: u64, number: u64) -> Self {
        Self { state: mix(seed ^ mix(number)) }
    }

    fn next(&mut self) -> u64 {
        let value = mix(self.state);
        self.state = self.state.wrapping_add(STEP);
        value
    }
}

impl TryRng for SplitMix {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt};

    use super::*;

    #[test]
    fn numbers_are_even_and_neighbours_are_strangers() {
        let first: Vec<f64> = (0..20_000).map(|second| SplitMix::of(7, second).random()).collect();
        let count = first.len() as f64;
        let mean = first.iter().sum::<f64>() / count;
        let variance = first.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let covariance = first.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>() / count;
        assert!((mean - 0.5).abs() < 0.01 && (variance * 12.0 - 1.0).abs() < 0.03, "{mean} {variance}");
        assert!((covariance / variance).abs() < 0.03, "{covariance}");
        assert_ne!(SplitMix::of(7, 1).next_u64(), SplitMix::of(8, 1).next_u64());
    }

    #[test]
    fn bytes_are_the_numbers_in_order() {
        let mut bytes = [0u8; 12];
        SplitMix::of(1, 2).fill_bytes(&mut bytes);
        let mut numbers = SplitMix::of(1, 2);
        let mut expected = numbers.next_u64().to_le_bytes().to_vec();
        expected.extend_from_slice(&numbers.next_u64().to_le_bytes()[..4]);
        assert_eq!(bytes.to_vec(), expected);
    }
}
