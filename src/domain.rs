//! The nouns, as plain data: what the world shows, what people allow, what is planned, proposed, judged, done and recorded.
//!
//! Everything here can be written as JSON and read back, compared whole, and digested; nothing here reads a clock, a socket or a random number.

pub mod fleet;
pub mod limits;
pub mod memory;
pub mod names;
pub mod outcome;
pub mod outlook;
pub mod plan;
pub mod priority;
pub mod proposal;
pub mod record;
pub mod resize;
pub mod review;
pub mod series;
pub mod signal;
pub mod snapshot;
pub mod status;
pub mod units;
pub mod workload;
