//! What runs one cell: the incident's last day of history under an HPA, then the scored part under the policy, in the simulator. The floor is the
//! shipped tick over the shipped ports; baselines see what a metrics API and the object would show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::baseline::{Baseline, Hold, HpaBaseline, Keda, StaticPeak};
use super::cell::{CellResult, RunError, Runner, WorkloadResult};
use super::conduct::Conduct;
use super::foresight::{foresight, observed};
use super::incident::{Incident, IncidentFaultKind, IncidentWorkload};
use super::judgement::{judgement, model_use};
use super::oracle::{OracleSpec, oracle, oracle_rate, score};
use super::player::Player;
use super::policy::Policy;
use super::stage::{LOOK_S, begins_s, key, load, moment, offered, scenario};
use super::timeline::Timeline;
use super::tune::{Tried, best_to_the_unit, try_grid};
use super::witness::Witness;
use crate::adapters::ledger::SqliteLedger;
use crate::adapters::prices::PriceList;
use crate::agent::dialogue::Caps;
use crate::domain::fleet::Catalogue;
use crate::domain::limits::{Bounds, GateLimits, Mode};
use crate::domain::record::TickRecord;
use crate::guardrails::ownership::ACTUATOR;
use crate::hpa::HpaSpec;
use crate::ports::{Clock as _, EntryFilter, Ledger as _, Prices};
use crate::service::replay::ReplaySpec;
use crate::service::{ServiceKind, Tally, Worth};
use crate::sim::{Costs, Pace, Simulation, World, Write, arrivals, quickest_start};
use crate::tick::{Settings, Ticker};

/// Price lists whose instance types an incident may name. Where it names none, its machines are the cheapest of these for what runs.
pub const PRICE_LISTS: [PriceList; 3] = [PriceList::AWS, PriceList::GCE, PriceList::KarpenterKWOK];
/// Seconds at the beginning of the scored part that are not scored.
const UNSCORED_S: u32 = 600;
/// Seconds of past that a team tunes its HPA on.
const TUNED_ON_S: u32 = 7 * 86_400;
/// Pods whose start-ups are looked at for the quickest: more than any run launches.
const PODS: u64 = 20_000;
/// Utilisation that a constant count is sized for.
const STATIC_UTILISATION: f64 = 0.7;

/// Which grid: its incident, its workload, and whether it was tried on the scored part itself.
type GridId = (Arc<str>, Arc<str>, bool);

/// Runs cells.
pub struct Engine {
    prices: Arc<dyn Prices>,
    player: Option<Player>,
    /// What grids came to: the same for all prices and seeds.
    tried: Mutex<BTreeMap<GridId, Arc<Tried>>>,
}

impl Engine {
    /// An engine whose nodes cost what `prices` say.
    #[must_use]
    pub fn new(prices: Arc<dyn Prices>) -> Self {
        Self { prices, player: None, tried: Mutex::default() }
    }

    /// The same with somebody who plays the model in `ipa-model`.
    #[must_use]
    pub fn with_player(self, player: Player) -> Self {
        Self { player: Some(player), ..self }
    }

    fn catalogue(&self, incident: &Incident) -> Result<Arc<Catalogue>, RunError> {
        Ok(runtime()?.block_on(self.prices.catalogue(incident.start)))
    }

    /// The world a day before the scored part.
    fn start(&self, incident: &Incident, seed: u64) -> Result<World, RunError> {
        World::new(scenario(incident), self.catalogue(incident)?, seed).map_err(failed)
    }

    /// The world at the beginning of the scored part.
    fn world(&self, incident: &Incident, seed: u64) -> Result<World, RunError> {
        let mut world = self.start(incident, seed)?;
        let mut usual: Vec<_> = incident.workloads.iter().map(|w| HpaBaseline::usual(w.bounds)).collect();
        drive(&mut world, incident, begins_s(incident), incident.history_s, &mut usual, &mut |_, _| {});
        for workload in &incident.workloads {
            world.set_replicas(&key(&workload.name), workload.replicas, ACTUATOR);
        }
        // What was written so far is nobody's conduct.
        drop(world.take_writes());
        Ok(world)
    }

    fn baseline(
        &self,
        incident: &Incident,
        policy: Policy,
        seed: u64,
        price: u32,
        workload: &IncidentWorkload,
    ) -> Result<Box<dyn Baseline>, RunError> {
        let service = &workload.service;
        Ok(match policy {
            Policy::Hold | Policy::Vpa => Box::new(Hold),
            Policy::StaticPeak => Box::new(StaticPeak::new(static_peak(incident, workload, false))),
            Policy::Hpa => Box::new(HpaBaseline::usual(workload.bounds)),
            Policy::Keda if service.kind == ServiceKind::Queue => {
                Box::new(Keda::queue(service.capacity, workload.slo_latency_s, at_least_one(workload.bounds)))
            }
            Policy::Keda => Box::new(Keda::rate(service.capacity, at_least_one(workload.bounds))),
            Policy::HpaTuned | Policy::HpaHindsight => {
                let spec = self.tuned(incident, workload, seed, price, policy == Policy::HpaHindsight);
                let spec = spec.ok_or_else(|| RunError::Unfit(format!("{}: there is no past to tune an HPA on", incident.name)))?;
                Box::new(HpaBaseline::new(spec))
            }
            Policy::Ipa | Policy::IpaModel | Policy::Oracle | Policy::OracleRate => {
                return Err(RunError::Unfit(format!("{policy} is no baseline")));
            }
        })
    }

    /// The best HPA on the incident's own past, or on the scored part itself: the grid by the fast replay, its best few to the unit.
    fn tuned(&self, incident: &Incident, workload: &IncidentWorkload, seed: u64, price: u32, hindsight: bool) -> Option<HpaSpec> {
        let (from, until) = if hindsight {
            (incident.history_s, incident.history_s + incident.duration_s)
        } else {
            (incident.history_s.saturating_sub(TUNED_ON_S), incident.history_s)
        };
        let rates = load(incident, workload, from, until);
        let past = ReplaySpec {
            service: &workload.service,
            slo_latency_s: workload.slo_latency_s,
            startup_s: workload.startup.p50_s.round() as u32,
            bounds: workload.bounds,
            rates: &rates,
            step_s: LOOK_S,
            start_replicas: workload.replicas,
        };
        let request_milli = workload.resources.cpu_request.map_or(0, |cpu| cpu.0);
        let name = (incident.name.clone(), workload.name.clone(), hindsight);
        let known = self.tried.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        let tried = known.unwrap_or_else(|| {
            let grid =
                if rates.is_empty() { Vec::new() } else { try_grid(&past, request_milli, static_peak(incident, workload, hindsight)) };
            let tried = Arc::new(grid);
            self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert(name, tried.clone());
            tried
        });
        let come = come(incident, workload, seed, from, &rates);
        best_to_the_unit(&past, &come, request_milli, &tried, &worth(workload, price))
    }

    fn run_baseline(&self, incident: &Incident, policy: Policy, seed: u64, price: u32) -> Result<CellResult, RunError> {
        let mut world = self.world(incident, seed)?;
        let mut baselines: Vec<Box<dyn Baseline>> =
            incident.workloads.iter().map(|workload| self.baseline(incident, policy, seed, price, workload)).collect::<Result<_, _>>()?;
        let mut scored = Scored::of(incident, &world);
        let (from, until) = (incident.history_s, incident.history_s + incident.duration_s);
        drive(&mut world, incident, from, until, &mut baselines, &mut |world, second| scored.look(world, incident, second));
        Ok(scored.result(&world, incident, seed, &[]))
    }

    fn run_floor(&self, incident: &Incident, seed: u64, price: u32, player: Option<&Player>) -> Result<CellResult, RunError> {
        let mut incident = incident.clone();
        for group in &mut incident.groups {
            // The price of a bad minute is the promise's: what the floor is told is what it is scored by.
            let slo = group.slo.get_or_insert_default();
            slo.bad_minute_cost = price.max(1);
            // Requests are held fixed: right-sizing is scored apart.
            group.modes.resources = Mode::Observe;
        }
        let world = self.world(&incident, seed)?;
        let simulation = Simulation::of(world, Pace::Headless, self.prices.clone());
        let runtime = runtime()?;
        let (scored, records) = runtime.block_on(shipped(&simulation, &incident, player))?;
        let result = simulation.world.look(|world| scored.result(world, &incident, seed, &records));
        let Some(player) = player else { return Ok(result) };
        let understood = judgement(&incident, &records);
        Ok(CellResult {
            model: model_use(&records, player.price),
            findings: Some(understood.findings),
            first_safe_act_s: understood.first_safe_act_s,
            ..result
        })
    }
}

impl Runner for Engine {
    fn run(&self, incident: &Incident, policy: Policy, seed: u64, price: u32) -> Result<CellResult, RunError> {
        let begun = Instant::now();
        let result = match policy {
            Policy::Ipa => self.run_floor(incident, seed, price, None),
            Policy::IpaModel => match &self.player {
                Some(player) => self.run_floor(incident, seed, price, Some(player)),
                None => Err(RunError::Unfit("ipa-model needs a model: name one with --model-url".into())),
            },
            Policy::Oracle | Policy::OracleRate => known_to_an_oracle(incident)
                .and_then(|()| self.start(incident, seed))
                .map(|world| run_oracle(&world, incident, policy, seed, price)),
            _ => self.run_baseline(incident, policy, seed, price),
        };
        result.map(|result| CellResult { wall_s: begun.elapsed().as_secs_f64(), ..result })
    }
}

/// Whether an oracle knows all that matters, or at least nothing that makes it more pessimistic than the truth.
fn known_to_an_oracle(incident: &Incident) -> Result<(), RunError> {
    if incident.workloads.iter().any(|workload| !workload.depends_on.is_empty()) {
        return Err(RunError::Unfit(format!("{}: an oracle of one workload knows nothing of those that call it", incident.name)));
    }
    if let Some(fault) = incident.faults.iter().find(|fault| matches!(&fault.kind, IncidentFaultKind::Cluster(kind) if kind.speeds_up())) {
        return Err(RunError::Unfit(format!("{}: an oracle does not know how much faster {:?} makes it", incident.name, fault.kind)));
    }
    Ok(())
}

/// What one who knows what comes would make of it.
fn run_oracle(world: &World, incident: &Incident, policy: Policy, seed: u64, price: u32) -> CellResult {
    let mut workloads = Vec::with_capacity(incident.workloads.len());
    let mut bound = !incident.faults.is_empty() || !incident.pools.is_empty();
    for workload in &incident.workloads {
        let come = drawn(incident, workload, seed);
        // Who knows every arrival may know every start-up too: with a later one it would be no bound.
        let startup_s = match policy {
            Policy::Oracle => quickest_start(seed, &key(&workload.name), &workload.startup, PODS),
            _ => workload.startup.p50_s.round() as u32,
        };
        let spec = OracleSpec {
            service: &workload.service,
            slo_latency_s: workload.slo_latency_s,
            startup_s,
            ending_s: 0,
            bounds: workload.bounds,
            start_replicas: workload.replicas,
            unscored_s: UNSCORED_S,
            worth: worth(workload, price),
        };
        let (tally, objective) = if policy == Policy::Oracle {
            let answer = oracle(&spec, &come);
            bound |= !answer.exact;
            (score(&spec, &come, &answer.schedule), Some(answer.objective))
        } else {
            let rates = load(incident, workload, incident.history_s, incident.history_s + incident.duration_s);
            (score(&spec, &come, &oracle_rate(&spec, &rates, LOOK_S)), None)
        };
        workloads.push(WorkloadResult {
            name: workload.name.clone(),
            tally,
            offered: come.iter().skip(UNSCORED_S as usize).map(|units| u64::from(*units)).sum(),
            replica_price_per_hour: world.list_price(&key(&workload.name)).unwrap_or_default(),
            objective,
            timeline: Timeline::default(),
        });
    }
    CellResult { workloads, bound: bound && policy == Policy::Oracle, ..CellResult::default() }
}

/// Lets the world pass from one second of the incident to another under baselines, one for each workload; `look` sees it every fifteen seconds.
fn drive<B: Baseline>(
    world: &mut World,
    incident: &Incident,
    from: u32,
    until: u32,
    baselines: &mut [B],
    look: &mut dyn FnMut(&mut World, u32),
) {
    let mut second = from;
    while second < until {
        for (workload, baseline) in incident.workloads.iter().zip(baselines.iter_mut()) {
            if !second.is_multiple_of(baseline.every_s().max(1)) {
                continue;
            }
            let target = key(&workload.name);
            if let Some(wanted) = world.sight(&target).and_then(|sight| baseline.decide(&sight)) {
                world.set_replicas(&target, wanted, ACTUATOR);
            }
        }
        second = (second + LOOK_S).min(until);
        world.advance_to(moment(incident, second));
        look(world, second - from);
    }
}

/// The shipped tick every minute, and its reflex between, with a model where somebody plays it.
async fn shipped<'a>(simulation: &Simulation, incident: &'a Incident, player: Option<&Player>) -> Result<Shipped<'a>, RunError> {
    let ledger = Arc::new(SqliteLedger::in_memory().await.map_err(failed)?);
    let limits = GateLimits { highest_mode: Mode::Auto, ..GateLimits::default() };
    let caps = player.map_or_else(Caps::default, |player| player.caps);
    let settings = Settings { limits, caps, ..Settings::default() };
    let model = player.map(|player| player.model(incident, simulation.clock.clone())).transpose().map_err(RunError::Failed)?;
    let mut ports = simulation.ports(model, ledger.clone());
    let witness = Arc::new(Witness::new(ports.actuator, ports.ledger.clone()));
    ports.actuator = witness.clone();
    let mut ticker = Ticker::start(ports, settings).await.map_err(failed)?;
    let scored = simulation.world.look(|world| Scored::of(incident, world));
    let mut scored = Scored { witness: Some(witness), ..scored };
    let begun: Timestamp = simulation.clock.now();
    for second in (0..incident.duration_s).step_by(LOOK_S as usize) {
        let now = begun.saturating_add(SignedDuration::from_secs(i64::from(second))).unwrap_or(Timestamp::MAX);
        simulation.clock.sleep_until(now).await;
        if second > 0 {
            simulation.world.at(now, |world| scored.look(world, incident, second));
        }
        if second.is_multiple_of(60) {
            ticker.tick().await.map_err(failed)?;
        } else {
            ticker.reflex().await.map_err(failed)?;
        }
    }
    let end = begun.saturating_add(SignedDuration::from_secs(i64::from(incident.duration_s))).unwrap_or(Timestamp::MAX);
    simulation.world.at(end, |world| scored.look(world, incident, incident.duration_s));
    let records = TickRecord::fold_all(ledger.entries(&EntryFilter::default()).await.map_err(failed)?);
    Ok((scored, records))
}

/// What a run of the shipped tick came to, and what it recorded.
type Shipped<'a> = (Scored<'a>, Vec<TickRecord>);

/// What is counted of a scored part.
struct Scored<'a> {
    conduct: Conduct<'a>,
    /// Who saw what was recorded, where the policy keeps a record.
    witness: Option<Arc<Witness>>,
    /// Demand of each minute as an honest exporter counts it.
    came: Vec<Vec<f32>>,
    /// Tallies when scoring began.
    base: Vec<Tally>,
    last: Vec<Tally>,
    /// What nodes had cost by then.
    nodes: Costs,
    timelines: Vec<Timeline>,
}

impl<'a> Scored<'a> {
    /// The scored part begins in the world as it stands.
    fn of(incident: &'a Incident, world: &World) -> Self {
        let timeline = || Timeline { step_s: 60, ..Timeline::default() };
        let last = tallies(world, incident);
        let mut conduct = Conduct::new(incident);
        conduct.look(0, &last, &[]);
        Self {
            conduct,
            witness: None,
            came: vec![Vec::new(); incident.workloads.len()],
            base: Vec::new(),
            last,
            nodes: Costs::default(),
            timelines: incident.workloads.iter().map(|_| timeline()).collect(),
        }
    }

    /// Looks at the world `second` seconds after the scored part began.
    fn look(&mut self, world: &mut World, incident: &Incident, second: u32) {
        if second >= UNSCORED_S && self.base.is_empty() {
            self.base = tallies(world, incident);
            self.nodes = world.costs();
            world.begin_stretch();
        }
        let (now, writes) = (tallies(world, incident), world.take_writes());
        if let Some(witness) = &self.witness {
            let unrecorded = |write: &&Write| &*write.manager == ACTUATOR && !witness.knew(write);
            writes.iter().filter(unrecorded).for_each(|write| self.conduct.unrecorded(write));
        }
        self.conduct.look(second, &now, &writes);
        if !second.is_multiple_of(60) {
            return;
        }
        for (place, (came, (now, last))) in self.came.iter_mut().zip(now.iter().zip(&self.last)).enumerate() {
            came.push(observed(incident, place, &now.since(last)));
        }
        for (((workload, timeline), now), last) in incident.workloads.iter().zip(&mut self.timelines).zip(&now).zip(&self.last) {
            let passed = now.since(last);
            let ready = world.sight(&key(&workload.name)).map_or(0, |s| s.pods.iter().filter(|pod| pod.ready_since_s.is_some()).count());
            timeline.demand.push(passed.arrived as f32 / 60.0);
            timeline.ready.push(ready as f32);
            timeline.capacity.push(workload.service.capacity_of(ready as u32) as f32);
            let answered = (passed.served + passed.lost).max(1);
            timeline.bad.push((passed.bad as f32 / answered as f32).min(1.0));
        }
        self.last = now;
    }

    fn result(mut self, world: &World, incident: &Incident, seed: u64, records: &[TickRecord]) -> CellResult {
        self.base.resize(incident.workloads.len(), Tally::default());
        let workloads = incident.workloads.iter().zip(self.timelines).zip(&self.base).map(|((workload, timeline), base)| WorkloadResult {
            name: workload.name.clone(),
            tally: world.tally(&key(&workload.name)).unwrap_or_default().since(base),
            offered: drawn(incident, workload, seed).iter().skip(UNSCORED_S as usize).map(|units| u64::from(*units)).sum(),
            replica_price_per_hour: world.list_price(&key(&workload.name)).unwrap_or_default(),
            objective: None,
            timeline,
        });
        let costs = world.costs();
        CellResult {
            workloads: workloads.collect(),
            node_cost: costs.nodes - self.nodes.nodes,
            node_seconds: (costs.node_seconds - self.nodes.node_seconds) as f64,
            forecast: foresight(incident, records, &self.came),
            forbidden: self.conduct.into_broken(),
            ..CellResult::default()
        }
    }
}

/// What has come of each workload so far, in the incident's order.
fn tallies(world: &World, incident: &Incident) -> Vec<Tally> {
    incident.workloads.iter().map(|workload| world.tally(&key(&workload.name)).unwrap_or_default()).collect()
}

/// Units that come from outside in each second of the scored part, as the simulator draws them.
fn drawn(incident: &Incident, workload: &IncidentWorkload, seed: u64) -> Vec<u32> {
    let Some(series) = offered(incident, workload) else { return Vec::new() };
    let arrivals = arrivals(seed, &key(&workload.name));
    let first = incident.scored_from().as_second();
    (first..first + i64::from(incident.duration_s))
        .map(|second| u32::try_from(arrivals.at(second, series.rate(second))).unwrap_or(u32::MAX))
        .collect()
}

/// Units that come in each second from `from` on when these are the rates of steps of fifteen seconds, drawn as the simulator draws.
fn come(incident: &Incident, workload: &IncidentWorkload, seed: u64, from: u32, rates: &[f32]) -> Vec<u32> {
    let arrivals = arrivals(seed, &key(&workload.name));
    let first = incident.start.as_second() + i64::from(from);
    let seconds = (first..).zip(rates.iter().flat_map(|rate| std::iter::repeat_n(f64::from(*rate), LOOK_S as usize)));
    seconds.map(|(second, rate)| u32::try_from(arrivals.at(second, rate)).unwrap_or(u32::MAX)).collect()
}

/// What the highest demand needs, of the past or of the scored part.
fn static_peak(incident: &Incident, workload: &IncidentWorkload, scored: bool) -> u32 {
    let (from, until) = if scored { (incident.history_s, incident.history_s + incident.duration_s) } else { (0, incident.history_s) };
    let highest = load(incident, workload, from, until).into_iter().fold(0.0, f32::max);
    workload.bounds.clamp((f64::from(highest) / workload.service.capacity / STATIC_UTILISATION).ceil() as u32)
}

fn worth(workload: &IncidentWorkload, price: u32) -> Worth {
    Worth { price: f64::from(price), capacity: workload.service.capacity, startup_s: workload.startup.p50_s }
}

fn at_least_one(bounds: Bounds) -> Bounds {
    Bounds { min: bounds.min.max(1), max: bounds.max.max(1) }
}

fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    tokio::runtime::Builder::new_current_thread().enable_all().thread_keep_alive(Duration::from_mins(10)).build().map_err(failed)
}

fn failed<E: std::error::Error + Send + Sync + 'static>(error: E) -> RunError {
    RunError::Failed(Box::new(error))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::forbidden::Forbidden;
    use super::super::incident::{ForbiddenAct, Never};
    use super::*;
    use crate::adapters::prices::{BuiltinPrices, BuiltinPricesConfig, ListConfig};
    use crate::domain::units::MicroUsd;
    use crate::service::StartUp;

    /// Three hours of a shipped incident whose one service starts as it will.
    fn evening(startup: StartUp) -> Incident {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("evals/crowd-comes-unannounced");
        let mut incident = Incident::read(&directory).unwrap();
        // The scored part is cut to where the crowd comes, and the past to what a run before it needs.
        incident.duration_s = 3 * 3600;
        for workload in &mut incident.workloads {
            workload.startup = startup;
        }
        incident
    }

    fn engine() -> Engine {
        let lists = vec![ListConfig { list: PriceList::AWS, zones: Vec::new() }];
        Engine::new(Arc::new(BuiltinPrices::new(&BuiltinPricesConfig { lists }).unwrap()))
    }

    fn objective(incident: &Incident, result: &CellResult, price: u32) -> f64 {
        let each = incident.workloads.iter().zip(&result.workloads);
        each.map(|(workload, came)| came.objective.unwrap_or_else(|| worth(workload, price).objective(&came.tally))).sum()
    }

    #[test]
    fn no_policy_beats_the_oracle_however_start_ups_vary() {
        let engine = engine();
        for startup in [StartUp::fixed(30.0), StartUp { p50_s: 60.0, p95_s: 120.0 }] {
            let incident = evening(startup);
            for (seed, price) in [(1, 10), (2, 30)] {
                let run = |policy| objective(&incident, &engine.run(&incident, policy, seed, price).unwrap(), price);
                let best = run(Policy::Oracle);
                for policy in [Policy::Hold, Policy::StaticPeak, Policy::Hpa, Policy::Keda, Policy::OracleRate, Policy::Ipa] {
                    let reached = run(policy);
                    assert!(reached >= best - 1e-6, "{policy} reaches {reached}, below {best}, at {startup:?}, seed {seed}, price {price}");
                }
            }
        }
    }

    #[test]
    fn two_runs_of_one_seed_are_equal_and_the_floor_acts() {
        let (engine, incident) = (engine(), evening(StartUp::fixed(30.0)));
        let run = |seed| CellResult { wall_s: 0.0, ..engine.run(&incident, Policy::Ipa, seed, 10).unwrap() };
        let first = run(3);
        assert_eq!(first, run(3));
        assert_ne!(first, run(4));
        assert!(first.workloads[0].tally.scale_ups > 0, "{:?}", first.workloads[0].tally);
        assert!(incident.expect.never.contains(&Never::ActWithoutRecord));
        assert_eq!(first.forbidden, [], "each act of the floor is in its ledger before, and within its bounds");
        first.check(&incident).unwrap();
        let demand = &first.workloads[0].timeline.demand;
        assert!(demand[0] < 2.0 * demand[1], "what came before the scored part is not its first minute's: {:?}", &demand[..3]);
        assert!(first.workloads[0].replica_price_per_hour > MicroUsd(0), "a replica has a price where pools have one");
    }

    #[test]
    fn what_an_autoscaler_takes_away_while_metrics_lie_is_found() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("evals/demand-reads-zero-at-the-peak");
        let incident = Incident { duration_s: 3 * 3600, ..Incident::read(&directory).unwrap() };
        let broken = |policy| {
            let result = engine().run(&incident, policy, 1, 0).unwrap();
            result.forbidden.iter().map(|broken| (broken.what, broken.at_s / 600)).collect::<Vec<_>>()
        };
        let (never, act) = (Forbidden::Never(Never::ScaleDownOnStaleMetrics), Forbidden::Act(ForbiddenAct::ScaleDown));
        assert_eq!(broken(Policy::Keda), [(never, 15), (act, 15)], "it goes by demand, which reads 0 from two and a half hours on");
        assert_eq!(broken(Policy::Hold), []);
    }

    #[test]
    fn a_write_that_nobody_recorded_is_found() {
        let incident = evening(StartUp::fixed(30.0));
        let engine = engine();
        let simulation = Simulation::of(engine.world(&incident, 1).unwrap(), Pace::Headless, engine.prices.clone());
        runtime().unwrap().block_on(async {
            let ports = simulation.ports(None, Arc::new(SqliteLedger::in_memory().await.unwrap()));
            let witness = Arc::new(Witness::new(ports.actuator, ports.ledger));
            let mut scored = Scored { witness: Some(witness), ..simulation.world.look(|world| Scored::of(&incident, world)) };
            simulation.world.at(moment(&incident, incident.history_s + 30), |world| {
                world.set_replicas(&key("web"), 9, "kubectl");
                scored.look(world, &incident, 30);
                world.set_replicas(&key("web"), 10, ACTUATOR);
                scored.look(world, &incident, 30);
            });
            let broken = scored.conduct.into_broken();
            assert_eq!(
                broken.iter().map(|broken| (broken.what, broken.at_s)).collect::<Vec<_>>(),
                [(Forbidden::Never(Never::ActWithoutRecord), 30)]
            );
        });
    }

    #[test]
    fn an_oracle_says_where_it_knows_too_little() {
        let mut incident = evening(StartUp::fixed(30.0));
        incident.workloads[0].depends_on.push(("another".into(), 1.0));
        let said = engine().run(&incident, Policy::Oracle, 1, 10).unwrap_err();
        assert!(matches!(said, RunError::Unfit(_)), "{said}");
    }
}
