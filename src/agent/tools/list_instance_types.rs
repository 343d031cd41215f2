//! `list_instance_types`: what could be bought, from the catalogue, as far as a fleet allows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Mistake, Proposal, ToolContext};
use crate::agent::aliases::FleetAlias;
use crate::agent::numbers::{dollars, mebibytes, millicores};
use crate::domain::fleet::{CapacityType, InstanceType, Offering};
use crate::domain::limits::Fleet;
use crate::domain::units::{Bytes, MicroUsd, Millicores};

pub const DESCRIPTION: &str = "Instance types that a fleet may buy (or any in the catalogue), cheapest first, with what they leave to pods, zones and prices. At most 20.";

/// Rows of an answer.
const MOST_ROWS: usize = 20;

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Only what this fleet may buy; left out means the whole catalogue.
    fleet: Option<FleetAlias>,
    /// Only with at least this much CPU left to pods, millicores.
    at_least_cpu_millicores: Option<u64>,
    /// Only with at least this much memory left to pods, MiB.
    at_least_memory_mib: Option<u64>,
    /// Only paid this way.
    capacity_type: Option<CapacityType>,
}

pub fn run(context: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    let fleet = arguments.fleet.as_ref().map(|alias| context.aliases.fleet(context.snapshot, alias)).transpose()?;
    let least_cpu = Millicores(arguments.at_least_cpu_millicores.unwrap_or(0));
    let least_memory = Bytes(arguments.at_least_memory_mib.unwrap_or(0).saturating_mul(Bytes::MIB));
    let mut rows: Vec<(MicroUsd, &Arc<str>, Value)> = context
        .snapshot
        .catalogue
        .types
        .values()
        .filter(|t| t.allocatable.cpu >= least_cpu && t.allocatable.memory >= least_memory)
        .filter(|t| fleet.is_none_or(|f| f.families.is_empty() || f.families.contains(&t.family)))
        .filter_map(|t| row(t, fleet, arguments.capacity_type))
        .collect();
    rows.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let not_listed = rows.len().saturating_sub(MOST_ROWS);
    let listed: Vec<Value> = rows.into_iter().take(MOST_ROWS).map(|(_, _, row)| row).collect();
    let age = context.snapshot.catalogue.as_of.map(|at| context.minutes_since(at) / (24 * 60));
    Ok(Answer::Reading(json!({ "instance_types": listed, "not_listed": not_listed, "prices_age_days": age })))
}

fn row<'a>(of: &'a InstanceType, fleet: Option<&Fleet>, only: Option<CapacityType>) -> Option<(MicroUsd, &'a Arc<str>, Value)> {
    let allowed: Vec<&Offering> = of
        .offerings
        .iter()
        .filter(|o| only.is_none_or(|only| o.capacity_type == only))
        .filter(|o| fleet.is_none_or(|f| f.capacity_types.contains(&o.capacity_type) && (f.zones.is_empty() || f.zones.contains(&o.zone))))
        .collect();
    let cheapest = allowed.iter().map(|o| o.price_per_hour).min()?;
    let price = |paid: CapacityType| dollars(allowed.iter().filter(|o| o.capacity_type == paid).map(|o| o.price_per_hour).min());
    let zones: BTreeSet<&Arc<str>> = allowed.iter().map(|o| &o.zone).collect();
    let row = json!({
        "instance_type": of.name,
        "cpu_millicores": millicores(of.allocatable.cpu),
        "memory_mib": mebibytes(of.allocatable.memory),
        "gpus": of.allocatable.extended.values().sum::<u64>(),
        "on_demand_usd_per_hour": price(CapacityType::OnDemand),
        "spot_usd_per_hour": price(CapacityType::Spot),
        "reserved_usd_per_hour": price(CapacityType::Reserved),
        "zones": zones,
    });
    Some((cheapest, &of.name, row))
}
