//! One call over HTTP: attempts within the deadline, at most so much read of each answer, failures sorted. Sits under `async-openai` as its
//! HTTP service, so that nothing of a body is logged, parsed or held beyond the cap.

use std::time::Duration;

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use http::HeaderMap;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;

use super::failure::{classify, may_pass};
use super::key::redacted;
use super::retry::{Next, next};
use crate::agent::messages::ModelFailure;

/// Most bytes read of an answer, after decompression: a hundred times a long completion.
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// Deepest nesting of an answer.
const MOST_DEPTH: usize = 64;

/// What one call needs.
pub struct Transport {
    pub http: reqwest::Client,
    pub key: Option<SecretString>,
    pub deadline: Instant,
}

/// A failure on its way through the client library.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Failed(#[from] pub ModelFailure);

impl From<Failed> for OpenAIError {
    fn from(failed: Failed) -> Self {
        Self::Boxed(Box::new(failed))
    }
}

impl Transport {
    /// Sends until an answer can be used, the failure will not pass, or no time is left.
    pub async fn send(&self, factory: HttpRequestFactory) -> Result<reqwest::Response, Failed> {
        let mut attempt = 0;
        loop {
            let (failure, headers) = match self.attempt(&factory).await {
                Ok(body) => return Ok(reqwest::Response::from(http::Response::new(body))),
                Err(failed) => failed,
            };
            let left = self.deadline.saturating_duration_since(Instant::now());
            if !may_pass(&failure) {
                return Err(self.without_key(failure).into());
            }
            match next(attempt, &headers, Timestamp::now(), left, rand::random()) {
                Next::Retry(wait) => {
                    attempt += 1;
                    tokio::time::sleep(wait).await;
                }
                Next::GiveUp => return Err(self.without_key(failure).into()),
                Next::Later(wait) => return Err(ModelFailure::RateLimited { seconds: whole_seconds(wait) }.into()),
            }
        }
    }

    async fn attempt(&self, factory: &HttpRequestFactory) -> Result<Vec<u8>, (ModelFailure, HeaderMap)> {
        let request = factory.build().await.map_err(|error| (ModelFailure::Protocol(error.to_string()), HeaderMap::new()))?;
        let mut response = self.http.execute(request).await.map_err(|error| (unreachable_server(error), HeaderMap::new()))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= MOST_BYTES => body.extend_from_slice(&chunk),
                Ok(Some(_)) => return Err((ModelFailure::Malformed(format!("more than {MOST_BYTES} bytes")), headers)),
                Ok(None) => break,
                Err(error) => return Err((unreachable_server(error), headers)),
            }
        }
        if !status.is_success() {
            return Err((classify(status, &body), headers));
        }
        if depth(&body) > MOST_DEPTH {
            return Err((ModelFailure::Malformed(format!("JSON deeper than {MOST_DEPTH}")), headers));
        }
        if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
            return Err((ModelFailure::Malformed(format!("HTTP {} with a body that is not JSON", status.as_u16())), headers));
        }
        Ok(body)
    }

    fn without_key(&self, failure: ModelFailure) -> ModelFailure {
        let clean = |text: String| redacted(&text, self.key.as_ref());
        match failure {
            ModelFailure::Transient(text) => ModelFailure::Transient(clean(text)),
            ModelFailure::BillingStopped(text) => ModelFailure::BillingStopped(clean(text)),
            ModelFailure::AuthFailed(text) => ModelFailure::AuthFailed(clean(text)),
            ModelFailure::ContextTooLong(text) => ModelFailure::ContextTooLong(clean(text)),
            ModelFailure::NotFound(text) => ModelFailure::NotFound(clean(text)),
            ModelFailure::Protocol(text) => ModelFailure::Protocol(clean(text)),
            ModelFailure::Malformed(text) => ModelFailure::Malformed(clean(text)),
            ModelFailure::Deadline | ModelFailure::RateLimited { .. } | ModelFailure::BreakerOpen | ModelFailure::BudgetSpent => failure,
        }
    }
}

/// The first cause that says something, without the URL.
fn unreachable_server(error: reqwest::Error) -> ModelFailure {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    ModelFailure::Transient(format!("{error}: {cause}"))
}

/// Deepest nesting of arrays and objects; brackets inside strings do not count.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert_eq!(depth(br#"{"a": [1, {"b": "[[[\"{"}]}"#), 3);
        assert_eq!(depth("[".repeat(100_000).as_bytes()), 100_000);
        assert_eq!(depth(b""), 0);
    }
}
