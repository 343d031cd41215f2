//! Carries out what was released: looks at the world once more, writes by server-side apply, and says what came of it.
//!
//! Every attempt has one deadline, shorter than what is left of the lease. A write names the UID and the resource version it was decided on, so
//! the API server itself refuses it when the object has moved; force is used only where the ownership table says the owner may be taken over.

mod answer;
mod node_pool;
mod replicas;
mod resize;
mod resources;
mod world;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio::time::{Instant, timeout_at};

use super::dynamic::Kinds;
use crate::domain::limits::Fleet;
use crate::domain::names::TargetKey;
use crate::domain::outcome::{Outcome, OutcomeResult};
use crate::domain::proposal::Change;
use crate::domain::resize::Through;
use crate::domain::units::GoDuration;
use crate::guardrails::Released;
use crate::ports::{Actuator, Lease};

/// How long one change may take, reads and tries included. The lease outlives it.
const WRITE_DEADLINE: Duration = Duration::from_secs(8);
/// How long to look whether a write whose answer was lost is in the cluster.
const LOOK_DEADLINE: Duration = Duration::from_secs(3);
/// How often a change is tried anew when the object moved meanwhile (its status moves all the time).
const TRIES: u32 = 3;

/// Writes released changes to the cluster.
pub struct KubeActuator {
    client: Client,
    kinds: Kinds,
    lease: Arc<dyn Lease>,
    lookout: Arc<dyn Lookout>,
    write_deadline: Duration,
    look_deadline: Duration,
}

/// What the last look needs beside the object itself: the watches have it in memory.
pub trait Lookout: Send + Sync {
    /// What is known of a target.
    fn known(&self, target: &TargetKey) -> Known;

    /// A fleet, as the platform set it.
    fn fleet(&self, name: &str) -> Option<Fleet>;
}

/// What the watches know of a target, beside what the API server is asked anew.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// How long its group leaves a person's change alone.
    pub human_hold: GoDuration,
    /// The newest resource version that was seen: an older answer is an older world.
    pub resource_version: Option<Arc<str>>,
}

/// What one try came to.
enum Try {
    /// That is the end of it.
    Done(OutcomeResult),
    /// The object moved between look and write: look again.
    Again(String),
    /// No answer to the write; whether it was done shows in the cluster.
    Lost(String),
}

impl KubeActuator {
    /// An actuator that writes as `client`, while `lease` is held.
    #[must_use]
    pub fn new(client: Client, lease: Arc<dyn Lease>, lookout: Arc<dyn Lookout>) -> Self {
        Self { kinds: Kinds::new(client.clone()), client, lease, lookout, write_deadline: WRITE_DEADLINE, look_deadline: LOOK_DEADLINE }
    }

    async fn attempt(&self, released: &Released, now: Timestamp) -> OutcomeResult {
        let until = now.saturating_add(SignedDuration::try_from(self.write_deadline).unwrap_or(SignedDuration::MAX));
        if self.lease.epoch(until.unwrap_or(Timestamp::MAX)).await != Some(released.epoch()) {
            return OutcomeResult::NotLeader;
        }
        match released.change() {
            Change::Replicas(change) => self.drive(&replicas::Writer::new(self, change, now)).await,
            Change::Resources(change) => match change.through {
                Through::Pods => self.drive(&resize::Writer::new(self, change, now)).await,
                Through::Template => self.drive(&resources::Writer::new(self, change, now)).await,
            },
            Change::NodePool(change) => self.drive(&node_pool::Writer::new(self, change)).await,
            // They live in memory and the record; there is nothing to write.
            Change::Headroom(_) | Change::Finding(_) => OutcomeResult::Applied { resource_version: None },
        }
    }

    /// Tries until it is done, the tries are used up, or the deadline has passed.
    async fn drive(&self, writer: &impl Write) -> OutcomeResult {
        let deadline = Instant::now() + self.write_deadline;
        let mut moved = String::new();
        for _ in 0..TRIES {
            let lost = match timeout_at(deadline, writer.attempt()).await {
                Ok(Try::Done(result)) => return result,
                Ok(Try::Again(detail)) => {
                    moved = detail;
                    continue;
                }
                Ok(Try::Lost(detail)) => detail,
                Err(_) => format!("no answer within {:?}", self.write_deadline),
            };
            return match tokio::time::timeout(self.look_deadline, writer.is_done()).await {
                Ok(true) => OutcomeResult::Confirmed,
                Ok(false) | Err(_) => OutcomeResult::Unknown { detail: lost },
            };
        }
        OutcomeResult::WorldChanged { detail: format!("it moved {TRIES} times while it was written: {moved}") }
    }
}

/// One kind of write.
trait Write: Sync {
    /// Looks, checks and writes once.
    fn attempt(&self) -> impl Future<Output = Try> + Send;

    /// Whether the cluster shows it done, by us.
    fn is_done(&self) -> impl Future<Output = bool> + Send;
}

#[async_trait]
impl Actuator for KubeActuator {
    async fn carry_out(&self, released: Released, now: Timestamp) -> Outcome {
        let result = self.attempt(&released, now).await;
        Outcome {
            proposal: released.proposal().id.clone(),
            origin: released.proposal().origin,
            change: released.change().clone(),
            result,
            at: now,
        }
    }
}
