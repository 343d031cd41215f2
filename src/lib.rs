//! IPA.
