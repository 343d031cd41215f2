//! `simulate_packing`: what if a target had other replicas or requests: does it fit, on which nodes, for how much.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Mistake, Proposal, ToolContext};
use crate::agent::aliases::TargetAlias;
use crate::agent::numbers::dollars;
use crate::binpack::{PackRequest, PodClass, pack};
use crate::domain::fleet::Node;
use crate::domain::limits::Fleet;
use crate::domain::plan::NodeMix;
use crate::domain::units::{Bytes, Millicores};
use crate::domain::workload::{ContainerResources, PodShape, Workload};

pub const DESCRIPTION: &str = "What if a target had other replicas or other requests: how many of its pods fit on nodes there are, which nodes would be bought, at what price, and how many fit nowhere. Fields left out stay as they are.";

/// Search effort of one question: an answer within milliseconds.
const ITERATIONS: u64 = 2_000;
/// Most replicas a question may be about.
const MOST_REPLICAS: u32 = 10_000;

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Which target.
    target: TargetAlias,
    /// Replicas it would have.
    #[schemars(range(min = 0, max = 10000))]
    replicas: Option<u32>,
    /// CPU request of the scaled container, millicores.
    #[schemars(range(min = 1))]
    cpu_request_millicores: Option<u64>,
    /// Memory request of the scaled container, MiB.
    #[schemars(range(min = 1))]
    memory_request_mib: Option<u64>,
}

pub fn run(context: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    let key = context.aliases.target(&arguments.target)?;
    let (workload, named) = context.observed(key)?;
    let replicas = arguments.replicas.unwrap_or(workload.replicas.desired);
    if replicas > MOST_REPLICAS {
        return Err(Mistake::out_of_range("replicas", replicas.into(), "0 to 10000 replicas"));
    }
    let now = workload.container(named.container.as_deref()).map(|c| c.resources).unwrap_or_default();
    let shape = shape_with(&workload.template.shape, &now, arguments.cpu_request_millicores, arguments.memory_request_mib);

    let mut nodes = context.snapshot.facts.nodes.clone();
    let bound = workload.pods.iter().filter(|pod| pod.node.is_some()).count();
    let bound = u32::try_from(bound).unwrap_or(u32::MAX);
    // Other requests mean new pods for all: the old ones make room. Otherwise only what is not bound yet has to be placed.
    let to_place = if shape == workload.template.shape {
        replicas.saturating_sub(bound)
    } else {
        make_room(&mut nodes, workload);
        replicas
    };
    let mix = pack(
        &PackRequest {
            pods: vec![PodClass { target: key.clone(), shape, count: to_place }],
            nodes: &nodes,
            pools: &context.snapshot.facts.node_pools,
            fleets: context.snapshot.facts.fleets.values().collect::<Vec<&Fleet>>(),
            catalogue: &context.snapshot.catalogue,
        },
        ITERATIONS,
        &|| false,
    );
    Ok(Answer::Reading(json!({
        "target": arguments.target.0,
        "replicas": replicas,
        "pods_to_place": to_place,
        "fit_on_existing_nodes": mix.on_existing.values().sum::<u32>(),
        "new_nodes": bought(&mix),
        "new_nodes_cost_per_hour_usd": dollars(Some(mix.cost_per_hour)),
        "least_possible_cost_per_hour_usd": dollars(mix.lower_bound_per_hour),
        "fit_nowhere": mix.unschedulable.iter().map(|u| u.replicas).sum::<u32>(),
    })))
}

/// New nodes, alike ones together.
fn bought(mix: &NodeMix) -> Vec<serde_json::Value> {
    let mut groups: BTreeMap<_, u32> = BTreeMap::new();
    for node in &mix.new_nodes {
        *groups.entry((&node.instance_type, &node.zone, node.capacity_type, node.price_per_hour)).or_default() += 1;
    }
    let rows = groups.into_iter().map(|((instance_type, zone, capacity_type, price), count)| {
        json!({ "instance_type": instance_type, "zone": zone, "capacity_type": capacity_type, "price_per_hour_usd": dollars(Some(price)), "count": count })
    });
    rows.collect()
}

/// What the scheduler would see of a pod with other requests of its scaled container.
fn shape_with(shape: &PodShape, now: &ContainerResources, cpu: Option<u64>, memory_mib: Option<u64>) -> PodShape {
    let mut shape = shape.clone();
    if let Some(cpu) = cpu.map(Millicores) {
        shape.requests.cpu = shape.requests.cpu - now.cpu_request.unwrap_or_default() + cpu;
    }
    if let Some(memory) = memory_mib.map(|mib| Bytes(mib.saturating_mul(Bytes::MIB))) {
        shape.requests.memory = shape.requests.memory - now.memory_request.unwrap_or_default() + memory;
    }
    shape
}

/// Takes the target's present pods off the nodes they are on.
fn make_room(nodes: &mut [Node], workload: &Workload) {
    for pod in &workload.pods {
        if let Some(node) = nodes.iter_mut().find(|node| Some(&node.name) == pod.node.as_ref()) {
            node.requested = node.requested.minus(&workload.template.shape.requests);
        }
    }
}
