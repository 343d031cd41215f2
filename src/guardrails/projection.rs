//! What the world will be once everything released has happened: open commitments and what this batch has admitted so far, charged to quota,
//! nodes, cost and the change budget, so that limits hold for the sum. What is taken away is not credited before the world shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::gate::still_open;
use super::regret_budget;
use super::room::Room;
use super::world::{World, in_namespace, join};
use crate::domain::memory::Commitments;
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::proposal::{Change, Proposal};
use crate::domain::units::{Bytes, MicroUsd, Millicores};
use crate::domain::workload::ResourceList;

/// Everything released and not yet seen, as sums.
pub(super) struct Projection<'a> {
    /// Room on nodes.
    pub room: Room<'a>,
    open: BTreeMap<TargetKey, Vec<Open>>,
    quota: BTreeMap<Arc<str>, ResourceList>,
    groups: BTreeMap<GroupId, Spending>,
    namespaces: BTreeMap<Arc<str>, MicroUsd>,
    bought: MicroUsd,
    pools: BTreeMap<Arc<str>, ResourceList>,
    changed: u64,
}

/// A released change of a target that no snapshot shows.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// When it was released.
    pub at: Timestamp,
    /// What.
    pub change: Change,
}

/// What a group spends.
#[derive(Clone, Copy, Debug, Default)]
struct Spending {
    /// Cost an hour of what runs, and of what was released on top.
    now: MicroUsd,
    /// Cost an hour of what the plan asks for.
    planned: MicroUsd,
    /// What the model has added over the plan today.
    regret: MicroUsd,
}

impl<'a> Projection<'a> {
    /// The world as it is, with everything open charged.
    pub(super) fn new(world: &World<'a>, commitments: &Commitments, proposals: &[&Proposal]) -> Self {
        let snapshot = world.snapshot;
        let mut projection = Self {
            room: Room::new(snapshot),
            open: BTreeMap::new(),
            quota: BTreeMap::new(),
            groups: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            bought: MicroUsd::default(),
            pools: BTreeMap::new(),
            changed: changed_within(commitments, snapshot.at, snapshot.limits.change_window.signed()),
        };
        for (id, targets) in world.groups() {
            let mut spending = Spending {
                regret: snapshot.memory.gate.regret.get(id).map_or(MicroUsd(0), |account| account.spent),
                ..Spending::default()
            };
            for (_, (), (running, planned)) in join(targets, world.costs(&id.namespace)) {
                spending.now += running;
                spending.planned += planned;
            }
            projection.groups.insert(id.clone(), spending);
        }
        let namespaces: BTreeSet<&Arc<str>> = proposals.iter().filter_map(|p| p.change.target()).map(|target| &target.namespace).collect();
        for namespace in namespaces {
            projection.add_namespace(world, namespace);
        }
        for commitment in commitments.open.iter().filter(|commitment| still_open(snapshot, commitment)) {
            projection.add(world, &commitment.group, &commitment.change, commitment.cost_change_per_hour, commitment.at);
            projection.groups.entry(commitment.group.clone()).or_default().regret += commitment.regret;
        }
        projection
    }

    /// Charges a change that was admitted in this batch.
    pub(super) fn charge(&mut self, world: &World<'a>, proposal: &Proposal, change: &Change) {
        self.add(world, &proposal.group, change, proposal.cost_change_per_hour.unwrap_or_default(), world.snapshot.at);
        self.groups.entry(proposal.group.clone()).or_default().regret += regret_budget::regret(world.plan, proposal, change);
        if let Change::Replicas(replicas) = change {
            self.changed = self.changed.saturating_add(u64::from(replicas.from.abs_diff(replicas.to)));
        }
    }

    /// Changes of a target that were released and are not seen.
    pub(super) fn open(&self, target: &TargetKey) -> &[Open] {
        self.open.get(target).map_or(&[], Vec::as_slice)
    }

    /// What is claimed in a namespace beyond what its quotas show as used.
    pub(super) fn claimed(&self, namespace: &str) -> ResourceList {
        self.quota.get(namespace).cloned().unwrap_or_default()
    }

    /// Cost an hour of a group.
    pub(super) fn group_cost(&self, group: &GroupId) -> MicroUsd {
        self.groups.get(group).copied().unwrap_or_default().now
    }

    /// Cost an hour of what the plan asks for in a group.
    pub(super) fn planned_cost(&self, group: &GroupId) -> MicroUsd {
        self.groups.get(group).copied().unwrap_or_default().planned
    }

    /// What the model has added over the plan in a group today.
    pub(super) fn regret(&self, group: &GroupId) -> MicroUsd {
        self.groups.get(group).copied().unwrap_or_default().regret
    }

    /// Cost an hour of a namespace's enrolled targets.
    pub(super) fn namespace_cost(&self, namespace: &str) -> MicroUsd {
        self.namespaces.get(namespace).copied().unwrap_or_default()
    }

    /// Cost an hour of released pods that need a new node.
    pub(super) fn bought_cost(&self) -> MicroUsd {
        self.bought
    }

    /// Limits of a pool that was released, if one was.
    pub(super) fn pool(&self, name: &str) -> Option<&ResourceList> {
        self.pools.get(name)
    }

    /// Replicas changed within the change window.
    pub(super) fn changed(&self) -> u64 {
        self.changed
    }

    fn add_namespace(&mut self, world: &World<'_>, namespace: &Arc<str>) {
        let facts = &world.snapshot.facts;
        if facts.quotas.contains_key(namespace) {
            // Replicas that are asked for and have no pod yet will claim their share of the quota.
            let mut claimed = ResourceList::default();
            for (_, workload) in in_namespace(&facts.workloads, namespace) {
                let missing = workload.replicas.desired.saturating_sub(workload.replicas.current);
                claimed.add(&workload.template.shape.requests, missing);
            }
            self.quota.insert(namespace.clone(), claimed);
        }
        let guardrail = facts.guardrails.get(namespace).filter(|g| g.cost_budget_per_hour.is_some() || g.cost_budget_per_month.is_some());
        if let Some(guardrail) = guardrail {
            let enrolled = join(guardrail.targets.iter(), world.costs(namespace));
            self.namespaces.insert(namespace.clone(), enrolled.map(|(_, _, (running, _))| running).sum());
        }
    }

    fn add(&mut self, world: &World<'a>, group: &GroupId, change: &Change, claimed_cost: MicroUsd, at: Timestamp) {
        if let Some(target) = change.target().filter(|_| change.writes_cluster()) {
            self.open.entry(target.clone()).or_default().push(Open { at, change: change.clone() });
        }
        let workload = change.target().and_then(|target| world.snapshot.workload(target));
        match change {
            Change::Replicas(replicas) => {
                let added = replicas.to.saturating_sub(replicas.from);
                if added == 0 {
                    return;
                }
                let price = world.replica_price(&replicas.target).unwrap_or_default();
                if let Some(workload) = workload {
                    let shape = &workload.template.shape;
                    self.claim(&replicas.target.namespace, &shape.requests, added);
                    let fits = self.room.fits(shape, added);
                    self.bought += price * i64::from(added - fits.existing);
                    self.room.take(shape, added);
                }
                self.spend(group, &replicas.target.namespace, price * i64::from(added));
            }
            Change::Resources(resources) => {
                let pods = workload.map_or(0, |workload| workload.replicas.desired);
                let more = ResourceList {
                    cpu: Millicores(grown(resources.from.cpu_request.map(|v| v.0), resources.to.cpu_request.map(|v| v.0))),
                    memory: Bytes(grown(resources.from.memory_request.map(|v| v.0), resources.to.memory_request.map(|v| v.0))),
                    ..ResourceList::default()
                };
                self.claim(&resources.target.namespace, &more, pods);
                self.spend(group, &resources.target.namespace, claimed_cost.max(MicroUsd(0)));
            }
            Change::NodePool(pool) => {
                self.pools.insert(pool.draft.name.clone(), pool.draft.limits.clone());
            }
            Change::Headroom(_) | Change::Finding(_) => {}
        }
    }

    fn claim(&mut self, namespace: &Arc<str>, each: &ResourceList, count: u32) {
        self.quota.entry(namespace.clone()).or_default().add(each, count);
    }

    fn spend(&mut self, group: &GroupId, namespace: &Arc<str>, cost: MicroUsd) {
        self.groups.entry(group.clone()).or_default().now += cost;
        *self.namespaces.entry(namespace.clone()).or_default() += cost;
    }
}

/// By how much an amount grows; never below zero.
pub(super) fn grown(from: Option<u64>, to: Option<u64>) -> u64 {
    to.unwrap_or(0).saturating_sub(from.unwrap_or(0))
}

/// Replicas changed since `window` ago. A mark from the future, left by a clock that went back, counts.
fn changed_within(commitments: &Commitments, now: Timestamp, window: jiff::SignedDuration) -> u64 {
    commitments.window.iter().filter(|(at, _)| now.duration_since(*at) < window).map(|(_, replicas)| u64::from(*replicas)).sum()
}
