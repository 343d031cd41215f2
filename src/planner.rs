//! The floor: outlook, sizing and packing become a plan, without any model.
//!
//! One pass over all groups in four steps: learn and assess each target, let planned demand travel from callers to who they call, size and
//! price, pack. What the planner wants changed goes out as proposals in order of priority; whether it may is for the guardrails alone.
//! Left out: settling claims on capacity that does not suffice, and consolidation.

mod assess;
mod depend;
mod packing;
mod pool_draft;
mod prices;
mod propose;

use std::collections::BTreeMap;

use crate::domain::memory::{PlannerMemory, TargetMemory};
use crate::domain::names::TargetKey;
use crate::domain::outlook::Outlook;
use crate::domain::plan::{Plan, ResourcesPlan, TargetPlan};
use crate::domain::priority::{Claim, priority};
use crate::domain::snapshot::Snapshot;
use crate::domain::workload::Container;
pub use crate::forecast::Prediction;
use crate::sizing::{carry_on, learn_provisioning, propose_resources, reach, size};
use assess::{Assessed, Assessor};
use prices::Prices;

/// Plans everything over all groups: replicas, resources, nodes, cost, and the proposals that follow, in order of priority.
#[must_use]
pub fn plan(snapshot: &Snapshot, prediction: Prediction) -> (Plan, PlannerMemory) {
    let Prediction { outlooks, mut memory } = prediction;
    learn_provisioning(&mut memory, &snapshot.facts.nodes);
    let prices = Prices::of(snapshot);
    let mut assessed = assess_all(snapshot, &outlooks, &mut memory);
    depend::carry_demand(snapshot, &mut assessed);
    let mut plan = Plan::default();
    for target in &assessed {
        let Some(remembered) = memory.targets.get_mut(target.key()) else { continue };
        let sized = size(&target.situation, &mut remembered.needs);
        let resources = target.container.and_then(|container| right_size(snapshot, target, container, remembered));
        let demand_known = !target.situation.load_is_cpu;
        let target_plan = TargetPlan {
            replicas: sized.replicas,
            p50_need: sized.p50_need,
            basis: sized.basis,
            resources,
            outlook: outlooks.get(target.key()).filter(|_| demand_known).cloned(),
            shadow_hpa: target.shadow_hpa(),
            cost_per_hour: prices.of_pods(&target.workload.template.shape.requests, sized.replicas),
        };
        plan.targets.insert(target.key().clone(), target_plan);
    }
    let order = in_order_of_priority(&assessed, &plan.targets);
    plan.nodes = packing::pack_nodes(snapshot, &order, &plan.targets, &mut memory.packing);
    plan.proposals = propose::proposals(snapshot, &order, &plan, &prices);
    plan.proposals.extend(pool_draft::proposals(snapshot, &order, &plan));
    for (number, proposal) in (1u32..).zip(&mut plan.proposals) {
        proposal.id.0 = format!("t{}-planner-{number}", snapshot.tick.0);
    }
    (plan, memory)
}

/// A new size and how it reaches the pods; or what is left to be done about the one in force.
fn right_size(snapshot: &Snapshot, target: &Assessed<'_>, container: &Container, remembered: &TargetMemory) -> Option<ResourcesPlan> {
    match propose_resources(container, &target.resource_evidence(snapshot, remembered)) {
        Some(plan) => Some(ResourcesPlan { through: reach(target.workload, container, &plan.to, &snapshot.facts), ..plan }),
        None => carry_on(target.workload, container, &snapshot.facts, snapshot.at),
    }
}

fn assess_all<'a>(
    snapshot: &'a Snapshot,
    outlooks: &'a BTreeMap<TargetKey, std::sync::Arc<Outlook>>,
    memory: &mut PlannerMemory,
) -> Vec<Assessed<'a>> {
    let assessor = Assessor::of(snapshot, &memory.provisioning_s);
    let mut assessed = Vec::with_capacity(snapshot.facts.workloads.len());
    for group in snapshot.facts.groups.values() {
        for target in &group.targets {
            let Some(workload) = snapshot.facts.workloads.get(&target.key) else { continue };
            let remembered = memory.targets.entry(target.key.clone()).or_default();
            if remembered.uid != workload.uid {
                *remembered = TargetMemory { uid: workload.uid.clone(), ..Default::default() };
            }
            remembered.since.get_or_insert(snapshot.at);
            let outlook = outlooks.get(&target.key).map(|outlook| &**outlook);
            assessed.push(assessor.assess(group, target, workload, outlook, remembered));
        }
    }
    assessed
}

/// Targets in the one order that settles who goes first.
fn in_order_of_priority<'s, 'a>(assessed: &'s [Assessed<'a>], plans: &BTreeMap<TargetKey, TargetPlan>) -> Vec<&'s Assessed<'a>> {
    let mut claims: Vec<(Claim<'_>, &Assessed<'a>)> = assessed
        .iter()
        .map(|target| {
            let plan = plans.get(target.key());
            let needed = plan.map_or(0, |plan| plan.replicas);
            let missing = needed.saturating_sub(target.situation.desired);
            let claim = Claim {
                criticality: target.target.criticality,
                need: f64::from(missing) / f64::from(needed.max(1)),
                cost: plan.and_then(|plan| plan.cost_per_hour).unwrap_or_default(),
                target: target.key(),
            };
            (claim, target)
        })
        .collect();
    claims.sort_by(|a, b| priority(&a.0, &b.0));
    claims.into_iter().map(|(_, target)| target).collect()
}

#[cfg(test)]
#[path = "planner/tests.rs"]
pub(crate) mod tests;
