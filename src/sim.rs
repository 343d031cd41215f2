//! The embedded cluster: the same ports over simulated workloads, nodes and metrics, and a virtual clock.
