//! Outlook to replicas, usage to requests: what a workload needs, when, and with how much margin. Each file learns or decides one thing.
//!
//! Left out: margins chosen by replaying a workload's own past, and capacity with its uncertainty; both come with the evals.

mod capacity;
mod hysteresis;
mod margin;
mod reach;
mod replicas;
mod resources;
mod startup;
mod usage;

pub use capacity::{Load, capacity_of, learn_capacity};
pub use hysteresis::{hold_window, remember_need};
pub use margin::{Margin, margin};
pub use reach::{carry_on, reach};
pub use replicas::{Situation, Sized, size};
pub use resources::{ResourceEvidence, propose_resources};
pub use startup::{Lead, lead, learn_provisioning, learn_startup};
pub use usage::{cpu_quantile, lasting_throttling, learn_cpu, learn_memory, learn_oom_kills};
