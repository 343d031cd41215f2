//! Test worlds: snapshots of one group with signals that follow a function of time. The one door through which this room's tests get theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::limits::{Actuation, Bounds, Criticality, GateLimits, Group, GroupTarget, Modes, Paused, Slo, TimeZoneName};
use crate::domain::memory::Memory;
use crate::domain::names::{GroupId, TargetKey, TickId};
use crate::domain::resize::PodSize;
use crate::domain::series::{COARSE_SAMPLES, FINE_SAMPLES, History, MIDDLE_SAMPLES, Series};
use crate::domain::signal::{Signal, SignalName};
use crate::domain::snapshot::{ClusterFacts, Snapshot, SourceHealth};
use crate::domain::units::{Bytes, GoDuration, Millicores};
use crate::domain::workload::{
    Container, ContainerResources, Pod, PodPhase, PodShape, PodTemplate, ReplicaCounts, ResourceList, Rollout, Routes, Workload,
};

/// Wednesday, 4 March 2026, 10:00 UTC.
pub(crate) const NOW: i64 = 1_772_618_400;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A history up to `now` of `value` (of Unix seconds), `days` long.
pub(crate) fn history(now: i64, days: f64, value: &dyn Fn(i64) -> f32) -> History {
    let tier = |step: u32, keep: usize| {
        let count = ((days * 86_400.0 / f64::from(step)) as usize).min(keep);
        let end = now - now.rem_euclid(i64::from(step));
        let start = end - i64::from(step) * (i64::try_from(count.max(1)).unwrap() - 1);
        // A coarse sample is the mean of what it stands for.
        let mean = |end: i64| {
            let parts = (i64::from(step) / 60).min(12);
            (0..parts).map(|p| value(end - p * i64::from(step) / parts)).sum::<f32>() / parts as f32
        };
        let values = (0..count).map(|i| mean(start + i64::from(step) * i64::try_from(i).unwrap())).collect();
        Series { start: at(start), step_s: step, values }
    };
    History { fine: tier(60, FINE_SAMPLES), middle: tier(300, MIDDLE_SAMPLES), coarse: Some(tier(3600, COARSE_SAMPLES)) }
}

/// A daily wave between 20 and 180 with its peak at 14:00 UTC.
pub(crate) fn daily(second: i64) -> f32 {
    let hour = second.rem_euclid(86_400) as f32 / 3600.0;
    100.0 + 80.0 * ((hour - 14.0) / 24.0 * std::f32::consts::TAU).cos()
}

pub(crate) fn workload(name: &str, desired: u32) -> Workload {
    let resources = ContainerResources {
        cpu_request: Some(Millicores(500)),
        memory_request: Some(Bytes(512 << 20)),
        memory_limit: Some(Bytes(1 << 30)),
        ..Default::default()
    };
    let requests = ResourceList { cpu: Millicores(500), memory: Bytes(512 << 20), pods: 1, ..Default::default() };
    let pod = |index: u32| Pod {
        name: format!("{name}-{index}").into(),
        node: Some("n1".into()),
        phase: PodPhase::Ready,
        created: Some(at(NOW - 9000)),
        scheduled: Some(at(NOW - 9000)),
        ready_since: Some(at(NOW - 8940)),
        restarts: 0,
        oom_killed: false,
        current_template: true,
        size: PodSize::default(),
    };
    Workload {
        key: TargetKey::deployment("shop", name),
        uid: format!("uid-{name}").into(),
        generation: 1,
        resource_version: "1".into(),
        replicas: ReplicaCounts { desired, current: desired, ready: desired },
        rollout: Rollout::Complete,
        template: PodTemplate {
            hash: "h1".into(),
            containers: vec![Container { name: "app".into(), resources }],
            shape: PodShape { requests, ..Default::default() },
        },
        resized: None,
        pods: (0..desired).map(pod).collect(),
        writers: vec![],
        autoscalers: vec![],
        disruption_budgets: vec![],
        annotations: BTreeMap::default(),
        routes: Routes::default(),
        created: None,
    }
}

/// A snapshot of one group with nothing in it.
pub(crate) fn empty(now: i64) -> Snapshot {
    let id = GroupId::new("shop", "shop");
    let group = Group {
        id: id.clone(),
        uid: "g1".into(),
        generation: 1,
        created: None,
        targets: vec![],
        modes: Modes::default(),
        signals: vec![],
        slo: Some(Slo { latency: GoDuration(std::time::Duration::from_millis(250)), ..Slo::default() }),
        cost_budget_per_hour: None,
        time_zone: TimeZoneName::utc(),
        freeze_windows: vec![],
        surges: vec![],
        depends_on: vec![],
        actuation: Actuation::Replicas,
        human_hold: GoDuration::default(),
        model_enabled: false,
        forecast_model: None,
        paused: Paused::default(),
    };
    Snapshot {
        at: at(now),
        tick: TickId(7),
        cluster: "test".into(),
        facts: ClusterFacts { groups: BTreeMap::from([(id, group)]), ..Default::default() },
        signals: BTreeMap::new(),
        metrics_health: SourceHealth::Ok,
        catalogue: Arc::default(),
        limits: GateLimits::default(),
        outcomes: vec![],
        memory: Memory::default(),
        past: vec![],
    }
}

/// Adds a target with `replicas` that serve 50 units/s each where `declared`, and gives its key.
pub(crate) fn add(snapshot: &mut Snapshot, name: &str, replicas: u32, declared: bool) -> TargetKey {
    let workload = workload(name, replicas);
    let key = workload.key.clone();
    let group = snapshot.facts.groups.values_mut().next().unwrap();
    group.targets.push(GroupTarget {
        key: key.clone(),
        container: None,
        bounds: Bounds { min: 2, max: 60 },
        criticality: Criticality::Medium,
        capacity_per_replica: declared.then_some(50.0),
    });
    snapshot.facts.workloads.insert(key.clone(), workload);
    key
}

/// Gives a target a signal.
pub(crate) fn signal(snapshot: &mut Snapshot, key: &TargetKey, name: SignalName, history: History) {
    let signal = Signal { history: Arc::new(history), newest: None, source: "test".into(), faults: vec![] };
    snapshot.signals.entry(key.clone()).or_default().insert(name, signal);
}
