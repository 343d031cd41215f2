//! The metrics of the simulated cluster as a Prometheus would show them: scraped, a sample a minute, checked, and subject to faults. Histories
//! begin with a past and are only extended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::history;
use super::scenario::{Fault, FaultKind};
use super::shared::Shared;
use super::workload::SIGNALS;
use super::world::{World, time};
use crate::domain::limits::Group;
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::series::{History, Series};
use crate::domain::signal::{SampleFault, Signal, SignalName, Signals};
use crate::domain::snapshot::SourceHealth;
use crate::domain::workload::Workload;
use crate::ports::{Metrics, PortError};

/// A newest sample older than two minutes is stale: samples come by the minute.
const STALE: SignedDuration = SignedDuration::from_mins(2);
/// Minutes of demand kept for the nightly replay: 8 days.
const DEMAND_MINUTES: usize = 8 * 24 * 60;
/// What a signal's source is called in records.
pub(super) const SOURCE: &str = "simulator";

/// [`Metrics`] of the simulated cluster.
#[derive(Debug)]
pub struct SimMetrics {
    pub(super) shared: Arc<Shared>,
    kept: Mutex<BTreeMap<TargetKey, Kept>>,
}

/// What the metrics source holds of one target.
#[derive(Debug)]
struct Kept {
    /// Minutes since the start that have been looked at.
    minutes: usize,
    signals: BTreeMap<SignalName, KeptSignal>,
}

#[derive(Debug)]
struct KeptSignal {
    history: Arc<History>,
    newest: Option<(Timestamp, f32)>,
    /// What was wrong with the newest sample.
    fault: Option<SampleFault>,
}

impl SimMetrics {
    /// Metrics with the past that the scenario's curves give.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        let past = shared.look(history::past);
        let keep = |signals: BTreeMap<SignalName, History>| Kept {
            minutes: 0,
            signals: signals
                .into_iter()
                .map(|(name, history)| (name, KeptSignal { history: Arc::new(history), newest: None, fault: None }))
                .collect(),
        };
        let kept = past.into_iter().map(|(key, signals)| (key, keep(signals))).collect();
        Self { shared, kept: Mutex::new(kept) }
    }
}

#[async_trait]
impl Metrics for SimMetrics {
    async fn signals(
        &self,
        _groups: &BTreeMap<GroupId, Group>,
        workloads: &BTreeMap<TargetKey, Workload>,
        now: Timestamp,
    ) -> (Signals, SourceHealth) {
        self.shared.at(now, |world| {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let mut silent = 0;
            for key in workloads.keys() {
                let (Some(index), Some(kept)) = (world.find(key), kept.get_mut(key)) else { continue };
                if faults(world, key, now).any(|fault| fault.kind == FaultKind::MetricsOutage) {
                    silent += 1;
                } else {
                    kept.extend(world, index, now);
                    kept.read(world, index, now);
                }
            }
            let shown = kept.iter().filter(|(key, _)| workloads.contains_key(*key)).map(|(key, kept)| (key.clone(), kept.show(now)));
            (shown.collect(), health(silent, workloads.len()))
        })
    }

    async fn demand_history(&self, target: &TargetKey, now: Timestamp) -> Result<Series, PortError> {
        let series = self.shared.at(now, |world| {
            let index = world.find(target)?;
            let mut series = history::past_demand(world, index, DEMAND_MINUTES);
            let Some((signal, name)) = SIGNALS.iter().enumerate().find(|(_, name)| **name == SignalName::Demand) else {
                return Some(series);
            };
            for (minute, at) in visible(world, index, now, 0) {
                if let Ok(value) = report(world, target, name, at, world.workloads[index].minutes[minute][signal]) {
                    series.push(at, value);
                }
            }
            series.trim(DEMAND_MINUTES);
            Some(series)
        });
        series.ok_or_else(|| PortError::Failed {
            action: format!("read the demand history of {target}"),
            detail: "the simulated cluster has no such workload".into(),
        })
    }
}

impl Kept {
    /// Takes in the minutes that have become visible.
    fn extend(&mut self, world: &World, index: usize, now: Timestamp) {
        let workload = &world.workloads[index];
        for (minute, at) in visible(world, index, now, self.minutes) {
            self.minutes = minute + 1;
            for (position, name) in SIGNALS.iter().enumerate() {
                let Some(signal) = self.signals.get_mut(name) else { continue };
                match report(world, &workload.spec.key, name, at, workload.minutes[minute][position]) {
                    Ok(value) => {
                        Arc::make_mut(&mut signal.history).push_minute(at, value);
                        signal.fault = None;
                    }
                    Err(fault) => signal.fault = fault,
                }
            }
        }
    }

    /// Takes in what the last scrape shows, unless metrics are late.
    fn read(&mut self, world: &World, index: usize, now: Timestamp) {
        let workload = &world.workloads[index];
        let late = late_s(world, &workload.spec.key, now) > 0;
        let Some((scraped, values)) = workload.reading(now.as_second()).filter(|_| !late) else { return };
        let at = time(scraped);
        for (position, name) in SIGNALS.iter().enumerate() {
            let Some(signal) = self.signals.get_mut(name).filter(|signal| signal.history.fine.end().is_none_or(|end| end < at)) else {
                continue;
            };
            match report(world, &workload.spec.key, name, at, values[position]) {
                Ok(value) => signal.newest = Some((at, value)),
                Err(fault) => signal.fault = fault.or(signal.fault),
            }
        }
    }

    fn show(&self, now: Timestamp) -> BTreeMap<SignalName, Signal> {
        let show = |signal: &KeptSignal| {
            let stale = signal.history.fine.latest().is_none_or(|(at, _)| now.duration_since(at) > STALE);
            let faults = signal.fault.into_iter().chain(stale.then_some(SampleFault::Stale)).collect();
            Signal { history: signal.history.clone(), newest: signal.newest, source: SOURCE.into(), faults }
        };
        self.signals.iter().map(|(name, signal)| (name.clone(), show(signal))).collect()
    }
}

/// Minutes of a workload from `from` on that can be seen by `now`, with their time.
pub(super) fn visible(world: &World, index: usize, now: Timestamp, from: usize) -> impl Iterator<Item = (usize, Timestamp)> + use<> {
    let workload = &world.workloads[index];
    let seen_by = now.as_second() - late_s(world, &workload.spec.key, now);
    let first = world.start - world.start.rem_euclid(60) + 60;
    let minutes = workload.minutes.len();
    (from..minutes)
        .map(move |minute| (minute, first + 60 * minute.cast_signed() as i64))
        .filter(move |(_, at)| *at <= seen_by)
        .map(|(minute, at)| (minute, time(at)))
}

/// What the exporter reported at a minute, checked; `Err(None)` where there is no sample and nothing wrong with that.
pub(super) fn report(world: &World, target: &TargetKey, name: &SignalName, at: Timestamp, truth: f32) -> Result<f32, Option<SampleFault>> {
    let mut value = truth;
    for fault in faults(world, target, at) {
        match &fault.kind {
            FaultKind::MetricsOutage => return Err(None),
            FaultKind::MetricsLie { signals, factor } if signals.contains(name) => value = (f64::from(value) * factor) as f32,
            FaultKind::MetricsNaN { signals } if signals.contains(name) => return Err(Some(SampleFault::NotANumber)),
            _ => {}
        }
    }
    match value {
        gap if gap.is_nan() => Err(None),
        infinite if infinite.is_infinite() => Err(Some(SampleFault::Infinite)),
        negative if negative < 0.0 => Err(Some(SampleFault::Negative)),
        fine => Ok(fine),
    }
}

/// By how many seconds metrics of a target are late.
pub(super) fn late_s(world: &World, target: &TargetKey, now: Timestamp) -> i64 {
    faults(world, target, now).filter_map(|fault| fault.kind.delay_s()).map(i64::from).max().unwrap_or(0)
}

fn faults<'a>(world: &'a World, target: &'a TargetKey, at: Timestamp) -> impl Iterator<Item = &'a Fault> {
    world.faults.iter().filter(move |fault| fault.strikes(target, at))
}

fn health(silent: usize, asked: usize) -> SourceHealth {
    match silent {
        0 => SourceHealth::Ok,
        some if some < asked => SourceHealth::Degraded("SomeTargetsSilent".into()),
        _ => SourceHealth::Down("Unreachable".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::demand::Demand;
    use super::super::scenario::{FaultTarget, Scenario};
    use super::super::testing::{NOON, at, catalogue, scenario, web};
    use super::super::{demo_scenario, scenario::WorkloadSpec};
    use super::*;
    use crate::domain::series::{COARSE_SAMPLES, FINE_SAMPLES, MIDDLE_SAMPLES, mean};

    const MINUTE: i64 = 60;

    fn metrics(scenario: Scenario) -> SimMetrics {
        SimMetrics::new(Arc::new(Shared::new(World::new(scenario, catalogue(), 1).unwrap())))
    }

    /// `shop/web` with a fault from minute 5 to 10 after noon.
    fn faulty(kind: FaultKind) -> SimMetrics {
        let fault =
            Fault { from: at(NOON + 5 * MINUTE), until: at(NOON + 10 * MINUTE), target: Some(FaultTarget::Workload(web().key)), kind };
        metrics(Scenario { faults: vec![fault], ..scenario(vec![web()]) })
    }

    async fn ask(metrics: &SimMetrics, minute: i64) -> (BTreeMap<SignalName, Signal>, SourceHealth) {
        let now = at(NOON + minute * MINUTE);
        let workloads = metrics.shared.at(now, |world| world.facts(Vec::new()).workloads);
        let (mut signals, health) = metrics.signals(&BTreeMap::new(), &workloads, now).await;
        (signals.remove(&web().key).unwrap(), health)
    }

    fn minutes(signal: &Signal, last: usize) -> Vec<f32> {
        let values = &signal.history.fine.values;
        values[values.len() - last..].to_vec()
    }

    #[tokio::test]
    async fn a_signal_begins_with_a_full_past_and_goes_on_by_the_minute() {
        let metrics = metrics(scenario(vec![web()]));
        let (signals, health) = ask(&metrics, 0).await;
        assert_eq!(health, SourceHealth::Ok);
        assert_eq!(signals.keys().cloned().collect::<Vec<_>>(), {
            let mut all = SIGNALS.to_vec();
            all.sort();
            all
        });
        for (name, signal) in &signals {
            let history = &signal.history;
            assert_eq!((history.fine.values.len(), history.middle.values.len()), (FINE_SAMPLES, MIDDLE_SAMPLES), "{name}");
            assert_eq!(history.coarse.as_ref().map(|c| c.values.len()), name.keeps_coarse().then_some(COARSE_SAMPLES));
            if *name == SignalName::Ready {
                assert_eq!((signal.latest(), &*signal.faults), (None, &[SampleFault::Stale][..]), "nobody counted them before the start");
                continue;
            }
            assert_eq!((signal.latest().unwrap().0, &*signal.faults), (at(NOON), &[][..]), "{name}");
        }
        let (later, _) = ask(&metrics, 30).await;
        let demand = &later[&SignalName::Demand];
        assert_eq!(demand.latest().unwrap().0, at(NOON + 30 * MINUTE));
        assert!((f64::from(mean(&minutes(demand, 30))) - 40.0).abs() < 1.0, "the present goes on where the past ended");
        assert!((f64::from(mean(&minutes(&signals[&SignalName::Demand], 30))) - 40.0).abs() < 1.0);
        let latency = |s: &BTreeMap<SignalName, Signal>| s[&SignalName::Latency].latest().unwrap().1;
        assert!((latency(&later) - latency(&signals)).abs() < 0.002, "unloaded latency is the same in past and present");
    }

    #[tokio::test]
    async fn a_lie_changes_what_is_reported_and_nothing_else() {
        let metrics = faulty(FaultKind::MetricsLie { signals: vec![SignalName::Demand], factor: 0.0 });
        let (during, health) = ask(&metrics, 9).await;
        assert_eq!((minutes(&during[&SignalName::Demand], 5), health), (vec![0.0; 5], SourceHealth::Ok));
        assert!(during[&SignalName::Demand].faults.is_empty(), "a lie does not look like one");
        assert!(minutes(&during[&SignalName::Cpu], 5).iter().all(|cpu| *cpu > 0.5));
        let (after, _) = ask(&metrics, 10).await;
        assert!(after[&SignalName::Demand].latest().unwrap().1 > 30.0);
    }

    #[tokio::test]
    async fn fault_m01_an_outage_is_told_and_leaves_a_gap_that_is_not_zero() {
        let metrics = faulty(FaultKind::MetricsOutage);
        ask(&metrics, 4).await;
        let (during, health) = ask(&metrics, 9).await;
        let demand = &during[&SignalName::Demand];
        assert_eq!(health, SourceHealth::Down("Unreachable".into()));
        assert_eq!((demand.latest().unwrap().0, &*demand.faults), (at(NOON + 4 * MINUTE), &[SampleFault::Stale][..]));
        let (after, health) = ask(&metrics, 12).await;
        let gaps: Vec<bool> = minutes(&after[&SignalName::Demand], 9).iter().map(|v| v.is_nan()).collect();
        assert_eq!(gaps, [false, true, true, true, true, true, false, false, false]);
        assert_eq!(health, SourceHealth::Ok);
    }

    #[tokio::test]
    async fn fault_m03_late_samples_are_stale_and_are_not_lost() {
        let metrics = faulty(FaultKind::MetricsDelay { by_s: 240 });
        let (during, _) = ask(&metrics, 9).await;
        let demand = &during[&SignalName::Demand];
        assert_eq!((demand.latest().unwrap().0, &*demand.faults), (at(NOON + 5 * MINUTE), &[SampleFault::Stale][..]));
        let (after, _) = ask(&metrics, 10).await;
        assert!(minutes(&after[&SignalName::Demand], 10).iter().all(|v| v.is_finite()));
    }

    #[tokio::test]
    async fn fault_m02_not_a_number_is_refused_and_named() {
        let metrics = faulty(FaultKind::MetricsNaN { signals: vec![SignalName::Latency] });
        let (during, _) = ask(&metrics, 6).await;
        assert_eq!(during[&SignalName::Latency].faults, [SampleFault::NotANumber]);
        assert_eq!(during[&SignalName::Latency].latest().unwrap().0, at(NOON + 4 * MINUTE));
        assert!(during[&SignalName::Demand].faults.is_empty());
        let (after, _) = ask(&metrics, 10).await;
        assert!(after[&SignalName::Latency].faults.is_empty());
    }

    #[tokio::test]
    async fn where_nothing_is_served_there_is_no_latency_and_nothing_wrong() {
        let idle = WorkloadSpec { demand: Demand::default(), ..web() };
        let (signals, _) = ask(&metrics(scenario(vec![idle])), 5).await;
        assert_eq!(signals[&SignalName::Latency].latest(), None);
        assert_eq!(signals[&SignalName::Demand].latest().unwrap().1, 0.0);
    }

    #[tokio::test]
    async fn demand_of_eight_days_ends_now() {
        let metrics = metrics(demo_scenario());
        let start = metrics.shared.look(World::now);
        let now = start + SignedDuration::from_mins(10);
        let series = metrics.demand_history(&TargetKey::deployment("shop", "frontend"), now).await.unwrap();
        assert_eq!((series.values.len(), series.end()), (DEMAND_MINUTES, Some(now)));
        assert!(metrics.demand_history(&TargetKey::deployment("shop", "nobody"), now).await.is_err());
    }
}
