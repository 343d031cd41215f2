//! Our messages to chat completions and back, in JSON. The reader is tolerant of what is known to differ between servers and never guesses at
//! what it does not know: an odd call becomes a call that no tool answers to.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::config::{ModelConfig, TokenCapField};
use super::failure::error_in;
use crate::agent::messages::{FinishReason, Message, ModelFailure, ModelReply, ModelRequest};
use crate::domain::record::ToolCall;

/// Most tool calls taken from one reply: more than a dialogue runs, and few enough to answer each.
const MOST_CALLS: usize = 64;

/// A request as it is sent.
#[must_use]
pub fn request(config: &ModelConfig, request: &ModelRequest) -> Value {
    let tools = request.tools.iter().map(|tool| json!({ "type": "function", "function": tool }));
    let mut body = json!({
        "model": config.model,
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
        "tools": tools.collect::<Vec<_>>(),
        "tool_choice": "auto",
        "stream": false,
    });
    let cap = match config.token_cap_field {
        TokenCapField::MaxCompletionTokens => "max_completion_tokens",
        TokenCapField::MaxTokens => "max_tokens",
    };
    body[cap] = Value::from(request.max_completion_tokens);
    if let Some(temperature) = config.temperature {
        body["temperature"] = Value::from(temperature);
    }
    body
}

fn message(message: &Message) -> Value {
    match message {
        Message::System { text } => json!({ "role": "system", "content": text }),
        Message::User { text } => json!({ "role": "user", "content": text }),
        Message::Assistant { opaque: Some(opaque), .. } => opaque.clone(),
        Message::Assistant { text, calls, opaque: None } => {
            let calls = calls.iter().map(|call| {
                let function = json!({ "name": call.name, "arguments": call.arguments });
                json!({ "id": call.id, "type": "function", "function": function })
            });
            let mut out = json!({ "role": "assistant", "content": text });
            let calls: Vec<Value> = calls.collect();
            if !calls.is_empty() {
                out["tool_calls"] = Value::from(calls);
            }
            out
        }
        Message::Tool { answer } => json!({ "role": "tool", "tool_call_id": answer.call, "content": answer.content }),
    }
}

/// An answer as it was read.
///
/// # Errors
/// [`ModelFailure`] when it is an error in a success's clothes, or no completion at all.
pub fn reply(mut answer: Value) -> Result<ModelReply, ModelFailure> {
    if let Some(failure) = error_in(&answer) {
        return Err(failure);
    }
    let Some(fields) = answer.as_object_mut().filter(|fields| fields.contains_key("choices")) else {
        return Err(ModelFailure::Malformed("no `choices` in the answer".to_owned()));
    };
    let usage = |name: &str| fields.get("usage").and_then(|usage| usage.get(name)).and_then(Value::as_u64);
    let (prompt_tokens, completion_tokens) = (usage("prompt_tokens"), usage("completion_tokens"));
    let served_model = fields.get("model").and_then(Value::as_str).map(str::to_owned);
    let choice = fields.get_mut("choices").and_then(Value::as_array_mut).and_then(|choices| choices.first_mut()).map(Value::take);
    let mut choice = choice.unwrap_or_default();
    let mut said = choice.get_mut("message").map(Value::take).unwrap_or_default();

    let text = text_of(said.get("content"));
    let calls = calls_of(&mut said);
    let refused = said.get("refusal").is_some_and(|refusal| !refusal.is_null());
    let finish = if refused { FinishReason::Refused } else { finish_of(choice.get("finish_reason")) };
    Ok(ModelReply { text, calls, finish, prompt_tokens, completion_tokens, served_model, opaque: opaque_of(said) })
}

fn finish_of(reason: Option<&Value>) -> FinishReason {
    match reason.and_then(Value::as_str).unwrap_or_default().to_lowercase().as_str() {
        "stop" | "end_turn" | "eos" => FinishReason::Stop,
        "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
        "length" | "max_tokens" | "model_length" => FinishReason::Length,
        "content_filter" | "refusal" | "safety" | "recitation" => FinishReason::Refused,
        _ => FinishReason::Other,
    }
}

/// Text, or the text parts of a list of parts.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

/// The calls, each with an id of its own: where a server gave none, or the same twice, one is made, and written back into the message.
fn calls_of(said: &mut Value) -> Vec<ToolCall> {
    let Some(calls) = said.get_mut("tool_calls").and_then(Value::as_array_mut) else { return Vec::new() };
    calls.truncate(MOST_CALLS);
    calls.retain(Value::is_object);
    let given: BTreeSet<String> = calls.iter().filter_map(id_of).collect();
    let mut used = BTreeSet::new();
    let mut made = 0;
    let mut out = Vec::with_capacity(calls.len());
    for call in calls {
        let id = id_of(call).filter(|id| used.insert(id.clone())).unwrap_or_else(|| {
            loop {
                made += 1;
                let id = format!("call_{made}");
                if !given.contains(&id) && used.insert(id.clone()) {
                    return id;
                }
            }
        });
        call["id"] = Value::from(id.clone());
        let function = call.get("function");
        let kind = call.get("type").and_then(Value::as_str).unwrap_or("function");
        let name = function.and_then(|f| f.get("name")).and_then(Value::as_str);
        let name = if kind == "function" { name.unwrap_or_default() } else { kind }.to_owned();
        let arguments = match function.and_then(|f| f.get("arguments")) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            Some(other) => other.to_string(),
        };
        out.push(ToolCall { id, name, arguments });
    }
    out
}

fn id_of(call: &Value) -> Option<String> {
    call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned)
}

/// The message as it is passed back unread: some servers need fields of it (`thought_signature`, `reasoning_content`); what is null or an
/// empty list says nothing, and some servers refuse it on the way in.
fn opaque_of(said: Value) -> Option<Value> {
    let Value::Object(fields) = said else { return None };
    let silent = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    let mut kept: Map<String, Value> = fields.into_iter().filter(|(_, value)| !silent(value)).collect();
    kept.insert("role".to_owned(), Value::from("assistant"));
    kept.entry("content").or_insert_with(|| Value::from(""));
    Some(Value::Object(kept))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "`json!` reads better where it is passed whole")]
    fn message(message: Value) -> ModelReply {
        reply(json!({ "choices": [{ "message": message, "finish_reason": "tool_calls" }] })).unwrap()
    }

    #[test]
    fn fault_l11_arguments_as_an_object_and_odd_ids_are_read() {
        let read = message(json!({ "role": "assistant", "content": null, "tool_calls": [
            { "id": "a", "type": "function", "function": { "name": "inspect_target", "arguments": { "target": "w1" } } },
            { "id": "a", "index": 7, "function": { "name": "finish", "arguments": "{}" } },
            { "type": "function", "function": { "name": "list_events" } },
            { "id": "call_1", "type": "function", "function": { "name": "list_events", "arguments": null } },
            { "id": "x", "type": "web_search", "web_search": {} },
            "nonsense",
        ]}));
        let seen: Vec<(&str, &str, &str)> = read.calls.iter().map(|c| (&*c.id, &*c.name, &*c.arguments)).collect();
        assert_eq!(
            seen,
            [
                ("a", "inspect_target", r#"{"target":"w1"}"#),
                ("call_2", "finish", "{}"),
                ("call_3", "list_events", ""),
                ("call_1", "list_events", ""),
                ("x", "web_search", ""),
            ]
        );
        let opaque = read.opaque.unwrap();
        assert_eq!(opaque["tool_calls"][1]["id"], "call_2", "what goes back names the calls as the answers do");
    }

    #[test]
    fn fault_l22_fields_that_only_the_provider_knows_go_back_unread() {
        let signature = json!({ "google": { "thought_signature": "abc" } });
        let call =
            json!({ "id": "a", "type": "function", "function": { "name": "finish", "arguments": "{}" }, "extra_content": signature });
        let read = message(json!({ "role": "assistant", "content": null, "annotations": [], "refusal": null, "tool_calls": [call] }));
        let sent = super::message(&Message::Assistant { text: read.text, calls: read.calls, opaque: read.opaque });
        assert_eq!(sent, json!({ "role": "assistant", "content": "", "tool_calls": [call] }));
    }

    #[test]
    fn fault_l15_every_form_of_no_answer_is_seen() {
        let finish = |choice: Value| reply(json!({ "choices": [choice] })).unwrap().finish;
        assert_eq!(finish(json!({ "message": { "content": null, "refusal": "no" }, "finish_reason": "stop" })), FinishReason::Refused);
        assert_eq!(finish(json!({ "message": {}, "finish_reason": "content_filter" })), FinishReason::Refused);
        let empty = reply(json!({ "choices": [] })).unwrap();
        assert!(empty.text.is_empty() && empty.calls.is_empty());
        assert_eq!(reply(json!({ "id": 1 })).unwrap_err().reason(), "MalformedAnswer");
    }

    #[test]
    fn text_parts_are_joined() {
        assert_eq!(message(json!({ "content": [{ "type": "text", "text": "a" }, { "type": "image" }, { "text": "b" }] })).text, "ab");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let names = ["choices", "message", "tool_calls", "function", "arguments", "id", "type", "content", "error", "usage", "name"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from)
        ];
        leaf.prop_recursive(6, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(prop::sample::select(names.to_vec()), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(message in any_json(), answer in any_json()) {
            let _ = reply(answer);
            let _ = reply(json!({ "choices": [{ "message": message }] }));
        }
    }
}
