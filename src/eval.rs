//! Evals: recorded incidents are replayed against policies, and what comes of it is scored. What is scored is the shipped tick, over the same
//! ports as a cluster's.
//!
//! A [`suite::Suite`] is a grid of cells: incidents, policies, seeds, prices. Whoever is a [`cell::Runner`] runs one; [`suite`] runs them all on
//! the cores there are and keeps what is finished ([`resume`]); [`score`] says what they come to, [`bootstrap`] how sure that is, and [`report`]
//! shows it. [`record`] makes an incident of what a live cluster went through, [`generate`] makes them up.

pub mod baseline;
pub mod incident;
pub mod policy;
pub mod forbidden;
pub mod timeline;
pub mod cell;
pub mod value;
pub mod row;
pub mod progress;
pub mod resume;
pub mod suite;
pub mod bootstrap;
pub mod score;
pub mod words;
pub mod scoreboard;
pub mod report;
#[cfg(test)]
pub(crate) mod testing;
pub mod oracle;
pub mod tune;
pub mod stage;
pub mod conduct;
pub mod witness;
pub mod foresight;
pub mod judgement;
pub mod player;
pub mod engine;
pub mod generate;
pub mod record;
pub mod series;
