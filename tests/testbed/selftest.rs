//! The testbed holds what it promises.

mod cluster;
mod load;
mod processes;
