//! A world in memory for the benchmark: as many targets as asked for, with three pods and five signals each, a full history of a daily curve with
//! noise, and nodes that carry them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ipa::adapters::ledger::SqliteLedger;
use ipa::domain::fleet::{CapacityType, Catalogue, InstanceType, Node, Offering};
use ipa::domain::limits::{
    Actuation, Bounds, Criticality, GateLimits, Group, GroupTarget, Guardrail, Mode, Modes, Paused, ResourceBounds, Slo, TargetLimits,
    TimeZoneName,
};
use ipa::domain::names::{GroupId, TargetKey};
use ipa::domain::outcome::{Outcome, OutcomeResult};
use ipa::domain::proposal::Change;
use ipa::domain::resize::PodSize;
use ipa::domain::series::{COARSE_SAMPLES, FINE_SAMPLES, History, MIDDLE_SAMPLES, Series};
use ipa::domain::signal::{Signal, SignalName, Signals};
use ipa::domain::snapshot::{ClusterFacts, QueuedProposal, SourceHealth};
use ipa::domain::status::GroupStatus;
use ipa::domain::units::{Bytes, GoDuration, MicroUsd, Millicores};
use ipa::domain::workload::{
    Container, ContainerResources, Pod, PodPhase, PodShape, PodTemplate, ReplicaCounts, ResourceList, Rollout, Routes, Workload,
};
use ipa::guardrails::Released;
use ipa::ports::{Actuator, Clock, Cluster, Lease, Metrics, PortError, Ports, Prices, Queue, State, Status};
use ipa::tick::{Settings, Ticker};
use jiff::{SignedDuration, Timestamp};

/// Targets of one group.
const TARGETS_A_GROUP: usize = 10;
/// Pods of one target.
const PODS: usize = 3;
/// Targets whose pods one node carries.
const TARGETS_A_NODE: usize = 8;

/// A ticker over a world of its own.
pub struct Running {
    ticker: Ticker,
    world: Arc<World>,
    ledger: Arc<SqliteLedger>,
}

struct World {
    now: Mutex<Timestamp>,
    facts: Mutex<ClusterFacts>,
    signals: Mutex<Signals>,
    catalogue: Arc<Catalogue>,
}

impl Running {
    /// Builds the world, and takes the first tick, in which models are fitted.
    pub async fn start(targets: usize) -> Self {
        let start: Timestamp = "2026-03-02T09:00:00Z".parse().expect("a time");
        let world = Arc::new(World {
            now: Mutex::new(start),
            facts: Mutex::new(facts(targets, start)),
            signals: Mutex::new(signals(targets, start)),
            catalogue: Arc::new(catalogue()),
        });
        let ledger = Arc::new(SqliteLedger::in_memory().await.expect("an in-memory ledger opens"));
        let ports = Ports {
            cluster: world.clone(),
            metrics: world.clone(),
            prices: world.clone(),
            model: None,
            actuator: world.clone(),
            lease: world.clone(),
            status: world.clone(),
            queue: world.clone(),
            state: world.clone(),
            ledger: ledger.clone(),
            clock: world.clone(),
        };
        let settings = Settings { limits: GateLimits { highest_mode: Mode::Auto, ..GateLimits::default() }, ..Settings::default() };
        let mut running = Self { ticker: Ticker::start(ports, settings).await.expect("the ticker starts"), world, ledger };
        running.tick().await;
        running
    }

    /// One tick.
    pub async fn tick(&mut self) {
        self.ticker.tick().await.expect("the tick goes through");
    }

    /// The clock goes on by a minute, and every signal has one more sample.
    pub fn next_minute(&mut self) {
        let mut now = self.world.now.lock().expect("no panic before");
        *now = now.checked_add(SignedDuration::from_mins(1)).expect("a time");
        let mut signals = self.world.signals.lock().expect("no panic before");
        for (index, of_target) in signals.values_mut().enumerate() {
            for (name, signal) in of_target {
                Arc::make_mut(&mut signal.history).push_minute(*now, sample(name, index, *now));
            }
        }
    }

    /// Bytes of the ledger's chain and bodies.
    pub async fn ledger_bytes(&self) -> (u64, u64) {
        self.ledger.sizes().await.expect("the ledger can be read")
    }
}

/// Resident memory of this process, bytes.
pub fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
}

fn key(target: usize) -> TargetKey {
    TargetKey::deployment(&format!("team-{}", target / (TARGETS_A_GROUP * 10)), &format!("service-{target}"))
}

/// A daily curve with noise that is a hash of target and minute, so that it repeats.
fn sample(name: &SignalName, target: usize, at: Timestamp) -> f32 {
    let minute = at.as_second() / 60;
    let day = (minute % 1440) as f32 / 1440.0;
    let mut hash = (target as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (minute as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash ^= hash >> 31;
    let noise = (hash.wrapping_mul(0x94D0_49BB_1331_11EB) >> 40) as f32 / (1 << 24) as f32 - 0.5;
    let peak = 60.0 + (target % 17) as f32 * 5.0;
    let demand = peak * (0.6 - 0.4 * (day * std::f32::consts::TAU).cos()) * (1.0 + 0.1 * noise);
    match name {
        SignalName::Demand => demand,
        SignalName::Cpu => demand * 0.008,
        SignalName::Memory => 3.0e8 + demand * 1e6,
        SignalName::Latency => 0.05 + 0.02 * noise.abs(),
        _ => 0.001,
    }
}

fn signals(targets: usize, now: Timestamp) -> Signals {
    let names = [SignalName::Demand, SignalName::Cpu, SignalName::Memory, SignalName::Latency, SignalName::Errors];
    let tier = |name: &SignalName, target: usize, step_s: u32, count: usize| {
        let past = i64::from(step_s) * (i64::try_from(count).expect("a small count") - 1);
        let start = now.checked_sub(SignedDuration::from_secs(past)).expect("a time");
        let mut series = Series::new(start, step_s);
        series.values = (0..count).map(|i| sample(name, target, series.time(i))).collect();
        series
    };
    (0..targets)
        .map(|target| {
            let of_target = names
                .iter()
                .map(|name| {
                    let history = History {
                        fine: tier(name, target, 60, FINE_SAMPLES),
                        middle: tier(name, target, 300, MIDDLE_SAMPLES),
                        coarse: name.keeps_coarse().then(|| tier(name, target, 3600, COARSE_SAMPLES)),
                    };
                    (name.clone(), Signal { history: Arc::new(history), newest: None, source: "ingress-nginx".into(), faults: Vec::new() })
                })
                .collect();
            (key(target), of_target)
        })
        .collect()
}

fn facts(targets: usize, now: Timestamp) -> ClusterFacts {
    let mut facts = ClusterFacts::default();
    for target in 0..targets {
        let key = key(target);
        let group = GroupId::new(&key.namespace, &format!("group-{}", target / TARGETS_A_GROUP));
        facts.groups.entry(group.clone()).or_insert_with(|| empty_group(group)).targets.push(GroupTarget {
            key: key.clone(),
            container: None,
            bounds: Bounds { min: 2, max: 40 },
            criticality: Criticality::Medium,
            capacity_per_replica: (target % 2 == 0).then_some(50.0),
        });
        let guardrail = facts.guardrails.entry(key.namespace.clone()).or_insert_with(|| empty_guardrail(&key.namespace));
        guardrail.targets.insert(key.clone(), limits());
        facts.workloads.insert(key.clone(), workload(target, key, now));
    }
    facts.nodes = (0..targets.div_ceil(TARGETS_A_NODE)).map(|index| node(index, now)).collect();
    facts
}

fn empty_group(id: GroupId) -> Group {
    Group {
        uid: format!("uid-{id}").into(),
        id,
        generation: 1,
        created: None,
        targets: Vec::new(),
        modes: Modes::all(Mode::Auto),
        signals: Vec::new(),
        slo: Some(Slo::default()),
        cost_budget_per_hour: None,
        time_zone: TimeZoneName::utc(),
        freeze_windows: Vec::new(),
        surges: Vec::new(),
        depends_on: Vec::new(),
        actuation: Actuation::Replicas,
        human_hold: GoDuration::from_mins(15),
        model_enabled: false,
        forecast_model: None,
        paused: Paused::default(),
    }
}

fn empty_guardrail(namespace: &str) -> Guardrail {
    Guardrail {
        namespace: namespace.into(),
        version: "uid/1".into(),
        targets: BTreeMap::new(),
        freeze: false,
        highest_mode: Mode::Auto,
        cost_budget_per_hour: None,
        cost_budget_per_month: None,
    }
}

fn limits() -> TargetLimits {
    TargetLimits {
        bounds: Bounds { min: 1, max: 60 },
        max_step_up: 10,
        max_step_down: 3,
        resources: ResourceBounds::default(),
        highest_criticality: Criticality::Critical,
        allow_zero: false,
    }
}

fn requests() -> ResourceList {
    ResourceList { cpu: Millicores(500), memory: Bytes(512 * Bytes::MIB), pods: 1, extended: BTreeMap::new() }
}

fn workload(target: usize, key: TargetKey, now: Timestamp) -> Workload {
    let resources = ContainerResources {
        cpu_request: Some(Millicores(500)),
        cpu_limit: None,
        memory_request: Some(Bytes(512 * Bytes::MIB)),
        memory_limit: Some(Bytes(1024 * Bytes::MIB)),
    };
    let created = now.checked_sub(SignedDuration::from_hours(30)).ok();
    let pods = (0..PODS).map(|pod| Pod {
        name: format!("{}-{pod}", key.name).into(),
        node: Some(format!("node-{}", target / TARGETS_A_NODE).into()),
        phase: PodPhase::Ready,
        created,
        scheduled: created,
        ready_since: created.and_then(|c| c.checked_add(SignedDuration::from_secs(30)).ok()),
        restarts: 0,
        oom_killed: false,
        current_template: true,
        size: PodSize::default(),
    });
    let replicas = ReplicaCounts { desired: PODS as u32, current: PODS as u32, ready: PODS as u32 };
    Workload {
        uid: format!("uid-{target}").into(),
        generation: 1,
        resource_version: "1".into(),
        replicas,
        rollout: Rollout::Complete,
        template: PodTemplate {
            hash: "template".into(),
            containers: vec![Container { name: "app".into(), resources }],
            shape: PodShape { requests: requests(), ..PodShape::default() },
        },
        resized: None,
        pods: pods.collect(),
        writers: Vec::new(),
        autoscalers: Vec::new(),
        disruption_budgets: Vec::new(),
        annotations: BTreeMap::new(),
        routes: Routes::default(),
        created,
        key,
    }
}

fn node(index: usize, now: Timestamp) -> Node {
    let mut requested = ResourceList::default();
    requested.add(&requests(), (TARGETS_A_NODE * PODS) as u32);
    let allocatable = ResourceList { cpu: Millicores(31_000), memory: Bytes(120 << 30), pods: 110, extended: BTreeMap::new() };
    Node {
        name: format!("node-{index}").into(),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        allocatable,
        requested,
        ready: true,
        unschedulable: false,
        created: Some(now),
        ready_since: Some(now),
        pool: None,
        price_per_hour: Some(MicroUsd(1_536_000)),
    }
}

fn catalogue() -> Catalogue {
    let offering = Offering { zone: "a".into(), capacity_type: CapacityType::OnDemand, price_per_hour: MicroUsd(1_536_000) };
    let large = InstanceType {
        name: "m6i.8xlarge".into(),
        family: "m6i".into(),
        labels: BTreeMap::new(),
        allocatable: ResourceList { cpu: Millicores(31_000), memory: Bytes(120 << 30), pods: 110, extended: BTreeMap::new() },
        offerings: vec![offering],
    };
    Catalogue { source: "benchmark".into(), as_of: None, types: BTreeMap::from([(large.name.clone(), large)]) }
}

#[async_trait]
impl Cluster for World {
    async fn observe(&self, _: Timestamp) -> Result<ClusterFacts, PortError> {
        Ok(self.facts.lock().expect("no panic before").clone())
    }
}

#[async_trait]
impl Metrics for World {
    async fn signals(&self, _: &BTreeMap<GroupId, Group>, _: &BTreeMap<TargetKey, Workload>, _: Timestamp) -> (Signals, SourceHealth) {
        (self.signals.lock().expect("no panic before").clone(), SourceHealth::Ok)
    }

    async fn demand_history(&self, _: &TargetKey, now: Timestamp) -> Result<Series, PortError> {
        Ok(Series::new(now, 60))
    }
}

#[async_trait]
impl Prices for World {
    async fn catalogue(&self, _: Timestamp) -> Arc<Catalogue> {
        self.catalogue.clone()
    }
}

#[async_trait]
impl Actuator for World {
    async fn carry_out(&self, released: Released, now: Timestamp) -> Outcome {
        // The count moves, so that the next tick starts from it; the pods stay three, which is what is measured.
        if let Change::Replicas(change) = released.change()
            && let Some(workload) = self.facts.lock().expect("no panic before").workloads.get_mut(&change.target)
        {
            workload.replicas = ReplicaCounts { desired: change.to, current: change.to, ready: change.to };
        }
        let proposal = released.proposal();
        Outcome {
            proposal: proposal.id.clone(),
            origin: proposal.origin,
            change: released.change().clone(),
            result: OutcomeResult::Applied { resource_version: None },
            at: now,
        }
    }
}

#[async_trait]
impl Lease for World {
    async fn epoch(&self, _: Timestamp) -> Option<u64> {
        Some(1)
    }
}

#[async_trait]
impl Status for World {
    async fn publish(&self, _: &[GroupStatus]) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl Queue for World {
    async fn enqueue(&self, _: &QueuedProposal) -> Result<(), PortError> {
        Ok(())
    }

    async fn close(&self, _: &QueuedProposal, _: &str, _: &str, _: Timestamp) -> Result<(), PortError> {
        Ok(())
    }

    async fn forget(&self, _: &QueuedProposal) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl State for World {
    async fn load(&self) -> Result<Option<ipa::domain::memory::Memory>, PortError> {
        Ok(None)
    }

    async fn save(&self, _: &ipa::domain::memory::Memory) -> Result<(), PortError> {
        Ok(())
    }

    async fn save_gate(&self, _: &ipa::domain::memory::Memory) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        *self.now.lock().expect("no panic before")
    }

    async fn sleep_until(&self, _: Timestamp) {
        tokio::time::sleep(Duration::ZERO).await;
    }
}
