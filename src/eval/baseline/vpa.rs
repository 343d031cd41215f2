//! The Vertical Pod Autoscaler's recommender: what requests it would set. It changes resources, never replicas, so that as a policy it holds them.
//!
//! CPU samples of all pods go into one decaying histogram, each pod's peak memory of a day into another; a recommendation is a quantile with a
//! margin. Left out: updater and admission (requests are held fixed where replicas are scored), checkpoints, several containers.

mod histogram;

use std::collections::BTreeMap;

use super::Baseline;
use crate::domain::units::Bytes;
use crate::sim::{PodSight, Sight};
use histogram::{DecayingHistogram, Scale};

/// `--recommender-interval`, seconds.
const EVERY_S: u32 = 60;
/// `--target-cpu-percentile` and its kin: lower bound, target, upper bound.
const QUANTILES: [f64; 3] = [0.5, 0.9, 0.95];
/// `--recommendation-margin-fraction`, added.
const MARGIN: f64 = 1.15;
/// `--pod-recommendation-min-cpu-millicores`.
const LEAST_CPU_MILLI: f64 = 25.0;
/// `--pod-recommendation-min-memory-mb`.
const LEAST_MEMORY_BYTES: f64 = (250 * Bytes::MIB) as f64;
/// `--memory-aggregation-interval`: one peak a pod counts for it, seconds.
const PEAK_INTERVAL_S: i64 = 86_400;
/// `--oom-bump-up-ratio`.
const OOM_RATIO: f64 = 1.2;
/// `--oom-min-bump-up-bytes`.
const OOM_LEAST_BYTES: u64 = 100 * Bytes::MIB;
/// Samples a day at one a minute, the unit of confidence.
const SAMPLES_A_DAY: f64 = 1440.0;
/// From 1 millicore to 1000 cores.
const CPU_SCALE: Scale = Scale { first: 0.001, largest: 1000.0 };
/// From 10 MB to 1 TB.
const MEMORY_SCALE: Scale = Scale { first: 1e7, largest: 1e12 };

/// The recommender of one workload.
#[derive(Clone, Debug)]
pub struct Vpa {
    cpu: DecayingHistogram,
    memory: DecayingHistogram,
    peaks: BTreeMap<PodKey, Peak>,
    first_s: Option<i64>,
    last_s: i64,
    samples: u64,
}

/// What it would set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VpaRecommendation {
    /// Requests below this would be raised: millicores, bytes.
    pub lower: (u64, u64),
    /// What pods would get.
    pub target: (u64, u64),
    /// Requests above this would be lowered.
    pub upper: (u64, u64),
}

/// A sight names no pods: one is told by when it started, and by its place among those that started in the same second.
type PodKey = (i64, usize);

/// The highest working set of a pod in its current interval.
#[derive(Clone, Copy, Debug)]
struct Peak {
    ends_s: i64,
    bytes: u64,
    /// Without what an OOM kill added: a second kill does not build on the first one's guess.
    used_bytes: u64,
}

impl Default for Vpa {
    fn default() -> Self {
        Self {
            cpu: DecayingHistogram::new(CPU_SCALE),
            memory: DecayingHistogram::new(MEMORY_SCALE),
            peaks: BTreeMap::new(),
            first_s: None,
            last_s: 0,
            samples: 0,
        }
    }
}

impl Vpa {
    /// Takes in what the pods use.
    pub fn observe(&mut self, sight: &Sight) {
        for (key, pod) in keyed(&sight.pods) {
            if let Some(cpu_milli) = pod.cpu_milli {
                self.cpu.add(cpu_milli as f64 / 1000.0, sight.at_s);
                self.first_s.get_or_insert(sight.at_s);
                self.last_s = sight.at_s;
                self.samples += 1;
            }
            if let Some(bytes) = pod.memory_bytes {
                self.add_memory(key, bytes, bytes, sight.at_s);
            }
        }
        // What an interval brought has been counted; nothing of it can still be replaced.
        self.peaks.retain(|_, peak| peak.ends_s > sight.at_s);
    }

    /// Takes in that the pod which started at `started_s` was killed for memory, with this request in force. It would have needed more than it had.
    pub fn observe_oom_kill(&mut self, at_s: i64, started_s: i64, request_bytes: u64) {
        let key = (started_s, 0);
        let used = self.peaks.get(&key).map_or(0, |peak| peak.used_bytes);
        let had = request_bytes.max(used);
        let needed = had.saturating_add(OOM_LEAST_BYTES).max((had as f64 * OOM_RATIO) as u64);
        self.add_memory(key, needed, used, at_s);
    }

    /// CPU (millicores) and memory (bytes) that pods would get; the least a pod may have before the first sample.
    #[must_use]
    pub fn recommend(&self) -> (u64, u64) {
        self.bounds().target
    }

    /// The recommendation with the bounds inside which requests would be left alone. They are wide while little is known.
    #[must_use]
    pub fn bounds(&self) -> VpaRecommendation {
        let days = (self.last_s - self.first_s.unwrap_or(self.last_s)) as f64 / 86_400.0;
        let confidence = days.min(self.samples as f64 / SAMPLES_A_DAY);
        let [lower, target, upper] = QUANTILES;
        VpaRecommendation {
            lower: self.at(lower, (1.0 + 0.001 / confidence).powi(-2)),
            target: self.at(target, 1.0),
            upper: self.at(upper, 1.0 + 1.0 / confidence),
        }
    }

    fn at(&self, quantile: f64, factor: f64) -> (u64, u64) {
        let cpu = self.cpu.quantile(quantile) * 1000.0 * MARGIN * factor;
        let memory = self.memory.quantile(quantile) * MARGIN * factor;
        // Without any sample the factor may be infinite and the quantile nothing: `max` takes the number of the two.
        (cpu.max(LEAST_CPU_MILLI).ceil() as u64, memory.max(LEAST_MEMORY_BYTES).ceil() as u64)
    }

    fn add_memory(&mut self, key: PodKey, bytes: u64, used_bytes: u64, at_s: i64) {
        let peak = self.peaks.get(&key).copied().filter(|peak| at_s < peak.ends_s);
        let ends_s = peak.map_or(at_s + PEAK_INTERVAL_S, |peak| peak.ends_s);
        match peak {
            Some(old) if bytes <= old.bytes => return,
            // A peak of the same interval is replaced, so that each interval counts once.
            Some(old) => self.memory.remove(old.bytes as f64, ends_s),
            None => {}
        }
        self.memory.add(bytes as f64, ends_s);
        self.peaks.insert(key, Peak { ends_s, bytes, used_bytes });
    }
}

impl Baseline for Vpa {
    fn every_s(&self) -> u32 {
        EVERY_S
    }

    fn decide(&mut self, sight: &Sight) -> Option<u32> {
        self.observe(sight);
        None
    }
}

/// Pods that have started, with their keys.
fn keyed(pods: &[PodSight]) -> impl Iterator<Item = (PodKey, &PodSight)> {
    let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
    pods.iter().filter_map(move |pod| {
        let started_s = pod.started_s?;
        let place = seen.entry(started_s).or_default();
        *place += 1;
        Some(((started_s, *place - 1), pod))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = 86_400;

    fn sight(at_s: i64, cpu_milli: u64, memory_mib: u64) -> Sight {
        let pod = PodSight {
            started_s: Some(0),
            ready_since_s: Some(0),
            cpu_milli: Some(cpu_milli),
            memory_bytes: Some(memory_mib * Bytes::MIB),
        };
        Sight { at_s, desired: 2, pods: vec![pod, pod], ..Sight::default() }
    }

    /// A look each minute for so many days.
    fn watched(days: i64, use_at: impl Fn(i64) -> (u64, u64)) -> Vpa {
        let mut vpa = Vpa::default();
        for minute in 0..days * 1440 {
            let (cpu, memory) = use_at(minute);
            assert_eq!(vpa.decide(&sight(minute * 60, cpu, memory)), None, "it never changes replicas");
        }
        vpa
    }

    fn within(value: u64, wanted: f64) -> bool {
        // A histogram's bucket is five percent wide, and its end is given.
        (wanted..wanted * 1.06).contains(&(value as f64))
    }

    #[test]
    fn the_target_is_the_ninetieth_percentile_with_a_margin() {
        // Four minutes in five at 200 m, one at 1000 m; memory always at 600 Mi with a peak of 800 Mi once a day.
        let vpa = watched(3, |minute| (if minute % 5 == 0 { 1000 } else { 200 }, if minute % 1440 == 700 { 800 } else { 600 }));
        let bounds = vpa.bounds();
        assert!(within(bounds.target.0, 1150.0), "{bounds:?}");
        assert!(within(bounds.lower.0, 229.0), "{bounds:?}");
        assert!(within(bounds.target.1, 800.0 * 1.15 * Bytes::MIB as f64), "{bounds:?}");
        assert_eq!(vpa.recommend(), bounds.target);
    }

    #[test]
    fn the_bounds_close_in_as_days_go_by() {
        let upper = |days| watched(days, |_| (200, 600)).bounds().upper.0 as f64;
        assert!(upper(1) / upper(7) > 1.7, "twice after one day, an eighth more after a week");
        let little = watched(1, |_| (200, 600));
        assert!(little.bounds().lower.0 <= little.bounds().target.0 && little.bounds().target.0 < little.bounds().upper.0);
    }

    #[test]
    fn what_was_used_long_ago_is_forgotten() {
        let vpa = watched(10, |minute| (if minute < 5 * 1440 { 2000 } else { 100 }, 300));
        assert!(within(vpa.recommend().0, 115.0), "five half-lives: three percent of the weight is left; {:?}", vpa.recommend());
    }

    #[test]
    fn an_oom_kill_raises_memory_above_what_the_pod_had_and_a_second_one_does_not_build_on_the_first() {
        let mut vpa = watched(1, |_| (200, 300));
        vpa.observe_oom_kill(DAY_S, 0, 512 * Bytes::MIB);
        let raised = vpa.recommend().1;
        assert!(within(raised, 614.4 * 1.15 * Bytes::MIB as f64), "a fifth more than it had: {}", raised / Bytes::MIB);
        vpa.observe_oom_kill(DAY_S + 60, 0, 512 * Bytes::MIB);
        assert_eq!(vpa.recommend().1, raised);
    }

    #[test]
    fn without_a_sample_it_says_the_least_a_pod_may_have() {
        assert_eq!(Vpa::default().recommend(), (25, 250 * Bytes::MIB));
        let bounds = Vpa::default().bounds();
        assert_eq!(bounds.lower, bounds.target);
    }
}
