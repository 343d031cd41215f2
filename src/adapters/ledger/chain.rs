//! How an entry is linked: its digest is SHA-256 over the canonical JSON (RFC 8785) of everything in it, the digest before included.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use sqlx::{Row, Sqlite, Transaction};

use crate::domain::names::{Digest, GroupId, TickId};
use crate::domain::record::{Entry, EntryBody};
use crate::ports::{NewEntry, PortError};

/// What the digest is taken over.
#[derive(Serialize, Deserialize)]
struct Linked<B> {
    seq: u64,
    at: Timestamp,
    cluster: std::sync::Arc<str>,
    group: GroupId,
    tick: TickId,
    body: B,
    previous: Digest,
}

/// An entry in its place.
pub(super) struct Link {
    pub(super) canonical: String,
    pub(super) digest: Digest,
}

/// SHA-256 in hex.
pub(super) fn sha256(bytes: &[u8]) -> Digest {
    Digest(hex::encode(sha2::Sha256::digest(bytes)))
}

/// RFC 8785 canonical JSON.
pub(super) fn canonical<T: Serialize>(value: &T) -> Result<String, PortError> {
    serde_json_canonicalizer::to_string(value)
        .map_err(|error| PortError::Failed { action: "write canonical JSON for the ledger".into(), detail: error.to_string() })
}

/// Puts an entry at position `seq` after the one whose digest is `previous`.
pub(super) fn link(seq: u64, previous: Digest, new: &NewEntry) -> Result<Link, PortError> {
    let linked =
        Linked { seq, at: new.at, cluster: new.cluster.clone(), group: new.group.clone(), tick: new.tick, body: &new.body, previous };
    let canonical = canonical(&linked)?;
    let digest = sha256(canonical.as_bytes());
    Ok(Link { canonical, digest })
}

/// Reads a stored entry.
pub(super) fn parse(canonical: &str, digest: &str) -> Result<Entry, PortError> {
    let linked: Linked<EntryBody> =
        serde_json::from_str(canonical).map_err(|error| PortError::Corrupt { what: "ledger entry", detail: error.to_string() })?;
    let Linked { seq, at, cluster, group, tick, body, previous } = linked;
    Ok(Entry { seq, at, cluster, group, tick, body, previous, digest: Digest(digest.to_owned()) })
}

/// Position and digest of the chain's end; zero and the digest of nothing for an empty one.
pub(super) async fn end(transaction: &mut Transaction<'_, Sqlite>) -> Result<(u64, Digest), PortError> {
    let row = sqlx::query("SELECT seq, digest FROM entries ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut **transaction)
        .await
        .map_err(|error| PortError::Failed { action: "read the end of the ledger".into(), detail: error.to_string() })?;
    Ok(row.map_or_else(|| (0, genesis()), |row| (u64::try_from(row.get::<i64, _>(0)).unwrap_or(0), Digest(row.get(1)))))
}

/// What the first entry names as the one before.
pub(super) fn genesis() -> Digest {
    sha256(b"")
}
