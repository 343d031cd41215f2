//! How the workload behaves: offered requests meet the capacity of the Ready pods, and what they cannot do waits.
//!
//! One queue before all replicas. Below capacity a request waits as in front of a server of constant speed
//! (u / 2(1 - u) service times); above it the backlog grows, and what would wait longer than the time-out is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ContainerStatus;

/// Upper bounds of the latency histogram in seconds: ingress-nginx's own, which are `client_golang`'s.
pub const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// CPU periods of the kernel's scheduler in a second (`cpu.cfs_period_us` is 100 ms).
const PERIODS_PER_SECOND: f64 = 10.0;

/// Where throttling begins: bursts within a period meet the limit before the average does.
const THROTTLED_FROM: f64 = 0.7;

/// The formula of waiting has a pole at 1; beyond this the backlog tells the rest.
const BUSIEST: f64 = 0.98;

/// What one replica can do and what it costs.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Requests a second that one Ready replica can serve.
    pub capacity: f64,
    /// Latency of a request that waits for nothing.
    pub base_latency: Duration,
    /// What waits longer is lost and answered with 504.
    pub timeout: Duration,
    /// Cores that a replica uses at capacity; its CPU follows its share of that.
    pub cpu_at_capacity: f64,
    /// Bytes that an idle replica holds.
    pub memory_base: f64,
    /// Bytes more for each request a second that it serves.
    pub memory_per_request: f64,
}

/// Counters of the whole workload, as its ingress sees it.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Requests by HTTP status.
    pub requests: BTreeMap<&'static str, f64>,
    /// Answered requests by bucket of [`BUCKETS`], not cumulative; the last is what took longer.
    pub latency: [f64; BUCKETS.len() + 1],
    /// Sum of their latencies in seconds.
    pub latency_sum: f64,
    /// Requests that wait.
    pub backlog: f64,
    /// Offered load over capacity; above 1 when it is too much, infinite when nothing is Ready.
    pub utilisation: f64,
}

/// What the API server says of a pod, and its counters.
#[derive(Clone, Debug, Default)]
pub struct PodState {
    /// `metadata.uid`.
    pub uid: String,
    /// `spec.nodeName`.
    pub node: String,
    /// Its phase is Running.
    pub running: bool,
    /// Its condition Ready is true and it is not being deleted.
    pub ready: bool,
    /// A container of it has a CPU limit; without one nothing is throttled.
    pub cpu_limited: bool,
    /// Restarts and last terminations, as the kubelet reported them.
    pub containers: Vec<ContainerStatus>,
    /// Requests that it answered, by HTTP status.
    pub requests: BTreeMap<&'static str, f64>,
    /// CPU time in seconds.
    pub cpu_seconds: f64,
    /// Scheduler periods in which it wanted to run.
    pub periods: f64,
    /// Periods in which its limit stopped it.
    pub throttled_periods: f64,
    /// Bytes now.
    pub memory: f64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            capacity: 50.0,
            base_latency: Duration::from_millis(40),
            timeout: Duration::from_secs(10),
            cpu_at_capacity: 0.5,
            memory_base: 200.0 * 1024.0 * 1024.0,
            memory_per_request: 1024.0 * 1024.0,
        }
    }
}

/// Lets `seconds` pass under `demand` requests a second.
pub fn step(service: &mut Service, pods: &mut BTreeMap<String, PodState>, behaviour: &Behaviour, demand: f64, seconds: f64) {
    let ready = pods.values().filter(|pod| pod.ready).count() as f64;
    let capacity = ready * behaviour.capacity;
    let offered = demand * seconds;
    if ready == 0.0 {
        let refused = offered + std::mem::take(&mut service.backlog);
        *service.requests.entry("503").or_default() += refused;
        service.utilisation = if demand > 0.0 { f64::INFINITY } else { 0.0 };
    } else {
        let work = service.backlog + offered;
        let served = work.min(capacity * seconds);
        let waiting = work - served;
        service.backlog = waiting.min(capacity * behaviour.timeout.as_secs_f64());
        let lost = waiting - service.backlog;
        service.utilisation = demand / capacity;
        observe(service, behaviour, capacity, served, lost);
        share(pods, behaviour, served, lost, ready, seconds);
    }
    for pod in pods.values_mut().filter(|pod| pod.running && !pod.ready) {
        pod.memory = behaviour.memory_base;
    }
}

/// Counts the answered requests at the ingress.
fn observe(service: &mut Service, behaviour: &Behaviour, capacity: f64, served: f64, lost: f64) {
    let base = behaviour.base_latency.as_secs_f64();
    let busy = service.utilisation.min(BUSIEST);
    let wait = service.backlog / capacity + busy / (2.0 * (1.0 - busy)) / behaviour.capacity;
    *service.requests.entry("200").or_default() += served;
    *service.requests.entry("504").or_default() += lost;
    // Waits are spread exponentially around their mean, so that quantiles move smoothly with it.
    let within = |bound: f64| {
        if bound < base {
            0.0
        } else if wait <= f64::EPSILON {
            1.0
        } else {
            1.0 - (-(bound - base) / wait).exp()
        }
    };
    let mut below = 0.0;
    for (count, bound) in service.latency.iter_mut().zip(BUCKETS) {
        let up_to = within(bound);
        *count += served * (up_to - below);
        below = up_to;
    }
    service.latency[BUCKETS.len()] += served * (1.0 - below) + lost;
    service.latency_sum += served * (base + wait) + lost * behaviour.timeout.as_secs_f64();
}

/// Shares the work evenly among the Ready pods.
fn share(pods: &mut BTreeMap<String, PodState>, behaviour: &Behaviour, served: f64, lost: f64, ready: f64, seconds: f64) {
    let rate = served / seconds.max(f64::EPSILON) / ready;
    let busy = (rate / behaviour.capacity).min(1.0);
    let throttled = ((busy - THROTTLED_FROM) / (1.0 - THROTTLED_FROM)).clamp(0.0, 1.0);
    for pod in pods.values_mut().filter(|pod| pod.ready) {
        *pod.requests.entry("200").or_default() += served / ready;
        *pod.requests.entry("504").or_default() += lost / ready;
        pod.cpu_seconds += busy * behaviour.cpu_at_capacity * seconds;
        pod.periods += PERIODS_PER_SECOND * seconds;
        pod.throttled_periods += throttled * PERIODS_PER_SECOND * seconds;
        pod.memory = behaviour.memory_base + behaviour.memory_per_request * rate;
    }
}
