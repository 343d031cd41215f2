//! `ipa why TARGET`: the last decision about a workload, explained from the ledger alone.

use clap::Args;

use super::output::{print_json, say};
use super::server::Server;
use super::{Answer, LedgerArgs, Output};
use crate::adapters::ledger::SqliteLedger;
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::record::{EntryBody, TickRecord};
use crate::explain::{self, Confidence};
use crate::ports::{EntryFilter, Ledger, PortError};

/// Explain the last decision about a workload, from the ledger.
#[derive(Args, Debug)]
pub struct Why {
    /// The workload: NAMESPACE/NAME for a Deployment, or NAMESPACE/RESOURCE.GROUP/NAME.
    target: TargetKey,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Newest entries of a group that an answer looks through.
const ENTRIES: usize = 5_000;

impl Why {
    pub(super) async fn run(self, output: Output) -> anyhow::Result<Answer> {
        if let Some(url) = &self.ledger.server {
            let answer = Server::new(url, self.ledger.token_file.as_deref())?.why(&self.target).await?;
            return print(&answer, output);
        }
        let ledger = SqliteLedger::open_existing(&self.ledger.data_dir).await?;
        let answer = explain::why(&self.target, &records_of(&ledger, &self.target).await?);
        print(&serde_json::to_value(answer)?, output)
    }
}

/// The records of the group that covers a target, oldest first.
pub(crate) async fn records_of(ledger: &dyn Ledger, target: &TargetKey) -> Result<Vec<TickRecord>, PortError> {
    let Some(group) = group_of(ledger, target).await? else { return Ok(Vec::new()) };
    let entries = ledger.entries(&EntryFilter { group: Some(group), newest: ENTRIES, ..EntryFilter::default() }).await?;
    Ok(TickRecord::fold_all(entries))
}

/// The group that covered a target last, by the newest closing entry that names it.
async fn group_of(ledger: &dyn Ledger, target: &TargetKey) -> Result<Option<GroupId>, PortError> {
    let recent = ledger.entries(&EntryFilter { newest: ENTRIES, ..EntryFilter::default() }).await?;
    Ok(recent.iter().rev().find_map(|entry| match &entry.body {
        EntryBody::Closed(closed) => closed.plan.contains_key(target).then(|| entry.group.clone()),
        EntryBody::Opened(_) | EntryBody::Intent(_) | EntryBody::Outcome(_) => None,
    }))
}

/// Every target that recent records cover.
pub(crate) async fn known_targets(ledger: &dyn Ledger) -> Result<Vec<TargetKey>, PortError> {
    let recent = ledger.entries(&EntryFilter { newest: ENTRIES, ..EntryFilter::default() }).await?;
    Ok(TickRecord::targets_of(&TickRecord::fold_all(recent)).into_iter().collect())
}

/// Prints an answer; no recorded decision is a no.
pub(super) fn print(answer: &serde_json::Value, output: Output) -> anyhow::Result<Answer> {
    match output {
        Output::Json => print_json(answer)?,
        Output::Table => {
            if let Some(text) = answer["answer"].as_str().filter(|t| !t.is_empty()) {
                say!("{text}");
            }
            for unknown in answer["unknowns"].as_array().into_iter().flatten().filter_map(|u| u.as_str()) {
                say!("Not known: {unknown}.");
            }
        }
    }
    let nothing = serde_json::to_value(Confidence::None)?;
    Ok(if answer["confidence"] == nothing { Answer::No } else { Answer::Yes })
}
