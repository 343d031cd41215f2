//! `propose_resources`: other requests or limits of a target's scaled container.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Mistake, Proposal, ToolContext, Wish};
use crate::agent::aliases::{EvidenceAlias, TargetAlias};
use crate::agent::text::Rationale;
use crate::domain::proposal::{Change, ResourcesChange};
use crate::domain::units::{Bytes, Millicores};
use crate::sizing::reach;

pub const DESCRIPTION: &str = "Propose other requests or limits of a target's scaled container. Fields left out stay as they are; at least one must be given. At most one a target.";

/// Most CPU that can be meant, millicores: a thousand cores.
const MOST_MILLICORES: u64 = 1_000_000;
/// Most memory that can be meant, MiB: 16 TiB.
const MOST_MIB: u64 = 16 * 1024 * 1024;

/// What is wanted.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Which target.
    pub target: TargetAlias,
    /// CPU request, millicores.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cpu_request_millicores: Option<u64>,
    /// CPU limit, millicores.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cpu_limit_millicores: Option<u64>,
    /// Memory request, MiB.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub memory_request_mib: Option<u64>,
    /// Memory limit, MiB.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub memory_limit_mib: Option<u64>,
}

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Which target.
    target: TargetAlias,
    /// CPU request, millicores.
    #[schemars(range(min = 1, max = 1_000_000))]
    cpu_request_millicores: Option<u64>,
    /// CPU limit, millicores.
    #[schemars(range(min = 1, max = 1_000_000))]
    cpu_limit_millicores: Option<u64>,
    /// Memory request, MiB.
    #[schemars(range(min = 1, max = 16_777_216))]
    memory_request_mib: Option<u64>,
    /// Memory limit, MiB.
    #[schemars(range(min = 1, max = 16_777_216))]
    memory_limit_mib: Option<u64>,
    /// Why, in a sentence for people.
    rationale: Rationale,
    /// What it rests on.
    #[serde(default)]
    evidence: Vec<EvidenceAlias>,
}

pub fn run(context: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    let wanted = Wanted {
        target: arguments.target.clone(),
        cpu_request_millicores: arguments.cpu_request_millicores,
        cpu_limit_millicores: arguments.cpu_limit_millicores,
        memory_request_mib: arguments.memory_request_mib,
        memory_limit_mib: arguments.memory_limit_mib,
    };
    Ok(Answer::Proposing(Box::new(Wish {
        change: change(context, &wanted)?,
        rationale: arguments.rationale.text(),
        evidence: context.aliases.evidence(context.snapshot, &arguments.evidence)?,
    })))
}

/// The change that is wanted.
pub fn change(context: &ToolContext<'_>, wanted: &Wanted) -> Result<Change, Mistake> {
    let key = context.aliases.target(&wanted.target)?;
    let (workload, named) = context.observed(key)?;
    let Some(container) = workload.container(named.container.as_deref()) else {
        return Err(Mistake::field("target", "has no container that may be changed"));
    };
    let cpu = |field, given: Option<u64>| in_range(field, given, MOST_MILLICORES, "1 to 1000000 millicores").map(|v| v.map(Millicores));
    let memory = |field, given: Option<u64>| {
        in_range(field, given, MOST_MIB, "1 to 16777216 MiB").map(|v| v.map(|mib| Bytes(mib.saturating_mul(Bytes::MIB))))
    };
    let from = container.resources;
    let mut to = from;
    to.cpu_request = cpu("cpu_request_millicores", wanted.cpu_request_millicores)?.or(from.cpu_request);
    to.cpu_limit = cpu("cpu_limit_millicores", wanted.cpu_limit_millicores)?.or(from.cpu_limit);
    to.memory_request = memory("memory_request_mib", wanted.memory_request_mib)?.or(from.memory_request);
    to.memory_limit = memory("memory_limit_mib", wanted.memory_limit_mib)?.or(from.memory_limit);
    if to == from {
        return Err(Mistake::field("cpu_request_millicores", "no request or limit is given that differs from what is set"));
    }
    let through = reach(workload, container, &to, &context.snapshot.facts);
    Ok(Change::Resources(ResourcesChange {
        target: key.clone(),
        uid: workload.uid.clone(),
        container: container.name.clone(),
        from,
        to,
        through,
    }))
}

fn in_range(field: &str, given: Option<u64>, most: u64, range: &str) -> Result<Option<u64>, Mistake> {
    match given {
        Some(value) if !(1..=most).contains(&value) => Err(Mistake::out_of_range(field, value, range)),
        given => Ok(given),
    }
}
