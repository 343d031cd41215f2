//! What was written to the simulated cluster's objects, and by whom: its audit log, as far as it has not been taken.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;

use super::world::World;
use crate::domain::names::TargetKey;
use crate::domain::workload::FieldWriter;

/// Writes that are kept for who takes them; of more, the oldest go. A cluster that nobody audits must not grow.
const KEPT: usize = 4096;

/// A write that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// When.
    pub at: Timestamp,
    /// Under which field manager.
    pub manager: Arc<str>,
    /// To what.
    pub what: Written,
}

/// What a write was to.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// `spec.replicas` of a workload.
    Replicas {
        /// Whose.
        target: TargetKey,
        /// Before.
        from: u32,
        /// After.
        to: u32,
        /// Who had written the field before.
        owner: Option<FieldWriter>,
    },
    /// Requests and limits of a workload.
    Resources {
        /// Whose.
        target: TargetKey,
    },
    /// A node pool.
    NodePool {
        /// Its name.
        pool: Arc<str>,
    },
}

/// The newest writes, oldest first.
#[derive(Debug, Default)]
pub(super) struct AuditLog(VecDeque<Write>);

impl AuditLog {
    pub(super) fn note(&mut self, write: Write) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(write);
    }
}

impl World {
    /// Writes since the last time that they were taken, oldest first.
    pub fn take_writes(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.audit.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{Fault, FaultKind, Scenario};
    use super::super::testing::{NOON, at, catalogue, replicas, scenario, web, world};
    use super::*;
    use crate::guardrails::ownership::ACTUATOR;

    #[test]
    fn each_write_is_noted_with_who_made_it_and_whose_the_field_was() {
        let fault = Fault { from: at(NOON + 30), until: at(NOON + 60), target: None, kind: FaultKind::HumanScale { replicas: 5 } };
        let mut world = World::new(Scenario { faults: vec![fault], ..scenario(vec![web()]) }, catalogue(), 1).unwrap();
        assert!(world.write(&replicas(&world, &web().key, 3)).is_applied());
        world.advance_to(at(NOON + 40));
        assert!(world.set_replicas(&web().key, 2, ACTUATOR));
        let writes = world.take_writes();
        let rows: Vec<_> = writes
            .iter()
            .map(|write| match &write.what {
                Written::Replicas { from, to, owner, .. } => (&*write.manager, *from, *to, owner.as_ref().map(|owner| &*owner.manager)),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(rows[..2], [(ACTUATOR, 2, 3, Some(ACTUATOR)), ("kubectl", 3, 5, Some(ACTUATOR))]);
        assert_eq!(rows[2..], [(ACTUATOR, 5, 2, Some("kubectl"))]);
        assert_eq!((writes[0].at, writes[2].at, world.take_writes()), (at(NOON), at(NOON + 40), Vec::new()));
    }

    #[test]
    fn a_log_that_nobody_takes_does_not_grow_for_ever() {
        let mut world = world(vec![web()]);
        for time in 0..KEPT as u32 + 10 {
            world.set_replicas(&web().key, 1 + time % 2, ACTUATOR);
        }
        assert_eq!(world.take_writes().len(), KEPT);
    }
}
