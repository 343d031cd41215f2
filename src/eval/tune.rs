//! The HPA that a diligent team could have: the best of a grid of settings on a workload's own past, or on the scored part itself.
//!
//! Settings are compared by the replay of `service`, which is fast; what the chosen one comes to is for the simulator to say.

use rayon::prelude::*;

use super::baseline::tuning_grid;
use crate::hpa::{Hpa, HpaSpec, PodMetrics};
use crate::service::replay::{ReplaySight, ReplaySpec, replay};
use crate::service::{Tally, Worth};

/// Each setting of the grid with what the past would have come to under it.
pub type Tried = Vec<(HpaSpec, Tally)>;

/// Tries the whole grid. `request_milli` is a pod's CPU request, millicores; `static_peak` what the highest demand needs.
#[must_use]
pub fn try_grid(past: &ReplaySpec<'_>, request_milli: u64, static_peak: u32) -> Tried {
    let grid = tuning_grid(static_peak, past.bounds);
    grid.into_par_iter()
        .map(|spec| {
            let tally = replay(past, &mut policy(spec.clone(), request_milli));
            (spec, tally)
        })
        .collect()
}

/// The setting that is worth most.
#[must_use]
pub fn best<'a>(tried: &'a Tried, worth: &Worth) -> Option<&'a HpaSpec> {
    tried.iter().min_by(|a, b| worth.objective(&a.1).total_cmp(&worth.objective(&b.1))).map(|(spec, _)| spec)
}

/// An HPA as the policy of a replay.
fn policy(spec: HpaSpec, request_milli: u64) -> impl FnMut(&ReplaySight) -> u32 {
    let mut hpa = Hpa::new(spec);
    move |sight| {
        let metrics = PodMetrics {
            usage_milli: (sight.cores * 1000.0).round().max(0.0) as u64,
            request_milli,
            measured: sight.ready,
            unready: sight.starting,
            missing: 0,
        };
        hpa.sync_counts(&metrics, sight.desired, f64::from(sight.at_s)).desired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::Bounds;
    use crate::service::tests::web;

    #[test]
    fn a_dearer_minute_makes_a_team_more_careful() {
        let service = web();
        let rates: Vec<f32> = (0..2 * 1440).map(|m| 300.0 - 200.0 * ((m % 240) as f32 / 240.0 * std::f32::consts::TAU).cos()).collect();
        let past = ReplaySpec {
            service: &service,
            slo_latency_s: 0.25,
            startup_s: 120,
            bounds: Bounds { min: 1, max: 40 },
            rates: &rates,
            step_s: 60,
            start_replicas: 4,
        };
        let tried = try_grid(&past, 500, 14);
        assert!(tried.len() > 300, "{}", tried.len());
        let bad = |price: f64| {
            let worth = Worth { price, capacity: 50.0, startup_s: 120.0 };
            let spec = best(&tried, &worth).unwrap();
            tried.iter().find(|(tried, _)| tried == spec).unwrap().1.bad
        };
        assert!(bad(30.0) <= bad(3.0), "{} {}", bad(30.0), bad(3.0));
    }
}
