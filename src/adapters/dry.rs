//! Ports that change nothing: what a dry tick stands on. The tick itself is told to be dry and asks none of these to act; they hold the promise
//! even if it did.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::memory::Memory;
use crate::domain::outcome::{Outcome, OutcomeResult};
use crate::domain::snapshot::QueuedProposal;
use crate::domain::status::GroupStatus;
use crate::guardrails::Released;
use crate::ports::{Actuator, Lease, PortError, Queue, State, Status};

/// Changes nothing, remembers nothing, tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dry;

#[async_trait]
impl Actuator for Dry {
    async fn carry_out(&self, released: Released, now: Timestamp) -> Outcome {
        let proposal = released.proposal();
        Outcome {
            proposal: proposal.id.clone(),
            origin: proposal.origin,
            change: released.change().clone(),
            result: OutcomeResult::NotLeader,
            at: now,
        }
    }
}

#[async_trait]
impl Lease for Dry {
    async fn epoch(&self, _: Timestamp) -> Option<u64> {
        None
    }
}

#[async_trait]
impl Status for Dry {
    async fn publish(&self, _: &[GroupStatus]) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl Queue for Dry {
    async fn enqueue(&self, _: &QueuedProposal) -> Result<(), PortError> {
        Ok(())
    }

    async fn close(&self, _: &QueuedProposal, _: &str, _: &str, _: Timestamp) -> Result<(), PortError> {
        Ok(())
    }

    async fn forget(&self, _: &QueuedProposal) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl State for Dry {
    async fn load(&self) -> Result<Option<Memory>, PortError> {
        Ok(None)
    }

    async fn save(&self, _: &Memory) -> Result<(), PortError> {
        Ok(())
    }

    async fn save_gate(&self, _: &Memory) -> Result<(), PortError> {
        Ok(())
    }
}
