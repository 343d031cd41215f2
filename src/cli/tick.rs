//! `ipa tick`: one tick against the current context, changing nothing.

use std::sync::Arc;

use clap::Args;

use super::output::{print_json_line, print_text};
use super::{Answer, ClusterArgs, Config, ConfigArgs, ModelArgs, Output, report, world};
use crate::adapters::ledger::SqliteLedger;
use crate::domain::record::TickRecord;
use crate::ports::{EntryFilter, Ledger};
use crate::tick::{Settings, Ticker};

/// Take one tick against the current context, changing nothing; print what it would do and why.
#[derive(Args, Debug)]
pub struct Tick {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    model: ModelArgs,
}

impl Tick {
    pub(super) async fn run(self, output: Output) -> anyhow::Result<Answer> {
        let config = Config::load(&self.config, &self.model)?;
        let world = world::connect(&self.cluster, &config).await?;
        let ledger = Arc::new(SqliteLedger::in_memory().await?);
        world.ready().await?;
        let ports = world.looking(ledger.clone());
        let settings = Settings { cluster: world.name.clone(), dry: true, limits: config.gate, ..Settings::default() };
        let mut ticker = Ticker::start(ports, settings).await?;
        let published = ticker.tick().await?;
        let records = TickRecord::fold_all(ledger.entries(&EntryFilter::default()).await?);
        for record in &records {
            match output {
                Output::Json => print_json_line(record)?,
                Output::Table => print_text(&report::record(record, report::evidence(&*ledger, record).await?.as_ref())),
            }
        }
        for rejected in &published.rejected {
            eprintln!("{}: {} ({})", rejected.group, rejected.message, rejected.reason);
        }
        if records.is_empty() && published.rejected.is_empty() {
            eprintln!("no IntelligentPodAutoscaler was found: create one (see deploy/samples), then run this again");
            return Ok(Answer::No);
        }
        Ok(Answer::Yes)
    }
}
