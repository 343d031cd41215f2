//! Records out of the ledger: newest first and page by page, one with the bodies behind it, and the end of the chain.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::ApiError;
use crate::domain::names::{Digest, GroupId, TargetKey, TickId};
use crate::domain::record::{DialogueRecord, Evidence, TickRecord};
use crate::ports::{Body, EntryFilter, Ledger, PortError};

/// Records on a page unless the caller says how many.
const USUAL_PAGE: usize = 50;

/// Records on a page at most; a tick is never cut in two, so a few more may come.
const LARGEST_PAGE: usize = 200;

/// Entries that a page looks through at most.
const MOST_ENTRIES: usize = 20_000;

/// The namespace segment of a fleet's pseudo-group, which has none: no namespace can be called so.
const NO_NAMESPACE: &str = "_";

/// Which records are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only this group, as `namespace/name`.
    group: Option<GroupId>,
    /// Only records about this target.
    target: Option<TargetKey>,
    /// How many.
    limit: Option<usize>,
    /// Only ticks before this one.
    before: Option<TickId>,
}

/// Records, newest first.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    records: Vec<TickRecord>,
    /// Ask for ticks before this one to go on; absent at the end.
    before: Option<TickId>,
}

/// One record with what stands behind it.
#[derive(Debug, Serialize)]
pub(super) struct Whole {
    record: TickRecord,
    /// What was known; absent when it was pruned.
    evidence: Option<Evidence>,
    /// The dialogue; absent when there was none or it was pruned.
    dialogue: Option<DialogueRecord>,
}

/// The end of the chain.
#[derive(Debug, Serialize)]
pub(super) struct Head {
    /// Entries in the chain.
    seq: u64,
    /// Digest of the last one; absent in an empty ledger.
    digest: Option<Digest>,
    /// When it was written.
    at: Option<Timestamp>,
}

/// `GET records?group=&target=&limit=&before=`
pub(super) async fn list(State(app): State<Arc<App>>, wanted: Result<Query<Wanted>, QueryRejection>) -> Result<Json<Page>, ApiError> {
    let Query(wanted) = wanted?;
    Ok(Json(page(&*app.server.ledger, &wanted).await?))
}

/// `GET records/{namespace}/{name}/{tick}`
pub(super) async fn one(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Result<Json<Whole>, ApiError> {
    let Path((namespace, name, tick)) = path?;
    let group = group(&namespace, &name);
    let number = tick
        .trim_start_matches('t')
        .parse()
        .map(TickId)
        .map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, "the tick is not a number", "write it as in a record, for example 812"))?;
    let ledger = &*app.server.ledger;
    let filter = EntryFilter { group: Some(group.clone()), tick: Some(number), ..EntryFilter::default() };
    let record = TickRecord::fold(&ledger.entries(&filter).await?)
        .ok_or_else(|| ApiError::not_found("record", &format!("{group} {number}"), "GET /api/v1/records lists those there are"))?;
    let evidence = match record.opened.as_ref().map(|opened| &opened.evidence) {
        Some(digest) => match ledger.body(digest).await? {
            Some(Body::Evidence(evidence)) => Some(evidence),
            Some(Body::Dialogue(_)) | None => None,
        },
        None => None,
    };
    let dialogue = match record.closed.as_ref().and_then(|closed| closed.dialogue.transcript.as_ref()) {
        Some(digest) => match ledger.body(digest).await? {
            Some(Body::Dialogue(dialogue)) => Some(dialogue),
            Some(Body::Evidence(_)) | None => None,
        },
        None => None,
    };
    Ok(Json(Whole { record, evidence, dialogue }))
}

/// `GET audit/head`
pub(super) async fn head(State(app): State<Arc<App>>) -> Result<Json<Head>, ApiError> {
    let newest = app.server.ledger.entries(&EntryFilter { newest: 1, ..EntryFilter::default() }).await?;
    let head = newest.into_iter().next_back();
    Ok(Json(Head { seq: head.as_ref().map_or(0, |e| e.seq), at: head.as_ref().map(|e| e.at), digest: head.map(|e| e.digest) }))
}

/// The group that two path segments name.
pub(super) fn group(namespace: &str, name: &str) -> GroupId {
    GroupId::new(if namespace == NO_NAMESPACE { "" } else { namespace }, name)
}

/// Looks back through the ledger in growing steps until a page is full.
async fn page(ledger: &dyn Ledger, wanted: &Wanted) -> Result<Page, PortError> {
    let limit = wanted.limit.unwrap_or(USUAL_PAGE).clamp(1, LARGEST_PAGE);
    let mut newest = (limit * 8).max(200);
    loop {
        let filter = EntryFilter { group: wanted.group.clone(), before: wanted.before, newest, ..EntryFilter::default() };
        let entries = ledger.entries(&filter).await?;
        let at_the_beginning = entries.len() < newest;
        // The oldest tick that was reached may have begun before the step.
        let cut = if at_the_beginning { None } else { entries.first().map(|entry| entry.tick) };
        let mut records = TickRecord::fold_all(entries);
        let reached = cut.map_or(TickId::default(), |tick| TickId(tick.0 + 1));
        records.retain(|record| record.tick >= reached && wanted.target.as_ref().is_none_or(|target| is_about(record, target)));
        let enough = records.len() >= limit;
        if !enough && !at_the_beginning && newest < MOST_ENTRIES {
            newest = (newest * 4).min(MOST_ENTRIES);
            continue;
        }
        records.sort_by(|a, b| b.tick.cmp(&a.tick).then_with(|| a.group.cmp(&b.group)));
        let last = records.get(limit - 1).map(|record| record.tick);
        let whole = records.iter().take_while(|record| last.is_none_or(|last| record.tick >= last)).count();
        let more = whole < records.len();
        records.truncate(whole);
        let before = match last {
            Some(last) => (more || !at_the_beginning).then_some(last),
            None => (!at_the_beginning).then_some(reached),
        };
        return Ok(Page { records, before });
    }
}

/// Whether a record says anything about a target.
fn is_about(record: &TickRecord, target: &TargetKey) -> bool {
    let planned = record.closed.as_ref().is_some_and(|closed| {
        closed.plan.contains_key(target) || closed.proposals.iter().any(|judged| judged.proposal.change.target() == Some(target))
    });
    planned || record.actions.iter().any(|action| action.intent.change.target() == Some(target))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, WEB};
    use super::*;

    #[tokio::test]
    async fn records_come_newest_first_and_a_tick_is_never_cut() {
        let fixture = Fixture::new().await;
        fixture.tell_a_story().await;
        let api = fixture.serve();
        let all = api.get("/api/v1/records").await.json;
        let order: Vec<(u64, &str)> =
            all["records"].as_array().unwrap().iter().map(|r| (r["tick"].as_u64().unwrap(), r["group"].as_str().unwrap())).collect();
        assert_eq!(
            order,
            [(812, "shop/back"), (812, "shop/front"), (811, "shop/back"), (811, "shop/front"), (810, "shop/back"), (810, "shop/front")]
        );
        assert!(all["before"].is_null());

        let first = api.get("/api/v1/records?limit=1").await.json;
        assert_eq!(first["records"].as_array().unwrap().len(), 2, "both groups of the tick");
        assert_eq!(first["before"], 812);
        let second = api.get("/api/v1/records?limit=2&before=812").await.json;
        assert_eq!(second["records"][0]["tick"], 811);
        let last = api.get("/api/v1/records?limit=2&before=811").await.json;
        assert_eq!((last["records"].as_array().unwrap().len(), &last["before"]), (2, &serde_json::Value::Null));
    }

    #[tokio::test]
    async fn paging_back_through_a_long_ledger_visits_every_tick_once() {
        let fixture = Fixture::new().await;
        fixture.quiet_ticks(1..=400).await;
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let wanted = Wanted { limit: Some(30), before, ..Wanted::default() };
            let page = page(&*fixture.server.ledger, &wanted).await.unwrap();
            assert!(page.records.iter().all(|r| r.opened.is_some() && r.closed.is_some()), "no record is cut");
            seen.extend(page.records.iter().map(|r| r.tick.0));
            before = page.before;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..=400).rev().collect::<Vec<u64>>());
    }

    #[tokio::test]
    async fn records_are_found_by_group_and_by_target() {
        let fixture = Fixture::new().await;
        fixture.tell_a_story().await;
        let api = fixture.serve();
        let by_group = api.get("/api/v1/records?group=shop%2Fback").await.json;
        assert!(by_group["records"].as_array().unwrap().iter().all(|r| r["group"] == "shop/back"));
        let by_target = api.get("/api/v1/records?target=shop%2Fweb").await.json;
        assert_eq!(by_target["records"].as_array().unwrap().len(), 3);
        assert!(by_target["records"].as_array().unwrap().iter().all(|r| r["group"] == "shop/front"));
        let wrong = api.get("/api/v1/records?target=web").await;
        assert_eq!(wrong.status, 400);
        assert!(wrong.json["error"].as_str().unwrap().contains("names no target"), "{}", wrong.json);
        assert_eq!(api.get("/api/v1/records?sort=asc").await.status, 400);
    }

    #[tokio::test]
    async fn one_record_comes_with_its_evidence_and_dialogue() {
        let fixture = Fixture::new().await;
        fixture.tell_a_story().await;
        let api = fixture.serve();
        let whole = api.get("/api/v1/records/shop/front/812").await.json;
        assert_eq!(whole["record"]["actions"][0]["outcome"][1]["result"]["result"], "Applied");
        assert_eq!(whole["evidence"]["targets"][0]["key"], WEB);
        assert_eq!(whole["dialogue"]["played_by"], "scripted expert");
        assert_eq!(api.get("/api/v1/records/shop/front/t812").await.json["record"]["tick"], 812);
        assert_eq!(api.get("/api/v1/records/shop/front/813").await.status, 404);
        assert_eq!(api.get("/api/v1/records/shop/front/soon").await.status, 400);
        assert_eq!(api.get("/api/v1/records/_/gpu/812").await.json["error"], "there is no record `nodefleet/gpu t812`");
    }

    #[tokio::test]
    async fn the_head_of_the_chain_is_its_last_entry() {
        let fixture = Fixture::new().await;
        let ledger = fixture.server.ledger.clone();
        fixture.tell_a_story().await;
        let newest = ledger.entries(&EntryFilter { newest: 1, ..EntryFilter::default() }).await.unwrap();
        let head = fixture.serve().get("/api/v1/audit/head").await.json;
        assert_eq!((head["seq"].as_u64().unwrap(), head["digest"].as_str().unwrap()), (newest[0].seq, newest[0].digest.0.as_str()));
        let empty = Fixture::new().await.serve().get("/api/v1/audit/head").await.json;
        assert_eq!(empty, serde_json::json!({ "seq": 0, "digest": null, "at": null }));
    }
}
