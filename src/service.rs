//! How a service behaves: one FIFO queue, replicas of a given capacity, start-up, latency, loss, retries, CPU, memory, billing. The simulator and
//! the replay of a workload's past stand on it.
//!
//! One second at a time. Within a second arrivals are spread evenly and the replicas drain the queue as a fluid; across seconds the queue is
//! exact, to the unit. Left out: what happens inside a replica (threads, garbage collection), who asked, and that a replica that crashes loses
//! what it works on (a unit counts as served once it is begun).

mod arrivals;
mod billing;
mod latency;
mod queue;
mod random;
mod rate;
pub mod replay;
mod retry;
mod startup;
mod tally;

pub use arrivals::{Arrivals, poisson};
pub use billing::{Bill, pod_price};
pub use latency::LatencyHistogram;
pub use queue::{Lost, Passed, Second, Served, Totals, WorkQueue, is_slow};
pub use random::{SplitMix, mix};
pub use rate::RateSeries;
pub use retry::{Retries, Retry};
pub use startup::StartUp;
pub use tally::{Tally, Worth};

use serde::{Deserialize, Serialize};

use crate::domain::units::Bytes;

/// What happens to work that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceKind {
    /// A caller waits for the answer and gives up after the time-out.
    HTTP,
    /// Work lies in a queue until it is done.
    Queue,
}

/// Which rate metrics show as demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observe {
    /// What is offered at the ingress, retries included, before time-outs.
    #[default]
    Offered,
    /// What is served, as some meshes count.
    Served,
}

/// How one service behaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// What happens to work that waits.
    pub kind: ServiceKind,
    /// Units/s that one ready replica serves.
    pub capacity: f64,
    /// Latency without any wait, seconds.
    pub base_latency_s: f64,
    /// After so long a wait a request is lost, seconds; `HTTP` alone has it.
    pub timeout_s: f64,
    /// Whether those who were lost come back.
    pub retry: Retry,
    /// Share of its capacity that each replica loses for each further one: they share a back end.
    pub contention: f64,
    /// Core-seconds one unit costs (cores at 1 unit/s).
    pub cpu_per_unit: f64,
    /// Cores that a ready replica uses without any load.
    pub cpu_base: f64,
    /// Memory of one replica.
    pub memory: MemorySpec,
}

/// What a replica's memory is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemorySpec {
    /// Without any load.
    pub base: Bytes,
    /// For each unit it holds: those it works on, and its share of those that wait.
    pub per_unit: Bytes,
    /// What it loses for ever, each hour.
    pub leak_per_hour: Bytes,
}

/// How far something is from what a service is declared to do, as multiples: 1 where nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// Of the capacity.
    pub capacity: f64,
    /// Of the CPU that a unit costs.
    pub cpu: f64,
    /// Of the latency without any wait.
    pub latency: f64,
}

impl Default for Condition {
    fn default() -> Self {
        Self { capacity: 1.0, cpu: 1.0, latency: 1.0 }
    }
}

impl ServiceSpec {
    /// The service as it behaves under a condition.
    #[must_use]
    pub fn under(&self, condition: &Condition) -> Self {
        Self {
            capacity: self.capacity * condition.capacity,
            cpu_per_unit: self.cpu_per_unit * condition.cpu,
            base_latency_s: self.base_latency_s * condition.latency,
            ..self.clone()
        }
    }

    /// Share of its capacity that each of `replicas` ready replicas has beside the others.
    #[must_use]
    pub fn beside(&self, replicas: u32) -> f64 {
        (1.0 - self.contention * f64::from(replicas.saturating_sub(1))).max(0.0)
    }

    /// Units/s that `replicas` ready replicas serve together.
    #[must_use]
    pub fn capacity_of(&self, replicas: u32) -> f64 {
        f64::from(replicas) * self.capacity * self.beside(replicas)
    }

    /// Longest wait of a unit that is answered as promised, seconds, where `latency_s` is promised: for `HTTP` the answer counts, for `Queue` the
    /// wait itself. Below zero nothing can be answered in time.
    #[must_use]
    pub fn wait_within(&self, latency_s: f64) -> f64 {
        match self.kind {
            ServiceKind::HTTP => latency_s - self.base_latency_s,
            ServiceKind::Queue => latency_s,
        }
    }

    /// Units/s that one replica serves when its container may use `cpu_limit` cores at most: a limit below what the capacity costs throttles.
    #[must_use]
    pub fn capacity_within(&self, cpu_limit: Option<f64>) -> f64 {
        match cpu_limit {
            Some(limit) if self.cpu_per_unit > 0.0 => self.capacity.min(((limit - self.cpu_base) / self.cpu_per_unit).max(0.0)),
            _ => self.capacity,
        }
    }

    /// Cores used by `replicas` ready replicas that serve `rate` units/s together.
    #[must_use]
    pub fn cpu(&self, rate: f64, replicas: u32) -> f64 {
        self.cpu_per_unit * rate + self.cpu_base * f64::from(replicas)
    }

    /// Units one of `replicas` holds while `rate` units/s are served and `waiting` units wait: what it works on by Little's law, and its share
    /// of the callers that wait. Queued work waits with the broker and takes no memory here.
    #[must_use]
    pub fn held(&self, rate: f64, waiting: u64, replicas: u32) -> f64 {
        let waiting_here = match self.kind {
            ServiceKind::HTTP => waiting as f64,
            ServiceKind::Queue => 0.0,
        };
        (rate * self.base_latency_s + waiting_here) / f64::from(replicas.max(1))
    }

    /// Memory of a replica that holds `held` units and has run for `age_s` seconds, bytes.
    #[must_use]
    pub fn memory(&self, held: f64, age_s: f64) -> f64 {
        self.memory.base.0 as f64 + self.memory.per_unit.0 as f64 * held + self.memory.leak_per_hour.0 as f64 * age_s / 3600.0
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A web service: 50 units/s a replica, 40 ms, lost after 3 s.
    pub(crate) fn web() -> ServiceSpec {
        ServiceSpec {
            kind: ServiceKind::HTTP,
            capacity: 50.0,
            base_latency_s: 0.04,
            timeout_s: 3.0,
            retry: Retry::default(),
            contention: 0.0,
            cpu_per_unit: 0.008,
            cpu_base: 0.02,
            memory: MemorySpec { base: Bytes(200 * Bytes::MIB), per_unit: Bytes(Bytes::MIB), leak_per_hour: Bytes(60 * Bytes::MIB) },
        }
    }

    #[test]
    fn a_cpu_limit_below_what_the_capacity_costs_throttles() {
        assert_eq!(web().capacity_within(None), 50.0);
        assert_eq!(web().capacity_within(Some(1.0)), 50.0);
        assert!((web().capacity_within(Some(0.22)) - 25.0).abs() < 1e-9);
        assert_eq!(web().capacity_within(Some(0.01)), 0.0);
    }

    #[test]
    fn replicas_that_share_a_back_end_add_less_and_less() {
        let shared = ServiceSpec { contention: 0.1, ..web() };
        let together = [0, 1, 2, 6, 10, 11, 20].map(|replicas| shared.capacity_of(replicas).round());
        assert_eq!(together, [0.0, 50.0, 90.0, 150.0, 50.0, 0.0, 0.0]);
        assert_eq!(web().capacity_of(20), 1000.0);
    }

    #[test]
    fn a_promise_is_about_the_answer_or_about_the_wait() {
        assert!((web().wait_within(0.25) - 0.21).abs() < 1e-12);
        assert_eq!(ServiceSpec { kind: ServiceKind::Queue, ..web() }.wait_within(600.0), 600.0);
    }

    #[test]
    fn memory_grows_with_what_is_held_and_with_age() {
        let mib = |bytes: f64| bytes / Bytes::MIB as f64;
        assert_eq!(mib(web().memory(0.0, 0.0)), 200.0);
        assert_eq!(mib(web().memory(30.0, 7200.0)), 350.0);
        assert_eq!(web().held(100.0, 16, 4), 5.0, "4 in work and 16 waiting, over 4 replicas");
        let queue = ServiceSpec { kind: ServiceKind::Queue, ..web() };
        assert_eq!(queue.held(100.0, 16, 4), 1.0, "what waits lies with the broker");
    }
}
