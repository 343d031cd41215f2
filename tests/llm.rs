//! The model adapter and the dialogue against a scripted HTTP server: each known way in which a model or its server misbehaves, injected
//! through the server's answer, ends in the floor or in a valid dialogue.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipa::adapters::llm::guard::GuardedModel;
use ipa::adapters::llm::{ChatModel, ModelConfig};
use ipa::agent::dialogue::{Caps, Dialogue, DialogueResult, Step};
use ipa::agent::messages::{FinishReason, Message, ModelFailure, ModelReply, ModelRequest};
use ipa::agent::prompt::Prompts;
use ipa::agent::tools::{ToolContext, answer};
use ipa::agent::{aliases, brief};
use ipa::domain;
use ipa::domain::proposal::Change;
use ipa::domain::record::DialogueEnd;
use ipa::ports::{Availability, Clock, Model};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::model_server::{self as server, Act, ModelServer};

#[path = "../src/agent/fixture.rs"]
#[expect(dead_code, reason = "the unit tests use more of it")]
mod fixture;

use fixture::{Shop, hostile, plain};

const DEADLINE: Duration = Duration::from_secs(20);

fn model(server: &ModelServer) -> ChatModel {
    ChatModel::new(ModelConfig::new(server.url(), "scripted-1")).unwrap()
}

fn question() -> ModelRequest {
    ModelRequest { messages: vec![Message::User { text: "hello".into() }], tools: Vec::new(), max_completion_tokens: 64 }
}

/// Asks once; gives the answer, how many requests were made, and how long it took.
async fn ask(acts: Vec<Act>) -> (Result<ModelReply, ModelFailure>, usize, Duration) {
    let server = ModelServer::start(acts).await;
    let begun = Instant::now();
    let answer = model(&server).complete(&question(), DEADLINE).await;
    (answer, server.asked().len(), begun.elapsed())
}

/// A whole dialogue over HTTP, as the tick drives it.
async fn converse(shop: &Shop, server: &ModelServer) -> DialogueResult {
    let (model, prompts, aliases) = (model(server), Prompts::load().unwrap(), shop.aliases());
    let context = ToolContext { snapshot: &shop.snapshot, plan: &shop.plan, group: shop.group(), aliases: &aliases, prompts: &prompts };
    let caps = Caps::default();
    let mut dialogue = Dialogue::start(prompts.open(&shop.brief(), &caps).unwrap(), caps);
    loop {
        match dialogue.step() {
            Step::CallModel(request) => dialogue.reply(model.complete(&request, DEADLINE).await),
            Step::RunTools(calls) => {
                let outcomes = answer(&context, &calls, dialogue.proposals());
                dialogue.answers(outcomes);
            }
            Step::Done(result) => return result,
        }
    }
}

async fn dialogue(acts: Vec<Act>) -> (DialogueResult, ModelServer) {
    let server = ModelServer::start(acts).await;
    (converse(&Shop::new(plain), &server).await, server)
}

/// The one check that every fault ends in: nothing of the model's goes on, and the record says why.
fn assert_floor(result: &DialogueResult, end: &DialogueEnd) {
    assert_eq!(&result.end, end);
    assert!(result.proposals.is_empty() && result.conclusion.is_none());
}

fn done() -> (&'static str, Value) {
    ("finish", json!({"outcome": "Done", "reason": "enough"}))
}

fn propose(replicas: u32) -> (&'static str, Value) {
    ("propose_replicas", json!({"target": "w1", "replicas": replicas, "rationale": "latency rises", "evidence": ["w1.latency"]}))
}

#[tokio::test]
async fn a_dialogue_runs_over_http_from_the_brief_to_a_proposal() {
    let acts = vec![
        server::calls(&[("inspect_target", json!({"target": "w1"})), ("list_events", json!(""))]),
        server::calls(&[propose(9)]),
        server::calls(&[done()]),
    ];
    let (result, server) = dialogue(acts).await;
    assert_eq!(result.end, DialogueEnd::Finished);
    assert!(matches!(&result.proposals[..], [p] if matches!(&p.change, Change::Replicas(c) if (c.from, c.to) == (3, 9))));
    assert_eq!((result.usage.calls, result.usage.prompt_tokens), (3, 7500));

    let asked = server.asked();
    let first = &asked[0].body;
    assert_eq!(first["model"], "scripted-1");
    assert_eq!(first["tools"].as_array().unwrap().len(), 14);
    assert_eq!(first["max_completion_tokens"], 2048);
    let roles = |n: usize| asked[n].body["messages"].as_array().unwrap().iter().map(|m| m["role"].clone()).collect::<Vec<_>>();
    assert_eq!(roles(0), ["system", "user"]);
    assert_eq!(roles(1), ["system", "user", "assistant", "tool", "tool"]);
    let last = asked[2].body["messages"].as_array().unwrap();
    assert_eq!(last[3]["tool_call_id"], "call_0_inspect_target");
    assert!(last[3]["content"].as_str().unwrap().contains("\"desired\":3"));
}

#[tokio::test]
async fn fault_c01_fault_c04_no_name_of_the_cluster_goes_over_the_wire() {
    let bodies = |naming| async move {
        let acts = vec![
            server::calls(&[("inspect_target", json!({"target": "w1"})), ("list_events", json!({})), ("recall_decisions", json!({}))]),
            server::calls(&[propose(9), done()]),
        ];
        let server = ModelServer::start(acts).await;
        converse(&Shop::new(naming), &server).await;
        server.asked().into_iter().flat_map(|asked| asked.raw).collect::<Vec<u8>>()
    };
    let (attacked, clean) = (bodies(hostile).await, bodies(plain).await);
    assert!(!String::from_utf8(attacked.clone()).unwrap().contains("canary"));
    assert_eq!(attacked, clean, "the twins' requests are the same bytes");
}

#[tokio::test]
async fn fault_l01_a_rate_limit_that_fits_is_waited_out_once() {
    let limited = server::error(429, &[("retry-after", "1")], &json!({"error": {"code": "rate_limit_exceeded"}}));
    let (answer, asked, took) = ask(vec![limited, server::calls(&[done()])]).await;
    assert!(answer.is_ok());
    assert_eq!(asked, 2);
    assert!(took >= Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn fault_l02_a_rate_limit_that_does_not_fit_is_not_slept_through() {
    let limited = server::error(429, &[("retry-after", "3600")], &json!({"error": {"code": "rate_limit_exceeded"}}));
    let (answer, asked, took) = ask(vec![limited]).await;
    assert_eq!((answer, asked), (Err(ModelFailure::RateLimited { seconds: 3600 }), 1));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn fault_l03_a_billing_stop_is_asked_exactly_once() {
    for code in ["insufficient_quota", "project_spend_limit_exceeded"] {
        let stopped = server::error(429, &[("retry-after", "1")], &json!({"error": {"type": code, "code": code}}));
        let (answer, asked, _) = ask(vec![stopped]).await;
        assert_eq!((answer.unwrap_err().reason(), asked), ("BillingStopped", 1));
    }
}

#[tokio::test]
async fn fault_l04_a_storm_of_errors_opens_the_breaker() {
    let server = ModelServer::start(vec![server::error(503, &[("x-should-retry", "false")], &json!({}))]).await;
    let guarded = GuardedModel::new(Arc::new(model(&server)), Arc::new(Noon), 10_000_000);
    for _ in 0..50 {
        assert!(guarded.complete(&question(), DEADLINE).await.is_err());
    }
    assert_eq!(server.asked().len(), 5);
    assert!(matches!(guarded.availability(Noon.now()), Availability::BreakerOpen { .. }));
}

struct Noon;

#[async_trait::async_trait]
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-03-06T12:00:00Z".parse().unwrap()
    }
    async fn sleep_until(&self, _: Timestamp) {}
}

#[tokio::test]
async fn fault_l04_errors_are_retried_twice_and_no_more() {
    for status in [500, 502, 503, 504, 529, 408] {
        let (answer, asked, _) = ask(vec![server::error(status, &[("retry-after-ms", "1")], &json!({}))]).await;
        assert_eq!((answer.unwrap_err().reason(), asked), ("Transient", 3), "{status}");
    }
    let (answer, asked, _) = ask(vec![server::status(500), server::calls(&[done()])]).await;
    assert!(answer.is_ok());
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn fault_l05_the_total_deadline_holds_whatever_the_server_does() {
    for act in [Act::Hang, Act::Drip(b"{\"choices\": []}".repeat(100))] {
        let server = ModelServer::start(vec![act]).await;
        let begun = Instant::now();
        let answer = model(&server).complete(&question(), Duration::from_millis(600)).await;
        assert_eq!(answer, Err(ModelFailure::Deadline));
        assert!(begun.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn fault_l05_a_body_that_is_cut_is_asked_for_again() {
    let (answer, asked, _) = ask(vec![Act::CutBody(b"{\"choices\"".to_vec()), server::calls(&[done()])]).await;
    assert!(answer.is_ok());
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn fault_l06_a_server_that_is_not_there_and_a_login_page_leave_the_floor() {
    let gone = ChatModel::new(ModelConfig::new("http://127.0.0.1:1/v1", "m")).unwrap();
    let failure = gone.complete(&question(), DEADLINE).await.unwrap_err();
    assert_eq!(failure.reason(), "Transient");
    assert!(!failure.to_string().contains("127.0.0.1:1/v1"), "the URL is not repeated: {failure}");

    let page = Act::Answer { status: 200, headers: vec![("content-type", "text/html".into())], body: b"<html>log in</html>".to_vec() };
    assert_eq!(ask(vec![page]).await.0.unwrap_err().reason(), "MalformedAnswer");
    assert_eq!(ask(vec![server::status(407)]).await.0.unwrap_err().reason(), "Transient");
}

#[tokio::test]
async fn fault_l07_what_is_too_large_or_too_deep_is_not_read() {
    let large = format!("{{\"choices\": \"{}\"}}", "x".repeat(3 << 20));
    let deep = format!("{{\"choices\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [large, deep] {
        let act = Act::Answer { status: 200, headers: vec![("retry-after-ms", "1".into())], body: body.into_bytes() };
        assert_eq!(ask(vec![act]).await.0.unwrap_err().reason(), "MalformedAnswer");
    }
    let bomb = server::compressed(&format!("{{\"choices\": []{}}}", " ".repeat(3 << 20)));
    assert_eq!(ask(vec![bomb]).await.0.unwrap_err().reason(), "MalformedAnswer", "counted after decompression");
}

#[tokio::test]
async fn fault_l08_a_call_that_is_cut_at_the_cap_is_never_run() {
    let cut = server::calls(&[("propose_replicas", json!(r#"{"target": "w1", "replicas": 9"#))]);
    let (result, server) = dialogue(vec![cut]).await;
    assert_floor(&result, &DialogueEnd::Truncated);
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].body["messages"], asked[1].body["messages"], "the broken call is not replayed");
    assert_eq!((&asked[0].body["max_completion_tokens"], &asked[1].body["max_completion_tokens"]), (&json!(2048), &json!(4096)));
}

#[tokio::test]
async fn fault_l10_malformed_arguments_are_mended_once_and_not_twice() {
    for bad in [
        r#"{"target": "w1", "replicas": 5,}"#,
        "{replicas:5}",
        "null",
        "[5]",
        r#"{"target": "w1", "replicas": 5, "replicas": 6, "rationale": "x"}"#,
        r#"{"target": "w1", "replicas": NaN, "rationale": "x"}"#,
        r#"{"target": "w1", "replicas": 1e309, "rationale": "x"}"#,
        r#"{"target": "w1", "replicas": 5, "rationale": "x"} so be it"#,
        "```json\n{\"target\": \"w1\", \"replicas\": 5, \"rationale\": \"x\"}\n```",
        "",
    ] {
        let wrong = || server::calls(&[("propose_replicas", json!(bad))]);
        let (result, _) = dialogue(vec![wrong(), server::calls(&[propose(9), done()])]).await;
        assert_eq!((&result.end, result.proposals.len(), result.usage.invalid_calls), (&DialogueEnd::Finished, 1, 1), "{bad}");
        let (result, server) = dialogue(vec![wrong(), server::calls(&[propose(9)]), wrong()]).await;
        assert!(matches!(result.end, DialogueEnd::SecondMistake(_)), "{bad}: {:?}", result.end);
        assert_floor(&result, &result.end.clone());
        assert_eq!(server.asked().len(), 3, "{bad}");
    }
}

#[tokio::test]
async fn fault_l11_arguments_as_an_object_and_calls_without_ids_are_read() {
    let call = |arguments: Value| json!({"function": {"name": "inspect_target", "arguments": arguments}});
    let odd = json!({"role": "assistant", "tool_calls": [call(json!({"target": "w1"})), call(json!("{\"target\": \"w2\"}"))]});
    let (result, server) = dialogue(vec![server::message(&odd, "stop"), server::calls(&[done()])]).await;
    assert_eq!(result.end, DialogueEnd::Finished);
    let sent = &server.asked()[1].body["messages"];
    assert_ne!(sent[3]["tool_call_id"], sent[4]["tool_call_id"]);
    assert_eq!(sent[2]["tool_calls"][1]["id"], sent[4]["tool_call_id"]);
}

#[tokio::test]
async fn fault_l12_invented_tools_and_fields_are_refused() {
    for wrong in [
        ("scale_now", json!({"target": "w1", "replicas": 100})),
        ("Propose_Replicas", json!({"target": "w1", "replicas": 100, "rationale": "x"})),
        ("propose_replicas", json!({"target": "w1", "replicas": 100, "rationale": "x", "force": true})),
    ] {
        let (result, server) = dialogue(vec![server::calls(std::slice::from_ref(&wrong))]).await;
        assert!(matches!(result.end, DialogueEnd::SecondMistake(_)), "{wrong:?}: {:?}", result.end);
        assert_floor(&result, &result.end.clone());
        assert_eq!((server.asked().len(), result.usage.invalid_calls), (2, 2));
        let told = server.asked()[1].body["messages"][3]["content"].as_str().unwrap().to_owned();
        assert!(told.contains("was not run"), "{told}");
    }
}

#[tokio::test]
async fn fault_l13_of_forty_calls_eight_are_run_and_all_are_answered() {
    let many: Vec<(&str, Value)> = (1..=40)
        .map(|n| {
            let arguments = json!({"target": "w1", "signal": "cpu", "window_minutes": n, "step_minutes": n, "aggregate": "Mean"});
            ("query_metrics", arguments)
        })
        .collect();
    let (result, server) = dialogue(vec![server::calls(&many), server::calls(&[done()])]).await;
    assert_eq!((&result.end, result.usage.invalid_calls), (&DialogueEnd::Finished, 0));
    let messages = server.asked()[1].body["messages"].as_array().unwrap().clone();
    let run = messages.iter().filter(|m| m["role"] == "tool" && m["content"].as_str().unwrap().contains("values")).count();
    assert_eq!((messages.len(), run), (3 + 40, 8));
}

#[tokio::test]
async fn fault_l14_loops_end() {
    let same = server::calls(&[("inspect_target", json!({"target": "w1"}))]);
    let (result, server) = dialogue(vec![same.clone()]).await;
    assert_floor(&result, &DialogueEnd::Repeating);
    assert_eq!((server.asked().len(), result.usage.completion_tokens), (3, 3 * 40));

    let other = server::calls(&[("list_events", json!({}))]);
    let (result, server) = dialogue(vec![same.clone(), other.clone(), same.clone(), other, same]).await;
    assert_floor(&result, &DialogueEnd::Repeating);
    assert_eq!(server.asked().len(), 5);

    let endless =
        (1..=20).map(|n| server::calls(&[("forecast_demand", json!({"target": "w1", "quantile_percent": 50 + n, "within_minutes": 30}))]));
    let (result, server) = dialogue(endless.collect()).await;
    assert_floor(&result, &DialogueEnd::StepCap);
    assert_eq!(server.asked().len(), 12);
}

#[tokio::test]
async fn fault_l15_refusals_are_not_coaxed() {
    for act in [
        server::message(&json!({"role": "assistant", "content": null, "refusal": "I cannot"}), "stop"),
        server::message(&json!({"role": "assistant", "content": "I can"}), "content_filter"),
        server::message(&json!({"role": "assistant", "content": null}), "stop"),
        server::answer(&json!({"choices": [], "model": "scripted-1"})),
    ] {
        let (result, server) = dialogue(vec![act]).await;
        assert_floor(&result, &DialogueEnd::Refused);
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn fault_l16_contradictions_drop_everything() {
    for calls in [vec![propose(9), done(), done()], vec![propose(9), propose(12), done()]] {
        let (result, _) = dialogue(vec![server::calls(&calls)]).await;
        assert_floor(&result, &DialogueEnd::Contradiction);
    }
}

#[tokio::test]
async fn fault_l22_an_array_error_body_is_read_and_opaque_fields_go_back() {
    let array = json!([{"error": {"code": 400, "message": "missing thought_signature", "status": "INVALID_ARGUMENT"}}]);
    let (answer, asked, _) = ask(vec![server::error(400, &[], &array)]).await;
    let failure = answer.unwrap_err();
    assert_eq!((failure.reason(), asked), ("Protocol", 1));
    assert!(failure.to_string().contains("thought_signature"));

    let mut call = json!({"id": "a", "type": "function", "function": {"name": "list_events", "arguments": "{}"}});
    call["extra_content"] = json!({"google": {"thought_signature": "c2lnbmVk"}});
    let said = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let (result, server) = dialogue(vec![server::message(&said, "tool_calls"), server::calls(&[done()])]).await;
    assert_eq!(result.end, DialogueEnd::Finished);
    assert_eq!(server.asked()[1].body["messages"][2]["tool_calls"][0], call);
}

#[tokio::test]
async fn fault_l25_a_key_that_is_exchanged_is_used_at_the_next_call_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let echo = server::error(400, &[], &json!({"error": {"message": "your key sk-first is odd"}}));
    let server = ModelServer::start(vec![echo, server::calls(&[done()])]).await;
    let config = ModelConfig { key_file: Some(path.clone()), ..ModelConfig::new(server.url(), "scripted-1") };
    let model = ChatModel::new(config).unwrap();

    assert_eq!(model.complete(&question(), DEADLINE).await.unwrap_err().reason(), "AuthFailed", "no file yet");
    std::fs::write(&path, "sk-first\n").unwrap();
    let failure = model.complete(&question(), DEADLINE).await.unwrap_err();
    assert!(!failure.to_string().contains("sk-first"), "{failure}");
    std::fs::write(&path, "sk-second\n").unwrap();
    assert!(model.complete(&question(), DEADLINE).await.is_ok());
    let sent: Vec<_> = server.asked().iter().map(|asked| asked.headers["authorization"].to_str().unwrap().to_owned()).collect();
    assert_eq!(sent, ["Bearer sk-first", "Bearer sk-second"]);
    assert!(!format!("{model:?}").contains("sk-"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = server::error(302, &[("location", "http://169.254.169.254/latest/meta-data")], &json!({}));
    let (answer, asked, _) = ask(vec![elsewhere]).await;
    assert_eq!((answer.unwrap_err().reason(), asked), ("Protocol", 1));
}

#[tokio::test]
async fn no_key_configured_sends_none() {
    let server = ModelServer::start(vec![server::calls(&[done()])]).await;
    let reply = model(&server).complete(&question(), DEADLINE).await.unwrap();
    assert_eq!((reply.finish, reply.served_model.as_deref()), (FinishReason::ToolCalls, Some("scripted-1")));
    assert_eq!(server.asked()[0].headers.get("authorization"), None);
}
