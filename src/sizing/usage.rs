//! What pods were seen to use: fading histograms of CPU a pod and of each day's highest memory, OOM kills with the limit they struck at, and
//! throttling that lasts.

use jiff::{SignedDuration, Timestamp};

use crate::domain::memory::{TargetMemory, UsageMemory};
use crate::domain::names::TargetKey;
use crate::domain::signal::SignalName;
use crate::domain::snapshot::Snapshot;
use crate::domain::units::Bytes;

/// Lower bound of the second bucket, cores; the first holds all below.
const FIRST_BUCKET: f64 = 0.01;
/// Each bucket is a tenth wider than the one before: the quantile is known to a tenth.
const GROWTH: f64 = 1.1;
/// Buckets: up to a thousand cores.
const BUCKETS: usize = 122;
/// What fades of a weight in a minute: half in a day, as the Vertical Pod Autoscaler's recommender has it.
const FADE: f32 = 0.999_519;
/// Upper bound of the first bucket of memory, bytes: ten megabytes, as the Vertical Pod Autoscaler's recommender has it.
const FIRST_MEMORY: f64 = 1e7;
/// Each bucket of memory is a twentieth wider than the one before.
const MEMORY_GROWTH: f64 = 1.05;
/// Buckets of memory: up to a terabyte.
const MEMORY_BUCKETS: usize = 238;
/// Only the highest memory of so long counts, once: what a pod holds is held for long, and minutes of it are no separate observations. The
/// recommender's `--memory-aggregation-interval`.
const MEMORY_DAY: SignedDuration = SignedDuration::from_hours(24);
/// Days after which a day's highest memory counts for half. The recommender's day would forget a Friday by Tuesday, and a workload has weeks.
const MEMORY_HALF_LIFE_DAYS: f64 = 7.0;
/// Weight without which the days are too few: more than the first alone.
const LEAST_DAYS: f32 = 1.5;
/// How long throttling must last to be evidence.
const THROTTLED_FOR: SignedDuration = SignedDuration::from_mins(15);
/// Minutes of it that must be known.
const THROTTLED_MINUTES: usize = 10;
/// OOM kills kept.
const KILLS_KEPT: usize = 8;
/// Within which a kill that is still shown is the same kill.
const SAME_KILL: SignedDuration = SignedDuration::from_hours(1);

/// Notes what one pod uses this minute, cores.
pub fn learn_cpu(usage: &mut UsageMemory, cores: f64) {
    if !(cores.is_finite() && cores >= 0.0) {
        return;
    }
    usage.cpu.resize(BUCKETS, 0.0);
    usage.cpu.iter_mut().for_each(|weight| *weight *= FADE);
    let bucket = ((cores / FIRST_BUCKET).ln() / GROWTH.ln()).floor().clamp(-1.0, (BUCKETS - 2) as f64) + 1.0;
    usage.cpu[bucket as usize] += 1.0;
    usage.minutes = usage.minutes.saturating_add(1);
}

/// The `q` quantile of CPU a pod, cores: the upper bound of its bucket.
#[must_use]
pub fn cpu_quantile(usage: &UsageMemory, q: f64) -> Option<f64> {
    let total: f32 = usage.cpu.iter().sum();
    if total <= 0.0 {
        return None;
    }
    bucket_at(&usage.cpu, total * q as f32).map(|bucket| FIRST_BUCKET * GROWTH.powi(bucket))
}

/// Notes the memory of the largest pod now, bytes.
pub fn learn_memory(usage: &mut UsageMemory, now: Timestamp, bytes: f64) {
    if !(bytes.is_finite() && bytes > 0.0) {
        return;
    }
    usage.memory.resize(MEMORY_BUCKETS, 0.0);
    match usage.memory_peak {
        Some((began, peak)) if now.duration_since(began) < MEMORY_DAY => {
            if bytes > peak {
                usage.memory[memory_bucket(peak)] -= 1.0;
                usage.memory[memory_bucket(bytes)] += 1.0;
                usage.memory_peak = Some((began, bytes));
            }
        }
        before => {
            let days = before.map_or(0.0, |(began, _)| now.duration_since(began).as_secs_f64() / MEMORY_DAY.as_secs_f64());
            let fade = (-days / MEMORY_HALF_LIFE_DAYS).exp2() as f32;
            usage.memory.iter_mut().for_each(|weight| *weight *= fade);
            usage.memory[memory_bucket(bytes)] += 1.0;
            usage.memory_peak = Some((now, bytes));
        }
    }
}

/// The `q` quantile of a day's highest memory, bytes: the upper bound of its bucket. Absent until more than a day is known.
#[must_use]
pub fn memory_quantile(usage: &UsageMemory, q: f64) -> Option<f64> {
    let total: f32 = usage.memory.iter().sum();
    if total < LEAST_DAYS {
        return None;
    }
    bucket_at(&usage.memory, total * q as f32).map(|bucket| FIRST_MEMORY * MEMORY_GROWTH.powi(bucket))
}

/// The share of CPU periods throttled over the last quarter of an hour; absent where too little of it is known.
#[must_use]
pub fn lasting_throttling(snapshot: &Snapshot, target: &TargetKey) -> Option<f64> {
    let signal = snapshot.signal(target, &SignalName::Throttling)?;
    let known: Vec<f64> =
        signal.history.fine.window(snapshot.at, THROTTLED_FOR).iter().filter(|v| v.is_finite()).map(|v| f64::from(*v)).collect();
    (known.len() >= THROTTLED_MINUTES).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

/// The bucket in which the weights from below reach `wanted`.
fn bucket_at(weights: &[f32], wanted: f32) -> Option<i32> {
    let mut below = 0.0;
    let bucket = weights.iter().position(|weight| {
        below += weight;
        below >= wanted
    });
    bucket.and_then(|bucket| i32::try_from(bucket).ok())
}

fn memory_bucket(bytes: f64) -> usize {
    ((bytes / FIRST_MEMORY).ln() / MEMORY_GROWTH.ln()).ceil().clamp(0.0, (MEMORY_BUCKETS - 1) as f64) as usize
}

/// Notes OOM kills that are shown now: `killed` when a pod's last end was one, or the last hour counts some. A kill is shown for long, so one
/// at the same limit counts again only after an hour.
pub fn learn_oom_kills(memory: &mut TargetMemory, now: Timestamp, killed: bool, limit: Option<Bytes>) {
    if !killed {
        return;
    }
    let limit = limit.unwrap_or_default().0;
    let known = memory.oom_kills.iter().any(|(at, at_limit)| *at_limit == limit && now.duration_since(*at) < SAME_KILL);
    if !known {
        memory.oom_kills.push_back((now, limit));
    }
    let surplus = memory.oom_kills.len().saturating_sub(KILLS_KEPT);
    memory.oom_kills.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_known_to_a_tenth() {
        let mut usage = UsageMemory::default();
        for minute in 0..1000u32 {
            learn_cpu(&mut usage, f64::from(minute % 100) / 100.0);
        }
        let p95 = cpu_quantile(&usage, 0.95).unwrap();
        assert!((0.94..1.06).contains(&p95), "{p95}");
        assert_eq!(cpu_quantile(&UsageMemory::default(), 0.9), None);
    }

    #[test]
    fn nonsense_is_not_noted_and_extremes_fit() {
        let mut usage = UsageMemory::default();
        for cores in [f64::NAN, -1.0, f64::INFINITY] {
            learn_cpu(&mut usage, cores);
        }
        assert_eq!(usage.minutes, 0);
        learn_cpu(&mut usage, 0.0);
        learn_cpu(&mut usage, 1e12);
        assert_eq!(usage.minutes, 2);
    }

    #[test]
    fn memory_counts_once_a_day_by_its_highest_and_fades_over_weeks() {
        const GIB: f64 = 1_073_741_824.0;
        let day = |day: i64, minute: i64| Timestamp::from_second(day * 86_400 + minute * 60).unwrap();
        let mut usage = UsageMemory::default();
        for minute in 0..1439 {
            learn_memory(&mut usage, day(0, minute), if minute == 700 { 4.0 * GIB } else { GIB });
        }
        assert_eq!(memory_quantile(&usage, 0.95), None, "one day is too little");
        assert!((usage.memory.iter().sum::<f32>() - 1.0).abs() < 1e-6, "a day is one observation");
        (1..7).for_each(|d| learn_memory(&mut usage, day(d, 1), GIB));
        let within = |value: f64, expected: f64| (expected..expected * 1.06).contains(&value);
        assert!(within(memory_quantile(&usage, 0.95).unwrap(), 4.0 * GIB), "one high day counts for a week");
        assert!(within(memory_quantile(&usage, 0.5).unwrap(), GIB));
        (7..30).for_each(|d| learn_memory(&mut usage, day(d, 1), GIB));
        assert!(within(memory_quantile(&usage, 0.95).unwrap(), GIB), "and not for ever");
        for nonsense in [f64::NAN, 0.0, -1.0, f64::INFINITY] {
            let before = usage.clone();
            learn_memory(&mut usage, day(40, 0), nonsense);
            assert_eq!(usage, before);
        }
    }

    #[test]
    fn a_kill_that_is_shown_for_long_counts_once() {
        let mut memory = TargetMemory::default();
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        (0..50).for_each(|minute| learn_oom_kills(&mut memory, at(minute), true, Some(Bytes(100))));
        learn_oom_kills(&mut memory, at(51), true, Some(Bytes(200)));
        learn_oom_kills(&mut memory, at(52), false, Some(Bytes(300)));
        assert_eq!(memory.oom_kills.len(), 2);
    }
}
