//! The integration tests: one binary.

mod llm;
mod model_server;
