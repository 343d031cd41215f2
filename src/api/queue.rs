//! What waits for people: the proposals with what the guardrails said of them, the yes or no of a person, and a person's wish that the model look
//! at a group. A decision names the digest of the change that was seen; nothing is carried out here: the next tick judges it again.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::error::TrySendError;

use super::App;
use super::ask::Place;
use super::error::ApiError;
use super::gate::bearer;
use super::records::group;
use super::state::no_tick_yet;
use crate::domain::names::{Digest, GroupId, ProposalId};
use crate::domain::record::TickRecord;
use crate::domain::review::Review;
use crate::domain::snapshot::{DecisionVerdict, QueuedProposal};
use crate::ports::{EntryFilter, PortError};

/// Entries of a group that are looked through for what the guardrails said.
const ENTRIES: usize = 1_000;

/// A proposal as a person sees it.
#[derive(Debug, Serialize)]
pub(super) struct Waiting {
    #[serde(flatten)]
    queued: QueuedProposal,
    /// The change in one line.
    summary: String,
    /// What the guardrails said when it was queued; absent when the record does not go back so far.
    review: Option<Review>,
    /// The record in which it stands.
    record: Option<Place>,
}

/// The queue.
#[derive(Debug, Serialize)]
pub(super) struct Queue {
    /// Open ones first, the oldest of them first.
    proposals: Vec<Waiting>,
    /// Whether decisions can be made here.
    decisions: bool,
}

/// A decision on what was seen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seen {
    digest: Digest,
}

type Reviews = BTreeMap<ProposalId, (Review, Place)>;

/// `GET proposals`
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Queue>, ApiError> {
    let published = app.published().ok_or_else(no_tick_yet)?;
    let mut reviews = Reviews::new();
    for (group, since) in oldest_by_group(&published.queue) {
        reviews.append(&mut reviews_of(&app, group, since).await?);
    }
    let mut proposals: Vec<Waiting> = published.queue.iter().map(|queued| waiting(queued, &mut reviews)).collect();
    proposals.sort_by(|a, b| {
        let key = |w: &Waiting| (w.queued.closed, w.queued.proposal.made, w.queued.proposal.id.clone());
        key(a).cmp(&key(b))
    });
    Ok(Json(Queue { proposals, decisions: app.server.decisions.is_some() }))
}

/// `POST proposals/{id}/approve {digest}`
pub(super) async fn approve(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    seen: Result<Json<Seen>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let (Path(id), Json(seen)) = (path?, seen?);
    decide(&app, ProposalId(id), DecisionVerdict::Approve, &seen.digest, &headers).await
}

/// `POST proposals/{id}/reject {digest}`
pub(super) async fn reject(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    seen: Result<Json<Seen>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let (Path(id), Json(seen)) = (path?, seen?);
    decide(&app, ProposalId(id), DecisionVerdict::Reject, &seen.digest, &headers).await
}

/// `POST groups/{namespace}/{name}/ask`
pub(super) async fn ask_model(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let Path((namespace, name)) = path?;
    let group = group(&namespace, &name);
    let published = app.published().ok_or_else(no_tick_yet)?;
    if !published.groups.iter().any(|view| view.group == group) {
        return Err(ApiError::not_found("group", &group.to_string(), "GET /api/v1/state lists those there are"));
    }
    if published.model.is_none() {
        return Err(ApiError::new(StatusCode::CONFLICT, "no model is configured", "start with --model-url and --model"));
    }
    match app.server.asks.try_send(group.clone()) {
        Ok(()) => Ok((StatusCode::ACCEPTED, Json(json!({ "asked": group })))),
        Err(TrySendError::Full(_)) => {
            Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "many groups are asked about already", "wait for the next tick"))
        }
        Err(TrySendError::Closed(_)) => {
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the loop has ended", "restart IPA; the log says why it ended"))
        }
    }
}

async fn decide(
    app: &App,
    id: ProposalId,
    verdict: DecisionVerdict,
    digest: &Digest,
    headers: &HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let conflict = |error: &str| ApiError::new(StatusCode::CONFLICT, error, "look at the queue again");
    let Some(decisions) = &app.server.decisions else {
        let mend = "decide with `ipa proposals` or kubectl";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "this server takes no decisions", mend));
    };
    let published = app.published().ok_or_else(no_tick_yet)?;
    let queued = published.queue.iter().find(|queued| queued.proposal.id == id);
    let queued = queued.ok_or_else(|| ApiError::not_found("proposal", &id.0, "GET /api/v1/proposals lists those there are"))?;
    if queued.closed {
        return Err(conflict("this proposal has ended"));
    }
    if queued.digest != *digest {
        return Err(conflict("this is not the change that was seen: the digests differ"));
    }
    decisions.decide(&id, verdict, digest, bearer(headers), app.server.clock.now()).await?;
    Ok(Json(json!({ "proposal": id, "verdict": verdict, "next": "the next tick judges it again before anything is done" })))
}

/// Groups with something in the queue, and since when.
fn oldest_by_group(queue: &[QueuedProposal]) -> BTreeMap<GroupId, Timestamp> {
    let mut oldest = BTreeMap::new();
    for queued in queue {
        let since = oldest.entry(queued.proposal.group.clone()).or_insert(queued.proposal.made);
        *since = queued.proposal.made.min(*since);
    }
    oldest
}

/// What the guardrails said of a group's proposals, the first time each was judged.
async fn reviews_of(app: &App, group: GroupId, since: Timestamp) -> Result<Reviews, PortError> {
    let filter = EntryFilter { group: Some(group), since: Some(since), oldest: ENTRIES, ..EntryFilter::default() };
    let records = TickRecord::fold_all(app.server.ledger.entries(&filter).await?);
    let mut reviews = Reviews::new();
    for record in records {
        let place = Place { group: record.group, tick: record.tick };
        for judged in record.closed.into_iter().flat_map(|closed| closed.proposals) {
            reviews.entry(judged.proposal.id).or_insert_with(|| (judged.review, place.clone()));
        }
    }
    Ok(reviews)
}

fn waiting(queued: &QueuedProposal, reviews: &mut Reviews) -> Waiting {
    let (review, record) = reviews.remove(&queued.proposal.id).unzip();
    Waiting { queued: queued.clone(), summary: queued.proposal.change.summary(), review, record }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, WAITING};
    use super::*;
    use crate::domain::names::Digest;

    fn digest_of(fixture: &Fixture) -> Digest {
        fixture.publisher.borrow().as_ref().unwrap().queue[0].digest.clone()
    }

    #[tokio::test]
    async fn the_queue_shows_each_change_with_what_the_guardrails_said() {
        let fixture = Fixture::new().await;
        fixture.tell_a_story().await;
        let queue = fixture.serve().get("/api/v1/proposals").await.json;
        let first = &queue["proposals"][0];
        assert_eq!(first["proposal"]["id"], WAITING);
        assert_eq!(first["summary"], "replicas of shop/deployments.apps/checkout 6 -> 14");
        assert_eq!(first["review"]["rulings"][0]["rule"], "Mode");
        assert_eq!(first["record"], json!({ "group": "shop/back", "tick": 811 }));
        assert_eq!(queue["decisions"], true);
    }

    #[tokio::test]
    async fn an_approval_goes_out_with_digest_and_token() {
        let fixture = Fixture::new().await;
        let (digest, decided) = (digest_of(&fixture), fixture.decided.clone());
        let api = fixture.serve();
        let path = format!("/api/v1/proposals/{WAITING}/approve");
        let body = json!({ "digest": digest }).to_string();
        let headers = [("content-type", "application/json"), ("authorization", "Bearer somebody")];
        assert_eq!(api.send("POST", &path, &headers, &body).await.status, 200);
        assert_eq!(api.post(&format!("/api/v1/proposals/{WAITING}/reject"), json!({ "digest": digest })).await.status, 200);
        let decided = decided.lock().unwrap();
        let of = |verdict, token: Option<&str>| (WAITING.to_owned(), verdict, digest.clone(), token.map(str::to_owned));
        assert_eq!(*decided, [of(DecisionVerdict::Approve, Some("somebody")), of(DecisionVerdict::Reject, None)]);
    }

    #[tokio::test]
    async fn a_decision_on_another_change_or_an_ended_proposal_is_a_conflict() {
        let fixture = Fixture::new().await;
        let (digest, decided) = (digest_of(&fixture), fixture.decided.clone());
        let publisher = fixture.publisher.clone();
        let api = fixture.serve();
        let approve = format!("/api/v1/proposals/{WAITING}/approve");
        let other = api.post(&approve, json!({ "digest": "0".repeat(64) })).await;
        assert_eq!(other.status, 409);
        assert!(other.json["error"].as_str().unwrap().contains("digests differ"));
        assert_eq!(api.post("/api/v1/proposals/t1-model-1/approve", json!({ "digest": digest })).await.status, 404);
        assert_eq!(api.post(&approve, json!({})).await.status, 422, "no digest, no decision");
        assert_eq!(api.get(&approve).await.status, 405, "reading changes nothing");
        let mut ended = super::super::testing::published();
        ended.queue[0].closed = true;
        publisher.send_replace(Some(ended.into()));
        assert_eq!(api.post(&approve, json!({ "digest": digest })).await.status, 409);
        assert!(decided.lock().unwrap().is_empty(), "nothing went out");
    }

    #[tokio::test]
    async fn a_store_that_refuses_is_told_with_its_reason() {
        let fixture = Fixture::new().await;
        let digest = digest_of(&fixture);
        fixture.refuse_decisions("patch the ScalingProposal", "this account may not `approve`");
        let answer = fixture.serve().post(&format!("/api/v1/proposals/{WAITING}/approve"), json!({ "digest": digest })).await;
        assert_eq!(answer.status, 502);
        assert_eq!(answer.json["error"], "failed to patch the ScalingProposal: this account may not `approve`");
    }

    #[tokio::test]
    async fn without_a_way_to_decide_the_server_is_read_only() {
        let mut fixture = Fixture::new().await;
        fixture.server.decisions = None;
        let digest = digest_of(&fixture);
        let api = fixture.serve();
        assert_eq!(api.post(&format!("/api/v1/proposals/{WAITING}/approve"), json!({ "digest": digest })).await.status, 403);
        assert_eq!(api.get("/api/v1/proposals").await.json["decisions"], false);
    }

    #[tokio::test]
    async fn a_wish_that_the_model_look_reaches_the_loop() {
        let mut fixture = Fixture::new().await;
        let mut asked = fixture.asked.take().unwrap();
        let publisher = fixture.publisher.clone();
        let api = fixture.serve();
        assert_eq!(api.post("/api/v1/groups/shop/front/ask", json!({})).await.status, 202);
        assert_eq!(asked.try_recv(), Ok(GroupId::new("shop", "front")));
        assert_eq!(api.post("/api/v1/groups/shop/nothing/ask", json!({})).await.status, 404);
        for _ in 0..4 {
            api.post("/api/v1/groups/shop/front/ask", json!({})).await;
        }
        assert_eq!(api.post("/api/v1/groups/shop/front/ask", json!({})).await.status, 429, "the channel holds four");
        drop(asked);
        assert_eq!(api.post("/api/v1/groups/shop/front/ask", json!({})).await.status, 503);
        let mut without = super::super::testing::published();
        without.model = None;
        publisher.send_replace(Some(without.into()));
        assert_eq!(api.post("/api/v1/groups/shop/front/ask", json!({})).await.status, 409);
    }
}
