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
