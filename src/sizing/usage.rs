//! What pods were seen to use: a fading histogram of CPU a pod, and OOM kills with the limit they struck at.

use jiff::{SignedDuration, Timestamp};

use crate::domain::memory::{TargetMemory, UsageMemory};
use crate::domain::units::Bytes;

/// Lower bound of the second bucket, cores; the first holds all below.
const FIRST_BUCKET: f64 = 0.01;
/// Each bucket is a tenth wider than the one before: the quantile is known to a tenth.
const GROWTH: f64 = 1.1;
/// Buckets: up to a thousand cores.
const BUCKETS: usize = 122;
/// What fades of a weight in a minute: half in a day, as the Vertical Pod Autoscaler's recommender has it.
const FADE: f32 = 0.999_519;
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
    let wanted = total * q as f32;
    let mut below = 0.0;
    let bucket = usage.cpu.iter().position(|weight| {
        below += weight;
        below >= wanted
    });
    bucket.map(|bucket| FIRST_BUCKET * GROWTH.powi(i32::try_from(bucket).unwrap_or(0)))
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
    fn a_kill_that_is_shown_for_long_counts_once() {
        let mut memory = TargetMemory::default();
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        (0..50).for_each(|minute| learn_oom_kills(&mut memory, at(minute), true, Some(Bytes(100))));
        learn_oom_kills(&mut memory, at(51), true, Some(Bytes(200)));
        learn_oom_kills(&mut memory, at(52), false, Some(Bytes(300)));
        assert_eq!(memory.oom_kills.len(), 2);
    }
}
