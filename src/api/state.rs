//! What the last tick published, and what the server is: all that the page shows comes from here and from `records`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::App;
use super::error::ApiError;

/// What the server is.
#[derive(Serialize)]
pub(super) struct About {
    title: String,
    version: &'static str,
    demo: bool,
    /// Whether decisions can be made here.
    decisions: bool,
    /// Seconds between ticks, on the clock that ticks run by.
    interval_s: f64,
}

/// What the server is.
pub(super) async fn about(State(app): State<Arc<App>>) -> Json<About> {
    let settings = &app.server.settings;
    Json(About {
        title: settings.title.clone(),
        version: env!("CARGO_PKG_VERSION"),
        demo: settings.demo,
        decisions: app.server.decisions.is_some(),
        interval_s: settings.interval.as_secs_f64(),
    })
}

/// What the last tick published. Callers that have it already, by its tag, are not sent it again.
pub(super) async fn state(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let published = app.published().ok_or_else(no_tick_yet)?;
    let tag = format!("\"{}-{}\"", published.tick, published.at.as_millisecond());
    let fresh = [(ETAG, tag.clone()), (CACHE_CONTROL, "private, no-cache".to_owned())];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, fresh).into_response());
    }
    Ok((fresh, Json(published)).into_response())
}

/// Before the first tick there is nothing to show.
pub(super) fn no_tick_yet() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no tick has been taken yet", "wait for the first one, or see the log")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, published};

    #[tokio::test]
    async fn state_is_what_the_tick_published_and_is_sent_once() {
        let api = Fixture::new().await.serve();
        let first = api.get("/api/v1/state").await;
        assert_eq!(first.status, 200);
        assert_eq!(first.json, serde_json::to_value(published()).unwrap());
        assert_eq!(first.json["groups"][0]["targets"][0]["target"], "shop/deployments.apps/web");
        let tag = first.header("etag");
        assert_eq!(api.get_with("/api/v1/state", &[("if-none-match", &tag)]).await.status, 304);
        assert_eq!(api.get_with("/api/v1/state", &[("if-none-match", "\"t811-0\"")]).await.status, 200);
    }

    #[tokio::test]
    async fn before_the_first_tick_the_api_says_so() {
        let fixture = Fixture::new().await;
        fixture.publisher.send_replace(None);
        let answer = fixture.serve().get("/api/v1/state").await;
        assert_eq!((answer.status, answer.json["error"].as_str().unwrap()), (503, "no tick has been taken yet"));
    }

    #[tokio::test]
    async fn about_says_whether_decisions_can_be_made() {
        let mut fixture = Fixture::new().await;
        fixture.server.decisions = None;
        assert_eq!(fixture.serve().get("/api/v1/about").await.json["decisions"], false);
        assert_eq!(Fixture::new().await.serve().get("/api/v1/about").await.json["decisions"], true);
    }
}
