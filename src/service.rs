//! How a service behaves: one FIFO queue, replicas of a given capacity, latency, loss, CPU, memory, billing. The simulator and the replay of a
//! workload's past stand on it.
//!
//! One second at a time. Within a second arrivals are spread evenly and the replicas drain the queue as a fluid; across seconds the queue is
//! exact, to the unit. Left out: what happens inside a replica (threads, garbage collection), and who asked.

mod arrivals;
mod billing;
mod latency;
mod queue;
mod rate;
mod tally;

pub use arrivals::poisson;
pub use billing::{Bill, pod_price};
pub use latency::LatencyHistogram;
pub use queue::{Second, Served, Totals, WorkQueue};
pub use rate::RateSeries;
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

impl ServiceSpec {
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
    fn memory_grows_with_what_is_held_and_with_age() {
        let mib = |bytes: f64| bytes / Bytes::MIB as f64;
        assert_eq!(mib(web().memory(0.0, 0.0)), 200.0);
        assert_eq!(mib(web().memory(30.0, 7200.0)), 350.0);
        assert_eq!(web().held(100.0, 16, 4), 5.0, "4 in work and 16 waiting, over 4 replicas");
        let queue = ServiceSpec { kind: ServiceKind::Queue, ..web() };
        assert_eq!(queue.held(100.0, 16, 4), 1.0, "what waits lies with the broker");
    }
}
