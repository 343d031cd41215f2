//! study: once a day each workload's own past is replayed, and the settings that would have cost least are kept. Beside the tick, never before it
//! acts: a few workloads a tick, the one longest without first. One takes a fraction of a second of all cores.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Ticker;
use crate::domain::limits::Bounds;
use crate::domain::memory::Tuning;
use crate::domain::names::TargetKey;
use crate::domain::series::Series;
use crate::domain::signal::SignalName;
use crate::domain::snapshot::Snapshot;
use crate::forecast::load_signal;
use crate::service::ServiceSpec;
use crate::sizing::{Past, lead, observed_service, study};

/// Workloads that a tick studies, at least.
const A_TICK: usize = 2;
/// Ticks within which all are studied.
const ALL_WITHIN_TICKS: usize = 360;
/// A choice is made anew after so long.
const ANEW_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// What could not be studied is tried again after so long.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(30);

/// One workload that is due.
struct Due {
    target: TargetKey,
    service: ServiceSpec,
    slo: crate::domain::limits::Slo,
    startup_s: u32,
    bounds: Bounds,
    hours: Option<Series>,
}

impl Ticker {
    /// Studies those that are due.
    pub(super) async fn study(&mut self, snapshot: &Snapshot) {
        for due in self.due(snapshot) {
            self.studied.insert(due.target.clone(), snapshot.at);
            let history = self.ports.metrics.demand_history(&due.target, snapshot.at).await;
            let Ok(minutes) = self.noted("study", history) else { continue };
            let target = due.target.clone();
            let at = snapshot.at;
            let studied = tokio::task::spawn_blocking(move || replayed(&due, &minutes, at)).await;
            let Ok(Some(tuning)) = studied else { continue };
            let planner = Arc::make_mut(&mut self.memory.planner);
            if let Some(memory) = planner.targets.get_mut(&target) {
                memory.peak_watch = crate::domain::memory::PeakWatch { width: tuning.width, ..Default::default() };
                memory.tuning = Some(Arc::new(tuning));
            }
        }
    }

    fn due(&self, snapshot: &Snapshot) -> Vec<Due> {
        let mut due: Vec<(Option<Timestamp>, Due)> = Vec::new();
        for group in snapshot.facts.groups.values() {
            for named in &group.targets {
                let Some(memory) = self.memory.planner.targets.get(&named.key) else { continue };
                let made = memory.tuning.as_ref().map(|tuning| tuning.made);
                let fresh = made.is_some_and(|at| snapshot.at.duration_since(at) < ANEW_AFTER);
                let tried = self.studied.get(&named.key).is_some_and(|at| snapshot.at.duration_since(*at) < AGAIN_AFTER);
                let load = load_signal(snapshot, group, &named.key);
                let (Some((SignalName::Demand, signal)), Some(capacity), false, false) =
                    (load, named.capacity_per_replica.or(memory.capacity.units_per_replica), fresh, tried)
                else {
                    continue;
                };
                let latency = snapshot.signals.get(&named.key).and_then(|signals| signals.get(&SignalName::Latency));
                let slo = group.slo.unwrap_or_default();
                let limits = snapshot.target_limits(&named.key);
                let platform = limits.map_or(named.bounds, |limits| limits.bounds);
                let max = named.bounds.max.min(platform.max).max(1);
                let min = named.bounds.min.max(platform.min).clamp(1, max);
                let startup_s = lead(memory, &self.memory.planner.provisioning_s, false, 0.0).startup_s.clamp(1.0, 3600.0);
                due.push((
                    made,
                    Due {
                        target: named.key.clone(),
                        service: observed_service(&slo, capacity, latency),
                        slo,
                        startup_s: startup_s.round() as u32,
                        bounds: Bounds { min, max },
                        hours: signal.history.coarse.clone(),
                    },
                ));
            }
        }
        due.sort_by(|a, b| (a.0, &a.1.target).cmp(&(b.0, &b.1.target)));
        let share = snapshot.facts.workloads.len().div_ceil(ALL_WITHIN_TICKS);
        due.into_iter().take(A_TICK.max(share)).map(|(_, due)| due).collect()
    }
}

fn replayed(due: &Due, minutes: &Series, at: Timestamp) -> Option<Tuning> {
    let past =
        Past { minutes, hours: due.hours.as_ref(), service: &due.service, slo: due.slo, startup_s: due.startup_s, bounds: due.bounds };
    study(&past, at)
}
