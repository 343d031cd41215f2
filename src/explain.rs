//! Ledger entries to an answer whose every sentence cites the entries it rests on.
