//! The model's side of a tick: the prompt, the typed tools, and the dialogue as a state machine that does no I/O.

pub mod messages;
