//! The HTTP API's two queries, with authentication, a deadline and a cap on what is read. Retries are the caller's: it knows what a
//! smaller question would be.
//!
//! A client crate (`prometheus-http-query`) was looked at: it reads a body whole before anything can stop it, and takes neither a file that
//! is read anew nor a `Date` header that tells how far two clocks are apart.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use super::answer::{self, AnswerError, Rows};
use super::config::{Auth, ConfigError, PrometheusConfig, is_link_local};

/// Asks questions of one server.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: reqwest::Url,
    auth: Auth,
    max_response_bytes: u64,
}

/// Resolves names, and leaves out link-local addresses: a name that someone points at the metadata service leads nowhere.
struct Guarded;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Addrs = Box::new(allowed(found));
            Ok(addresses)
        })
    }
}

fn allowed(found: impl Iterator<Item = SocketAddr>) -> std::vec::IntoIter<SocketAddr> {
    found.filter(|address| !is_link_local(address.ip())).collect::<Vec<_>>().into_iter()
}

/// A range of instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First instant, seconds since the epoch.
    pub start: i64,
    /// Last instant, inclusive.
    pub end: i64,
    /// Seconds between instants.
    pub step: i64,
}

impl Range {
    /// How many instants it has.
    #[must_use]
    pub fn points(&self) -> i64 {
        (self.end - self.start).div_euclid(self.step) + 1
    }
}

/// An answer, and the server's clock when it gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Series.
    pub rows: Rows,
    /// The server's `Date`, where it sends one.
    pub server_time: Option<Timestamp>,
}

/// Why a query has no answer; [`QueryError::reason`] is the machine reason.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// No connection, or it broke.
    #[error("failed to reach the server: {0}")]
    Unreachable(String),
    /// The deadline passed.
    #[error("no answer within the deadline")]
    Timeout,
    /// A file that holds a secret cannot be read.
    #[error("failed to read {path}: {detail}")]
    Secret {
        /// Path.
        path: String,
        /// What was seen.
        detail: String,
    },
    /// 401 or 403.
    #[error("the server refused the credentials (HTTP {0})")]
    Unauthorized(u16),
    /// A redirect, which is never followed.
    #[error("the server answered with a redirect (HTTP {0}): write its final address in `prometheus.url`")]
    Redirected(u16),
    /// The server could not run the query (400, 422, or `status: error`).
    #[error("the server refused the query (HTTP {status}, {kind})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// `errorType`.
        kind: String,
    },
    /// 429, 5xx.
    #[error("the server is unavailable (HTTP {0})")]
    Unavailable(u16),
    /// Something that is not this API.
    #[error("the answer is not Prometheus' API (HTTP {0}): check the path of `prometheus.url`")]
    NotPrometheus(u16),
    /// More than the cap.
    #[error("the answer is larger than `prometheus.maxResponseBytes`")]
    TooLarge,
}

impl QueryError {
    /// One word for conditions and records.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "Unreachable",
            Self::Timeout => "Timeout",
            Self::Secret { .. } => "SecretUnreadable",
            Self::Unauthorized(_) => "Unauthorized",
            Self::Redirected(_) => "Redirected",
            Self::Refused { .. } => "QueryRefused",
            Self::Unavailable(_) => "Unavailable",
            Self::NotPrometheus(_) => "NotPrometheus",
            Self::TooLarge => "ResponseTooLarge",
        }
    }
}

impl Client {
    /// A client for a checked configuration.
    ///
    /// # Errors
    /// [`ConfigError`] when the URL, the CA file or the tenant header is unusable.
    pub fn new(config: &PrometheusConfig) -> Result<Self, ConfigError> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("ipa/", env!("CARGO_PKG_VERSION"))));
        if let Some(tenant) = &config.tenant {
            let name = HeaderName::try_from(tenant.name.as_str()).map_err(|_| ConfigError::Tenant)?;
            let value = HeaderValue::try_from(tenant.value.as_str()).map_err(|_| ConfigError::Tenant)?;
            headers.insert(name, value);
        }
        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(Guarded))
            .connect_timeout(config.timeout.0.min(Duration::from_secs(5)));
        if let Some(path) = &config.ca_file {
            let unreadable = |detail: String| ConfigError::CaFile { path: path.clone(), detail };
            let pem = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| unreadable(e.to_string()))?;
            if certificates.is_empty() {
                return Err(unreadable("it holds no PEM certificate".to_owned()));
            }
            builder = builder.tls_certs_only(certificates);
        }
        let mut base = config.base_url()?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let http = builder.build().map_err(ConfigError::Http)?;
        Ok(Self { http, base, auth: config.auth.clone(), max_response_bytes: config.max_response_bytes })
    }

    /// The query's value at one instant.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn instant(&self, query: &str, at: Timestamp, within: Duration) -> Result<Answered, QueryError> {
        let time = at.as_second().to_string();
        self.ask("api/v1/query", &[("query", query), ("time", &time)], within).await
    }

    /// The query's values over a range.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn range(&self, query: &str, range: Range, within: Duration) -> Result<Answered, QueryError> {
        let (start, end, step) = (range.start.to_string(), range.end.to_string(), range.step.to_string());
        self.ask("api/v1/query_range", &[("query", query), ("start", &start), ("end", &end), ("step", &step)], within).await
    }

    async fn ask(&self, path: &str, form: &[(&str, &str)], within: Duration) -> Result<Answered, QueryError> {
        match tokio::time::timeout(within, self.exchange(path, form, within)).await {
            Ok(answer) => answer,
            Err(_) => Err(QueryError::Timeout),
        }
    }

    async fn exchange(&self, path: &str, form: &[(&str, &str)], within: Duration) -> Result<Answered, QueryError> {
        let unreachable = |e: reqwest::Error| if e.is_timeout() { QueryError::Timeout } else { QueryError::Unreachable(root_cause(&e)) };
        let url = self.base.join(path).map_err(|e| QueryError::Unreachable(e.to_string()))?;
        // The server stops as well when nobody waits any more.
        let timeout = format!("{}ms", within.as_millis());
        let form: Vec<(&str, &str)> = form.iter().copied().chain([("timeout", timeout.as_str())]).collect();
        let mut request = self.http.post(url).form(&form);
        match &self.auth {
            Auth::None => {}
            Auth::BearerTokenFile(path) => {
                let token = secret(path).await?;
                let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                    .map_err(|_| QueryError::Secret { path: path.display().to_string(), detail: "it holds no token".to_owned() })?;
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
            Auth::Basic { user, password_file } => request = request.basic_auth(user, Some(secret(password_file).await?)),
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let server_time = response.headers().get(DATE).and_then(|d| d.to_str().ok()).and_then(http_date);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(QueryError::Unauthorized(status.as_u16())),
            s if s.is_redirection() => return Err(QueryError::Redirected(s.as_u16())),
            _ => {}
        }
        let body = self.read_capped(response).await?;
        match (answer::read(&body), status) {
            (Ok(rows), s) if s.is_success() => Ok(Answered { rows, server_time }),
            // 503 with the API's error body is a query that was stopped; without it, a proxy in front.
            (_, s) if s.is_server_error() || s == StatusCode::TOO_MANY_REQUESTS => Err(QueryError::Unavailable(s.as_u16())),
            (Err(AnswerError::Refused(kind)), s) => Err(QueryError::Refused { status: s.as_u16(), kind }),
            (Err(AnswerError::WrongShape), s) => Err(QueryError::Refused { status: s.as_u16(), kind: "not a vector".to_owned() }),
            (_, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) => {
                Err(QueryError::Refused { status: status.as_u16(), kind: "bad_data".to_owned() })
            }
            (Ok(_) | Err(AnswerError::NotTheApi), s) => Err(QueryError::NotPrometheus(s.as_u16())),
        }
    }

    /// Reads no more than the cap, counted after decompression, whatever length was announced.
    async fn read_capped(&self, response: reqwest::Response) -> Result<Vec<u8>, QueryError> {
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|e| QueryError::Unreachable(root_cause(&e)))?;
            if (body.len() + chunk.len()) as u64 > self.max_response_bytes {
                return Err(QueryError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

async fn secret(path: &std::path::Path) -> Result<String, QueryError> {
    let failed = |detail: String| QueryError::Secret { path: path.display().to_string(), detail };
    let text = tokio::fs::read_to_string(path).await.map_err(|e| failed(e.to_string()))?;
    match text.trim() {
        "" => Err(failed("it is empty".to_owned())),
        text => Ok(text.to_owned()),
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// reqwest's own text repeats the URL; what went wrong is the innermost cause.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_date_is_read() {
        assert_eq!(http_date("Tue, 24 Nov 2026 11:29:55 GMT"), Some("2026-11-24T11:29:55Z".parse().unwrap()));
        assert_eq!(http_date("now"), None);
    }

    #[test]
    fn a_name_that_leads_to_the_metadata_service_leads_nowhere() {
        let found = ["169.254.169.254:0", "10.0.0.1:0", "[fe80::1]:0", "[::ffff:169.254.0.1]:0"].map(|a| a.parse().unwrap());
        assert_eq!(allowed(found.into_iter()).collect::<Vec<_>>(), ["10.0.0.1:0".parse().unwrap()]);
    }

    #[test]
    fn a_ca_file_that_holds_no_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let with = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let config = PrometheusConfig { ca_file: Some(path), ..PrometheusConfig::at("https://prometheus:9090") };
            Client::new(&config).map(|_| ()).map_err(|e| e.to_string())
        };
        assert_eq!(with("ca.pem", CA), Ok(()));
        assert!(with("empty.pem", "").unwrap_err().contains("`prometheus.caFile`"));
        let absent = PrometheusConfig { ca_file: Some("/absent/ca.pem".into()), ..PrometheusConfig::at("https://p") };
        assert!(Client::new(&absent).unwrap_err().to_string().contains("/absent/ca.pem"));
    }

    /// A self-signed certificate of nobody's, valid until 2126.
    const CA: &str = "-----BEGIN CERTIFICATE-----
MIIBezCCASGgAwIBAgIUCUv9J7ijCyLvonba8LFlp/Ckid0wCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHdGVzdCBjYTAgFw0yNjExMjQxMjAyMjdaGA8yMTI2MTAzMTEy
MDIyN1owEjEQMA4GA1UEAwwHdGVzdCBjYTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABIejn3OWFj/GZaB3sjZAM+khibWv1hB5ugigYfKBg+sLI9hemblT696mTrdm
jKCh1mF5Jd0Nzz/Ys/IWO/Wcc+yjUzBRMB0GA1UdDgQWBBRXdNrw5FCgM9EH4YDv
2NECeaR5uDAfBgNVHSMEGDAWgBRXdNrw5FCgM9EH4YDv2NECeaR5uDAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDapMGy/WN+zzdNAt514r0MuXPV
HJrYYEdZabZLTFzzLgIgUoSGETW8oOWUrCbBme8sbHkN0VNUBOCnV1SKsTesiaM=
-----END CERTIFICATE-----
";

    #[test]
    fn a_range_counts_both_ends() {
        assert_eq!(Range { start: 0, end: 600, step: 60 }.points(), 11);
    }
}
