//! Makes incidents.
