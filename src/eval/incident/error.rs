//! Why an incident cannot be taken: one line with the file, the line where it has rows, the field, what is wrong with it and the mend.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::crd::SpecError;

/// An incident that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    /// A file is missing or cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A field says what it may not.
    #[error("{}: {field}: {message}", path.display())]
    Field {
        /// In which file.
        path: PathBuf,
        /// Path of the field (`spec.workloads[0].startup`).
        field: String,
        /// What is wrong, and what to write instead.
        message: String,
    },
    /// A row or a line says what it may not.
    #[error("{}:{line}: {field}: {message}", path.display())]
    Line {
        /// In which file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// The column or field.
        field: String,
        /// What is wrong, and what to write instead.
        message: String,
    },
}

impl IncidentError {
    pub(super) fn field(path: &Path, error: SpecError) -> Self {
        let SpecError { path: field, message } = error;
        Self::Field { path: path.to_owned(), field: one_line(&field), message: one_line(&message) }
    }

    pub(super) fn line(path: &Path, error: LineError) -> Self {
        let LineError { line, field, message } = error;
        Self::Line { path: path.to_owned(), line, field: one_line(&field), message: one_line(&message) }
    }
}

/// What is wrong with a line of a file whose name the caller knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LineError {
    pub(super) line: u64,
    pub(super) field: String,
    pub(super) message: String,
}

impl LineError {
    pub(super) fn new(line: u64, field: &str, message: impl Display) -> Self {
        Self { line, field: field.to_owned(), message: message.to_string() }
    }
}

/// Most characters of a message: what a file says is quoted, but never a megabyte of it.
const MOST_CHARS: usize = 400;

/// The text on one line. What a file says may be quoted in it, line ends and all.
fn one_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let mut line: String = text.chars().take(MOST_CHARS).map(|c| if breaks(c) { ' ' } else { c }).collect();
    if line.len() < text.len() && text.chars().count() > MOST_CHARS {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_never_breaks_the_line_and_is_never_quoted_whole() {
        let error = SpecError::new(&"spec.start", format_args!("`a\nb\r\u{2028}c{}` is no time", "x".repeat(10_000)));
        let text = IncidentError::field(Path::new("incident.yaml"), error).to_string();
        assert!(text.starts_with("incident.yaml: spec.start: `a b  cxxx") && text.ends_with('…'), "{text}");
        assert!(text.chars().count() < MOST_CHARS + 50);
    }
}
