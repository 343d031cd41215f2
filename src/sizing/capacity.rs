//! What one replica can serve: declared, or learned from the CPU that a unit of demand costs.

use jiff::Timestamp;

use crate::domain::memory::CapacityMemory;
use crate::domain::plan::CapacitySource;
use crate::domain::series::{History, Series};
use crate::domain::workload::ContainerResources;

/// What fades of the sums in a minute: half in six hours, so that a cheaper release shows within a day.
const FADE: f64 = 0.998_076_6;
/// What fades of the best load seen in a minute: a tenth in ten days. A new release makes it forget at once.
const BEST_FADE: f64 = 0.999_992_7;
/// Minutes of evidence below which nothing is said.
const LEAST_SAMPLES: u32 = 20;
/// Share of failing requests above which CPU per unit means nothing: failing is cheap.
const MOST_ERRORS: f64 = 0.05;
/// Share of throttled periods above which CPU use is what was granted, not what was needed.
const MOST_THROTTLING: f64 = 0.25;
/// Weight that an old template's evidence keeps for a new one, in minutes.
const PRIOR_MINUTES: f64 = 10.0;

/// What one minute shows of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Demand, units/s.
    pub demand: Option<f64>,
    /// CPU over all pods, cores.
    pub cpu: Option<f64>,
    /// Latency over the promised one; absent is taken as in line.
    pub latency_ratio: Option<f64>,
    /// Share of requests that fail.
    pub errors: Option<f64>,
    /// Share of periods throttled.
    pub throttling: Option<f64>,
    /// Ready replicas; a mean over the interval.
    pub ready: f64,
    /// No rollout in progress: all pods are alike.
    pub settled: bool,
}

impl Load {
    /// Units/s that one replica gets done while all have more to do than they can: answers are slow, few fail, nothing is throttled, and what the
    /// CPU says is done is less than what is asked for.
    fn strained(&self, cpu_per_unit: Option<f64>) -> Option<f64> {
        let slow = self.settled
            && self.ready >= 1.0
            && self.latency_ratio.is_some_and(|r| r > 1.5)
            && self.throttling.is_none_or(|t| t <= MOST_THROTTLING);
        let done = self.cpu.filter(|_| slow)? / cpu_per_unit?;
        let each = done / self.ready;
        (each.is_finite() && each > 0.0 && self.demand? >= 0.97 * done).then_some(each)
    }

    /// Whether work is done as it should be, so that cost per unit means something.
    fn in_line(&self) -> bool {
        self.settled
            && self.latency_ratio.is_none_or(|r| r <= 1.0)
            && self.errors.is_none_or(|e| e <= MOST_ERRORS)
            && self.throttling.is_none_or(|t| t <= MOST_THROTTLING)
    }
}

/// What a target's signals showed before it was first looked at.
#[derive(Clone, Copy, Debug)]
pub struct SeenBefore<'a> {
    /// Demand.
    pub demand: &'a History,
    /// CPU.
    pub cpu: &'a History,
    /// Latency.
    pub latency: Option<&'a History>,
    /// Ready replicas.
    pub ready: Option<&'a History>,
    /// Latency that is promised, seconds.
    pub promised_s: f64,
}

impl SeenBefore<'_> {
    /// Samples of the days before, then the minutes of the last hours, each as far as demand is known.
    fn loads(&self) -> impl Iterator<Item = Load> {
        let minutes_from = self.demand.fine.start;
        let days = self.tier(|history| &history.middle).filter(move |(at, _)| *at < minutes_from);
        days.chain(self.tier(|history| &history.fine)).map(|(_, load)| load)
    }

    fn tier(&self, of: fn(&History) -> &Series) -> impl Iterator<Item = (Timestamp, Load)> {
        let demand = of(self.demand);
        let step = jiff::SignedDuration::from_secs(i64::from(demand.step_s));
        let value = move |history: Option<&History>, at| {
            of(history?).window(at, step).last().copied().filter(|value| value.is_finite()).map(f64::from)
        };
        (0..demand.values.len()).filter(|index| demand.values[*index].is_finite()).map(move |index| {
            let at = demand.time(index);
            let ready = value(self.ready, at).unwrap_or(0.0);
            let load = Load {
                demand: Some(f64::from(demand.values[index])),
                cpu: value(Some(self.cpu), at),
                latency_ratio: value(self.latency, at).map(|latency| latency / self.promised_s.max(1e-3)),
                errors: None,
                throttling: None,
                ready,
                // A roll-out of the past is not known; it shows as one sample among many.
                settled: true,
            };
            (at, load)
        })
    }
}

/// Weight of one sample of strain that shows more than was known; and of one that shows less, which may have been strained for a part of its time.
const STRAINED_GAIN: (f64, f64) = (0.5, 0.05);
/// Where strain was seen, a replica is trusted with a little less than all it can do: what is planned too high by a hundredth is late as a whole, what
/// is planned too low by one costs a hundredth.
const BELOW_STRAIN: f64 = 0.98;
/// Latency over the promised one up to which a load is carried easily; and how much more than that a replica can carry at least: with more than a few
/// replicas, waits stay out of p95 until the last hundredths of what they can do.
const EASILY: f64 = 0.5;
const ROOM_WHERE_EASILY: f64 = 1.02;
/// The same of the most that was served well, which is a little less than that already.
const BELOW_SERVED: f64 = 0.99;
/// Share of the CPU request that a replica is trusted to use well before it was seen to: where an autoscaler usually aims.
const USUAL_UTILIZATION: f64 = 0.7;
/// A replica is trusted with so much more than the most it was seen to serve well: nobody has seen it carry more.
const TRUSTED_BEYOND: f64 = 1.05;

/// Learns from one minute. With nothing learned yet, what was seen before teaches first.
pub fn learn_capacity(memory: &mut CapacityMemory, load: &Load, before: Option<&SeenBefore<'_>>) {
    if let Some(before) = before.filter(|_| memory.samples == 0) {
        // Twice, since strain can be read from CPU only when it is known what a unit costs.
        for load in before.loads() {
            learn(memory, &load);
        }
        let cost = memory.cpu_per_unit;
        for load in before.loads() {
            strain(memory, &load, cost);
        }
    }
    strain(memory, load, memory.cpu_per_unit);
    learn(memory, load);
}

fn strain(memory: &mut CapacityMemory, load: &Load, cpu_per_unit: Option<f64>) {
    if let Some(each) = load.strained(cpu_per_unit) {
        memory.strained = Some(memory.strained.map_or(each, |known| {
            let gain = if each > known { STRAINED_GAIN.0 } else { STRAINED_GAIN.1 };
            known + gain * (each - known)
        }));
    }
}

fn learn(memory: &mut CapacityMemory, load: &Load) {
    let Some(demand) = load.demand.filter(|_| load.in_line()) else { return };
    if let Some(cpu) = load.cpu {
        weigh(memory, demand, cpu);
    }
    if load.ready >= 1.0 && demand.is_finite() && load.latency_ratio.is_some() {
        let easily = load.latency_ratio.is_some_and(|ratio| ratio <= EASILY);
        let each = demand / load.ready * if easily { ROOM_WHERE_EASILY } else { 1.0 };
        memory.served_well = Some(memory.served_well.map_or(each, |best| (best * BEST_FADE).max(each)));
    }
}

/// Weighted least squares through the origin: cores = k · units/s, weights fading.
fn weigh(memory: &mut CapacityMemory, demand: f64, cpu: f64) {
    if !(demand.is_finite() && cpu.is_finite() && demand > 0.0 && cpu > 0.0) {
        return;
    }
    let [squares, products, weight] = memory.sums;
    memory.sums = [squares * FADE + demand * demand, products * FADE + demand * cpu, weight * FADE + 1.0];
    memory.samples = memory.samples.saturating_add(1);
    memory.cpu_per_unit = Some(memory.sums[1] / memory.sums[0]).filter(|k| k.is_finite() && *k > 0.0);
}

/// Units/s that one replica serves, and where that comes from. Learned: what it got done when it had more to do than it could, where that was
/// seen; else what the CPU request pays for, but little more than the best load it was seen to serve with latency in line.
pub fn capacity_of(
    memory: &mut CapacityMemory,
    declared: Option<f64>,
    resources: &ContainerResources,
    new_template: bool,
) -> (Option<f64>, CapacitySource) {
    if new_template && memory.sums[2] > PRIOR_MINUTES {
        // The new template may cost another CPU a unit; what was learned stays as a light prior.
        let share = PRIOR_MINUTES / memory.sums[2];
        memory.sums.iter_mut().for_each(|sum| *sum *= share);
        memory.served_well = None;
        memory.strained = None;
    }
    memory.units_per_replica = learned(memory, resources);
    match (declared.filter(|d| d.is_finite() && *d > 0.0), memory.units_per_replica) {
        (Some(declared), _) => (Some(declared), CapacitySource::Declared),
        (None, Some(learned)) => (Some(learned), CapacitySource::Learned),
        (None, None) => (None, CapacitySource::Unknown),
    }
}

fn learned(memory: &CapacityMemory, resources: &ContainerResources) -> Option<f64> {
    let per_unit = memory.cpu_per_unit.filter(|_| memory.samples >= LEAST_SAMPLES)?;
    let paid = resources.cpu_request.or(resources.cpu_limit)?.cores() / per_unit;
    let limit = resources.cpu_limit.map_or(f64::INFINITY, |limit| limit.cores() / per_unit);
    let served = memory.served_well.map(|served| served.min(limit));
    let units = match (memory.strained, served) {
        // A sample that was strained for a part of its time shows less than was served well elsewhere.
        (Some(strained), served) => (BELOW_STRAIN * strained).max(BELOW_SERVED * served.unwrap_or(0.0)).min(limit),
        (None, Some(served)) => paid.min((served * TRUSTED_BEYOND).max(paid * USUAL_UTILIZATION)).max(served).min(limit),
        (None, None) => paid,
    };
    Some(units).filter(|units| units.is_finite() && *units > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::Millicores;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    fn resources() -> ContainerResources {
        ContainerResources { cpu_request: Some(Millicores(500)), ..Default::default() }
    }

    fn load(demand: f64, cpu: f64) -> Load {
        Load { demand: Some(demand), cpu: Some(cpu), latency_ratio: Some(0.3), ready: 4.0, settled: true, ..Default::default() }
    }

    #[test]
    fn capacity_is_learned_within_a_tenth_from_noisy_minutes() {
        // 8 m of CPU a unit at a request of 500 m: 62.5 units/s.
        let mut memory = CapacityMemory::default();
        let mut seed = ChaCha8Rng::seed_from_u64(7);
        let mut noise = || f64::from(seed.next_u32()) / f64::from(u32::MAX) * 0.4 + 0.8;
        for minute in 0..200 {
            let demand = 150.0 + 50.0 * f64::from(minute % 11);
            learn_capacity(&mut memory, &load(demand.min(240.0), demand.min(240.0) * 0.008 * noise()), None);
        }
        let (capacity, source) = capacity_of(&mut memory, None, &resources(), false);
        assert_eq!(source, CapacitySource::Learned);
        assert!((capacity.unwrap() / 62.5 - 1.0).abs() < 0.1, "{capacity:?}");
    }

    #[test]
    fn minutes_out_of_line_teach_nothing() {
        let mut memory = CapacityMemory::default();
        for bad in [
            Load { latency_ratio: Some(3.0), ..load(100.0, 0.1) },
            Load { errors: Some(0.5), ..load(100.0, 0.1) },
            Load { throttling: Some(0.6), ..load(100.0, 0.1) },
            Load { settled: false, ..load(100.0, 0.1) },
            load(f64::NAN, 0.1),
            load(100.0, 0.0),
        ] {
            (0..50).for_each(|_| learn_capacity(&mut memory, &bad, None));
        }
        assert_eq!(memory.samples, 0);
        assert_eq!(capacity_of(&mut memory, None, &resources(), false), (None, CapacitySource::Unknown));
    }

    #[test]
    fn what_the_team_declares_goes_first_and_nonsense_is_not_declared() {
        let mut memory = CapacityMemory::default();
        assert_eq!(capacity_of(&mut memory, Some(50.0), &resources(), false), (Some(50.0), CapacitySource::Declared));
        assert_eq!(capacity_of(&mut memory, Some(0.0), &resources(), false), (None, CapacitySource::Unknown));
    }

    #[test]
    fn the_past_teaches_before_the_first_minute() {
        let start = jiff::Timestamp::UNIX_EPOCH;
        let (mut demand, mut cpu) = (History::new(start, true), History::new(start, true));
        for minute in 0..60 {
            let at = jiff::Timestamp::from_second(minute * 60).unwrap();
            demand.push_minute(at, 100.0);
            cpu.push_minute(at, 1.0);
        }
        let before = SeenBefore { demand: &demand, cpu: &cpu, latency: None, ready: None, promised_s: 0.25 };
        let mut memory = CapacityMemory::default();
        learn_capacity(&mut memory, &Load::default(), Some(&before));
        let (capacity, _) = capacity_of(&mut memory, None, &resources(), false);
        assert!((capacity.unwrap() - 50.0).abs() < 1e-6, "{capacity:?}");
    }

    #[test]
    fn a_new_template_soon_outweighs_the_old() {
        let mut memory = CapacityMemory::default();
        (0..1000).for_each(|_| learn_capacity(&mut memory, &load(100.0, 1.0), None));
        _ = capacity_of(&mut memory, None, &resources(), true);
        (0..40).for_each(|_| learn_capacity(&mut memory, &load(100.0, 2.0), None));
        let (capacity, _) = capacity_of(&mut memory, None, &resources(), false);
        assert!((24.0..30.0).contains(&capacity.unwrap()), "{capacity:?}");
    }

    #[test]
    fn a_replica_is_trusted_with_little_more_than_it_was_seen_to_carry_until_it_was_seen_to_strain() {
        let mut memory = CapacityMemory::default();
        // 8 m a unit at 500 m: the request pays for 62.5, but 50 is all that it can do.
        (0..60).for_each(|_| learn_capacity(&mut memory, &load(120.0, 0.96), None));
        let (cautious, _) = capacity_of(&mut memory, None, &resources(), false);
        assert!((cautious.unwrap() - 43.75).abs() < 0.1, "{cautious:?}");
        let strain = Load { latency_ratio: Some(8.0), ..load(260.0, 1.6) };
        (0..5).for_each(|_| learn_capacity(&mut memory, &strain, None));
        let (seen, _) = capacity_of(&mut memory, None, &resources(), false);
        assert!((seen.unwrap() - 50.0 * BELOW_STRAIN).abs() < 1.0, "{seen:?}");
    }
}
