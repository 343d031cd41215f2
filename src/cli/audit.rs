//! `ipa audit verify`, `ipa audit export`: the chain, checked and copied out.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::output::{print_json, print_json_line, say};
use super::{Answer, Output};
use crate::adapters::ledger::{SqliteLedger, VerifyError};
use crate::ports::{EntryFilter, Ledger};

/// Verify or export the ledger's chain.
#[derive(Args, Debug)]
pub struct Audit {
    #[command(subcommand)]
    action: Action,
    /// Directory that holds the ledger.
    #[arg(long, global = true, env = "IPA_DATA_DIR", value_name = "DIR", default_value = "./ipa-data")]
    data_dir: PathBuf,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Recompute every digest; exit 1 and name the first bad entry if one does not hold.
    Verify,
    /// Print every entry as one JSON object a line, oldest first.
    Export,
}

impl Audit {
    pub(super) async fn run(self, output: Output) -> anyhow::Result<Answer> {
        let ledger = SqliteLedger::open_existing(&self.data_dir).await?;
        match self.action {
            Action::Verify => match ledger.verify().await {
                Ok(verification) => {
                    match output {
                        Output::Json => {
                            print_json(&serde_json::json!({ "valid": true, "entries": verification.entries, "head": verification.head }))?;
                        }
                        Output::Table => say!("the chain holds: {} entries, head {}", verification.entries, verification.head),
                    }
                    Ok(Answer::Yes)
                }
                Err(VerifyError::Read(error)) => Err(error).context("failed to read the ledger"),
                Err(error @ (VerifyError::Missing { .. } | VerifyError::Changed { .. })) => {
                    match output {
                        Output::Json => print_json(&serde_json::json!({ "valid": false, "error": error.to_string() }))?,
                        Output::Table => say!("the chain does not hold: {error}"),
                    }
                    Ok(Answer::No)
                }
            },
            Action::Export => {
                let mut after = 0;
                loop {
                    let page = ledger.entries(&EntryFilter { after: Some(after), oldest: EXPORT_PAGE, ..EntryFilter::default() }).await?;
                    let Some(last) = page.last() else { return Ok(Answer::Yes) };
                    after = last.seq;
                    for entry in &page {
                        print_json_line(entry)?;
                    }
                }
            }
        }
    }
}

/// Entries read at a time, so that a ledger of any size can be exported.
const EXPORT_PAGE: usize = 1_000;
