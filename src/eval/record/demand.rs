//! What came to each workload from outside: measured demand, less what its callers in the group brought, since a replay brings that anew. (pure)

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;

use super::ByTarget;
use super::seen::Seen;
use super::subject::Subject;
use crate::domain::names::TargetKey;
use crate::domain::signal::SignalName;
use crate::service::Observe;

/// Seconds a value stands for.
const MINUTE_S: i64 = 60;
/// A smaller share of what was measured is no demand of its own, but callers that were counted at another moment.
const NEGLIGIBLE: f64 = 0.05;
/// A longer silence separates what came before it from what is recorded, as the reader has it.
const LONGEST_GAP_S: i64 = 7 * 86_400;

/// Demand of one workload from outside.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Units/s by the second at which their minute begins.
    minutes: BTreeMap<i64, f64>,
    /// Which rate was measured, where that is known.
    pub(super) observe: Option<Observe>,
    /// What callers brought has been taken off.
    pub(super) less_calls: bool,
}

/// Demand of all that have any, or that are called by one that has.
pub(super) fn own(subject: &Subject<'_>, seen: &Seen) -> ByTarget<Own> {
    let measured: BTreeMap<&TargetKey, BTreeMap<i64, f64>> = subject
        .targets
        .iter()
        .map(|target| (target.key, seen.minutes(&SignalName::Demand, target.key)))
        .filter(|(_, minutes)| !minutes.is_empty())
        .collect();
    let mut there: BTreeSet<&TargetKey> = measured.keys().copied().collect();
    // Along a chain of calls, one step a round.
    while let Some(call) = subject.calls().find(|call| there.contains(&call.from) && !there.contains(&call.to)) {
        there.insert(&call.to);
    }
    there.into_iter().map(|key| (key.clone(), of(key, subject, seen, &measured))).collect()
}

/// Where the incident begins: at the first minute of anybody's demand, or where the scored part does.
pub(super) fn start(own: &ByTarget<Own>, from: Timestamp) -> Timestamp {
    own.values().filter_map(Own::first).min().unwrap_or(from).min(from)
}

fn of(key: &TargetKey, subject: &Subject<'_>, seen: &Seen, measured: &BTreeMap<&TargetKey, BTreeMap<i64, f64>>) -> Own {
    let Some(mine) = measured.get(key) else { return Own::default() };
    let callers: Vec<(&BTreeMap<i64, f64>, f64)> = subject
        .calls()
        .filter(|call| call.to == *key)
        .filter_map(|call| Some((measured.get(&call.from)?, f64::from(call.ratio_milli) / 1000.0)))
        .collect();
    let outside = |(at, units): (&i64, &f64)| {
        let brought = callers.iter().map(|(minutes, ratio)| Some(minutes.get(at)? * ratio)).sum::<Option<f64>>()?;
        Some((at - MINUTE_S, (units - brought).max(0.0)))
    };
    let mut minutes: BTreeMap<i64, f64> = mine.iter().filter_map(outside).collect();
    let (left, all) = (minutes.values().sum::<f64>(), mine.values().sum::<f64>());
    if !callers.is_empty() && left <= NEGLIGIBLE * all {
        minutes.clear();
    }
    after_the_last_silence(&mut minutes);
    let observe = seen.of(&SignalName::Demand, key).and_then(|recorded| recorded.observe);
    Own { minutes, observe, less_calls: !callers.is_empty() }
}

fn after_the_last_silence(minutes: &mut BTreeMap<i64, f64>) {
    let times: Vec<i64> = minutes.keys().copied().collect();
    let pairs = times.iter().zip(times.iter().skip(1));
    if let Some((_, after)) = pairs.rev().find(|(before, after)| *after - *before > LONGEST_GAP_S) {
        *minutes = minutes.split_off(after);
    }
}

impl Own {
    /// Whether anything comes from outside, rather than from callers alone.
    pub(super) fn has_any(&self) -> bool {
        !self.minutes.is_empty()
    }

    /// Its first minute.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.minutes.keys().next().and_then(|second| Timestamp::from_second(*second).ok())
    }

    /// The series' file, in seconds from `start`. A minute that is not there has no row.
    pub(super) fn csv(&self, start: Timestamp) -> String {
        let mut text = "t,value\n".to_owned();
        for (second, units) in &self.minutes {
            // As it was kept: seven digits. Writing to a string cannot fail.
            let _ = writeln!(text, "{},{}", second - start.as_second(), *units as f32);
        }
        text
    }
}
