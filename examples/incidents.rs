//! Writes the incidents that ship with the project, or others like them: `cargo run --example incidents -- DIR [--seed N]`.

use std::path::PathBuf;

use clap::Parser;
use ipa::eval::generate::{SHIPPED_SEED, write};

/// Writes the incidents that ship with the project, or others like them from another seed.
#[derive(Parser)]
struct Args {
    /// Directory to write into.
    directory: PathBuf,
    /// Another seed gives the same stories with other days, noise and bursts.
    #[arg(long, default_value_t = SHIPPED_SEED)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let Args { directory, seed } = Args::parse();
    let files = write(&directory, seed)?;
    println!("{files} files in {}", directory.display());
    Ok(())
}
