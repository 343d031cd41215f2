//! IPA, the Intelligent Pod Autoscaler: a Kubernetes autoscaler in which a language model reasons and code decides.
//!
//! # One tick
//!
//! ```text
//! observe ──▶ predict ──▶ plan ──┬──────────────▶ review ──▶ act | queue ──▶ record
//! (world)     (pure)      (pure) └─▶ propose ──▶  (pure)     (world)         (world)
//!                                    (model)
//! ```
//!
//! [`tick`] is the program: one file a verb, and everything else is reached from there. Every minute one tick covers all groups. It freezes
//! what may be known into a [`domain::snapshot::Snapshot`]; from there to what is released everything is a pure function of that snapshot and of
//! what the model answered. The planner's own proposals (the *floor*) go first; dialogues run beside them; every proposal, whoever wants it,
//! passes [`guardrails`]; only what passes becomes a [`guardrails::Released`], and only a `Released` is carried out.
//!
//! # The house
//!
//! The modules stand below in order: each may use itself and what stands above it, and a test holds that.
//!
//! | room | what is in it |
//! |---|---|
//! | [`domain`] | the nouns, as plain data |
//! | [`service`], [`hpa`], [`scheduling`] | how a service, an HPA and kube-scheduler behave |
//! | [`forecast`], [`sizing`], [`binpack`], [`planner`] | the floor: series to outlook, outlook to replicas and requests, pods to nodes, all of it to a plan |
//! | [`guardrails`] | one rule a file; `judge`, `release` |
//! | [`explain`] | ledger entries to an answer that cites |
//! | [`agent`] | the prompt, fourteen typed tools, the dialogue as a state machine |
//! | [`ports`] | what the program needs of the world, in its own words |
//! | [`tick`] | the driver |
//! | [`crd`] | the four custom resources and their one conversion |
//! | [`adapters`] | Kubernetes, Prometheus, a model, prices, SQLite: each behind one port |
//! | [`sim`] | the same ports over a simulated cluster and a virtual clock |
//! | [`eval`] | incidents, baselines, oracles, scores, the report |
//! | [`controller`], [`api`], [`cli`] | the loop, the HTTP server, the commands |
//!
//! # Invariants, stated as absences
//!
//! - The planner, the guardrails, the agent and the explanations never do I/O, never read a clock and never draw a random number.
//! - No tool of the model writes. A proposal is data; a `Released` cannot be cloned, read from data or made outside one file.
//! - No text that a model writes and no text that a cluster contains is ever read by code that decides.
//! - No action without an intent in the ledger before it; no tick without a record that says how it ended.
//! - No custom resource names a URL or a secret.
//! - Nothing is scaled down on missing, stale or contradictory metrics.
//! - No rule can upgrade another rule's refusal.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::float_cmp,
        reason = "tests fail by panicking, and compare exact results"
    )
)]

pub mod domain;
pub mod service;
pub mod hpa;
pub mod scheduling;
pub mod forecast;
pub mod sizing;
pub mod binpack;
pub mod planner;
pub mod guardrails;
pub mod explain;
pub mod agent;
pub mod ports;
pub mod tick;
pub mod crd;
pub mod adapters;
pub mod sim;
pub mod eval;
pub mod controller;
pub mod api;
pub mod cli;
