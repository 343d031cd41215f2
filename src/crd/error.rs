//! Why a custom resource cannot be taken: the field's path, what is wrong with it, and the mend, in one line.

use std::fmt::Display;

/// A custom resource that says something it may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct SpecError {
    /// Path of the field, as `kubectl explain` takes it (`spec.targets[0].min`).
    pub path: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl SpecError {
    /// An error at a path.
    #[must_use]
    pub fn new(path: &dyn Display, message: impl Display) -> Self {
        Self { path: path.to_string(), message: message.to_string() }
    }
}

/// A person's text, quoted in a message but never a megabyte of it.
pub(crate) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(64).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}
