//! Prometheus over its HTTP API behind the `Metrics` port.
