//! Makes incidents: the suite that ships in `evals/`, and others like it from another seed.
//!
//! ```text
//! suite/*.rs    what happens, one theme a file: a `Case` each
//!   load.rs     demand by the minute: day, week, wandering, grain, bursts, and what happens in it
//!   service.rs  how the services of the cases behave
//!   case.rs     a case and a seed, to the files of a directory
//!   readme.rs   the table of them all
//! ```
//!
//! No foreign data goes in: the cases are modelled on what public accounts of outages say happened, never on their numbers. One seed gives the
//! same bytes on every machine, and a test holds the committed files against it. Another seed gives the same stories with other days, other noise and
//! other bursts: a suite that nobody has tuned on.

mod case;
mod load;
mod random;
mod readme;
mod service;
mod suite;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

pub use case::Generated;

use super::incident::IncidentError;

/// The seed of the suite that ships.
pub const SHIPPED_SEED: u64 = 20_260_302;

/// The files of a suite, by their paths below its directory: every incident's, and the `README.md` that lists them.
///
/// # Errors
/// [`GenerateError`] when a case says what cannot be written (a test holds that none does).
pub fn suite(seed: u64) -> Result<BTreeMap<String, String>, GenerateError> {
    let generated: Vec<Generated> = suite::cases().iter().map(|case| case.generate(seed)).collect::<Result<_, _>>()?;
    let mut files = BTreeMap::from([("README.md".to_owned(), readme::readme(&generated, seed))]);
    for incident in generated {
        files.extend(incident.files.into_iter().map(|(file, text)| (format!("{}/{file}", incident.name), text)));
    }
    Ok(files)
}

/// Writes a suite below a directory. What lies there under other names is left alone.
///
/// # Errors
/// [`GenerateError`] when a file cannot be written.
pub fn write(directory: &Path, seed: u64) -> Result<usize, GenerateError> {
    let files = suite(seed)?;
    for (path, text) in &files {
        let file = directory.join(path);
        let write = || {
            file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(&file, text)
        };
        write().map_err(|source| GenerateError::File { path: file.display().to_string(), source })?;
    }
    Ok(files.len())
}

/// Why a suite could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// A file could not be written.
    #[error("failed to write {path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A case begins at no time, or in no time zone.
    #[error("the case {name} is not whole: {problem}")]
    Case {
        /// Which.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// What was made cannot be read again.
    #[error(transparent)]
    Incident(#[from] IncidentError),
}

#[cfg(test)]
mod tests;
