//! IPA, the Intelligent Pod Autoscaler: a language model reasons, code decides.
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

pub mod agent;
pub mod binpack;
pub mod explain;
pub mod forecast;
pub mod guardrails;
pub mod hpa;
pub mod planner;
pub mod scheduling;
pub mod service;
pub mod sizing;

pub mod adapters;
pub mod api;
pub mod cli;
pub mod controller;
pub mod crd;
pub mod ports;
pub mod sim;
pub mod tick;
