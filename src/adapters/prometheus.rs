//! Prometheus over its HTTP API behind the `Metrics` port; also Thanos, Mimir and `VictoriaMetrics`, which speak the same.
//!
//! A tick asks each question once for all targets together (world), reduces the answers to one validated value a target (pure), chooses
//! one source a signal (pure), asks for the past where it is missing (world), and puts the values at the end of each history. The number of
//! questions does not depend on the number of targets. Nothing that a server answers makes a tick fail: what is missing is missing, and
//! goes stale by its age.

pub mod answer;
pub mod ask;
pub mod backfill;
pub mod choose;
pub mod client;
pub mod config;
#[cfg(test)]
mod faults;
pub mod fill;
pub mod join;
pub mod promql;
pub mod question;
pub mod recorded;
pub mod reduce;
pub mod signals;
pub mod store;
#[cfg(test)]
mod testing;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use self::ask::{Failure, Reply};
use self::backfill::{Patience, REPLAY};
use self::choose::{Answer, choose};
use self::client::{Client, QueryError};
use self::config::{ConfigError, PrometheusConfig};
use self::join::TargetIndex;
use self::promql::{Injected, PromqlError};
use self::question::{Grouping, Question};
use self::reduce::{Feed, Freshness, Reduced, reduce};
use self::store::{Store, minute, series};
use self::view::{health, skew_fault, view};
use crate::domain::limits::{Group, JoinKey, SignalUse};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::series::Series;
use crate::domain::signal::Signals;
use crate::domain::snapshot::SourceHealth;
use crate::domain::workload::Workload;
use crate::ports::{Metrics, PortError};

/// The metrics source.
#[derive(Debug)]
pub struct Prometheus {
    client: Client,
    config: PrometheusConfig,
    injected: Injected,
    shipped: Vec<Arc<Question>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    /// What the last tick asked about, for questions between ticks.
    index: Arc<TargetIndex>,
    questions: Vec<Arc<Question>>,
    /// Questions without an answer, and why, as they were logged.
    ill: BTreeMap<Arc<str>, &'static str>,
}

impl State {
    /// Says once what has no answer, and once what has one again: a server that is down for a night fills no log.
    fn log(&mut self, replies: &[Reply], left_out: &[(GroupId, String)]) {
        let mut ill: BTreeMap<Arc<str>, &'static str> = BTreeMap::new();
        for reply in replies {
            let Err(failure) = &reply.answered else { continue };
            let (id, reason) = (&reply.question.id, failure.reason());
            if self.ill.get(id) != Some(&reason) {
                let signals: Vec<&str> = reply.question.feeds.iter().map(|f| f.signal.as_str()).collect();
                tracing::warn!(question = %id, ?signals, reason, error = %failure, "query has no answer");
            }
            ill.insert(id.clone(), reason);
        }
        for (group, signal) in left_out {
            let id: Arc<str> = format!("{group}/{signal}").into();
            if !self.ill.contains_key(&id) {
                tracing::warn!(%group, signal, "signal is not read: its namespace or the installation has too many custom queries");
            }
            ill.insert(id, "TooManyQueries");
        }
        for id in self.ill.keys().filter(|id| !ill.contains_key(*id)) {
            tracing::info!(question = %id, "query has an answer again");
        }
        self.ill = ill;
    }
}

impl Prometheus {
    /// A source for a configuration. Nothing is asked yet, so a server that is down is no error here.
    ///
    /// # Errors
    /// [`ConfigError`], naming the field and the mend.
    pub fn new(config: PrometheusConfig) -> Result<Self, ConfigError> {
        let injected = config.check()?;
        let client = Client::new(&config)?;
        let shipped = Question::shipped();
        for question in &shipped {
            for grouping in [Grouping::AsWritten, Grouping::ByOwner] {
                question
                    .compile(&injected, &BTreeSet::new(), config.window_s(), grouping)
                    .map_err(|source| ConfigError::Template { query: question.id.to_string(), source })?;
            }
        }
        Ok(Self { client, config, injected, shipped, state: Mutex::default() })
    }

    /// Whether a team's query can be used at all; what reads custom resources asks this to refuse one by name.
    ///
    /// # Errors
    /// [`PromqlError`], which names the mend.
    pub fn check_query(query: &str) -> Result<(), PromqlError> {
        Injected::default().and_equal("namespace", "any").inject_foreign(query).map(|_| ())
    }

    fn reduce_all(&self, replies: &[Reply], store: &Store, index: &TargetIndex, now: Timestamp) -> Vec<Answer> {
        let oldest =
            SignedDuration::try_from(self.config.scrape_interval.0 * 2).unwrap_or(SignedDuration::MAX).max(SignedDuration::from_secs(60));
        let freshness = Freshness { now, oldest };
        replies
            .iter()
            .map(|reply| {
                let by_feed = reply.answered.as_ref().ok().map(|answered| {
                    let one = |feed: &Feed| {
                        let previous =
                            |key: &TargetKey| store.kept.get(key)?.get(&feed.signal).filter(|k| k.source == feed.source)?.previous(now);
                        let mut reduced =
                            reduce(feed, &answered.rows.rows, reply.question.namespace.as_deref(), index, freshness, &previous);
                        if let Some(fault) = skew_fault(answered, now) {
                            for r in reduced.values_mut() {
                                *r = Reduced { value: None, faults: [fault].into(), joined_on: r.joined_on };
                            }
                        }
                        reduced
                    };
                    reply.question.feeds.iter().map(one).collect()
                });
                Answer { question: reply.question.clone(), by_feed }
            })
            .collect()
    }
}

#[async_trait]
impl Metrics for Prometheus {
    async fn signals(
        &self,
        groups: &BTreeMap<GroupId, Group>,
        workloads: &BTreeMap<TargetKey, Workload>,
        now: Timestamp,
    ) -> (Signals, SourceHealth) {
        let mut state = self.state.lock().await;
        let settle = SignedDuration::from_secs(i64::from(self.config.window_s()));
        let index = Arc::new(TargetIndex::new(groups, workloads, now, settle));
        let (custom, left_out) = Question::custom(groups);
        // Without targets one question is enough to see whether the source answers.
        let shipped = if index.targets.is_empty() { &self.shipped[..1] } else { &self.shipped[..] };
        let questions: Vec<Arc<Question>> = shipped.iter().cloned().chain(custom).collect();

        let replies = self.ask(&questions, &index, now).await;
        state.log(&replies, &left_out);
        let store = &mut state.store;
        let answers = self.reduce_all(&replies, store, &index, now);
        let picks = choose(store, &index, &answers, now);
        // A server that cannot answer for now is not asked for more.
        let strained = replies.iter().any(|r| matches!(r.answered, Err(Failure::Query(QueryError::Timeout | QueryError::Unreachable(_)))));
        let filling = if strained { None } else { self.fill(store, &index, &answers, &picks, now).await };
        for pick in &picks {
            let kept = store.kept.get_mut(&index.targets[pick.position].key).and_then(|signals| signals.get_mut(&pick.signal));
            if let (Some(kept), Some(value)) = (kept, pick.reduced.value) {
                kept.answered = now;
                kept.joined_on = pick.reduced.joined_on;
                kept.put(now, value);
            }
        }
        let invalid = |r: &&Reply| matches!(r.answered, Err(Failure::Promql(_)));
        let unusable: Vec<Arc<Question>> = replies.iter().filter(invalid).map(|r| r.question.clone()).collect();
        let signals = view(store, &index, &answers, &picks, &unusable);
        state.index = index;
        state.questions = questions;
        (signals, health(&replies, filling, now))
    }

    async fn demand_history(&self, target: &TargetKey, now: Timestamp) -> Result<Series, PortError> {
        let not_ready = |detail: &str| PortError::NotReady { what: "demand history", detail: format!("{target}: {detail}") };
        let (index, question, feed, joined_on) = {
            let state = self.state.lock().await;
            let kept = state.store.kept.get(target).ok_or_else(|| not_ready("it has not been observed yet"))?;
            let own_demand = |feed: &&Feed| {
                feed.role == SignalUse::Demand && feed.is_for(target) && kept.get(&feed.signal).is_some_and(|k| k.source == feed.source)
            };
            // Custom ones come last, and stand instead of the shipped.
            let found = state.questions.iter().rev().find_map(|q| {
                let feed = q.feeds.iter().position(|f| own_demand(&f))?;
                Some((q.clone(), feed, kept.get(&q.feeds[feed].signal)?.joined_on))
            });
            let (question, feed, joined_on) = found.ok_or_else(|| not_ready("no source has answered for its demand"))?;
            (state.index.clone(), question, feed, joined_on)
        };
        let failed = |detail: String| PortError::Failed { action: format!("read eight days of demand of {target}"), detail };
        let position = index.targets.iter().position(|t| t.key == *target).ok_or_else(|| not_ready("it is gone"))?;
        let injected = narrowed(&self.injected, &question, &question.feeds[feed], &index.targets[position], joined_on)
            .map_err(|e| failed(e.to_string()))?;
        let range = REPLAY.range(minute(now).as_second());
        let patience = Patience::new(self.config.timeout.0, 6.0);
        let fetched = self.fetch_range(&question, &injected, &index, range, patience).await.map_err(|e| failed(e.to_string()))?;
        let values = fetched[feed].get(&position).map_or(&[][..], Vec::as_slice);
        Ok(series(range.start, REPLAY.step_s, values))
    }
}

/// The matchers, and where the scraped series carry the label they are joined on, one that keeps to this target alone.
fn narrowed(
    injected: &Injected,
    question: &Question,
    feed: &Feed,
    target: &join::TargetInfo,
    joined_on: &str,
) -> Result<Injected, PromqlError> {
    if !question.native() {
        return Ok(injected.clone());
    }
    match feed.join {
        JoinKey::Pod if joined_on != "owner" => injected.and_pod_of(joined_on, &target.key.name),
        JoinKey::Service => injected.and_one_of(joined_on, target.services.iter().map(|s| &**s)),
        JoinKey::Workload => Ok(injected.and_equal(joined_on, &target.key.name)),
        JoinKey::Pod | JoinKey::Ingress => Ok(injected.clone()),
    }
}
