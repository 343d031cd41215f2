//! Whether the process lives, and whether what it shows is fresh.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::App;
use super::error::ApiError;

/// Ticks that may be missed before what is shown counts as old.
const TICKS: u32 = 3;

/// The process answers.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "alive": true }))
}

/// A tick was published within the last three intervals.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let not_ready = |error: String| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error, "see the log for the part that fails");
    let Some(published) = app.published() else { return Err(not_ready("no tick has been taken yet".into())) };
    let age = app.server.clock.now().duration_since(published.at);
    let oldest = app.server.settings.interval * TICKS;
    // A tick from the future is a clock that was set back: not old.
    if std::time::Duration::try_from(age).is_ok_and(|age| age > oldest) {
        return Err(not_ready(format!("the last tick, {}, is {} s old", published.tick, age.as_secs())));
    }
    Ok(Json(json!({ "ready": true, "tick": published.tick })))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[tokio::test]
    async fn ready_means_a_tick_within_three_intervals() {
        let fixture = Fixture::new().await;
        let (published, clock) = (fixture.publisher.clone(), fixture.clock.clone());
        published.send_replace(None);
        let api = fixture.serve();
        assert_eq!(api.get("/readyz").await.status, 503);
        assert_eq!(api.get("/healthz").await.status, 200, "alive all the same");
        published.send_replace(Some(super::super::testing::published().into()));
        assert_eq!(api.get("/readyz").await.status, 200);
        clock.forward(180);
        assert_eq!(api.get("/readyz").await.status, 200);
        clock.forward(1);
        let late = api.get("/readyz").await;
        assert_eq!((late.status, late.json["error"].as_str().unwrap()), (503, "the last tick, t812, is 181 s old"));
    }
}
