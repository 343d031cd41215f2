//! The one conversion of each kind into the domain's checked types. All that the schema and its CEL rules say is checked again here, and what
//! they cannot say besides; an error names the field and the mend, and nothing is taken from an object with an error.

mod change;
mod fleet;
mod group;
mod guardrail;
mod proposal;

use std::fmt::Display;

pub use fleet::fleet;
pub use group::group;
pub use guardrail::guardrail;
pub use proposal::{closed_status, manifest, queued};

use super::error::SpecError;

/// A whole number within bounds, as the domain counts.
fn whole(value: impl Into<i64>, path: &dyn Display, least: u32, most: u32) -> Result<u32, SpecError> {
    let value = value.into();
    u32::try_from(value)
        .ok()
        .filter(|v| (least..=most).contains(v))
        .ok_or_else(|| SpecError::new(path, format_args!("{value} is out of range; write a whole number from {least} to {most}")))
}

/// No more items than the schema allows.
fn at_most<T>(items: &[T], most: usize, path: &dyn Display) -> Result<(), SpecError> {
    if items.len() > most {
        return Err(SpecError::new(path, format_args!("{} items are more than {most}; remove some", items.len())));
    }
    Ok(())
}

/// The first item that equals an earlier one.
fn repeated<T: PartialEq>(items: &[T]) -> Option<usize> {
    (1..items.len()).find(|i| items[..*i].contains(&items[*i]))
}

/// A time as the API server takes it.
fn time(text: &str, path: &dyn Display) -> Result<jiff::Timestamp, SpecError> {
    text.parse().map_err(|_| {
        SpecError::new(path, format_args!("{} is no RFC 3339 time; write one such as 2026-11-27T00:00:00Z", super::error::quoted(text)))
    })
}
