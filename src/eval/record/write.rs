//! The directory: written whole, read back as a replay would, and taken away again where that fails. (world)

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{RecordError, Recording};
use crate::eval::incident::Incident;

/// The incident itself.
pub(super) const INCIDENT_FILE: &str = "incident.yaml";
/// The custom resources under test.
pub(super) const LIMITS_FILE: &str = "ipa.yaml";
/// What the cluster noted.
pub(super) const EVENTS_FILE: &str = "events.jsonl";

/// A document as YAML.
pub(super) fn yaml<T: Serialize>(document: &T) -> Result<String, RecordError> {
    serde_saphyr::to_string(document).map_err(|error| RecordError::Yaml(error.to_string()))
}

/// Whether a directory can take a recording: it is empty, or not there.
///
/// # Errors
/// [`RecordError::NotEmpty`], or [`RecordError::Write`] where it cannot be looked into.
pub fn is_free(directory: &Path) -> Result<(), RecordError> {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(RecordError::NotEmpty { directory: directory.to_owned() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(RecordError::Write { path: directory.to_owned(), source }),
    }
}

impl Recording {
    /// Writes all files into a directory that is empty or not there, and reads them back.
    ///
    /// # Errors
    /// [`RecordError`] when it holds something, cannot be written, or would be no incident; what was written is gone then.
    pub fn write(&self, directory: &Path) -> Result<Incident, RecordError> {
        is_free(directory)?;
        let failed = |path: &Path, source| RecordError::Write { path: path.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(|source| failed(directory, source))?;
        let mut written: Vec<PathBuf> = Vec::new();
        let mut all = || {
            for (name, text) in &self.files {
                let path = directory.join(name);
                written.push(path.clone());
                std::fs::write(&path, text).map_err(|source| failed(&path, source))?;
            }
            Ok(Incident::read(directory)?)
        };
        let read = all();
        if read.is_err() {
            for path in written {
                // What cannot be taken away is not worth more than the error that is about to be told.
                let _ = std::fs::remove_file(path);
            }
        }
        read
    }
}
