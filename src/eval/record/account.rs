//! What whoever reads the incident must know of how it came about: what was taken by default, what differs from what there was.

use std::fmt;

use serde::Serialize;

/// A field that nobody knew and that has its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assumed {
    /// Which (`web.service.timeout`).
    pub field: String,
    /// What stands there now.
    pub value: String,
    /// Why it was not known.
    pub because: String,
}

/// What is told at the end.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) assumed: Vec<Assumed>,
    pub(super) notes: Vec<String>,
}

impl Account {
    pub(super) fn assume(&mut self, field: impl Into<String>, value: impl fmt::Display, because: &str) {
        self.assumed.push(Assumed { field: field.into(), value: value.to_string(), because: because.to_owned() });
    }

    pub(super) fn note(&mut self, sentence: String) {
        self.notes.push(sentence);
    }
}

impl fmt::Display for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.field, self.value, self.because)
    }
}
