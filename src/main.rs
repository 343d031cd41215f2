//! The `ipa` binary.

fn main() {}
