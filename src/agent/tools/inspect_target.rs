//! `inspect_target`: one target in full, pod by pod.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Mistake, Proposal, ToolContext};
use crate::agent::aliases::TargetAlias;
use crate::agent::brief::{active_autoscalers, bounds, kind_of, resources, signals};
use crate::domain::workload::Pod;

pub const DESCRIPTION: &str =
    "One target in full: replicas, bounds, modes, pods, containers, disruption budgets, signals, and when it was last changed.";

/// Pods that are told one by one; those in trouble come first.
const MOST_PODS: usize = 20;

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Which target.
    target: TargetAlias,
}

pub fn run(context: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    let key = context.aliases.target(&arguments.target)?;
    let (workload, named) = context.observed(key)?;
    let (min, max) = bounds(context.snapshot, named);
    let modes = context.snapshot.effective_modes(key);
    let pods: Vec<(String, &Pod)> = context
        .aliases
        .pods_of(key)
        .filter_map(|(alias, name)| Some((alias, workload.pods.iter().find(|pod| &*pod.name == name)?)))
        .collect();
    let changed = context.snapshot.memory.gate.changes.get(key).and_then(|changes| changes.back());
    let container = workload.container(named.container.as_deref()).map(|c| c.resources).unwrap_or_default();
    let budgets = workload.disruption_budgets.iter().map(|budget| {
        json!({
            "disruptions_allowed": budget.disruptions_allowed,
            "healthy": budget.current_healthy,
            "healthy_needed": budget.desired_healthy,
        })
    });
    Ok(Answer::Reading(json!({
        "target": arguments.target.0,
        "kind": kind_of(key),
        "criticality": named.criticality,
        "replicas": { "desired": workload.replicas.desired, "current": workload.replicas.current, "ready": workload.replicas.ready, "min": min, "max": max },
        "modes": { "up": modes.scale_up, "down": modes.scale_down, "resources": modes.resources },
        "rollout": workload.rollout,
        "other_autoscalers": active_autoscalers(workload),
        "containers": workload.template.containers.len(),
        "scaled_container": resources(&container),
        "disruption_budgets": budgets.collect::<Vec<_>>(),
        "last_change": changed.map(|c| json!({ "age_minutes": context.minutes_since(c.at), "by": c.origin, "from": c.from, "to": c.to })),
        "signals": signals(context.snapshot, context.aliases, key),
        "pods": pods.iter().take(MOST_PODS).map(|(alias, pod)| pod_row(context, alias, pod)).collect::<Vec<_>>(),
        "pods_not_listed": pods.len().saturating_sub(MOST_PODS),
    })))
}

fn pod_row(context: &ToolContext<'_>, alias: &str, pod: &Pod) -> Value {
    let start_up = pod.scheduled.zip(pod.ready_since).map(|(from, to)| to.duration_since(from).as_secs());
    json!({
        "pod": alias,
        "node": pod.node.as_deref().and_then(|name| context.aliases.of_node(name)),
        "phase": pod.phase,
        "age_minutes": pod.created.map(|at| context.minutes_since(at)),
        "start_up_s": start_up,
        "restarts": pod.restarts,
        "oom_killed": pod.oom_killed,
        "current_template": pod.current_template,
    })
}
