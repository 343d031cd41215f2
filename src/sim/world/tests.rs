//! How the simulated cluster behaves as a whole.

use super::super::demand::Demand;
use super::super::demo_scenario;
use super::super::scenario::WorkloadSpec;
use super::super::testing::{NOON, at, catalogue, replicas, scenario, steady, web, world};
use super::*;
use crate::domain::units::Bytes;
use crate::domain::workload::PodPhase;
use crate::service::{Observe, RateSeries, Retry, ServiceKind, ServiceSpec, StartUp};

fn key() -> TargetKey {
    TargetKey::deployment("shop", "web")
}

fn phases(world: &World) -> Vec<PodPhase> {
    world.workloads[0].pods.iter().map(|pod| pod.phase).collect()
}

#[test]
fn nothing_that_came_is_lost_from_sight_in_a_day() {
    let mut world = World::new(demo_scenario(), catalogue(), 5).unwrap();
    world.advance_to(at(world.start + 86_400));
    for workload in &world.workloads {
        let totals = workload.queue().totals();
        assert_eq!(totals.arrived, totals.served + totals.lost + workload.queue().waiting(), "{}", workload.spec.key);
        assert!(totals.arrived > 0, "{} was never called", workload.spec.key);
        assert_eq!(workload.minutes.len(), 1440);
    }
}

#[test]
fn two_runs_of_one_seed_are_equal_to_the_byte_and_of_two_seeds_are_not() {
    let run = |seed| {
        let mut world = World::new(demo_scenario(), catalogue(), seed).unwrap();
        let frontend = TargetKey::deployment("shop", "frontend");
        for minute in 1..=40 {
            world.advance_to(at(world.start + minute * 60));
            if minute % 8 == 0 {
                let change = replicas(&world, &frontend, 8 + minute as u32 % 7);
                assert!(world.write(&change).is_applied());
            }
        }
        let minutes: Vec<_> = world.workloads.iter().map(|w| format!("{:?}", w.minutes)).collect();
        (format!("{:?}", world.facts(Vec::new())), minutes, world.costs())
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).1, run(8).1);
}

#[test]
fn a_replica_serves_after_its_start_up_and_is_paid_from_its_launch() {
    let mut world = world(vec![web()]);
    world.advance_to(at(NOON + 10));
    let before = world.costs();
    world.write(&replicas(&world, &key(), 3));
    world.advance_to(at(NOON + 20));
    assert_eq!(phases(&world), [PodPhase::Ready, PodPhase::Ready, PodPhase::Starting]);
    let paid = world.costs().pods - before.pods;
    // Three pods of a core each for ten seconds, but for the second in which the change was seen.
    let core_second = 192_000.0 / 3.92 / 3600.0;
    assert!((paid.0 as f64 / core_second - 30.0).abs() < 1.5, "{paid}");
    world.advance_to(at(NOON + 10 + 40));
    assert_eq!(world.workloads[0].ready(), 3);
    let pod = &world.workloads[0].pods[2];
    assert_eq!(pod.ready_since.unwrap() - pod.scheduled.unwrap(), 30);
}

#[test]
fn pods_without_a_place_wait_for_a_node_that_boots_and_an_empty_one_is_given_back() {
    let mut world = world(vec![web()]);
    assert_eq!(world.nodes.len(), 1);
    world.write(&replicas(&world, &key(), 6));
    world.advance_to(at(NOON + 60));
    let reasons: Vec<_> = world.facts(Vec::new()).events.iter().map(|e| e.reason.as_str()).collect();
    assert_eq!(reasons, ["ScalingReplicaSet", "FailedScheduling", "Nominated"]);
    assert_eq!((world.nodes.len(), phases(&world).iter().filter(|p| **p == PodPhase::Pending).count()), (2, 3));
    assert!(!world.facts(Vec::new()).nodes[1].ready);
    let one_node = world.costs().nodes;
    world.advance_to(at(NOON + 200));
    assert_eq!(world.workloads[0].ready(), 6);
    let two_nodes = world.costs().nodes - one_node;
    assert!((two_nodes.0 - 2 * 192_000 * 140 / 3600).abs() < 5, "a node is paid while it boots: {two_nodes}");
    world.write(&replicas(&world, &key(), 2));
    world.advance_to(at(NOON + 300));
    assert_eq!(world.workloads[0].pods.len(), 2);
    let empty = world.nodes.iter().filter(|node| node.requested.pods == 0).count();
    assert_eq!(empty, 0, "empty nodes are given back after a minute");
}

#[test]
fn calls_arrive_where_they_are_sent() {
    let api = WorkloadSpec { key: TargetKey::deployment("shop", "api"), demand: Demand::default(), ..web() };
    let caller = WorkloadSpec { calls: vec![(api.key.clone(), 1.5)], ..web() };
    let mut world = world(vec![caller, api]);
    world.advance_to(at(NOON + 3600));
    let (api, web) = (world.workloads[0].queue().totals(), world.workloads[1].queue().totals());
    let ratio = api.arrived as f64 / web.served as f64;
    assert!((ratio - 1.5).abs() < 0.02, "{ratio}");
}

#[test]
fn a_replica_beyond_its_memory_limit_is_killed_and_starts_anew() {
    let mut leaky = web();
    leaky.service.memory.leak_per_hour = Bytes(156 << 20);
    // 200 MiB and 156 MiB an hour: the older of two, an hour old at the start, reaches 512 MiB an hour later.
    let mut world = world(vec![leaky]);
    world.advance_to(at(NOON + 3500));
    assert_eq!(world.workloads[0].pods.iter().map(|pod| pod.restarts).sum::<u32>(), 0);
    world.advance_to(at(NOON + 3560));
    let killed: Vec<_> = world.workloads[0].pods.iter().map(|pod| (pod.restarts, pod.oom_killed)).collect();
    assert_eq!(killed, [(1, true), (0, false)]);
    assert_eq!(world.workloads[0].ready(), 1);
    let events = world.facts(Vec::new()).events;
    assert!(events.iter().any(|e| e.reason.as_str() == "OOMKilling" && &*e.kind == "Pod"), "{events:?}");
    world.advance_to(at(NOON + 3700));
    assert_eq!(world.workloads[0].ready(), 2);
}

#[test]
fn overload_shows_as_latency_loss_and_full_cpu() {
    let mut world = world(vec![WorkloadSpec { replicas: 1, demand: steady(70.0), ..web() }]);
    world.advance_to(at(NOON + 600));
    let [demand, cpu, _, _, latency, errors, queue, ..] = *world.workloads[0].minutes.last().unwrap();
    assert!((demand - 70.0).abs() < 6.0 && (cpu - 0.82).abs() < 0.02, "{demand} {cpu}");
    assert!(latency > 4.0 && (errors - 20.0 / 70.0).abs() < 0.06 && queue > 200.0, "{latency} {errors} {queue}");
}

#[test]
fn a_scenario_that_does_not_fit_together_is_refused_with_the_name() {
    let error = |scenario: Scenario| World::new(scenario, catalogue(), 1).unwrap_err().to_string();
    assert!(error(scenario(vec![web(), web()])).contains("shop/deployments.apps/web"));
    let calls = vec![(TargetKey::deployment("shop", "nobody"), 1.0)];
    assert!(error(scenario(vec![WorkloadSpec { calls, ..web() }])).contains("nobody"));
    assert!(error(scenario(vec![WorkloadSpec { replicas: 100, ..web() }])).contains("70 pods"));
    let mut unknown = scenario(vec![web()]);
    unknown.pools[0].instance_types = vec!["x9.huge".into()];
    assert!(error(unknown).contains("x9.huge"));
}

#[test]
fn a_removed_replica_takes_no_new_work_and_is_paid_until_what_it_holds_is_done() {
    let slow = ServiceSpec { base_latency_s: 3.5, ..web().service };
    let mut world = world(vec![WorkloadSpec { service: slow, ..web() }]);
    world.advance_to(at(NOON + 100));
    let before = world.tally(&key()).unwrap();
    world.write(&replicas(&world, &key(), 1));
    world.advance_to(at(NOON + 101));
    assert_eq!((world.workloads[0].ready(), world.workloads[0].pods.len()), (1, 2));
    world.advance_to(at(NOON + 110));
    assert_eq!(world.workloads[0].pods.len(), 1);
    assert_eq!(world.tally(&key()).unwrap().since(&before).replica_seconds, 14.0, "ten seconds of one, and four of the other");
}

#[test]
fn a_pod_that_never_started_is_gone_at_once() {
    let mut world = world(vec![web()]);
    world.write(&replicas(&world, &key(), 3));
    world.advance_to(at(NOON + 10));
    let before = world.tally(&key()).unwrap();
    world.write(&replicas(&world, &key(), 2));
    world.advance_to(at(NOON + 11));
    assert_eq!(world.tally(&key()).unwrap().since(&before).replica_seconds, 2.0);
    assert_eq!(world.nodes[0].requested.pods, 2, "its room is free");
}

#[test]
fn each_pod_takes_a_time_of_its_own_to_start() {
    let startup = StartUp { p50_s: 40.0, p95_s: 70.0 };
    let mut world =
        World::new(Scenario { pools: Vec::new(), ..scenario(vec![WorkloadSpec { startup, ..web() }]) }, catalogue(), 1).unwrap();
    world.write(&replicas(&world, &key(), 60));
    world.advance_to(at(NOON + 600));
    let mut took: Vec<i64> = world.workloads[0].pods[2..].iter().map(|pod| pod.ready_since.unwrap() - pod.scheduled.unwrap()).collect();
    took.sort_unstable();
    assert!((35..=46).contains(&took[29]), "the median is 40 s: {took:?}");
    assert!(took[0] < 35 && took[57] > 55, "{took:?}");
}

#[test]
fn without_pools_there_is_room_for_everything_at_once() {
    let mut world = World::new(Scenario { pools: Vec::new(), ..scenario(vec![web()]) }, catalogue(), 1).unwrap();
    world.write(&replicas(&world, &key(), 80));
    world.advance_to(at(NOON + 30));
    assert_eq!(world.workloads[0].ready(), 2);
    world.advance_to(at(NOON + 31));
    assert_eq!(world.workloads[0].ready(), 80, "thirty seconds after the second in which the change was seen");
    assert!(world.nodes.len() > 10 && world.costs().node_seconds > 300);
}

#[test]
fn what_an_autoscaler_does_is_counted() {
    let mut world = world(vec![web()]);
    let steps = [(0, 4), (120, 2), (240, 2), (1800, 3)];
    for (second, replicas) in steps {
        world.advance_to(at(NOON + second));
        assert!(world.set_replicas(&key(), replicas, "kube-controller-manager"));
    }
    world.advance_to(at(NOON + 1810));
    let tally = world.tally(&key()).unwrap();
    assert_eq!((tally.scale_ups, tally.scale_downs, tally.needless_reversals), (2, 1, 1));
    assert_eq!((tally.launches, tally.cold_restarts), (3, 1), "the third comes half an hour after two were removed");
    let owner = &world.workloads[0].writers[0];
    assert_eq!((&*owner.manager, owner.at), ("kube-controller-manager", Some(at(NOON + 1800))));
    assert!(!world.set_replicas(&TargetKey::deployment("shop", "nobody"), 1, "kube-controller-manager"));
    assert_eq!(world.tally(&TargetKey::deployment("shop", "nobody")), None);
}

#[test]
fn answers_that_come_too_late_are_bad_though_nothing_is_lost() {
    let patient = ServiceSpec { timeout_s: 600.0, ..web().service };
    let mut world = world(vec![WorkloadSpec { service: patient, replicas: 1, demand: steady(60.0), ..web() }]);
    world.advance_to(at(NOON + 600));
    let tally = world.tally(&key()).unwrap();
    assert_eq!((tally.lost, tally.served > 29_000), (0, true));
    assert!(tally.bad as f64 / tally.arrived as f64 > 0.95, "{tally:?}");
    assert!(tally.bad_minutes >= 9 && tally.longest_bad_s > 500, "{tally:?}");
    world.begin_stretch();
    assert_eq!(world.tally(&key()).unwrap().longest_bad_s, 0);
}

#[test]
fn queued_work_is_bad_once_it_has_waited_too_long_served_or_not() {
    let service = ServiceSpec { kind: ServiceKind::Queue, ..web().service };
    let mut world = world(vec![WorkloadSpec { service, slo_latency_s: 100.0, demand: steady(40.0), ..web() }]);
    world.set_replicas(&key(), 0, "kube-controller-manager");
    world.advance_to(at(NOON + 90));
    assert_eq!(world.tally(&key()).unwrap().bad, 0);
    world.advance_to(at(NOON + 300));
    let tally = world.tally(&key()).unwrap();
    assert!((tally.bad as f64 / 8_000.0 - 1.0).abs() < 0.05, "those of the first 200 s: {tally:?}");
    assert!(tally.served < 200);
}

#[test]
fn demand_may_be_shown_as_it_is_served() {
    let observed = |observe| {
        let mut world = world(vec![WorkloadSpec { replicas: 1, demand: steady(80.0), observe, ..web() }]);
        world.advance_to(at(NOON + 600));
        f64::from(world.workloads[0].minutes[9][0])
    };
    assert!((observed(Observe::Offered) - 80.0).abs() < 5.0);
    assert!((observed(Observe::Served) - 50.0).abs() < 1.0, "what one replica can");
}

#[test]
fn those_who_gave_up_come_back_and_are_offered_again() {
    let tally = |retry| {
        let mut world =
            world(vec![WorkloadSpec { service: ServiceSpec { retry, ..web().service }, replicas: 1, demand: steady(80.0), ..web() }]);
        world.advance_to(at(NOON + 900));
        world.tally(&key()).unwrap()
    };
    let (none, storm) = (tally(Retry::default()), tally(Retry { share: 1.0, max: 2 }));
    assert!(storm.arrived as f64 > 1.4 * none.arrived as f64, "{storm:?} {none:?}");
    assert!(storm.served.abs_diff(none.served) < 200, "no more is served for it");
}

#[test]
fn arrivals_are_the_same_whenever_the_world_began_and_can_be_known_beforehand() {
    let arrived = |began: i64, from: i64, to: i64| {
        let mut world = World::new(Scenario { start: at(NOON + began), ..scenario(vec![web()]) }, catalogue(), 9).unwrap();
        world.advance_to(at(NOON + from));
        let before = world.tally(&key()).unwrap();
        world.advance_to(at(NOON + to));
        world.tally(&key()).unwrap().since(&before).arrived
    };
    let known = super::super::arrivals(9, &key());
    let expected: u64 = (500..900).map(|second| known.at(NOON + second, 40.0)).sum();
    assert_eq!([arrived(0, 500, 900), arrived(437, 500, 900)], [expected; 2]);
}

/// Two hours of a series with five minutes at 120 % of what runs then, followed by a rule that scales late and back again; a caller, retries,
/// a queue and slow answers beside each other.
fn eventful(seed: u64) -> (World, Vec<f64>) {
    let rates: Vec<f32> = (0..120).map(|minute| if (30..35).contains(&minute) { 240.0 } else { 90.0 }).collect();
    let series = Demand::Series(RateSeries { start_s: NOON, step_s: 60, rates: rates.into() });
    let api = TargetKey::deployment("shop", "api");
    let web = WorkloadSpec {
        replicas: 4,
        demand: series,
        service: ServiceSpec { retry: Retry { share: 0.7, max: 2 }, ..web().service },
        calls: vec![(api.clone(), 1.2)],
        ..web()
    };
    let jobs = WorkloadSpec {
        key: TargetKey::deployment("shop", "jobs"),
        service: ServiceSpec { kind: ServiceKind::Queue, capacity: 0.5, ..web.service },
        demand: steady(0.9),
        ..web.clone()
    };
    let jobs = WorkloadSpec { calls: Vec::new(), replicas: 2, ..jobs };
    let api = WorkloadSpec { key: api, demand: Demand::default(), calls: Vec::new(), replicas: 3, ..web.clone() };
    let mut world = World::new(scenario(vec![web, api, jobs]), catalogue(), seed).unwrap();
    let mut areas = vec![0.0; 3];
    for second in 1..=7200 {
        let before: Vec<u64> = world.workloads.iter().map(|workload| workload.queue().waiting()).collect();
        world.advance_to(at(NOON + second));
        for (index, area) in areas.iter_mut().enumerate() {
            *area += (before[index] + world.workloads[index].queue().waiting()) as f64 / 2.0;
        }
        let wanted = match second {
            1980 => Some((7, 6, 3)),
            3000 => Some((3, 2, 1)),
            4200 => Some((4, 5, 3)),
            _ => None,
        };
        for (name, replicas) in wanted.into_iter().flat_map(|(web, api, jobs)| [("web", web), ("api", api), ("jobs", jobs)]) {
            world.set_replicas(&TargetKey::deployment("shop", name), replicas, "kube-controller-manager");
        }
    }
    (world, areas)
}

#[test]
fn requests_are_conserved_and_littles_law_holds_while_replicas_come_and_go() {
    let (world, areas) = eventful(3);
    for (workload, area) in world.workloads.iter().zip(areas) {
        let (totals, name) = (workload.queue().totals(), &workload.spec.key.name);
        assert_eq!(totals.arrived, totals.served + totals.lost + workload.queue().waiting(), "{name}");
        // All waits: of the served, and of those who gave up when the time-out had passed.
        let waits = totals.wait_s + totals.lost as f64 * workload.spec.service.timeout_s;
        assert!(area > 1000.0 && (waits / area - 1.0).abs() < 0.02, "{name}: the waits are {waits} s, the queue's area is {area}");
    }
    assert!(world.workloads.iter().any(|workload| workload.queue().totals().lost > 1000), "it was eventful");
}

#[test]
fn an_eventful_run_repeats_by_its_seed_to_the_byte() {
    let run = |seed| {
        let (world, areas) = eventful(seed);
        let told: Vec<String> = world.workloads.iter().map(|w| format!("{:?} {:?} {:?}", w.minutes, w.pods, w.tally(world.now))).collect();
        (told, areas, world.costs())
    };
    let first = run(5);
    assert!(first == run(5), "two runs of one seed differ");
    assert!(first != run(6), "the seed changes nothing");
}
