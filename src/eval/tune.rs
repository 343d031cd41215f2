//! The HPA that a diligent team could have: of a grid of settings the one that would have done best on the workload's own past.
//!
//! All settings are replayed as a fluid; the best few once more with every single unit, and the best of these is chosen. Left out: nodes and
//! faults of the past.

use std::collections::VecDeque;

use rayon::prelude::*;

use crate::domain::limits::Bounds;
use crate::hpa::{DEFAULT_TOLERANCE_MILLI, HpaSettings, PodMetrics, recommend};
use crate::service::Worth;
use crate::service::replay::{ReplaySight, ReplaySpec, replay, replay_exactly};

/// So many of the best settings are looked at with every single unit.
const FINALISTS: usize = 8;

/// One setting of an HPA on CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HpaSetting {
    /// Average utilisation wanted, percent of the request.
    pub target_percent: u32,
    /// Seconds for which the highest recommendation counts when scaling down.
    pub stabilisation_s: u32,
    /// `minReplicas`.
    pub min: u32,
    /// `maxReplicas`.
    pub max: u32,
}

/// A past to tune on.
#[derive(Clone, Debug)]
pub struct Past<'a> {
    /// The workload and its rates.
    pub replay: ReplaySpec<'a>,
    /// What came in each second of it.
    pub arrivals: &'a [u32],
    /// CPU request of one replica, millicores.
    pub cpu_request_milli: u64,
}

/// Of `grid` the setting with the least objective on `past`; of equal ones the first. `None` when the grid is empty.
#[must_use]
pub fn best_hpa(past: &Past<'_>, grid: &[HpaSetting], worth: &Worth) -> Option<HpaSetting> {
    let by_fluid = |setting: &HpaSetting| worth.objective(&replay(&past.replay, &mut policy(*setting, past.cpu_request_milli)));
    let to_the_unit =
        |setting: &HpaSetting| worth.objective(&replay_exactly(&past.replay, past.arrivals, &mut policy(*setting, past.cpu_request_milli)));
    let finalists: Vec<HpaSetting> = in_order(grid, by_fluid).into_iter().take(FINALISTS).collect();
    in_order(&finalists, to_the_unit).first().copied()
}

/// The best first; of equal ones the one that came first.
fn in_order(settings: &[HpaSetting], objective: impl Fn(&HpaSetting) -> f64 + Sync) -> Vec<HpaSetting> {
    let mut scored: Vec<(f64, HpaSetting)> = settings.par_iter().map(|setting| (objective(setting), *setting)).collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    scored.into_iter().map(|(_, setting)| setting).collect()
}

/// An HPA as a replay asks it: the calculation of `crate::hpa` at each look, and the stabilisation of scale-downs.
fn policy(setting: HpaSetting, cpu_request_milli: u64) -> impl FnMut(&ReplaySight) -> u32 {
    let bounds = Bounds { min: setting.min, max: setting.max };
    let settings = HpaSettings { target_percent: setting.target_percent, tolerance_milli: DEFAULT_TOLERANCE_MILLI, bounds };
    // Recommendations of the window, `(second, replicas)`, each higher than all after it.
    let mut recent: VecDeque<(u32, u32)> = VecDeque::new();
    move |sight| {
        let metrics = PodMetrics {
            usage_milli: (sight.cores * 1000.0).round() as u64,
            request_milli: cpu_request_milli,
            measured: sight.ready,
            unready: sight.starting,
            missing: 0,
        };
        let Some(wanted) = recommend(&metrics, sight.desired, &settings) else { return sight.desired };
        while recent.back().is_some_and(|(_, replicas)| *replicas <= wanted) {
            recent.pop_back();
        }
        recent.push_back((sight.at_s, wanted));
        while recent.front().is_some_and(|(at, _)| at + setting.stabilisation_s < sight.at_s) {
            recent.pop_front();
        }
        // Below the present count the highest recommendation of the window holds, but never more than there are.
        let stabilised = recent.front().map_or(wanted, |(_, highest)| *highest);
        if wanted >= sight.desired { wanted } else { bounds.clamp(stabilised.min(sight.desired)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::web;
    use crate::service::{Arrivals, ServiceSpec};

    fn grid() -> Vec<HpaSetting> {
        let stabilisations = [0, 60, 300];
        let targets = (30..=95).step_by(5);
        targets
            .flat_map(|target_percent| {
                stabilisations.into_iter().flat_map(move |stabilisation_s| {
                    [1, 3, 6].into_iter().map(move |min| HpaSetting { target_percent, stabilisation_s, min, max: 30 })
                })
            })
            .collect()
    }

    /// A day that rises and falls twice between two and ten replicas' load, with a step in it.
    fn rates() -> Vec<f32> {
        let minute = |minute: u32| 300.0 - 200.0 * (f64::from(minute) / 720.0 * std::f64::consts::TAU).cos();
        (0..1440).map(|m| (minute(m) + if (400..420).contains(&m) { 150.0 } else { 0.0 }) as f32).collect()
    }

    fn past<'a>(service: &'a ServiceSpec, rates: &'a [f32], arrivals: &'a [u32]) -> Past<'a> {
        let replay = ReplaySpec {
            service,
            slo_latency_s: 0.25,
            startup_s: 60,
            bounds: Bounds { min: 1, max: 30 },
            rates,
            step_s: 60,
            start_replicas: 4,
        };
        Past { replay, arrivals, cpu_request_milli: 500 }
    }

    #[test]
    fn the_chosen_setting_is_nearly_the_best_of_all_with_every_unit_and_depends_on_the_price() {
        let (service, rates) = (web(), rates());
        let arrivals: Vec<u32> =
            (0..86_400u32).map(|s| Arrivals::new(2).at(i64::from(s), f64::from(rates[(s / 60) as usize])) as u32).collect();
        let past = past(&service, &rates, &arrivals);
        let objective = |setting: &HpaSetting, worth: &Worth| worth.objective(&replay_exactly(&past.replay, &arrivals, &mut policy(*setting, 500)));
        let mut chosen = Vec::new();
        for price in [3.0, 30.0] {
            let worth = Worth { price, capacity: 50.0, startup_s: 60.0 };
            let best = best_hpa(&past, &grid(), &worth).unwrap();
            let least = grid().iter().map(|setting| objective(setting, &worth)).fold(f64::INFINITY, f64::min);
            assert!(objective(&best, &worth) <= 1.005 * least, "{best:?} at {price}: {} and {least}", objective(&best, &worth));
            chosen.push(best);
        }
        assert!(chosen[0].target_percent > chosen[1].target_percent || chosen[0].min < chosen[1].min, "{chosen:?}");
    }

    #[test]
    fn of_equal_settings_the_first_is_chosen_and_of_none_none() {
        let (service, rates) = (web(), vec![0.0; 60]);
        let arrivals = vec![0; 3600];
        let past = past(&service, &rates, &arrivals);
        let worth = Worth { price: 10.0, capacity: 50.0, startup_s: 60.0 };
        let setting = |target_percent| HpaSetting { target_percent, stabilisation_s: 0, min: 2, max: 30 };
        assert_eq!(best_hpa(&past, &[setting(70), setting(60)], &worth), Some(setting(70)));
        assert_eq!(best_hpa(&past, &[], &worth), None);
    }

    #[test]
    fn scale_downs_wait_for_the_window_and_scale_ups_do_not() {
        let sight = |at_s, cores, desired| ReplaySight {
            at_s,
            desired,
            ready: desired,
            starting: 0,
            rate: 0.0,
            utilisation: 0.0,
            cores,
            waiting: 0.0,
        };
        let mut hpa = policy(HpaSetting { target_percent: 50, stabilisation_s: 60, min: 2, max: 9 }, 500);
        assert_eq!(hpa(&sight(0, 2.0, 4)), 8, "100 % of the request, 50 % wanted");
        assert_eq!(hpa(&sight(15, 0.5, 8)), 8);
        assert_eq!(hpa(&sight(60, 0.5, 8)), 8);
        assert_eq!(hpa(&sight(75, 0.5, 8)), 2, "a minute after the high recommendation");
        assert_eq!(hpa(&sight(90, 9.0, 2)), 9, "no more than max");
    }
}
