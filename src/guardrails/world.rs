//! Snapshot and plan, indexed once a batch for what its proposals are about, so that no rule walks over all targets.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::Subject;
use crate::domain::limits::{Criticality, GroupTarget};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::plan::Plan;
use crate::domain::proposal::Proposal;
use crate::domain::snapshot::Snapshot;
use crate::domain::units::MicroUsd;

/// What is known, indexed.
pub(super) struct World<'a> {
    /// Everything the tick knows.
    pub snapshot: &'a Snapshot,
    /// The planner's answer.
    pub plan: &'a Plan,
    /// Replicas of all enrolled targets: what the change budget is a share of.
    pub enrolled_replicas: u64,
    /// Nodes whose pods are in danger: not ready or under pressure.
    pub troubled_nodes: BTreeSet<&'a str>,
    members: BTreeMap<&'a GroupId, BTreeMap<&'a TargetKey, &'a GroupTarget>>,
}

impl<'a> World<'a> {
    /// Indexes what `proposals` are about.
    pub(super) fn new(snapshot: &'a Snapshot, plan: &'a Plan, proposals: &[&Proposal]) -> Self {
        let mentioned: BTreeSet<&GroupId> = proposals.iter().map(|p| &p.group).collect();
        let members = mentioned
            .into_iter()
            .filter_map(|id| snapshot.facts.groups.get_key_value(id))
            .map(|(id, group)| (id, group.targets.iter().map(|member| (&member.key, member)).collect()))
            .collect();
        let enrolled_replicas = snapshot
            .facts
            .guardrails
            .values()
            .flat_map(|guardrail| guardrail.targets.keys())
            .filter_map(|target| snapshot.workload(target))
            .map(|workload| u64::from(workload.replicas.desired))
            .sum();
        let troubled_nodes = snapshot.facts.nodes.iter().filter(|node| !node.ready).map(|node| &*node.name).collect();
        Self { snapshot, plan, enrolled_replicas, troubled_nodes, members }
    }

    /// Groups the batch is about.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&'a GroupId, impl Iterator<Item = &'a TargetKey>)> {
        self.members.iter().map(|(id, members)| (*id, members.keys().copied()))
    }

    /// What is known about a proposal's target.
    pub(super) fn subject(&self, proposal: &Proposal) -> Subject<'a> {
        let group = self.snapshot.facts.groups.get(&proposal.group);
        let Some(target) = proposal.change.target() else { return Subject { group, ..Subject::default() } };
        let guardrail = self.snapshot.facts.guardrails.get(&target.namespace);
        Subject {
            group,
            member: self.members.get(&proposal.group).and_then(|members| members.get(target)).copied(),
            guardrail,
            limits: guardrail.and_then(|guardrail| guardrail.targets.get(target)),
            workload: self.snapshot.workload(target),
        }
    }

    /// Price an hour of one replica, by the plan; absent where no price is known.
    pub(super) fn replica_price(&self, target: &TargetKey) -> Option<MicroUsd> {
        replica_price(self.plan, target)
    }
}

impl Subject<'_> {
    /// How much the target matters: never above what the guardrail lets its team claim.
    pub(super) fn criticality(&self) -> Criticality {
        match (self.member, self.limits) {
            (Some(member), Some(limits)) => member.criticality.min(limits.highest_criticality),
            _ => Criticality::Low,
        }
    }
}

/// Price an hour of one replica, by the plan; absent where no price is known.
pub(super) fn replica_price(plan: &Plan, target: &TargetKey) -> Option<MicroUsd> {
    let target = plan.targets.get(target)?;
    let replicas = i64::from(target.replicas);
    target.cost_per_hour.filter(|_| replicas > 0).map(|cost| MicroUsd(cost.0.max(0) / replicas))
}
