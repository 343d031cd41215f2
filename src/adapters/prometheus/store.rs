//! What is kept between ticks: each target's signals with their history and the source that was chosen, and what each question has been
//! asked so far. Histories are shared with snapshots; they are copied on write only where a snapshot still holds one.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::reduce::Feed;
use crate::domain::names::TargetKey;
use crate::domain::series::{COARSE_SAMPLES, FINE_SAMPLES, History, MIDDLE_SAMPLES, Series};
use crate::domain::signal::SignalName;

/// A source that has been silent for this long gives way to another.
const GIVES_WAY_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// One signal of one target.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its history.
    pub history: Arc<History>,
    /// What the last pass read, and when.
    pub newest: Option<(Timestamp, f32)>,
    /// The source that was chosen; it is never mixed with another.
    pub source: Arc<str>,
    /// The label its series were joined on.
    pub joined_on: &'static str,
    /// When the source gave a value last.
    pub answered: Timestamp,
    /// Whether the past has been asked for.
    pub filled: bool,
}

impl Kept {
    /// A signal that its source has just answered for the first time.
    #[must_use]
    pub fn begin(feed: &Feed, joined_on: &'static str, now: Timestamp) -> Self {
        let history = Arc::new(History::new(minute(now), feed.keeps_coarse()));
        Self { history, newest: None, source: feed.source.clone(), joined_on, answered: now, filled: false }
    }

    /// Whether another source may be chosen.
    #[must_use]
    pub fn gives_way(&self, now: Timestamp) -> bool {
        now.duration_since(self.answered) >= GIVES_WAY_AFTER
    }

    /// Puts in what was read. Of the passes that fall into one minute the first, the tick's, is the minute's sample, so that samples are a minute
    /// apart; the last is kept beside.
    pub fn put(&mut self, at: Timestamp, value: f64) {
        self.newest = Some((at, value as f32));
        let slot = minute(at);
        let history = Arc::make_mut(&mut self.history);
        if history.fine.end().is_none_or(|end| end < slot) {
            make_room(history);
            history.push_minute(slot, value as f32);
        }
    }

    /// The newest value that is not older than two minutes.
    #[must_use]
    pub fn previous(&self, now: Timestamp) -> Option<f64> {
        let (at, value) = self.history.fine.latest()?;
        (now.duration_since(at) <= SignedDuration::from_mins(2) && at < minute(now)).then_some(f64::from(value))
    }
}

/// What a question has been asked so far.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Newest minute it answered for.
    pub answered: Option<Timestamp>,
    /// Not before this is its past asked for again.
    pub next_fill: Option<Timestamp>,
    /// Times in a row that asking for the past failed.
    pub failures: u32,
}

/// Everything that is kept.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Signals by target.
    pub kept: BTreeMap<TargetKey, BTreeMap<SignalName, Kept>>,
    /// Questions by id.
    pub progress: BTreeMap<Arc<str>, Progress>,
}

/// The start of the minute a time lies in: where its sample is put.
#[must_use]
pub fn minute(at: Timestamp) -> Timestamp {
    floor(at, 60)
}

/// The last multiple of `step` seconds.
#[must_use]
pub fn floor(at: Timestamp, step: i64) -> Timestamp {
    Timestamp::from_second(at.as_second().div_euclid(step) * step).unwrap_or(at)
}

/// A series of what a range answered, without the gap before its first value; empty where there was none.
#[must_use]
pub fn series(start: i64, step_s: u32, values: &[f32]) -> Series {
    let first = values.iter().position(|v| v.is_finite()).unwrap_or(values.len());
    let last = values.iter().rposition(|v| v.is_finite()).map_or(first, |last| last + 1);
    let start = start + i64::from(step_s) * i64::try_from(first).unwrap_or(0);
    Series { start: Timestamp::from_second(start).unwrap_or(Timestamp::UNIX_EPOCH), step_s, values: values[first..last].to_vec() }
}

/// Room for one more sample and no more: a vector that doubles would double what ten thousand targets keep.
fn make_room(history: &mut History) {
    for series in [Some(&mut history.fine), Some(&mut history.middle), history.coarse.as_mut()].into_iter().flatten() {
        series.values.reserve_exact(1);
    }
}

/// A history of fetched tiers, with what was seen live after them.
#[must_use]
pub fn filled(mut fine: Series, mut middle: Series, mut coarse: Option<Series>, live: &History) -> History {
    fine.trim(FINE_SAMPLES);
    middle.trim(MIDDLE_SAMPLES);
    if let Some(coarse) = &mut coarse {
        coarse.trim(COARSE_SAMPLES);
    }
    let mut history = History { fine, middle, coarse };
    for (i, value) in live.fine.values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
        history.push_minute(live.fine.time(i), *value);
    }
    history
}

#[cfg(test)]
mod tests {
    use super::super::question::Question;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn kept() -> Kept {
        Kept::begin(&Question::shipped()[0].feeds[0], "service", at(6_000))
    }

    #[test]
    fn the_first_pass_of_a_minute_is_its_sample_and_the_last_is_kept_beside() {
        let mut kept = kept();
        kept.put(at(6_007), 1.0);
        kept.put(at(6_052), 2.0);
        assert_eq!((kept.newest, &kept.history.fine.values[..]), (Some((at(6_052), 2.0)), &[1.0][..]));
        kept.put(at(6_067), 3.0);
        assert_eq!(kept.history.fine.values, [1.0, 3.0]);
        assert_eq!(kept.history.fine.end(), Some(at(6_060)));
        assert_eq!(kept.previous(at(6_067)), None, "its own minute is not the one before");
        assert_eq!(kept.previous(at(6_125)), Some(3.0));
        assert_eq!(kept.previous(at(6_300)), None);
    }

    #[test]
    fn a_snapshot_that_holds_a_history_is_not_disturbed() {
        let mut kept = kept();
        kept.put(at(6_007), 1.0);
        let snapshot = kept.history.clone();
        kept.put(at(6_067), 2.0);
        assert_eq!(snapshot.fine.values, [1.0]);
        assert_eq!(kept.history.fine.values, [1.0, 2.0]);
    }

    #[test]
    fn a_history_that_a_snapshot_shares_does_not_double_when_it_grows() {
        let mut kept = kept();
        kept.history = Arc::new(filled(series(0, 60, &[1.0; FINE_SAMPLES]), series(0, 300, &[1.0; 100]), None, &kept.history));
        let snapshot = kept.history.clone();
        kept.put(at(10_800), 2.0);
        assert_eq!(kept.history.fine.values.len(), snapshot.fine.values.len());
        assert!(kept.history.fine.values.capacity() <= FINE_SAMPLES + 1, "{}", kept.history.fine.values.capacity());
    }

    #[test]
    fn fetched_tiers_go_before_what_was_seen_live() {
        let mut live = kept();
        live.put(at(6_060), 7.0);
        let fetched = series(5_880, 60, &[f32::NAN, 1.0, f32::NAN]);
        assert_eq!((fetched.start, fetched.values.len()), (at(5_940), 1));
        let history = filled(fetched, series(3_000, 300, &[0.5]), Some(series(0, 3600, &[0.1])), &live.history);
        assert_eq!(history.fine.end(), Some(at(6_060)));
        assert!(history.fine.values[0] == 1.0 && history.fine.values[1].is_nan() && history.fine.values[2] == 7.0);
        assert_eq!(history.middle.values, [0.5]);
    }
}
