//! A scripted expert that plays the model where none is configured, and says so. It reads what a model is told, asks what a careful engineer would
//! ask, and reacts to the answers; it knows no scenario and keeps no state: the conversation is all it goes by.
//!
//! Its rules are few: a surge that is announced, a signal that contradicts another, kills for memory, a change that was refused for want of
//! capacity. Everything else it leaves to the plan.

mod concern;
mod past;
mod reading;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use concern::Concern;
use past::Past;
use reading::Reading;

use crate::agent::messages::{FinishReason, Message, ModelFailure, ModelReply, ModelRequest};
use crate::domain::record::ToolCall;
use crate::ports::{Model, ModelIdentity};

/// What is shown wherever its words are.
const PLAYED_BY: &str = "scripted expert";
/// Most concerns it follows in one conversation.
const MOST_CONCERNS: usize = 3;
/// Most characters of a reason.
const MOST_REASON: usize = 480;

/// [`Model`]: the scripted expert.
#[derive(Debug, Default)]
pub struct Expert;

#[async_trait]
impl Model for Expert {
    fn identity(&self) -> ModelIdentity {
        ModelIdentity { model: PLAYED_BY.into(), played_by: Some(PLAYED_BY.into()) }
    }

    async fn complete(&self, request: &ModelRequest, _deadline: Duration) -> Result<ModelReply, ModelFailure> {
        let (text, calls) = reply(&request.messages);
        Ok(ModelReply {
            text,
            calls,
            finish: FinishReason::ToolCalls,
            prompt_tokens: None,
            completion_tokens: None,
            served_model: None,
            opaque: None,
        })
    }
}

/// A tool and its arguments.
type Call = (&'static str, Value);

/// What the expert says next: a sentence for whoever reads along, and its calls.
fn reply(messages: &[Message]) -> (String, Vec<ToolCall>) {
    let past = Past::of(messages);
    let reading = Reading::of(messages);
    let mut concerns = Concern::all(&reading);
    concerns.truncate(MOST_CONCERNS);
    let calls: Vec<Call> = match past.replies() {
        _ if past.mistaken() => Vec::new(),
        0 if concerns.is_empty() => routine(&reading),
        0 => concerns.iter().flat_map(Concern::look).collect(),
        1 => concerns.iter().flat_map(|concern| concern.weigh(&past)).collect(),
        2 => concerns.iter().flat_map(|concern| concern.act(&past)).collect(),
        _ => Vec::new(),
    };
    let (text, calls) = match past.replies() {
        _ if calls.is_empty() => {
            let (outcome, reason) = conclusion(&concerns, &past);
            (String::new(), vec![("finish", json!({ "outcome": outcome, "reason": reason }))])
        }
        0 if concerns.is_empty() => ("Nothing stands out. A look at the first target, then.".into(), calls),
        0 => (concerns.iter().map(Concern::seen).collect::<Vec<_>>().join(" "), calls),
        _ if calls.iter().any(|(name, _)| *name == "check_proposal") => ("Before I propose anything: would it pass?".into(), calls),
        _ => ("The answers are clear enough.".into(), calls),
    };
    let call = |(index, (name, arguments)): (usize, Call)| ToolCall {
        id: format!("call-{}-{}", past.replies() + 1, index + 1),
        name: name.into(),
        arguments: arguments.to_string(),
    };
    (text, calls.into_iter().enumerate().map(call).collect())
}

/// What it asks when nothing stands out: whether the plan of the target that needs a look first covers its outlook.
fn routine(reading: &Reading) -> Vec<Call> {
    let Some(target) = reading.targets.first() else { return Vec::new() };
    vec![
        ("inspect_target", json!({ "target": target.alias })),
        ("forecast_demand", json!({ "target": target.alias, "quantile_percent": 90, "within_minutes": 30 })),
    ]
}

fn conclusion(concerns: &[Concern], past: &Past) -> (&'static str, String) {
    if past.mistaken() {
        return ("Hold", "One of my calls was wrong. The plan stands without me.".into());
    }
    let outcome = if past.noted(&["propose_replicas", "propose_headroom"]) { "Done" } else { "Hold" };
    let mut reason = concerns.iter().map(|concern| concern.conclude(past)).collect::<Vec<_>>().join(" ");
    if reason.is_empty() {
        reason = routine_conclusion(past);
    }
    (outcome, reason.chars().take(MOST_REASON).collect())
}

fn routine_conclusion(past: &Past) -> String {
    let forecast = past.answer("forecast_demand", |_| true);
    let numbers = forecast.and_then(|f| Some((f.get("planned_replicas")?.as_u64()?, f.get("replicas_for_peak")?.as_u64()?)));
    match numbers {
        Some((planned, needed)) if planned >= needed => {
            format!("The plan's {planned} replicas cover the p90 outlook, which needs {needed}.")
        }
        Some((planned, needed)) => format!("The p90 outlook needs {needed} replicas and the plan has {planned}: its own margin decides."),
        None => "Nothing in the signals speaks against the plan.".into(),
    }
}

#[cfg(test)]
mod tests;
