//! A world, its clock and everything that stands before them: what a tick needs, put together.

use std::sync::Arc;

use super::clock::{Pace, VirtualClock};
use super::cluster::{SimActuator, SimCluster};
use super::held::Held;
use super::metrics::SimMetrics;
use super::office::{SimLease, SimState, SimStatus};
use super::queue::SimQueue;
use super::scenario::Scenario;
use super::shared::Shared;
use super::world::{ScenarioError, World};
use crate::ports::{Decisions, Ledger, Model, Ports, Prices};

/// A running simulation.
pub struct Simulation {
    /// The world.
    pub world: Arc<Shared>,
    /// Its time.
    pub clock: Arc<VirtualClock>,
    /// What waits for a person; as [`Decisions`] it takes what the person says.
    pub queue: Arc<SimQueue>,
    /// What groups were told.
    pub status: Arc<SimStatus>,
    metrics: Arc<SimMetrics>,
    prices: Arc<dyn Prices>,
}

impl Simulation {
    /// Starts a scenario. `prices` say what nodes cost and can be had; the catalogue of the start stays the provisioner's.
    ///
    /// # Errors
    /// [`ScenarioError`] when the scenario does not fit together or not into the catalogue.
    pub async fn start(scenario: Scenario, seed: u64, pace: Pace, prices: Arc<dyn Prices>) -> Result<Self, ScenarioError> {
        let start = scenario.start;
        let world = Arc::new(Shared::new(World::new(scenario, prices.catalogue(start).await, seed)?));
        Ok(Self {
            clock: Arc::new(VirtualClock::new(start, pace)),
            queue: Arc::default(),
            status: Arc::default(),
            metrics: Arc::new(SimMetrics::new(world.clone())),
            world,
            prices,
        })
    }

    /// All ports of a tick: the simulated ones, and a model and a ledger from outside, which hold the clock while they are waited for.
    #[must_use]
    pub fn ports(&self, model: Option<Arc<dyn Model>>, ledger: Arc<dyn Ledger>) -> Ports {
        Ports {
            cluster: Arc::new(SimCluster::new(self.world.clone(), self.queue.clone())),
            metrics: self.metrics.clone(),
            prices: self.prices.clone(),
            model: model.map(|model| Arc::new(Held::new(model, self.clock.clone())) as Arc<dyn Model>),
            actuator: Arc::new(SimActuator::new(self.world.clone())),
            lease: Arc::new(SimLease),
            status: self.status.clone(),
            queue: self.queue.clone(),
            state: Arc::new(SimState::default()),
            ledger: Arc::new(Held::new(ledger, self.clock.clone())),
            clock: self.clock.clone(),
        }
    }

    /// Where the page's approvals go.
    #[must_use]
    pub fn decisions(&self) -> Arc<dyn Decisions> {
        self.queue.clone()
    }
}
