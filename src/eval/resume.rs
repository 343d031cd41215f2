//! Finished cells, one a line in a file: a run that was interrupted goes on where it stopped.
//!
//! A cell is known by a digest of all that it depends on: the incident's files, the policy, the seed, the price, the build, and for a policy with
//! a model which one. What another build wrote is left alone and not read. One process at a time may hold the file.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Digest as _;

use super::cell::CellResult;
use super::policy::Policy;
use crate::domain::names::{Digest, DigestError};

/// Name of the file in the directory that is given.
pub const FILE_NAME: &str = "cells.jsonl";

/// Finished cells that were read, and the file to which new ones are added.
#[derive(Debug)]
pub struct Finished {
    path: PathBuf,
    build: String,
    known: BTreeMap<Digest, CellResult>,
    file: Mutex<File>,
}

/// All that a cell depends on.
#[derive(Clone, Copy, Debug)]
pub struct CellName<'a> {
    /// Digest of the incident's files.
    pub incident: &'a Digest,
    /// Who decides.
    pub policy: Policy,
    /// Seed.
    pub seed: u64,
    /// Price; 0 for a policy that takes none.
    pub price: u32,
    /// Which model, for a policy that has one.
    pub model: &'a str,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    key: Digest,
    build: String,
    /// Read only when the build is ours: another build's cells may have another shape.
    cell: Value,
}

/// Why finished cells cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// A file or directory.
    #[error("failed to {verb} {}", path.display())]
    File {
        /// Open, read, write.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else holds it.
    #[error("{} is in use by another run: wait for it, or name another directory", .0.display())]
    Busy(PathBuf),
    /// A line in the middle that is no cell.
    #[error("{} line {line} is no finished cell: remove the line, or name another directory", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A key could not be made.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A cell could not be written as JSON.
    #[error("failed to write a finished cell as JSON")]
    Cell(#[source] serde_json::Error),
}

impl Finished {
    /// Opens the file in `directory`, which is made where there is none, and drops a last line that was torn when a run ended.
    ///
    /// # Errors
    /// [`ResumeError`], naming the file, and the line where one does not hold.
    pub fn open(directory: &Path, build: &str) -> Result<Self, ResumeError> {
        let path = directory.join(FILE_NAME);
        let failed = |verb| {
            let path = path.clone();
            move |source| ResumeError::File { verb, path, source }
        };
        std::fs::create_dir_all(directory).map_err(failed("make the directory of"))?;
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ResumeError::Busy(path)),
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("read"))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        file.set_len(whole as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed("mend"))?;
        let mut known = BTreeMap::new();
        for (index, text) in bytes[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, text)| !text.is_empty()) {
            let wrong = |source| ResumeError::Line { path: path.clone(), line: index + 1, source };
            let line: Line = serde_json::from_slice(text).map_err(wrong)?;
            if line.build == build {
                known.insert(line.key, serde_json::from_value(line.cell).map_err(wrong)?);
            }
        }
        Ok(Self { path, build: build.to_owned(), known, file: Mutex::new(file) })
    }

    /// The key of a cell.
    ///
    /// # Errors
    /// When it has no canonical JSON.
    pub fn key(&self, cell: &CellName<'_>) -> Result<Digest, ResumeError> {
        // A seed is written as text: JSON's numbers do not hold all of them.
        Ok(Digest::of(&(cell.incident, cell.policy, cell.seed.to_string(), cell.price, cell.model, &self.build))?)
    }

    /// A cell that an earlier run finished.
    #[must_use]
    pub fn get(&self, key: &Digest) -> Option<&CellResult> {
        self.known.get(key)
    }

    /// Keeps a cell that was finished now.
    ///
    /// # Errors
    /// [`ResumeError`] when it cannot be written.
    pub fn add(&self, key: Digest, cell: &CellResult) -> Result<(), ResumeError> {
        let cell = serde_json::to_value(cell).map_err(ResumeError::Cell)?;
        let mut line = serde_json::to_vec(&Line { key, build: self.build.clone(), cell }).map_err(ResumeError::Cell)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).map_err(|source| ResumeError::File { verb: "write", path: self.path.clone(), source })
    }
}

/// Digest of every file of an incident's directory, names and contents: what a cell of it depends on.
///
/// # Errors
/// When the directory or a file cannot be read.
pub fn incident_digest(directory: &Path) -> Result<Digest, ResumeError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ResumeError::File { verb: "read", path, source }
    };
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        if path.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, hash_of(&path).map_err(failed(&path))?);
        }
    }
    Ok(Digest::of(&files)?)
}

/// Names this build by its version and its executable's digest: after any change to the code, cells are run anew.
///
/// # Errors
/// When the executable cannot be found or read.
pub fn this_build() -> io::Result<String> {
    let digest = hash_of(&std::env::current_exe()?)?;
    Ok(format!("{}+{}", env!("CARGO_PKG_VERSION"), digest.get(..16).unwrap_or_default()))
}

fn hash_of(path: &Path) -> io::Result<String> {
    let mut hasher = sha2::Sha256::new();
    let mut file = File::open(path)?;
    let mut part = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&part[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::Runner as _;
    use super::super::testing::{MadeUp, seasonal};
    use super::*;

    fn cell(seed: u64) -> CellResult {
        MadeUp::default().run(&seasonal("shop", 30), Policy::Ipa, seed, 10).unwrap()
    }

    fn key(finished: &Finished, seed: u64, price: u32) -> Digest {
        let incident = Digest("incident".into());
        finished.key(&CellName { incident: &incident, policy: Policy::Ipa, seed, price, model: "" }).unwrap()
    }

    #[test]
    fn what_was_finished_is_known_to_the_next_run_of_the_same_build() {
        let directory = tempfile::tempdir().unwrap();
        let first = Finished::open(directory.path(), "a").unwrap();
        first.add(key(&first, 1, 10), &cell(1)).unwrap();
        first.add(key(&first, u64::MAX, 10), &cell(2)).unwrap();
        drop(first);
        let second = Finished::open(directory.path(), "a").unwrap();
        assert_eq!(second.get(&key(&second, 1, 10)), Some(&cell(1)));
        assert_eq!(second.get(&key(&second, u64::MAX, 10)), Some(&cell(2)));
        assert_eq!(second.get(&key(&second, u64::MAX - 1, 10)), None);
        assert_eq!(second.get(&key(&second, 1, 30)), None);
        drop(second);
        let other = Finished::open(directory.path(), "b").unwrap();
        assert_eq!(other.get(&key(&other, 1, 10)), None, "another build ran it");
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_the_file_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let first = Finished::open(directory.path(), "a").unwrap();
        first.add(key(&first, 1, 10), &cell(1)).unwrap();
        first.add(key(&first, 2, 10), &cell(2)).unwrap();
        drop(first);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
        let second = Finished::open(directory.path(), "a").unwrap();
        assert!(second.get(&key(&second, 1, 10)).is_some() && second.get(&key(&second, 2, 10)).is_none());
        second.add(key(&second, 2, 10), &cell(2)).unwrap();
        drop(second);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn a_line_that_is_no_cell_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE_NAME), "\n{\"key\":1}\n").unwrap();
        let said = Finished::open(directory.path(), "a").unwrap_err().to_string();
        assert!(said.contains("cells.jsonl line 2 is no finished cell"), "{said}");
    }

    #[test]
    fn two_runs_do_not_share_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Finished::open(directory.path(), "a").unwrap();
        assert!(matches!(Finished::open(directory.path(), "a"), Err(ResumeError::Busy(_))));
    }

    #[test]
    fn an_incident_is_another_when_any_of_its_files_is() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("incident.yaml", "a");
        write("web.csv", "b");
        let before = incident_digest(directory.path()).unwrap();
        assert_eq!(incident_digest(directory.path()).unwrap(), before);
        write("web.csv", "c");
        assert_ne!(incident_digest(directory.path()).unwrap(), before);
        write("web.csv", "b");
        write("events.jsonl", "");
        assert_ne!(incident_digest(directory.path()).unwrap(), before);
    }

    #[test]
    fn a_build_is_named_by_its_executable() {
        let build = this_build().unwrap();
        assert!(
            build.starts_with(concat!(env!("CARGO_PKG_VERSION"), "+")) && build.len() == env!("CARGO_PKG_VERSION").len() + 17,
            "{build}"
        );
    }
}
