//! A witness beside the actuator: looks into the ledger before each write, so that what was done without a record before it is found, whatever the
//! tick says of itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::names::ProposalId;
use crate::domain::outcome::Outcome;
use crate::domain::proposal::Change;
use crate::domain::record::EntryBody;
use crate::guardrails::Released;
use crate::ports::{Actuator, EntryFilter, Ledger};
use crate::sim::{Write, Written};

/// [`Actuator`]: notes what stands in the ledger, and lets the one behind it do the work.
pub struct Witness {
    inner: Arc<dyn Actuator>,
    ledger: Arc<dyn Ledger>,
    /// The newest entry that was read, and the intents that were found so far.
    read: tokio::sync::Mutex<(Option<u64>, BTreeMap<ProposalId, Change>)>,
    /// Changes that were in the ledger when they were carried out, and whose write has not been seen yet.
    recorded: Mutex<Vec<Change>>,
}

impl Witness {
    /// Stands beside `inner`, which writes what `ledger` holds.
    #[must_use]
    pub fn new(inner: Arc<dyn Actuator>, ledger: Arc<dyn Ledger>) -> Self {
        Self { inner, ledger, read: tokio::sync::Mutex::default(), recorded: Mutex::default() }
    }

    /// Whether a write that is seen in the cluster had been recorded before it was made. Each record stands for one write.
    #[must_use]
    pub fn knew(&self, write: &Write) -> bool {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let found = recorded.iter().position(|change| is_of(change, &write.what));
        found.map(|index| recorded.remove(index)).is_some()
    }

    /// Whether the ledger holds the intent of exactly this change. One that cannot be read holds nothing.
    async fn is_recorded(&self, proposal: &ProposalId, change: &Change) -> bool {
        let mut read = self.read.lock().await;
        let (after, intents) = &mut *read;
        let newer = self.ledger.entries(&EntryFilter { after: *after, ..EntryFilter::default() }).await.unwrap_or_default();
        *after = newer.last().map(|entry| entry.seq).or(*after);
        intents.extend(newer.into_iter().filter_map(|entry| match entry.body {
            EntryBody::Intent(intent) => Some((intent.proposal, intent.change)),
            EntryBody::Opened(_) | EntryBody::Outcome(_) | EntryBody::Closed(_) => None,
        }));
        intents.get(proposal) == Some(change)
    }
}

#[async_trait]
impl Actuator for Witness {
    async fn carry_out(&self, released: Released, now: Timestamp) -> Outcome {
        if self.is_recorded(&released.proposal().id, released.change()).await {
            self.recorded.lock().unwrap_or_else(PoisonError::into_inner).push(released.change().clone());
        }
        self.inner.carry_out(released, now).await
    }
}

/// Whether a change is what a write did.
fn is_of(change: &Change, written: &Written) -> bool {
    match (change, written) {
        (Change::Replicas(change), Written::Replicas { target, from, to, .. }) => {
            (&change.target, change.from, change.to) == (target, *from, *to)
        }
        (Change::Resources(change), Written::Resources { target }) => change.target == *target,
        (Change::NodePool(change), Written::NodePool { pool }) => change.draft.name == *pool,
        _ => false,
    }
}
