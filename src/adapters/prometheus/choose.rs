//! Which source speaks for which signal of which target. The first in order that answers is chosen and stays until it has been silent for
//! ten minutes: two sources measure two things, and a history that mixes them would show steps that never were. (pure)

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::join::TargetIndex;
use super::question::Question;
use super::reduce::{Feed, Reduced};
use super::store::{Kept, Store};
use crate::domain::signal::SignalName;

/// What a question was answered, reduced; nothing where it failed.
#[derive(Debug)]
pub struct Answer {
    /// The question.
    pub question: Arc<Question>,
    /// For each of its feeds, what it says of each target by position.
    pub by_feed: Option<Vec<BTreeMap<usize, Reduced>>>,
}

/// A chosen source's answer for one signal of one target.
#[derive(Clone, Debug)]
pub struct Pick {
    /// Target, by position.
    pub position: usize,
    /// Signal.
    pub signal: SignalName,
    /// Position of the question among the answers.
    pub answer: usize,
    /// Position of the feed in the question.
    pub feed: usize,
    /// What it says.
    pub reduced: Reduced,
}

/// Chooses, and begins a history for what was chosen anew.
pub fn choose(store: &mut Store, index: &TargetIndex, answers: &[Answer], now: Timestamp) -> Vec<Pick> {
    let mut sources: BTreeMap<SignalName, Vec<(usize, usize)>> = BTreeMap::new();
    for (a, answer) in answers.iter().enumerate() {
        for (f, feed) in answer.question.feeds.iter().enumerate() {
            sources.entry(feed.signal.clone()).or_default().push((a, f));
        }
    }
    forget(store, index, answers);
    let mut picks = Vec::new();
    for (position, target) in index.targets.iter().enumerate() {
        let kept = store.kept.entry(target.key.clone()).or_default();
        for (signal, all) in &sources {
            let feed_of = |(a, f): (usize, usize)| -> &Feed { &answers[a].question.feeds[f] };
            // Two teams may give two signals one name; each is its own targets' alone.
            let candidates: Vec<(usize, usize)> = all.iter().copied().filter(|c| feed_of(*c).is_for(&target.key)).collect();
            let said = |(a, f): (usize, usize)| answers[a].by_feed.as_ref().and_then(|feeds| feeds[f].get(&position));
            let held = kept.get(signal).filter(|k| !k.gives_way(now)).map(|k| k.source.clone());
            let chosen = match held {
                Some(source) => candidates.iter().copied().find(|c| feed_of(*c).source == source && said(*c).is_some()),
                None => first_that_answers(&candidates, answers, &said),
            };
            let Some(chosen) = chosen else { continue };
            let (Some(reduced), feed) = (said(chosen), feed_of(chosen)) else { continue };
            if kept.get(signal).is_none_or(|k| k.source != feed.source) {
                kept.insert(signal.clone(), Kept::begin(feed, reduced.joined_on, now));
            }
            picks.push(Pick { position, signal: signal.clone(), answer: chosen.0, feed: chosen.1, reduced: reduced.clone() });
        }
    }
    picks
}

/// The first source with a value. One that failed may yet have one, so nothing after it is chosen in the same tick.
fn first_that_answers<'a>(
    candidates: &[(usize, usize)],
    answers: &[Answer],
    said: &impl Fn((usize, usize)) -> Option<&'a Reduced>,
) -> Option<(usize, usize)> {
    for candidate in candidates {
        answers[candidate.0].by_feed.as_ref()?;
        if said(*candidate).is_some_and(|r| r.value.is_some()) {
            return Some(*candidate);
        }
    }
    None
}

/// Drops what is no longer asked for, and targets that are gone.
fn forget(store: &mut Store, index: &TargetIndex, answers: &[Answer]) {
    let targets: BTreeSet<_> = index.targets.iter().map(|t| &t.key).collect();
    let asked: BTreeSet<(&SignalName, &str)> = answers.iter().flat_map(|a| &a.question.feeds).map(|f| (&f.signal, &*f.source)).collect();
    let ids: BTreeSet<&str> = answers.iter().map(|a| &*a.question.id).collect();
    store.kept.retain(|key, _| targets.contains(key));
    for signals in store.kept.values_mut() {
        signals.retain(|signal, kept| asked.contains(&(signal, &*kept.source)));
    }
    store.progress.retain(|id, _| ids.contains(&**id));
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use jiff::SignedDuration;

    /// Demand of one target at minute `m`: what each of the first three sources says; `None` is a failed question, `NaN` silence.
    fn tick(store: &mut Store, m: i64, says: [Option<f64>; 3]) -> Option<(String, f64)> {
        let now = Timestamp::from_second(1_800_000_000 + m * 60).unwrap();
        let (groups, workloads) = testing::world(&[("shop", "web", 1)]);
        let index = TargetIndex::new(&groups, &workloads, now, SignedDuration::ZERO);
        let answer = |(question, value): (Arc<Question>, Option<f64>)| Answer {
            question,
            by_feed: value.map(|v| {
                let reduced = Reduced { value: Some(v), joined_on: "pod", ..Reduced::default() };
                vec![if v.is_nan() { BTreeMap::new() } else { BTreeMap::from([(0, reduced)]) }]
            }),
        };
        let answers: Vec<Answer> = Question::shipped().into_iter().zip(says).map(answer).collect();
        let pick = choose(store, &index, &answers, now).pop()?;
        let kept = store.kept.get_mut(&index.targets[0].key)?.get_mut(&pick.signal)?;
        let value = pick.reduced.value?;
        kept.answered = now;
        kept.put(now, value);
        Some((kept.source.to_string(), value))
    }

    const SILENT: Option<f64> = Some(f64::NAN);

    #[test]
    fn the_first_source_in_order_wins_and_stays() {
        let mut store = Store::default();
        assert_eq!(tick(&mut store, 0, [SILENT, SILENT, Some(3.0)]), Some(("istio".into(), 3.0)));
        assert_eq!(tick(&mut store, 1, [Some(9.0), SILENT, Some(3.0)]), Some(("istio".into(), 3.0)), "a better one does not mix in");
    }

    #[test]
    fn a_silent_source_gives_way_after_ten_minutes_with_a_history_of_its_own() {
        let mut store = Store::default();
        tick(&mut store, 0, [Some(1.0), SILENT, Some(3.0)]);
        assert_eq!(tick(&mut store, 9, [SILENT, SILENT, Some(3.0)]), None);
        assert_eq!(tick(&mut store, 10, [SILENT, SILENT, Some(3.0)]), Some(("istio".into(), 3.0)));
        let kept = store.kept.values().next().unwrap().values().next().unwrap();
        assert_eq!(kept.history.fine.values, [3.0]);
    }

    #[test]
    fn a_source_that_failed_is_waited_for() {
        let mut store = Store::default();
        assert_eq!(tick(&mut store, 0, [None, SILENT, Some(3.0)]), None);
        assert_eq!(tick(&mut store, 1, [Some(1.0), SILENT, Some(3.0)]), Some(("ingress-nginx".into(), 1.0)));
    }
}
