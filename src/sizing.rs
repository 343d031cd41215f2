//! Outlook to replicas, usage to requests: what a workload needs, when, and with how much margin. Each file learns or decides one thing.
//!
//! Margin and hold come from replaying the workload's own past (`study`), where there is one; until then from what a bad minute costs (`margin`).
//!
//! Left out: capacity with its uncertainty.

mod capacity;
mod hysteresis;
mod least_cost;
mod margin;
mod reach;
mod replicas;
mod resources;
mod startup;
mod study;
mod tuned;
mod usage;

pub use capacity::{Load, SeenBefore, capacity_of, learn_capacity};
pub use hysteresis::{hold_window, remember_need};
pub use least_cost::CostOfLoad;
pub use margin::{Margin, margin};
pub use reach::{carry_on, reach};
pub use replicas::{Situation, Sized, Tuned, size};
pub use resources::{ResourceEvidence, propose_resources};
pub use startup::{Lead, lead, learn_provisioning, learn_startup};
pub use study::{Past, study};
pub use tuned::{observed_service, tuned};
pub use usage::{cpu_quantile, lasting_throttling, learn_cpu, learn_memory, learn_oom_kills};
