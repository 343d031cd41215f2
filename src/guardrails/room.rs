//! What nodes have left, and what pools may still buy, as far as a gate has to know it: plain counting, made without the packer, so that a
//! fault of the packer is not repeated by what checks it. It knows requests, node affinity and taints; it knows no spreading.

use crate::domain::fleet::{Catalogue, InstanceType, Node, NodePool, Offering};
use crate::domain::snapshot::Snapshot;
use crate::domain::workload::{PodPhase, PodShape, Requirement, RequirementOperator, ResourceList, Taint};

/// Room on nodes there are, and in pools.
pub(super) struct Room<'a> {
    nodes: Vec<NodeRoom<'a>>,
    pools: Vec<PoolRoom<'a>>,
}

/// How many of some pods can be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fits {
    /// On nodes there are.
    pub existing: u32,
    /// On nodes that may be bought.
    pub bought: u32,
}

struct NodeRoom<'a> {
    node: &'a Node,
    left: ResourceList,
}

struct PoolRoom<'a> {
    pool: &'a NodePool,
    left: Option<ResourceList>,
    offers: Vec<(&'a InstanceType, &'a Offering)>,
}

impl<'a> Room<'a> {
    /// What is left now, after the pods that wait for a node already.
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let nodes = snapshot.facts.nodes.iter().filter(|node| node.usable()).map(|node| NodeRoom { node, left: node.room() }).collect();
        let pools = snapshot.facts.node_pools.iter().map(|pool| PoolRoom::new(pool, &snapshot.facts.nodes, &snapshot.catalogue)).collect();
        let mut room = Self { nodes, pools };
        for workload in snapshot.facts.workloads.values() {
            let waiting = workload.pods.iter().filter(|pod| pod.phase == PodPhase::Pending && pod.node.is_none()).count();
            if waiting > 0 {
                room.take(&workload.template.shape, u32::try_from(waiting).unwrap_or(u32::MAX));
            }
        }
        room
    }

    /// Whether anything is known to place pods on.
    pub(super) fn known(&self) -> bool {
        !self.nodes.is_empty() || !self.pools.is_empty()
    }

    /// How many of `count` pods fit.
    pub(super) fn fits(&self, shape: &PodShape, count: u32) -> Fits {
        let mut existing = 0u32;
        for node in &self.nodes {
            if existing >= count {
                break;
            }
            existing = existing.saturating_add(node.takes(shape));
        }
        let existing = existing.min(count);
        let mut bought = 0u32;
        for pool in &self.pools {
            if existing.saturating_add(bought) >= count {
                break;
            }
            bought = bought.saturating_add(pool.best(shape).map_or(0, |best| best.each.saturating_mul(best.nodes)));
        }
        Fits { existing, bought: bought.min(count - existing) }
    }

    /// Places `count` pods; those that fit nowhere are left out.
    pub(super) fn take(&mut self, shape: &PodShape, count: u32) {
        let mut open = count;
        for node in &mut self.nodes {
            open -= node.put(shape, open);
            if open == 0 {
                return;
            }
        }
        for pool in &mut self.pools {
            let Some(best) = pool.best(shape) else { continue };
            let needed = open.div_ceil(best.each).min(best.nodes);
            if let Some(left) = &mut pool.left {
                let mut used = ResourceList::default();
                used.add(&best.kind.allocatable, needed);
                *left = left.minus(&used);
            }
            // Beyond the pods that are placed now, a bought node's room is not counted on: which type comes is the provider's choice.
            open -= open.min(best.each.saturating_mul(needed));
            if open == 0 {
                return;
            }
        }
    }

    /// The largest free amounts of any one node, for the sentence: CPU and memory.
    pub(super) fn largest(&self) -> ResourceList {
        let mut largest = ResourceList::default();
        for node in &self.nodes {
            largest.cpu = largest.cpu.max(node.left.cpu);
            largest.memory = largest.memory.max(node.left.memory);
        }
        largest
    }
}

impl NodeRoom<'_> {
    fn takes(&self, shape: &PodShape) -> u32 {
        let times = times(&self.left, &shape.requests);
        let label = |key: &str| self.node.labels.get(key).map(|value| &**value);
        if times == 0 || !tolerates(shape, &self.node.taints) || !terms_match(&shape.node_terms, &label) { 0 } else { times }
    }

    fn put(&mut self, shape: &PodShape, most: u32) -> u32 {
        let placed = self.takes(shape).min(most);
        if placed > 0 {
            let mut used = ResourceList::default();
            used.add(&shape.requests, placed);
            self.left = self.left.minus(&used);
        }
        placed
    }
}

/// The type of a pool that takes the most pods.
struct Best<'a> {
    kind: &'a InstanceType,
    each: u32,
    nodes: u32,
}

impl<'a> PoolRoom<'a> {
    fn new(pool: &'a NodePool, nodes: &[Node], catalogue: &'a Catalogue) -> Self {
        let left = pool.limits.as_ref().map(|limits| {
            let mut used = ResourceList::default();
            for node in nodes.iter().filter(|node| node.pool.as_ref() == Some(&pool.name)) {
                used.add(&node.allocatable, 1);
            }
            limits.minus(&used)
        });
        let offers = catalogue
            .types
            .values()
            .flat_map(|kind| kind.offerings.iter().map(move |offering| (kind, offering)))
            .filter(|(kind, offering)| {
                let label = |key: &str| offered_label(pool, kind, offering, key);
                pool.requirements.iter().all(|requirement| matches(requirement, label(&requirement.key)))
            })
            .collect();
        Self { pool, left, offers }
    }

    fn best(&self, shape: &PodShape) -> Option<Best<'a>> {
        if !tolerates(shape, &self.pool.taints) {
            return None;
        }
        let mut best: Option<Best<'a>> = None;
        let mut last: Option<&InstanceType> = None;
        for (kind, offering) in &self.offers {
            if last.is_some_and(|last| std::ptr::eq(last, *kind)) {
                continue;
            }
            let each = times(&kind.allocatable, &shape.requests);
            let label = |key: &str| offered_label(self.pool, kind, offering, key);
            if each == 0 || !terms_match(&shape.node_terms, &label) {
                continue;
            }
            last = Some(kind);
            let nodes = self.left.as_ref().map_or(u32::MAX, |left| within(left, self.pool.limits.as_ref(), &kind.allocatable));
            let total = each.saturating_mul(nodes);
            if total > 0 && best.as_ref().is_none_or(|best| total > best.each.saturating_mul(best.nodes)) {
                best = Some(Best { kind, each, nodes });
            }
        }
        best
    }
}

/// A label that a node bought so would carry.
fn offered_label<'a>(pool: &'a NodePool, kind: &'a InstanceType, offering: &'a Offering, key: &str) -> Option<&'a str> {
    match key {
        "topology.kubernetes.io/zone" => Some(&offering.zone),
        "karpenter.sh/capacity-type" => Some(offering.capacity_type.label()),
        "karpenter.sh/nodepool" => Some(&pool.name),
        "node.kubernetes.io/instance-type" => Some(&kind.name),
        _ => kind.labels.get(key).map(|value| &**value),
    }
}

/// How many times `request` goes into `room`.
fn times(room: &ResourceList, request: &ResourceList) -> u32 {
    let share = |room: u64, request: u64| room.checked_div(request).unwrap_or(u64::MAX);
    let mut times = share(room.cpu.0, request.cpu.0)
        .min(share(room.memory.0, request.memory.0))
        .min(share(u64::from(room.pods), u64::from(request.pods)));
    for (name, amount) in &request.extended {
        times = times.min(share(room.extended.get(name).copied().unwrap_or(0), *amount));
    }
    u32::try_from(times).unwrap_or(u32::MAX)
}

/// How many nodes of `each` go into what a pool's limits leave. A resource the limits do not name is not limited.
fn within(left: &ResourceList, limits: Option<&ResourceList>, each: &ResourceList) -> u32 {
    let Some(limits) = limits else { return u32::MAX };
    let share = |limit: u64, left: u64, each: u64| if limit == 0 { u64::MAX } else { left.checked_div(each).unwrap_or(u64::MAX) };
    let nodes = share(limits.cpu.0, left.cpu.0, each.cpu.0).min(share(limits.memory.0, left.memory.0, each.memory.0));
    u32::try_from(nodes).unwrap_or(u32::MAX)
}

fn tolerates(shape: &PodShape, taints: &[Taint]) -> bool {
    taints.iter().filter(|taint| &*taint.effect != "PreferNoSchedule").all(|taint| {
        shape.tolerations.iter().any(|toleration| {
            toleration.effect.as_ref().is_none_or(|effect| *effect == taint.effect)
                && match (&toleration.key, &toleration.value) {
                    (None, None) => true,
                    (None, Some(_)) => false,
                    (Some(key), value) => *key == taint.key && value.as_ref().is_none_or(|value| *value == taint.value),
                }
        })
    })
}

/// Terms are alternatives; no term asks for nothing.
fn terms_match<'l>(terms: &[Vec<Requirement>], label: &dyn Fn(&str) -> Option<&'l str>) -> bool {
    terms.is_empty() || terms.iter().any(|term| term.iter().all(|requirement| matches(requirement, label(&requirement.key))))
}

fn matches(requirement: &Requirement, value: Option<&str>) -> bool {
    let listed = || value.is_some_and(|value| requirement.values.iter().any(|v| &**v == value));
    let number = |text: &str| text.parse::<i64>().ok();
    let compare = |holds: fn(i64, i64) -> bool| matches!((value.and_then(number), requirement.values.first().and_then(|v| number(v))), (Some(value), Some(bound)) if holds(value, bound));
    match requirement.operator {
        RequirementOperator::In => listed(),
        RequirementOperator::NotIn => !listed(),
        RequirementOperator::Exists => value.is_some(),
        RequirementOperator::DoesNotExist => value.is_none(),
        RequirementOperator::Gt => compare(|value, bound| value > bound),
        RequirementOperator::Lt => compare(|value, bound| value < bound),
    }
}
