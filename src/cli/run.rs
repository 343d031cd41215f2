//! `ipa run`: the operator.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use tokio::sync::{mpsc, watch};

use super::output::say;
use super::{Answer, ClusterArgs, Config, ConfigArgs, ModelArgs, world};
use crate::adapters::ledger::SqliteLedger;
use crate::api::{Server, ServerSettings, Token};
use crate::controller::{self, Rhythm};
use crate::domain::units::GoDuration;
use crate::tick::{Settings, Ticker};

/// Run the operator.
#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    model: ModelArgs,
    /// Address of the HTTP server; port 0 picks one and prints it. Beyond loopback a token file is needed. Default: the file's, or
    /// 127.0.0.1:8080.
    #[arg(long, env = "IPA_LISTEN", value_name = "ADDR:PORT", value_parser = super::socket_address)]
    listen: Option<SocketAddr>,
    /// File that holds the token that the HTTP server asks for.
    #[arg(long, env = "IPA_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Directory of ledger and memory. Default: the file's, or ./ipa-data.
    #[arg(long, env = "IPA_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Which part this process plays.
    #[arg(long, env = "IPA_ROLE", value_enum, default_value_t = Role::All)]
    role: Role,
    /// Time between ticks.
    #[arg(long, env = "IPA_INTERVAL", value_name = "DURATION", default_value = "60s")]
    interval: GoDuration,
    /// Time between reflex passes; 0 is off.
    #[arg(long, env = "IPA_REFLEX", value_name = "DURATION", default_value = "15s")]
    reflex: GoDuration,
}

/// Which part a process plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Planner and gate in one process.
    All,
}

impl Run {
    pub(super) async fn run(self) -> anyhow::Result<Answer> {
        if self.interval.seconds() < 1.0 {
            bail!("--interval {} is below a second: write a duration such as 60s", self.interval);
        }
        let Role::All = self.role;
        let config = Config::load(&self.config, &self.model)?;
        let token_file = self.token_file.as_ref().or(config.token_file.as_ref());
        let token = token_file.map(|file| Token::read(file)).transpose().context("--token-file")?;
        let world = world::connect(&self.cluster, &config).await?;
        world.ready().await?;
        // Only now: what cannot begin leaves no directory behind.
        let data_dir = self.data_dir.clone().or(config.data_dir.clone()).unwrap_or_else(|| PathBuf::from("./ipa-data"));
        let ledger = Arc::new(SqliteLedger::open(&data_dir).await?);
        let (ports, lease) = world.acting(ledger.clone());
        let settings = Settings {
            cluster: world.name.clone(),
            interval: self.interval.0,
            reflex: self.reflex.0,
            // A tick that is shorter than usual leaves its dialogues the same share of it.
            dialogue_deadline: Settings::default().dialogue_deadline.min(self.interval.0.mul_f64(0.75)),
            limits: config.gate,
            ..Settings::default()
        };

        let (publish, published) = watch::channel(None);
        let (ask, asks) = mpsc::channel(64);
        let server = Server {
            published,
            ledger: ledger.clone(),
            // A person decides with a token of their own, through `ipa proposals` or kubectl: never with this process's.
            decisions: None,
            asks: ask,
            clock: ports.clock.clone(),
            settings: ServerSettings {
                listen: self.listen.or(config.listen).unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
                token,
                host_names: Vec::new(),
                interval: self.interval.0,
                demo: false,
                title: format!("IPA · {}", world.name),
            },
        };
        let bound = server.bind().await?;
        say!("ipa run: cluster {}, mode {:?}, http://{}", world.name, config.mode, bound.address());
        let (stop_server, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(bound.serve(async {
            let _ = stopped.await;
        }));

        let ticker = Ticker::start(ports.clone(), settings).await?;
        let rhythm = Rhythm { interval: self.interval.0, reflex: self.reflex.0 };
        lease.asked_once().await;
        controller::run(ticker, ports.clock.clone(), rhythm, publish, asks, terminated()).await;
        lease.vacate().await;
        let _ = stop_server.send(());
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), serving).await;
        ledger.close().await?;
        Ok(Answer::Yes)
    }
}

/// Resolves at Ctrl-C or SIGTERM.
pub(super) async fn terminated() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
