//! What was asked and answered so far in a conversation.

use serde_json::Value;

use crate::agent::messages::Message;

/// Calls with their answers, in order.
#[derive(Debug, Default)]
pub(super) struct Past {
    exchanges: Vec<Exchange>,
    replies: usize,
}

#[derive(Debug)]
struct Exchange {
    id: String,
    tool: String,
    arguments: Value,
    answer: Value,
    mistake: bool,
}

impl Past {
    /// Reads a conversation. What is no JSON counts as `null`.
    pub(super) fn of(messages: &[Message]) -> Self {
        let mut past = Self::default();
        for message in messages {
            match message {
                Message::Assistant { calls, .. } => {
                    past.replies += usize::from(!calls.is_empty());
                    past.exchanges.extend(calls.iter().map(|call| Exchange {
                        id: call.id.clone(),
                        tool: call.name.clone(),
                        arguments: serde_json::from_str(&call.arguments).unwrap_or_default(),
                        answer: Value::Null,
                        mistake: false,
                    }));
                }
                Message::Tool { answer } => {
                    if let Some(exchange) = past.exchanges.iter_mut().find(|exchange| exchange.id == answer.call) {
                        exchange.answer = serde_json::from_str(&answer.content).unwrap_or_default();
                        exchange.mistake = answer.mistake;
                    }
                }
                Message::System { .. } | Message::User { .. } => {}
            }
        }
        past
    }

    /// Replies that called a tool.
    pub(super) fn replies(&self) -> usize {
        self.replies
    }

    /// Whether a call was answered as wrong.
    pub(super) fn mistaken(&self) -> bool {
        self.exchanges.iter().any(|exchange| exchange.mistake)
    }

    /// The answer to the first call of a tool whose arguments are those meant.
    pub(super) fn answer(&self, tool: &str, meant: impl Fn(&Value) -> bool) -> Option<&Value> {
        self.exchanges.iter().find(|exchange| exchange.tool == tool && meant(&exchange.arguments)).map(|exchange| &exchange.answer)
    }

    /// The answer to a call of a tool about a target.
    pub(super) fn about(&self, tool: &str, target: &str) -> Option<&Value> {
        self.answer(tool, |arguments| arguments["target"] == target)
    }

    /// What review said of a check about a target.
    pub(super) fn check(&self, target: &str) -> Option<&Value> {
        let meant = |arguments: &Value| ["replicas", "headroom"].iter().any(|kind| arguments[*kind]["target"] == target);
        self.answer("check_proposal", meant)
    }

    /// Whether a proposal by one of these tools was noted.
    pub(super) fn noted(&self, tools: &[&str]) -> bool {
        self.exchanges.iter().any(|exchange| tools.contains(&&*exchange.tool) && exchange.answer.get("noted").is_some())
    }

    /// Means of a signal's earlier half and of its newest fifth, as `query_metrics` answered.
    pub(super) fn earlier_and_now(&self, target: &str, signal: &str) -> Option<(f64, f64)> {
        let answer = self.answer("query_metrics", |arguments| arguments["target"] == target && arguments["signal"] == signal)?;
        let values: Vec<f64> = answer["values"].as_array()?.iter().filter_map(Value::as_f64).collect();
        let mean = |part: &[f64]| (!part.is_empty()).then(|| part.iter().sum::<f64>() / part.len() as f64);
        let newest = values.len() - values.len().div_ceil(5);
        Some((mean(&values[..values.len() / 2])?, mean(&values[newest..])?))
    }
}
