//! The embedded cluster: the same ports over simulated workloads, nodes and metrics, and a virtual clock.
//!
//! [`World`] is the cluster itself, a value that advances second by second; the adapters put it behind the ports; [`Simulation`] puts everything
//! together; [`demo()`] is the scenario that `ipa demo` shows, and [`Expert`] plays the model in it. The physics of a service is `crate::service`'s.

mod archive;
mod audit;
mod autoscaler;
mod change;
mod clock;
mod cluster;
mod count;
mod demand;
mod demo;
mod events;
mod expert;
mod faults;
mod held;
mod history;
mod metrics;
mod nodes;
mod observe;
mod office;
mod pods;
mod prices;
mod queue;
mod resize;
mod scenario;
mod shared;
mod sight;
mod simulation;
#[cfg(test)]
mod testing;
mod workload;
mod world;

pub use audit::{Write, Written};
pub use change::CONTAINER;
pub use clock::{Hold, Pace, VirtualClock};
pub use cluster::{SimActuator, SimCluster};
pub use demand::{Demand, DemandCurve, Recurring, SurgeShape};
pub use demo::{demo, scenario as demo_scenario};
pub use expert::Expert;
pub use held::Held;
pub use metrics::SimMetrics;
pub use office::{SimLease, SimState, SimStatus};
pub use prices::SimPrices;
pub use queue::{PERSON, SimQueue};
pub use scenario::{Fault, FaultKind, FaultTarget, HPASpec, PoolSpec, Scenario, WorkloadSpec};
pub use shared::Shared;
pub use sight::{PodSight, Sight};
pub use simulation::Simulation;
pub use workload::{arrivals, quickest_start};
pub use world::{Costs, SCRAPE_S, ScenarioError, World};
