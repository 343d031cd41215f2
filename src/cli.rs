//! The commands, one file each. Exit 0: done; 1: the answer is no; 2: bad input, with one clear line on stderr.

mod adopt;
mod audit;
mod chat;
mod config;
pub mod crd;
mod demo;
pub mod eval;
pub mod forecast;
mod output;
mod proposals;
mod report;
mod run;
mod server;
mod tick;
pub mod tools;
mod why;
mod world;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::domain::limits::Mode;

pub use config::Config;
pub use output::Output;

/// A Kubernetes autoscaler in which a language model reasons and code decides.
#[derive(Parser, Debug)]
#[command(name = "ipa", version, about, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Output::Table, env = "IPA_OUTPUT")]
    output: Output,
    /// What is logged to stderr: error, warn, info, debug, or a filter such as ipa=debug.
    #[arg(long, global = true, default_value = "warn", env = "IPA_LOG")]
    log: String,
}

/// The commands.
#[derive(Subcommand, Debug)]
enum Command {
    /// Watch the whole loop on an embedded cluster and clock, with the web page; no cluster, no key.
    Demo(demo::Demo),
    /// Run the operator.
    Run(run::Run),
    /// Take one tick against the current context, changing nothing; print what it would do and why.
    Tick(tick::Tick),
    /// Replay incidents and score policies on them, or record a live stretch as one.
    Eval(eval::Eval),
    /// Forecast one recorded series, and say how good such forecasts have been on it.
    Forecast(forecast::Forecast),
    /// Explain the last decision about a workload, from the ledger.
    Why(why::Why),
    /// Ask in your own words; answers come from the ledger.
    Chat(chat::Chat),
    /// List, show, approve or reject proposals that wait for a person.
    Proposals(proposals::Proposals),
    /// Hand a workload's replicas over to IPA without a jump.
    Adopt(adopt::Adopt),
    /// Verify or export the ledger's chain.
    Audit(audit::Audit),
    /// Print the custom resource definitions.
    Crd(crd::Crd),
    /// Print the JSON Schemas of the tools that the model may call.
    Tools(tools::Tools),
}

/// How a cluster is reached.
#[derive(Args, Debug, Clone, Default)]
pub struct ClusterArgs {
    /// Path of the kubeconfig; otherwise KUBECONFIG, ~/.kube/config, or the pod's service account.
    #[arg(long, global = true, env = "IPA_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context within the kubeconfig; otherwise its current one.
    #[arg(long, global = true, env = "IPA_CONTEXT", value_name = "NAME")]
    context: Option<String>,
}

/// How a model is reached.
#[derive(Args, Debug, Clone, Default)]
pub struct ModelArgs {
    /// Base URL of an OpenAI-compatible API, such as `http://127.0.0.1:8000/v1`; without one the planner decides alone.
    #[arg(long, env = "IPA_MODEL_URL", value_name = "URL")]
    model_url: Option<String>,
    /// Name of the model.
    #[arg(long, env = "IPA_MODEL", value_name = "NAME")]
    model: Option<String>,
    /// File that holds the API key; it is read anew when it changes.
    #[arg(long, env = "IPA_MODEL_KEY_FILE", value_name = "FILE")]
    model_key_file: Option<PathBuf>,
}

/// How the administrators' configuration is found.
#[derive(Args, Debug, Clone, Default)]
pub struct ConfigArgs {
    /// The administrators' configuration file (YAML).
    #[arg(long, env = "IPA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Base URL of Prometheus or anything that speaks its HTTP API.
    #[arg(long, env = "IPA_PROMETHEUS_URL", value_name = "URL")]
    prometheus_url: Option<String>,
    /// Highest mode of the installation; guardrails and groups may only lower it. Default: the file's, or Observe.
    #[arg(long, env = "IPA_MODE", value_name = "MODE")]
    mode: Option<Mode>,
}

/// Where the ledger is found.
#[derive(Args, Debug, Clone)]
pub struct LedgerArgs {
    /// Directory that holds the ledger; not read where a server is named.
    #[arg(long, env = "IPA_DATA_DIR", value_name = "DIR", default_value = "./ipa-data")]
    data_dir: PathBuf,
    /// Base URL of a running IPA, such as `http://127.0.0.1:8080`, to be asked instead of a directory.
    #[arg(long, env = "IPA_SERVER", value_name = "URL")]
    server: Option<String>,
    /// File that holds the token of that server.
    #[arg(long, env = "IPA_TOKEN_FILE", value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
}

/// How a command ended, beside the errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, or yes.
    Yes,
    /// The answer is no.
    No,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error),
    };
    let filter = match log_filter(&cli.log) {
        Ok(filter) => filter,
        Err(error) => return failed(&error),
    };
    // One line a record, whatever a name or a message holds.
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("failed to start the async runtime")),
    };
    let result = runtime.block_on(dispatch(cli));
    // Blocking reads (a terminal, say) must not hold up the exit.
    runtime.shutdown_background();
    match result {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) => failed(&error),
    }
}

/// What is logged. The Kubernetes client logs each failed request that it also returns as an error: one of the two is enough.
fn log_filter(log: &str) -> anyhow::Result<tracing_subscriber::EnvFilter> {
    // The parser's own words are about its grammar; the mend says the same in a line.
    tracing_subscriber::EnvFilter::try_new(format!("kube_client=off,{log}"))
        .map_err(|_| anyhow::anyhow!("--log {log} is no filter: write error, warn, info, debug, or TARGET=LEVEL such as ipa=debug"))
}

async fn dispatch(cli: Cli) -> anyhow::Result<Answer> {
    let output = cli.output;
    match cli.command {
        Command::Demo(command) => command.run(output).await,
        Command::Run(command) => command.run().await,
        Command::Tick(command) => command.run(output).await,
        // Cells have runtimes of their own.
        Command::Eval(command) => tokio::task::block_in_place(|| command.run(output)),
        Command::Forecast(command) => command.run(output),
        Command::Why(command) => command.run(output).await,
        Command::Chat(command) => command.run(output).await,
        Command::Proposals(command) => command.run(output).await,
        Command::Adopt(command) => command.run(output).await,
        Command::Audit(command) => command.run(output).await,
        Command::Crd(crd::Crd {}) => crd::Crd::run(output),
        Command::Tools(tools::Tools {}) => tools::Tools::run(output),
    }
}

/// Help and version as clap prints them; a mistake in one line, like any other bad input.
fn not_parsed(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => failed(&anyhow::Error::msg(in_one_line(&error.render().to_string()))),
    }
}

/// clap's message, of which only what is wrong and the tip are kept, and the command whose help lists what is right.
fn in_one_line(message: &str) -> String {
    let mut line = String::new();
    let mut command = None;
    for part in message.lines().map(str::trim).filter(|part| !part.is_empty() && !part.starts_with("For more information")) {
        if let Some(usage) = part.strip_prefix("Usage: ") {
            let words = usage.split(' ').take_while(|word| !word.starts_with(['-', '[', '<']));
            command = Some(words.collect::<Vec<_>>().join(" "));
            break;
        }
        let separator = if line.is_empty() || line.ends_with(':') { " " } else { "; " };
        line.push_str(separator);
        line.push_str(part.strip_prefix("error: ").unwrap_or(part));
    }
    let help = command.map_or_else(String::new, |command| format!("; see `{command} --help`"));
    format!("{}{help}", line.trim_start())
}

/// One line on stderr, exit 2.
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("ipa: {}", with_causes(error));
    ExitCode::from(2)
}

/// An error and its causes in one line; a cause that has been said already is not said again.
fn with_causes(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line.replace(['\n', '\r'], " ")
}

/// The first line of what a parser of YAML says, which has the place and the fault; the lines after it draw the text.
fn first_line(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Where a server listens.
fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an IP address and a port, such as 127.0.0.1:8080".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(arguments: &str) -> String {
        in_one_line(&Cli::try_parse_from(arguments.split(' ')).unwrap_err().render().to_string())
    }

    #[test]
    fn a_mistake_in_the_arguments_is_one_line_with_the_mend() {
        for (typed, said) in [
            ("ipa why", "the following required arguments were not provided: <TARGET>; see `ipa why --help`"),
            (
                "ipa tick --promethius-url x",
                "unexpected argument '--promethius-url' found; tip: a similar argument exists: '--prometheus-url'; see `ipa tick --help`",
            ),
            ("ipa proposal list", "unrecognized subcommand 'proposal'; tip: a similar subcommand exists: 'proposals'; see `ipa --help`"),
            (
                "ipa demo --speed -1",
                "invalid value '-1' for '--speed <N>': write how many times as fast the clock runs, from 1 to 3600, such as 60",
            ),
            ("ipa demo --seed -1", "invalid value '-1' for '--seed <N>': write a whole number from 0 on"),
            (
                "ipa demo --listen here",
                "invalid value 'here' for '--listen <ADDR:PORT>': write an IP address and a port, such as 127.0.0.1:8080",
            ),
            ("ipa run --role captain", "invalid value 'captain' for '--role <ROLE>'; [possible values: all]"),
        ] {
            assert_eq!(refused(typed), said);
        }
    }

    #[test]
    fn a_cause_that_has_been_said_is_not_said_again() {
        let taken = || std::io::Error::other("address in use");
        let bound = crate::api::ServerError::Bind { address: "127.0.0.1:1".parse().unwrap(), source: taken() };
        let said = "failed to listen on 127.0.0.1:1: address in use; choose another with --listen, port 0 picks a free one";
        assert_eq!(with_causes(&bound.into()), said);
        assert_eq!(with_causes(&anyhow::Error::new(taken()).context("failed to\nlisten")), "failed to listen: address in use");
    }

    #[test]
    fn every_flag_can_come_from_the_environment() {
        use clap::CommandFactory;
        fn check(command: &clap::Command, seen: &mut usize) {
            for flag in command.get_arguments().filter(|a| a.get_long().is_some_and(|long| !["help", "version"].contains(&long))) {
                let name = flag.get_env().and_then(|name| name.to_str()).unwrap_or_default();
                assert!(name.starts_with("IPA_"), "{} --{} has no variable", command.get_name(), flag.get_long().unwrap());
                *seen += 1;
            }
            command.get_subcommands().for_each(|below| check(below, seen));
        }
        let mut seen = 0;
        check(&Cli::command(), &mut seen);
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn the_cluster_may_be_named_before_or_after_the_verb() {
        for typed in ["ipa proposals list --kubeconfig k --context c", "ipa proposals --kubeconfig k --context c list"] {
            let Command::Proposals(_) = Cli::try_parse_from(typed.split(' ')).unwrap().command else { panic!("{typed}") };
        }
    }
}
