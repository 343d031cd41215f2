//! `check_proposal`: what review would say of a change, without proposing it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Mistake, Proposal, ToolContext, Wish, propose_headroom, propose_replicas, propose_resources};

pub const DESCRIPTION: &str = "What review would say of one change, after what you proposed already, without proposing it: verdict, the rule that decides, and the numbers it compares. Give exactly one of the fields.";

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Another number of replicas.
    replicas: Option<propose_replicas::Wanted>,
    /// Other requests or limits.
    resources: Option<propose_resources::Wanted>,
    /// More lead or a higher quantile.
    headroom: Option<propose_headroom::Wanted>,
}

pub fn run(context: &ToolContext<'_>, noted: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    let change = match arguments {
        Arguments { replicas: Some(wanted), resources: None, headroom: None } => propose_replicas::change(context, wanted)?,
        Arguments { replicas: None, resources: Some(wanted), headroom: None } => propose_resources::change(context, wanted)?,
        Arguments { replicas: None, resources: None, headroom: Some(wanted) } => propose_headroom::change(context, wanted)?,
        Arguments { .. } => return Err(Mistake::field("replicas", "give exactly one of `replicas`, `resources` and `headroom`")),
    };
    let asked = context.proposal(Wish { change, rationale: String::new(), evidence: Vec::new() }, noted);
    Ok(Answer::Reading(context.review(&asked, noted)))
}
