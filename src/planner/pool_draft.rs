//! A node pool where pods fit nowhere, on types that a fleet allows: a new one where the fleet lists a name that is not there, else more
//! types for one that is.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::assess::Assessed;
use super::packing::{ITERATIONS, request};
use crate::binpack::{PackRequest, PodClass, pack, types_for};
use crate::domain::fleet::NodePool;
use crate::domain::limits::{Fleet, Provider};
use crate::domain::names::{EvidenceId, ProposalId};
use crate::domain::plan::{NodeMix, Plan};
use crate::domain::proposal::{Change, NodePoolChange, NodePoolDraft, Origin, Proposal};
use crate::domain::snapshot::Snapshot;
use crate::domain::units::{Bytes, GoDuration, Millicores};
use crate::domain::workload::ResourceList;

/// Types in a draft at most: breadth against stock-outs, few enough to be read.
const MOST_TYPES: usize = 20;
/// How much more than the pods of now need a drafted pool may grow to.
const GROWTH: u32 = 2;
/// Karpenter's own default for `expireAfter`.
const EXPIRE_AFTER: GoDuration = GoDuration::from_mins(720 * 60);
/// Karpenter's own default disruption budget, percent of nodes.
const DISRUPTION_PERCENT: u32 = 10;
const WEIGHT: u32 = 10;

/// One draft for each fleet that can help the pods that fit nowhere; a pod that one fleet helps is not offered to the next.
pub(super) fn proposals(snapshot: &Snapshot, order: &[&Assessed<'_>], plan: &Plan) -> Vec<Proposal> {
    let mut waiting: Vec<PodClass> = order
        .iter()
        .filter_map(|target| {
            let nowhere = plan.nodes.unschedulable.iter().find(|u| u.target == *target.key())?;
            Some(PodClass { target: target.key().clone(), shape: target.workload.template.shape.clone(), count: nowhere.replicas })
        })
        .collect();
    let mut out = Vec::new();
    for (name, fleet) in snapshot.facts.fleets.iter().filter(|(_, fleet)| fleet.provider == Provider::Karpenter) {
        if waiting.is_empty() {
            break;
        }
        let Some(helped) = draft(snapshot, fleet, &waiting) else { continue };
        let exists = snapshot.facts.node_pools.iter().any(|pool| pool.name == helped.draft.name);
        let mut placed = 0;
        let mut evidence = Vec::new();
        for class in &mut waiting {
            let count: u32 = helped.mix.new_nodes.iter().filter_map(|node| node.pods.get(&class.target)).sum();
            if count > 0 {
                evidence.push(EvidenceId(class.target.to_string()));
            }
            class.count = class.count.saturating_sub(count);
            placed += count;
        }
        waiting.retain(|class| class.count > 0);
        out.push(Proposal {
            id: ProposalId(String::new()),
            group: fleet.id.clone(),
            origin: Origin::Planner,
            rationale: format!(
                "{placed} planned pods fit on no node and no pool; {} nodes such as {} from this pool would hold them for {} an hour",
                helped.mix.new_nodes.len(),
                helped.mix.new_nodes.first().map_or("none", |node| &*node.instance_type),
                helped.mix.cost_per_hour
            ),
            evidence,
            made: snapshot.at,
            cost_change_per_hour: Some(helped.mix.cost_per_hour),
            change: Change::NodePool(NodePoolChange { fleet: name.clone(), provider: fleet.provider, draft: helped.draft, exists }),
        });
    }
    out
}

struct Helped {
    draft: NodePoolDraft,
    mix: NodeMix,
}

/// The pool with which the fleet would hold some of the waiting pods, if it may have one broad enough.
fn draft(snapshot: &Snapshot, fleet: &Fleet, waiting: &[PodClass]) -> Option<Helped> {
    let existing = |name: &&Arc<str>| snapshot.facts.node_pools.iter().find(|pool| pool.name == **name);
    let name = fleet.pools.iter().find(|name| existing(name).is_none()).or(fleet.pools.first())?;
    let old = existing(&name);
    // As wide as the fleet allows: the mix then says what is worth having.
    let wide = NodePool {
        name: name.clone(),
        requirements: Vec::new(),
        taints: old.map(|pool| pool.taints.clone()).unwrap_or_default(),
        limits: None,
        weight: WEIGHT,
    };
    let pools = [wide];
    let everything = PackRequest { pools: &pools, fleets: vec![fleet], nodes: &[], ..request(snapshot, waiting.to_vec()) };
    let mix = pack(&everything, ITERATIONS, &|| false);
    if mix.new_nodes.is_empty() {
        return None;
    }
    let mut types: BTreeSet<Arc<str>> = mix.new_nodes.iter().map(|node| node.instance_type.clone()).take(MOST_TYPES).collect();
    let placed = |class: &&PodClass| mix.new_nodes.iter().any(|node| node.pods.contains_key(&class.target));
    let largest = waiting.iter().filter(placed).map(|class| &class.shape.requests).max()?;
    let breadth = usize::try_from(fleet.least_types_per_pool).unwrap_or(usize::MAX);
    if let Some(old) = old {
        // A pool that is changed keeps what it has.
        types.extend(types_for(&everything, old, &ResourceList::default()));
    }
    for name in types_for(&everything, &pools[0], largest) {
        if types.len() >= breadth.max(1) {
            break;
        }
        types.insert(name);
    }
    if types.len() < breadth {
        return None;
    }
    let requirements = old.map(|pool| pool.requirements.iter().filter(|r| !is_about_types(&r.key)).cloned().collect());
    let draft = NodePoolDraft {
        name: name.clone(),
        instance_types: types.into_iter().collect(),
        capacity_types: fleet.capacity_types.clone(),
        zones: fleet.zones.clone(),
        requirements: requirements.unwrap_or_default(),
        taints: pools[0].taints.clone(),
        limits: limits(snapshot, fleet, name, &mix),
        weight: old.map_or(WEIGHT, |pool| pool.weight.clamp(1, 100)),
        expire_after: EXPIRE_AFTER,
        disruption_percent: DISRUPTION_PERCENT,
    };
    Some(Helped { draft, mix })
}

/// Requirements that the draft states in fields of its own.
fn is_about_types(key: &str) -> bool {
    matches!(key, "node.kubernetes.io/instance-type" | "karpenter.sh/capacity-type" | "topology.kubernetes.io/zone")
        || key.starts_with("karpenter.k8s.")
}

/// Room for what is planned and as much again, beside what the pool has in use, within the fleet's limits.
fn limits(snapshot: &Snapshot, fleet: &Fleet, name: &Arc<str>, mix: &NodeMix) -> ResourceList {
    let mut limits = ResourceList::default();
    for node in &mix.new_nodes {
        if let Some(instance) = snapshot.catalogue.types.get(&node.instance_type) {
            limits.add(&ResourceList { pods: 0, ..instance.allocatable.clone() }, GROWTH);
        }
    }
    for node in snapshot.facts.nodes.iter().filter(|node| node.pool.as_ref() == Some(name)) {
        limits.add(&ResourceList { pods: 0, ..node.allocatable.clone() }, 1);
    }
    limits.cpu = Millicores(limits.cpu.0.min(fleet.limits.cpu.map_or(u64::MAX, |v| v.0)));
    limits.memory = Bytes(limits.memory.0.min(fleet.limits.memory.map_or(u64::MAX, |v| v.0)));
    limits
}
