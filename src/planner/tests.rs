//! Plans, in sentences.
