//! `propose_replicas`: another number of replicas.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Mistake, Proposal, ToolContext, Wish};
use crate::agent::aliases::{EvidenceAlias, TargetAlias};
use crate::agent::text::Rationale;
use crate::domain::proposal::{Change, ReplicasChange};

pub const DESCRIPTION: &str = "Propose another number of replicas for a target, instead of the plan's. At most one a target. The answer says what review would make of it.";

/// What is wanted.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Which target.
    pub target: TargetAlias,
    /// Replicas it should have.
    pub replicas: u32,
}

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Which target.
    target: TargetAlias,
    /// Replicas it should have.
    replicas: u32,
    /// Why, in a sentence for people.
    rationale: Rationale,
    /// What it rests on; required when it asks for less than the plan's p50 need.
    #[serde(default)]
    evidence: Vec<EvidenceAlias>,
}

pub fn run(context: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    Ok(Answer::Proposing(Box::new(Wish {
        change: change(context, &Wanted { target: arguments.target.clone(), replicas: arguments.replicas })?,
        rationale: arguments.rationale.text(),
        evidence: context.aliases.evidence(context.snapshot, &arguments.evidence)?,
    })))
}

/// The change that is wanted.
pub fn change(context: &ToolContext<'_>, wanted: &Wanted) -> Result<Change, Mistake> {
    let key = context.aliases.target(&wanted.target)?;
    let (workload, _) = context.observed(key)?;
    Ok(Change::Replicas(ReplicasChange {
        target: key.clone(),
        uid: workload.uid.clone(),
        from: workload.replicas.desired,
        to: wanted.replicas,
    }))
}
