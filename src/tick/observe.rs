//! observe (world): everything one tick may know, frozen.

use super::Settings;
use crate::domain::memory::{GateMemory, Memory};
use crate::domain::outcome::Outcome;
use crate::domain::snapshot::Snapshot;
use crate::ports::{PortError, Ports};

/// Past decisions a snapshot carries.
const PAST_DECISIONS: usize = 200;

/// Builds the snapshot, but for the gate's memory, which is settled on it first. The cluster must answer; metrics may be missing, and then
/// say so.
pub(super) async fn observe(ports: &Ports, settings: &Settings, memory: &Memory, outcomes: &[Outcome]) -> Result<Snapshot, PortError> {
    let at = ports.clock.now();
    let mut facts = ports.cluster.observe(at).await?;
    let ((signals, metrics_health), catalogue, past) = tokio::join!(
        ports.metrics.signals(&facts.groups, &facts.workloads, at),
        ports.prices.catalogue(at),
        ports.ledger.past(PAST_DECISIONS),
    );
    for node in facts.nodes.iter_mut().filter(|node| node.price_per_hour.is_none()) {
        node.price_per_hour = catalogue.node_price(&node.labels);
    }
    Ok(Snapshot {
        at,
        tick: memory.tick,
        cluster: settings.cluster.clone(),
        facts,
        signals,
        metrics_health,
        catalogue,
        limits: settings.limits,
        outcomes: outcomes.to_vec(),
        memory: Memory {
            version: memory.version,
            tick: memory.tick,
            planner: memory.planner.clone(),
            gate: GateMemory::default(),
            dialogues: memory.dialogues.clone(),
        },
        past: past?,
    })
}
