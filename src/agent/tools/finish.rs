//! `finish`: the only way out of a dialogue that lets its proposals go on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Mistake, Proposal, ToolContext};
use crate::agent::text::Rationale;

pub const DESCRIPTION: &str = "End the conversation, once. `Done` lets what you proposed go on to review. `Hold` says that the plan needs no change from you; findings still go on, other proposals beside it are a contradiction.";

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// How you leave it.
    outcome: FinishOutcome,
    /// Why, in a sentence for people.
    reason: Rationale,
}

/// How a model leaves a dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FinishOutcome {
    /// Its proposals go on to review.
    Done,
    /// The plan needs no change from it.
    Hold,
}

/// What a model said in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conclusion {
    /// How it left.
    pub outcome: FinishOutcome,
    /// Why, in its words: bounded, for people, never read by code.
    pub reason: String,
}

#[expect(clippy::unnecessary_wraps, reason = "every tool has the same form")]
pub fn run(_: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    Ok(Answer::Finishing(Conclusion { outcome: arguments.outcome, reason: arguments.reason.text() }))
}
