//! `ipa adopt TARGET`: the first hand-over of a workload's replicas, without a jump.

use clap::Args;
use clap::builder::BoolishValueParser;

use super::output::{print_json, say};
use super::{Answer, ClusterArgs, Output};
use crate::adapters::kube::{self, AdoptError};
use crate::domain::names::TargetKey;

/// Hand a workload's replicas over to IPA without a jump.
#[derive(Args, Debug)]
pub struct Adopt {
    /// The workload: NAMESPACE/NAME for a Deployment, or NAMESPACE/RESOURCE.GROUP/NAME.
    target: TargetKey,
    /// Only say what would be done.
    #[arg(long, env = "IPA_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

impl Adopt {
    pub(super) async fn run(self, output: Output) -> anyhow::Result<Answer> {
        let client = kube::connect(self.cluster.kubeconfig.as_deref(), self.cluster.context.as_deref()).await?;
        let adoption = match kube::adopt(&client, &self.target, self.dry_run).await {
            Ok(adoption) => adoption,
            // The answer is no, and says what to change first.
            Err(error @ AdoptError::Refused { .. }) => {
                match output {
                    Output::Json => print_json(&serde_json::json!({ "adopted": false, "reason": error.to_string() }))?,
                    Output::Table => say!("{error}"),
                }
                return Ok(Answer::No);
            }
            Err(error) => return Err(error.into()),
        };
        if output == Output::Json {
            print_json(&adoption)?;
            return Ok(Answer::Yes);
        }
        let owners: Vec<String> = adoption.owners.iter().map(|w| format!("{} ({:?})", w.manager, w.operation)).collect();
        let before = if owners.is_empty() { "nobody".to_owned() } else { owners.join(", ") };
        let done = match (adoption.changed, self.dry_run) {
            (false, _) => "is IPA's already",
            (true, true) => "would be handed over",
            (true, false) => "is handed over",
        };
        say!("{} with {} replicas {done}; spec.replicas was owned by {before}", adoption.target, adoption.replicas);
        for note in &adoption.notes {
            say!("  {note}");
        }
        Ok(Answer::Yes)
    }
}
