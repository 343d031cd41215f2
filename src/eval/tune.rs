//! The HPA that a diligent team could have: the best of a grid of settings on a workload's own past, or on the scored part itself.
//!
//! Settings are compared by the replay of `service`, which is fast, and the best of them once more with every single unit; what the chosen one
//! comes to is for the simulator to say.

use rayon::prelude::*;

use super::baseline::tuning_grid;
use crate::hpa::{Hpa, HpaSpec, PodMetrics};
use crate::service::replay::{ReplaySight, ReplaySpec, replay, replay_exactly};
use crate::service::{Tally, Worth};

/// So many of the best settings are looked at with every single unit.
const FINALISTS: usize = 8;

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

/// The setting that is worth most when the best few of those tried meet these very `arrivals`, a count for each second of the past.
#[must_use]
pub fn best_to_the_unit(past: &ReplaySpec<'_>, arrivals: &[u32], request_milli: u64, tried: &Tried, worth: &Worth) -> Option<HpaSpec> {
    let mut order: Vec<(f64, &HpaSpec)> = tried.iter().map(|(spec, tally)| (worth.objective(tally), spec)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    order.truncate(FINALISTS);
    let exact: Vec<(f64, &HpaSpec)> = order
        .into_par_iter()
        .map(|(_, spec)| (worth.objective(&replay_exactly(past, arrivals, &mut policy(spec.clone(), request_milli))), spec))
        .collect();
    exact.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, spec)| spec.clone())
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
    use crate::service::Arrivals;
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

    #[test]
    fn what_the_fluid_takes_for_best_is_judged_again_with_every_unit() {
        let service = web();
        let rates: Vec<f32> = (0..240).map(|m| 220.0 - 150.0 * ((m % 120) as f32 / 120.0 * std::f32::consts::TAU).cos()).collect();
        let past = ReplaySpec {
            service: &service,
            slo_latency_s: 0.25,
            startup_s: 60,
            bounds: Bounds { min: 1, max: 20 },
            rates: &rates,
            step_s: 60,
            start_replicas: 3,
        };
        let arrivals: Vec<u32> =
            (0..14_400u32).map(|s| Arrivals::new(2).at(i64::from(s), f64::from(rates[(s / 60) as usize])) as u32).collect();
        let tried = try_grid(&past, 500, 9);
        let worth = Worth { price: 10.0, capacity: 50.0, startup_s: 60.0 };
        let objective = |spec: &HpaSpec| worth.objective(&replay_exactly(&past, &arrivals, &mut policy(spec.clone(), 500)));
        let chosen = objective(&best_to_the_unit(&past, &arrivals, 500, &tried, &worth).unwrap());
        assert!(chosen <= objective(best(&tried, &worth).unwrap()));
        let least = tried.iter().map(|(spec, _)| objective(spec)).fold(f64::INFINITY, f64::min);
        assert!(chosen <= 1.01 * least, "{chosen}, where the best of all comes to {least}");
        assert_eq!(best_to_the_unit(&past, &arrivals, 500, &Vec::new(), &worth), None);
    }
}
