//! The circle: an incident is played in the simulator, what its ports show of it is recorded, and the recording is replayed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::adapters::ledger::SqliteLedger;
use crate::adapters::prices::{BuiltinPrices, BuiltinPricesConfig, ListConfig, PriceList};
use crate::domain::limits::{GateLimits, Mode};
use crate::domain::signal::SignalName;
use crate::eval::cell::Runner as _;
use crate::eval::engine::Engine;
use crate::eval::incident::{DemandSamples, Incident, Observe};
use crate::eval::policy::Policy;
use crate::eval::record::{Recording, Request, Sources, record};
use crate::eval::stage::{key, moment, scenario};
use crate::ports::{Clock as _, Prices, Recorded, Stretch};
use crate::service::StartUp;
use crate::sim::{Pace, Simulation, World};
use crate::tick::{Settings, Ticker};

const HISTORY_S: u32 = 2 * 3600;
const DURATION_S: u32 = 30 * 60;

fn prices() -> Arc<dyn Prices> {
    let lists = vec![ListConfig { list: PriceList::AWS, zones: Vec::new() }];
    Arc::new(BuiltinPrices::new(&BuiltinPricesConfig { lists }).unwrap())
}

/// A shipped incident's service under another demand, a value a minute.
fn played(demand: impl Fn(u32) -> f64) -> Incident {
    let mut incident = Incident::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("evals/crowd-comes-unannounced")).unwrap();
    (incident.history_s, incident.duration_s) = (HISTORY_S, DURATION_S);
    incident.pools = Vec::new();
    incident.faults = Vec::new();
    let samples = (0..(HISTORY_S + DURATION_S) / 60).map(|minute| (minute * 60, demand(minute))).collect();
    let workload = &mut incident.workloads[0];
    workload.demand = Some(DemandSamples { samples, observe: Observe::Offered, smooth: false });
    workload.startup = StartUp::fixed(30.0);
    incident
}

/// What the ports of a simulation show of a played incident's scored part.
async fn recorded(simulation: &Simulation, incident: &Incident, ledger: Arc<SqliteLedger>) -> (Recording, Recorded) {
    let (from, until) = (incident.scored_from(), moment(incident, HISTORY_S + DURATION_S));
    let ports = simulation.ports(None, ledger.clone());
    let facts = ports.cluster.observe(until).await.unwrap();
    let memory = ports.state.load().await.unwrap();
    let archive = simulation.archive();
    let request = Request {
        cluster: simulation.world.look(World::cluster),
        name: "circle".into(),
        group: None,
        from,
        until,
        capacities: BTreeMap::new(),
        anonymize: false,
    };
    let sources =
        Sources { facts: &facts, archive: &*archive, ledger: Some(&*ledger), memory: memory.as_ref().map(|memory| &*memory.planner) };
    let recording = record(sources, &request).await.unwrap();
    let stretch = Stretch { from, until, past: SignedDuration::from_mins(1) };
    let demand = archive.recorded(&facts.groups, &facts.workloads, &SignalName::Demand, stretch).await.unwrap();
    (recording, demand[&key(&incident.workloads[0].name)].clone())
}

fn written(recording: &Recording) -> Incident {
    let directory = tempfile::tempdir().unwrap();
    recording.write(directory.path()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// A replay reaches each recorded minute's level one minute late, in a straight line: its mean minute is the mean of two.
    #[test]
    fn a_replay_of_hold_meets_the_demand_that_was_recorded(base in 40.0f64..200.0, swing in 0.0f64..0.9, period in 10u32..90, seed in 0u64..1000) {
        let incident = played(|minute| base * (1.0 + swing * (std::f64::consts::TAU * f64::from(minute) / f64::from(period)).sin()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (recording, shown) = runtime.block_on(async {
            let world = World::new(scenario(&incident), prices().catalogue(incident.start).await, seed).unwrap();
            let simulation = Simulation::of(world, Pace::Headless, prices());
            simulation.world.at(moment(&incident, HISTORY_S + DURATION_S), |_| ());
            recorded(&simulation, &incident, Arc::new(SqliteLedger::in_memory().await.unwrap())).await
        });
        let read = written(&recording);
        prop_assert_eq!((read.duration_s, read.scored_from()), (DURATION_S, incident.scored_from()));
        let replay = Engine::new(prices()).run(&read, Policy::Hold, seed + 1, 10).unwrap();
        let met = &replay.workloads[0].timeline.demand;
        prop_assert_eq!(met.len(), DURATION_S as usize / 60);
        let level = |minute: usize| f64::from(shown.series.values[minute]);
        let expected: Vec<f64> = (0..met.len()).map(|minute| f64::midpoint(level(minute), level(minute + 1))).collect();
        // A timeline's first minute holds what came before it as well.
        for (minute, (met, expected)) in met.iter().zip(&expected).enumerate().skip(1) {
            let noise = (expected / 60.0).sqrt();
            prop_assert!((f64::from(*met) - expected).abs() < 6.0 * noise, "minute {minute}: {met} was met, {expected} recorded");
        }
        let scored: f64 = expected[10..].iter().sum::<f64>() * 60.0;
        let arrived = replay.workloads[0].tally.arrived as f64;
        prop_assert!((arrived - scored).abs() < 6.0 * scored.sqrt(), "{arrived} arrived, {scored} recorded");
    }
}

#[tokio::test]
async fn a_stretch_under_the_shipped_tick_is_recorded_as_it_was() {
    let incident = played(|minute| 150.0 + f64::from(minute % 40));
    let mut world = World::new(scenario(&incident), prices().catalogue(incident.start).await, 5).unwrap();
    world.advance_to(moment(&incident, HISTORY_S - 20 * 60));
    let simulation = Simulation::of(world, Pace::Headless, prices());
    let ledger = Arc::new(SqliteLedger::in_memory().await.unwrap());
    let settings = Settings { limits: GateLimits { highest_mode: Mode::Auto, ..GateLimits::default() }, ..Settings::default() };
    let mut ticker = Ticker::start(simulation.ports(None, ledger.clone()), settings).await.unwrap();
    let mut began_with = 0;
    for minute in 0..50 {
        let now: Timestamp = moment(&incident, HISTORY_S - 20 * 60 + minute * 60);
        simulation.clock.sleep_until(now).await;
        if minute == 20 {
            let facts = simulation.ports(None, ledger.clone()).cluster.observe(now).await.unwrap();
            began_with = facts.workloads[&key(&incident.workloads[0].name)].replicas.desired;
        }
        ticker.tick().await.unwrap();
    }
    let (recording, _) = recorded(&simulation, &incident, ledger).await;
    let (truth, read) = (&incident.workloads[0], written(&recording));
    let web = &read.workloads[0];
    assert_eq!((recording.ticks, web.replicas), (30, began_with));
    assert_eq!((web.bounds, web.resources, web.slo_latency_s), (truth.bounds, truth.resources, truth.slo_latency_s));
    let near = |what: &str, got: f64, truth: f64, by: f64| assert!((got / truth - 1.0).abs() < by, "{what}: {got} for {truth}");
    near("CPU of a unit", web.service.cpu_per_unit, truth.service.cpu_per_unit, 0.05);
    near("latency", web.service.base_latency_s, truth.service.base_latency_s, 0.3);
    near("start-up", web.startup.p50_s, truth.startup.p50_s, 0.1);
    assert!(web.service.capacity > 0.0);
    let told: Vec<&str> = recording.assumed.iter().map(|assumed| assumed.field.as_str()).collect();
    assert!(!told.iter().any(|field| field.ends_with(".replicas") || field.ends_with(".startup")), "{told:?}");
}
