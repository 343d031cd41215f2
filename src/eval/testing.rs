//! Made-up incidents and a made-up world for the tests of scoring: minute by minute, without queue or start-up, but nobody beats the oracle in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::{SignedDuration, Timestamp};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::cell::{CellResult, ForecastScore, RunError, Runner, WorkloadResult};
use super::incident::{DemandSamples, Expect, Incident, IncidentWorkload, Observe, StartUp};
use super::policy::Policy;
use super::timeline::Timeline;
use crate::domain::limits::{Bounds, Criticality, TimeZoneName};
use crate::domain::names::{GroupId, TickId};
use crate::domain::record::{Asked, Closed, DialogueSummary, TickRecord, TickVerdict, Usage};
use crate::domain::units::MicroUsd;
use crate::domain::workload::ContainerResources;
use crate::service::{ServiceSpec, Tally, poisson, tests::web};

const CAPACITY: f64 = 50.0;
const MINUTES: usize = 1440;

/// Sees demand two minutes late unless it is an oracle.
#[derive(Debug, Default)]
pub(crate) struct MadeUp {
    /// Cells that were run.
    pub(crate) ran: AtomicU32,
    /// A policy that cannot run.
    pub(crate) unfit: Option<Policy>,
    /// A policy whose run fails.
    pub(crate) fails: Option<Policy>,
    /// Share of its capacity that the floor leaves free.
    pub(crate) spare: Option<f64>,
}

/// A day after a fortnight of past.
pub(crate) fn incident(name: &str, tag: &str, startup_s: u32) -> Incident {
    let workload = IncidentWorkload {
        name: "web".into(),
        replicas: 8,
        bounds: Bounds { min: 2, max: 90 },
        resources: ContainerResources::default(),
        startup: StartUp { p50_s: f64::from(startup_s), p95_s: f64::from(startup_s) },
        service: ServiceSpec { capacity: CAPACITY, ..web() },
        demand: Some(DemandSamples { samples: vec![(0, 400.0)], observe: Observe::Offered, smooth: false }),
        startup_cpu: None,
        slo_latency_s: 0.25,
        criticality: Criticality::High,
        depends_on: Vec::new(),
    };
    Incident {
        directory: PathBuf::new(),
        name: name.into(),
        title: format!("A made-up day of {name}"),
        source: "made up".into(),
        license: "Apache-2.0".into(),
        tags: vec![tag.to_owned()],
        start: Timestamp::UNIX_EPOCH,
        time_zone: TimeZoneName::utc(),
        history_s: 14 * 86_400,
        duration_s: 86_400,
        workloads: vec![workload],
        pools: Vec::new(),
        faults: Vec::new(),
        events: Vec::new(),
        groups: Vec::new(),
        guardrails: Vec::new(),
        fleets: Vec::new(),
        expect: Expect::default(),
    }
}

/// A seasonal day.
pub(crate) fn seasonal(name: &str, startup_s: u32) -> Incident {
    incident(name, "seasonal", startup_s)
}

/// Several days of two kinds and three start-ups.
pub(crate) fn suite() -> Vec<Incident> {
    let mut all = Vec::new();
    for day in 1..=3 {
        for startup in [30, 180, 420] {
            all.push(incident(&format!("shop-day-{day}-start-{startup}s"), "seasonal", startup));
            all.push(incident(&format!("feed-day-{day}-start-{startup}s"), "spiky", startup));
        }
    }
    all
}

/// The rate of a minute: a daily season, and for what is not seasonal two surges at times that depend on the name.
fn rate(incident: &Incident, minute: usize) -> f64 {
    let turn = std::f64::consts::TAU * minute as f64 / MINUTES as f64;
    let place = incident.name.bytes().map(usize::from).sum::<usize>() * 37 % 1000;
    let surge = |at: usize, height: f64| if (at..at + 35).contains(&minute) { height } else { 0.0 };
    let surges = if incident.tags.iter().any(|t| t == "seasonal") { 0.0 } else { surge(place, 500.0) + surge(place + 300, 900.0) };
    400.0 * (1.0 - 0.6 * turn.cos()) + surges
}

impl Runner for MadeUp {
    fn run(&self, incident: &Incident, policy: Policy, seed: u64, price: u32) -> Result<CellResult, RunError> {
        self.ran.fetch_add(1, Ordering::Relaxed);
        if self.unfit == Some(policy) {
            return Err(RunError::Unfit(format!("{policy} needs more past than {} has", incident.name)));
        }
        if self.fails == Some(policy) {
            return Err(RunError::Failed("the made-up world broke".into()));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let arrivals: Vec<u64> = (0..MINUTES).map(|minute| poisson(&mut rng, 60.0 * rate(incident, minute))).collect();
        let late = if incident.workloads[0].startup.p50_s > 100.0 { 5 } else { 2 };
        let rate_before = |minute: usize, late: usize| rate(incident, minute.saturating_sub(late));
        let most = (0..MINUTES).map(|minute| rate(incident, minute)).fold(0.0, f64::max);
        let cost =
            |replicas: f64, units: f64| 60.0 * replicas + f64::from(price) / CAPACITY * (units - 60.0 * CAPACITY * replicas).max(0.0);
        let cheapest = |units: f64| {
            let enough = (units / (60.0 * CAPACITY)).ceil();
            if cost(enough - 1.0, units) < cost(enough, units) { enough - 1.0 } else { enough }
        };
        let replicas = |minute: usize| match policy {
            Policy::Hold => 8.0,
            Policy::StaticPeak => (most / CAPACITY).ceil() + 1.0,
            Policy::Hpa | Policy::Vpa => (rate_before(minute, late) / CAPACITY / 0.7).ceil(),
            Policy::Keda => (rate_before(minute, late) / CAPACITY / 0.75).ceil(),
            Policy::HpaTuned => (rate_before(minute, late) / CAPACITY / 0.8).ceil(),
            Policy::HpaHindsight => (rate_before(minute, late) / CAPACITY / 0.82).ceil(),
            Policy::Ipa | Policy::IpaModel => (rate_before(minute, 1) / CAPACITY * (1.0 + self.spare.unwrap_or(0.1))).ceil(),
            Policy::Oracle => cheapest(arrivals[minute] as f64),
            Policy::OracleRate => cheapest(60.0 * rate_before(minute, 0) * 1.01),
        };
        let mut tally = Tally::default();
        let mut timeline = Timeline { step_s: 60, ..Timeline::default() };
        for (minute, units) in arrivals.iter().enumerate() {
            let replicas = replicas(minute);
            let bad = (*units as f64 - 60.0 * CAPACITY * replicas).max(0.0);
            tally.arrived += units;
            tally.bad += bad as u64;
            tally.bad_minutes += u32::from(bad > 0.5 * *units as f64);
            tally.replica_seconds += 60.0 * replicas;
            timeline.demand.push((*units as f64 / 60.0) as f32);
            timeline.ready.push(replicas as f32);
            timeline.capacity.push((CAPACITY * replicas) as f32);
            timeline.bad.push((bad / *units as f64) as f32);
        }
        tally.served = tally.arrived - tally.bad;
        tally.lost = tally.bad;
        tally.longest_bad_s = 60 * tally.bad_minutes;
        tally.pod_cost = MicroUsd((tally.replica_seconds / 3600.0 * 24_000.0) as i64);
        let forecast = policy.is_ours().then(|| {
            let lean = (incident.name.len() % 7) as f64 / 100.0;
            ForecastScore {
                points: 1000,
                pinball50: 9.0,
                pinball90: 4.0,
                skill: 0.1 + 2.0 * lean,
                coverage50: 0.5 - lean,
                coverage90: 0.93 - lean,
                coverage95: 0.96 - lean / 2.0,
            }
        });
        let workload = WorkloadResult {
            name: Arc::clone(&incident.workloads[0].name),
            tally,
            offered: arrivals.iter().sum(),
            replica_price_per_hour: MicroUsd(24_000),
            objective: None,
            timeline,
        };
        Ok(CellResult {
            workloads: vec![workload],
            node_cost: MicroUsd(tally.pod_cost.0 * 5 / 4),
            node_seconds: tally.replica_seconds / 6.0,
            forecast,
            wall_s: 0.25,
            ..CellResult::default()
        })
    }
}

/// The record of a tick that did nothing, `second` seconds after the scored part began.
pub(crate) fn record(incident: &Incident, second: u32) -> TickRecord {
    let closed = Closed {
        verdict: TickVerdict::Held,
        reason: "NothingToDo".into(),
        plan: BTreeMap::new(),
        proposals: Vec::new(),
        findings: Vec::new(),
        dialogue: DialogueSummary { asked: Asked::NotWorthIt, end: None, transcript: None, usage: Usage::default() },
    };
    TickRecord {
        cluster: "eval".into(),
        group: GroupId::new("incident", "incident"),
        tick: TickId(u64::from(second / 60) + 1),
        at: incident.scored_from() + SignedDuration::from_secs(i64::from(second)),
        entries: Vec::new(),
        opened: None,
        actions: Vec::new(),
        closed: Some(closed),
        closed_seq: None,
    }
}
