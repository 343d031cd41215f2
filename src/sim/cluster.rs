//! [`Cluster`] and [`Actuator`] of the simulated cluster.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::office::EPOCH;
use super::queue::SimQueue;
use super::shared::Shared;
use crate::domain::outcome::{Outcome, OutcomeResult};
use crate::domain::snapshot::ClusterFacts;
use crate::guardrails::Released;
use crate::ports::{Actuator, Cluster, PortError};

/// [`Cluster`]: shows the world at the moment asked for, and the queue.
#[derive(Debug)]
pub struct SimCluster {
    shared: Arc<Shared>,
    queue: Arc<SimQueue>,
}

impl SimCluster {
    /// Shows `shared` together with `queue`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, queue: Arc<SimQueue>) -> Self {
        Self { shared, queue }
    }
}

#[async_trait]
impl Cluster for SimCluster {
    async fn observe(&self, now: Timestamp) -> Result<ClusterFacts, PortError> {
        let queue = self.queue.snapshot();
        Ok(self.shared.at(now, |world| world.facts(queue)))
    }
}

/// [`Actuator`]: writes to the world as IPA.
#[derive(Debug)]
pub struct SimActuator {
    shared: Arc<Shared>,
}

impl SimActuator {
    /// Writes to `shared`.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl Actuator for SimActuator {
    async fn carry_out(&self, released: Released, now: Timestamp) -> Outcome {
        let result =
            if released.epoch() == EPOCH { self.shared.at(now, |world| world.write(released.change())) } else { OutcomeResult::NotLeader };
        Outcome { proposal: released.proposal().id.clone(), origin: released.proposal().origin, change: released.change().clone(), result, at: now }
    }
}
