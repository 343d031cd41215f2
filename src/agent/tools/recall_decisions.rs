//! `recall_decisions`: what was decided about the targets before, as typed rows; no text of anybody's.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Mistake, Proposal, ToolContext};
use crate::agent::aliases::TargetAlias;

pub const DESCRIPTION: &str = "Past decisions about one target or all, newest first, with ids that count as evidence. At most 20.";

/// Rows of an answer.
const MOST_ROWS: usize = 20;

/// Machine reasons by which a decision ends; anything else is told as `Other`.
const KNOWN_RESULTS: [&str; 17] = [
    "Applied",
    "Confirmed",
    "WorldChanged",
    "Conflicted",
    "Gone",
    "Forbidden",
    "Denied",
    "Unknown",
    "NotLeader",
    "Failed",
    "Queued",
    "Shadow",
    "Held",
    "Blocked",
    "Superseded",
    "Rejected",
    "Expired",
];

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Only this target; left out means all.
    target: Option<TargetAlias>,
}

pub fn run(context: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    let only = context.only_target(arguments.target.as_ref())?;
    let own = context.snapshot.past.iter().rev().filter_map(|row| Some((context.aliases.of_target(&row.target)?, row)));
    let rows: Vec<_> = own.filter(|(target, _)| only.as_ref().is_none_or(|only| only == target)).collect();
    let listed = rows.iter().take(MOST_ROWS).map(|(target, row)| {
        json!({
            "id": format!("e{}", row.seq),
            "target": target,
            "age_minutes": context.minutes_since(row.at),
            "by": row.origin,
            "replicas": row.replicas,
            "result": KNOWN_RESULTS.into_iter().find(|known| *known == row.result).unwrap_or("Other"),
        })
    });
    Ok(Answer::Reading(json!({ "decisions": listed.collect::<Vec<_>>(), "not_listed": rows.len().saturating_sub(MOST_ROWS) })))
}
