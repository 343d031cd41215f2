//! HTTP: what the last tick published, the ledger, the queue, questions and the page. Reads what the tick published and calls none of its verbs;
//! a person's decision goes out through [`Decisions`], a person's question to the model waits for the next tick.
//!
//! `/healthz` and `/readyz` are for the kubelet, `/metrics` for Prometheus, `/api/v1` for programs, `/` for people. The page is a client of the
//! API like any other. Who may ask is decided in one place, `gate`.

mod ask;
mod assets;
mod error;
mod gate;
mod metrics;
mod probes;
mod queue;
mod rate;
mod records;
mod state;
#[cfg(test)]
mod testing;
mod token;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::domain::names::GroupId;
use crate::ports::{Clock, Decisions, Ledger};
use crate::tick::Published;

pub use token::{Token, TokenError};

/// Bodies are a question or a digest; nothing larger is read.
const LARGEST_BODY: usize = 64 * 1024;

/// How long requests under way may take to end once the server is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Everything the server reads and the two ways it passes something on.
pub struct Server {
    /// What the last tick published; `None` before the first.
    pub published: watch::Receiver<Option<Arc<Published>>>,
    /// The record.
    pub ledger: Arc<dyn Ledger>,
    /// Where people's decisions go; without it the server is read-only.
    pub decisions: Option<Arc<dyn Decisions>>,
    /// Groups that a person wants the model to look at in the next tick.
    pub asks: mpsc::Sender<GroupId>,
    /// The clock that ticks run by.
    pub clock: Arc<dyn Clock>,
    /// What the installation decides.
    pub settings: ServerSettings,
}

/// What the installation decides about the server.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The token that everything but probes and the bare page asks for. Needed beyond loopback.
    pub token: Option<Token>,
    /// Names, beside addresses and `localhost`, by which the server may be called (a Service's, an Ingress's).
    pub host_names: Vec<String>,
    /// Time between ticks, on the clock that ticks run by.
    pub interval: Duration,
    /// Whether this is the demo: the page says so, and looks more often.
    pub demo: bool,
    /// Title of the page.
    pub title: String,
}

/// A server that has its address and answers once it is served.
pub struct BoundServer {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Beyond loopback, without a token.
    #[error("--listen {0} can be reached from other machines: name a file that holds a token with --token-file, or listen on 127.0.0.1")]
    TokenNeeded(SocketAddr),
    /// The address cannot be had.
    #[error("failed to listen on {address}: {source}; choose another with --listen, port 0 picks a free one")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The listener broke.
    #[error("failed to serve: {0}")]
    Serve(std::io::Error),
}

/// What handlers share.
struct App {
    server: Server,
    gate: gate::Gate,
    chats: Mutex<rate::Allowance>,
}

impl Server {
    /// Takes the address. Nothing is answered before [`BoundServer::serve`].
    ///
    /// # Errors
    /// [`ServerError`] naming the flag and the mend.
    pub async fn bind(self) -> Result<BoundServer, ServerError> {
        let wanted = self.settings.listen;
        if !wanted.ip().is_loopback() && self.settings.token.is_none() {
            return Err(ServerError::TokenNeeded(wanted));
        }
        let bound = |source| ServerError::Bind { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(bound)?;
        let address = listener.local_addr().map_err(bound)?;
        Ok(BoundServer { listener, address, router: self.router() })
    }

    fn router(self) -> Router {
        let gate = gate::Gate::new(&self.settings);
        let app = Arc::new(App { server: self, gate, chats: Mutex::default() });
        let api = Router::new()
            .route("/about", get(state::about))
            .route("/state", get(state::state))
            .route("/records", get(records::list))
            .route("/records/{namespace}/{name}/{tick}", get(records::one))
            .route("/targets/{namespace}/{group}/{resource}/{name}/why", get(ask::why))
            .route("/chat", post(ask::chat))
            .route("/proposals", get(queue::list))
            .route("/proposals/{id}/approve", post(queue::approve))
            .route("/proposals/{id}/reject", post(queue::reject))
            .route("/groups/{namespace}/{name}/ask", post(queue::ask_model))
            .route("/audit/head", get(records::head));
        Router::new()
            .route("/", get(assets::page))
            .route("/assets/{file}", get(assets::file))
            .route("/healthz", get(probes::alive))
            .route("/readyz", get(probes::ready))
            .route("/metrics", get(metrics::scrape))
            .nest("/api/v1", api)
            .fallback(error::no_such_path)
            .method_not_allowed_fallback(error::no_such_method)
            .layer(DefaultBodyLimit::max(LARGEST_BODY))
            .layer(from_fn_with_state(app.clone(), gate::guard))
            .with_state(app)
    }
}

impl BoundServer {
    /// Where it listens, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` resolves, then lets what is under way end, for a few seconds at most.
    ///
    /// # Errors
    /// [`ServerError::Serve`] when the listener breaks.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError> {
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let shutdown = async move {
            shutdown.await;
            let _ = stopping.send(());
        };
        let serving = axum::serve(self.listener, self.router).with_graceful_shutdown(shutdown);
        tokio::select! {
            ended = std::future::IntoFuture::into_future(serving) => ended.map_err(ServerError::Serve),
            () = async {
                // A sender that is gone without a word means that serving has ended by itself: the other branch says how.
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(DRAIN).await;
            } => Ok(()),
        }
    }
}

impl App {
    fn published(&self) -> Option<Arc<Published>> {
        self.server.published.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testing::Fixture;

    #[tokio::test]
    async fn fault_t21_listening_beyond_loopback_needs_a_token_and_names_the_flag() {
        let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let mut fixture = Fixture::new().await;
        fixture.server.settings.listen = everywhere;
        let refused = fixture.server.bind().await.err().unwrap().to_string();
        assert!(refused.contains("--token-file") && refused.contains("0.0.0.0:0"), "{refused}");

        let mut fixture = Fixture::new().await;
        fixture.server.settings.listen = everywhere;
        fixture.server.settings.token = Some(Token::new("a-token-of-some-length").unwrap());
        assert!(fixture.server.bind().await.is_ok());
    }

    #[tokio::test]
    async fn fault_t21_every_route_asks_for_the_token_but_probes_and_the_bare_page() {
        let token = "a-token-of-some-length";
        let mut fixture = Fixture::new().await;
        fixture.server.settings.token = Some(Token::new(token).unwrap());
        fixture.tell_a_story().await;
        let _loop_goes_on = fixture.asked.take();
        let api = fixture.serve();
        let decide = format!("/api/v1/proposals/{}/approve", testing::WAITING);
        let reject = decide.replace("approve", "reject");
        let digest = r#"{"digest":"0"}"#;
        let question = r#"{"question":"why web?"}"#;
        // method, path, body, status without a token, with another, with the token
        let table: [(&str, &str, &str, [u16; 3]); 17] = [
            ("GET", "/healthz", "", [200, 200, 200]),
            ("GET", "/readyz", "", [200, 200, 200]),
            ("GET", "/", "", [200, 200, 200]),
            ("GET", "/assets/app.js", "", [200, 200, 200]),
            ("GET", "/metrics", "", [401, 401, 200]),
            ("GET", "/api/v1/about", "", [401, 401, 200]),
            ("GET", "/api/v1/state", "", [401, 401, 200]),
            ("GET", "/api/v1/records", "", [401, 401, 200]),
            ("GET", "/api/v1/records/shop/front/812", "", [401, 401, 200]),
            ("GET", "/api/v1/targets/shop/apps/deployments/web/why", "", [401, 401, 200]),
            ("POST", "/api/v1/chat", question, [401, 401, 200]),
            ("GET", "/api/v1/proposals", "", [401, 401, 200]),
            ("POST", &decide, digest, [401, 401, 409]),
            ("POST", &reject, digest, [401, 401, 409]),
            ("POST", "/api/v1/groups/shop/front/ask", "", [401, 401, 202]),
            ("GET", "/api/v1/audit/head", "", [401, 401, 200]),
            ("GET", "/api/v1/nothing", "", [401, 401, 404]),
        ];
        for (method, path, body, expected) in table {
            let json = ("content-type", "application/json");
            let (bad, good) = ("Bearer another-token-of-length".to_owned(), format!("Bearer {token}"));
            let answers = [
                api.send(method, path, &[json], body).await,
                api.send(method, path, &[json, ("authorization", &bad)], body).await,
                api.send(method, path, &[json, ("authorization", &good)], body).await,
            ];
            assert_eq!([answers[0].status, answers[1].status, answers[2].status], expected, "{method} {path}");
            for answer in answers.iter().filter(|answer| answer.status >= 400) {
                assert!(answer.json["error"].is_string() && answer.json["mend"].is_string(), "{method} {path}: {}", answer.text);
            }
            if expected[0] == 401 {
                assert!(answers[0].header("www-authenticate").starts_with("Bearer"), "{path}");
            }
        }
    }

    #[tokio::test]
    async fn fault_t21_no_route_changes_anything_by_being_read() {
        let api = Fixture::new().await.serve();
        for path in [
            "/api/v1/chat",
            "/api/v1/proposals/t811-model-1/approve",
            "/api/v1/proposals/t811-model-1/reject",
            "/api/v1/groups/shop/front/ask",
        ] {
            for method in ["GET", "HEAD", "PUT", "DELETE"] {
                assert_eq!(api.send(method, path, &[], "").await.status, 405, "{method} {path}");
            }
        }
    }

    #[tokio::test]
    async fn fault_t08_a_strange_host_or_a_strange_page_gets_no_further_than_the_gate() {
        let api = Fixture::new().await.serve();
        assert_eq!(api.get_with("/api/v1/state", &[("host", "evil.example")]).await.status, 421);
        assert_eq!(api.get_with("/", &[("host", "evil.example")]).await.status, 421);
        assert_eq!(api.get_with("/healthz", &[("host", "evil.example")]).await.status, 200, "probes come by any name");
        let headers = [("content-type", "application/json"), ("origin", "http://evil.example")];
        assert_eq!(api.send("POST", "/api/v1/chat", &headers, r#"{"question":"why web?"}"#).await.status, 403);
    }

    #[tokio::test]
    async fn fault_c08_hostile_text_leaves_as_the_json_text_it_is() {
        let hostile = "\"><script>alert(1)</script>![x](http://evil.example/x.png)\u{202e}\n";
        let fixture = Fixture::new().await;
        let mut published = testing::published();
        published.cluster = hostile.into();
        published.queue[0].proposal.rationale = hostile.into();
        published.groups[0].conditions[0].message = hostile.into();
        fixture.publisher.send_replace(Some(published.into()));
        let api = fixture.serve();
        let state = api.get("/api/v1/state").await;
        assert_eq!(state.header("content-type"), "application/json");
        assert_eq!(state.json["cluster"], hostile);
        assert_eq!(state.json["groups"][0]["conditions"][0]["message"], hostile);
        assert_eq!(api.get("/api/v1/proposals").await.json["proposals"][0]["proposal"]["rationale"], hostile);
        let lost = api.get("/api/v1/%3Cscript%3Ealert(1)%3C/script%3E").await;
        assert_eq!((lost.status, lost.header("content-type").as_str()), (404, "application/json"));
    }

    #[tokio::test]
    async fn port_zero_picks_a_free_one_and_the_server_stops_when_told() {
        let bound = Fixture::new().await.server.bind().await.unwrap();
        let address = bound.address();
        assert_ne!(address.port(), 0);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(bound.serve(async { drop(stopped.await) }));
        let answer = reqwest::get(format!("http://{address}/healthz")).await.unwrap();
        assert_eq!(answer.status(), 200);
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
        assert!(TcpListener::bind(address).await.is_ok(), "the address is free again");
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_it() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut fixture = Fixture::new().await;
        fixture.server.settings.listen = taken.local_addr().unwrap();
        let error = fixture.server.bind().await.err().unwrap().to_string();
        assert!(error.contains(&taken.local_addr().unwrap().to_string()) && error.contains("--listen"), "{error}");
    }
}
