//! Who was written over: a person while their write is to be left alone, or a machine again and again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::units::GoDuration;
use crate::domain::workload::FieldWriter;
use crate::guardrails::ownership::{Ownership, ownership};

/// How long a person's write is left alone where no group says so.
const HUMAN_HOLD: GoDuration = GoDuration::from_mins(15);
/// A machine that is written over once may have stopped; one that is written over twice has not.
const FIGHT: u32 = 2;

/// How often a machine's replicas were written over, by workload.
#[derive(Debug, Default)]
pub(super) struct Writers(BTreeMap<usize, u32>);

impl Writers {
    /// Whether writing over what `owner` wrote is a fight.
    pub(super) fn fought(&mut self, workload: usize, owner: &FieldWriter, hold: Option<GoDuration>, at: Timestamp) -> bool {
        match ownership(owner, hold.unwrap_or(HUMAN_HOLD), at, false) {
            Ownership::TakeOver => false,
            Ownership::HoldUntil(_) => true,
            Ownership::Conflict { .. } => {
                let times = self.0.entry(workload).or_default();
                *times += 1;
                *times >= FIGHT
            }
        }
    }
}
