//! One target at one tick: what is learned from it, and the situation it is sized from.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::domain::fleet::Node;
use crate::domain::limits::{Bounds, Group, GroupTarget, Slo};
use crate::domain::memory::TargetMemory;
use crate::domain::names::TargetKey;
use crate::domain::outlook::Outlook;
use crate::domain::plan::CapacitySource;
use crate::domain::series::Series;
use crate::domain::signal::{Signal, SignalName};
use crate::domain::snapshot::Snapshot;
use crate::domain::units::Millicores;
use crate::domain::workload::{AutoscalerKind, Container, PodPhase, ResourceList, Rollout, Workload};
use crate::forecast::load_signal;
use crate::hpa::{DEFAULT_CPU_TARGET_PERCENT, DEFAULT_TOLERANCE_MILLI, HpaSettings, PodMetrics, recommend};
use crate::scheduling::feasible;
use crate::sizing::{
    Load, ResourceEvidence, SeenBefore, Situation, capacity_of, lasting_throttling, lead, learn_capacity, learn_cpu, learn_memory,
    learn_oom_kills, learn_startup, observed_service, tuned,
};

/// The interval at which a next decision can be made, seconds: the agent loop's minute.
const TICK_S: f64 = 60.0;
/// Minutes of load without which a workload counts as new.
const LEAST_MINUTES: usize = 15;
/// An announced surge that begins later is not in the outlook yet.
const SURGE_NEAR: SignedDuration = SignedDuration::from_hours(1);
/// Slow for longer than this is how a service is, and no news.
const DEGRADED_FOR_LESS: SignedDuration = SignedDuration::from_mins(30);
/// Share of failing requests from which nothing is taken away; and from which there is nobody left to be served.
const FAILING: f64 = 0.05;
const WHOLLY_FAILING: f64 = 0.95;
/// Nodes with most room that are asked whether a next pod fits: all of a large cluster would be asked ten thousand times.
const ROOMIEST: usize = 8;

/// What does not change from target to target.
pub(super) struct Assessor<'a> {
    snapshot: &'a Snapshot,
    provisioning_s: VecDeque<f32>,
    roomiest: Vec<&'a Node>,
    stale_after: SignedDuration,
}

/// A target that was assessed.
pub(super) struct Assessed<'a> {
    pub group: &'a Group,
    pub target: &'a GroupTarget,
    pub workload: &'a Workload,
    pub container: Option<&'a Container>,
    pub load: Option<&'a SignalName>,
    pub situation: Situation<'a>,
    cpu_now: Option<f64>,
    memory_max: Option<f64>,
}

impl<'a> Assessor<'a> {
    pub fn of(snapshot: &'a Snapshot, provisioning_s: &VecDeque<f32>) -> Self {
        let mut roomiest: Vec<(ResourceList, &Node)> =
            snapshot.facts.nodes.iter().filter(|node| node.usable()).map(|node| (node.room(), node)).collect();
        roomiest.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
        Self {
            snapshot,
            provisioning_s: provisioning_s.clone(),
            roomiest: roomiest.into_iter().take(ROOMIEST).map(|(_, node)| node).collect(),
            stale_after: snapshot.limits.stale_after.signed(),
        }
    }

    /// Learns from what is shown of a target and gives its situation.
    pub fn assess(
        &self,
        group: &'a Group,
        target: &'a GroupTarget,
        workload: &'a Workload,
        outlook: Option<&'a Outlook>,
        memory: &mut TargetMemory,
    ) -> Assessed<'a> {
        let now = self.snapshot.at;
        let signals = self.snapshot.signals.get(&target.key);
        let signal = |name: &SignalName| -> Option<&'a Signal> { signals?.get(name) };
        let fresh = |name: &SignalName| signal(name)?.fresh(now, self.stale_after).filter(|v| v.is_finite());
        let container = workload.container(target.container.as_deref());
        let resources = container.map(|c| c.resources).unwrap_or_default();
        let request = resources.cpu_request.map(Millicores::cores).filter(|r| *r > 0.0);
        let ready = workload.replicas.ready;
        let (load, load_history) = load_signal(self.snapshot, group, &target.key).unzip();
        let load_is_cpu = load == Some(&SignalName::Cpu);
        let load_now = load.and_then(fresh);
        let cpu = fresh(&SignalName::Cpu);
        let latency_ratio = group.slo.and_then(|slo| fresh(&SignalName::Latency).map(|l| l / slo.latency.seconds().max(1e-3)));
        let errors = fresh(&SignalName::Errors);
        let throttling = fresh(&SignalName::Throttling);
        let each = |total: Option<f64>| total.filter(|_| ready > 0).map(|total| total / f64::from(ready));

        let new_template = !memory.template.is_empty() && memory.template != workload.template.hash;
        learn_startup(memory, workload);
        // Reflex passes between ticks look again at the same minute; it counts once.
        let first_look = memory.needs.back().is_none_or(|(at, _)| at.as_second().div_euclid(60) != now.as_second().div_euclid(60));
        if first_look {
            if !load_is_cpu {
                // Over the minute that CPU was measured over, where that is known.
                let ready = fresh(&SignalName::Ready).unwrap_or_else(|| f64::from(ready));
                let settled = workload.rollout == Rollout::Complete;
                let seen = Load { demand: load_now, cpu, latency_ratio, errors, throttling, ready, settled };
                let history = |name: &SignalName| signal(name).map(|signal| &*signal.history);
                let before = load_history.zip(history(&SignalName::Cpu)).map(|(demand, cpu)| SeenBefore {
                    demand: &demand.history,
                    cpu,
                    latency: history(&SignalName::Latency).filter(|_| group.slo.is_some()),
                    ready: history(&SignalName::Ready),
                    promised_s: group.slo.map_or(0.0, |slo| slo.latency.seconds()),
                });
                learn_capacity(&mut memory.capacity, &seen, before.as_ref());
            }
            if let Some(cores) = each(cpu) {
                learn_cpu(&mut memory.usage, cores);
            }
        }
        let killed = workload.pods.iter().any(|pod| pod.oom_killed) || fresh(&SignalName::OomKills).is_some_and(|kills| kills >= 1.0);
        learn_oom_kills(memory, now, killed, resources.memory_limit);
        if let Some(bytes) = fresh(&SignalName::Memory) {
            learn_memory(&mut memory.usage, now, bytes);
        }
        memory.headroom = memory.headroom.filter(|headroom| headroom.until > now);

        let (known, mut source) = capacity_of(&mut memory.capacity, target.capacity_per_replica, &resources, new_template);
        let by_cpu = || Some(request? * load_now? / cpu.filter(|c| *c > 0.0)?).filter(|c| *c > 0.0);
        let capacity = if load_is_cpu {
            source = CapacitySource::Unknown;
            request
        } else {
            known.or_else(by_cpu)
        };
        let needs_node = !self.roomiest.iter().any(|node| feasible(&workload.template.shape, node).is_ok());
        let slo = group.slo.unwrap_or_default();
        let bounds = self.bounds(target);
        let mut by_tuning = || {
            let tuning = memory.tuning.as_ref()?;
            let service = observed_service(&slo, capacity?, signal(&SignalName::Latency));
            load_now.and(load_history)?;
            tuned(tuning, &mut memory.peak_watch, load_history?, &service, &slo, bounds, now)
        };
        let tuned = if load_is_cpu { None } else { by_tuning() };
        let surge_near = group.surges.iter().any(|surge| surge.start >= now && surge.start.duration_since(now) <= SURGE_NEAR);
        let situation = Situation {
            at: now,
            desired: workload.replicas.desired,
            ready,
            bounds,
            slo,
            outlook,
            load_now,
            load_is_cpu,
            from_callers: 0.0,
            capacity,
            capacity_source: source,
            lead: lead(memory, &self.provisioning_s, needs_node && !self.snapshot.facts.nodes.is_empty(), TICK_S),
            headroom: memory.headroom,
            surge_near,
            tuned,
            queue: fresh(&SignalName::Queue).or_else(|| fresh(&SignalName::LlmWaiting)),
            latency_ratio,
            errors,
            throttling,
            cpu_utilization: each(cpu).zip(request).map(|(used, request)| used / request),
            degraded: degraded(now, group.slo, signal(&SignalName::Latency), latency_ratio, errors),
            young: load_history.is_none_or(|signal| is_young(&signal.history.fine)),
        };
        let memory_max = signal(&SignalName::Memory).and_then(largest);
        Assessed { group, target, workload, container, load, situation, cpu_now: each(cpu), memory_max }
    }

    /// The team's bounds inside the platform's; never none at all unless the platform allows it.
    fn bounds(&self, target: &GroupTarget) -> Bounds {
        let limits = self.snapshot.target_limits(&target.key);
        let platform = limits.map_or(target.bounds, |limits| limits.bounds);
        let least = u32::from(!limits.is_some_and(|limits| limits.allow_zero));
        let max = target.bounds.max.min(platform.max).max(least);
        Bounds { min: target.bounds.min.max(platform.min).max(least).min(max), max }
    }
}

impl Assessed<'_> {
    pub fn key(&self) -> &TargetKey {
        &self.target.key
    }

    /// Pods that are bound to a node and stay there.
    pub fn bound_pods(&self) -> u32 {
        if self.workload.pods.is_empty() {
            return self.workload.replicas.current;
        }
        let bound = |phase| matches!(phase, PodPhase::Starting | PodPhase::Ready);
        u32::try_from(self.workload.pods.iter().filter(|pod| pod.node.is_some() && bound(pod.phase)).count()).unwrap_or(u32::MAX)
    }

    /// What the target's own HPA, or one at the usual target, would ask for from the same CPU.
    pub fn shadow_hpa(&self) -> Option<u32> {
        let own = self.workload.autoscaled_by(AutoscalerKind::HPA);
        let settings = HpaSettings {
            target_percent: own.and_then(|hpa| hpa.cpu_target_percent).unwrap_or(DEFAULT_CPU_TARGET_PERCENT),
            tolerance_milli: DEFAULT_TOLERANCE_MILLI,
            bounds: own
                .and_then(|hpa| Bounds::new(hpa.min.unwrap_or(1), hpa.max.unwrap_or(self.situation.bounds.max)))
                .unwrap_or(self.situation.bounds),
        };
        let request = self.container?.resources.cpu_request?;
        let counts = self.workload.replicas;
        let metrics = PodMetrics {
            usage_milli: (self.cpu_now? * f64::from(counts.ready) * 1000.0).round().clamp(0.0, 1e15) as u64,
            request_milli: request.0,
            measured: counts.ready,
            unready: counts.current.saturating_sub(counts.ready),
            missing: 0,
        };
        recommend(&metrics, counts.desired, &settings)
    }

    /// What right-sizing rests on.
    pub fn resource_evidence<'m>(&self, snapshot: &Snapshot, memory: &'m TargetMemory) -> ResourceEvidence<'m> {
        let marks = snapshot.memory.gate.changes.get(self.key());
        // A mark that moved no replicas is a change of resources.
        let resized = marks.and_then(|marks| marks.iter().rev().find(|mark| mark.from == mark.to));
        ResourceEvidence {
            at: snapshot.at,
            usage: &memory.usage,
            cpu_now: self.cpu_now,
            memory_max: self.memory_max,
            oom_kill: memory.oom_kills.back().copied(),
            oom_kills: memory.oom_kills.len() as u32,
            throttled: lasting_throttling(snapshot, self.key()),
            last_change: resized.map(|mark| mark.at),
            bounds: snapshot.target_limits(self.key()).map(|limits| limits.resources).unwrap_or_default(),
        }
    }
}

/// Whether answers are slower than promised, or fail, and were not all the time of late: a promise that is never kept is no reason to hold for ever.
fn degraded(now: Timestamp, slo: Option<Slo>, latency: Option<&Signal>, latency_ratio: Option<f64>, errors: Option<f64>) -> bool {
    let slow = latency_ratio.is_some_and(|ratio| ratio > 1.0);
    let lately = || {
        let (slo, latency) = slo.zip(latency)?;
        let promised = slo.latency.seconds() as f32;
        Some(latency.history.fine.window(now, DEGRADED_FOR_LESS).iter().any(|seconds| *seconds <= promised))
    };
    (slow && lately().unwrap_or(false)) || errors.is_some_and(|share| (FAILING..WHOLLY_FAILING).contains(&share))
}

fn is_young(fine: &Series) -> bool {
    fine.values.iter().rev().filter(|v| v.is_finite()).take(LEAST_MINUTES).count() < LEAST_MINUTES
}

/// The largest value of a signal over all tiers.
fn largest(signal: &Signal) -> Option<f64> {
    let history = &signal.history;
    let tiers = [Some(&history.fine), Some(&history.middle), history.coarse.as_ref()];
    let values = tiers.into_iter().flatten().flat_map(|tier| &tier.values).copied().filter(|v| v.is_finite());
    values.max_by(f32::total_cmp).map(f64::from)
}
