//! A running IPA, asked over its HTTP API where a command is given `--server`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::domain::names::TargetKey;

/// A client of the HTTP API.
pub(super) struct Server {
    base: reqwest::Url,
    token: Option<String>,
    client: reqwest::Client,
}

impl Server {
    /// A client of the server at `url`, with the token in `token_file` where one is given.
    pub(super) fn new(url: &str, token_file: Option<&Path>) -> anyhow::Result<Self> {
        let parsed: Option<reqwest::Url> = url.parse().ok();
        let Some(mut base) = parsed.filter(|base| matches!(base.scheme(), "http" | "https")) else {
            bail!("--server `{url}` is not a URL: write one such as http://127.0.0.1:8080");
        };
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let token = match token_file {
            Some(file) => Some(
                std::fs::read_to_string(file).with_context(|| format!("failed to read --token-file {}", file.display()))?.trim().to_owned(),
            ),
            None => None,
        };
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .context("failed to build an HTTP client")?;
        Ok(Self { base, token, client })
    }

    /// `why` about a target.
    pub(super) async fn why(&self, target: &TargetKey) -> anyhow::Result<Value> {
        let path = format!("api/v1/targets/{}/{}/{}/{}/why", target.namespace, group_segment(&target.group), target.resource, target.name);
        self.call(reqwest::Method::GET, &path, None).await
    }

    /// A question in a person's own words.
    pub(super) async fn chat(&self, question: &str) -> anyhow::Result<Value> {
        self.call(reqwest::Method::POST, "api/v1/chat", Some(json!({ "question": question }))).await
    }

    /// The queue.
    pub(super) async fn proposals(&self) -> anyhow::Result<Value> {
        self.call(reqwest::Method::GET, "api/v1/proposals", None).await
    }

    /// Records a decision on a proposal; `verb` is `approve` or `reject`.
    pub(super) async fn decide(&self, id: &str, verb: &str, digest: &str) -> anyhow::Result<Value> {
        self.call(reqwest::Method::POST, &format!("api/v1/proposals/{id}/{verb}"), Some(json!({ "digest": digest }))).await
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let url = self.base.join(path).with_context(|| format!("`{path}` is not a path"))?;
        let mut request = self.client.request(method, url.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request
            .send()
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("failed to reach the server at {url}: is it running?"))?;
        let status = response.status();
        let answer: Value = response
            .json()
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("{url} did not answer with JSON: is --server an IPA?"))?;
        if !status.is_success() {
            let part = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
            bail!("{url} answered {}: {}; {}", status.as_u16(), part("error"), part("mend"));
        }
        Ok(answer)
    }
}

/// The core group has an empty name, which no path segment can have.
fn group_segment(group: &str) -> &str {
    if group.is_empty() { "core" } else { group }
}
