//! Prometheus over its HTTP API behind the `Metrics` port; also Thanos, Mimir and VictoriaMetrics, which speak the same.
//!
//! A tick asks each question once for all targets together (world), reduces the answers to one validated value a target (pure), chooses
//! one source a signal (pure), asks for the past where it is missing (world), and puts the values at the end of each history. The number of
//! questions does not depend on the number of targets. Nothing that a server answers makes a tick fail: what is missing is missing, and
//! goes stale by its age.

pub mod answer;
pub mod backfill;
pub mod choose;
pub mod client;
pub mod config;
#[cfg(test)]
mod faults;
pub mod join;
pub mod promql;
pub mod question;
pub mod reduce;
pub mod signals;
pub mod store;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use self::backfill::{COARSE, FINE, Fetched, MIDDLE, REPLAY, fetch};
use self::choose::{Answer, Pick, choose};
use self::client::{Answered, Client, QueryError, Range};
use self::config::{ConfigError, PrometheusConfig};
use self::join::TargetIndex;
use self::promql::{Injected, PromqlError};
use self::question::{Grouping, Question};
use self::reduce::{Feed, Freshness, Reduced, reduce};
use self::store::{Progress, Store, filled, minute, series};
use crate::domain::limits::{Group, JoinKey, SignalUse};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::series::{History, Series};
use crate::domain::signal::{SampleFault, Signal, SignalName, Signals};
use crate::domain::snapshot::SourceHealth;
use crate::domain::workload::Workload;
use crate::ports::{Metrics, PortError};

/// Queries in flight at once: a Prometheus runs twenty by default, and others ask too.
const IN_FLIGHT: usize = 6;
/// Two clocks further apart than this do not mean the same by "now".
const MOST_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// The past of one question is asked for at most this often, for targets that appeared since.
const FILL_EVERY: SignedDuration = SignedDuration::from_mins(5);

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
}

/// One question's answer at an instant.
struct Reply {
    question: Arc<Question>,
    answered: Result<Answered, Failure>,
    /// Whether it had to be asked in its smaller form.
    reduced_form: bool,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Promql(#[from] PromqlError),
}

impl Failure {
    fn reason(&self) -> &'static str {
        match self {
            Self::Query(error) => error.reason(),
            Self::Promql(_) => "QueryInvalid",
        }
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
                    .compile(&injected, &std::collections::BTreeSet::new(), config.window_s(), grouping)
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

    /// Asks all questions (world).
    async fn ask(&self, questions: &[Arc<Question>], index: &TargetIndex, now: Timestamp) -> Vec<Reply> {
        let deadline = Instant::now() + self.config.timeout.0.mul_f64(1.5);
        futures::stream::iter(questions.iter().cloned())
            .map(|question| async move {
                let (answered, reduced_form) = self.ask_one(&question, index, now, deadline).await;
                Reply { question, answered, reduced_form }
            })
            .buffered(IN_FLIGHT)
            .collect()
            .await
    }

    async fn ask_one(
        &self,
        question: &Question,
        index: &TargetIndex,
        now: Timestamp,
        deadline: Instant,
    ) -> (Result<Answered, Failure>, bool) {
        let namespaces = index.namespaces();
        let attempt = async |grouping| -> Result<Answered, Failure> {
            let query = question.compile(&self.injected, &namespaces, self.config.window_s(), grouping)?;
            let left = deadline.saturating_duration_since(Instant::now());
            Ok(self.client.instant(&query, now, left.min(self.config.timeout.0)).await?)
        };
        match attempt(Grouping::AsWritten).await {
            Err(Failure::Query(QueryError::TooLarge)) if question.per_pod() => (attempt(Grouping::ByOwner).await, true),
            answered => (answered, false),
        }
    }

    /// Asks for what is missing of the past (world) and puts it in; gives the reason when some could not be had.
    async fn fill(
        &self,
        store: &mut Store,
        index: &TargetIndex,
        answers: &[Answer],
        picks: &[Pick],
        now: Timestamp,
    ) -> Option<&'static str> {
        let mut needs: Vec<(usize, Need)> = Vec::new();
        for (position, answer) in answers.iter().enumerate().filter(|(_, a)| a.by_feed.is_some()) {
            let progress = store.progress.entry(answer.question.id.clone()).or_default();
            let mine: Vec<&Pick> = picks.iter().filter(|p| p.answer == position).collect();
            let of = |pick: &Pick| store.kept.get(&index.targets[pick.position].key).and_then(|signals| signals.get(&pick.signal));
            let missed = missed_range(progress, now);
            let unfilled = mine.iter().any(|p| of(p).is_some_and(|k| !k.filled));
            if unfilled && progress.next_fill.is_none_or(|next| now >= next) {
                needs.push((position, Need::Past));
            } else if let Some(range) = missed
                && mine.iter().any(|p| of(p).is_some_and(|k| k.filled))
            {
                needs.push((position, Need::Gap(range)));
            }
            progress.answered = Some(minute(now));
        }
        let deadline = Instant::now() + self.config.timeout.0 * 2;
        let fetched: Vec<(usize, Result<Filling, Failure>)> =
            futures::stream::iter(needs)
                .map(|(position, need)| async move {
                    (position, self.fetch_need(&answers[position].question, need, index, now, deadline).await)
                })
                .buffered(IN_FLIGHT)
                .collect()
                .await;
        let mut reason = None;
        for (position, filling) in fetched {
            let question = &answers[position].question;
            let progress = store.progress.entry(question.id.clone()).or_default();
            match filling {
                Ok(filling) => {
                    if matches!(filling, Filling::Past { .. }) {
                        *progress = Progress { next_fill: now.checked_add(FILL_EVERY).ok(), failures: 0, ..*progress };
                    }
                    for pick in picks.iter().filter(|p| p.answer == position) {
                        let kept = store.kept.get_mut(&index.targets[pick.position].key).and_then(|signals| signals.get_mut(&pick.signal));
                        if let Some(kept) = kept {
                            filling.put_into(kept, pick, &question.feeds[pick.feed]);
                        }
                    }
                }
                Err(failure) => {
                    progress.failures = progress.failures.saturating_add(1);
                    let wait = SignedDuration::from_mins(1 << progress.failures.min(6));
                    progress.next_fill = now.checked_add(wait).ok();
                    tracing::warn!(question = %question.id, reason = failure.reason(), error = %failure, "history could not be read");
                    // A team's own query is its own affair: it never makes the source look ill to others.
                    reason = reason.or(question.namespace.is_none().then(|| failure.reason()));
                }
            }
        }
        reason
    }

    async fn fetch_need(
        &self,
        question: &Question,
        need: Need,
        index: &TargetIndex,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Filling, Failure> {
        let before = minute(now).as_second();
        match need {
            Need::Gap(range) => Ok(Filling::Gap(range, self.fetch_range(question, &self.injected, index, range, deadline).await?)),
            Need::Past => {
                let (fine, middle, coarse) = (FINE.range(before), MIDDLE.range(before), COARSE.range(before));
                Ok(Filling::Past {
                    fine: (fine, self.fetch_range(question, &self.injected, index, fine, deadline).await?),
                    middle: (middle, self.fetch_range(question, &self.injected, index, middle, deadline).await?),
                    coarse: if question.feeds.iter().any(Feed::keeps_coarse) {
                        Some((coarse, self.fetch_range(question, &self.injected, index, coarse, deadline).await?))
                    } else {
                        None
                    },
                })
            }
        }
    }

    /// A range of a question, per-pod ones grouped by owner: pods of the past have other names.
    async fn fetch_range(
        &self,
        question: &Question,
        injected: &Injected,
        index: &TargetIndex,
        range: Range,
        deadline: Instant,
    ) -> Result<Fetched, Failure> {
        let window = self.config.window_s().max(u32::try_from(range.step).unwrap_or(u32::MAX));
        let grouping = if question.per_pod() { Grouping::ByOwner } else { Grouping::AsWritten };
        let query = question.compile(injected, &index.namespaces(), window, grouping)?;
        let namespace = question.namespace.as_deref();
        Ok(fetch(&self.client, &query, &question.feeds, namespace, index, range, deadline, self.config.timeout.0).await?)
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
                            reduced.values_mut().for_each(|r| *r = Reduced { value: None, faults: [fault].into(), joined_on: r.joined_on });
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

/// What a question's history lacks.
#[derive(Clone, Copy, Debug)]
enum Need {
    /// All of it, for targets that have none.
    Past,
    /// Some minutes that were missed.
    Gap(Range),
}

enum Filling {
    Past { fine: (Range, Fetched), middle: (Range, Fetched), coarse: Option<(Range, Fetched)> },
    Gap(Range, Fetched),
}

impl Filling {
    fn put_into(&self, kept: &mut store::Kept, pick: &Pick, feed: &Feed) {
        let of = |range: &Range, fetched: &Fetched| -> Series {
            let values = fetched.get(pick.feed).and_then(|f| f.get(&pick.position)).map_or(&[][..], Vec::as_slice);
            series(range.start, u32::try_from(range.step).unwrap_or(60), values)
        };
        match self {
            Self::Past { fine, middle, coarse } if !kept.filled => {
                let empty = || Series::new(kept.history.fine.start, COARSE.step_s);
                let coarse = feed.keeps_coarse().then(|| coarse.as_ref().map_or_else(empty, |(range, fetched)| of(range, fetched)));
                kept.history = Arc::new(filled(of(&fine.0, &fine.1), of(&middle.0, &middle.1), coarse, &kept.history));
                kept.filled = true;
            }
            Self::Gap(range, fetched) if kept.filled => {
                let missed = of(range, fetched);
                let history: &mut History = Arc::make_mut(&mut kept.history);
                for (i, value) in missed.values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
                    history.push_minute(missed.time(i), *value);
                }
            }
            Self::Past { .. } | Self::Gap(..) => {}
        }
    }
}

/// The minutes between a question's last answer and this one, no more than the fine tier holds.
fn missed_range(progress: &Progress, now: Timestamp) -> Option<Range> {
    let (last, now) = (progress.answered?.as_second(), minute(now).as_second());
    let start = (last + 60).max(now - FINE.back_s);
    (start < now).then_some(Range { start, end: now - 60, step: 60 })
}

/// What is wrong with every sample of a server whose clock is another: it is asked about its past, or about its future.
fn skew_fault(answered: &Answered, now: Timestamp) -> Option<SampleFault> {
    let ahead = answered.server_time?.duration_since(now);
    if ahead > MOST_SKEW {
        Some(SampleFault::Stale)
    } else if ahead < -MOST_SKEW {
        Some(SampleFault::Future)
    } else {
        None
    }
}

/// How the source answered: by the shipped questions alone, so that one team's query cannot hold everybody.
fn health(replies: &[Reply], filling: Option<&'static str>, now: Timestamp) -> SourceHealth {
    let shipped: Vec<&Reply> = replies.iter().filter(|r| r.question.namespace.is_none()).collect();
    let failed = shipped.iter().find_map(|r| r.answered.as_ref().err().map(Failure::reason));
    if let Some(reason) = failed
        && shipped.iter().all(|r| r.answered.is_err())
    {
        return SourceHealth::Down(reason.to_owned());
    }
    let answered = || shipped.iter().filter_map(|r| r.answered.as_ref().ok());
    let reason = failed
        .or_else(|| answered().any(|a| skew_fault(a, now).is_some()).then_some("ClockSkew"))
        .or_else(|| shipped.iter().any(|r| r.reduced_form).then_some("ResponseTooLarge"))
        .or_else(|| answered().any(|a| a.rows.warned).then_some("PartialResponse"))
        .or(filling);
    reason.map_or(SourceHealth::Ok, |reason| SourceHealth::Degraded(reason.to_owned()))
}

/// The snapshot's view of what is kept, with this tick's faults.
fn view(store: &Store, index: &TargetIndex, answers: &[Answer], picks: &[Pick], unusable: &[Arc<Question>]) -> Signals {
    let mut faults: BTreeMap<(usize, &SignalName), Vec<SampleFault>> =
        picks.iter().map(|p| ((p.position, &p.signal), p.reduced.faults.iter().copied().collect())).collect();
    let custom_demand: Vec<&Feed> = answers
        .iter()
        .filter(|a| a.question.namespace.is_some())
        .flat_map(|a| &a.question.feeds)
        .filter(|f| f.role == SignalUse::Demand)
        .collect();
    let mut signals = Signals::new();
    for (position, target) in index.targets.iter().enumerate() {
        let mut own: BTreeMap<SignalName, Signal> = BTreeMap::new();
        for (name, kept) in store.kept.get(&target.key).into_iter().flatten() {
            let faults = faults.remove(&(position, name)).unwrap_or_default();
            own.insert(name.clone(), Signal { history: kept.history.clone(), source: kept.source.clone(), faults });
        }
        // A team whose query is no PromQL sees its signal with that fault rather than not at all.
        for feed in unusable.iter().flat_map(|q| &q.feeds).filter(|f| f.targets.as_ref().is_none_or(|only| only.contains(&target.key))) {
            let empty = || Arc::new(History::new(Timestamp::UNIX_EPOCH, feed.keeps_coarse()));
            let signal = own.entry(feed.signal.clone()).or_insert_with(|| Signal {
                history: empty(),
                source: feed.source.clone(),
                faults: Vec::new(),
            });
            signal.faults.push(SampleFault::Malformed);
        }
        // The load a team names itself stands instead of the shipped one.
        for feed in custom_demand.iter().filter(|f| f.targets.as_ref().is_none_or(|only| only.contains(&target.key))) {
            match own.get(&feed.signal).cloned() {
                Some(signal) => own.insert(SignalName::Demand, signal),
                None => own.remove(&SignalName::Demand),
            };
        }
        if !own.is_empty() {
            signals.insert(target.key.clone(), own);
        }
    }
    signals
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
        for (group, signal) in &left_out {
            tracing::warn!(%group, signal, "signal is not read: its namespace or the installation has too many custom queries");
        }
        let questions: Vec<Arc<Question>> = self.shipped.iter().cloned().chain(custom).collect();

        let replies = self.ask(&questions, &index, now).await;
        for reply in &replies {
            if let Err(failure) = &reply.answered {
                tracing::warn!(question = %reply.question.id, reason = failure.reason(), error = %failure, "query has no answer");
            }
        }
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
            let own_demand =
                |feed: &&Feed| feed.role == SignalUse::Demand && kept.get(&feed.signal).is_some_and(|k| k.source == feed.source);
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
        let deadline = Instant::now() + self.config.timeout.0 * 6;
        let fetched = self.fetch_range(&question, &injected, &index, range, deadline).await.map_err(|e| failed(e.to_string()))?;
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
