//! The Kubernetes API: watches into facts, released changes into server-side applies, status, events, the queue and the lease.
//!
//! What is read is made lean at the watch and turned into domain values by pure functions over API objects, one file a kind; what is
//! written is written by server-side apply under one field manager, after a fresh look. Nothing here decides what should be done.

mod act;
mod adopt;
mod announce;
mod autoscalers;
mod budgets;
mod cache;
mod client;
mod decisions;
mod dynamic;
mod events;
mod facts;
mod groups;
mod lease;
mod meta;
mod nodes;
mod owners;
mod pod_size;
mod pods;
mod queue;
mod quotas;
mod resized;
mod routes;
mod selectors;
mod status;
mod template;
mod watch;
mod workload;

pub use act::{Known, KubeActuator, Lookout};
pub use adopt::{AdoptError, Adoption, adopt};
pub use client::{ConnectError, connect, connect_config};
pub use decisions::KubeDecisions;
pub use lease::{KubeLease, LeaseSettings};
pub use queue::{KubeQueue, queued_proposals};
pub use status::KubeStatus;
pub use watch::Watches;
