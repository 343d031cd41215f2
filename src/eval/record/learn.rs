//! What a workload's signals teach of the service behind them. (pure)
//!
//! Capacity and CPU per unit are learned as the planner learns them; the latency without a wait is what the quickest minutes showed; memory is a
//! line over what a replica holds at work, where it follows that at all.

use std::collections::BTreeMap;

use super::ledger::Kept;
use super::seen::Seen;
use super::subject::Target;
use crate::domain::memory::CapacityMemory;
use crate::domain::series::quantile;
use crate::domain::signal::SignalName;
use crate::domain::units::Bytes;
use crate::domain::workload::ContainerResources;
use crate::sizing::{Load, capacity_of, learn_capacity};

/// Of all minutes so few are quicker than one in which nobody waits.
const QUICKEST: f64 = 0.05;
/// Minutes below which a line through them says nothing.
const FEWEST: usize = 20;
/// Share of memory's variance that load must explain to be its reason.
const EXPLAINED: f64 = 0.5;

/// What was learned; absent where nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lessons {
    /// Units/s of one replica.
    pub(super) capacity: Option<f64>,
    /// Core-seconds of one unit.
    pub(super) cpu_per_unit: Option<f64>,
    /// Latency of a unit that waits for nothing, seconds.
    pub(super) base_latency_s: Option<f64>,
    /// Memory of one replica.
    pub(super) memory: Option<Memory>,
}

/// What a replica's memory is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Memory {
    /// Without any load.
    pub(super) base: Bytes,
    /// For each unit it holds; absent where load was not seen to change it.
    pub(super) per_unit: Option<Bytes>,
}

/// Learns from all minutes that were seen.
pub(super) fn lessons(target: &Target<'_>, resources: &ContainerResources, promised_s: f64, seen: &Seen, kept: &Kept) -> Lessons {
    let minutes = |signal| seen.minutes(&signal, target.key);
    let (demand, cpu, latency) = (minutes(SignalName::Demand), minutes(SignalName::Cpu), minutes(SignalName::Latency));
    let (errors, throttling) = (minutes(SignalName::Errors), minutes(SignalName::Throttling));
    let count = |at: i64| jiff::Timestamp::from_second(at).ok().and_then(|at| kept.count_in(target.key, at));
    let mut memory = CapacityMemory::default();
    for (at, used) in &cpu {
        let count = count(*at);
        let load = Load {
            demand: demand.get(at).copied(),
            cpu: Some(*used),
            latency_ratio: latency.get(at).map(|latency| latency / promised_s),
            errors: errors.get(at).copied(),
            throttling: throttling.get(at).copied(),
            ready: count.map_or(0.0, |count| f64::from(count.ready)),
            settled: count.is_none_or(|count| count.settled),
        };
        learn_capacity(&mut memory, &load, None);
    }
    let latencies: Vec<f32> = latency.values().map(|seconds| *seconds as f32).collect();
    let base_latency_s = quantile(&latencies, QUICKEST).map(f64::from);
    let ready = |at: i64| count(at).map(|count| count.ready).filter(|ready| *ready > 0);
    Lessons {
        capacity: capacity_of(&mut memory, None, resources, false).0,
        cpu_per_unit: memory.cpu_per_unit,
        base_latency_s,
        memory: usage(&minutes(SignalName::Memory), |at| Some(demand.get(&at)? * base_latency_s? / f64::from(ready(at)?))),
    }
}

/// Memory as a line over `held`, the units that a replica holds at work, by least squares.
fn usage(memory: &BTreeMap<i64, f64>, held: impl Fn(i64) -> Option<f64>) -> Option<Memory> {
    let all: Vec<f32> = memory.values().map(|bytes| *bytes as f32).collect();
    let median = Bytes(f64::from(quantile(&all, 0.5)?) as u64);
    let points: Vec<(f64, f64)> = memory.iter().filter_map(|(at, bytes)| Some((held(*at)?, *bytes))).collect();
    let flat = Memory { base: median, per_unit: None };
    if points.len() < FEWEST {
        return Some(flat);
    }
    let count = points.len() as f64;
    let (mean_held, mean_bytes) = (points.iter().map(|p| p.0).sum::<f64>() / count, points.iter().map(|p| p.1).sum::<f64>() / count);
    let sum = |term: fn(f64, f64) -> f64| points.iter().map(|(held, bytes)| term(held - mean_held, bytes - mean_bytes)).sum::<f64>();
    let (held_squared, product, bytes_squared) = (sum(|h, _| h * h), sum(|h, b| h * b), sum(|_, b| b * b));
    let slope = product / held_squared;
    let base = mean_bytes - slope * mean_held;
    let explained = product * product / (held_squared * bytes_squared);
    // Where load or memory never moved there is no line, and what comes of the division fails these comparisons.
    if slope > 0.0 && base > 0.0 && explained >= EXPLAINED {
        Some(Memory { base: Bytes(base as u64), per_unit: Some(Bytes(slope as u64)) })
    } else {
        Some(flat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(base: f64, slope: f64, noise: f64) -> Option<Memory> {
        let held = |at: i64| at as f64 / 60.0;
        let bytes = |at: i64| base + slope * held(at) + if at % 120 == 0 { noise } else { -noise };
        usage(&(0..40).map(|minute| (minute * 60, bytes(minute * 60))).collect(), |at| Some(held(at)))
    }

    #[test]
    fn memory_is_a_line_over_what_is_held_where_it_follows_that() {
        let Memory { base, per_unit } = line(2e8, 1e6, 1e4).unwrap();
        assert!((base.0 as f64 / 2e8 - 1.0).abs() < 0.01, "{base:?}");
        assert!((per_unit.unwrap().0 as f64 / 1e6 - 1.0).abs() < 0.01, "{per_unit:?}");
    }

    #[test]
    fn memory_that_moves_for_other_reasons_is_its_median() {
        assert_eq!(line(2e8, 0.0, 1e7).unwrap().per_unit, None);
        assert_eq!(line(2e8, -1e6, 0.0).unwrap().per_unit, None);
        assert_eq!(line(2e8, 0.0, 0.0), Some(Memory { base: Bytes(200_000_000), per_unit: None }));
        assert_eq!(usage(&BTreeMap::new(), |_| None), None);
        assert_eq!(usage(&BTreeMap::from([(0, 5.0)]), |_| Some(1.0)), Some(Memory { base: Bytes(5), per_unit: None }));
    }
}
