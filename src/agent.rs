//! The model's side of a tick: the brief, the prompt, the typed tools, and the dialogue as a state machine that does no I/O.
//!
//! A driver (`tick::propose`, a test, a replay) does the talking:
//!
//! 1. [`aliases::Aliases`] and [`brief::Brief`] reduce snapshot and plan to numbers, enums and aliases;
//! 2. [`prompt::Prompts::open`] renders them into an [`prompt::Opening`], [`dialogue::Dialogue::start`] takes it;
//! 3. [`dialogue::Dialogue::step`] says what is next: call the model, run tools ([`tools::answer`]), or done.
//!
//! Nothing here moves anything: what a finished dialogue leaves are proposals, which are judged like any other.

pub mod aliases;
pub mod arguments;
pub mod brief;
pub mod dialogue;
pub mod messages;
pub mod mistake;
mod numbers;
pub mod prompt;
mod text;
pub mod tools;

#[cfg(test)]
use crate::domain;
#[cfg(test)]
mod fixture;
