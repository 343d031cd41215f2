//! Who may ask: the one middleware that every request passes. A page of another site, a name that was made to point here, and a caller without
//! the token get no further; and whatever is answered carries the headers that keep text from becoming script.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::{ApiError, quoted};
use super::{App, ServerSettings, Token};

/// Nothing inline, nothing from elsewhere, no sink that turns text into markup.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// What decides whether a request goes on.
pub(super) struct Gate {
    token: Option<Token>,
    address: IpAddr,
    names: Vec<String>,
}

/// What a path shows. Everything that is not known to be open is data.
#[derive(PartialEq, Eq)]
enum Shows {
    /// Alive or not: for a kubelet or a load balancer, which carries no token and calls by any name.
    Life,
    /// The bare page, the same for everybody; what it shows it asks the API for.
    Page,
    /// What the cluster does, or a way to change it.
    Data,
}

impl Shows {
    fn of(path: &str) -> Self {
        match path {
            "/healthz" | "/readyz" => Self::Life,
            "/" => Self::Page,
            _ if path.starts_with("/assets/") => Self::Page,
            _ => Self::Data,
        }
    }
}

impl Gate {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        Self { token: settings.token.clone(), address: settings.listen.ip(), names: settings.host_names.clone() }
    }

    /// Whether a request goes on.
    fn admit(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), ApiError> {
        let shows = Shows::of(path);
        if shows == Shows::Life {
            return Ok(());
        }
        let host = self.host(headers)?;
        if !method.is_safe() {
            same_origin(&host, headers)?;
        }
        match &self.token {
            Some(token) if shows == Shows::Data => match bearer(headers) {
                Some(presented) if token.is(presented) => Ok(()),
                _ => Err(ApiError::new(
                    StatusCode::UNAUTHORIZED,
                    "a token is needed",
                    "send `Authorization: Bearer` with what the file of --token-file holds",
                )),
            },
            _ => Ok(()),
        }
    }

    /// The `Host` by which the server was called, if it is one of its own. A name that somebody else made point here (DNS rebinding) is not: an
    /// attacker's page has a name for its origin, never an address of ours.
    fn host(&self, headers: &HeaderMap) -> Result<Authority, ApiError> {
        let text = headers.get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
        let authority = text.parse::<Authority>().ok().filter(|a| !a.as_str().contains('@'));
        let ours = authority.filter(|authority| {
            let name = authority.host().trim_start_matches('[').trim_end_matches(']');
            match name.parse::<IpAddr>() {
                Ok(address) => address.is_loopback() || self.address.is_unspecified() || address == self.address,
                Err(_) => name.eq_ignore_ascii_case("localhost") || self.names.iter().any(|n| n.eq_ignore_ascii_case(name)),
            }
        });
        ours.ok_or_else(|| {
            let error = format!("this server does not answer to the host `{}`", quoted(text));
            ApiError::new(StatusCode::MISDIRECTED_REQUEST, error, "call it by its address or as localhost")
        })
    }
}

/// A browser says where a request comes from; programs say nothing, and carry no one's session.
fn same_origin(host: &Authority, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &HeaderName| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    let site = text(&HeaderName::from_static("sec-fetch-site"));
    let origin = text(&ORIGIN);
    let from_here = origin.is_none_or(|origin| {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|a| a.eq_ignore_ascii_case(host.as_str()))
    });
    if from_here && site.is_none_or(|site| matches!(site, "same-origin" | "none")) {
        return Ok(());
    }
    let error = format!("a page of `{}` may not decide here", quoted(origin.or(site).unwrap_or_default()));
    Err(ApiError::new(StatusCode::FORBIDDEN, error, "use the page of this server, or a program that sends no Origin"))
}

/// The token that a request presents.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The middleware.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = match app.gate.admit(request.method(), request.uri().path(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", CONTENT_SECURITY_POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(listen: &str, token: Option<&str>) -> Gate {
        Gate { token: token.map(|t| Token::new(t).unwrap()), address: listen.parse().unwrap(), names: vec!["ipa.ipa-system.svc".into()] }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn status(gate: &Gate, method: &Method, pairs: &[(&'static str, &str)]) -> u16 {
        gate.admit(method, "/api/v1/state", &headers(pairs)).map_or_else(|e| e.status.as_u16(), |()| 200)
    }

    #[test]
    fn fault_t08_a_name_that_was_made_to_point_here_is_not_answered() {
        let loopback = gate("127.0.0.1", None);
        for ours in ["localhost:8080", "LOCALHOST", "127.0.0.1:8080", "[::1]:9", "127.8.8.8", "ipa.ipa-system.svc:80"] {
            assert_eq!(status(&loopback, &Method::GET, &[("host", ours)]), 200, "{ours}");
        }
        for theirs in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.7", "a@localhost", "", "local host"] {
            assert_eq!(status(&loopback, &Method::GET, &[("host", theirs)]), 421, "{theirs}");
        }
        assert_eq!(status(&loopback, &Method::GET, &[]), 421);
        let one = gate("10.0.0.7", None);
        assert_eq!(status(&one, &Method::GET, &[("host", "10.0.0.7:80")]), 200);
        assert_eq!(status(&one, &Method::GET, &[("host", "10.0.0.8")]), 421);
        let every = gate("0.0.0.0", None);
        assert_eq!(status(&every, &Method::GET, &[("host", "10.1.2.3:8080")]), 200, "each address of the machine is a bound one");
        assert_eq!(status(&every, &Method::GET, &[("host", "evil.example:8080")]), 421);
    }

    #[test]
    fn fault_t21_a_page_of_another_site_decides_nothing() {
        let gate = gate("127.0.0.1", None);
        let post = |pairs: &[(&'static str, &str)]| {
            let mut all = vec![("host", "localhost:8080")];
            all.extend_from_slice(pairs);
            status(&gate, &Method::POST, &all)
        };
        assert_eq!(post(&[]), 200, "a program");
        assert_eq!(post(&[("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")]), 200);
        for origin in ["http://evil.example", "null", "http://localhost:9090", "https://localhost:8080.evil.example", "localhost:8080", ""]
        {
            assert_eq!(post(&[("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(post(&[("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(post(&[("sec-fetch-site", "same-site")]), 403, "another port of this machine is another page");
    }

    #[test]
    fn fault_t21_what_is_not_known_to_be_open_asks_for_the_token() {
        let gate = gate("127.0.0.1", Some("a-token-of-some-length"));
        let ask = |path: &str, authorization: &str| {
            let headers = headers(&[("host", "localhost"), ("authorization", authorization)]);
            gate.admit(&Method::GET, path, &headers).map_or_else(|e| e.status.as_u16(), |()| 200)
        };
        for path in ["/", "/assets/app.js", "/healthz", "/readyz"] {
            assert_eq!(ask(path, ""), 200, "{path}");
        }
        for path in ["/metrics", "/api/v1/state", "/anything", "/healthz/", "//", "/Assets/x", "/api/v1/../assets/x"] {
            assert_eq!(ask(path, ""), 401, "{path}");
            assert_eq!(ask(path, "Bearer a-token-of-some-lengtH"), 401, "{path}");
            assert_eq!(ask(path, "Basic a-token-of-some-length"), 401, "{path}");
            assert_eq!(ask(path, "bearer a-token-of-some-length"), 200, "{path}");
        }
    }
}
