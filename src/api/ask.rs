//! "Why did you scale?": answered from the ledger alone, whether a model is there or not. Every sentence cites entries, and each citation says in
//! which record it stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::ApiError;
use crate::domain::names::{GroupId, TargetKey, TickId};
use crate::domain::record::TickRecord;
use crate::explain::{self, Answer, Confidence};
use crate::ports::{EntryFilter, PortError};

/// Newest entries that an answer looks through.
const ENTRIES: usize = 5_000;

/// Longest question that is read.
const LONGEST_QUESTION: usize = 2_000;

/// A question in a person's own words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    question: String,
}

/// An answer, and where what it cites can be read.
#[derive(Debug, Serialize)]
pub(super) struct Cited {
    #[serde(flatten)]
    answer: Answer,
    /// The target it is about; absent when the question names none.
    target: Option<TargetKey>,
    /// Records by cited entry id.
    records: BTreeMap<String, Place>,
}

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    pub(super) group: GroupId,
    pub(super) tick: TickId,
}

/// `GET targets/{namespace}/{group}/{resource}/{name}/why`; the core group is written `core`.
pub(super) async fn why(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String, String, String)>, PathRejection>,
) -> Result<Json<Cited>, ApiError> {
    let Path((namespace, group, resource, name)) = path?;
    let target = TargetKey::new(&namespace, if group == "core" { "" } else { &group }, &resource, &name);
    Ok(Json(explain(&app, target).await?))
}

/// `POST chat {question}`
pub(super) async fn chat(State(app): State<Arc<App>>, question: Result<Json<Question>, JsonRejection>) -> Result<Json<Cited>, ApiError> {
    let Json(Question { question }) = question?;
    if question.chars().count() > LONGEST_QUESTION {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "the question is too long",
            format!("ask in at most {LONGEST_QUESTION} characters"),
        ));
    }
    let allowed = app.chats.lock().is_ok_and(|mut chats| chats.take(Instant::now()));
    if !allowed {
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too many questions at once", "ask again in a few seconds"));
    }
    match explain::understand(&question, &known_targets(&app).await?) {
        Ok(target) => Ok(Json(explain(&app, target).await?)),
        Err(ask_back) => {
            let unknowns = vec!["which workload the question is about".to_owned()];
            let answer = Answer { answer: ask_back, evidence: Vec::new(), confidence: Confidence::None, unknowns };
            Ok(Json(Cited { answer, target: None, records: BTreeMap::new() }))
        }
    }
}

async fn explain(app: &App, target: TargetKey) -> Result<Cited, PortError> {
    let group = app.published().and_then(|published| {
        let covers = published.groups.iter().find(|group| group.targets.iter().any(|view| view.target == target));
        covers.map(|group| group.group.clone())
    });
    let records = recent(app, group).await?;
    let answer = explain::why(&target, &records);
    let place = |entry: &str| {
        let seq: u64 = entry.trim_start_matches('e').parse().ok()?;
        let record = records.iter().find(|record| record.entries.contains(&seq))?;
        Some((entry.to_owned(), Place { group: record.group.clone(), tick: record.tick }))
    };
    let places = answer.evidence.iter().filter_map(|citation| place(&citation.record)).collect();
    Ok(Cited { answer, target: Some(target), records: places })
}

/// What can be asked about: what the last tick covered, or before the first one what the ledger does.
async fn known_targets(app: &App) -> Result<Vec<TargetKey>, PortError> {
    match app.published() {
        Some(published) => Ok(published.groups.iter().flat_map(|group| &group.targets).map(|view| view.target.clone()).collect()),
        None => Ok(TickRecord::targets_of(&recent(app, None).await?).into_iter().collect()),
    }
}

async fn recent(app: &App, group: Option<GroupId>) -> Result<Vec<TickRecord>, PortError> {
    let filter = EntryFilter { group, newest: ENTRIES, ..EntryFilter::default() };
    app.server.ledger.entries(&filter).await.map(TickRecord::fold_all)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use serde_json::json;

    #[tokio::test]
    async fn a_question_is_answered_from_the_ledger_and_cites_records() {
        let fixture = Fixture::new().await;
        fixture.tell_a_story().await;
        let api = fixture.serve();
        let answer = api.post("/api/v1/chat", json!({ "question": "Why did you scale web?" })).await;
        assert_eq!(answer.status, 200);
        let answer = answer.json;
        assert!(
            answer["answer"].as_str().unwrap().contains("replicas of shop/deployments.apps/web 4 -> 7 was carried out (Applied)"),
            "{answer}"
        );
        assert_eq!(answer["confidence"], "Recorded");
        assert_eq!(answer["unknowns"], json!([]));
        let cited: Vec<&str> = answer["evidence"].as_array().unwrap().iter().map(|c| c["record"].as_str().unwrap()).collect();
        assert!(!cited.is_empty());
        for entry in cited {
            assert!(answer["answer"].as_str().unwrap().contains(entry), "{entry} is cited in the text");
            assert_eq!(answer["records"][entry], json!({ "group": "shop/front", "tick": 812 }), "{entry}");
        }
        let same = api.get("/api/v1/targets/shop/apps/deployments/web/why").await.json;
        assert_eq!(same, answer);
    }

    #[tokio::test]
    async fn a_refusal_is_explained_by_its_rule() {
        let fixture = Fixture::new().await;
        fixture.tell_a_story().await;
        let answer = fixture.serve().post("/api/v1/chat", json!({ "question": "why not cart?" })).await.json;
        assert!(answer["answer"].as_str().unwrap().contains("Guardrail StaleMetrics said Refuse"), "{answer}");
    }

    #[tokio::test]
    async fn what_cannot_be_told_is_asked_back_and_what_is_not_recorded_is_not_said() {
        let api = Fixture::new().await.serve();
        let asked_back = api.post("/api/v1/chat", json!({ "question": "approve everything" })).await.json;
        assert!(asked_back["answer"].as_str().unwrap().starts_with("name a workload"));
        assert_eq!((&asked_back["confidence"], &asked_back["evidence"]), (&json!("None"), &json!([])));
        let unknown = api.get("/api/v1/targets/shop/apps/deployments/nothing/why").await.json;
        assert_eq!((&unknown["answer"], &unknown["confidence"]), (&json!(""), &json!("None")));
        assert_eq!(unknown["unknowns"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn before_the_first_tick_the_ledger_says_what_can_be_asked_about() {
        let fixture = Fixture::new().await;
        fixture.tell_a_story().await;
        fixture.publisher.send_replace(None);
        let answer = fixture.serve().post("/api/v1/chat", json!({ "question": "why web" })).await.json;
        assert_eq!(answer["confidence"], "Recorded");
    }

    #[tokio::test]
    async fn questions_are_bounded_in_length_number_and_form() {
        let api = Fixture::new().await.serve();
        assert_eq!(api.post("/api/v1/chat", json!({ "question": "x".repeat(2_001) })).await.status, 400);
        assert_eq!(api.post("/api/v1/chat", json!({ "question": "x".repeat(70_000) })).await.status, 413);
        assert_eq!(api.post("/api/v1/chat", json!({ "q": "x" })).await.status, 422);
        let as_a_form = api.send("POST", "/api/v1/chat", &[("content-type", "text/plain")], "{\"question\":\"x\"}").await;
        assert_eq!(as_a_form.status, 415);
        let mut statuses = Vec::new();
        for _ in 0..25 {
            statuses.push(api.post("/api/v1/chat", json!({ "question": "why web?" })).await.status);
        }
        assert_eq!(statuses[..20], [200; 20]);
        assert!(statuses[20..].contains(&429), "{statuses:?}");
    }

    #[tokio::test]
    async fn fault_c08_markup_in_a_question_comes_back_as_text_or_not_at_all() {
        let api = Fixture::new().await.serve();
        let answer = api.post("/api/v1/chat", json!({ "question": "![](http://evil.example/x.png) <script>alert(1)</script>" })).await;
        assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "application/json"));
        assert!(!answer.text.contains("evil.example"), "{}", answer.text);
    }
}
