//! The integration tests: one binary, so that every crate is linked once and one control plane serves all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod architecture;
mod crd;
mod demo;
mod e2e;
mod hpa_parity;
mod kube_adapter;
mod llm;
mod model_server;
mod testbed;
