//! A histogram that forgets, as the VPA recommender has it: buckets that grow by five percent, and weights that double with each half-life, so
//! that old ones never need to be touched.

/// Seconds in which a sample loses half of its weight: `--cpu-histogram-decay-half-life` and `--memory-histogram-decay-half-life`.
const HALF_LIFE_S: f64 = 86_400.0;
/// How much wider each bucket is than the one before: `HistogramBucketSizeGrowth`.
const GROWTH: f64 = 1.05;
/// Half-lives after which weights are scaled back, long before they overflow.
const RESCALE_AFTER: f64 = 100.0;

/// What values it tells apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Width of the first bucket, which begins at 0.
    pub first: f64,
    /// Above, all is one.
    pub largest: f64,
}

impl Scale {
    fn buckets(self) -> usize {
        self.exponent(self.largest).ceil() as usize + 1
    }

    fn bucket(self, value: f64) -> usize {
        (self.exponent(value.max(0.0)).floor() as usize).min(self.buckets() - 1)
    }

    /// Where a bucket begins: the sum of the widths before it.
    fn start(self, bucket: usize) -> f64 {
        self.first * (GROWTH.powf(bucket as f64) - 1.0) / (GROWTH - 1.0)
    }

    fn exponent(self, value: f64) -> f64 {
        (value * (GROWTH - 1.0) / self.first + 1.0).ln() / GROWTH.ln()
    }
}

/// Weights of values, the newest the heaviest.
#[derive(Clone, Debug)]
pub(super) struct DecayingHistogram {
    scale: Scale,
    weights: Vec<f64>,
    reference_s: f64,
}

impl DecayingHistogram {
    /// An empty one.
    pub fn new(scale: Scale) -> Self {
        Self { scale, weights: vec![0.0; scale.buckets()], reference_s: 0.0 }
    }

    /// Adds one value of a moment (Unix second).
    pub fn add(&mut self, value: f64, at_s: i64) {
        let weight = self.weight(at_s);
        self.weights[self.scale.bucket(value)] += weight;
    }

    /// Takes out one that was added.
    pub fn remove(&mut self, value: f64, at_s: i64) {
        let weight = self.weight(at_s);
        let held = &mut self.weights[self.scale.bucket(value)];
        *held = (*held - weight).max(0.0);
    }

    /// The end of the bucket in which this share of the weight is reached; 0 when empty.
    pub fn quantile(&self, share: f64) -> f64 {
        let wanted = share * self.weights.iter().sum::<f64>();
        if wanted <= 0.0 {
            return 0.0;
        }
        let mut sum = 0.0;
        let reached = self.weights.iter().position(|weight| {
            sum += weight;
            sum >= wanted
        });
        let last = self.weights.len() - 1;
        self.scale.start(reached.map_or(last, |bucket| bucket + 1).min(last))
    }

    fn weight(&mut self, at_s: i64) -> f64 {
        let age = (at_s as f64 - self.reference_s) / HALF_LIFE_S;
        if age <= RESCALE_AFTER {
            return age.exp2();
        }
        // By whole half-lives, so that no weight is rounded.
        let passed = age.round();
        self.weights.iter_mut().for_each(|weight| *weight *= (-passed).exp2());
        self.reference_s += passed * HALF_LIFE_S;
        (age - passed).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORES: Scale = Scale { first: 0.001, largest: 1000.0 };
    const DAY_S: i64 = 86_400;

    #[test]
    fn a_bucket_holds_its_start_and_is_five_percent_wider_than_the_one_before() {
        for bucket in [1, 2, 50, CORES.buckets() - 1] {
            assert_eq!(CORES.bucket(CORES.start(bucket) * 1.000_001), bucket);
        }
        let width = |bucket| CORES.start(bucket + 1) - CORES.start(bucket);
        assert!((width(21) / width(20) - 1.05).abs() < 1e-9 && (width(0) - 0.001).abs() < 1e-12);
        assert_eq!(CORES.bucket(1e9), CORES.buckets() - 1);
    }

    #[test]
    fn a_day_halves_a_weight() {
        let mut histogram = DecayingHistogram::new(CORES);
        (0..3).for_each(|_| histogram.add(1.0, 0));
        (0..2).for_each(|_| histogram.add(4.0, DAY_S));
        // 1.5 against 2: the middle lies in the newer ones.
        assert!(histogram.quantile(0.42) < 1.1 && histogram.quantile(0.44) > 4.0);
    }

    #[test]
    fn rescaling_keeps_the_proportions() {
        let mut histogram = DecayingHistogram::new(CORES);
        let late = 1_700_000_000;
        histogram.add(1.0, late);
        histogram.add(4.0, late + DAY_S);
        histogram.add(8.0, late + 120 * DAY_S);
        assert!(histogram.weights.iter().all(|weight| weight.is_finite()));
        histogram.remove(8.0, late + 120 * DAY_S);
        assert!(histogram.quantile(0.3) < 1.1 && histogram.quantile(0.4) > 4.0, "one to two as ever");
    }

    #[test]
    fn an_empty_histogram_says_nothing() {
        let mut histogram = DecayingHistogram::new(CORES);
        assert_eq!(histogram.quantile(0.9), 0.0);
        histogram.add(1.0, 5);
        histogram.remove(1.0, 5);
        assert_eq!(histogram.quantile(0.9), 0.0);
    }
}
