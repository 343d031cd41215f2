//! What the caches hold, joined into the facts of one moment. Pure: the same objects give the same facts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::autoscalers::{AutoscalerIndex, LeanAutoscaler};
use super::budgets::LeanBudget;
use super::cache::Objects;
use super::events::{LeanEvent, events};
use super::meta::ObjectName;
use super::nodes::with_requests;
use super::pods::{LeanPod, LeanReplicaSet, PodIndex};
use super::quotas::by_namespace;
use super::resized::{self, RESIZED};
use super::routes::{LeanEndpoints, LeanIngress, LeanService, RouteIndex};
use super::selectors::SelectorIndex;
use super::workload::LeanWorkload;
use crate::domain::fleet::{Node, NodePool};
use crate::domain::limits::{Fleet, Group, Guardrail};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::snapshot::{ClusterFacts, LimitRange, QueuedProposal, Quota, Rejected};
use crate::domain::workload::{DisruptionBudget, PodPhase, Workload};

/// A guardrail counts only under this name; the admission policy reads no other.
const GUARDRAIL_NAME: &str = "default";

/// Everything that was cached at one moment.
#[derive(Debug, Default)]
pub struct Seen {
    /// Groups, or why they cannot be taken.
    pub groups: Objects<Result<Group, Rejected>>,
    /// Guardrails that could be read.
    pub guardrails: Objects<Guardrail>,
    /// Fleets, or why they cannot be taken.
    pub fleets: Objects<Result<Fleet, Rejected>>,
    /// The queue.
    pub proposals: Objects<QueuedProposal>,
    /// Deployments.
    pub deployments: Objects<LeanWorkload>,
    /// `StatefulSets`.
    pub stateful_sets: Objects<LeanWorkload>,
    /// Targets of other kinds.
    pub others: BTreeMap<TargetKey, LeanWorkload>,
    /// `ReplicaSets`.
    pub replica_sets: Objects<LeanReplicaSet>,
    /// Pods.
    pub pods: Objects<LeanPod>,
    /// Services.
    pub services: Objects<LeanService>,
    /// End points of services without a selector.
    pub endpoints: Objects<LeanEndpoints>,
    /// Ingresses.
    pub ingresses: Objects<LeanIngress>,
    /// Nodes.
    pub nodes: Objects<Node>,
    /// Events.
    pub events: Objects<LeanEvent>,
    /// HPAs.
    pub hpas: Objects<LeanAutoscaler>,
    /// KEDA's `ScaledObjects`.
    pub scaled_objects: Objects<LeanAutoscaler>,
    /// VPAs.
    pub vpas: Objects<LeanAutoscaler>,
    /// Disruption budgets.
    pub budgets: Objects<LeanBudget>,
    /// Quotas.
    pub quotas: Objects<Quota>,
    /// Limit ranges.
    pub limit_ranges: Objects<LimitRange>,
    /// Node pools.
    pub node_pools: Objects<NodePool>,
    /// Whether the API server serves `pods/resize`.
    pub resizes_in_place: bool,
}

/// Targets that groups name, each once.
pub fn named_targets(groups: &Objects<Result<Group, Rejected>>) -> BTreeSet<TargetKey> {
    groups.values().filter_map(|g| g.as_ref().as_ref().ok()).flat_map(|g| g.targets.iter().map(|t| t.key.clone())).collect()
}

/// The facts.
pub fn facts(seen: &Seen, now: Timestamp) -> ClusterFacts {
    let (groups, rejected) = settle(&seen.groups, &seen.fleets);
    let targets: BTreeSet<&TargetKey> = groups.values().flat_map(|g| g.targets.iter().map(|t| &t.key)).collect();
    let pods = PodIndex::new(&seen.pods, &seen.replica_sets);
    let routes = RouteIndex::new(&seen.services, &seen.endpoints, &seen.ingresses);
    let autoscalers = AutoscalerIndex::new(&[&seen.hpas, &seen.scaled_objects, &seen.vpas]);
    let budgets = SelectorIndex::new(seen.budgets.iter().map(|(name, lean)| (&name.namespace, &lean.selector, name)));

    let mut workloads = BTreeMap::new();
    let mut kinds: BTreeMap<TargetKey, Arc<str>> = BTreeMap::new();
    for key in targets {
        let Some(lean) = seen.workload(key) else { continue };
        let name = ObjectName { namespace: key.namespace.clone(), name: key.name.clone() };
        let pods = pods.pods_of(&key.namespace, lean);
        let disruption_budgets: Vec<DisruptionBudget> = budgets
            .matching(&key.namespace, &lean.template_labels)
            .into_iter()
            .filter_map(|name| seen.budgets.get(name))
            .map(|lean| lean.budget.clone())
            .collect();
        let mut replicas = lean.replicas;
        if !lean.ready_known {
            replicas.ready = u32::try_from(pods.iter().filter(|p| p.phase == PodPhase::Ready).count()).unwrap_or(u32::MAX);
        }
        let workload = Workload {
            key: key.clone(),
            uid: lean.uid.clone(),
            generation: lean.generation,
            resource_version: lean.resource_version.clone(),
            replicas,
            rollout: lean.rollout,
            resized: resized::read(lean.annotations.get(RESIZED), &lean.template.containers),
            template: lean.template.clone(),
            routes: routes.routes_of(&name, &lean.template_labels, &pods),
            pods,
            writers: lean.writers.clone(),
            autoscalers: autoscalers.of(&key.namespace, &key.group, &lean.kind, &key.name),
            disruption_budgets,
            annotations: lean.annotations.clone(),
            created: lean.created,
        };
        kinds.insert(key.clone(), lean.kind.clone());
        workloads.insert(key.clone(), workload);
    }

    ClusterFacts {
        guardrails: seen
            .guardrails
            .iter()
            .filter(|(name, _)| &*name.name == GUARDRAIL_NAME)
            .map(|(name, guardrail)| (name.namespace.clone(), (**guardrail).clone()))
            .collect(),
        fleets: seen.fleets.iter().filter_map(|(name, f)| Some((name.name.clone(), f.as_ref().as_ref().ok()?.clone()))).collect(),
        nodes: with_requests(&seen.nodes, &seen.pods),
        node_pools: seen.node_pools.values().map(|p| (**p).clone()).collect(),
        quotas: by_namespace(&seen.quotas),
        limit_ranges: by_namespace(&seen.limit_ranges),
        events: events(&seen.events, &workloads, &kinds, now),
        queue: seen.proposals.values().map(|p| (**p).clone()).collect(),
        resizes_in_place: seen.resizes_in_place,
        groups,
        rejected,
        workloads,
    }
}

impl Seen {
    fn workload(&self, key: &TargetKey) -> Option<&LeanWorkload> {
        let name = ObjectName { namespace: key.namespace.clone(), name: key.name.clone() };
        match super::dynamic::watched_kind(key) {
            Some("Deployment") => self.deployments.get(&name).map(|w| &**w),
            Some(_) => self.stateful_sets.get(&name).map(|w| &**w),
            None => self.others.get(key),
        }
    }
}

/// Groups that may act, and those that may not: what could not be read, and of two that name one target the younger.
fn settle(
    groups: &Objects<Result<Group, Rejected>>,
    fleets: &Objects<Result<Fleet, Rejected>>,
) -> (BTreeMap<GroupId, Group>, Vec<Rejected>) {
    let mut rejected: Vec<Rejected> = fleets.values().filter_map(|f| f.as_ref().as_ref().err().cloned()).collect();
    let mut by_age: Vec<&Group> = Vec::new();
    for group in groups.values() {
        match &**group {
            Ok(group) => by_age.push(group),
            Err(reason) => rejected.push(reason.clone()),
        }
    }
    // An object without a creation time has not been stored yet, and is the youngest.
    by_age.sort_by_key(|g| (g.created.is_none(), g.created, g.uid.clone()));
    let mut owners: BTreeMap<&TargetKey, &GroupId> = BTreeMap::new();
    let mut accepted = BTreeMap::new();
    for group in by_age {
        let taken = group.targets.iter().find_map(|t| Some((&t.key, owners.get(&t.key)?)));
        if let Some((target, owner)) = taken {
            rejected.push(Rejected {
                group: group.id.clone(),
                uid: group.uid.clone(),
                generation: group.generation,
                reason: "AlreadyManaged".into(),
                message: format!("spec.targets: {target} is managed by the older {owner}: remove it from one of the two"),
            });
            continue;
        }
        owners.extend(group.targets.iter().map(|t| (&t.key, &group.id)));
        accepted.insert(group.id.clone(), group.clone());
    }
    rejected.sort_by(|a, b| (&a.group, &a.uid).cmp(&(&b.group, &b.uid)));
    (accepted, rejected)
}

#[cfg(test)]
mod tests;
