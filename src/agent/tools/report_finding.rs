//! `report_finding`: a cause from a closed list, told to people. Changes nothing in the cluster.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Mistake, Proposal, ToolContext, Wish};
use crate::agent::aliases::{EvidenceAlias, TargetAlias};
use crate::agent::text::Rationale;
use crate::domain::proposal::{Cause, Change, Finding, Notify};

pub const DESCRIPTION: &str = "Report the cause of a target's trouble to people, most of all when more replicas would not help. At most one cause a target; evidence is required.";

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Which target it strikes.
    target: TargetAlias,
    /// The cause.
    cause: Cause,
    /// Whom to tell.
    notify: Notify,
    /// What was seen, in a sentence for people.
    rationale: Rationale,
    /// What it rests on.
    #[schemars(length(min = 1))]
    evidence: Vec<EvidenceAlias>,
}

pub fn run(context: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    let target = context.aliases.target(&arguments.target)?.clone();
    let evidence = context.aliases.evidence(context.snapshot, &arguments.evidence)?;
    if evidence.is_empty() {
        return Err(Mistake::out_of_range("evidence", 0, "1 id or more"));
    }
    Ok(Answer::Proposing(Box::new(Wish {
        change: Change::Finding(Finding { target, cause: arguments.cause, notify: arguments.notify }),
        rationale: arguments.rationale.text(),
        evidence,
    })))
}
