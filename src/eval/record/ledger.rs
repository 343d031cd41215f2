//! What the ticks of a group saw and did: replicas by the minute, events, how metrics and the model answered, what was learned. (world)

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::ByTarget;
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::plan::CapacitySource;
use crate::domain::record::{Asked, DialogueEnd, Entry, EntryBody};
use crate::domain::snapshot::{Event, SourceHealth};
use crate::domain::workload::Rollout;
use crate::ports::{Body, EntryFilter, Ledger, PortError};

/// How far before the stretch there is something to learn.
pub(super) const LEARNED_OVER: SignedDuration = SignedDuration::from_hours(24);
/// A tick this long before the beginning still says with how many replicas it began.
const BEGAN_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// Entries read at a time.
const PAGE: usize = 1_000;

/// What is known of the ticks.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Replicas of each target, by tick.
    replicas: ByTarget<BTreeMap<Timestamp, Count>>,
    /// Events, each once with its highest count.
    pub(super) events: BTreeMap<EventId, Event>,
    /// Ticks, and whether metrics answered.
    pub(super) metrics: BTreeMap<Timestamp, bool>,
    /// Ticks that wanted the model, and whether it answered.
    pub(super) model: BTreeMap<Timestamp, bool>,
    /// Units/s of a replica, as last learned.
    capacity: ByTarget<f64>,
}

/// What makes two events one.
type EventId = (Timestamp, TargetKey, String, &'static str);

/// Replicas as a tick saw them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    pub(super) desired: u32,
    pub(super) ready: u32,
    /// No rollout was in progress.
    pub(super) settled: bool,
}

/// Reads the ticks from a day before the stretch to its end.
pub(super) async fn read(ledger: &dyn Ledger, group: &GroupId, from: Timestamp, until: Timestamp) -> Result<Kept, PortError> {
    let since = from.saturating_sub(LEARNED_OVER).unwrap_or(Timestamp::MIN);
    let mut kept = Kept::default();
    let mut after = 0;
    loop {
        let filter =
            EntryFilter { group: Some(group.clone()), since: Some(since), after: Some(after), oldest: PAGE, ..EntryFilter::default() };
        let page = ledger.entries(&filter).await?;
        let Some(last) = page.last() else { return Ok(kept) };
        after = last.seq;
        for entry in &page {
            if entry.at > until {
                return Ok(kept);
            }
            kept.take(ledger, entry).await?;
        }
    }
}

impl Kept {
    async fn take(&mut self, ledger: &dyn Ledger, entry: &Entry) -> Result<(), PortError> {
        match &entry.body {
            EntryBody::Opened(opened) => {
                self.metrics.insert(entry.at, !matches!(opened.metrics, SourceHealth::Down(_)));
                // Bodies are pruned in time; the chain goes on without them.
                let Some(Body::Evidence(evidence)) = ledger.body(&opened.evidence).await? else { return Ok(()) };
                for target in evidence.targets {
                    let (desired, ready) = (target.replicas.desired, target.replicas.ready);
                    let count = Count { desired, ready, settled: target.rollout == Rollout::Complete };
                    self.replicas.entry(target.key).or_default().insert(entry.at, count);
                }
                for event in evidence.events {
                    let id = (event.at, event.target.clone(), event.kind.to_string(), event.reason.as_str());
                    let known = self.events.entry(id).or_insert_with(|| event.clone());
                    known.count = known.count.max(event.count);
                }
            }
            EntryBody::Closed(closed) => {
                for (key, plan) in &closed.plan {
                    if let (CapacitySource::Learned, Some(units)) = (plan.basis.capacity_source, plan.basis.capacity_per_replica) {
                        self.capacity.insert(key.clone(), units);
                    }
                }
                let unavailable = matches!(closed.dialogue.end, Some(DialogueEnd::Unavailable(_)));
                match closed.dialogue.asked {
                    Asked::Yes(_) if closed.dialogue.end.is_some() => _ = self.model.insert(entry.at, !unavailable),
                    Asked::BreakerOpen => _ = self.model.insert(entry.at, false),
                    Asked::Yes(_) | Asked::NotWorthIt | Asked::NoModel | Asked::BudgetSpent => {}
                }
            }
            EntryBody::Intent(_) | EntryBody::Outcome(_) => {}
        }
        Ok(())
    }

    /// Ticks from `from` on.
    pub(super) fn ticks(&self, from: Timestamp) -> usize {
        self.metrics.range(from..).count()
    }

    /// Replicas asked for at `from`: as the last tick before it saw them, or the first after.
    pub(super) fn began_with(&self, key: &TargetKey, from: Timestamp) -> Option<u32> {
        let counts = self.replicas.get(key)?;
        let near = from.saturating_sub(BEGAN_WITHIN).unwrap_or(Timestamp::MIN);
        let before = counts.range(near..=from).next_back();
        before.or_else(|| counts.range(from..).next()).map(|(_, count)| count.desired)
    }

    /// Replicas as the last tick of a minute saw them.
    pub(super) fn count_in(&self, key: &TargetKey, minute_ends: Timestamp) -> Option<Count> {
        let begins = minute_ends.saturating_sub(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MIN);
        self.replicas.get(key)?.range(begins..=minute_ends).next_back().map(|(_, count)| *count)
    }

    /// Units/s of a replica, as last learned in the stretch or before.
    pub(super) fn learned_capacity(&self, key: &TargetKey) -> Option<f64> {
        self.capacity.get(key).copied()
    }
}
