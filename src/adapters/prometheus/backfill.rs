//! The past: range queries in tiers, cut so that no series has more points than the server gives and no answer more bytes than are read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::client::{Client, QueryError, Range};
use super::join::TargetIndex;
use super::question::Question;
use super::reduce::reduce_range;

/// Prometheus refuses a range query that would give a series more points than this.
pub const MOST_POINTS: i64 = 11_000;
/// A range is not cut into parts shorter than this many points: if even that is too large, the question itself is.
const FEWEST_POINTS: i64 = 8;

/// A part of the past at one resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Seconds between samples.
    pub step_s: u32,
    /// How far it goes back, seconds.
    pub back_s: i64,
}

/// 1 min for 3 h.
pub const FINE: Tier = Tier { step_s: 60, back_s: 3 * 3_600 };
/// 5 min for 2 d.
pub const MIDDLE: Tier = Tier { step_s: 300, back_s: 2 * 86_400 };
/// 1 h for 5 weeks.
pub const COARSE: Tier = Tier { step_s: 3_600, back_s: 35 * 86_400 };
/// 1 min for 8 d, of demand alone.
pub const REPLAY: Tier = Tier { step_s: 60, back_s: 8 * 86_400 };

impl Tier {
    /// Its range, ending at the last whole step before `before`.
    #[must_use]
    pub fn range(self, before: i64) -> Range {
        let step = i64::from(self.step_s);
        let end = (before - 1).div_euclid(step) * step;
        Range { start: end - self.back_s + step, end, step }
    }
}

/// How long is waited: for one answer, and for all together.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one answer.
    pub each: Duration,
    /// For all.
    pub deadline: Instant,
}

impl Patience {
    /// From now on, `times` as long for all as for one.
    #[must_use]
    pub fn new(each: Duration, times: f64) -> Self {
        Self { each, deadline: Instant::now() + each.mul_f64(times) }
    }

    /// How long the next answer may take; nothing once all time is used up.
    #[must_use]
    pub fn left(self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).min(self.each)
    }
}

/// Values on a range's grid, by feed and by target's position.
pub type Fetched = Vec<BTreeMap<usize, Vec<f32>>>;

/// Asks for a range in as many parts as it takes.
///
/// # Errors
/// The first [`QueryError`] that a smaller part does not mend.
pub async fn fetch(
    client: &Client,
    query: &str,
    question: &Question,
    index: &TargetIndex,
    range: Range,
    patience: Patience,
) -> Result<Fetched, QueryError> {
    let points = usize::try_from(range.points()).unwrap_or(0);
    let mut fetched: Fetched = vec![BTreeMap::new(); question.feeds.len()];
    // Parts still to be asked for, the oldest last.
    let mut parts = split(range, MOST_POINTS);
    while let Some(part) = parts.pop() {
        let left = patience.left();
        if left.is_zero() {
            return Err(QueryError::Timeout);
        }
        let answer = match client.range(query, part, left).await {
            Ok(answer) => answer,
            Err(QueryError::TooLarge) if part.points() > FEWEST_POINTS => {
                parts.extend(split(part, (part.points() + 1) / 2));
                continue;
            }
            Err(error) => return Err(error),
        };
        let offset = usize::try_from((part.start - range.start) / range.step).unwrap_or(0);
        for (feed, all) in question.feeds.iter().zip(&mut fetched) {
            for (position, values) in reduce_range(feed, &answer.rows.rows, question.namespace.as_deref(), index, part) {
                let whole = all.entry(position).or_insert_with(|| vec![f32::NAN; points]);
                for (cell, value) in whole.iter_mut().skip(offset).zip(values) {
                    *cell = value;
                }
            }
        }
    }
    Ok(fetched)
}

/// Parts of at most `most` points, newest first, none overlapping.
fn split(range: Range, most: i64) -> Vec<Range> {
    let mut parts = Vec::new();
    let mut start = range.start;
    while start <= range.end {
        let end = range.end.min(start + (most.max(1) - 1) * range.step);
        parts.push(Range { start, end, step: range.step });
        start = end + range.step;
    }
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_tier_but_the_replays_fits_one_query() {
        for (tier, samples, parts) in [(FINE, 180, 1), (MIDDLE, 576, 1), (COARSE, 840, 1), (REPLAY, 11_520, 2)] {
            let range = tier.range(1_800_000_007);
            assert_eq!((range.points(), split(range, MOST_POINTS).len()), (samples, parts));
            assert!(range.end % range.step == 0 && range.end < 1_800_000_007);
        }
    }

    proptest! {
        #[test]
        fn parts_cover_the_range_once(start in -1000i64..1000, points in 1i64..500, step in 1i64..100, most in 1i64..200) {
            let range = Range { start, end: start + (points - 1) * step, step };
            let instants: Vec<i64> = split(range, most)
                .iter()
                .rev()
                .inspect(|part| assert!(part.points() <= most))
                .flat_map(|part| (0..part.points()).map(move |i| part.start + i * part.step))
                .collect();
            let expected: Vec<i64> = (0..points).map(|i| start + i * step).collect();
            prop_assert_eq!(instants, expected);
        }
    }
}
