//! Packing, in sentences, and the invariants that no input may break.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::fleet::{CapacityType, InstanceType, Offering};
use crate::domain::limits::{FleetLimits, Mode, NodeClassRef, Provider};
use crate::domain::names::GroupId;
use crate::domain::units::{Bytes, Millicores};
use crate::domain::workload::{Requirement, RequirementOperator, ResourceList, Taint, Toleration};

const GIB: u64 = 1 << 30;

pub(crate) fn resources(cpu: u64, gib: u64, pods: u32) -> ResourceList {
    ResourceList { cpu: Millicores(cpu), memory: Bytes(gib * GIB), pods, ..Default::default() }
}

pub(crate) fn class(name: &str, cpu: u64, gib: u64, count: u32) -> PodClass {
    let shape = PodShape { requests: resources(cpu, gib, 1), ..Default::default() };
    PodClass { target: TargetKey::deployment("shop", name), shape, count }
}

pub(crate) fn node(name: &str, cpu: u64, gib: u64) -> Node {
    Node {
        name: name.into(),
        labels: BTreeMap::new(),
        taints: vec![],
        allocatable: resources(cpu, gib, 110),
        requested: ResourceList::default(),
        ready: true,
        unschedulable: false,
        created: None,
        ready_since: None,
        pool: Some("general".into()),
        price_per_hour: Some(MicroUsd(200_000)),
    }
}

/// Types of a cloud: name, millicores, GiB, micro-dollars on demand; spot is three tenths of it.
pub(crate) fn catalogue(types: &[(&str, u64, u64, i64)]) -> Catalogue {
    let instance = |(name, cpu, gib, price): &(&str, u64, u64, i64)| InstanceType {
        name: (*name).into(),
        family: name.split('.').next().unwrap().into(),
        labels: BTreeMap::new(),
        allocatable: resources(*cpu, *gib, 58),
        offerings: [
            ("a", CapacityType::OnDemand, *price),
            ("b", CapacityType::OnDemand, price + 1000),
            ("a", CapacityType::Spot, price * 3 / 10),
        ]
        .map(|(zone, capacity_type, price)| Offering { zone: zone.into(), capacity_type, price_per_hour: MicroUsd(price) })
        .into(),
    };
    Catalogue { types: types.iter().map(|t| (Arc::from(t.0), instance(t))).collect(), ..Default::default() }
}

pub(crate) fn usual() -> Catalogue {
    catalogue(&[
        ("c.large", 2000, 4, 85_000),
        ("m.large", 2000, 8, 96_000),
        ("m.xlarge", 4000, 16, 192_000),
        ("r.large", 2000, 16, 126_000),
    ])
}

pub(crate) fn pool(requirements: Vec<Requirement>) -> NodePool {
    NodePool { name: "general".into(), requirements, taints: vec![], limits: None, weight: 10 }
}

pub(crate) fn fleet() -> Fleet {
    Fleet {
        id: GroupId::fleet("shop"),
        uid: "f1".into(),
        generation: 1,
        provider: Provider::Karpenter,
        pools: vec!["general".into()],
        node_class: NodeClassRef::default(),
        families: vec![],
        zones: vec![],
        capacity_types: vec![CapacityType::OnDemand],
        least_on_demand_percent: 0,
        least_types_per_pool: 3,
        blast_radius_percent: 50,
        limits: FleetLimits::default(),
        cost_budget_per_hour: None,
        highest_mode: Mode::Auto,
    }
}

fn on_demand() -> Requirement {
    Requirement { key: "karpenter.sh/capacity-type".into(), operator: RequirementOperator::In, values: vec!["on-demand".into()] }
}

fn packed(pods: Vec<PodClass>, nodes: &[Node], pools: &[NodePool], fleets: Vec<&Fleet>, catalogue: &Catalogue) -> NodeMix {
    pack(&PackRequest { pods, nodes, pools, fleets, catalogue }, 10_000, &|| false)
}

#[test]
fn nodes_there_are_come_first() {
    let nodes = [node("n1", 4000, 16), Node { unschedulable: true, ..node("n2", 64_000, 256) }];
    let mix = packed(vec![class("web", 1000, 2, 6)], &nodes, &[pool(vec![on_demand()])], vec![], &usual());
    assert_eq!(mix.on_existing.values().sum::<u32>(), 4);
    assert_eq!(mix.new_nodes.iter().map(|n| n.pods.values().sum::<u32>()).sum::<u32>(), 2);
    assert_eq!(mix.running_cost_per_hour, MicroUsd(400_000));
    assert!(mix.unschedulable.is_empty());
}

#[test]
fn the_cheapest_new_node_is_bought() {
    let buy = |cpu, gib, count| {
        let mix = packed(vec![class("web", cpu, gib, count)], &[], &[pool(vec![on_demand()])], vec![], &usual());
        mix.new_nodes.iter().map(|n| n.instance_type.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(buy(1000, 2, 2), ["c.large"]);
    assert_eq!(buy(1000, 8, 2), ["r.large"]);
    assert_eq!(buy(1000, 2, 1), ["c.large"], "one pod needs no large node");
    assert_eq!(buy(4000, 4, 1), ["m.xlarge"]);
}

#[test]
fn spot_is_bought_where_it_is_allowed_and_the_least_share_on_demand_is_kept() {
    let spot_too = Fleet { capacity_types: vec![CapacityType::OnDemand, CapacityType::Spot], ..fleet() };
    let pools = [pool(vec![])];
    let bought = |fleet: &Fleet| {
        let mix = packed(vec![class("web", 1000, 2, 20)], &[], &pools, vec![fleet], &usual());
        assert!(mix.unschedulable.is_empty(), "{:?}", mix.unschedulable);
        let spot = mix.new_nodes.iter().filter(|n| n.capacity_type == CapacityType::Spot).count();
        (spot, mix.new_nodes.len() - spot)
    };
    assert_eq!(bought(&fleet()), (0, 10));
    assert_eq!(bought(&spot_too), (10, 0));
    let half = Fleet { least_on_demand_percent: 50, ..spot_too };
    let (spot, on_demand) = bought(&half);
    assert!(on_demand >= spot, "{spot} {on_demand}");
}

#[test]
fn families_zones_and_requirements_restrict() {
    let only_r = Fleet { families: vec!["r".into()], zones: vec!["b".into()], ..fleet() };
    let mix = packed(vec![class("web", 1000, 2, 2)], &[], &[pool(vec![])], vec![&only_r], &usual());
    assert_eq!((&*mix.new_nodes[0].instance_type, &*mix.new_nodes[0].zone), ("r.large", "b"));
    let family =
        Requirement { key: "karpenter.k8s.aws/instance-family".into(), operator: RequirementOperator::In, values: vec!["m".into()] };
    let mix = packed(vec![class("web", 1000, 2, 2)], &[], &[pool(vec![family, on_demand()])], vec![], &usual());
    assert_eq!(&*mix.new_nodes[0].instance_type, "m.large");
}

#[test]
fn what_fits_nowhere_says_which_constraint_and_what_would_mend_it() {
    let reason = |class: PodClass, pool: NodePool| {
        let mix = packed(vec![class], &[], &[pool], vec![], &usual());
        assert_eq!(mix.new_nodes, []);
        mix.unschedulable[0].reason.clone()
    };
    let huge = reason(class("web", 9000, 1, 2), pool(vec![]));
    assert_eq!(huge, "asks for cpu 9 where 4 is left: lower the request or allow a larger node (closest: m.xlarge of pool general)");
    let taint = Taint { key: "gpu".into(), value: "a".into(), effect: "NoSchedule".into() };
    let tainted = NodePool { taints: vec![taint], ..pool(vec![]) };
    assert!(reason(class("web", 100, 1, 1), tainted).contains("does not tolerate the taint gpu=a:NoSchedule"));
    let mut picky = class("web", 100, 1, 1);
    picky.shape.node_terms =
        vec![vec![Requirement { key: "topology.kubernetes.io/zone".into(), operator: RequirementOperator::In, values: vec!["z".into()] }]];
    assert!(reason(picky, pool(vec![])).contains("topology.kubernetes.io/zone In [z]"));
    let small = NodePool { limits: Some(resources(2000, 0, 0)), ..pool(vec![on_demand()]) };
    let mix = packed(vec![class("web", 2000, 1, 3)], &[], &[small], vec![], &usual());
    assert_eq!(mix.new_nodes.len(), 1);
    assert_eq!(mix.unschedulable[0].replicas, 2);
    assert!(mix.unschedulable[0].reason.contains("limits of the pool general"), "{}", mix.unschedulable[0].reason);
    let nowhere = packed(vec![class("web", 100, 1, 1)], &[], &[], vec![], &usual());
    assert!(nowhere.unschedulable[0].reason.contains("no pool may add a node"));
}

#[test]
fn tolerated_taints_let_pods_in() {
    let taint = Taint { key: "gpu".into(), value: "a".into(), effect: "NoSchedule".into() };
    let mut tolerant = class("llm", 1000, 1, 1);
    tolerant.shape.tolerations = vec![Toleration { key: Some("gpu".into()), value: None, effect: None }];
    let mix = packed(vec![tolerant, class("web", 1000, 1, 1)], &[], &[NodePool { taints: vec![taint], ..pool(vec![]) }], vec![], &usual());
    assert_eq!(mix.new_nodes.len(), 1);
    assert_eq!(mix.unschedulable.len(), 1);
}

#[test]
fn a_thousand_pods_are_close_to_the_bound() {
    let pods = (0..20).map(|i| class(&format!("s{i:02}"), 100 + 90 * i, 1 + i % 5, 50)).collect();
    let mix = packed(pods, &[], &[pool(vec![on_demand()])], vec![], &usual());
    let bound = mix.lower_bound_per_hour.unwrap();
    assert!(bound.0 > 0);
    assert!((mix.cost_per_hour.0 as f64) < 1.15 * bound.0 as f64, "{} {}", mix.cost_per_hour, bound);
}

#[test]
fn without_iterations_the_answer_is_still_a_full_one() {
    let request = PackRequest {
        pods: vec![class("a", 900, 1, 7), class("b", 300, 3, 9)],
        nodes: &[],
        pools: &[pool(vec![])],
        fleets: vec![],
        catalogue: &usual(),
    };
    for mix in [pack(&request, 0, &|| false), pack(&request, 1000, &|| true)] {
        assert!(mix.unschedulable.is_empty());
        assert_eq!(mix.new_nodes.iter().map(|n| n.pods.values().sum::<u32>()).sum::<u32>(), 16);
    }
}

#[test]
fn the_digest_changes_with_what_packing_looks_at_and_only_then() {
    let catalogue = usual();
    let (pools, nodes) = ([pool(vec![])], [node("n1", 4000, 16)]);
    let request = |pods, nodes| PackRequest { pods, nodes, pools: &pools, fleets: vec![], catalogue: &catalogue };
    let digest = input_digest(&request(vec![class("a", 1, 1, 1)], &nodes));
    assert_eq!(digest, input_digest(&request(vec![class("a", 1, 1, 1)], &nodes)));
    assert_ne!(digest, input_digest(&request(vec![class("a", 1, 1, 2)], &nodes)));
    assert_ne!(digest, input_digest(&request(vec![class("a", 1, 1, 1)], &[])));
}

fn any_class() -> impl Strategy<Value = (u64, u64, u32)> {
    (0u64..6000, 0u64..20, 0u32..40)
}

fn any_type() -> impl Strategy<Value = (u64, u64, i64)> {
    (0u64..9000, 0u64..40, 0i64..400_000)
}

proptest! {
    #[test]
    fn every_pod_is_accounted_for_nodes_hold_their_pods_and_the_bound_is_below_the_cost(
        classes in prop::collection::vec(any_class(), 0..8),
        types in prop::collection::vec(any_type(), 0..6),
        nodes in prop::collection::vec((0u64..8000, 0u64..32), 0..4),
        iterations in 0u64..200,
    ) {
        let names: Vec<String> = (0..types.len()).map(|i| format!("t{i}.x")).collect();
        let types: Vec<_> = types.iter().zip(&names).map(|((cpu, gib, price), name)| (name.as_str(), *cpu, *gib, *price)).collect();
        let catalogue = catalogue(&types);
        let nodes: Vec<Node> = nodes.iter().enumerate().map(|(i, (cpu, gib))| node(&format!("n{i}"), *cpu, *gib)).collect();
        let pods: Vec<PodClass> =
            classes.iter().enumerate().map(|(i, (cpu, gib, count))| class(&format!("s{i}"), *cpu, *gib, *count)).collect();
        let pools = [pool(vec![])];
        let request = PackRequest { pods: pods.clone(), nodes: &nodes, pools: &pools, fleets: vec![], catalogue: &catalogue };
        let mix = pack(&request, iterations, &|| false);
        prop_assert_eq!(&mix, &pack(&request, iterations, &|| false), "the same input gives the same answer");
        for class in &pods {
            let on_new: u32 = mix.new_nodes.iter().filter_map(|n| n.pods.get(&class.target)).sum();
            let nowhere: u32 = mix.unschedulable.iter().filter(|u| u.target == class.target).map(|u| u.replicas).sum();
            let on_old = mix.on_existing.get(&class.target).copied().unwrap_or(0);
            prop_assert_eq!(on_new + on_old + nowhere, class.count);
        }
        for node in &mix.new_nodes {
            let mut used = ResourceList::default();
            for (target, count) in &node.pods {
                let class = pods.iter().find(|c| c.target == *target).unwrap();
                used.add(&class.shape.requests, *count);
            }
            prop_assert!(used.fits(&catalogue.types[&node.instance_type].allocatable));
        }
        prop_assert!(mix.lower_bound_per_hour.unwrap() <= mix.cost_per_hour);
    }
}
