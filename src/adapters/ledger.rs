//! The ledger in SQLite: chained entries, bodies by content, memory.
