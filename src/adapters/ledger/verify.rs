//! Reading the whole chain anew: every digest, every link, every column that a query goes by.

use futures::TryStreamExt;
use sqlx::{Row, SqlitePool};

use super::chain;
use crate::domain::names::Digest;

/// A chain that holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Verification {
    /// Entries read.
    pub entries: u64,
    /// Digest of the last one: note it elsewhere, and a cut tail is found too.
    pub head: Digest,
}

/// The first place at which the chain does not hold.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// An entry is missing, or stands at another's place.
    #[error("entry {expected} is missing: the next one there is numbered {found}")]
    Missing {
        /// What should come next.
        expected: u64,
        /// What comes.
        found: u64,
    },
    /// An entry is not what was written.
    #[error("entry {seq} was changed: {detail}")]
    Changed {
        /// Its position.
        seq: u64,
        /// What does not match.
        detail: &'static str,
    },
    /// The store cannot be read.
    #[error("failed to read the ledger: {0}")]
    Read(#[from] sqlx::Error),
}

/// Verifies from the first entry to the last.
pub(super) async fn verify(pool: &SqlitePool) -> Result<Verification, VerifyError> {
    let mut rows = sqlx::query("SELECT seq, canonical, digest, at, namespace, name, tick, kind FROM entries ORDER BY seq").fetch(pool);
    let (mut entries, mut previous) = (0u64, chain::genesis());
    while let Some(row) = rows.try_next().await? {
        let seq = u64::try_from(row.get::<i64, _>(0)).unwrap_or(0);
        if seq != entries + 1 {
            return Err(VerifyError::Missing { expected: entries + 1, found: seq });
        }
        let changed = |detail| VerifyError::Changed { seq, detail };
        let (canonical, digest): (&str, &str) = (row.get(1), row.get(2));
        if chain::sha256(canonical.as_bytes()).0 != digest {
            return Err(changed("its content does not match its digest"));
        }
        let entry = chain::parse(canonical, digest).map_err(|_| changed("it cannot be read"))?;
        if entry.previous != previous {
            return Err(changed("it does not follow the entry before"));
        }
        let (at, namespace, name, tick): (i64, &str, &str, i64) = (row.get(3), row.get(4), row.get(5), row.get(6));
        let filed_rightly = entry.seq == seq
            && entry.at.as_second() == at
            && *entry.group.namespace == *namespace
            && *entry.group.name == *name
            && i64::try_from(entry.tick.0).is_ok_and(|t| t == tick)
            && super::kind(&entry.body) == row.get::<&str, _>(7);
        if !filed_rightly {
            return Err(changed("it is filed under another group, tick, time or kind than it says"));
        }
        entries = seq;
        previous = entry.digest;
    }
    Ok(Verification { entries, head: previous })
}
