//! Any OpenAI-compatible endpoint behind the `Model` port.
