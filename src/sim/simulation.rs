//! A world, its clock and everything that stands before them: what a tick needs, put together.

use std::sync::Arc;

use super::clock::{Pace, VirtualClock};
use super::cluster::{SimActuator, SimCluster};
use super::held::Held;
use super::metrics::SimMetrics;
use super::office::{SimLease, SimState, SimStatus};
use super::prices::SimPrices;
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
    state: Arc<SimState>,
    metrics: Arc<SimMetrics>,
    prices: Arc<dyn Prices>,
}

impl Simulation {
    /// Starts a scenario. `prices` say what nodes cost and can be had; the catalogue of the start stays the provisioner's.
    ///
    /// # Errors
    /// [`ScenarioError`] when the scenario does not fit together or not into the catalogue.
    pub async fn start(scenario: Scenario, seed: u64, pace: Pace, prices: Arc<dyn Prices>) -> Result<Self, ScenarioError> {
        let catalogue = prices.catalogue(scenario.start).await;
        Ok(Self::of(World::new(scenario, catalogue, seed)?, pace, prices))
    }

    /// Goes on with a world from where it stands: what was measured in it so far is the past of its signals.
    #[must_use]
    pub fn of(world: World, pace: Pace, prices: Arc<dyn Prices>) -> Self {
        let clock = Arc::new(VirtualClock::new(world.now(), pace));
        let world = Arc::new(Shared::new(world));
        Self {
            clock,
            queue: Arc::default(),
            status: Arc::default(),
            state: Arc::default(),
            metrics: Arc::new(SimMetrics::new(world.clone())),
            prices: Arc::new(SimPrices::new(world.clone(), prices)),
            world,
        }
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
            state: self.state.clone(),
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

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::demo;
    use super::super::testing::{ListPrices, NoLedger, replicas};
    use super::*;
    use crate::domain::names::TargetKey;

    /// Twenty minutes of a loop that looks every minute, with another that looks every 15 s beside it; all that both saw.
    async fn run(seed: u64) -> String {
        let demo = Arc::new(demo(seed, Pace::Headless, Arc::new(ListPrices)).await.unwrap());
        let ports = demo.ports(None, Arc::new(NoLedger));
        let start = ports.clock.now();
        let look = |ports: Ports, every_s: i64, times: i64| async move {
            let mut saw = Vec::new();
            for time in 1..=times {
                ports.clock.sleep_until(start + SignedDuration::from_secs(every_s * time)).await;
                let now = ports.clock.now();
                let facts = ports.cluster.observe(now).await.unwrap();
                let (signals, health) = ports.metrics.signals(&facts.groups, &facts.workloads, now).await;
                saw.push(format!("{now} {facts:?} {signals:?} {health:?}"));
            }
            saw.concat()
        };
        let reflex = tokio::spawn(look(ports.clone(), 15, 80));
        let scaling = tokio::spawn({
            let (ports, demo) = (ports.clone(), demo.clone());
            async move {
                ports.clock.sleep_until(start + SignedDuration::from_mins(7)).await;
                demo.world.at(ports.clock.now(), |world| {
                    let change = replicas(world, &TargetKey::deployment("shop", "frontend"), 12);
                    assert!(world.write(&change).is_applied());
                });
            }
        });
        let ticks = look(ports, 60, 20).await;
        scaling.await.unwrap();
        ticks + &reflex.await.unwrap()
    }

    #[tokio::test]
    async fn two_headless_runs_of_one_seed_are_equal_to_the_byte() {
        let first = run(3).await;
        assert!(first == run(3).await, "two runs of one seed differ");
        assert!(first != run(4).await, "the seed changes nothing");
    }

    #[tokio::test]
    async fn real_time_at_sixty_times_brings_a_minute_a_second() {
        let demo = demo(1, Pace::Times(60.0), Arc::new(ListPrices)).await.unwrap();
        let ports = demo.ports(None, Arc::new(NoLedger));
        let start = ports.clock.now();
        let began = std::time::Instant::now();
        ports.clock.sleep_until(start + SignedDuration::from_secs(12)).await;
        let took = began.elapsed().as_secs_f64();
        // The upper bound is what no machine takes, however busy: twelve seconds of real time.
        assert!((0.19..12.0).contains(&took), "{took} s");
        ports.cluster.observe(ports.clock.now()).await.unwrap();
        assert!(demo.world.look(World::now) >= start + SignedDuration::from_secs(11), "the world is whole seconds behind, not more");
    }
}
