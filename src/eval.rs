//! Evals: recorded incidents are replayed against policies, and what comes of it is scored. What is scored is the shipped tick, over the same
//! ports as a cluster's.

pub mod generate;
pub mod incident;
pub mod series;
