//! What can be wrong with a tool call, as data. The words in which a model hears of it are a template of `prompts/`.

use serde::{Deserialize, Serialize};

use super::text::cleaned;

/// Most characters of a model's own text that are quoted back to it.
const QUOTED_CHARACTERS: usize = 160;

/// A mistaken tool call. Answered once a dialogue; the second ends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Mistake {
    /// There is no such tool.
    UnknownTool {
        /// As the model wrote it.
        given: String,
    },
    /// The arguments are not one JSON object.
    NotJSON {
        /// Field at which it was noticed; `arguments` for the whole.
        field: String,
        /// What was found.
        problem: String,
    },
    /// A field is missing, unknown, of another type or in another unit.
    Field {
        /// Which field.
        field: String,
        /// What was found.
        problem: String,
    },
    /// A name that stands for nothing in this dialogue.
    UnknownName {
        /// Which field.
        field: String,
        /// As the model wrote it.
        given: String,
        /// What there is.
        known: String,
    },
    /// A number outside what the field takes.
    OutOfRange {
        /// Which field.
        field: String,
        /// The number.
        given: String,
        /// What the field takes, with its unit.
        range: String,
    },
}

impl Mistake {
    /// A tool that does not exist.
    #[must_use]
    pub fn unknown_tool(given: &str) -> Self {
        Self::UnknownTool { given: cleaned(given, QUOTED_CHARACTERS) }
    }

    /// Arguments that are not JSON.
    #[must_use]
    pub fn not_json(field: &str, problem: &str) -> Self {
        Self::NotJSON { field: cleaned(field, QUOTED_CHARACTERS), problem: cleaned(problem, QUOTED_CHARACTERS) }
    }

    /// A field that is wrong.
    #[must_use]
    pub fn field(field: &str, problem: &str) -> Self {
        Self::Field { field: cleaned(field, QUOTED_CHARACTERS), problem: cleaned(problem, QUOTED_CHARACTERS) }
    }

    /// A name that stands for nothing.
    #[must_use]
    pub fn unknown_name(field: &str, given: &str, known: &str) -> Self {
        Self::UnknownName { field: field.to_owned(), given: cleaned(given, QUOTED_CHARACTERS), known: known.to_owned() }
    }

    /// A number out of range.
    #[must_use]
    pub fn out_of_range(field: &str, given: u64, range: &str) -> Self {
        Self::OutOfRange { field: field.to_owned(), given: given.to_string(), range: range.to_owned() }
    }

    /// Machine reason, with the field where there is one: what the record says of a dialogue that ended by it.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::UnknownTool { .. } => "UnknownTool".to_owned(),
            Self::NotJSON { field, .. } => format!("NotJSON/{field}"),
            Self::Field { field, .. } => format!("Field/{field}"),
            Self::UnknownName { field, .. } => format!("UnknownName/{field}"),
            Self::OutOfRange { field, .. } => format!("OutOfRange/{field}"),
        }
    }
}
