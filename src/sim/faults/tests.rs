//! What each fault does, and that it ends.

use std::sync::Arc;

use super::super::scenario::{PoolSpec, Scenario, WorkloadSpec};
use super::super::shared::Shared;
use super::super::testing::{ListPrices, NOON, at, catalogue, replicas, scenario, steady, web};
use super::super::{SimPrices, demo_scenario};
use super::*;
use crate::domain::outcome::OutcomeResult;
use crate::domain::signal::SignalName;
use crate::domain::units::MicroUsd;
use crate::ports::Prices;
use crate::service::Tally;

/// When the fault begins and ends, seconds after noon.
const FROM: i64 = 300;
const UNTIL: i64 = 900;

fn key() -> TargetKey {
    TargetKey::deployment("shop", "web")
}

fn fault(kind: FaultKind, target: Option<FaultTarget>) -> Fault {
    Fault { from: at(NOON + FROM), until: at(NOON + UNTIL), target, kind }
}

fn struck(scenario: Scenario, faults: Vec<Fault>) -> World {
    World::new(Scenario { faults, ..scenario }, catalogue(), 1).unwrap()
}

/// `shop/web` at 70 units/s with a capacity of 100, struck by one fault.
fn web_with(kind: FaultKind) -> World {
    struck(scenario(vec![WorkloadSpec { demand: steady(70.0), ..web() }]), vec![fault(kind, None)])
}

/// What came of the workload between two moments.
fn between(world: &mut World, from: i64, to: i64) -> Tally {
    world.advance_to(at(NOON + from));
    let before = world.tally(&key()).unwrap();
    world.advance_to(at(NOON + to));
    world.tally(&key()).unwrap().since(&before)
}

/// A signal's mean over whole minutes after noon.
fn mean(world: &World, signal: &SignalName, from: usize, to: usize) -> f64 {
    let position = super::super::workload::SIGNALS.iter().position(|s| s == signal).unwrap();
    world.workloads[0].minutes[from..to].iter().map(|minute| f64::from(minute[position])).sum::<f64>() / (to - from) as f64
}

fn pools(capacity_types: Vec<CapacityType>) -> Vec<PoolSpec> {
    let pool = scenario(Vec::new()).pools.remove(0);
    vec![PoolSpec { capacity_types, ..pool }]
}

#[test]
fn spot_nodes_are_told_of_their_end_and_then_gone_with_what_runs_on_them() {
    let kind = FaultKind::SpotReclaim { share: 1.0, notice_s: 120 };
    let spot = Scenario { pools: pools(vec![CapacityType::Spot]), ..scenario(vec![web()]) };
    let mut world = struck(spot, vec![fault(kind.clone(), None)]);
    let node = world.nodes[0].number;
    world.advance_to(at(NOON + FROM + 60));
    let facts = world.facts(Vec::new());
    assert!(facts.nodes[0].unschedulable && facts.nodes[0].ready && world.workloads[0].ready() == 2);
    assert!(facts.events.iter().any(|event| event.reason == EventReason::SpotInterrupted && event.target == key()));
    world.advance_to(at(NOON + FROM + 121));
    assert!(world.nodes.iter().all(|n| n.number != node) && world.workloads[0].ready() == 0);
    let tally = between(&mut world, 0, FROM + 300);
    assert_eq!((tally.evictions, tally.launches, tally.cold_restarts), (0, 0, 0), "what comes after comes once");
    let all = world.tally(&key()).unwrap();
    assert_eq!((all.evictions, all.launches, all.cold_restarts, world.workloads[0].ready()), (2, 2, 2, 2));

    let mut on_demand = struck(scenario(vec![web()]), vec![fault(kind, None)]);
    on_demand.advance_to(at(NOON + UNTIL));
    assert_eq!(on_demand.tally(&key()).unwrap().evictions, 0, "nobody reclaims what is not spot");
}

#[test]
fn no_node_comes_while_none_can_be_had() {
    let mut world = web_with(FaultKind::ProvisioningFailure);
    world.advance_to(at(NOON + FROM + 10));
    world.write(&replicas(&world, &key(), 6));
    world.advance_to(at(NOON + UNTIL - 1));
    assert_eq!((world.nodes.len(), world.workloads[0].ready()), (1, 3));
    let reasons: Vec<_> = world.facts(Vec::new()).events.iter().map(|event| event.reason).collect();
    assert!(reasons.contains(&EventReason::FailedScheduling) && !reasons.contains(&EventReason::Nominated), "{reasons:?}");
    world.advance_to(at(NOON + UNTIL + 140));
    assert_eq!((world.nodes.len(), world.workloads[0].ready()), (2, 6));
}

#[test]
fn a_pool_of_which_nothing_can_be_had_leaves_the_others() {
    let other =
        PoolSpec { name: "other".into(), instance_types: vec!["m6i.2xlarge".into()], ..pools(vec![CapacityType::OnDemand]).remove(0) };
    let two = Scenario { pools: [pools(vec![CapacityType::OnDemand]), vec![other]].concat(), ..scenario(vec![web()]) };
    let mut world = struck(two, vec![fault(FaultKind::ProvisioningFailure, Some(FaultTarget::Pool("general".into())))]);
    world.advance_to(at(NOON + FROM + 10));
    world.write(&replicas(&world, &key(), 6));
    world.advance_to(at(NOON + FROM + 150));
    assert_eq!((world.workloads[0].ready(), &*world.nodes[1].pool), (6, "other"));
}

#[test]
fn a_zone_that_is_lost_is_gone_at_once_and_another_takes_its_place() {
    let mut world = struck(scenario(vec![web()]), vec![fault(FaultKind::ZoneLoss, Some(FaultTarget::Zone("a".into())))]);
    assert_eq!(&*world.nodes[0].zone, "a");
    world.advance_to(at(NOON + FROM));
    assert_eq!((world.workloads[0].ready(), world.tally(&key()).unwrap().evictions), (0, 2));
    world.advance_to(at(NOON + FROM + 150));
    assert_eq!((world.workloads[0].ready(), world.nodes.len(), &*world.nodes[0].zone), (2, 1, "b"));
}

#[test]
fn slow_nodes_serve_less_until_they_have_recovered() {
    let mut world = web_with(FaultKind::NodeSlow { share: 1.0, factor: 0.5 });
    assert_eq!(between(&mut world, 0, FROM - 1).bad, 0);
    let during = between(&mut world, FROM + 60, UNTIL - 60);
    assert!((during.served as f64 / 480.0 - 50.0).abs() < 1.0 && during.lost > 5_000, "{during:?}");
    assert!((mean(&world, &SignalName::Cpu, 7, 13) - 1.64).abs() < 0.03, "slow, and busy all the same");
    assert_eq!(between(&mut world, UNTIL + 60, UNTIL + 300).bad, 0);
}

#[test]
fn pods_that_crash_start_anew() {
    let mut world = web_with(FaultKind::PodCrash { share: 0.5 });
    world.advance_to(at(NOON + FROM));
    assert_eq!(world.workloads[0].ready(), 1);
    world.advance_to(at(NOON + FROM + 30));
    assert_eq!(world.workloads[0].ready(), 2);
    let tally = world.tally(&key()).unwrap();
    assert_eq!((tally.launches, tally.cold_restarts, tally.oom_kills), (0, 1, 0));
    assert_eq!(world.workloads[0].pods.iter().map(|pod| pod.restarts).sum::<u32>(), 1);
    world.advance_to(at(NOON + FROM + 60));
    assert_eq!(mean(&world, &SignalName::Restarts, 5, 6), 1.0);
}

#[test]
fn a_slow_dependency_costs_capacity_and_latency_and_lowers_cpu_at_the_peak() {
    let mut world = web_with(FaultKind::DependencyBrownout { factor: 0.5, cpu_factor: 0.4 });
    world.advance_to(at(NOON + UNTIL + 300));
    let (before, during, after) =
        (mean(&world, &SignalName::Cpu, 1, 5), mean(&world, &SignalName::Cpu, 7, 14), mean(&world, &SignalName::Cpu, 17, 20));
    assert!((before - 1.16).abs() < 0.05 && (after - 1.16).abs() < 0.05, "70 units/s: {before} {after}");
    assert!((during - 0.36).abs() < 0.02, "50 units/s at 40 % of the CPU: {during}");
    assert!(mean(&world, &SignalName::Errors, 7, 14) > 0.2 && mean(&world, &SignalName::Errors, 17, 20) == 0.0);
    let idle = struck(
        scenario(vec![WorkloadSpec { demand: steady(10.0), ..web() }]),
        vec![fault(FaultKind::DependencyBrownout { factor: 0.5, cpu_factor: 1.0 }, Some(FaultTarget::Workload(key())))],
    );
    let mut idle = idle;
    idle.advance_to(at(NOON + UNTIL));
    let ratio = mean(&idle, &SignalName::Latency, 7, 14) / mean(&idle, &SignalName::Latency, 1, 5);
    assert!((ratio - 2.0).abs() < 0.4, "each answer takes twice as long: {ratio}");
}

#[test]
fn heavier_units_take_more_work_each() {
    let mut world = web_with(FaultKind::ServiceTimeChange { factor: 1.25 });
    world.advance_to(at(NOON + UNTIL));
    let (before, during) = (mean(&world, &SignalName::Cpu, 1, 5), mean(&world, &SignalName::Cpu, 7, 14));
    assert!(((during - 0.04) / (before - 0.04) - 1.25).abs() < 0.05, "{before} {during}");
    let during = between(&mut web_with(FaultKind::ServiceTimeChange { factor: 2.0 }), FROM + 60, UNTIL - 60);
    assert!((during.served as f64 / 480.0 - 50.0).abs() < 1.0, "half the capacity: {during:?}");
}

#[test]
fn a_bad_template_is_rolled_out_and_rolled_back() {
    let mut world = web_with(FaultKind::Rollout { factor: 0.5 });
    let hash = |world: &World| world.facts(Vec::new()).workloads[&key()].template.hash.clone();
    let before = hash(&world);
    let during = between(&mut world, FROM + 200, UNTIL - 1);
    assert_ne!(hash(&world), before);
    assert!((during.served as f64 / 399.0 - 50.0).abs() < 1.0, "half the capacity: {during:?}");
    assert_eq!(world.workloads[0].pods.iter().map(|pod| pod.speed).collect::<Vec<_>>(), [0.5, 0.5]);
    assert_eq!(between(&mut world, UNTIL + 200, UNTIL + 400).bad, 0);
    assert!(!world.workloads[0].rolling());
}

#[tokio::test]
async fn prices_change_for_what_runs_and_for_what_could() {
    let mut world = web_with(FaultKind::PriceChange { factor: 3.0 });
    let paid = |world: &mut World, from: i64, to: i64| {
        world.advance_to(at(NOON + from));
        let before = world.costs();
        world.advance_to(at(NOON + to));
        (world.costs().nodes.0 - before.nodes.0, world.costs().pods.0 - before.pods.0)
    };
    let (usual, dear) = (paid(&mut world, 0, 200), paid(&mut world, FROM + 100, FROM + 300));
    assert!(
        (dear.0 as f64 / usual.0 as f64 - 3.0).abs() < 0.01 && (dear.1 as f64 / usual.1 as f64 - 3.0).abs() < 0.01,
        "{usual:?} {dear:?}"
    );
    assert_eq!(world.facts(Vec::new()).nodes[0].price_per_hour, Some(MicroUsd(3 * 192_000)));
    let prices = SimPrices::new(Arc::new(Shared::new(world)), Arc::new(ListPrices));
    let price = |catalogue: &crate::domain::fleet::Catalogue| catalogue.price("m6i.xlarge", None, CapacityType::OnDemand).unwrap();
    assert_eq!(price(&*prices.catalogue(at(NOON + UNTIL - 1)).await), MicroUsd(3 * 192_000));
    assert_eq!(price(&*prices.catalogue(at(NOON + UNTIL)).await), MicroUsd(192_000));
}

#[tokio::test]
async fn a_pool_whose_prices_change_buys_other_types_at_their_old_price() {
    let kind = FaultKind::PriceChange { factor: 2.0 };
    let world = struck(scenario(vec![web()]), vec![fault(kind, Some(FaultTarget::Pool("general".into())))]);
    let prices = SimPrices::new(Arc::new(Shared::new(world)), Arc::new(ListPrices));
    let catalogue = prices.catalogue(at(NOON + FROM)).await;
    let price = |name: &str| catalogue.price(name, None, CapacityType::OnDemand).unwrap();
    assert_eq!((price("m6i.xlarge"), price("m6i.2xlarge")), (MicroUsd(384_000), MicroUsd(384_000)), "the second is not the pool's");
}

#[test]
fn writes_meet_conflicts_as_often_as_the_fault_says() {
    let mut world = web_with(FaultKind::ApiConflict { share: 1.0 });
    world.advance_to(at(NOON + FROM));
    assert!(matches!(world.write(&replicas(&world, &key(), 3)), OutcomeResult::WorldChanged { .. }));
    assert!(!world.set_replicas(&key(), 3, "kube-controller-manager"));
    assert_eq!(world.workloads[0].desired, 2);
    world.advance_to(at(NOON + UNTIL));
    assert!(world.write(&replicas(&world, &key(), 3)).is_applied());

    let mut half = web_with(FaultKind::ApiConflict { share: 0.5 });
    half.advance_to(at(NOON + FROM));
    let written = (0..400).filter(|turn| half.set_replicas(&key(), 3 + turn % 2, "kube-controller-manager")).count();
    // A write that met a conflict leaves the count, and the next try asks for the other one or for what is there.
    assert!((200..330).contains(&written), "{written}");
}

#[test]
fn another_controller_writes_again_and_again_while_it_lives() {
    let mut world = web_with(FaultKind::CompetingWriter { replicas: 4, every_s: 60 });
    world.advance_to(at(NOON + FROM));
    assert_eq!((world.workloads[0].desired, &*world.workloads[0].writers[0].manager), (4, OTHER_CONTROLLER));
    for _ in 0..3 {
        let now = world.now;
        world.set_replicas(&key(), 2, "kube-controller-manager");
        world.advance_to(time(now + 60));
        assert_eq!(world.workloads[0].desired, 4);
    }
    assert!(
        matches!(world.write(&replicas(&world, &key(), 2)), OutcomeResult::Conflicted { manager, .. } if &*manager == OTHER_CONTROLLER)
    );
    world.advance_to(at(NOON + UNTIL));
    world.set_replicas(&key(), 2, "kube-controller-manager");
    world.advance_to(at(NOON + UNTIL + 300));
    assert_eq!(world.workloads[0].desired, 2);
}

#[test]
fn a_person_scales_once_and_is_left_alone_for_a_while() {
    let mut world = web_with(FaultKind::HumanScale { replicas: 5 });
    world.advance_to(at(NOON + FROM - 1));
    assert_eq!(world.workloads[0].desired, 2);
    world.advance_to(at(NOON + FROM + 60));
    assert_eq!(world.workloads[0].desired, 5);
    let OutcomeResult::Conflicted { manager, advice } = world.write(&replicas(&world, &key(), 2)) else { panic!("written") };
    assert!(&*manager == PERSON && advice.contains("a person wrote it"), "{advice}");
}

#[test]
fn a_surge_is_announced_ahead_to_the_groups_it_concerns() {
    let frontend = FaultTarget::Workload(TargetKey::deployment("batch", "orders-worker"));
    let mut demo = demo_scenario();
    let begins = demo.start.saturating_add(SignedDuration::from_mins(20)).unwrap();
    let kind = FaultKind::SurgeAnnounced { ahead_s: 600, percent: 250 };
    let until = begins.saturating_add(SignedDuration::from_mins(30)).unwrap();
    demo.faults = vec![Fault { from: begins, until, target: Some(frontend), kind }];
    let mut world = World::new(demo, catalogue(), 1).unwrap();
    let told = |world: &World| -> Vec<(String, u32, jiff::Timestamp, u64)> {
        let of_group = |group: &crate::domain::limits::Group| {
            let surges = group.surges.iter().filter(|surge| surge.percent == 250);
            surges.map(|surge| (group.id.to_string(), surge.percent, surge.start, surge.duration.0.as_secs())).collect::<Vec<_>>()
        };
        world.groups.values().flat_map(of_group).collect()
    };
    world.advance_to(begins.saturating_sub(SignedDuration::from_secs(601)).unwrap());
    assert_eq!(told(&world), []);
    world.advance_to(begins.saturating_sub(SignedDuration::from_secs(600)).unwrap());
    assert_eq!(told(&world), [("batch/orders".to_owned(), 250, begins, 1800)]);
}

#[test]
fn what_began_before_the_world_did_is_there_from_its_beginning() {
    let early = Fault { from: at(NOON - 600), ..fault(FaultKind::ServiceTimeChange { factor: 2.0 }, None) };
    let mut world = struck(scenario(vec![WorkloadSpec { demand: steady(70.0), ..web() }]), vec![early]);
    let during = between(&mut world, 60, UNTIL);
    assert!((during.served as f64 / 840.0 - 50.0).abs() < 1.0, "{during:?}");
    let over = Fault { until: at(NOON), ..fault(FaultKind::HumanScale { replicas: 9 }, None) };
    let mut world = struck(scenario(vec![web()]), vec![Fault { from: at(NOON - 600), ..over }]);
    world.advance_to(at(NOON + 600));
    assert_eq!(world.workloads[0].desired, 2, "what was over before is over");
}
