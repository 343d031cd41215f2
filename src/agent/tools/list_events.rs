//! `list_events`: what Kubernetes said about the targets, as known reasons. Notes are free text and never come this far.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Mistake, Proposal, ToolContext};
use crate::agent::aliases::TargetAlias;
use crate::domain::snapshot::EventReason;

pub const DESCRIPTION: &str = "Kubernetes events about one target or all, newest first, with ids that count as evidence. At most 30.";

/// Rows of an answer.
const MOST_ROWS: usize = 30;
/// How far back one looks who does not say.
const WINDOW_MINUTES: u32 = 60;

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Only this target; left out means all.
    target: Option<TargetAlias>,
    /// Only this reason; left out means all.
    reason: Option<EventReason>,
    /// How far back, minutes; 60 if left out.
    #[schemars(range(min = 1, max = 10080))]
    since_minutes: Option<u32>,
}

pub fn run(context: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    let only = context.only_target(arguments.target.as_ref())?;
    let since_minutes = i64::from(arguments.since_minutes.unwrap_or(WINDOW_MINUTES));
    let mut rows: Vec<_> = context
        .aliases
        .events(context.snapshot)
        .filter(|(target, _)| only.as_ref().is_none_or(|only| only == target))
        .filter(|(_, event)| arguments.reason.is_none_or(|reason| reason == event.reason))
        .filter(|(_, event)| context.minutes_since(event.at) <= since_minutes)
        .collect();
    rows.reverse();
    let listed = rows.iter().take(MOST_ROWS).map(|(target, event)| {
        json!({
            "id": event.id,
            "target": target,
            "object": known_kind(&event.kind),
            "reason": event.reason,
            "count": event.count,
            "age_minutes": context.minutes_since(event.at),
        })
    });
    Ok(Answer::Reading(json!({ "events": listed.collect::<Vec<_>>(), "not_listed": rows.len().saturating_sub(MOST_ROWS) })))
}

/// An object's kind from a closed list: a custom resource's kind is a text that somebody chose.
fn known_kind(kind: &str) -> &'static str {
    ["Pod", "Deployment", "StatefulSet", "ReplicaSet", "Node", "HorizontalPodAutoscaler"]
        .into_iter()
        .find(|known| *known == kind)
        .unwrap_or("Other")
}
