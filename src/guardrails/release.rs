//! The only door to action: an admitted review becomes a [`Released`], and the commitments are charged.

use serde::Serialize;

use crate::domain::memory::{Commitment, Commitments};
use crate::domain::proposal::{Change, Proposal};
use crate::domain::review::{Review, Verdict};
use crate::domain::snapshot::Snapshot;

/// A change that passed every rule, at the gate, in this tick. It cannot be cloned, read from data, or made anywhere but in this file; carrying
/// it out consumes it.
#[derive(Debug, PartialEq, Serialize)]
pub struct Released {
    proposal: Proposal,
    change: Change,
    epoch: u64,
}

impl Released {
    /// The proposal it came from.
    #[must_use]
    pub fn proposal(&self) -> &Proposal {
        &self.proposal
    }

    /// Exactly what may be carried out.
    #[must_use]
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// Lease epoch under which it may be carried out.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// Turns an admitted or clamped review into a [`Released`] and charges the commitments. `None` for any other verdict, or for a review of
/// another proposal.
#[must_use]
pub fn release(snapshot: &Snapshot, proposal: &Proposal, review: &Review, epoch: u64, commitments: &mut Commitments) -> Option<Released> {
    let admitted = matches!(review.verdict, Verdict::Admit | Verdict::Clamp) && review.proposal == proposal.id;
    let change = review.change.clone().filter(|_| admitted)?;
    if let Change::Replicas(replicas) = &change {
        commitments.window.push_back((snapshot.at, replicas.from.abs_diff(replicas.to)));
    }
    commitments.open.push(Commitment {
        proposal: proposal.id.clone(),
        group: proposal.group.clone(),
        origin: proposal.origin,
        change: change.clone(),
        at: snapshot.at,
        cost_change_per_hour: proposal.cost_change_per_hour.unwrap_or_default(),
    });
    Some(Released { proposal: proposal.clone(), change, epoch })
}
