//! Planned demand travels along `dependsOn`, so that a back end is ready when its front end is.

use std::collections::BTreeMap;

use super::assess::Assessed;
use crate::domain::names::TargetKey;
use crate::domain::snapshot::Snapshot;

/// Adds to each called target what its callers are planned to send: ratio times their own planned demand, callers before whom they call.
/// Calls in a circle carry nothing on: what goes round would grow without end.
pub(super) fn carry_demand(snapshot: &Snapshot, assessed: &mut [Assessed<'_>]) {
    let edges: Vec<_> = snapshot.facts.groups.values().flat_map(|group| &group.depends_on).collect();
    if edges.is_empty() {
        return;
    }
    let index: BTreeMap<TargetKey, usize> = assessed.iter().enumerate().map(|(i, a)| (a.key().clone(), i)).collect();
    let mut calls: Vec<(usize, usize, f64)> = edges
        .iter()
        .filter_map(|edge| Some((*index.get(&edge.from)?, *index.get(&edge.to)?, f64::from(edge.ratio_milli) / 1000.0)))
        .collect();
    // Two groups may state the same call; it is made once.
    calls.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(b.2.total_cmp(&a.2)));
    calls.dedup_by_key(|call| (call.0, call.1));
    let mut open: Vec<usize> = vec![0; assessed.len()];
    for (_, to, _) in &calls {
        open[*to] += 1;
    }
    let mut ready: Vec<usize> = (0..assessed.len()).filter(|i| open[*i] == 0).collect();
    while let Some(from) = ready.pop() {
        let situation = &assessed[from].situation;
        let sends = situation.planned().filter(|_| !situation.load_is_cpu).map_or(0.0, |planned| planned.load);
        for (_, to, ratio) in calls.iter().filter(|call| call.0 == from) {
            // Cores are no demand: a target that is sized by CPU sees only its own.
            if !assessed[*to].situation.load_is_cpu {
                assessed[*to].situation.from_callers += ratio * sends;
            }
            open[*to] -= 1;
            if open[*to] == 0 {
                ready.push(*to);
            }
        }
    }
}
