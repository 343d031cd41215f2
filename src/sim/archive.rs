//! [`Archive`] of the simulated cluster: every minute that was measured in it, and of demand what was before it began.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::history::past_demand;
use super::metrics::{SOURCE, SimMetrics, report, visible};
use super::workload::SIGNALS;
use super::world::World;
use crate::domain::limits::Group;
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::series::Series;
use crate::domain::signal::SignalName;
use crate::domain::workload::Workload;
use crate::ports::{Archive, PortError, Recorded, Stretch};

#[async_trait]
impl Archive for SimMetrics {
    async fn recorded(
        &self,
        _groups: &BTreeMap<GroupId, Group>,
        workloads: &BTreeMap<TargetKey, Workload>,
        signal: &SignalName,
        stretch: Stretch,
    ) -> Result<BTreeMap<TargetKey, Recorded>, PortError> {
        self.shared.at(stretch.until, |world| {
            let recorded = |key: &TargetKey| {
                let index = world.find(key)?;
                let series = minutes(world, key, index, signal, stretch)?;
                let observe = (*signal == SignalName::Demand).then_some(world.workloads[index].spec.observe);
                Some((key.clone(), Recorded { series, source: SOURCE.into(), observe }))
            };
            Ok(workloads.keys().filter_map(recorded).collect())
        })
    }
}

/// A signal from what is asked for of the past to the end of the stretch; `None` where the stretch has no value.
fn minutes(world: &World, key: &TargetKey, index: usize, signal: &SignalName, stretch: Stretch) -> Option<Series> {
    let begin = stretch.from.saturating_sub(stretch.past).unwrap_or(Timestamp::MIN);
    let asked = |at: Timestamp| at > begin && at <= stretch.until;
    let position = SIGNALS.iter().position(|name| name == signal)?;
    let mut values: Vec<(Timestamp, f32)> = Vec::new();
    if *signal == SignalName::Demand {
        let before = time_before(world, begin);
        let past = past_demand(world, index, before);
        values.extend((0..past.values.len()).map(|sample| (past.time(sample), past.values[sample])));
    }
    for (minute, at) in visible(world, index, stretch.until, 0) {
        if let Ok(value) = report(world, key, signal, at, world.workloads[index].minutes[minute][position]) {
            values.push((at, value));
        }
    }
    values.retain(|(at, value)| asked(*at) && value.is_finite());
    values.iter().any(|(at, _)| *at > stretch.from).then_some(())?;
    let mut series = Series::new(values.first()?.0, 60);
    for (at, value) in values {
        series.push(at, value);
    }
    Some(series)
}

/// Minutes from `begin` to the world's own beginning.
fn time_before(world: &World, begin: Timestamp) -> usize {
    usize::try_from((world.start - begin.as_second()) / 60).unwrap_or(0)
}
