//! The cluster's events, as the API server keeps them: equal ones are counted, old ones are forgotten.

use std::collections::VecDeque;

use super::world::time;
use crate::domain::names::TargetKey;
use crate::domain::snapshot::{Event, EventReason};

/// Events older than this are forgotten, as kube-apiserver does by default.
const KEPT_S: i64 = 3600;
/// Within this an equal event is counted instead of written anew.
const COUNTED_S: i64 = 600;

/// Events, oldest first.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    entries: VecDeque<Logged>,
}

#[derive(Debug)]
struct Logged {
    at: i64,
    target: TargetKey,
    kind: &'static str,
    reason: EventReason,
    count: u32,
}

impl EventLog {
    /// Notes an event about an object of `kind` that belongs to `target`.
    pub(super) fn note(&mut self, at: i64, target: &TargetKey, kind: &'static str, reason: EventReason) {
        while self.entries.front().is_some_and(|e| e.at + KEPT_S < at) {
            self.entries.pop_front();
        }
        let equal = |e: &Logged| e.target == *target && e.kind == kind && e.reason == reason && e.at + COUNTED_S >= at;
        let count = match self.entries.iter().rposition(equal).and_then(|index| self.entries.remove(index)) {
            Some(before) => before.count + 1,
            None => 1,
        };
        self.entries.push_back(Logged { at, target: target.clone(), kind, reason, count });
    }

    /// Forgets everything: what happened before the start is nobody's news.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// All that are kept, oldest first.
    pub(super) fn snapshot(&self, now: i64) -> Vec<Event> {
        let kept = self.entries.iter().filter(|e| e.at + KEPT_S >= now);
        kept.enumerate()
            .map(|(index, e)| Event {
                id: format!("ev{}", index + 1),
                at: time(e.at),
                target: e.target.clone(),
                kind: e.kind.into(),
                reason: e.reason,
                count: e.count,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_events_are_counted_and_old_ones_forgotten() {
        let (mut log, web) = (EventLog::default(), TargetKey::deployment("shop", "web"));
        log.note(0, &web, "Pod", EventReason::OOMKilling);
        log.note(300, &web, "Deployment", EventReason::ScalingReplicaSet);
        log.note(400, &web, "Pod", EventReason::OOMKilling);
        let seen: Vec<_> = log.snapshot(400).iter().map(|e| (e.reason, e.count, e.at.as_second())).collect();
        assert_eq!(seen, [(EventReason::ScalingReplicaSet, 1, 300), (EventReason::OOMKilling, 2, 400)]);
        log.note(2000, &web, "Pod", EventReason::OOMKilling);
        assert_eq!(log.snapshot(2000).len(), 3, "after ten minutes it is a new event");
        assert_eq!(log.snapshot(3901).len(), 2);
    }
}
