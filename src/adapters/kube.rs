//! The Kubernetes API: watches into facts, released changes into server-side applies, status, events, the queue and the lease.
//!
//! What is read is made lean at the watch and turned into domain values by pure functions over API objects, one file a kind; what is
//! written is written by server-side apply under one field manager, after a fresh look. Nothing here decides what should be done.

pub mod act;
mod autoscalers;
mod budgets;
mod cache;
mod client;
mod dynamic;
mod events;
mod facts;
mod groups;
mod meta;
mod nodes;
mod owners;
mod pods;
mod quotas;
mod routes;
mod selectors;
mod template;
mod watch;
mod workload;

pub use client::{ConnectError, connect};
pub use watch::Watches;
