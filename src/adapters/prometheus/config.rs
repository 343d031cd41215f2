//! What the administrators' file says of the metrics source. Teams name queries; only administrators name URLs, secrets and matchers.

use std::net::IpAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::promql::{Injected, PromqlError};
use crate::domain::units::GoDuration;

/// The metrics source: Prometheus, or anything that speaks its HTTP API (Thanos, Mimir, `VictoriaMetrics`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrometheusConfig {
    /// Base URL, `http` or `https`, with the path prefix if there is one (`https://mimir.example/prometheus`). Redirects are never followed.
    /// May be left out of the file where `--prometheus-url` gives it.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub url: String,
    /// Label matchers put into every selector of every query, shipped and custom (`cluster="production"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matcher: Option<String>,
    /// Header that names the tenant (`X-Scope-OrgID` for Mimir and Cortex, `THANOS-TENANT` for Thanos).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantHeader>,
    /// How this program proves who it is. Default: `none`.
    #[serde(default)]
    pub auth: Auth,
    /// PEM file of the certificate authorities that are trusted, and no others. Default: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Longest wait for one answer; a tick waits half as long again for all of them, and twice as long for missing history. Default 10s.
    #[serde(default = "default_timeout")]
    pub timeout: GoDuration,
    /// Largest answer that is read, bytes, after decompression. Default 32 MiB.
    #[serde(default = "default_max_response_bytes")]
    #[schemars(range(min = 65_536))]
    pub max_response_bytes: u64,
    /// Scrape interval of the slowest job that feeds the shipped signals: rates look back over four of them. Default 30s.
    #[serde(default = "default_scrape_interval")]
    pub scrape_interval: GoDuration,
}

/// A header that names the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantHeader {
    /// Header name.
    pub name: String,
    /// Header value.
    pub value: String,
}

/// How this program proves who it is. Secrets are files, read anew for each request, so a rotated one is taken without a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// `Authorization: Bearer`, the token from a file.
    BearerTokenFile(PathBuf),
    /// HTTP basic.
    #[serde(rename_all = "camelCase")]
    Basic {
        /// User name.
        user: String,
        /// File that holds the password.
        password_file: PathBuf,
    },
}

/// What is wrong with the configuration. The text names the field and the mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `url`.
    #[error("`prometheus.url` is `{url}`: {mend}")]
    Url {
        /// What was written, without credentials.
        url: String,
        /// What to write.
        mend: &'static str,
    },
    /// `matcher`.
    #[error("`prometheus.matcher`: {0}")]
    Matcher(#[from] PromqlError),
    /// `tenant`.
    #[error("`prometheus.tenant` is no HTTP header: write a header name and a value of visible ASCII characters")]
    Tenant,
    /// `timeout` or `scrapeInterval`.
    #[error("`prometheus.{field}` is {value}: write a duration from {least} to {most}")]
    Duration {
        /// Field.
        field: &'static str,
        /// What was written.
        value: GoDuration,
        /// Least.
        least: GoDuration,
        /// Most.
        most: GoDuration,
    },
    /// `maxResponseBytes`.
    #[error("`prometheus.maxResponseBytes` is {0}: write at least 65536")]
    ResponseBytes(u64),
    /// `caFile`.
    #[error("failed to read `prometheus.caFile` {path}: {detail}")]
    CaFile {
        /// Path.
        path: PathBuf,
        /// What was seen.
        detail: String,
    },
    /// The HTTP client cannot be built.
    #[error("failed to set up HTTP for `prometheus.url`: {0}")]
    Http(#[source] reqwest::Error),
    /// A shipped template does not take the matcher.
    #[error("failed to put `prometheus.matcher` into the shipped query `{query}`: {source}")]
    Template {
        /// Which query.
        query: String,
        /// Why.
        source: PromqlError,
    },
}

const fn default_timeout() -> GoDuration {
    GoDuration::from_secs(10)
}

const fn default_max_response_bytes() -> u64 {
    32 << 20
}

const fn default_scrape_interval() -> GoDuration {
    GoDuration::from_secs(30)
}

/// Whether an address is link-local, in whichever of its spellings: clouds serve their instances' credentials there.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_link_local()),
    }
}

impl PrometheusConfig {
    /// The defaults for a URL.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            matcher: None,
            tenant: None,
            auth: Auth::None,
            ca_file: None,
            timeout: default_timeout(),
            max_response_bytes: default_max_response_bytes(),
            scrape_interval: default_scrape_interval(),
        }
    }

    /// The base URL, checked.
    ///
    /// # Errors
    /// [`ConfigError::Url`] when it is not plain `http` or `https`, carries credentials or a query, or names a link-local address (where
    /// clouds serve their instance credentials).
    pub fn base_url(&self) -> Result<reqwest::Url, ConfigError> {
        let bad = |url: &str, mend| ConfigError::Url { url: url.chars().take(200).collect(), mend };
        let example = "write http:// or https:// with host and port, such as http://prometheus.monitoring:9090";
        let url = reqwest::Url::parse(self.url.trim()).map_err(|_| bad(&self.url, example))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(bad(&self.url, example));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("(with credentials)", "move user and password to `prometheus.auth`"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad(&self.url, "leave out what follows `?` or `#`"));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let link_local = host.parse().is_ok_and(is_link_local);
        if link_local {
            return Err(bad(&self.url, "write an address that is not link-local: instance metadata lies there"));
        }
        Ok(url)
    }

    /// Checks everything that can be checked without a connection, and gives the matcher.
    pub(super) fn check(&self) -> Result<Injected, ConfigError> {
        self.base_url()?;
        for (field, value, least, most) in [
            ("timeout", self.timeout, GoDuration::from_secs(1), GoDuration::from_secs(60)),
            ("scrapeInterval", self.scrape_interval, GoDuration::from_secs(1), GoDuration::from_mins(5)),
        ] {
            if value < least || value > most {
                return Err(ConfigError::Duration { field, value, least, most });
            }
        }
        if self.max_response_bytes < 65_536 {
            return Err(ConfigError::ResponseBytes(self.max_response_bytes));
        }
        Ok(Injected::parse(self.matcher.as_deref().unwrap_or_default())?)
    }

    /// What a rate or a mean looks back over in an instant query, seconds: four scrapes, so that one may be lost, and a minute at least.
    #[must_use]
    pub fn window_s(&self) -> u32 {
        u32::try_from(self.scrape_interval.0.as_secs().saturating_mul(4)).unwrap_or(1_200).max(60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_administrators_file_reads_as_documented() {
        let config: PrometheusConfig = serde_saphyr::from_str(
            "url: https://mimir.example/prometheus\nmatcher: cluster=\"x\"\ntenant: {name: X-Scope-OrgID, value: shop}\nauth:\n  basic: {user: ipa, passwordFile: /run/pw}\ntimeout: 5s\n",
        )
        .unwrap();
        assert_eq!(config.auth, Auth::Basic { user: "ipa".into(), password_file: "/run/pw".into() });
        assert_eq!(config.timeout, GoDuration::from_secs(5));
        assert!(config.check().is_ok());
        let bearer: PrometheusConfig = serde_saphyr::from_str("url: http://p:9090\nauth: {bearerTokenFile: /run/token}").unwrap();
        assert_eq!(bearer.auth, Auth::BearerTokenFile("/run/token".into()));
        assert!(serde_saphyr::from_str::<PrometheusConfig>("url: http://p\nredirects: true").is_err(), "unknown fields are mistakes");
    }

    #[test]
    fn only_plain_http_urls_pass() {
        let check = |url: &str| PrometheusConfig::at(url).base_url().map(|_| ()).map_err(|e| e.to_string());
        for good in ["http://prometheus:9090", "https://10.0.0.1/prefix/", "http://[::1]:9090"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "prometheus:9090",
            "file:///etc/passwd",
            "ftp://x",
            "http://",
            "http://u:secret@p",
            "http://p?query=up",
            "http://169.254.169.254/latest",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
        ] {
            let error = check(bad).unwrap_err();
            assert!(error.starts_with("`prometheus.url`") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn numbers_out_of_range_name_their_field() {
        let slow = PrometheusConfig { timeout: GoDuration::from_mins(5), ..PrometheusConfig::at("http://p") };
        assert!(slow.check().unwrap_err().to_string().contains("`prometheus.timeout` is 5m"));
        let small = PrometheusConfig { max_response_bytes: 10, ..PrometheusConfig::at("http://p") };
        assert!(small.check().unwrap_err().to_string().contains("maxResponseBytes"));
        let matcher = PrometheusConfig { matcher: Some("cluster=x".into()), ..PrometheusConfig::at("http://p") };
        assert!(matcher.check().unwrap_err().to_string().contains("`prometheus.matcher`"));
    }
}
