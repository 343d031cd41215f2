//! Running pods of the simulated cluster resized in place: asked as IPA asks an API server, answered as a kubelet answers.
//!
//! A size that the node can never hold is `Infeasible`; one for which it has no room now is `Deferred` and taken as soon as there is some; any other
//! is taken at once and restarts nothing. The API server refuses what would change the quality of service. Left out: kubelets without the feature.

use super::change::CONTAINER;
use super::nodes::SimNode;
use super::pods::SimPod;
use super::workload::SimWorkload;
use super::world::{World, time};
use crate::domain::outcome::OutcomeResult;
use crate::domain::resize::{PodSize, QosClass, ResizeState, ResizeTally, Resized};
use crate::domain::workload::{Container, ContainerResources, ResourceList};

impl World {
    /// Brings running pods to a size, a few at a time, and remembers it as in force.
    pub(super) fn resize(&mut self, index: usize, to: &ContainerResources) -> OutcomeResult {
        let workload = &self.workloads[index];
        let from = workload.in_force();
        if QosClass::of([&from]) != QosClass::of([to]) || from.unset_by(to) {
            return OutcomeResult::Denied { detail: "the pod's quality of service may not change, and nothing set may be unset".into() };
        }
        let next = self.tally_of(index, to).next();
        let (now, workload) = (self.now, &mut self.workloads[index]);
        if from != *to {
            let since = workload.resized.map_or(now, |(_, since)| since);
            workload.resized = (*to != workload.resources).then_some((*to, since));
            workload.resource_version += 1;
        }
        let left = workload.pods.iter_mut().filter(|pod| pod.node.is_some() && !pod.is_ending() && !pod.asked().has(to));
        left.take(next as usize).for_each(|pod| pod.resize = Some((*to, ResizeState::InProgress)));
        self.answer_resizes();
        self.unsettled = true;
        OutcomeResult::Resized { pods: self.tally_of(index, to) }
    }

    /// What nodes say of resizes that are under way.
    pub(super) fn answer_resizes(&mut self) {
        let (now, nodes) = (self.now, &mut self.nodes);
        for pod in self.workloads.iter_mut().flat_map(|workload| &mut workload.pods) {
            let (Some((to, before)), Some(number)) = (pod.resize, pod.node) else { continue };
            let Ok(at) = nodes.binary_search_by_key(&number, |node| node.number) else { continue };
            let state = answer(&nodes[at], &pod.requests(), &asks(&to), before, now);
            if state == ResizeState::Settled {
                let node = &mut nodes[at];
                node.requested = node.requested.minus(&pod.requests());
                pod.resources = to;
                pod.resize = None;
                node.requested.add(&pod.requests(), 1);
            } else {
                pod.resize = Some((to, state));
            }
        }
    }

    fn tally_of(&self, index: usize, to: &ContainerResources) -> ResizeTally {
        let workload = &self.workloads[index];
        let pods: Vec<_> = workload.pods.iter().map(|pod| pod.facts(workload.revision, self)).collect();
        ResizeTally::of(&pods, CONTAINER, to)
    }
}

/// What a node says of a pod that has `from` and asks for `to`.
fn answer(node: &SimNode, from: &ResourceList, to: &ResourceList, before: ResizeState, now: i64) -> ResizeState {
    if !to.fits(&node.allocatable) {
        return ResizeState::Infeasible;
    }
    let others = node.requested.minus(from);
    if to.fits(&node.allocatable.minus(&others)) {
        return ResizeState::Settled;
    }
    match before {
        ResizeState::Deferred { .. } => before,
        _ => ResizeState::Deferred { since: Some(time(now)) },
    }
}

fn asks(resources: &ContainerResources) -> ResourceList {
    ResourceList {
        cpu: resources.cpu_request.unwrap_or_default(),
        memory: resources.memory_request.unwrap_or_default(),
        pods: 1,
        ..ResourceList::default()
    }
}

impl SimWorkload {
    /// Requests and limits in force: those its running pods were given, or the template's.
    pub(super) fn in_force(&self) -> ContainerResources {
        self.resized.map_or(self.resources, |(resources, _)| resources)
    }

    /// The same as facts show it.
    pub(super) fn resized_facts(&self) -> Option<Resized> {
        let (resources, since) = self.resized?;
        Some(Resized { containers: vec![Container { name: CONTAINER.into(), resources }], since: time(since) })
    }
}

impl SimPod {
    /// What its spec asks for.
    fn asked(&self) -> ContainerResources {
        self.resize.map_or(self.resources, |(to, _)| to)
    }

    /// Its size as facts show it.
    pub(super) fn size(&self) -> PodSize {
        PodSize {
            containers: vec![Container { name: CONTAINER.into(), resources: self.asked() }],
            resize: self.resize.map_or(ResizeState::Settled, |(_, state)| state),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::clock::Pace;
    use super::super::scenario::{Scenario, WorkloadSpec};
    use super::super::simulation::Simulation;
    use super::super::testing::{ListPrices, NOON, at, scenario, steady, web, world};
    use super::*;
    use crate::adapters::ledger::SqliteLedger;
    use crate::domain::limits::{
        Actuation, Bounds, Criticality, GateLimits, Group, GroupTarget, Guardrail, Mode, Modes, Paused, ResourceBounds, TargetLimits,
        TimeZoneName,
    };
    use crate::domain::names::{GroupId, TargetKey};
    use crate::domain::outcome::Outcome;
    use crate::domain::proposal::{Change, ResourcesChange};
    use crate::domain::record::EntryBody;
    use crate::domain::resize::Through;
    use crate::domain::units::{Bytes, GoDuration, Millicores};
    use crate::domain::workload::PodPhase;
    use crate::ports::{Clock, EntryFilter, Ledger};
    use crate::tick::{Settings, Ticker};

    fn key() -> TargetKey {
        TargetKey::deployment("shop", "web")
    }

    fn change(world: &World, cpu: u64, through: Through) -> Change {
        let from = world.workloads[0].in_force();
        let to = ContainerResources { cpu_request: Some(Millicores(cpu)), ..from };
        let uid = world.workloads[0].uid.clone();
        Change::Resources(ResourcesChange { target: key(), uid, container: CONTAINER.into(), from, to, through })
    }

    fn resized(world: &mut World, cpu: u64) -> ResizeTally {
        let OutcomeResult::Resized { pods } = world.write(&change(world, cpu, Through::Pods)) else { panic!() };
        pods
    }

    fn of_four() -> World {
        world(vec![WorkloadSpec { replicas: 4, ..web() }])
    }

    fn cpu(world: &World) -> Vec<u64> {
        world.workloads[0].pods.iter().map(|pod| pod.requests().cpu.0).collect()
    }

    #[test]
    fn pods_take_a_size_one_after_the_other_without_a_restart_and_room_is_accounted_for() {
        let mut world = of_four();
        let before: u64 = world.nodes.iter().map(|node| node.requested.cpu.0).sum();
        let old = cpu(&world);
        let new = old[0] - 100;
        let first = resized(&mut world, new);
        assert_eq!(first, ResizeTally { taken: 1, to_ask: 3, ..ResizeTally::default() });
        (0..3).for_each(|_| assert!(matches!(world.write(&change(&world, new, Through::Pods)), OutcomeResult::Resized { .. })));
        world.advance_to(at(NOON + 1));
        assert_eq!(cpu(&world), [new; 4]);
        let after: u64 = world.nodes.iter().map(|node| node.requested.cpu.0).sum();
        assert_eq!(before - after, 400);
        let workload = &world.workloads[0];
        assert!(!workload.rolling() && workload.pods.iter().all(|pod| pod.phase == PodPhase::Ready && pod.restarts == 0));
        let facts = world.facts(Vec::new()).workloads.remove(&key()).unwrap();
        assert_eq!(facts.container(None).unwrap().resources.cpu_request, Some(Millicores(new)));
        assert_eq!(facts.template.containers[0].resources.cpu_request, Some(Millicores(old[0])), "the template is as it was");
    }

    #[test]
    fn a_pod_that_comes_later_comes_from_the_template_and_the_template_follows_in_one_roll_out() {
        let mut world = of_four();
        let old = cpu(&world)[0];
        (0..4).for_each(|_| drop(world.write(&change(&world, old - 100, Through::Pods))));
        world.set_replicas(&key(), 5, "kubectl");
        world.advance_to(at(NOON + 120));
        assert_eq!(cpu(&world), [old - 100, old - 100, old - 100, old - 100, old]);
        let carried_on = change(&world, old - 100, Through::Template);
        assert!(world.write(&carried_on).is_applied());
        world.advance_to(at(NOON + 600));
        assert_eq!(cpu(&world), [old - 100; 5]);
        assert_eq!(world.workloads[0].resized, None);
    }

    #[test]
    fn a_full_node_defers_until_there_is_room_and_one_that_is_too_small_never_takes_it() {
        let mut world = of_four();
        let node = world.workloads[0].pods[0].node.unwrap();
        let at_node = world.nodes.iter().position(|n| n.number == node).unwrap();
        let old = cpu(&world)[0];
        let free = world.nodes[at_node].room();
        world.nodes[at_node].requested.cpu += free.cpu;
        let deferred = resized(&mut world, old + 100);
        assert_eq!((deferred.deferred, deferred.to_ask), (1, 3));
        let since = world.workloads[0].pods[0].size().resize;
        world.advance_to(at(NOON + 60));
        assert_eq!(world.workloads[0].pods[0].size().resize, since, "it waits since then");
        world.nodes[at_node].requested.cpu.0 -= free.cpu.0;
        world.unsettled = true;
        world.advance_to(at(NOON + 61));
        assert_eq!(cpu(&world)[0], old + 100);

        let never = world.nodes.iter().map(|node| node.allocatable.cpu.0).max().unwrap() + 1;
        assert_eq!(resized(&mut world, never).infeasible, 1);
    }

    #[test]
    fn another_quality_of_service_is_refused() {
        let mut world = of_four();
        let Change::Resources(mut asked) = change(&world, 500, Through::Pods) else { panic!() };
        asked.to = ContainerResources {
            cpu_request: Some(Millicores(500)),
            cpu_limit: Some(Millicores(500)),
            memory_request: Some(Bytes(1 << 30)),
            memory_limit: Some(Bytes(1 << 30)),
        };
        assert!(matches!(world.write(&Change::Resources(asked)), OutcomeResult::Denied { .. }));
    }

    /// One group that may resize `web`, held at three replicas.
    fn may_resize(scenario: Scenario) -> Scenario {
        let bounds = Bounds { min: 3, max: 3 };
        let group = Group {
            id: GroupId::new("shop", "web"),
            uid: "g1".into(),
            generation: 1,
            created: None,
            targets: vec![GroupTarget {
                key: key(),
                container: None,
                bounds,
                criticality: Criticality::High,
                capacity_per_replica: Some(40.0),
            }],
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
            model_enabled: false,
            forecast_model: None,
            paused: Paused::default(),
        };
        let limits = TargetLimits {
            bounds,
            max_step_up: 1,
            max_step_down: 1,
            resources: ResourceBounds {
                min_cpu: None,
                max_cpu: Some(Millicores(2000)),
                min_memory: None,
                max_memory: Some(Bytes(1 << 32)),
            },
            highest_criticality: Criticality::Critical,
            allow_zero: false,
        };
        let guardrail = Guardrail {
            namespace: "shop".into(),
            version: "1".into(),
            targets: BTreeMap::from([(key(), limits)]),
            freeze: false,
            highest_mode: Mode::Auto,
            cost_budget_per_hour: None,
            cost_budget_per_month: None,
        };
        Scenario { groups: vec![group], guardrails: vec![guardrail], ..scenario }
    }

    #[tokio::test]
    async fn a_limit_that_throttles_is_raised_by_the_tick_itself_while_pods_run_on() {
        let throttled = ContainerResources { cpu_request: Some(Millicores(500)), cpu_limit: Some(Millicores(500)), ..web().resources };
        let spec = WorkloadSpec { replicas: 3, resources: throttled, demand: steady(110.0), ..web() };
        let simulation = Simulation::start(may_resize(scenario(vec![spec])), 1, Pace::Headless, Arc::new(ListPrices)).await.unwrap();
        let ledger = Arc::new(SqliteLedger::in_memory().await.unwrap());
        let settings = Settings { limits: GateLimits { highest_mode: Mode::Auto, ..GateLimits::default() }, ..Settings::default() };
        let mut ticker = Ticker::start(simulation.ports(None, ledger.clone()), settings).await.unwrap();
        for minute in 0..25 {
            simulation.clock.sleep_until(at(NOON + minute * 60)).await;
            ticker.tick().await.unwrap();
        }
        let facts = simulation.world.look(|world| world.facts(Vec::new()).workloads.remove(&key()).unwrap());
        let size = facts.container(None).unwrap().resources;
        assert!(size.cpu_limit > throttled.cpu_limit && size.cpu_request == size.cpu_limit, "{size:?}");
        assert_eq!(facts.resize_tally(CONTAINER), ResizeTally { taken: 3, ..ResizeTally::default() });
        assert_eq!(facts.template.containers[0].resources, throttled, "the template waits");
        assert!(facts.pods.iter().all(|pod| pod.restarts == 0 && pod.created.unwrap() < at(NOON)), "nothing was restarted");
        let entries = ledger.entries(&EntryFilter::default()).await.unwrap();
        let tallies: Vec<ResizeTally> = entries
            .iter()
            .filter_map(|entry| match &entry.body {
                EntryBody::Outcome(Outcome { result: OutcomeResult::Resized { pods }, .. }) => Some(*pods),
                _ => None,
            })
            .collect();
        let step = |taken| ResizeTally { taken, to_ask: 3 - taken, ..ResizeTally::default() };
        assert_eq!(tallies, [step(1), step(2), step(3)], "one pod a tick, each on record");
    }
}
