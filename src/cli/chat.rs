//! `ipa chat`: questions in a person's own words, answered from the ledger. One question as an argument, or one a line from standard input.

use std::io::{BufRead, IsTerminal};

use clap::Args;

use super::output::print_text;
use super::server::Server;
use super::{Answer, LedgerArgs, Output, why};
use crate::adapters::ledger::SqliteLedger;
use crate::explain;

/// Ask in your own words; answers come from the ledger.
#[derive(Args, Debug)]
pub struct Chat {
    /// The question; without one, questions are read from standard input, one a line.
    question: Vec<String>,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Where answers come from.
enum Source {
    Ledger(SqliteLedger),
    Server(Server),
}

impl Chat {
    pub(super) async fn run(self, output: Output) -> anyhow::Result<Answer> {
        let source = match &self.ledger.server {
            Some(url) => Source::Server(Server::new(url, self.ledger.token_file.as_deref())?),
            None => Source::Ledger(SqliteLedger::open_existing(&self.ledger.data_dir).await?),
        };
        if !self.question.is_empty() {
            return source.answer(&self.question.join(" "), output).await;
        }
        let interactive = std::io::stdin().is_terminal();
        let mut last = Answer::Yes;
        loop {
            if interactive {
                print_text("> ");
            }
            let mut line = String::new();
            if std::io::stdin().lock().read_line(&mut line)? == 0 {
                return Ok(last);
            }
            if !line.trim().is_empty() {
                last = source.answer(line.trim(), output).await?;
            }
        }
    }
}

impl Source {
    async fn answer(&self, question: &str, output: Output) -> anyhow::Result<Answer> {
        let answer = match self {
            Self::Server(server) => server.chat(question).await?,
            Self::Ledger(ledger) => match explain::understand(question, &why::known_targets(ledger).await?) {
                Ok(target) => serde_json::to_value(explain::why(&target, &why::records_of(ledger, &target).await?))?,
                Err(ask_back) => {
                    serde_json::json!({ "answer": ask_back, "evidence": [], "confidence": explain::Confidence::None, "unknowns": [] })
                }
            },
        };
        why::print(&answer, output)
    }
}
