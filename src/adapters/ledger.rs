//! The ledger in SQLite: entries chained by digest, bodies stored once by content, and the loop's memory.
//!
//! An entry is stored as the canonical JSON its digest was taken over, so verifying reads bytes and never re-serialises. Bodies (evidence,
//! dialogues) are kept apart: they may be pruned, and the chain still holds.

mod chain;
mod verify;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};
use tokio::sync::Mutex;

use crate::domain::memory::{MEMORY_VERSION, Memory, PlannerMemory};
use crate::domain::names::Digest;
use crate::domain::proposal::Change;
use crate::domain::record::{Entry, EntryBody, PastDecision};
use crate::ports::{Body, EntryFilter, Ledger, NewEntry, PortError, State};

pub use verify::{Verification, VerifyError};

/// File name of the database within a data directory.
pub const FILE_NAME: &str = "ledger.sqlite";

/// The ledger and the memory store of one installation.
pub struct SqliteLedger {
    pool: SqlitePool,
    /// Position and digest of the chain's end. Held while appending, so that this process is one writer.
    end: Mutex<Option<(u64, Digest)>>,
    /// Held while this lives: another process with the same directory would write another's memory. Readers need no lock.
    lock: Option<std::fs::File>,
}

impl SqliteLedger {
    /// Opens, and where needed creates, the ledger in `directory`.
    ///
    /// # Errors
    /// [`PortError`] naming the path when the directory cannot be made or the file is no ledger.
    pub async fn open(directory: &Path) -> Result<Self, PortError> {
        std::fs::create_dir_all(directory).map_err(|error| PortError::Failed {
            action: format!("create the data directory {}", directory.display()),
            detail: format!("{error}; give a writable one with --data-dir"),
        })?;
        let lock = lock(directory)?;
        let options = SqliteConnectOptions::new().filename(directory.join(FILE_NAME)).create_if_missing(true);
        let mut ledger = Self::connect(options, directory.join(FILE_NAME)).await?;
        ledger.lock = Some(lock);
        Ok(ledger)
    }

    /// Opens a ledger that is there already, for reading.
    ///
    /// # Errors
    /// [`PortError`] naming the path and the mend when there is none.
    pub async fn open_existing(directory: &Path) -> Result<Self, PortError> {
        let file = directory.join(FILE_NAME);
        if !file.is_file() {
            return Err(PortError::Failed {
                action: format!("open the ledger {}", file.display()),
                detail: "there is no such file; name the directory that `ipa run` or `ipa demo` wrote with --data-dir".into(),
            });
        }
        Self::connect(SqliteConnectOptions::new().filename(&file), file).await
    }

    /// A ledger that lives and dies with the process, for tests, evals and benchmarks.
    ///
    /// # Errors
    /// [`PortError`] when SQLite cannot be opened.
    pub async fn in_memory() -> Result<Self, PortError> {
        let options = SqliteConnectOptions::from_str("sqlite::memory:").map_err(|e| failed("open an in-memory ledger", &e))?;
        Self::connect(options, PathBuf::from(":memory:")).await
    }

    async fn connect(options: SqliteConnectOptions, path: PathBuf) -> Result<Self, PortError> {
        let action = format!("open the ledger {}", path.display());
        // A power cut must not take an intent whose action was carried out: FULL, not NORMAL.
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(std::time::Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            // An in-memory database is one connection's own; a file is served by one writer and a few readers.
            .max_connections(if path.as_os_str() == ":memory:" { 1 } else { 4 })
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|error| failed(&action, &error))?;
        for statement in SCHEMA {
            sqlx::query(*statement).execute(&pool).await.map_err(|error| failed(&action, &error))?;
        }
        Ok(Self { pool, end: Mutex::new(None), lock: None })
    }

    /// Ends all connections, with everything in the one database file: copying that file is then enough. Without this nothing is lost, but some
    /// of it lies in SQLite's write-ahead log beside the file.
    ///
    /// # Errors
    /// [`PortError`] when the log could not be written back.
    pub async fn close(&self) -> Result<(), PortError> {
        let done = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await;
        self.pool.close().await;
        done.map(|_| ()).map_err(|e| failed("close the ledger", &e))
    }

    /// Reads the whole chain and recomputes every digest.
    ///
    /// # Errors
    /// [`VerifyError`] naming the first bad entry.
    pub async fn verify(&self) -> Result<Verification, VerifyError> {
        verify::verify(&self.pool).await
    }

    /// Bytes of entries and of bodies, for the measurement of what a target costs a day.
    ///
    /// # Errors
    /// [`PortError`] when the store cannot be read.
    pub async fn sizes(&self) -> Result<(u64, u64), PortError> {
        let size = async |query: &'static str| -> Result<u64, PortError> {
            let bytes: i64 = sqlx::query_scalar(query).fetch_one(&self.pool).await.map_err(|e| failed("measure the ledger", &e))?;
            Ok(u64::try_from(bytes).unwrap_or(0))
        };
        Ok((
            size("SELECT COALESCE(SUM(LENGTH(canonical)), 0) FROM entries").await?,
            size("SELECT COALESCE(SUM(LENGTH(content)), 0) FROM bodies").await?,
        ))
    }

    async fn load_part<T: serde::de::DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, PortError> {
        let row = sqlx::query("SELECT content, digest FROM state WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(|e| failed("load memory", &e))?;
        let Some(row) = row else { return Ok(None) };
        let (content, digest): (String, String) = (row.get(0), row.get(1));
        if chain::sha256(content.as_bytes()).0 != digest {
            return Err(PortError::Corrupt { what: "memory", detail: format!("part `{name}` does not match its digest") });
        }
        serde_json::from_str(&content).map(Some).map_err(|e| PortError::Corrupt { what: "memory", detail: format!("part `{name}`: {e}") })
    }

    async fn save_part<T: serde::Serialize + Sync>(&self, name: &'static str, value: &T) -> Result<(), PortError> {
        let content = chain::canonical(value)?;
        sqlx::query("INSERT INTO state (name, content, digest) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET content = excluded.content, digest = excluded.digest")
            .bind(name)
            .bind(&content)
            .bind(chain::sha256(content.as_bytes()).0)
            .execute(&self.pool)
            .await
            .map_err(|e| failed("save memory", &e))?;
        Ok(())
    }
}

const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS entries (
        seq INTEGER PRIMARY KEY, canonical TEXT NOT NULL, digest TEXT NOT NULL,
        at INTEGER NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, tick INTEGER NOT NULL, kind TEXT NOT NULL) STRICT",
    "CREATE INDEX IF NOT EXISTS entries_by_group ON entries (namespace, name, seq)",
    "CREATE INDEX IF NOT EXISTS entries_by_kind ON entries (kind, seq)",
    "CREATE TABLE IF NOT EXISTS bodies (
        digest TEXT PRIMARY KEY, content TEXT NOT NULL, last_used INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, content TEXT NOT NULL, digest TEXT NOT NULL) STRICT",
];

/// Rows of one INSERT: far below SQLite's limit on parameters, and enough that the trips no longer count.
const ROWS_A_STATEMENT: usize = 200;

/// Takes the directory for this process alone.
fn lock(directory: &Path) -> Result<std::fs::File, PortError> {
    let path = directory.join("lock");
    let failed = |detail: String| PortError::Failed { action: format!("take the data directory {}", directory.display()), detail };
    let file = std::fs::File::create(&path).map_err(|error| failed(error.to_string()))?;
    file.try_lock().map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => {
            failed("another IPA writes there; name another directory with --data-dir, or end that one".into())
        }
        std::fs::TryLockError::Error(error) => failed(error.to_string()),
    })?;
    Ok(file)
}

fn failed(action: &str, error: &sqlx::Error) -> PortError {
    PortError::Failed { action: action.to_owned(), detail: error.to_string() }
}

fn kind(body: &EntryBody) -> &'static str {
    match body {
        EntryBody::Opened(_) => "Opened",
        EntryBody::Intent(_) => "Intent",
        EntryBody::Outcome(_) => "Outcome",
        EntryBody::Closed(_) => "Closed",
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<u64>, PortError> {
        let mut end = self.end.lock().await;
        // Forgotten until the commit has been answered: after a failure it is read anew.
        let known_end = end.take();
        let mut transaction = self.pool.begin().await.map_err(|e| failed("append to the ledger", &e))?;
        let (seq, previous) = match known_end {
            Some(known) => known,
            None => chain::end(&mut transaction).await?,
        };
        // Canonical JSON and digests are work: beside the caller, who may have some of its own.
        let rows = off_thread(move || linked(entries, seq, previous)).await?;
        // Many rows a statement: each statement is a trip to SQLite's thread and back.
        for some in rows.chunks(ROWS_A_STATEMENT) {
            let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO entries (seq, canonical, digest, at, namespace, name, tick, kind) ");
            insert.push_values(some, |mut row, (seq, link, new)| {
                row.push_bind(i64::try_from(*seq).unwrap_or(i64::MAX))
                    .push_bind(&link.canonical)
                    .push_bind(&link.digest.0)
                    .push_bind(new.at.as_second())
                    .push_bind(&*new.group.namespace)
                    .push_bind(&*new.group.name)
                    .push_bind(i64::try_from(new.tick.0).unwrap_or(i64::MAX))
                    .push_bind(kind(&new.body));
            });
            insert.build().execute(&mut *transaction).await.map_err(|e| failed("append to the ledger", &e))?;
        }
        let numbers = rows.iter().map(|(seq, _, _)| *seq).collect();
        transaction.commit().await.map_err(|e| failed("append to the ledger", &e))?;
        *end = rows.last().map(|(seq, link, _)| (*seq, link.digest.clone()));
        Ok(numbers)
    }

    async fn put_bodies(&self, bodies: Vec<Body>, now: Timestamp) -> Result<Vec<Digest>, PortError> {
        let with_digest = |body: Body| chain::canonical(&body).map(|content| (chain::sha256(content.as_bytes()), content));
        let rows = off_thread(move || bodies.into_iter().map(with_digest).collect::<Result<Vec<_>, _>>()).await?;
        let mut transaction = self.pool.begin().await.map_err(|e| failed("store bodies", &e))?;
        for some in rows.chunks(ROWS_A_STATEMENT) {
            let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO bodies (digest, content, last_used) ");
            insert.push_values(some, |mut row, (digest, content)| {
                row.push_bind(&digest.0).push_bind(content).push_bind(now.as_second());
            });
            insert.push(" ON CONFLICT (digest) DO UPDATE SET last_used = excluded.last_used");
            insert.build().execute(&mut *transaction).await.map_err(|e| failed("store bodies", &e))?;
        }
        transaction.commit().await.map_err(|e| failed("store bodies", &e))?;
        Ok(rows.into_iter().map(|(digest, _)| digest).collect())
    }

    async fn body(&self, digest: &Digest) -> Result<Option<Body>, PortError> {
        let content: Option<String> = sqlx::query_scalar("SELECT content FROM bodies WHERE digest = ?")
            .bind(&digest.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(|e| failed("read a body", &e))?;
        let Some(content) = content else { return Ok(None) };
        if chain::sha256(content.as_bytes()) != *digest {
            return Err(PortError::Corrupt { what: "ledger body", detail: format!("{} does not match its content", digest.short()) });
        }
        serde_json::from_str(&content)
            .map(Some)
            .map_err(|e| PortError::Corrupt { what: "ledger body", detail: format!("{}: {e}", digest.short()) })
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, PortError> {
        let done = sqlx::query("DELETE FROM bodies WHERE last_used < ?")
            .bind(before.as_second())
            .execute(&self.pool)
            .await
            .map_err(|e| failed("prune bodies", &e))?;
        Ok(done.rows_affected())
    }

    async fn entries(&self, filter: &EntryFilter) -> Result<Vec<Entry>, PortError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT canonical, digest FROM entries WHERE 1 = 1");
        if let Some(group) = &filter.group {
            query.push(" AND namespace = ").push_bind(group.namespace.to_string());
            query.push(" AND name = ").push_bind(group.name.to_string());
        }
        if let Some(tick) = filter.tick {
            query.push(" AND tick = ").push_bind(i64::try_from(tick.0).unwrap_or(i64::MAX));
        }
        if let Some(before) = filter.before {
            query.push(" AND tick < ").push_bind(i64::try_from(before.0).unwrap_or(i64::MAX));
        }
        if let Some(since) = filter.since {
            query.push(" AND at >= ").push_bind(since.as_second());
        }
        if let Some(after) = filter.after {
            query.push(" AND seq > ").push_bind(i64::try_from(after).unwrap_or(i64::MAX));
        }
        let newest_first = filter.oldest == 0;
        query.push(if newest_first { " ORDER BY seq DESC" } else { " ORDER BY seq" });
        let limit = filter.newest.max(filter.oldest);
        if limit > 0 {
            query.push(" LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
        }
        let rows = query.build().fetch_all(&self.pool).await.map_err(|e| failed("read the ledger", &e))?;
        let mut entries = rows.iter().map(|row| chain::parse(row.get(0), row.get(1))).collect::<Result<Vec<Entry>, PortError>>()?;
        if newest_first {
            entries.reverse();
        }
        Ok(entries)
    }

    async fn past(&self, limit: usize) -> Result<Vec<PastDecision>, PortError> {
        let rows = sqlx::query("SELECT canonical, digest FROM entries WHERE kind = 'Outcome' ORDER BY seq DESC LIMIT ?")
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(|e| failed("read the ledger", &e))?;
        rows.iter()
            .rev()
            .map(|row| chain::parse(row.get(0), row.get(1)))
            .filter_map(|entry| entry.map(|entry| past_decision(&entry)).transpose())
            .collect()
    }
}

/// An entry with its position and how it is linked.
type Placed = (u64, chain::Link, NewEntry);

/// Each entry in its place after the one at `seq`.
fn linked(entries: Vec<NewEntry>, mut seq: u64, mut previous: Digest) -> Result<Vec<Placed>, PortError> {
    let mut rows = Vec::with_capacity(entries.len());
    for new in entries {
        seq += 1;
        let link = chain::link(seq, previous, &new)?;
        previous = link.digest.clone();
        rows.push((seq, link, new));
    }
    Ok(rows)
}

/// Runs what only computes on a thread of its own.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T, PortError> + Send + 'static) -> Result<T, PortError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| PortError::Failed { action: "prepare the ledger's rows".into(), detail: error.to_string() })?
}

fn past_decision(entry: &Entry) -> Option<PastDecision> {
    let EntryBody::Outcome(outcome) = &entry.body else { return None };
    Some(PastDecision {
        seq: entry.seq,
        at: outcome.at,
        target: outcome.change.target()?.clone(),
        origin: outcome.origin,
        replicas: match &outcome.change {
            Change::Replicas(change) => Some((change.from, change.to)),
            Change::Resources(_) | Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => None,
        },
        result: outcome.result.reason().to_owned(),
    })
}

#[async_trait]
impl State for SqliteLedger {
    async fn load(&self) -> Result<Option<Memory>, PortError> {
        let Some(mut memory) = self.load_part::<Memory>("gate").await? else { return Ok(None) };
        if memory.version != MEMORY_VERSION {
            return Ok(None);
        }
        memory.planner = self.load_part::<Arc<PlannerMemory>>("planner").await?.unwrap_or_default();
        Ok(Some(memory))
    }

    async fn save(&self, memory: &Memory) -> Result<(), PortError> {
        self.save_part("planner", &memory.planner).await?;
        self.save_gate(memory).await
    }

    async fn save_gate(&self, memory: &Memory) -> Result<(), PortError> {
        let without_planner = Memory {
            version: memory.version,
            tick: memory.tick,
            planner: Arc::default(),
            gate: memory.gate.clone(),
            dialogues: memory.dialogues.clone(),
        };
        self.save_part("gate", &without_planner).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{GroupId, TickId};
    use crate::domain::record::{Evidence, Opened};
    use crate::domain::snapshot::SourceHealth;

    fn opened(tick: u64) -> NewEntry {
        NewEntry {
            at: Timestamp::from_second(1_772_400_000 + i64::try_from(tick).unwrap() * 60).unwrap(),
            cluster: "test".into(),
            group: GroupId::new("shop", "front"),
            tick: TickId(tick),
            body: EntryBody::Opened(Opened {
                evidence: Digest::default(),
                modes: std::collections::BTreeMap::new(),
                metrics: SourceHealth::Ok,
            }),
        }
    }

    #[tokio::test]
    async fn entries_are_numbered_without_gaps_across_restarts() {
        let directory = tempfile::tempdir().unwrap();
        let first = SqliteLedger::open(directory.path()).await.unwrap();
        assert_eq!(first.append(vec![opened(1), opened(2)]).await.unwrap(), [1, 2]);
        drop(first);
        let second = SqliteLedger::open(directory.path()).await.unwrap();
        assert_eq!(second.append(vec![opened(3)]).await.unwrap(), [3]);
        let entries = second.entries(&EntryFilter::default()).await.unwrap();
        assert_eq!(entries.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(entries[2].previous, entries[1].digest);
        assert_eq!(second.verify().await.unwrap().entries, 3);
    }

    #[tokio::test]
    async fn a_ledger_that_was_closed_is_whole_in_its_one_file() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ledger = SqliteLedger::open(here.path()).await.unwrap();
        ledger.append(vec![opened(1), opened(2)]).await.unwrap();
        ledger.close().await.unwrap();
        std::fs::copy(here.path().join(FILE_NAME), there.path().join(FILE_NAME)).unwrap();
        assert!(!here.path().join(format!("{FILE_NAME}-wal")).exists());
        let copy = SqliteLedger::open_existing(there.path()).await.unwrap();
        assert_eq!(copy.verify().await.unwrap().entries, 2);
    }

    #[tokio::test]
    async fn a_second_writer_is_refused_and_a_reader_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let first = SqliteLedger::open(directory.path()).await.unwrap();
        let second = SqliteLedger::open(directory.path()).await;
        assert!(second.is_err_and(|error| error.to_string().contains("--data-dir")));
        assert_eq!(SqliteLedger::open_existing(directory.path()).await.unwrap().verify().await.unwrap().entries, 0);
        drop(first);
        assert!(SqliteLedger::open(directory.path()).await.is_ok());
    }

    #[tokio::test]
    async fn a_flipped_byte_is_found_and_named() {
        let ledger = SqliteLedger::in_memory().await.unwrap();
        ledger.append((1..=5).map(opened).collect()).await.unwrap();
        let canonical: String = sqlx::query_scalar("SELECT canonical FROM entries WHERE seq = 3").fetch_one(&ledger.pool).await.unwrap();
        for position in 0..canonical.len() {
            let mut bytes = canonical.clone().into_bytes();
            bytes[position] ^= 1;
            let Ok(flipped) = String::from_utf8(bytes) else { continue };
            sqlx::query("UPDATE entries SET canonical = ? WHERE seq = 3").bind(&flipped).execute(&ledger.pool).await.unwrap();
            let error = ledger.verify().await.unwrap_err();
            assert!(error.to_string().contains("entry 3"), "{position}: {error}");
        }
    }

    #[tokio::test]
    async fn a_deleted_swapped_or_moved_entry_is_found() {
        for tampering in [
            "DELETE FROM entries WHERE seq = 3",
            "DELETE FROM entries WHERE seq = 1",
            "UPDATE entries SET canonical = (SELECT canonical FROM entries WHERE seq = 2), digest = (SELECT digest FROM entries WHERE seq = 2) WHERE seq = 3",
            "UPDATE entries SET name = 'other' WHERE seq = 3",
            "UPDATE entries SET tick = 9 WHERE seq = 3",
            "UPDATE entries SET kind = 'Outcome' WHERE seq = 3",
        ] {
            let ledger = SqliteLedger::in_memory().await.unwrap();
            ledger.append((1..=5).map(opened).collect()).await.unwrap();
            sqlx::query(tampering).execute(&ledger.pool).await.unwrap();
            assert!(ledger.verify().await.is_err(), "{tampering}");
        }
    }

    #[tokio::test]
    async fn the_same_body_is_stored_once_and_may_be_pruned() {
        let ledger = SqliteLedger::in_memory().await.unwrap();
        let body = Body::Evidence(Evidence { targets: Vec::new(), events: Vec::new(), guardrail: None });
        let at = |s| Timestamp::from_second(s).unwrap();
        let first = ledger.put_bodies(vec![body.clone()], at(10)).await.unwrap().remove(0);
        let second = ledger.put_bodies(vec![body.clone(), body.clone()], at(20)).await.unwrap().remove(1);
        assert_eq!(first, second);
        assert_eq!(ledger.prune(at(20)).await.unwrap(), 0, "used again at 20");
        assert_eq!(ledger.body(&first).await.unwrap(), Some(body));
        assert_eq!(ledger.prune(at(21)).await.unwrap(), 1);
        assert_eq!(ledger.body(&first).await.unwrap(), None);
    }

    #[tokio::test]
    async fn memory_is_taken_only_when_it_matches_its_digest() {
        let ledger = SqliteLedger::in_memory().await.unwrap();
        assert_eq!(ledger.load().await.unwrap(), None);
        let memory = Memory { tick: TickId(7), ..Memory::default() };
        ledger.save(&memory).await.unwrap();
        assert_eq!(ledger.load().await.unwrap(), Some(memory));
        sqlx::query("UPDATE state SET content = REPLACE(content, '7', '8') WHERE name = 'gate'").execute(&ledger.pool).await.unwrap();
        assert!(matches!(ledger.load().await, Err(PortError::Corrupt { what: "memory", .. })));
    }
}
