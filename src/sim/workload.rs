//! One simulated workload: its traffic, what its exporter counts, and what a scrape and a minute make of it. Its pods are in `pods`.

use std::collections::VecDeque;
use std::sync::Arc;

use super::autoscaler::Recommendations;
use super::count::Count;
use super::events::EventLog;
use super::pods::SimPod;
use super::scenario::WorkloadSpec;
use super::world::{SCRAPE_S, seed_of};
use crate::domain::names::TargetKey;
use crate::domain::signal::SignalName;
use crate::domain::snapshot::EventReason;
use crate::domain::units::{MicroUsd, Millicores};
use crate::domain::workload::{ContainerResources, FieldWriter};
use crate::service::{
    Arrivals, Condition, LatencyHistogram, Observe, Passed, Retries, ServiceSpec, SplitMix, StartUp, Tally, WorkQueue, mix,
};

/// Scrapes that a minute's rates look back over.
const SCRAPES: usize = (60 / SCRAPE_S) as usize;
/// Share by which the memory of pods differs.
const MEMORY_SPREAD: f64 = 0.02;
/// Keeps the draws of those who try again apart from those of everybody else.
const RETRY_SALT: u64 = 0x5EED_0F7E;

/// What metrics there are of a workload, in the order of a [`Minute`].
pub(super) const SIGNALS: [SignalName; 10] = [
    SignalName::Demand,
    SignalName::Cpu,
    SignalName::Throttling,
    SignalName::Memory,
    SignalName::Latency,
    SignalName::Errors,
    SignalName::Queue,
    SignalName::Restarts,
    SignalName::OomKills,
    SignalName::Ready,
];

/// The values of one minute, in the order of [`SIGNALS`]; `NaN` where there is none.
pub(super) type Minute = [f32; SIGNALS.len()];

/// Who comes to a workload from outside under the seed of a simulation: what [`super::World`] draws, second by second.
#[must_use]
pub fn arrivals(seed: u64, key: &TargetKey) -> Arrivals {
    Arrivals::new(seed_of(seed, &key.to_string()))
}

/// The quickest start, in whole seconds, of the first `pods` pods of a workload under a seed, and of so many restarts of each: no replica of a run
/// that launches fewer is ready sooner.
#[must_use]
pub fn quickest_start(seed: u64, key: &TargetKey, startup: &StartUp, pods: u64) -> u32 {
    let seed = seed_of(seed, &key.to_string());
    let starts = (1..=pods).flat_map(|pod| (0..RESTARTS).map(move |restart| startup.draw(&mut SplitMix::of(seed ^ pod, restart))));
    starts.fold(f64::INFINITY, f64::min).round().clamp(0.0, f64::from(u32::MAX)) as u32
}

/// Restarts of one pod that are looked at.
const RESTARTS: u64 = 4;

/// One simulated workload.
#[derive(Debug)]
pub(super) struct SimWorkload {
    pub(super) spec: WorkloadSpec,
    pub(super) seed: u64,
    pub(super) uid: Arc<str>,
    pub(super) generation: i64,
    pub(super) resource_version: u64,
    pub(super) desired: u32,
    /// The pod template's.
    pub(super) resources: ContainerResources,
    /// What running pods are given in place, where it is not the template's, and since when it is not.
    pub(super) resized: Option<(ContainerResources, i64)>,
    /// Counts up with each change of the pod template.
    pub(super) revision: u32,
    /// Share of the declared capacity that a pod of the present template serves.
    pub(super) speed: f64,
    pub(super) pods: Vec<SimPod>,
    pub(super) pods_made: u64,
    /// What the pods cost together.
    pub(super) pods_per_hour: MicroUsd,
    pub(super) writers: Vec<FieldWriter>,
    pub(super) recommendations: Recommendations,
    /// Targets are not all scraped in the same second.
    pub(super) scrape_offset_s: i64,
    /// Units/s that callers bring in this second.
    pub(super) calls_rate: f64,
    /// Units served in the last second.
    pub(super) served_last: u64,
    /// The service as its ready pods behave now, on average.
    pub(super) service: ServiceSpec,
    pub(super) count: Count,
    /// Ready pods, and what they serve together, units/s.
    ready: u32,
    capacity: f64,
    /// Share of their capacity that CPU limits take.
    throttled: f64,
    outside: Arrivals,
    outside_rate: f64,
    /// From then on it may be another.
    outside_until: i64,
    calls: Arrivals,
    retries: Option<Retries>,
    queue: WorkQueue,
    counters: Counters,
    /// The newest last.
    scrapes: VecDeque<Counters>,
    /// What the metrics API shows, the newest last; as many as the longest delay of metrics asks for.
    pub(super) samples: VecDeque<Sample>,
    samples_kept: usize,
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
    /// Seconds that pods were ready, over all of them.
    ready_s: u64,
    memory_max: f64,
    latency: LatencyHistogram,
}

/// What one scrape lets the metrics API show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// The window of its rates.
    pub(super) from: i64,
    pub(super) at: i64,
    /// Cores that a pod used which was ready all the time; nothing when none was ready at any.
    pub(super) cpu: Option<f64>,
    /// Units/s over the last minute, as demand is observed.
    pub(super) demand: f64,
    /// Units that wait.
    pub(super) waiting: u64,
}

impl SimWorkload {
    /// A workload as it stands at `start`; metrics may be late by `late_s` seconds at most.
    pub(super) fn new(spec: WorkloadSpec, seed: u64, start: i64, late_s: u32) -> Self {
        let outside = arrivals(seed, &spec.key);
        let seed = seed_of(seed, &spec.key.to_string());
        let counters = Counters { at: start, ..Counters::default() };
        let mut workload = Self {
            seed,
            uid: format!("{seed:016x}").into(),
            generation: 1,
            resource_version: 1,
            desired: spec.replicas,
            resources: spec.resources,
            resized: None,
            revision: 1,
            speed: 1.0,
            pods: Vec::new(),
            pods_made: 0,
            pods_per_hour: MicroUsd::default(),
            writers: vec![spec.writer.clone()],
            recommendations: Recommendations::default(),
            scrape_offset_s: (seed % SCRAPE_S.cast_unsigned()).cast_signed(),
            calls_rate: 0.0,
            served_last: 0,
            service: spec.service.clone(),
            count: Count::default(),
            ready: 0,
            capacity: 0.0,
            throttled: 0.0,
            outside,
            outside_rate: 0.0,
            outside_until: start,
            calls: Arrivals::new(mix(seed)),
            retries: Retries::new(spec.service.retry, spec.service.timeout_s),
            queue: WorkQueue::default(),
            scrapes: VecDeque::from([counters.clone()]),
            counters,
            samples: VecDeque::new(),
            samples_kept: 1 + (i64::from(late_s) / SCRAPE_S + 1) as usize,
            minutes: Vec::new(),
            restarts: VecDeque::new(),
            spec,
        };
        workload.pods = workload.first_pods(start);
        workload
    }

    /// The second of traffic that ends now.
    pub(super) fn serve(&mut self, now: i64, utc_offset_s: i64) {
        let began = now - 1;
        let second = began.cast_unsigned();
        if began >= self.outside_until {
            self.outside_rate = self.spec.demand.rate(began, utc_offset_s, self.seed);
            self.outside_until = self.spec.demand.holds_until(began);
        }
        let mut arrivals = self.outside.at(began, self.outside_rate);
        if self.calls_rate > 0.0 {
            arrivals += self.calls.at(began, self.calls_rate);
        }
        if let Some(retries) = &mut self.retries {
            arrivals = retries.arrive(second, arrivals);
        }
        let (service, counters, retries) = (&self.service, &mut self.counters, &mut self.retries);
        let in_time_s = service.wait_within(self.spec.slo_latency_s);
        let mut late = 0;
        let mut chance = SplitMix::of(self.seed ^ RETRY_SALT, second);
        let passed = self.queue.pass(service, second, arrivals, self.ready, self.capacity, |passed| match passed {
            Passed::Served(part) => {
                counters.latency.record(part, service.base_latency_s);
                late += part.late(in_time_s);
            }
            Passed::Lost(lost) => {
                if let Some(retries) = retries {
                    retries.give_up(lost, &mut chance);
                }
            }
        });
        counters.arrived += passed.arrived;
        counters.served += passed.served;
        counters.lost += passed.lost;
        counters.ready_s += u64::from(self.ready);
        counters.cpu_s += service.cpu(passed.served as f64, self.ready);
        if self.queue.waiting() > 0 {
            counters.throttled_s += self.throttled;
        }
        self.count.second(self.pods.len(), self.pods_per_hour, passed.lost + late, passed.served + passed.lost);
        self.served_last = passed.served;
    }

    /// The scraper comes by: gauges are read, and pods beyond their memory limit are killed. Says whether any was.
    pub(super) fn scrape(&mut self, now: i64, events: &mut EventLog) -> bool {
        self.counters.at = now;
        self.counters.waiting = self.queue.waiting();
        let mut killed = false;
        let mut memory_max = 0.0f64;
        let held = self.service.held(self.served_last as f64, self.queue.waiting(), self.ready);
        for pod in self.pods.iter_mut().filter(|pod| pod.node.is_some()) {
            let spread = 1.0 + MEMORY_SPREAD * (pod.number % 5) as f64 / 4.0;
            let held = if pod.is_ready() { held } else { 0.0 };
            let used = self.service.memory(held, (now - pod.container_started) as f64) * spread;
            pod.memory = Some(used);
            if !pod.is_ready() {
                continue;
            }
            if pod.resources.memory_limit.is_some_and(|limit| used > limit.0 as f64) {
                pod.crash(now, &self.spec.startup, self.seed);
                pod.oom_killed = true;
                self.count.crashed(true);
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
        self.sample();
        killed
    }

    /// What the metrics API makes of the newest scrape and the one before.
    fn sample(&mut self) {
        let (Some(first), Some(last), Some(before)) =
            (self.scrapes.front(), self.scrapes.back(), self.scrapes.len().checked_sub(2).and_then(|index| self.scrapes.get(index)))
        else {
            return;
        };
        let ready_s = last.ready_s - before.ready_s;
        let sample = Sample {
            from: before.at,
            at: last.at,
            cpu: (ready_s > 0).then(|| (last.cpu_s - before.cpu_s) / ready_s as f64),
            demand: self.observed(first, last),
            waiting: last.waiting,
        };
        self.samples.push_back(sample);
        if self.samples.len() > self.samples_kept {
            self.samples.pop_front();
        }
    }

    /// Demand between two scrapes, units/s, as metrics count it.
    fn observed(&self, first: &Counters, last: &Counters) -> f64 {
        let units = match self.spec.observe {
            Observe::Offered => last.arrived - first.arrived,
            Observe::Served => last.served - first.served,
        };
        units as f64 / (last.at - first.at).max(1) as f64
    }

    /// Containers crash at once and start anew.
    pub(super) fn crash(&mut self, now: i64, pods: &[u64], events: &mut EventLog) {
        for pod in self.pods.iter_mut().filter(|pod| pods.contains(&pod.number)) {
            pod.crash(now, &self.spec.startup, self.seed);
            self.count.crashed(false);
            self.restarts.push_back((now, false));
            events.note(now, &self.spec.key, "Pod", EventReason::BackOff);
        }
    }

    /// Another template, whose pods serve `speed` of the declared capacity.
    pub(super) fn roll_out(&mut self, speed: f64) {
        self.speed = speed;
        self.revision += 1;
        self.generation += 1;
        self.resource_version += 1;
    }

    /// A minute is over: its values, from the scrapes there are.
    pub(super) fn close_minute(&mut self, now: i64) {
        while self.restarts.front().is_some_and(|(at, _)| *at + 3600 <= now) {
            self.restarts.pop_front();
        }
        let minute = self.minute(now);
        self.minutes.push(minute.unwrap_or([f32::NAN; SIGNALS.len()]));
        self.count.close_minute();
    }

    /// Cores used, over the scrapes of the last minute.
    pub(super) fn cpu(&self) -> Option<f64> {
        let (first, last) = (self.scrapes.front()?, self.scrapes.back()?);
        (last.at > first.at).then(|| (last.cpu_s - first.cpu_s) / (last.at - first.at) as f64)
    }

    /// What the scrapes of the last minute make of it, and when the last of them was.
    pub(super) fn reading(&self, now: i64) -> Option<(i64, Minute)> {
        Some((self.scrapes.back()?.at, self.minute(now)?))
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
            self.observed(first, last),
            (last.cpu_s - first.cpu_s) / seconds,
            (last.throttled_s - first.throttled_s) / seconds,
            if last.memory_max > 0.0 { last.memory_max } else { f64::NAN },
            last.latency.quantile_since(&first.latency, 0.95).unwrap_or(f64::NAN),
            if served + gave_up > 0.0 { gave_up / (served + gave_up) } else { f64::NAN },
            last.waiting as f64,
            restarts(false, 300),
            restarts(true, 3600),
            (last.ready_s - first.ready_s) as f64 / seconds,
        ];
        Some(values.map(|value| value as f32))
    }

    /// Ready pods and what they do together under a condition, summed up after a change; `speed_of` knows how fast a node is. Gives when the next
    /// pod changes by itself.
    pub(super) fn sum_up(&mut self, condition: &Condition, speed_of: impl Fn(u64) -> f64) -> Option<i64> {
        let declared = &self.spec.service;
        let (mut ready, mut capacity, mut unthrottled, mut cores) = (0, 0.0, 0.0, 0.0);
        for pod in self.pods.iter().filter(|pod| pod.is_ready()) {
            let speed = pod.speed * pod.node.map_or(1.0, &speed_of);
            // Who is slower has the same CPU to spend, and gets less done for it.
            let cpu = if speed > 0.0 { condition.cpu / speed } else { condition.cpu };
            let service = declared.under(&Condition { capacity: condition.capacity * speed, cpu, ..*condition });
            let within = service.capacity_within(pod.resources.cpu_limit.map(Millicores::cores));
            ready += 1;
            capacity += within;
            unthrottled += service.capacity;
            cores += within * service.cpu_per_unit;
        }
        self.ready = ready;
        self.capacity = capacity * declared.beside(ready);
        self.throttled = if unthrottled > 0.0 { 1.0 - capacity / unthrottled } else { 0.0 };
        self.service = declared.under(condition);
        if capacity > 0.0 {
            self.service.cpu_per_unit = cores / capacity;
        }
        self.pods.iter().filter_map(|pod| pod.due).min()
    }

    /// Ready pods.
    pub(super) fn ready(&self) -> u32 {
        self.ready
    }

    /// What came of it so far.
    pub(super) fn tally(&self, now: i64) -> Tally {
        let overdue = self.queue.overdue(now.cast_unsigned(), self.service.wait_within(self.spec.slo_latency_s));
        self.count.tally(self.queue.totals(), overdue)
    }

    /// What came and what became of it.
    #[cfg(test)]
    pub(super) fn queue(&self) -> &WorkQueue {
        &self.queue
    }
}
