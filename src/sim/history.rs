//! The past before the start, as metrics would remember it: demand as it was recorded or as its curve runs backwards, served by replicas that
//! followed it. What was not recorded is a gap.
//!
//! Nothing went wrong in that past, and nobody waited: five weeks cost milliseconds. An eval that wants a truer last day begins the world a day
//! earlier: what is measured in it is the past of what comes after.

use std::collections::BTreeMap;

use super::demand::Demand;
use super::workload::{Minute, SIGNALS, SimWorkload};
use super::world::{World, time};
use crate::domain::names::TargetKey;
use crate::domain::series::{COARSE_SAMPLES, FINE_SAMPLES, History, MIDDLE_SAMPLES, Series};
use crate::domain::signal::SignalName;
use crate::service::{LatencyHistogram, Served, mix};

/// Share of their capacity that replicas of the past were kept at.
const PAST_UTILISATION: f64 = 0.65;

/// The history of every signal of every workload up to the start.
pub(super) fn past(world: &World) -> BTreeMap<TargetKey, BTreeMap<SignalName, History>> {
    let fine = Tier::new(world, 60, FINE_SAMPLES);
    let middle = Tier::new(world, 300, MIDDLE_SAMPLES);
    let coarse = Tier::new(world, 3600, COARSE_SAMPLES);
    let signals = |index: usize, workload: &SimWorkload| {
        let latency = unloaded_latency(workload);
        let tiers = [&fine, &middle, &coarse].map(|tier| tier.minutes(index, workload, latency));
        let series = |tier: &Tier, minutes: &[Minute], signal: usize| Series {
            start: time(tier.first),
            step_s: tier.step_s as u32,
            values: minutes.iter().map(|minute| minute[signal]).collect(),
        };
        let history = |signal: usize, name: &SignalName| History {
            fine: series(&fine, &tiers[0], signal),
            middle: series(&middle, &tiers[1], signal),
            coarse: name.keeps_coarse().then(|| series(&coarse, &tiers[2], signal)),
        };
        SIGNALS.iter().enumerate().map(|(signal, name)| (name.clone(), history(signal, name))).collect()
    };
    world.workloads.iter().enumerate().map(|(index, w)| (w.spec.key.clone(), signals(index, w))).collect()
}

/// Demand of one workload before the start, a value a minute, `minutes` of them.
pub(super) fn past_demand(world: &World, index: usize, minutes: usize) -> Series {
    let tier = Tier::new(world, 60, minutes);
    let workload = &world.workloads[index];
    Series { start: time(tier.first), step_s: 60, values: (0..minutes).map(|sample| tier.demand(sample, index, workload) as f32).collect() }
}

/// Rates of all workloads on one grid that ends at or just before the start.
struct Tier {
    step_s: i64,
    first: i64,
    start: i64,
    /// By sample, then by workload; `NaN` where nothing was recorded.
    rates: Vec<Vec<f64>>,
}

impl Tier {
    fn new(world: &World, step_s: i64, samples: usize) -> Self {
        let first = world.start - world.start.rem_euclid(step_s) - step_s * (samples.cast_signed() as i64 - 1);
        let end_of = |sample: usize| first + step_s * sample.cast_signed() as i64;
        let rates = (0..samples).map(|sample| world.rates_between(end_of(sample) - step_s, end_of(sample))).collect();
        Self { step_s, first, start: world.start, rates }
    }

    /// What arrived on average over a sample's interval: the rate, and, where it is a curve's, the noise of so many arrivals.
    fn demand(&self, sample: usize, index: usize, workload: &SimWorkload) -> f64 {
        let rate = self.rates[sample][index];
        if rate.is_nan() || matches!(workload.spec.demand, Demand::Series(_)) {
            return rate;
        }
        let deviation = (rate / self.step_s as f64).sqrt();
        (rate + deviation * noise(workload.seed ^ mix(self.first.cast_unsigned() + sample as u64))).max(0.0)
    }

    fn minutes(&self, index: usize, workload: &SimWorkload, latency: f64) -> Vec<Minute> {
        let (spec, service) = (&workload.spec, &workload.spec.service);
        // Pods were renewed whenever the oldest had come to the age that the oldest has at the start.
        let oldest = i64::from(spec.oldest_pod_s.max(1));
        let age_s =
            |sample: usize| ((self.first + self.step_s * sample.cast_signed() as i64 - self.start - 1).rem_euclid(oldest) + 1) as f64;
        let minute = |sample: usize| -> Minute {
            let demand = self.demand(sample, index, workload);
            if demand.is_nan() {
                return [f32::NAN; SIGNALS.len()];
            }
            let replicas = spec.usual.clamp((demand / (service.capacity * PAST_UTILISATION)).ceil() as u32);
            let memory = service.memory(service.held(demand, 0, replicas), age_s(sample));
            let busy = demand > 0.0;
            let values = [
                demand,
                service.cpu(demand, replicas),
                0.0,
                if replicas > 0 { memory } else { f64::NAN },
                if busy { latency } else { f64::NAN },
                if busy { 0.0 } else { f64::NAN },
                0.0,
                0.0,
                0.0,
                // How many served is nobody's to know: it would tell what one of them can.
                f64::NAN,
            ];
            values.map(|value| value as f32)
        };
        (0..self.rates.len()).map(minute).collect()
    }
}

impl World {
    /// Mean rates of all workloads over an interval, calls included, when everything is served.
    fn rates_between(&self, from: i64, to: i64) -> Vec<f64> {
        let mean = |w: &SimWorkload| w.spec.demand.mean(from, to, self.utc_offset_s, w.seed).unwrap_or(f64::NAN);
        let outside: Vec<f64> = self.workloads.iter().map(mean).collect();
        let mut rates = outside.clone();
        for _ in 0..self.workloads.len() {
            let next: Vec<f64> = (0..rates.len()).map(|index| outside[index] + self.calls_to(index, &rates)).collect();
            let settled = next.iter().zip(&rates).all(|(a, b)| a.total_cmp(b).is_eq());
            rates = next;
            if settled {
                break;
            }
        }
        rates
    }
}

/// What an exporter's histogram shows as p95 when nobody waits.
fn unloaded_latency(workload: &SimWorkload) -> f64 {
    let mut histogram = LatencyHistogram::default();
    histogram.record(Served { units: 1, first_wait_s: 0.0, last_wait_s: 0.0 }, workload.spec.service.base_latency_s);
    histogram.quantile_since(&LatencyHistogram::default(), 0.95).unwrap_or(workload.spec.service.base_latency_s)
}

/// Roughly normal, mean 0 and variance 1: three uniform values, which is as good as such noise needs.
fn noise(seed: u64) -> f64 {
    let uniform = |salt: u64| mix(seed.wrapping_add(salt)) as f64 / u64::MAX as f64;
    (uniform(1) + uniform(2) + uniform(3) - 1.5) * 2.0
}
