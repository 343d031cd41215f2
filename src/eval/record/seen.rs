//! The signals of a stretch by the minute: demand with all the past that is worth having, the others with a day to learn from. (world)

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::ByTarget;
use super::ledger::LEARNED_OVER;
use super::subject::Subject;
use crate::domain::names::TargetKey;
use crate::domain::signal::SignalName;
use crate::ports::{Archive, PortError, Recorded, Stretch};

/// Past of demand: two weeks, so that each day of the week was there twice.
const PAST: SignedDuration = SignedDuration::from_hours(14 * 24);
/// What else is asked for.
const TEACHING: [SignalName; 6] =
    [SignalName::Cpu, SignalName::Throttling, SignalName::Memory, SignalName::Latency, SignalName::Errors, SignalName::Queue];

/// Signals by name, then by target.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<SignalName, ByTarget<Recorded>>);

/// Reads the signals of all targets.
pub(super) async fn read(archive: &dyn Archive, subject: &Subject<'_>, from: Timestamp, until: Timestamp) -> Result<Seen, PortError> {
    let groups = BTreeMap::from([(subject.group.id.clone(), subject.group.clone())]);
    let workloads = subject.targets.iter().map(|target| (target.key.clone(), target.workload.clone())).collect();
    let mut seen = BTreeMap::new();
    for (signal, past) in [(SignalName::Demand, PAST)].into_iter().chain(TEACHING.map(|signal| (signal, LEARNED_OVER))) {
        let recorded = archive.recorded(&groups, &workloads, &signal, Stretch { from, until, past }).await?;
        seen.insert(signal, recorded);
    }
    Ok(Seen(seen))
}

impl Seen {
    pub(super) fn of(&self, signal: &SignalName, key: &TargetKey) -> Option<&Recorded> {
        self.0.get(signal)?.get(key)
    }

    /// Values by the second at which their minute ends, without gaps.
    pub(super) fn minutes(&self, signal: &SignalName, key: &TargetKey) -> BTreeMap<i64, f64> {
        let Some(recorded) = self.of(signal, key) else { return BTreeMap::new() };
        let series = &recorded.series;
        let valued = series.values.iter().enumerate().filter(|(_, value)| value.is_finite());
        valued.map(|(index, value)| (series.second(index), f64::from(*value))).collect()
    }
}
