//! One simulated workload: its traffic, what its exporter counts, and what a scrape and a minute make of it. Its pods are in `pods`.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::autoscaler::Recommendations;
use super::events::EventLog;
use super::pods::SimPod;
use super::scenario::WorkloadSpec;
use super::world::{SCRAPE_S, seed_of};
use crate::domain::signal::SignalName;
use crate::domain::snapshot::EventReason;
use crate::domain::units::Millicores;
use crate::domain::workload::{ContainerResources, FieldWriter};
use crate::service::{LatencyHistogram, WorkQueue, poisson};

/// Seconds after which the rate from outside is asked for again.
const RATE_S: i64 = 10;
/// Scrapes that a minute's rates look back over.
const SCRAPES: usize = (60 / SCRAPE_S) as usize;
/// Share by which the memory of pods differs.
const MEMORY_SPREAD: f64 = 0.02;

/// What metrics there are of a workload, in the order of a [`Minute`].
pub(super) const SIGNALS: [SignalName; 9] = [
    SignalName::Demand,
    SignalName::Cpu,
    SignalName::Throttling,
    SignalName::Memory,
    SignalName::Latency,
    SignalName::Errors,
    SignalName::Queue,
    SignalName::Restarts,
    SignalName::OomKills,
];

/// The values of one minute, in the order of [`SIGNALS`]; `NaN` where there is none.
pub(super) type Minute = [f32; SIGNALS.len()];

/// One simulated workload.
#[derive(Debug)]
pub(super) struct SimWorkload {
    pub(super) spec: WorkloadSpec,
    pub(super) seed: u64,
    pub(super) uid: Arc<str>,
    pub(super) generation: i64,
    pub(super) resource_version: u64,
    pub(super) desired: u32,
    pub(super) resources: ContainerResources,
    /// Counts up with each change of the pod template.
    pub(super) revision: u32,
    pub(super) pods: Vec<SimPod>,
    pub(super) pods_made: u64,
    pub(super) writers: Vec<FieldWriter>,
    pub(super) recommendations: Recommendations,
    /// Targets are not all scraped in the same second.
    pub(super) scrape_offset_s: i64,
    /// Units/s that callers bring in this second.
    pub(super) calls_rate: f64,
    /// Units served in the last second.
    pub(super) served_last: u64,
    /// Ready pods, and what they serve together, units/s.
    ready: u32,
    capacity: f64,
    outside_rate: f64,
    rng: ChaCha8Rng,
    queue: WorkQueue,
    counters: Counters,
    /// The newest last.
    scrapes: VecDeque<Counters>,
    /// One for each full minute since the start.
    pub(super) minutes: Vec<Minute>,
    /// Restarts of the last hour: when, and whether by an OOM kill.
    restarts: VecDeque<(i64, bool)>,
}

/// What an exporter counts, and the gauges it shows.
#[derive(Clone, Debug, Default)]
struct Counters {
    at: i64,
    arrived: u64,
    served: u64,
    lost: u64,
    waiting: u64,
    cpu_s: f64,
    throttled_s: f64,
    memory_max: f64,
    latency: LatencyHistogram,
}

impl SimWorkload {
    pub(super) fn new(spec: WorkloadSpec, seed: u64, start: i64, utc_offset_s: i64) -> Self {
        let seed = seed_of(seed, &spec.key.to_string());
        let counters = Counters { at: start, ..Counters::default() };
        let mut workload = Self {
            seed,
            uid: format!("{seed:016x}").into(),
            generation: 1,
            resource_version: 1,
            desired: spec.replicas,
            resources: spec.resources,
            revision: 1,
            pods: Vec::new(),
            pods_made: 0,
            writers: vec![spec.writer.clone()],
            recommendations: Recommendations::default(),
            scrape_offset_s: (seed % SCRAPE_S.cast_unsigned()).cast_signed(),
            calls_rate: 0.0,
            served_last: 0,
            ready: 0,
            capacity: 0.0,
            outside_rate: spec.demand.rate(start, utc_offset_s, seed),
            rng: ChaCha8Rng::seed_from_u64(seed),
            queue: WorkQueue::default(),
            scrapes: VecDeque::from([counters.clone()]),
            counters,
            minutes: Vec::new(),
            restarts: VecDeque::new(),
            spec,
        };
        workload.pods = workload.first_pods(start);
        workload
    }

    /// One second of traffic.
    pub(super) fn serve(&mut self, now: i64, utc_offset_s: i64) {
        if now % RATE_S == 0 {
            self.outside_rate = self.spec.demand.rate(now, utc_offset_s, self.seed);
        }
        let service = &self.spec.service;
        let arrivals = poisson(&mut self.rng, self.outside_rate + self.calls_rate);
        let counters = &mut self.counters;
        let second = self.queue.step(service, now.cast_unsigned(), arrivals, self.ready, self.capacity, |part| {
            counters.latency.record(part, service.base_latency_s);
        });
        counters.arrived += second.arrived;
        counters.served += second.served;
        counters.lost += second.lost;
        counters.cpu_s += service.cpu(second.served as f64, self.ready);
        if self.queue.waiting() > 0 {
            let unthrottled = service.capacity * f64::from(self.ready);
            counters.throttled_s += if unthrottled > 0.0 { 1.0 - self.capacity / unthrottled } else { 0.0 };
        }
        self.served_last = second.served;
    }

    /// The scraper comes by: gauges are read, and pods beyond their memory limit are killed. Says whether any was.
    pub(super) fn scrape(&mut self, now: i64, events: &mut EventLog) -> bool {
        self.counters.at = now;
        self.counters.waiting = self.queue.waiting();
        let mut killed = false;
        let mut memory_max = 0.0f64;
        let held = self.spec.service.held(self.served_last as f64, self.queue.waiting(), self.ready);
        for pod in self.pods.iter_mut().filter(|pod| pod.is_ready()) {
            let spread = 1.0 + MEMORY_SPREAD * (pod.number % 5) as f64 / 4.0;
            let used = self.spec.service.memory(held, (now - pod.container_started) as f64) * spread;
            if pod.resources.memory_limit.is_some_and(|limit| used > limit.0 as f64) {
                pod.kill_for_memory(now, i64::from(self.spec.startup_s));
                self.restarts.push_back((now, true));
                events.note(now, &self.spec.key, "Pod", EventReason::OOMKilling);
                killed = true;
            }
            memory_max = memory_max.max(used);
        }
        self.counters.memory_max = memory_max;
        self.scrapes.push_back(self.counters.clone());
        if self.scrapes.len() > SCRAPES + 1 {
            self.scrapes.pop_front();
        }
        killed
    }

    /// A minute is over: its values, from the scrapes there are.
    pub(super) fn close_minute(&mut self, now: i64) {
        while self.restarts.front().is_some_and(|(at, _)| *at + 3600 <= now) {
            self.restarts.pop_front();
        }
        let minute = self.minute(now);
        self.minutes.push(minute.unwrap_or([f32::NAN; SIGNALS.len()]));
    }

    /// Cores used, over the scrapes of the last minute.
    pub(super) fn cpu(&self) -> Option<f64> {
        let (first, last) = (self.scrapes.front()?, self.scrapes.back()?);
        (last.at > first.at).then(|| (last.cpu_s - first.cpu_s) / (last.at - first.at) as f64)
    }

    fn minute(&self, now: i64) -> Option<Minute> {
        let (first, last) = (self.scrapes.front()?, self.scrapes.back()?);
        let seconds = (last.at - first.at) as f64;
        if seconds <= 0.0 {
            return None;
        }
        let (served, gave_up) = ((last.served - first.served) as f64, (last.lost - first.lost) as f64);
        let restarts =
            |oom: bool, within: i64| self.restarts.iter().filter(|(at, by_oom)| *at + within > now && (*by_oom || !oom)).count() as f64;
        let values = [
            (last.arrived - first.arrived) as f64 / seconds,
            (last.cpu_s - first.cpu_s) / seconds,
            (last.throttled_s - first.throttled_s) / seconds,
            if last.memory_max > 0.0 { last.memory_max } else { f64::NAN },
            last.latency.quantile_since(&first.latency, 0.95).unwrap_or(f64::NAN),
            if served + gave_up > 0.0 { gave_up / (served + gave_up) } else { f64::NAN },
            last.waiting as f64,
            restarts(false, 300),
            restarts(true, 3600),
        ];
        Some(values.map(|value| value as f32))
    }

    /// Ready pods and their capacity, summed up after a change; when the next pod changes by itself.
    pub(super) fn sum_up(&mut self) -> Option<i64> {
        let service = &self.spec.service;
        let ready = || self.pods.iter().filter(|pod| pod.is_ready());
        self.ready = ready().count() as u32;
        self.capacity = ready().map(|pod| service.capacity_within(pod.resources.cpu_limit.map(Millicores::cores))).sum();
        self.pods.iter().filter_map(|pod| pod.due).min()
    }

    /// Ready pods.
    pub(super) fn ready(&self) -> u32 {
        self.ready
    }

    /// What came and what became of it.
    #[cfg(test)]
    pub(super) fn queue(&self) -> &WorkQueue {
        &self.queue
    }
}
