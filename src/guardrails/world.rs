//! Snapshot and plan, indexed once a batch for what its proposals are about, so that no rule walks over all targets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::rule::Subject;
use crate::domain::limits::{Criticality, GroupTarget};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::plan::{Plan, TargetPlan};
use crate::domain::proposal::{Proposal, ResourcesChange};
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
            .flat_map(|guardrail| join(guardrail.targets.iter(), in_namespace(&snapshot.facts.workloads, &guardrail.namespace)))
            .map(|(_, _, workload)| u64::from(workload.replicas.desired))
            .sum();
        let troubled_nodes = snapshot.facts.nodes.iter().filter(|node| !node.ready).map(|node| &*node.name).collect();
        Self { snapshot, plan, enrolled_replicas, troubled_nodes, members }
    }

    /// Groups the batch is about, each with its targets in order.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&'a GroupId, impl Iterator<Item = (&'a TargetKey, ())>)> {
        self.members.iter().map(|(id, members)| (*id, members.keys().map(|target| (*target, ()))))
    }

    /// What the targets of a namespace cost an hour, in order: as they run, and as the plan asks. Targets without a price are left out.
    pub(super) fn costs(&self, namespace: &str) -> impl Iterator<Item = (&'a TargetKey, (MicroUsd, MicroUsd))> {
        let planned = in_namespace(&self.plan.targets, namespace);
        join(planned, in_namespace(&self.snapshot.facts.workloads, namespace)).filter_map(|(target, plan, workload)| {
            let planned = plan.cost_per_hour?;
            let price = price_of(plan).unwrap_or_default();
            Some((target, (price * i64::from(workload.replicas.desired), planned)))
        })
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
    price_of(plan.targets.get(target)?)
}

/// What other requests cost an hour more, by the plan: the price of a replica grows with the request that grows most. A pod with further
/// containers costs less than this says. Absent where no price, or no request to compare with, is known.
pub(super) fn resources_cost(plan: &Plan, change: &ResourcesChange) -> Option<MicroUsd> {
    let target = plan.targets.get(&change.target)?;
    let each = price_of(target)?;
    let grows = |from: Option<u64>, to: Option<u64>| match (from, to) {
        (Some(from), Some(to)) if from > 0 => Some(to as f64 / from as f64),
        (from, to) if from == to => Some(1.0),
        _ => None,
    };
    let cpu = grows(change.from.cpu_request.map(|v| v.0), change.to.cpu_request.map(|v| v.0))?;
    let memory = grows(change.from.memory_request.map(|v| v.0), change.to.memory_request.map(|v| v.0))?;
    let more = each.dollars() * (cpu.max(memory) - 1.0) * f64::from(target.replicas);
    MicroUsd::from_dollars(more)
}

/// Pairs of two sequences that are both in order of their targets. Ten thousand look-ups in a map of names cost more than all the rules.
pub(super) fn join<'a, A, B>(
    left: impl Iterator<Item = (&'a TargetKey, A)>,
    right: impl Iterator<Item = (&'a TargetKey, B)>,
) -> impl Iterator<Item = (&'a TargetKey, A, B)> {
    let mut right = right.peekable();
    left.filter_map(move |(target, a)| {
        while right.next_if(|(other, _)| *other < target).is_some() {}
        right.next_if(|(other, _)| *other == target).map(|(_, b)| (target, a, b))
    })
}

/// The part of a map that lies in one namespace.
pub(super) fn in_namespace<'a, T>(all: &'a BTreeMap<TargetKey, T>, namespace: &str) -> impl Iterator<Item = (&'a TargetKey, &'a T)> {
    let namespace: Arc<str> = namespace.into();
    let first = TargetKey { namespace: namespace.clone(), group: "".into(), resource: "".into(), name: "".into() };
    all.range(first..).take_while(move |(target, _)| target.namespace == namespace)
}

fn price_of(plan: &TargetPlan) -> Option<MicroUsd> {
    let replicas = i64::from(plan.replicas);
    plan.cost_per_hour.filter(|_| replicas > 0).map(|cost| MicroUsd(cost.0.max(0) / replicas))
}
