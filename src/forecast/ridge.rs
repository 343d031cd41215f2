//! Ridge regression that learns as it goes: sums of products that fade, solved when a forecast is due.
//!
//! Our own, since it is forty lines of sums and a Cholesky decomposition of twelve rows; crates for it bring a matrix library, and none keeps
//! sums that fade.

use super::lags::INPUTS;

/// Entries of the lower triangle of the products' matrix.
pub(super) const PRODUCTS: usize = INPUTS * (INPUTS + 1) / 2;
/// Samples after which an older one weighs half: four days at one in five minutes.
const HALF_LIFE: f64 = 4.0 * 288.0;
/// Shrinkage, as a share of each input's own size: inputs that hardly differ share their weight.
const SHRINKAGE: f64 = 0.002;
/// Shrinkage in samples of size [`LEAST_SIZE`]: what a few samples seem to say is not believed.
const PRIOR_SAMPLES: f64 = 30.0;
/// Size of an input (a share of demand) below which it says nothing.
const LEAST_SIZE: f64 = 0.03;

/// The sums and what follows from them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ridge {
    /// Lower triangle of Σ w x xᵀ, row by row.
    pub products: [f32; PRODUCTS],
    /// Σ w x y.
    pub targets: [f32; INPUTS],
    /// Coefficients, as last solved.
    pub weights: [f32; INPUTS],
}

impl Default for Ridge {
    fn default() -> Self {
        Self { products: [0.0; PRODUCTS], targets: [0.0; INPUTS], weights: [0.0; INPUTS] }
    }
}

impl Ridge {
    /// Takes in one sample: `y` is what came, less the reference level.
    pub fn learn(&mut self, x: &[f64; INPUTS], y: f64, weight: f64) {
        let fade = 0.5f64.powf(1.0 / HALF_LIFE);
        let mut entries = self.products.iter_mut();
        for (row, target) in self.targets.iter_mut().enumerate() {
            for (column, entry) in x[..=row].iter().zip(entries.by_ref()) {
                *entry = (f64::from(*entry) * fade + weight * x[row] * column) as f32;
            }
            *target = (f64::from(*target) * fade + weight * x[row] * y) as f32;
        }
    }

    /// What it says to `inputs`.
    pub fn answer(&self, inputs: &[f64; INPUTS]) -> f64 {
        inputs.iter().zip(self.weights).map(|(x, w)| x * f64::from(w)).sum()
    }

    /// Solves for the coefficients; sums that are no sums leave them as they were.
    pub fn solve(&mut self) {
        let mut l = [[0.0f64; INPUTS]; INPUTS];
        let mut z = [0.0f64; INPUTS];
        let entry = |row: usize, column: usize| f64::from(self.products[row * (row + 1) / 2 + column]);
        for row in 0..INPUTS {
            for column in 0..=row {
                let mut sum = entry(row, column);
                if row == column {
                    sum += SHRINKAGE * sum + PRIOR_SAMPLES * LEAST_SIZE * LEAST_SIZE;
                }
                sum -= l[row][..column].iter().zip(&l[column]).map(|(a, b)| a * b).sum::<f64>();
                l[row][column] = if row == column { sum.max(1e-9).sqrt() } else { sum / l[column][column] };
            }
            let done: f64 = (0..row).map(|k| l[row][k] * z[k]).sum();
            z[row] = (f64::from(self.targets[row]) - done) / l[row][row];
        }
        for row in (0..INPUTS).rev() {
            let done: f64 = (row + 1..INPUTS).map(|k| l[k][row] * z[k]).sum();
            z[row] = (z[row] - done) / l[row][row];
        }
        if z.iter().all(|w| w.is_finite()) {
            self.weights = z.map(|w| w as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(t: u32) -> [f64; INPUTS] {
        let mut x = [0.0; INPUTS];
        x[0] = 1.0;
        x[3] = f64::from(t % 7) / 7.0 - 0.4;
        x[11] = f64::from(t % 11) / 11.0 - 0.45;
        x
    }

    fn taught(samples: u32, truth: impl Fn(&[f64; INPUTS]) -> f64) -> Ridge {
        let mut ridge = Ridge::default();
        (0..samples).for_each(|t| ridge.learn(&inputs(t), truth(&inputs(t)), 1.0));
        ridge.solve();
        ridge
    }

    #[test]
    fn it_finds_what_demand_follows() {
        let ridge = taught(600, |x| 0.1 + 0.8 * x[3] - 0.5 * x[11]);
        for (index, truth) in [(0, 0.1), (3, 0.8), (11, -0.5), (5, 0.0)] {
            assert!((f64::from(ridge.weights[index]) - truth).abs() < 0.02, "{index} {:?}", ridge.weights);
        }
        assert!((ridge.answer(&inputs(3)) - (0.1 + 0.8 * inputs(3)[3] - 0.5 * inputs(3)[11])).abs() < 0.02);
    }

    #[test]
    fn it_forgets_what_is_long_past() {
        let mut ridge = taught(2000, |x| x[3]);
        (0..4000).for_each(|t| ridge.learn(&inputs(t), -inputs(t)[3], 1.0));
        ridge.solve();
        assert!(ridge.weights[3] < -0.7, "{:?}", ridge.weights);
    }

    #[test]
    fn nothing_seen_says_that_all_stays_as_it_is() {
        assert_eq!(taught(0, |_| 1.0).answer(&inputs(1)), 0.0);
        let mut spoiled = taught(50, |x| x[3]);
        let before = spoiled.weights;
        spoiled.targets[0] = f32::NAN;
        spoiled.solve();
        assert_eq!(spoiled.weights, before, "sums that are no sums change nothing");
    }
}
