//! What an administrator says of the model, in the configuration file; never in a custom resource.

use std::path::PathBuf;

use serde::Deserialize;

use crate::agent::dialogue::Caps;
use crate::domain::units::GoDuration;

/// The `model` section of the configuration file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelConfig {
    /// Base URL of an OpenAI-compatible API, with its version (`https://api.openai.com/v1`, `http://127.0.0.1:8080/v1`).
    pub url: String,
    /// Model name as the endpoint knows it.
    pub model: String,
    /// File that holds the API key, read anew at each call; absent for an endpoint that needs none.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Longest one call may take, retries included.
    #[serde(default = "defaults::deadline")]
    pub deadline: GoDuration,
    /// Most tokens of one completion.
    #[serde(default = "defaults::max_completion_tokens")]
    pub max_completion_tokens: u32,
    /// Most tokens of one dialogue.
    #[serde(default = "defaults::tokens_per_dialogue")]
    pub tokens_per_dialogue: u64,
    /// Most tokens a day (UTC) over all groups.
    #[serde(default = "defaults::tokens_per_day")]
    pub tokens_per_day: u64,
    /// How the endpoint calls the cap on a completion.
    #[serde(default)]
    pub token_cap_field: TokenCapField,
    /// Sampling temperature; absent leaves it to the endpoint, since reasoning models refuse it.
    #[serde(default)]
    pub temperature: Option<f64>,
}

/// How an endpoint calls the cap on a completion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum TokenCapField {
    /// `max_completion_tokens`: the present standard.
    #[default]
    MaxCompletionTokens,
    /// `max_tokens`: older servers.
    MaxTokens,
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelConfigError {
    /// Not an HTTP URL.
    #[error("model.url `{0}` is not a base URL: write http:// or https:// with a host, such as https://api.openai.com/v1")]
    Url(String),
    /// Carries a user name or password, which would be logged.
    #[error("model.url carries credentials: put the key into a file and name it in model.keyFile")]
    Credentials,
    /// No model.
    #[error("model.model is empty: name a model that the endpoint serves")]
    Model,
    /// A cap of zero.
    #[error("model.{0} is 0: give it at least 1, or leave the model section out to run without a model")]
    Zero(&'static str),
    /// The HTTP client could not be made.
    #[error("failed to build the HTTP client: {0}")]
    Client(String),
}

mod defaults {
    use super::GoDuration;

    /// A tick's dialogues end at 45 s; one call that takes longer than this leaves no time for tools.
    pub fn deadline() -> GoDuration {
        GoDuration::from_secs(30)
    }
    pub fn max_completion_tokens() -> u32 {
        2048
    }
    pub fn tokens_per_dialogue() -> u64 {
        100_000
    }
    /// Twenty full dialogues; a group that is quiet needs a handful a day.
    pub fn tokens_per_day() -> u64 {
        2_000_000
    }
}

impl ModelConfig {
    /// A configuration with defaults for all but the endpoint and the model.
    #[must_use]
    pub fn new(url: &str, model: &str) -> Self {
        Self {
            url: url.to_owned(),
            model: model.to_owned(),
            key_file: None,
            deadline: defaults::deadline(),
            max_completion_tokens: defaults::max_completion_tokens(),
            tokens_per_dialogue: defaults::tokens_per_dialogue(),
            tokens_per_day: defaults::tokens_per_day(),
            token_cap_field: TokenCapField::default(),
            temperature: None,
        }
    }

    /// What one dialogue may use.
    #[must_use]
    pub fn caps(&self) -> Caps {
        Caps { tokens: self.tokens_per_dialogue, completion_tokens: self.max_completion_tokens, ..Caps::default() }
    }

    /// Checks what a type cannot.
    ///
    /// # Errors
    /// [`ModelConfigError`] naming the field.
    pub fn check(&self) -> Result<(), ModelConfigError> {
        let bad = || ModelConfigError::Url(self.url.chars().take(80).collect());
        let url = reqwest::Url::parse(&self.url).map_err(|_| bad())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ModelConfigError::Credentials);
        }
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || url.query().is_some() || url.fragment().is_some() {
            return Err(bad());
        }
        if self.model.trim().is_empty() {
            return Err(ModelConfigError::Model);
        }
        for (field, value) in [
            ("maxCompletionTokens", u64::from(self.max_completion_tokens)),
            ("tokensPerDialogue", self.tokens_per_dialogue),
            ("tokensPerDay", self.tokens_per_day),
            ("deadline", self.deadline.0.as_millis().try_into().unwrap_or(u64::MAX)),
        ] {
            if value == 0 {
                return Err(ModelConfigError::Zero(field));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_configuration_has_defaults() {
        let read: ModelConfig = serde_saphyr::from_str("url: http://127.0.0.1:8080/v1\nmodel: small\n").unwrap();
        assert_eq!(read, ModelConfig::new("http://127.0.0.1:8080/v1", "small"));
        assert_eq!(read.check(), Ok(()));
    }

    #[test]
    fn bad_configuration_names_the_field() {
        let error = |url: &str| ModelConfig::new(url, "m").check().unwrap_err().to_string();
        for url in ["127.0.0.1:8080", "ftp://x/v1", "http://", "http://x/v1?key=1"] {
            assert!(error(url).starts_with("model.url `"), "{url}");
        }
        let secret = error("https://me:hunter2@api.example.com/v1");
        assert!(secret.contains("credentials") && !secret.contains("hunter2"));
        assert!(ModelConfig::new("http://x/v1", " ").check().unwrap_err().to_string().starts_with("model.model"));
        let none = ModelConfig { tokens_per_day: 0, ..ModelConfig::new("http://x/v1", "m") };
        assert_eq!(none.check(), Err(ModelConfigError::Zero("tokensPerDay")));
        assert!(serde_saphyr::from_str::<ModelConfig>("url: http://x/v1\nmodel: m\nkey: sk-123\n").is_err());
    }
}
