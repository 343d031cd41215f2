//! Fleet: a node pool only as its `NodeFleet` allows. What the fleet fixes (node class, and the taints of a pool that is there) no draft can
//! change; what it lists (pools, families, zones, ways to pay, limits) no draft can exceed.

use super::rule::{Answer, Case};
use crate::domain::fleet::CapacityType;
use crate::domain::limits::Fleet;
use crate::domain::proposal::{Change, NodePoolChange, NodePoolDraft};
use crate::domain::units::GoDuration;
use crate::domain::workload::ResourceList;

/// Labels that the draft's own lists speak for: a further requirement on one of them would say it twice.
const SPOKEN_FOR: [&str; 4] =
    ["topology.kubernetes.io/zone", "karpenter.sh/capacity-type", "node.kubernetes.io/instance-type", "karpenter.sh/nodepool"];

/// A node that lives shorter spends its life being replaced.
const LEAST_NODE_LIFE: GoDuration = GoDuration::from_mins(24 * 60);

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let Change::NodePool(change) = case.change else { return Answer::pass() };
    let Some(fleet) = case.world.snapshot.facts.fleets.get(&change.fleet) else {
        return Answer::refuse(format!("there is no NodeFleet {}", change.fleet));
    };
    identity(case, fleet, change)
        .or_else(|| types(case, fleet, &change.draft))
        .or_else(|| ways_to_pay(fleet, &change.draft))
        .or_else(|| numbers(&change.draft))
        .or_else(|| limits(case, fleet, &change.draft))
        .unwrap_or_else(Answer::pass)
}

fn identity(case: &Case<'_>, fleet: &Fleet, change: &NodePoolChange) -> Option<Answer> {
    let (draft, facts) = (&change.draft, &case.world.snapshot.facts);
    if case.proposal.group.is_fleet() && case.proposal.group != fleet.id {
        return Some(Answer::refuse(format!("{} may not shape pools of {}", case.proposal.group, fleet.id)));
    }
    if change.provider != fleet.provider {
        return Some(Answer::refuse(format!("{} is provisioned by {:?}, not by {:?}", fleet.id, fleet.provider, change.provider)));
    }
    if !fleet.pools.contains(&draft.name) {
        return Some(Answer::refuse(format!("node pool {} is not one that {} lets IPA shape", draft.name, fleet.id)));
    }
    if case.projection.pool(&draft.name).is_some() {
        return Some(Answer::refuse(format!("a change of node pool {} is released and not yet seen in the cluster", draft.name)));
    }
    let there = facts.node_pools.iter().find(|pool| pool.name == draft.name);
    if there.is_some() != change.exists {
        let (then, now) = if change.exists { ("was there", "is not") } else { ("was not there", "is") };
        return Some(Answer::refuse(format!("the world has moved: node pool {} {then} when this was made and {now} now", draft.name)));
    }
    there
        .filter(|pool| pool.taints != draft.taints)
        .map(|_| Answer::refuse(format!("the taints of node pool {} are fixed: pods rely on them", draft.name)))
}

fn types(case: &Case<'_>, fleet: &Fleet, draft: &NodePoolDraft) -> Option<Answer> {
    let count = draft.instance_types.iter().collect::<std::collections::BTreeSet<_>>().len();
    if (count as u64) < u64::from(fleet.least_types_per_pool.max(1)) {
        return Some(
            Answer::refuse(format!(
                "{count} instance types are named, at least {} guard against stock-outs",
                fleet.least_types_per_pool.max(1)
            ))
            .comparing("instance types", count as f64, f64::from(fleet.least_types_per_pool)),
        );
    }
    draft.instance_types.iter().find_map(|name| {
        let Some(kind) = case.world.snapshot.catalogue.types.get(name) else {
            return Some(Answer::refuse(format!("instance type {name} is not in the catalogue")));
        };
        (!fleet.families.is_empty() && !fleet.families.contains(&kind.family))
            .then(|| Answer::refuse(format!("instance type {name} is of family {}, which {} does not list", kind.family, fleet.id)))
    })
}

fn ways_to_pay(fleet: &Fleet, draft: &NodePoolDraft) -> Option<Answer> {
    if draft.capacity_types.is_empty() {
        return Some(Answer::refuse(format!("node pool {} names no capacity type", draft.name)));
    }
    if let Some(way) = draft.capacity_types.iter().find(|way| !fleet.capacity_types.contains(way)) {
        return Some(Answer::refuse(format!("{} does not allow {} nodes", fleet.id, way.label())));
    }
    let kept = draft.capacity_types.iter().any(|way| *way != CapacityType::Spot);
    let spot = draft.capacity_types.contains(&CapacityType::Spot);
    let least = fleet.least_on_demand_percent;
    if (least > 0 && !kept) || (least >= 100 && spot) {
        return Some(Answer::refuse(format!("{} keeps at least {least} % on demand: spot alone cannot", fleet.id)));
    }
    let zone = draft.zones.iter().find(|zone| !fleet.zones.is_empty() && !fleet.zones.contains(zone))?;
    Some(Answer::refuse(format!("zone {zone} is not one that {} lists", fleet.id)))
}

fn numbers(draft: &NodePoolDraft) -> Option<Answer> {
    if !(1..=100).contains(&draft.weight) {
        return Some(Answer::refuse(format!("a weight of {} is outside 1 to 100", draft.weight)));
    }
    if !(1..=100).contains(&draft.disruption_percent) {
        return Some(Answer::refuse(format!("a disruption budget of {} % is outside 1 to 100", draft.disruption_percent)));
    }
    if draft.expire_after < LEAST_NODE_LIFE {
        return Some(Answer::refuse(format!(
            "nodes that live for {} are replaced all day, {LEAST_NODE_LIFE} is the least",
            draft.expire_after
        )));
    }
    let twice = draft.requirements.iter().find(|requirement| SPOKEN_FOR.contains(&&*requirement.key))?;
    Some(Answer::refuse(format!("a requirement on {} is made by the pool's own lists", twice.key)))
}

/// Limits hold for the sum of the fleet's pools. A pool whose limits are not known counts as nothing: it was not IPA that drew it so.
fn limits(case: &Case<'_>, fleet: &Fleet, draft: &NodePoolDraft) -> Option<Answer> {
    let mut sum = draft.limits.clone();
    for pool in fleet.pools.iter().filter(|pool| **pool != draft.name) {
        let standing = case.world.snapshot.facts.node_pools.iter().find(|p| p.name == *pool).and_then(|p| p.limits.as_ref());
        let limits: Option<&ResourceList> = case.projection.pool(pool).or(standing);
        sum.add(limits.unwrap_or(&ResourceList::default()), 1);
    }
    let pairs = [
        ("cpu", fleet.limits.cpu.map(|v| (v.0, v.quantity())), draft.limits.cpu.0, sum.cpu.0, sum.cpu.quantity()),
        ("memory", fleet.limits.memory.map(|v| (v.0, v.quantity())), draft.limits.memory.0, sum.memory.0, sum.memory.quantity()),
    ];
    pairs.into_iter().find_map(|(what, limit, own, sum, text)| {
        let (limit, limit_text) = limit?;
        if own == 0 {
            return Some(Answer::refuse(format!("node pool {} names no limit of {what}, {} asks for one", draft.name, fleet.id)));
        }
        (sum > limit).then(|| {
            Answer::refuse(format!("pools of {} would have {what} of up to {text}, at most {limit_text} is allowed", fleet.id)).comparing(
                &format!("{what} limit"),
                sum as f64,
                limit as f64,
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use crate::domain::fleet::CapacityType;
    use crate::domain::limits::{Mode, Provider};
    use crate::domain::proposal::{Change, NodePoolChange, NodePoolDraft};
    use crate::domain::units::{GoDuration, Millicores};
    use crate::domain::workload::{Requirement, RequirementOperator, ResourceList, Taint};
    use crate::guardrails::testing::{Setup, calm, check, fleet, pool};

    fn change(edit: impl Fn(&mut NodePoolChange)) -> Change {
        let mut change = NodePoolChange {
            fleet: "main".into(),
            provider: Provider::Karpenter,
            draft: NodePoolDraft {
                name: "general".into(),
                instance_types: vec!["m6i.2xlarge".into(), "m6i.xlarge".into()],
                capacity_types: vec![CapacityType::OnDemand, CapacityType::Spot],
                zones: vec!["a".into()],
                requirements: Vec::new(),
                taints: Vec::new(),
                limits: ResourceList {
                    cpu: Millicores(80_000),
                    memory: crate::domain::units::Bytes::default(),
                    pods: 0,
                    extended: BTreeMap::new(),
                },
                weight: 50,
                expire_after: GoDuration::from_mins(10_000),
                disruption_percent: 10,
            },
            exists: false,
        };
        edit(&mut change);
        Change::NodePool(change)
    }

    fn with_fleet() -> Setup {
        let mut setup = calm();
        setup.snapshot.facts.fleets.insert("main".into(), fleet());
        setup
    }

    #[test]
    fn a_draft_within_the_fleet_is_admitted_as_far_as_its_mode_allows() {
        let mut setup = with_fleet();
        check(&setup, change(|_| {}), "Admit create node pool general with 2 instance types");
        setup.snapshot.facts.fleets.get_mut("main").unwrap().highest_mode = Mode::Recommend;
        check(
            &setup,
            change(|_| {}),
            "Queue create node pool general with 2 instance types\n\
            Mode Queue: the mode of node pools is Recommend: a person decides",
        );
    }

    #[test]
    fn no_draft_exceeds_what_its_fleet_lists() {
        let setup = with_fleet();
        let refused =
            |edit: fn(&mut NodePoolChange), sentence: &str| check(&setup, change(edit), &format!("Refuse\nFleet Refuse: {sentence}"));
        refused(|c| c.draft.name = "mine".into(), "node pool mine is not one that nodefleet/main lets IPA shape");
        refused(|c| c.provider = Provider::ClusterAPI, "nodefleet/main is provisioned by Karpenter, not by ClusterAPI");
        refused(|c| c.exists = true, "the world has moved: node pool general was there when this was made and is not now");
        refused(|c| c.draft.instance_types.truncate(1), "1 instance types are named, at least 2 guard against stock-outs");
        refused(
            |c| c.draft.instance_types[0] = Arc::from("c6i.xlarge"),
            "instance type c6i.xlarge is of family c6i, which nodefleet/main does not list",
        );
        refused(|c| c.draft.instance_types[0] = Arc::from("p5.48xlarge"), "instance type p5.48xlarge is not in the catalogue");
        refused(|c| c.draft.capacity_types = vec![CapacityType::Reserved], "nodefleet/main does not allow reserved nodes");
        refused(|c| c.draft.capacity_types = vec![CapacityType::Spot], "nodefleet/main keeps at least 20 % on demand: spot alone cannot");
        refused(|c| c.draft.zones = vec!["b".into()], "zone b is not one that nodefleet/main lists");
        refused(|c| c.draft.weight = 0, "a weight of 0 is outside 1 to 100");
        refused(|c| c.draft.disruption_percent = 101, "a disruption budget of 101 % is outside 1 to 100");
        refused(|c| c.draft.limits.cpu = Millicores(0), "node pool general names no limit of cpu, nodefleet/main asks for one");
        refused(
            |c| c.draft.limits.cpu = Millicores(100_001),
            "pools of nodefleet/main would have cpu of up to 100001m, at most 100 is allowed",
        );
        refused(
            |c| {
                let values = vec!["z".into()];
                c.draft.requirements =
                    vec![Requirement { key: "topology.kubernetes.io/zone".into(), operator: RequirementOperator::In, values }];
            },
            "a requirement on topology.kubernetes.io/zone is made by the pool's own lists",
        );
    }

    #[test]
    fn limits_hold_for_the_sum_of_pools_and_taints_stay() {
        let mut setup = with_fleet();
        let mut batch = pool(30);
        batch.name = "batch".into();
        setup.snapshot.facts.node_pools.push(batch);
        check(&setup, change(|_| {}), "Refuse\nFleet Refuse: pools of nodefleet/main would have cpu of up to 110, at most 100 is allowed");
        setup.snapshot.facts.node_pools = vec![pool(30)];
        let taint = Taint { key: "team".into(), value: "a".into(), effect: "NoSchedule".into() };
        check(
            &setup,
            change(|c| {
                c.exists = true;
                c.draft.taints = vec![taint.clone()];
            }),
            "Refuse\n\
            Fleet Refuse: the taints of node pool general are fixed: pods rely on them",
        );
    }
}
