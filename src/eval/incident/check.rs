//! Small checks that several parts of an incident share: times in whole seconds, numbers within a range, names.

use std::fmt::Display;

use crate::crd::SpecError;
use crate::crd::error::quoted;
use crate::crd::target_ref::is_object_name;
use crate::domain::units::GoDuration;

/// A time of whole seconds.
pub(super) fn whole_seconds(duration: GoDuration, path: &dyn Display) -> Result<u32, SpecError> {
    let GoDuration(exact) = duration;
    if exact.subsec_nanos() != 0 {
        return Err(SpecError::new(path, format_args!("{duration} is no whole number of seconds; write one such as 90s")));
    }
    u32::try_from(exact.as_secs())
        .map_err(|_| SpecError::new(path, format_args!("{duration} is longer than a century; write a shorter time")))
}

/// A number that is finite and within bounds, both included.
pub(super) fn within(value: f64, path: &dyn Display, least: f64, most: f64) -> Result<f64, SpecError> {
    if value.is_finite() && value >= least && value <= most {
        return Ok(value + 0.0);
    }
    Err(SpecError::new(path, format_args!("{value} is out of range; write a number from {least} to {most}")))
}

/// A number above 0, and finite.
pub(super) fn above_zero(value: f64, path: &dyn Display, most: f64) -> Result<f64, SpecError> {
    if value > 0.0 && value <= most {
        return Ok(value);
    }
    Err(SpecError::new(path, format_args!("{value} is out of range; write a number above 0 and at most {most}")))
}

/// A name as Kubernetes gives objects.
pub(super) fn name<'a>(text: &'a str, path: &dyn Display) -> Result<&'a str, SpecError> {
    if is_object_name(text) {
        return Ok(text);
    }
    Err(SpecError::new(path, format_args!("{} is no name; write lower-case letters, digits and -", quoted(text))))
}

/// Each name once.
pub(super) fn each_once<'a>(names: impl Iterator<Item = &'a str>, path: impl Fn(usize) -> String) -> Result<(), SpecError> {
    let mut seen = std::collections::BTreeSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name) {
            return Err(SpecError::new(&path(index), format_args!("{} is listed twice; list it once", quoted(name))));
        }
    }
    Ok(())
}
