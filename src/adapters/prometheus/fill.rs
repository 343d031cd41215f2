//! The past of what was chosen, where it is missing: all of it for a target that is new, some minutes where they were missed. (world)

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};

use super::Prometheus;
use super::ask::Failure;
use super::backfill::{COARSE, FINE, Fetched, MIDDLE, Patience, fetch};
use super::choose::{Answer, Pick};
use super::client::Range;
use super::join::TargetIndex;
use super::promql::Injected;
use super::question::{Grouping, Question};
use super::reduce::Feed;
use super::store::{Kept, Progress, Store, filled, minute, series};
use crate::domain::names::TargetKey;
use crate::domain::series::{History, Series};
use crate::domain::signal::SignalName;

/// The past of one question is asked for at most this often, for targets that appeared since.
const FILL_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// Questions whose past is fetched at once: each holds three tiers of all targets.
const FILLS_IN_FLIGHT: usize = 2;

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
    fn put_into(&self, kept: &mut Kept, pick: &Pick, feed: &Feed) {
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
            // What is there already is only extended: minutes that are not newer fall away.
            Self::Past { fine: (range, fetched), .. } | Self::Gap(range, fetched) => {
                let missed = of(range, fetched);
                let history: &mut History = Arc::make_mut(&mut kept.history);
                for (i, value) in missed.values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
                    history.push_minute(missed.time(i), *value);
                }
            }
        }
    }
}

/// The minutes between a question's last answer and this one, no more than the fine tier holds.
fn missed_range(progress: &Progress, now: Timestamp) -> Option<Range> {
    let (last, now) = (progress.answered?.as_second(), minute(now).as_second());
    let start = (last + 60).max(now - FINE.back_s);
    (start < now).then_some(Range { start, end: now - 60, step: 60 })
}

fn kept_of<'a>(kept: &'a mut BTreeMap<TargetKey, BTreeMap<SignalName, Kept>>, index: &TargetIndex, pick: &Pick) -> Option<&'a mut Kept> {
    kept.get_mut(&index.targets[pick.position].key)?.get_mut(&pick.signal)
}

impl Prometheus {
    /// Asks for what is missing of the past (world) and puts it in; gives the reason when some could not be had.
    pub(super) async fn fill(
        &self,
        store: &mut Store,
        index: &TargetIndex,
        answers: &[Answer],
        picks: &[Pick],
        now: Timestamp,
    ) -> Option<&'static str> {
        let mut by_answer: BTreeMap<usize, Vec<&Pick>> = BTreeMap::new();
        for pick in picks {
            by_answer.entry(pick.answer).or_default().push(pick);
        }
        let chosen = |answer: usize| by_answer.get(&answer).map_or(&[][..], Vec::as_slice);
        let mut needs: Vec<(usize, Need)> = Vec::new();
        for (position, answer) in answers.iter().enumerate().filter(|(_, a)| a.by_feed.is_some()) {
            let progress = store.progress.entry(answer.question.id.clone()).or_default();
            let mine = chosen(position);
            if progress.answered.is_some_and(|last| now.duration_since(last) > SignedDuration::from_secs(FINE.back_s)) {
                // Too long for the fine tier alone: all tiers are read anew.
                for pick in mine {
                    if let Some(kept) = kept_of(&mut store.kept, index, pick) {
                        kept.filled = false;
                    }
                }
            }
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
        let patience = Patience::new(self.config.timeout.0, 2.0);
        let mut fetching =
            futures::stream::iter(needs)
                .map(|(position, need)| async move {
                    (position, self.fetch_need(&answers[position].question, need, index, now, patience).await)
                })
                .buffered(FILLS_IN_FLIGHT);
        let mut reason = None;
        // Each is put in as it arrives: all of them together would be a multiple of what is kept.
        while let Some((position, filling)) = fetching.next().await {
            let question = &answers[position].question;
            let progress = store.progress.entry(question.id.clone()).or_default();
            match filling {
                Ok(filling) => {
                    if matches!(filling, Filling::Past { .. }) {
                        *progress = Progress { next_fill: now.checked_add(FILL_EVERY).ok(), failures: 0, ..*progress };
                    }
                    for pick in chosen(position) {
                        if let Some(kept) = kept_of(&mut store.kept, index, pick) {
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
        patience: Patience,
    ) -> Result<Filling, Failure> {
        let before = minute(now).as_second();
        match need {
            Need::Gap(range) => Ok(Filling::Gap(range, self.fetch_range(question, &self.injected, index, range, patience).await?)),
            Need::Past => {
                let (fine, middle, coarse) = (FINE.range(before), MIDDLE.range(before), COARSE.range(before));
                Ok(Filling::Past {
                    fine: (fine, self.fetch_range(question, &self.injected, index, fine, patience).await?),
                    middle: (middle, self.fetch_range(question, &self.injected, index, middle, patience).await?),
                    coarse: if question.feeds.iter().any(Feed::keeps_coarse) {
                        Some((coarse, self.fetch_range(question, &self.injected, index, coarse, patience).await?))
                    } else {
                        None
                    },
                })
            }
        }
    }

    /// A range of a question, per-pod ones grouped by owner: pods of the past have other names.
    pub(super) async fn fetch_range(
        &self,
        question: &Question,
        injected: &Injected,
        index: &TargetIndex,
        range: Range,
        patience: Patience,
    ) -> Result<Fetched, Failure> {
        let window = self.config.window_s().max(u32::try_from(range.step).unwrap_or(u32::MAX));
        let grouping = if question.per_pod() { Grouping::ByOwner } else { Grouping::AsWritten };
        let query = question.compile(injected, &index.namespaces(), window, grouping)?;
        Ok(fetch(&self.client, &query, question, index, range, patience).await?)
    }
}
