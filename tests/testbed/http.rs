//! Plain HTTP GETs to components on the loopback interface.

use std::time::Duration;

use anyhow::{Result, bail};

/// A client for components whose certificate nobody signed: they make it themselves at start, on this machine.
pub fn loopback_client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().tls_danger_accept_invalid_certs(true).no_proxy().timeout(Duration::from_secs(10)).build()?)
}

/// The body of a successful answer; anything else is an error that shows the status and the body.
pub async fn get(client: &reqwest::Client, url: &str) -> Result<String> {
    let answer = client.get(url).send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    if !status.is_success() {
        bail!("{url} answered {status}: {}", body.trim());
    }
    Ok(body)
}
