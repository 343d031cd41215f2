//! A fresh look at an object before it is written, and whether what was released still fits it.

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::core::DynamicObject;

use super::{Known, Try};
use crate::domain::names::TargetKey;
use crate::domain::outcome::OutcomeResult;
use crate::domain::workload::{FieldWriter, OwnedField, WriteOperation};
use crate::guardrails::ownership::{ACTUATOR, Ownership, ownership};

use super::super::meta;
use super::super::owners;

/// An object as the API server shows it now.
pub struct World {
    pub uid: Arc<str>,
    pub resource_version: String,
    pub generation: i64,
    pub writers: Vec<FieldWriter>,
    pub object: DynamicObject,
}

impl World {
    /// Reads what the checks need.
    pub fn of(object: DynamicObject) -> Self {
        Self {
            uid: meta::uid(&object.metadata),
            resource_version: object.resource_version().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or(0),
            writers: owners::writers(&object.metadata),
            object,
        }
    }

    /// Refuses an object that is another one of the same name, is on its way out, or is older than what was seen before.
    pub fn check(&self, target: &TargetKey, uid: &str, known: &Known) -> Result<(), Try> {
        if *self.uid != *uid || self.object.metadata.deletion_timestamp.is_some() {
            return Err(Try::Done(OutcomeResult::Gone));
        }
        let version = |text: &str| text.parse::<u128>().ok();
        let seen = known.resource_version.as_deref().and_then(version);
        if let (Some(seen), Some(now)) = (seen, version(&self.resource_version))
            && now < seen
        {
            let detail = format!("the API server answered with an older {target} (version {now} after {seen})");
            return Err(Try::Done(OutcomeResult::WorldChanged { detail }));
        }
        Ok(())
    }

    /// Whether we own the field.
    pub fn is_ours(&self, field: &OwnedField) -> bool {
        self.writers.iter().any(|w| w.field == *field && &*w.manager == ACTUATOR && w.operation == WriteOperation::Apply)
    }

    /// Whether others that own the field must be overruled; `Err` when one of them may not be.
    pub fn must_force(&self, field: &OwnedField, known: &Known, now: Timestamp) -> Result<bool, Try> {
        let takeover = meta::ipa_annotations(&self.object.metadata).get("takeover").is_some_and(|v| v != "false");
        let mut others = false;
        for writer in self.writers.iter().filter(|w| w.field == *field) {
            let advice = match ownership(writer, known.human_hold, now, takeover) {
                Ownership::TakeOver => {
                    others |= &*writer.manager != ACTUATOR || writer.operation != WriteOperation::Apply;
                    continue;
                }
                Ownership::HoldUntil(until) => format!("a person set it; it is left alone until {until} (spec.humanHold)"),
                Ownership::Conflict { advice } => advice,
            };
            return Err(Try::Done(OutcomeResult::Conflicted { manager: writer.manager.clone(), advice }));
        }
        Ok(others)
    }
}
