//! Back-test, in sentences.
