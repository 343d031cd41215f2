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
use crate::ports::{Archive, Decisions, Ledger, Model, Ports, Prices};

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

    /// What its metrics have kept.
    #[must_use]
    pub fn archive(&self) -> Arc<dyn Archive> {
        self.metrics.clone()
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

    use super::super::demand::Demand;
    use super::super::demo;
    use super::super::scenario::WorkloadSpec;
    use super::super::testing::{ListPrices, NOON, NoLedger, at, catalogue, replicas, scenario, web};
    use super::*;
    use crate::domain::names::TargetKey;
    use crate::domain::series::mean;
    use crate::domain::signal::SignalName;
    use crate::service::RateSeries;

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

    /// A week at ten-minute steps, 20 to 60 units/s by the hour of the day, from six days before noon on.
    fn recorded() -> (Demand, i64) {
        let began = NOON - 6 * 86_400 + 37;
        let rates: Vec<f32> = (0..7 * 144).map(|step| 40.0 + 20.0 * (step as f32 / 144.0 * std::f32::consts::TAU).sin()).collect();
        (Demand::Series(RateSeries { start_s: began, step_s: 600, rates: rates.into() }), began)
    }

    #[tokio::test]
    async fn a_simulation_goes_on_where_a_world_stands_and_its_past_is_what_was_measured_and_recorded() {
        let (demand, began) = recorded();
        let start = at(NOON - 86_400 + 17);
        let scenario = Scenario { start, ..scenario(vec![WorkloadSpec { demand: demand.clone(), ..web() }]) };
        let mut world = World::new(scenario, catalogue(), 1).unwrap();
        world.advance_to(at(NOON));
        let simulation = Simulation::of(world, Pace::Headless, Arc::new(ListPrices));
        let ports = simulation.ports(None, Arc::new(NoLedger));
        assert_eq!(ports.clock.now(), at(NOON));
        let facts = ports.cluster.observe(at(NOON)).await.unwrap();
        let (signals, _) = ports.metrics.signals(&facts.groups, &facts.workloads, at(NOON)).await;
        let signals = &signals[&web().key];
        let history = &signals[&SignalName::Demand].history;
        let truth = |second: i64, step: i64| demand.mean(second - step, second, 0, 0).map(|rate| rate as f32);
        for series in [&history.fine, &history.middle, history.coarse.as_ref().unwrap()] {
            let step = i64::from(series.step_s);
            assert!(series.end().unwrap() > at(NOON - step) && series.end().unwrap() <= at(NOON), "{step}");
            for (index, value) in series.values.iter().enumerate() {
                let second = series.second(index);
                let measured = second > start.as_second();
                match truth(second, step) {
                    // A minute's scrapes end up to a quarter of a minute before it does, and arrivals have their noise.
                    Some(rate) if measured && value.is_finite() => assert!((value / rate - 1.0).abs() < 0.25, "{second}: {value} {rate}"),
                    Some(rate) if !measured => assert!((value - rate).abs() < 1e-3, "{second}: {value} {rate}"),
                    Some(_) => assert!(second < start.as_second() + 2 * step, "a gap at {second}"),
                    None => assert!(value.is_nan() && second <= began, "{second}: {value}"),
                }
            }
        }
        let measured = mean(&history.fine.values);
        assert!((measured / truth(NOON, 3 * 3600).unwrap() - 1.0).abs() < 0.01, "{measured}");
        assert_eq!(history.coarse.as_ref().unwrap().values.iter().filter(|value| value.is_finite()).count(), 6 * 24);
        assert!(signals[&SignalName::Latency].history.fine.values.iter().filter(|value| value.is_finite()).count() > 170);
        let week = ports.metrics.demand_history(&web().key, at(NOON)).await.unwrap();
        let known = week.values.iter().filter(|value| value.is_finite()).count();
        assert!((6 * 1440 - 3..=6 * 1440).contains(&known), "six days of minutes, but for the one in which the world began: {known}");
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
