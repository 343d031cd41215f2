//! What happened in the stretch: events by their known reason, and faults that the ticks prove. (pure)

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::ledger::Kept;
use super::subject::Subject;
use crate::domain::units::GoDuration;
use crate::eval::incident::document::{FaultDocument, FaultName};

/// A line of `events.jsonl`.
#[derive(Serialize)]
struct EventLine<'a> {
    t: i64,
    kind: &'a str,
    object: &'a str,
    reason: &'a str,
    count: u32,
}

/// Events between `from` and `until`, in order of time, a line each. The object is the workload that they bear on: pods and nodes are not named.
pub(super) fn events(kept: &Kept, subject: &Subject<'_>, start: Timestamp, from: Timestamp, until: Timestamp) -> Vec<String> {
    let line = |event: &crate::domain::snapshot::Event| {
        let t = event.at.as_second() - start.as_second();
        let object = subject.called(&event.target)?;
        let line = EventLine { t, kind: &event.kind, object, reason: event.reason.as_str(), count: event.count };
        Some(serde_json::to_string(&line).ok()? + "\n")
    };
    kept.events.values().filter(|event| event.at >= from && event.at < until).filter_map(line).collect()
}

/// Stretches in which tick after tick had no answer from metrics, or from the model that it asked.
pub(super) fn faults(kept: &Kept, from: Timestamp, until: Timestamp) -> Vec<FaultDocument> {
    let outages = |answered, kind| silences(answered, from, until).into_iter().map(move |(at, lasts)| fault(kind, at, lasts));
    outages(&kept.metrics, FaultName::MetricsOutage).chain(outages(&kept.model, FaultName::ModelOutage)).collect()
}

fn fault(kind: FaultName, at_s: u64, lasts_s: u64) -> FaultDocument {
    FaultDocument { at: GoDuration::from_secs(at_s), lasts: Some(GoDuration::from_secs(lasts_s)), kind, ..FaultDocument::default() }
}

/// From each first silence to the next answer, or to the end: seconds after `from`, and how many.
fn silences(answered: &BTreeMap<Timestamp, bool>, from: Timestamp, until: Timestamp) -> Vec<(u64, u64)> {
    let second = |at: Timestamp| u64::try_from(at.as_second() - from.as_second()).unwrap_or(0);
    let mut silences = Vec::new();
    let mut since = None;
    for (at, answered) in answered.range(from..until) {
        match (answered, since) {
            (false, None) => since = Some(second(*at)),
            (true, Some(begun)) => {
                silences.push((begun, (second(*at) - begun).max(1)));
                since = None;
            }
            (true, None) | (false, Some(_)) => {}
        }
    }
    silences.extend(since.map(|begun| (begun, second(until) - begun)));
    silences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_lasts_to_the_next_answer_or_to_the_end() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let ticks = [(0, false), (60, true), (120, false), (180, false), (240, true), (300, true), (360, false), (420, false)];
        let answered = ticks.map(|(second, answered)| (at(second), answered)).into();
        assert_eq!(silences(&answered, at(60), at(400)), [(60, 120), (300, 40)], "what lies outside of the stretch is not in it");
        assert_eq!(silences(&BTreeMap::new(), at(0), at(60)), []);
    }
}
