//! `ipa proposals`: the queue of what waits for a person. Decisions are written with the caller's own rights: their kubeconfig, or, with
//! `--server`, whatever that server lets them do.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::Value;

use super::output::{print_json, say, table};
use super::server::Server;
use super::{Answer, ClusterArgs, Output};
use crate::adapters::kube::{self, KubeDecisions};
use crate::domain::names::ProposalId;
use crate::domain::snapshot::{DecisionVerdict, QueuedProposal};
use crate::ports::Decisions;

/// List, show, approve or reject proposals that wait for a person.
#[derive(Args, Debug)]
pub struct Proposals {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Base URL of a running IPA, such as `http://127.0.0.1:8080`, to be asked instead of a cluster.
    #[arg(long, global = true, env = "IPA_SERVER", value_name = "URL")]
    server: Option<String>,
    /// File that holds the token of that server.
    #[arg(long, global = true, env = "IPA_TOKEN_FILE", value_name = "FILE", requires = "server")]
    token_file: Option<std::path::PathBuf>,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// List what waits.
    List,
    /// Show one proposal: the exact change, why, and what the guardrails said.
    Show {
        /// The proposal's id, as `list` prints it.
        id: String,
    },
    /// Approve one proposal; a later tick judges it again, and carries it out whole or not at all.
    Approve {
        /// The proposal's id, as `list` prints it.
        id: String,
    },
    /// Reject one proposal.
    Reject {
        /// The proposal's id, as `list` prints it.
        id: String,
    },
}

/// Where the queue is.
enum Queue {
    Cluster(::kube::Client),
    Server(Server),
}

impl Proposals {
    pub(super) async fn run(self, output: Output) -> anyhow::Result<Answer> {
        let queue = match &self.server {
            Some(url) => Queue::Server(Server::new(url, self.token_file.as_deref())?),
            None => Queue::Cluster(kube::connect(self.cluster.kubeconfig.as_deref(), self.cluster.context.as_deref()).await?),
        };
        let waiting: Vec<QueuedProposal> = queue.list().await?.into_iter().filter(|q| !q.closed).collect();
        match self.action {
            Action::List => list(&waiting, output),
            Action::Show { id } => show(find(&waiting, &id)?, output),
            Action::Approve { id } => decide(&queue, find(&waiting, &id)?, DecisionVerdict::Approve).await,
            Action::Reject { id } => decide(&queue, find(&waiting, &id)?, DecisionVerdict::Reject).await,
        }
    }
}

impl Queue {
    async fn list(&self) -> anyhow::Result<Vec<QueuedProposal>> {
        match self {
            Self::Cluster(client) => Ok(kube::queued_proposals(client).await?),
            Self::Server(server) => {
                let answer = server.proposals().await?;
                let list = match answer {
                    Value::Object(mut object) => object.remove("proposals").unwrap_or_default(),
                    other => other,
                };
                serde_json::from_value(list).context("the server's queue is not in the form this version reads")
            }
        }
    }

    async fn decide(&self, queued: &QueuedProposal, verdict: DecisionVerdict) -> anyhow::Result<()> {
        match self {
            Self::Cluster(client) => {
                let decisions = KubeDecisions::of_caller(client.clone());
                decisions.decide(&queued.proposal.id, verdict, &queued.digest, None, Timestamp::now()).await?;
            }
            Self::Server(server) => {
                let verb = match verdict {
                    DecisionVerdict::Approve => "approve",
                    DecisionVerdict::Reject => "reject",
                };
                server.decide(&queued.proposal.id.0, verb, &queued.digest.0).await?;
            }
        }
        Ok(())
    }
}

/// One proposal by its id; a prefix that only one has will do.
fn find<'a>(waiting: &'a [QueuedProposal], id: &str) -> anyhow::Result<&'a QueuedProposal> {
    if let Some(exact) = waiting.iter().find(|q| q.proposal.id == ProposalId(id.to_owned())) {
        return Ok(exact);
    }
    let alike: Vec<&QueuedProposal> = waiting.iter().filter(|q| q.proposal.id.0.starts_with(id)).collect();
    match alike[..] {
        [one] => Ok(one),
        [] => bail!("no proposal `{id}` waits: see `ipa proposals list`"),
        _ => bail!("`{id}` begins the name of {} proposals: write one in full", alike.len()),
    }
}

fn list(waiting: &[QueuedProposal], output: Output) -> anyhow::Result<Answer> {
    if output == Output::Json {
        print_json(&waiting)?;
        return Ok(Answer::Yes);
    }
    if waiting.is_empty() {
        say!("nothing waits for a person");
        return Ok(Answer::Yes);
    }
    let mut rows = table(&["ID", "GROUP", "CHANGE", "ORIGIN", "COST/H", "EXPIRES"]);
    for queued in waiting {
        let proposal = &queued.proposal;
        rows.add_row([
            proposal.id.to_string(),
            proposal.group.to_string(),
            proposal.change.summary(),
            format!("{:?}", proposal.origin),
            proposal.cost_change_per_hour.map_or_else(|| "-".to_owned(), |c| c.to_string()),
            queued.expires.strftime("%H:%M:%S UTC").to_string(),
        ]);
    }
    for line in rows.to_string().lines() {
        say!("{}", line.trim_end());
    }
    Ok(Answer::Yes)
}

fn show(queued: &QueuedProposal, output: Output) -> anyhow::Result<Answer> {
    if output == Output::Json {
        print_json(queued)?;
        return Ok(Answer::Yes);
    }
    let proposal = &queued.proposal;
    say!("{}  {}", proposal.id, proposal.change.summary());
    say!("  group    {}", proposal.group);
    say!("  wanted   by the {:?}: {}", proposal.origin, proposal.rationale);
    if let Some(cost) = proposal.cost_change_per_hour {
        say!("  cost     {cost}/h");
    }
    say!("  expires  {}", queued.expires.strftime("%Y-%m-%d %H:%M:%S UTC"));
    say!("  digest   {}", queued.digest);
    for ruling in &queued.rulings {
        say!("  {:?} by {}: {}", ruling.verdict, ruling.rule, ruling.sentence);
    }
    for decision in &queued.decisions {
        say!("  {:?} by {} at {}", decision.verdict, decision.by, decision.at.strftime("%H:%M:%S UTC"));
    }
    say!("  approve  ipa proposals approve {}", proposal.id);
    Ok(Answer::Yes)
}

async fn decide(queue: &Queue, queued: &QueuedProposal, verdict: DecisionVerdict) -> anyhow::Result<Answer> {
    queue.decide(queued, verdict).await?;
    match verdict {
        DecisionVerdict::Approve => {
            say!("approved: {}; the next tick judges it again, then carries it out", queued.proposal.change.summary());
        }
        DecisionVerdict::Reject => say!("rejected: {}", queued.proposal.change.summary()),
    }
    Ok(Answer::Yes)
}
