//! Any OpenAI-compatible endpoint behind the [`Model`](crate::ports::Model) port: chat completions with function calling, not streamed.
//!
//! `async-openai` makes the call (its `byot` methods, so that fields only one provider knows survive both ways) over a transport of our own
//! that holds the total deadline, retries, the cap on what is read, and the sorting of failures into [`ModelFailure`] classes.
//! [`guard::GuardedModel`] puts a circuit breaker and the day's token budget in front.

pub mod breaker;
pub mod budget;
pub mod config;
mod failure;
pub mod guard;
mod key;
mod retry;
mod transport;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_openai::Client;
use async_openai::error::OpenAIError;
use async_trait::async_trait;
use http::HeaderMap;
use secrecy::SecretString;
use serde_json::Value;

use crate::agent::messages::{ModelFailure, ModelReply, ModelRequest};
use crate::ports::{Clock, Model, ModelIdentity};

pub use config::{ModelConfig, ModelConfigError};
use transport::{Failed, Transport};

/// A model behind an OpenAI-compatible endpoint.
#[derive(Debug)]
pub struct ChatModel {
    config: ModelConfig,
    http: reqwest::Client,
}

/// A model as configured, behind its circuit breaker and the day's token budget. Nothing is called yet.
///
/// # Errors
/// [`ModelConfigError`] naming the field when the configuration cannot be used.
pub fn connect(config: ModelConfig, clock: Arc<dyn Clock>) -> Result<Arc<dyn Model>, ModelConfigError> {
    let tokens_per_day = config.tokens_per_day;
    Ok(Arc::new(guard::GuardedModel::new(Arc::new(ChatModel::new(config)?), clock, tokens_per_day)))
}

/// Where and as whom one call is made.
#[derive(Clone)]
struct Endpoint {
    base: String,
    headers: HeaderMap,
    key: SecretString,
}

impl async_openai::config::Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }
    fn api_base(&self) -> &str {
        &self.base
    }
    fn api_key(&self) -> &SecretString {
        &self.key
    }
}

impl ChatModel {
    /// A model as configured. Nothing is called yet.
    ///
    /// # Errors
    /// [`ModelConfigError`] naming the field when the configuration cannot be used.
    pub fn new(config: ModelConfig) -> Result<Self, ModelConfigError> {
        config.check()?;
        let http = reqwest::Client::builder()
            // A redirect would carry the prompt, and maybe the key, to a host that nobody configured.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| ModelConfigError::Client(error.to_string()))?;
        Ok(Self { config, http })
    }

    async fn call(&self, request: &ModelRequest, deadline: Duration) -> Result<ModelReply, ModelFailure> {
        // Read at each call: a mounted key is exchanged under a running process.
        let key = match &self.config.key_file {
            Some(path) => Some(key::read(path).await.map_err(ModelFailure::AuthFailed)?),
            None => None,
        };
        let headers = key.as_ref().map(key::headers).unwrap_or_default();
        let endpoint = Endpoint {
            base: self.config.url.trim_end_matches('/').to_owned(),
            headers,
            key: key.clone().unwrap_or_else(|| SecretString::from(String::new())),
        };
        let transport = Arc::new(Transport { http: self.http.clone(), key, deadline: tokio::time::Instant::now() + deadline });
        let client = Client::build(self.http.clone(), endpoint).with_http_service(tower::service_fn(move |factory| {
            let transport = transport.clone();
            async move { transport.send(factory).await.map_err(OpenAIError::from) }
        }));
        let answer: Result<Value, OpenAIError> = client.chat().create_byot(wire::request(&self.config, request)).await;
        match answer {
            Ok(answer) => wire::reply(answer),
            Err(OpenAIError::Boxed(error)) => {
                Err(error.downcast::<Failed>().map_or_else(|other| ModelFailure::Protocol(other.to_string()), |failed| failed.0))
            }
            // The transport answers everything else itself; what is left cannot be built or read.
            Err(other) => Err(ModelFailure::Protocol(other.to_string())),
        }
    }
}

#[async_trait]
impl Model for ChatModel {
    fn identity(&self) -> ModelIdentity {
        ModelIdentity { model: self.config.model.clone(), played_by: None }
    }

    async fn complete(&self, request: &ModelRequest, deadline: Duration) -> Result<ModelReply, ModelFailure> {
        let deadline = deadline.min(self.config.deadline.0);
        tokio::time::timeout(deadline, self.call(request, deadline)).await.unwrap_or(Err(ModelFailure::Deadline))
    }
}
