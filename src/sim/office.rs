//! The small ports of one process that is alone: the lease it always holds, the status it last published, the memory it keeps while it lives.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::memory::Memory;
use crate::domain::names::GroupId;
use crate::domain::status::GroupStatus;
use crate::ports::{Lease, PortError, State, Status};

/// The epoch of a process that nobody contends with.
pub(super) const EPOCH: u64 = 1;

/// [`Lease`]: always held.
#[derive(Debug, Default)]
pub struct SimLease;

#[async_trait]
impl Lease for SimLease {
    async fn epoch(&self, _until: Timestamp) -> Option<u64> {
        Some(EPOCH)
    }
}

/// [`Status`]: keeps what each group was told last.
#[derive(Debug, Default)]
pub struct SimStatus {
    last: Mutex<BTreeMap<GroupId, GroupStatus>>,
}

impl SimStatus {
    /// What each group was told last.
    #[must_use]
    pub fn published(&self) -> BTreeMap<GroupId, GroupStatus> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Status for SimStatus {
    async fn publish(&self, status: &[GroupStatus]) -> Result<(), PortError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.extend(status.iter().map(|status| (status.group.clone(), status.clone())));
        Ok(())
    }
}

/// [`State`]: keeps memory as long as the process lives.
#[derive(Debug, Default)]
pub struct SimState {
    memory: Mutex<Option<Memory>>,
}

#[async_trait]
impl State for SimState {
    async fn load(&self) -> Result<Option<Memory>, PortError> {
        Ok(self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn save(&self, memory: &Memory) -> Result<(), PortError> {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = Some(memory.clone());
        Ok(())
    }

    async fn save_gate(&self, memory: &Memory) -> Result<(), PortError> {
        self.save(memory).await
    }
}
