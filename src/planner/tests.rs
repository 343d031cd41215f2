//! Plans, in sentences.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::binpack::tests as packs;
use crate::domain::limits::{Criticality, Dependency, Fleet};
use crate::domain::memory::{Headroom, TargetMemory};
use crate::domain::names::EvidenceId;
use crate::domain::plan::{CapacitySource, SizingReason};
use crate::domain::proposal::{Change, Proposal};
use crate::domain::series::History;
use crate::domain::signal::SignalName;
use crate::domain::units::MicroUsd;
use crate::domain::workload::{Autoscaler, AutoscalerKind, PodPhase};
use crate::forecast::predict;
use crate::forecast::world::{NOW, add, at, daily, empty, history, signal};

/// A web service of four replicas on a roomy node.
fn shop(demand: &dyn Fn(i64) -> f32) -> (Snapshot, TargetKey) {
    let mut snapshot = empty(NOW);
    snapshot.facts.nodes = vec![packs::node("n1", 64_000, 256)];
    snapshot.catalogue = Arc::new(packs::usual());
    let key = add(&mut snapshot, "web", 4, true);
    signal(&mut snapshot, &key, SignalName::Demand, history(NOW, 14.0, demand));
    (snapshot, key)
}

fn planned(snapshot: &Snapshot) -> Plan {
    plan(snapshot, predict(snapshot)).0
}

fn replicas_asked(plan: &Plan, key: &TargetKey) -> Option<(u32, u32)> {
    plan.proposals.iter().find_map(|proposal| match &proposal.change {
        Change::Replicas(change) if change.target == *key => Some((change.from, change.to)),
        _ => None,
    })
}

#[test]
fn a_morning_ramp_is_met_ahead_of_time_and_the_proposal_says_why() {
    // At 10:00 demand is 140/s and rises.
    let (mut snapshot, key) = shop(&|t| daily(t) * 5.0);
    snapshot.facts.workloads.get_mut(&key).unwrap().replicas.desired = 8;
    let plan = planned(&snapshot);
    let target = &plan.targets[&key];
    assert_eq!(target.basis.reason, SizingReason::Forecast);
    assert!(target.basis.demand_planned.unwrap() > target.basis.demand_now.unwrap());
    assert!(target.p50_need <= target.replicas && target.replicas > 14, "{target:?}");
    let proposal = &plan.proposals[0];
    assert_eq!(proposal.id.0, "t7-planner-1");
    assert_eq!(proposal.evidence, [EvidenceId("shop/deployments.apps/web.demand".into())]);
    assert!(proposal.rationale.starts_with("p99 of demand over the next 120 s is"), "{}", proposal.rationale);
    assert!(proposal.cost_change_per_hour.unwrap() > MicroUsd(0));
    assert_eq!(replicas_asked(&plan, &key), Some((8, target.replicas)));
}

#[test]
fn fault_m03_stale_metrics_change_nothing() {
    let (mut snapshot, key) = shop(&|_| 10.0);
    snapshot.facts.workloads.get_mut(&key).unwrap().replicas.desired = 9;
    let plan = |snapshot: &Snapshot| planned(snapshot).targets[&key].clone();
    assert!(plan(&snapshot).replicas < 9, "fresh and quiet gives some up");
    snapshot.at = at(NOW + 600);
    let stale = plan(&snapshot);
    assert_eq!((stale.replicas, stale.basis.reason), (9, SizingReason::NoData));
    assert!(planned(&snapshot).proposals.is_empty());
}

#[test]
fn capacity_is_learned_from_the_past_where_nobody_declares_it() {
    let (mut snapshot, key) = shop(&|_| 200.0);
    snapshot.facts.groups.values_mut().next().unwrap().targets[0].capacity_per_replica = None;
    let unknown = planned(&snapshot).targets[&key].clone();
    assert_eq!((unknown.basis.reason, unknown.replicas), (SizingReason::NoData, 4), "no CPU signal: nothing to size by");
    signal(&mut snapshot, &key, SignalName::Cpu, history(NOW, 14.0, &|_| 2.0));
    let learned = planned(&snapshot).targets[&key].clone();
    assert_eq!(learned.basis.capacity_source, CapacitySource::Learned);
    assert!((learned.basis.capacity_per_replica.unwrap() - 50.0).abs() < 1.0, "{learned:?}");
    assert_eq!(learned.basis.reason, SizingReason::Forecast);
}

#[test]
fn without_demand_cpu_decides_and_says_so() {
    let (mut snapshot, key) = shop(&|_| 200.0);
    snapshot.signals.clear();
    signal(&mut snapshot, &key, SignalName::Cpu, history(NOW, 14.0, &|_| 3.5));
    let plan = planned(&snapshot);
    let target = &plan.targets[&key];
    assert_eq!(target.basis.reason, SizingReason::CpuOnly);
    assert!((10..=11).contains(&target.replicas), "3.5 cores at 70 % of half a core each: {target:?}");
    assert_eq!(target.outlook, None, "cores are not demand");
    assert_eq!(target.shadow_hpa, Some(10));
    assert!(plan.proposals[0].rationale.contains("CPU decides"), "{}", plan.proposals[0].rationale);
}

#[test]
fn the_shadow_is_the_targets_own_hpa_where_it_has_one() {
    let (mut snapshot, key) = shop(&|_| 200.0);
    signal(&mut snapshot, &key, SignalName::Cpu, history(NOW, 14.0, &|_| 1.8));
    assert_eq!(planned(&snapshot).targets[&key].shadow_hpa, Some(6), "90 % at a target of 70 %");
    snapshot.facts.workloads.get_mut(&key).unwrap().autoscalers.push(Autoscaler {
        kind: AutoscalerKind::HPA,
        name: "web".into(),
        min: Some(1),
        max: Some(7),
        cpu_target_percent: Some(30),
        active: true,
    });
    assert_eq!(planned(&snapshot).targets[&key].shadow_hpa, Some(7));
}

#[test]
fn a_back_end_is_sized_for_what_its_front_end_will_send() {
    let (mut snapshot, web) = shop(&|_| 400.0);
    let api = add(&mut snapshot, "api", 2, true);
    signal(&mut snapshot, &api, SignalName::Demand, history(NOW, 14.0, &|_| 50.0));
    let alone = planned(&snapshot).targets[&api].replicas;
    let call = |from: &TargetKey, to: &TargetKey| Dependency { from: from.clone(), to: to.clone(), ratio_milli: 2000 };
    snapshot.facts.groups.values_mut().next().unwrap().depends_on = vec![call(&web, &api)];
    let with_calls = planned(&snapshot).targets[&api].clone();
    assert!(alone <= 3 && with_calls.replicas >= 18, "{alone} {with_calls:?}");
    let circle = vec![call(&web, &api), call(&api, &web)];
    snapshot.facts.groups.values_mut().next().unwrap().depends_on = circle;
    assert_eq!(planned(&snapshot).targets[&api].replicas, alone, "a circle carries nothing on");
}

#[test]
fn granted_headroom_counts_until_it_expires() {
    let (mut snapshot, key) = shop(&|t| daily(t) * 5.0);
    let with = |snapshot: &mut Snapshot, until: i64| {
        let headroom = Headroom { quantile_percent: 99, extra_lead_minutes: 50, until: at(until) };
        let uid = snapshot.facts.workloads[&key].uid.clone();
        let memory = TargetMemory { uid, headroom: Some(headroom), ..Default::default() };
        Arc::make_mut(&mut snapshot.memory.planner).targets.insert(key.clone(), memory);
        let (plan, memory) = plan(snapshot, predict(snapshot));
        (plan.targets[&key].replicas, memory.targets[&key].headroom)
    };
    let (expired, gone) = with(&mut snapshot, NOW);
    let (granted, kept) = with(&mut snapshot, NOW + 60);
    assert!(granted > expired, "{granted} {expired}");
    assert!(gone.is_none() && kept.is_some());
}

#[test]
fn who_matters_more_goes_first() {
    let (mut snapshot, _) = shop(&|_| 900.0);
    let batch = add(&mut snapshot, "batch", 2, true);
    let pay = add(&mut snapshot, "pay", 2, true);
    for key in [&batch, &pay] {
        signal(&mut snapshot, key, SignalName::Demand, history(NOW, 14.0, &|_| 900.0));
    }
    let targets = &mut snapshot.facts.groups.values_mut().next().unwrap().targets;
    targets[1].criticality = Criticality::Low;
    targets[2].criticality = Criticality::Critical;
    let order: Vec<String> = planned(&snapshot).proposals.iter().map(|p| p.change.target().unwrap().name.to_string()).collect();
    assert_eq!(order, ["pay", "web", "batch"]);
}

#[test]
fn an_oom_kill_asks_for_more_memory_once_replicas_are_settled() {
    let (mut snapshot, key) = shop(&|_| 120.0);
    let size = planned(&snapshot).targets[&key].replicas;
    let workload = snapshot.facts.workloads.get_mut(&key).unwrap();
    workload.replicas.desired = size;
    workload.pods[0].oom_killed = true;
    let plan = planned(&snapshot);
    let [Proposal { change: Change::Resources(change), rationale, .. }] = plan.proposals.as_slice() else { panic!("{:?}", plan.proposals) };
    assert!(change.to.memory_limit > change.from.memory_limit);
    assert!(rationale.contains("1 OOM kills"), "{rationale}");
}

#[test]
fn a_pod_costs_its_share_of_the_node() {
    let (snapshot, key) = shop(&|_| 120.0);
    let target = planned(&snapshot).targets[&key].clone();
    // The node costs 0.2 $/h for 64 cores and 256 GiB; a pod asks for half a core and half a GiB.
    let cores = 64.0 + 256.0 * 0.004_237 / 0.031_611;
    let each: f64 = 200_000.0 / cores * (0.5 + 0.5 * 0.004_237 / 0.031_611);
    let expected = each.round() * f64::from(target.replicas);
    assert_eq!(target.cost_per_hour.unwrap(), MicroUsd(expected as i64));
}

#[test]
fn new_pods_go_to_new_nodes_and_the_answer_is_kept_while_nothing_changes() {
    let (mut snapshot, _) = shop(&|_| 900.0);
    snapshot.facts.nodes = vec![packs::node("n1", 400, 4)];
    snapshot.facts.node_pools = vec![packs::pool(vec![])];
    let (first, memory) = plan(&snapshot, predict(&snapshot));
    assert!(!first.nodes.new_nodes.is_empty() && first.nodes.unschedulable.is_empty());
    assert!(first.nodes.lower_bound_per_hour.unwrap() <= first.nodes.cost_per_hour);
    assert!(first.targets.values().all(|t| t.basis.lead_s > 120.0), "pods that need a node wait for it");
    snapshot.memory.planner = Arc::new(memory);
    snapshot.at = at(NOW + 15);
    let (second, _) = plan(&snapshot, predict(&snapshot));
    assert_eq!(second.nodes.made, first.nodes.made, "packed once");
}

#[test]
fn pods_that_fit_nowhere_ask_for_a_pool_that_the_fleet_allows() {
    let (mut snapshot, _) = shop(&|_| 900.0);
    snapshot.facts.nodes = vec![packs::node("n1", 1000, 4)];
    snapshot.facts.fleets.insert("shop".into(), packs::fleet());
    let drafts = |snapshot: &Snapshot| {
        let plan = planned(snapshot);
        let pools = plan.proposals.into_iter().filter_map(|p| match p.change {
            Change::NodePool(change) => Some((p.id.0, change)),
            _ => None,
        });
        pools.collect::<Vec<_>>()
    };
    let [(_, created)] = &drafts(&snapshot)[..] else { panic!("one draft") };
    assert!(!created.exists && created.draft.instance_types.len() >= 3);
    assert!(created.draft.instance_types.is_sorted());
    assert!(created.draft.limits.cpu.0 > 0);
    // A pool that is there, but for types too small.
    let small = crate::domain::workload::Requirement {
        key: "node.kubernetes.io/instance-type".into(),
        operator: crate::domain::workload::RequirementOperator::In,
        values: vec!["none.such".into()],
    };
    snapshot.facts.node_pools = vec![packs::pool(vec![small])];
    let [(_, changed)] = &drafts(&snapshot)[..] else { panic!("one draft") };
    assert!(changed.exists && changed.draft.requirements.is_empty());
    // A fleet that wants more types than there are gets no draft that would be refused.
    snapshot.facts.fleets.insert("shop".into(), Fleet { least_types_per_pool: 9, ..packs::fleet() });
    assert!(drafts(&snapshot).is_empty());
}

#[test]
fn the_platforms_bounds_hold_over_the_teams() {
    let (mut snapshot, key) = shop(&|_| 4000.0);
    let limits = crate::domain::limits::TargetLimits {
        bounds: crate::domain::limits::Bounds { min: 0, max: 12 },
        max_step_up: 3,
        max_step_down: 3,
        resources: crate::domain::limits::ResourceBounds::default(),
        highest_criticality: Criticality::Critical,
        allow_zero: false,
    };
    snapshot.facts.guardrails.insert(
        "shop".into(),
        crate::domain::limits::Guardrail {
            namespace: "shop".into(),
            version: "1".into(),
            targets: BTreeMap::from([(key.clone(), limits)]),
            freeze: false,
            highest_mode: crate::domain::limits::Mode::Auto,
            cost_budget_per_hour: None,
            cost_budget_per_month: None,
        },
    );
    let target = planned(&snapshot).targets[&key].clone();
    assert_eq!((target.replicas, target.basis.reason), (12, SizingReason::Bounds));
}

#[test]
fn a_target_that_is_not_there_is_not_planned() {
    let (mut snapshot, key) = shop(&|_| 100.0);
    snapshot.facts.workloads.clear();
    assert!(!planned(&snapshot).targets.contains_key(&key));
}

#[test]
fn the_same_snapshot_gives_the_same_plan() {
    let (snapshot, _) = shop(&daily);
    assert_eq!(plan(&snapshot, predict(&snapshot)), plan(&snapshot, predict(&snapshot)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_signal_makes_it_panic_or_leave_the_bounds(
        values in prop::collection::vec(prop::num::f32::ANY, 9),
        desired in 0u32..200,
        ready in 0u32..200,
        pending in any::<bool>(),
    ) {
        let (mut snapshot, key) = shop(&daily);
        let workload = snapshot.facts.workloads.get_mut(&key).unwrap();
        (workload.replicas.desired, workload.replicas.ready) = (desired, ready);
        if pending {
            workload.pods.iter_mut().for_each(|pod| (pod.phase, pod.node) = (PodPhase::Pending, None));
        }
        for (name, value) in SignalName::SHIPPED.into_iter().zip(values) {
            let past: History = history(NOW, 1.0, &|_| value);
            signal(&mut snapshot, &key, name, past);
        }
        let plan = planned(&snapshot);
        prop_assert!((2..=60).contains(&plan.targets[&key].replicas));
        prop_assert!(plan.targets[&key].p50_need <= 60);
        let basis = &plan.targets[&key].basis;
        for number in [basis.demand_now, basis.demand_planned, basis.capacity_per_replica, Some(basis.lead_s), Some(basis.quantile)] {
            prop_assert!(number.is_none_or(f64::is_finite), "{:?}", basis);
        }
    }
}
