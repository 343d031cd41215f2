//! A model server that says what it is told to say, over real HTTP on a loopback port: for every way in which such servers are known to
//! misbehave. Remembers what it was asked.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

/// What the server does with one request.
#[derive(Clone)]
pub enum Act {
    /// Answers whole.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// Accepts and never answers.
    Hang,
    /// Answers a byte at a time, so slowly that no one can wait for the end.
    Drip(Vec<u8>),
    /// Announces more than it sends, then closes.
    CutBody(Vec<u8>),
}

/// One request as it came.
#[derive(Clone)]
pub struct Asked {
    pub headers: HeaderMap,
    pub body: Value,
    pub raw: Vec<u8>,
}

#[derive(Default)]
struct Script {
    acts: VecDeque<Act>,
    asked: Vec<Asked>,
}

/// A running server; it stops with the test's runtime.
pub struct ModelServer {
    base: String,
    script: Arc<Mutex<Script>>,
}

impl ModelServer {
    /// Starts on a free loopback port. Acts are played in order; the last one is played for ever.
    pub async fn start(acts: Vec<Act>) -> Self {
        let script = Arc::new(Mutex::new(Script { acts: acts.into(), asked: Vec::new() }));
        let router = Router::new().route("/v1/chat/completions", post(play)).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, script }
    }

    /// Base URL, as `model.url` takes it.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }
}

async fn play(State(script): State<Arc<Mutex<Script>>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let act = {
        let mut script = script.lock().unwrap();
        let parsed = serde_json::from_slice(&body).unwrap_or_default();
        script.asked.push(Asked { headers, body: parsed, raw: body.to_vec() });
        if script.acts.len() > 1 { script.acts.pop_front() } else { script.acts.front().cloned() }
    };
    match act.unwrap_or_else(|| status(500)) {
        Act::Answer { status, headers, body } => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
            }
            response
        }
        Act::Hang => std::future::pending().await,
        Act::Drip(body) => Response::new(Body::from_stream(futures::stream::unfold(body.into_iter(), |mut rest| async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            rest.next().map(|byte| (Ok::<_, std::io::Error>(vec![byte]), rest))
        }))),
        Act::CutBody(body) => {
            let chunks = vec![Ok(body), Err(std::io::Error::other("cut"))];
            Response::new(Body::from_stream(futures::stream::iter(chunks)))
        }
    }
}

/// A completion with these tool calls.
pub fn calls(calls: &[(&str, Value)]) -> Act {
    let calls = calls.iter().enumerate().map(|(n, (name, arguments))| {
        let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
        json!({ "id": format!("call_{n}_{name}"), "type": "function", "function": { "name": name, "arguments": arguments } })
    });
    message(&json!({ "role": "assistant", "content": null, "tool_calls": calls.collect::<Vec<_>>() }), "tool_calls")
}

/// A completion with this message.
pub fn message(message: &Value, finish_reason: &str) -> Act {
    answer(&json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "scripted-1",
        "choices": [{ "index": 0, "message": message, "finish_reason": finish_reason }],
        "usage": { "prompt_tokens": 2500, "completion_tokens": 40, "total_tokens": 2540 },
    }))
}

/// A success with this body.
pub fn answer(body: &Value) -> Act {
    Act::Answer { status: 200, headers: vec![("content-type", "application/json".into())], body: body.to_string().into_bytes() }
}

/// An error with this body.
pub fn error(status: u16, headers: &[(&'static str, &str)], body: &Value) -> Act {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Act::Answer { status, headers, body: body.to_string().into_bytes() }
}

/// An error that says nothing but its status.
pub fn status(status: u16) -> Act {
    Act::Answer { status, headers: Vec::new(), body: Vec::new() }
}

/// A success with this body, compressed.
pub fn compressed(body: &str) -> Act {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(body.as_bytes()).unwrap();
    let headers = vec![("content-type", "application/json".into()), ("content-encoding", "gzip".into())];
    Act::Answer { status: 200, headers, body: gzip.finish().unwrap() }
}
