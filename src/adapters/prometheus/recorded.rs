//! [`Archive`]: a stretch of the past by the minute, from the first source that answers for it, as a tick would have chosen. Left out: what a tick
//! keeps, which is neither read nor changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::Prometheus;
use super::ask::Failure;
use super::backfill::{Fetched, Patience};
use super::client::Range;
use super::join::TargetIndex;
use super::question::Question;
use super::reduce::Feed;
use super::store::series;
use crate::domain::limits::{Group, SignalUse};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::signal::SignalName;
use crate::domain::workload::Workload;
use crate::ports::{Archive, PortError, Recorded, Stretch};

/// Seconds between samples.
const STEP_S: u32 = 60;
/// Whoever records waits longer than a tick may: so many times as long for all parts of a range as for one answer.
const PATIENCE: f64 = 12.0;

#[async_trait]
impl Archive for Prometheus {
    async fn recorded(
        &self,
        groups: &BTreeMap<GroupId, Group>,
        workloads: &BTreeMap<TargetKey, Workload>,
        signal: &SignalName,
        stretch: Stretch,
    ) -> Result<BTreeMap<TargetKey, Recorded>, PortError> {
        let index = TargetIndex::new(groups, workloads, stretch.until, SignedDuration::ZERO);
        // A team's own signal stands instead of the shipped.
        let questions: Vec<Arc<Question>> = Question::custom(groups).0.into_iter().chain(self.shipped.iter().cloned()).collect();
        let mut open: BTreeSet<usize> = (0..index.targets.len()).collect();
        let mut found = BTreeMap::new();
        for question in &questions {
            let feeds: Vec<usize> = (0..question.feeds.len()).filter(|feed| feeds_signal(&question.feeds[*feed], signal)).collect();
            if feeds.is_empty() || open.is_empty() {
                continue;
            }
            let within = self.minutes(question, &index, stretch.from, stretch.until).await?;
            let answered: Vec<(usize, usize)> =
                open.iter().filter_map(|target| Some((*target, *feeds.iter().find(|feed| has_value(&within, **feed, *target))?))).collect();
            if answered.is_empty() {
                continue;
            }
            let begin = stretch.from.saturating_sub(stretch.past).unwrap_or(Timestamp::MIN);
            let before = if begin < stretch.from {
                self.minutes(question, &index, begin, stretch.from).await?
            } else {
                vec![BTreeMap::new(); question.feeds.len()]
            };
            for (target, feed) in answered {
                let asked = usize::try_from(stretch.from.duration_since(begin).as_secs() / i64::from(STEP_S)).unwrap_or(0);
                let mut values = before[feed].get(&target).cloned().unwrap_or_else(|| vec![f32::NAN; asked]);
                values.extend(within[feed].get(&target).into_iter().flatten());
                let series = series(begin.as_second() + i64::from(STEP_S), STEP_S, &values);
                let source = question.feeds[feed].source.clone();
                found.insert(index.targets[target].key.clone(), Recorded { series, source, observe: question.observe() });
                open.remove(&target);
            }
        }
        Ok(found)
    }
}

impl Prometheus {
    /// The minutes after `from` up to and with the one that ends at `until`.
    async fn minutes(&self, question: &Question, index: &TargetIndex, from: Timestamp, until: Timestamp) -> Result<Fetched, PortError> {
        let step = i64::from(STEP_S);
        let range = Range { start: from.as_second() + step, end: until.as_second(), step };
        let patience = Patience::new(self.config.timeout.0, PATIENCE);
        self.fetch_range(question, &self.injected, index, range, patience).await.map_err(|failure| failed(question, &failure))
    }
}

fn failed(question: &Question, failure: &Failure) -> PortError {
    PortError::Failed { action: format!("read what was recorded of {}", question.id), detail: failure.to_string() }
}

fn feeds_signal(feed: &Feed, signal: &SignalName) -> bool {
    feed.signal == *signal || (*signal == SignalName::Demand && feed.role == SignalUse::Demand)
}

fn has_value(fetched: &Fetched, feed: usize, target: usize) -> bool {
    fetched.get(feed).and_then(|by_target| by_target.get(&target)).is_some_and(|values| values.iter().any(|value| value.is_finite()))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::Response;

    use super::super::config::PrometheusConfig;
    use super::super::testing::{Asked, Fake, constant, plain, success, world};
    use super::*;
    use crate::domain::limits::{Aggregate, CustomSignal, JoinKey};
    use crate::service::Observe;

    /// 2027-01-15T08:00:00Z, a whole minute.
    const FROM: i64 = 1_800_000_000;
    const PAST_S: i64 = 14 * 86_400;

    fn stretch() -> Stretch {
        let at = |second| Timestamp::from_second(second).unwrap();
        Stretch { from: at(FROM), until: at(FROM + 1800), past: SignedDuration::from_secs(PAST_S) }
    }

    /// The ingress has series of long ago, the application's own counter all along, and a team's query beside.
    fn script(asked: &Asked) -> Response {
        let (query, end) = (asked.query(), asked.number("end"));
        if query.contains("nginx_ingress_controller_requests") && end <= FROM {
            constant(asked, &[(&[("exported_namespace", "shop"), ("exported_service", "web")], 9.0)])
        } else if query.contains("http_requests_total") {
            constant(asked, &[(&[("namespace", "shop"), ("pod", "web-0")], 30.0), (&[("namespace", "shop"), ("pod", "web-1")], 10.0)])
        } else if query.contains("orders") {
            constant(asked, &[(&[("namespace", "shop"), ("workload", "api")], 7.0)])
        } else {
            success(asked.range, &[])
        }
    }

    async fn demand(fake: &Fake, targets: &[(&str, &str, u32)]) -> Result<BTreeMap<TargetKey, Recorded>, PortError> {
        let (mut groups, workloads) = world(targets);
        for group in groups.values_mut() {
            group.signals.push(CustomSignal {
                name: "orders".into(),
                role: SignalUse::Demand,
                unit: "1/s".into(),
                query: "sum by (namespace, workload) (rate(orders[1m]))".into(),
                join: JoinKey::Workload,
                aggregate: Aggregate::Sum,
            });
        }
        let prometheus = Prometheus::new(PrometheusConfig::at(&fake.url)).unwrap();
        prometheus.recorded(&groups, &workloads, &SignalName::Demand, stretch()).await
    }

    #[tokio::test]
    async fn the_source_that_answers_for_the_stretch_is_taken_with_its_past() {
        let fake = Fake::start(script).await;
        let found = demand(&fake, &[("shop", "web", 2), ("shop", "api", 1), ("shop", "idle", 1)]).await.unwrap();
        let [api, web] = ["api", "web"].map(|name| &found[&TargetKey::deployment("shop", name)]);
        assert_eq!(found.len(), 2, "nobody answers for idle");
        assert_eq!((&*web.source, web.observe), ("http-requests", Some(Observe::Served)));
        assert_eq!((&*api.source, api.observe), ("custom:orders", None));
        assert_eq!(web.series.start.as_second(), FROM - PAST_S + 60);
        assert_eq!(web.series.end().unwrap().as_second(), FROM + 1800);
        let all = usize::try_from((PAST_S + 1800) / 60).unwrap();
        assert_eq!((web.series.values.len(), web.series.values.iter().all(|value| *value == 40.0)), (all, true));
        assert!(api.series.values.iter().all(|value| *value == 7.0));
    }

    #[tokio::test]
    async fn what_a_server_does_not_say_is_not_taken_for_nothing() {
        let fake = Fake::start(|_| plain(StatusCode::SERVICE_UNAVAILABLE, "busy")).await;
        let said = demand(&fake, &[("shop", "web", 2)]).await.unwrap_err().to_string();
        assert!(said.starts_with("failed to read what was recorded of custom/shop/"), "{said}");
    }
}
