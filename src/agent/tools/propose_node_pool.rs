//! `propose_node_pool`: a pool of a fleet, new or shaped anew. Node class, taints and what the platform requires beside instance types, zones
//! and capacity types stay as they are.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Mistake, Proposal, ToolContext, Wish};
use crate::agent::aliases::{EvidenceAlias, FleetAlias, PoolAlias};
use crate::agent::text::Rationale;
use crate::domain::fleet::CapacityType;
use crate::domain::limits::Fleet;
use crate::domain::proposal::{Change, NodePoolChange, NodePoolDraft};
use crate::domain::units::{Bytes, GoDuration, Millicores};
use crate::domain::workload::ResourceList;

pub const DESCRIPTION: &str = "Propose a node pool of a fleet as it should be: which instance types it may buy, how they are paid, in which zones, up to which size. Taints and node class stay the platform's. At most one a pool.";

/// Labels that the draft's own fields stand for.
const OWN_LABELS: [&str; 3] = ["node.kubernetes.io/instance-type", "karpenter.sh/capacity-type", "topology.kubernetes.io/zone"];
/// Most instance types of a pool: what Karpenter takes as `minValues`.
const MOST_TYPES: usize = 50;

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Which fleet.
    fleet: FleetAlias,
    /// Which of its pools.
    pool: PoolAlias,
    /// Instance types it may buy.
    #[schemars(length(min = 1, max = 50))]
    instance_types: Vec<String>,
    /// Ways to pay.
    #[schemars(length(min = 1, max = 3))]
    capacity_types: Vec<CapacityType>,
    /// Zones; left out means all of the fleet's.
    #[serde(default)]
    zones: Vec<String>,
    /// Most CPU it may have in use, cores.
    #[schemars(range(min = 1, max = 100_000))]
    cpu_limit_cores: u32,
    /// Most memory it may have in use, GiB.
    #[schemars(range(min = 1, max = 1_000_000))]
    memory_limit_gib: u32,
    /// Preference; the pool with the higher weight is used first.
    #[schemars(range(min = 1, max = 100))]
    weight: u32,
    /// How long a node lives at most, hours.
    #[schemars(range(min = 1, max = 8760))]
    expire_after_hours: u32,
    /// Share of its nodes that may be replaced at a time, percent.
    #[schemars(range(min = 0, max = 100))]
    disruption_percent: u32,
    /// Why, in a sentence for people.
    rationale: Rationale,
    /// What it rests on.
    #[serde(default)]
    evidence: Vec<EvidenceAlias>,
}

pub fn run(context: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    let fleet = context.aliases.fleet(context.snapshot, &arguments.fleet)?;
    let pool = context.aliases.pool(fleet, &arguments.pool)?;
    let evidence = context.aliases.evidence(context.snapshot, &arguments.evidence)?;
    for (field, value, least, most, range) in [
        ("cpu_limit_cores", arguments.cpu_limit_cores, 1, 100_000, "1 to 100000 cores"),
        ("memory_limit_gib", arguments.memory_limit_gib, 1, 1_000_000, "1 to 1000000 GiB"),
        ("weight", arguments.weight, 1, 100, "1 to 100"),
        ("expire_after_hours", arguments.expire_after_hours, 1, 8760, "1 to 8760 hours"),
        ("disruption_percent", arguments.disruption_percent, 0, 100, "0 to 100 percent"),
    ] {
        if !(least..=most).contains(&value) {
            return Err(Mistake::out_of_range(field, value.into(), range));
        }
    }
    let existing = context.snapshot.facts.node_pools.iter().find(|p| p.name == pool);
    let draft = NodePoolDraft {
        name: pool,
        instance_types: instance_types(context, &arguments.instance_types)?,
        capacity_types: capacity_types(&arguments.capacity_types)?,
        zones: zones(context, fleet, &arguments.zones)?,
        requirements: existing
            .map(|p| p.requirements.iter().filter(|r| !OWN_LABELS.contains(&&*r.key)).cloned().collect())
            .unwrap_or_default(),
        taints: existing.map(|p| p.taints.clone()).unwrap_or_default(),
        limits: ResourceList {
            cpu: Millicores(1000) * arguments.cpu_limit_cores,
            memory: Bytes(1 << 30) * arguments.memory_limit_gib,
            ..ResourceList::default()
        },
        weight: arguments.weight,
        expire_after: GoDuration::from_secs(3600 * u64::from(arguments.expire_after_hours)),
        disruption_percent: arguments.disruption_percent,
    };
    let change = NodePoolChange { fleet: fleet.id.name.clone(), provider: fleet.provider, draft, exists: existing.is_some() };
    Ok(Answer::Proposing(Box::new(Wish { change: Change::NodePool(change), rationale: arguments.rationale.text(), evidence })))
}

fn instance_types(context: &ToolContext<'_>, given: &[String]) -> Result<Vec<Arc<str>>, Mistake> {
    let distinct: BTreeSet<&str> = given.iter().map(String::as_str).collect();
    if distinct.is_empty() || distinct.len() > MOST_TYPES {
        return Err(Mistake::out_of_range("instance_types", distinct.len() as u64, "1 to 50 instance types"));
    }
    let known = &context.snapshot.catalogue.types;
    distinct
        .into_iter()
        .map(|name| {
            let found = known.get_key_value(name).map(|(name, _)| name.clone());
            found.ok_or_else(|| Mistake::unknown_name("instance_types", name, "what list_instance_types lists"))
        })
        .collect()
}

fn capacity_types(given: &[CapacityType]) -> Result<Vec<CapacityType>, Mistake> {
    let distinct: BTreeSet<CapacityType> = given.iter().copied().collect();
    if distinct.is_empty() {
        return Err(Mistake::out_of_range("capacity_types", 0, "1 to 3 ways to pay"));
    }
    Ok(distinct.into_iter().collect())
}

fn zones(context: &ToolContext<'_>, fleet: &Fleet, given: &[String]) -> Result<Vec<Arc<str>>, Mistake> {
    let sold: BTreeSet<&Arc<str>> = context.snapshot.catalogue.types.values().flat_map(|t| &t.offerings).map(|o| &o.zone).collect();
    let allowed: Vec<&Arc<str>> = sold.into_iter().filter(|zone| fleet.zones.is_empty() || fleet.zones.contains(*zone)).collect();
    let distinct: BTreeSet<&str> = given.iter().map(String::as_str).collect();
    distinct
        .into_iter()
        .map(|name| {
            let found = allowed.iter().find(|zone| &****zone == name).map(|zone| (*zone).clone());
            found.ok_or_else(|| Mistake::unknown_name("zones", name, "the zones that list_instance_types shows for this fleet"))
        })
        .collect()
}
