//! One calm world in which everything is allowed, and one door through which every rule is tested: a test disturbs the world, proposes, and
//! compares all that is said.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::judge;
use crate::domain::fleet::{CapacityType, Catalogue, InstanceType, Node, NodePool, Offering};
use crate::domain::limits::{
    Actuation, Bounds, Criticality, Fleet, FleetLimits, GateLimits, Group, GroupTarget, Guardrail, Mode, Modes, NodeClassRef, Paused,
    Provider, ResourceBounds, TargetLimits, TimeZoneName,
};
use crate::domain::memory::{ChangeMark, Commitments, Memory};
use crate::domain::names::{GroupId, ProposalId, TargetKey, TickId};
use crate::domain::plan::{CapacitySource, Plan, SizingBasis, SizingReason, TargetPlan};
use crate::domain::proposal::{Change, Origin, Proposal, ReplicasChange, ResourcesChange};
use crate::domain::resize::{PodSize, Through};
use crate::domain::review::Review;
use crate::domain::series::History;
use crate::domain::signal::{Signal, SignalName};
use crate::domain::snapshot::{ClusterFacts, Snapshot, SourceHealth};
use crate::domain::units::{Bytes, GoDuration, MicroUsd, Millicores};
use crate::domain::workload::{
    Container, ContainerResources, Pod, PodPhase, PodShape, PodTemplate, ReplicaCounts, ResourceList, Rollout, Routes, Workload,
};

/// What a batch is judged against.
#[derive(Debug)]
pub(super) struct Setup {
    pub snapshot: Snapshot,
    pub plan: Plan,
    pub commitments: Commitments,
}

/// Sunday morning: nothing is going on.
pub(super) fn now() -> Timestamp {
    "2026-03-01T10:00:00Z".parse().unwrap()
}

pub(super) fn minutes_ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

pub(super) fn web() -> TargetKey {
    TargetKey::deployment("shop", "web")
}

/// Group `shop/shop` with target `web`: 10 ready replicas of 1 core that need 8, bounds 2 to 60, steps of 10 and 5, room for 30 more, Auto.
pub(super) fn calm() -> Setup {
    let mut setup = Setup {
        snapshot: Snapshot {
            at: now(),
            tick: TickId(7),
            cluster: "test".into(),
            facts: ClusterFacts { nodes: vec![node("n1", 64), node("n2", 16)], ..ClusterFacts::default() },
            signals: BTreeMap::new(),
            metrics_health: SourceHealth::Ok,
            catalogue: Arc::new(catalogue()),
            limits: GateLimits { change_floor: 1_000, ..GateLimits::default() },
            outcomes: Vec::new(),
            memory: Memory::default(),
            past: Vec::new(),
        },
        plan: Plan::default(),
        commitments: Commitments::default(),
    };
    setup.snapshot.memory.gate.started = Some(minutes_ago(600));
    setup.add("web");
    setup
}

/// Judges one proposal of the planner alone and compares every word.
pub(super) fn check(setup: &Setup, change: Change, expect: &str) {
    check_from(setup, Origin::Planner, change, expect);
}

/// The same for another origin.
pub(super) fn check_from(setup: &Setup, origin: Origin, change: Change, expect: &str) {
    let reviews = judge(&setup.snapshot, &setup.plan, &setup.commitments, &[proposal(1, origin, change)]);
    assert_eq!(reviews.iter().map(said).collect::<Vec<_>>().join("\n"), expect);
}

/// A review as text: the verdict with what is left of the change, then each ruling.
pub(super) fn said(review: &Review) -> String {
    let change = review.change.as_ref().map_or(String::new(), |change| format!(" {}", short(change)));
    let rulings = review.rulings.iter().map(|ruling| format!("\n{} {:?}: {}", ruling.rule, ruling.verdict, ruling.sentence));
    format!("{:?}{change}", review.verdict) + &rulings.collect::<String>()
}

fn short(change: &Change) -> String {
    match change {
        Change::Replicas(c) => format!("{} -> {}", c.from, c.to),
        other => other.summary(),
    }
}

pub(super) fn proposal(number: u32, origin: Origin, change: Change) -> Proposal {
    let namespace = change.target().map_or("", |target| &target.namespace);
    Proposal {
        id: ProposalId(format!("t7-{number:04}")),
        group: if namespace.is_empty() { GroupId::fleet("main") } else { GroupId::new(namespace, "shop") },
        origin,
        change,
        rationale: "text that no rule reads".into(),
        evidence: Vec::new(),
        made: now(),
        cost_change_per_hour: None,
    }
}

/// `web` from 10 to `to`.
pub(super) fn replicas(to: u32) -> Change {
    replicas_of("web", 10, to)
}

pub(super) fn replicas_of(name: &str, from: u32, to: u32) -> Change {
    Change::Replicas(ReplicasChange { target: TargetKey::deployment("shop", name), uid: format!("uid-{name}").as_str().into(), from, to })
}

/// Other resources of `web`'s container: CPU request, memory request and memory limit.
pub(super) fn resources(cpu: &str, memory: &str, memory_limit: &str) -> Change {
    Change::Resources(ResourcesChange {
        target: web(),
        uid: "uid-web".into(),
        container: "app".into(),
        from: app_resources(),
        to: ContainerResources {
            cpu_request: Some(Millicores::parse(cpu).unwrap()),
            cpu_limit: None,
            memory_request: Some(Bytes::parse(memory).unwrap()),
            memory_limit: Some(Bytes::parse(memory_limit).unwrap()),
        },
        through: Through::Template,
    })
}

/// The same, in place.
pub(super) fn in_place(change: Change) -> Change {
    let Change::Resources(change) = change else { panic!("{change:?}") };
    Change::Resources(ResourcesChange { through: Through::Pods, ..change })
}

pub(super) fn app_resources() -> ContainerResources {
    ContainerResources {
        cpu_request: Some(Millicores(1000)),
        cpu_limit: None,
        memory_request: Some(Bytes(512 * Bytes::MIB)),
        memory_limit: Some(Bytes(1024 * Bytes::MIB)),
    }
}

/// A node with `cores` free.
pub(super) fn node(name: &str, cores: u64) -> Node {
    Node {
        name: name.into(),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        allocatable: ResourceList { cpu: Millicores(cores * 1000), memory: Bytes(256 << 30), pods: 110, extended: BTreeMap::new() },
        requested: ResourceList::default(),
        ready: true,
        unschedulable: false,
        created: None,
        ready_since: None,
        pool: None,
        price_per_hour: Some(MicroUsd(200_000)),
    }
}

pub(super) fn pool(limit_cores: u64) -> NodePool {
    NodePool {
        name: "general".into(),
        requirements: Vec::new(),
        taints: Vec::new(),
        limits: Some(ResourceList { cpu: Millicores(limit_cores * 1000), ..ResourceList::default() }),
        weight: 10,
    }
}

pub(super) fn fleet() -> Fleet {
    Fleet {
        id: GroupId::fleet("main"),
        uid: "uid-main".into(),
        generation: 1,
        provider: Provider::Karpenter,
        pools: vec!["general".into(), "batch".into()],
        node_class: NodeClassRef::default(),
        families: vec!["m6i".into()],
        zones: vec!["a".into()],
        capacity_types: vec![CapacityType::OnDemand, CapacityType::Spot],
        least_on_demand_percent: 20,
        least_types_per_pool: 2,
        blast_radius_percent: 25,
        limits: FleetLimits { cpu: Some(Millicores(100_000)), memory: None },
        cost_budget_per_hour: None,
        highest_mode: Mode::Auto,
    }
}

fn catalogue() -> Catalogue {
    let kind = |name: &str, family: &str, cores: u64| {
        let offer = |capacity_type, micro| Offering { zone: "a".into(), capacity_type, price_per_hour: MicroUsd(micro) };
        InstanceType {
            name: name.into(),
            family: family.into(),
            labels: BTreeMap::new(),
            allocatable: ResourceList { cpu: Millicores(cores * 1000), memory: Bytes(cores << 32), pods: 58, extended: BTreeMap::new() },
            offerings: vec![offer(CapacityType::OnDemand, 200_000), offer(CapacityType::Spot, 70_000)],
        }
    };
    let types = [kind("m6i.xlarge", "m6i", 4), kind("m6i.2xlarge", "m6i", 8), kind("c6i.xlarge", "c6i", 4)];
    Catalogue { source: "test".into(), as_of: None, types: types.into_iter().map(|kind| (kind.name.clone(), kind)).collect() }
}

impl Setup {
    /// Adds a target like `web` to group and guardrail.
    pub(super) fn add(&mut self, name: &str) {
        let key = TargetKey::deployment("shop", name);
        let facts = &mut self.snapshot.facts;
        let group = facts.groups.entry(GroupId::new("shop", "shop")).or_insert_with(group);
        group.targets.push(GroupTarget {
            key: key.clone(),
            container: None,
            bounds: Bounds::new(2, 60).unwrap(),
            criticality: Criticality::Medium,
            capacity_per_replica: None,
        });
        let guardrail = facts.guardrails.entry("shop".into()).or_insert_with(guardrail);
        guardrail.targets.insert(key.clone(), limits());
        facts.workloads.insert(key.clone(), workload(&key));
        self.plan.targets.insert(key.clone(), target_plan());
        let mib = Bytes::MIB as f32;
        for (signal, value) in [
            (SignalName::Demand, 400.0),
            (SignalName::Cpu, 4.0),
            (SignalName::Memory, 300.0 * mib),
            (SignalName::Latency, 0.1),
            (SignalName::Errors, 0.001),
        ] {
            self.set_signal_of(&key, signal, |_| value);
        }
    }

    /// Gives `web` a signal by minutes ago, for the last two hours; what is not finite is a gap.
    pub(super) fn set_signal(&mut self, name: SignalName, value: impl Fn(i64) -> f32) {
        self.set_signal_of(&web(), name, value);
    }

    fn set_signal_of(&mut self, target: &TargetKey, name: SignalName, value: impl Fn(i64) -> f32) {
        let mut history = History::new(minutes_ago(120), false);
        for minute in (0..=120).rev() {
            history.push_minute(minutes_ago(minute), value(minute));
        }
        let signal = Signal { history: Arc::new(history), newest: None, source: "test".into(), faults: Vec::new() };
        self.snapshot.signals.entry(target.clone()).or_default().insert(name, signal);
    }

    pub(super) fn signal(&mut self, name: &SignalName) -> &mut Signal {
        self.snapshot.signals.get_mut(&web()).unwrap().get_mut(name).unwrap()
    }

    pub(super) fn drop_signal(&mut self, name: &SignalName) {
        self.snapshot.signals.get_mut(&web()).unwrap().remove(name);
    }

    pub(super) fn workload(&mut self) -> &mut Workload {
        self.snapshot.facts.workloads.get_mut(&web()).unwrap()
    }

    pub(super) fn group(&mut self) -> &mut Group {
        self.snapshot.facts.groups.get_mut(&GroupId::new("shop", "shop")).unwrap()
    }

    pub(super) fn guardrail(&mut self) -> &mut Guardrail {
        self.snapshot.facts.guardrails.get_mut("shop").unwrap()
    }

    pub(super) fn limits(&mut self) -> &mut TargetLimits {
        self.guardrail().targets.get_mut(&web()).unwrap()
    }

    pub(super) fn target_plan(&mut self) -> &mut TargetPlan {
        self.plan.targets.get_mut(&web()).unwrap()
    }

    /// Remembers that `web` was changed.
    pub(super) fn mark(&mut self, minutes: i64, from: u32, to: u32) {
        let mark = ChangeMark { at: minutes_ago(minutes), origin: Origin::Planner, from, to };
        self.snapshot.memory.gate.changes.entry(web()).or_default().push_back(mark);
    }
}

fn group() -> Group {
    Group {
        id: GroupId::new("shop", "shop"),
        uid: "uid-shop".into(),
        generation: 1,
        created: None,
        targets: Vec::new(),
        modes: Modes::all(Mode::Auto),
        signals: Vec::new(),
        slo: None,
        cost_budget_per_hour: None,
        time_zone: TimeZoneName::utc(),
        freeze_windows: Vec::new(),
        surges: Vec::new(),
        depends_on: Vec::new(),
        actuation: Actuation::Replicas,
        human_hold: GoDuration::from_mins(15),
        model_enabled: true,
        forecast_model: None,
        paused: Paused::default(),
    }
}

fn guardrail() -> Guardrail {
    Guardrail {
        namespace: "shop".into(),
        version: "uid-guardrail/1".into(),
        targets: BTreeMap::new(),
        freeze: false,
        highest_mode: Mode::Auto,
        cost_budget_per_hour: None,
        cost_budget_per_month: None,
    }
}

fn limits() -> TargetLimits {
    TargetLimits {
        bounds: Bounds::new(2, 60).unwrap(),
        max_step_up: 10,
        max_step_down: 5,
        resources: ResourceBounds {
            min_cpu: Some(Millicores(100)),
            max_cpu: Some(Millicores(4000)),
            min_memory: Some(Bytes(128 * Bytes::MIB)),
            max_memory: Some(Bytes(4096 * Bytes::MIB)),
        },
        highest_criticality: Criticality::Critical,
        allow_zero: false,
    }
}

fn workload(key: &TargetKey) -> Workload {
    let requests = ResourceList { cpu: Millicores(1000), memory: Bytes(512 * Bytes::MIB), pods: 1, extended: BTreeMap::new() };
    let pod = |number: u32| Pod {
        name: format!("{}-{number}", key.name).as_str().into(),
        node: Some("n1".into()),
        phase: PodPhase::Ready,
        created: Some(minutes_ago(300)),
        scheduled: Some(minutes_ago(300)),
        ready_since: Some(minutes_ago(299)),
        restarts: 0,
        oom_killed: false,
        current_template: true,
        size: PodSize::default(),
    };
    Workload {
        key: key.clone(),
        uid: format!("uid-{}", key.name).as_str().into(),
        generation: 3,
        resource_version: "100".into(),
        replicas: ReplicaCounts { desired: 10, current: 10, ready: 10 },
        rollout: Rollout::Complete,
        template: PodTemplate {
            hash: "h1".into(),
            containers: vec![
                Container { name: "app".into(), resources: app_resources() },
                Container { name: "sidecar".into(), resources: ContainerResources::default() },
            ],
            shape: PodShape { requests, ..PodShape::default() },
        },
        resized: None,
        pods: (0..10).map(pod).collect(),
        writers: Vec::new(),
        autoscalers: Vec::new(),
        disruption_budgets: Vec::new(),
        annotations: BTreeMap::new(),
        routes: Routes::default(),
        created: Some(minutes_ago(10_000)),
    }
}

/// Eight replicas of $0.05 an hour.
fn target_plan() -> TargetPlan {
    TargetPlan {
        replicas: 8,
        p50_need: 7,
        basis: SizingBasis {
            reason: SizingReason::Forecast,
            demand_now: Some(400.0),
            demand_planned: Some(420.0),
            quantile: 0.9,
            lead_s: 120.0,
            capacity_per_replica: Some(60.0),
            capacity_source: CapacitySource::Declared,
            target_utilization: 0.85,
            raw: Some(8),
        },
        resources: None,
        outlook: None,
        shadow_hpa: None,
        cost_per_hour: Some(MicroUsd(400_000)),
    }
}
