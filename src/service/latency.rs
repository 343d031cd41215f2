//! Latencies as an exporter keeps them: a histogram with buckets that grow by a fourth of an octave, as Prometheus' native histograms of schema 2.

use super::queue::Served;

/// Upper bound of the first bucket, seconds.
const FIRST_S: f64 = 0.001;
/// Buckets an octave.
const PER_OCTAVE: f64 = 4.0;
/// From a millisecond to a quarter of an hour; what is longer lies in the last.
const BUCKETS: usize = 81;
/// Into how many parts units of different waits are cut.
const PARTS: u64 = 8;

/// A cumulative histogram of latencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyHistogram {
    counts: [u64; BUCKETS],
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS] }
    }
}

impl LatencyHistogram {
    /// Counts units that were served; their waits lie evenly between the first's and the last's.
    pub fn record(&mut self, served: Served, base_latency_s: f64) {
        let first = bucket(base_latency_s + served.first_wait_s);
        // Where nobody waits, which is most of the time, one logarithm is enough.
        if served.first_wait_s.total_cmp(&served.last_wait_s).is_eq() || first == bucket(base_latency_s + served.last_wait_s) {
            self.counts[first] += served.units;
            return;
        }
        for part in 0..PARTS {
            let units = served.units * (part + 1) / PARTS - served.units * part / PARTS;
            let share = (part as f64 + 0.5) / PARTS as f64;
            let wait = served.first_wait_s + (served.last_wait_s - served.first_wait_s) * share;
            self.counts[bucket(base_latency_s + wait)] += units;
        }
    }

    /// The `q` quantile of what was counted since `earlier`, seconds; `None` when nothing was. Within a bucket the logarithm is interpolated.
    #[must_use]
    pub fn quantile_since(&self, earlier: &Self, q: f64) -> Option<f64> {
        let counts = || self.counts.iter().zip(&earlier.counts).map(|(now, then)| now - then);
        let total: u64 = counts().sum();
        let wanted = q.clamp(0.0, 1.0) * total as f64;
        let mut below = 0.0;
        for (index, count) in counts().enumerate().filter(|(_, count)| *count > 0) {
            let count = count as f64;
            if below + count >= wanted {
                let octaves = (index as f64 - 1.0 + (wanted - below) / count) / PER_OCTAVE;
                return Some(FIRST_S * octaves.exp2());
            }
            below += count;
        }
        None
    }
}

fn bucket(latency_s: f64) -> usize {
    let index = ((latency_s / FIRST_S).log2() * PER_OCTAVE).ceil();
    (index.max(0.0) as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_right_to_a_bucket() {
        let mut histogram = LatencyHistogram::default();
        let before = histogram.clone();
        histogram.record(Served { units: 94, first_wait_s: 0.0, last_wait_s: 0.0 }, 0.04);
        histogram.record(Served { units: 6, first_wait_s: 2.0, last_wait_s: 2.0 }, 0.04);
        let within = |q: f64, s: f64| {
            let found = histogram.quantile_since(&before, q).unwrap();
            assert!((found / s).log2().abs() <= 1.0 / PER_OCTAVE, "p{q} is {found}, not {s}");
        };
        within(0.5, 0.04);
        within(0.95, 2.04);
        assert_eq!(histogram.quantile_since(&histogram, 0.95), None, "nothing new was served");
    }

    #[test]
    fn units_of_different_waits_are_all_counted() {
        let mut histogram = LatencyHistogram::default();
        histogram.record(Served { units: 13, first_wait_s: 0.0, last_wait_s: 10.0 }, 0.01);
        assert_eq!(histogram.counts.iter().sum::<u64>(), 13);
        let median = histogram.quantile_since(&LatencyHistogram::default(), 0.5).unwrap();
        assert!((4.0..6.0).contains(&median), "{median}");
    }
}
