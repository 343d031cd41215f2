//! `ipa demo`: the whole loop over the embedded cluster. What ticks is the shipped tick; only the world behind its ports is simulated.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::BoolishValueParser;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::output::{print_json_line, print_text, say};
use super::{Answer, Config, ConfigArgs, ModelArgs, Output, report};
use crate::adapters::ledger::{self, SqliteLedger};
use crate::adapters::llm;
use crate::adapters::prices::{BuiltinPrices, BuiltinPricesConfig, ListConfig, PriceList};
use crate::api::{Server, ServerSettings, Token};
use crate::controller::{self, Rhythm};
use crate::domain::limits::{GateLimits, Mode};
use crate::domain::record::TickRecord;
use crate::domain::units::GoDuration;
use crate::ports::{Clock, EntryFilter, Ledger, Model};
use crate::sim::{self, Expert, Pace, Simulation};
use crate::tick::{Published, Settings, Ticker};

/// Watch the whole loop on an embedded cluster and clock, with the web page; no cluster, no key.
#[derive(Args, Debug)]
pub struct Demo {
    /// Address of the page; port 0 picks one and prints it.
    #[arg(long, env = "IPA_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:8080", value_parser = super::socket_address)]
    listen: SocketAddr,
    /// File that holds the token that the page asks for; needed beyond loopback.
    #[arg(long, env = "IPA_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How many times as fast as real time the demo's clock runs, 1 to 3600.
    #[arg(long, env = "IPA_SPEED", value_name = "N", default_value = "60", value_parser = speed, allow_negative_numbers = true)]
    speed: f64,
    /// Seed of the arrivals and of everything else that is drawn.
    #[arg(long, env = "IPA_SEED", value_name = "N", default_value = "1", value_parser = seed, allow_negative_numbers = true)]
    seed: u64,
    /// No page: time jumps, and each tick's record is printed.
    #[arg(long, env = "IPA_HEADLESS", value_parser = BoolishValueParser::new())]
    headless: bool,
    /// How much of the demo's own time to run, such as 10m; without it the page runs until Ctrl-C.
    #[arg(long = "for", env = "IPA_FOR", value_name = "DURATION")]
    duration: Option<GoDuration>,
    /// Time between ticks, in the demo's own time.
    #[arg(long, env = "IPA_INTERVAL", value_name = "DURATION", default_value = "60s")]
    interval: GoDuration,
    /// Time between reflex passes, in the demo's own time; 0 is off.
    #[arg(long, env = "IPA_REFLEX", value_name = "DURATION", default_value = "15s")]
    reflex: GoDuration,
    /// A new or empty directory to keep the ledger in; without one it ends with the demo.
    #[arg(long, env = "IPA_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

fn speed(text: &str) -> Result<f64, String> {
    let times = text.parse().ok().filter(|times| (1.0..=3600.0).contains(times));
    times.ok_or_else(|| "write how many times as fast the clock runs, from 1 to 3600, such as 60".to_owned())
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "write a whole number from 0 on".to_owned())
}

impl Demo {
    pub(super) async fn run(self, output: Output) -> anyhow::Result<Answer> {
        self.check()?;
        let pace = if self.headless { Pace::Headless } else { Pace::Times(self.speed) };
        let lists = vec![ListConfig { list: PriceList::AWS, zones: Vec::new() }];
        let prices = BuiltinPrices::new(&BuiltinPricesConfig { lists })?;
        let simulation = sim::demo(self.seed, pace, Arc::new(prices)).await.context("failed to start the demo")?;
        let ledger = Arc::new(self.open_ledger().await?);
        let model = self.player(&simulation)?;
        let ports = simulation.ports(Some(model.clone()), ledger.clone());
        let settings = Settings {
            cluster: "demo".into(),
            interval: self.interval.0,
            reflex: self.reflex.0,
            limits: GateLimits { highest_mode: Mode::Auto, ..GateLimits::default() },
            ..Settings::default()
        };
        let ticker = Ticker::start(ports, settings).await?;
        if self.headless {
            self.run_headless(&simulation, ticker, &ledger, output).await
        } else {
            self.run_page(&simulation, ticker, ledger, &*model).await
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.interval.0.is_zero() {
            bail!("--interval 0 would tick without end: write a duration such as 60s");
        }
        if self.headless && self.duration.is_none() {
            bail!("--headless needs --for: say how much of the demo's time to run, such as --for 10m");
        }
        Ok(())
    }

    async fn open_ledger(&self) -> anyhow::Result<SqliteLedger> {
        let Some(directory) = &self.data_dir else { return Ok(SqliteLedger::in_memory().await?) };
        if directory.join(ledger::FILE_NAME).exists() {
            // The demo's clock begins anew each time: a chain must not go back in time.
            bail!("--data-dir {} holds a ledger already: name a new directory", directory.display());
        }
        Ok(SqliteLedger::open(directory).await?)
    }

    /// The scripted expert, or a real model where one is named.
    fn player(&self, simulation: &Simulation) -> anyhow::Result<Arc<dyn Model>> {
        let config = Config::load(&ConfigArgs::default(), &self.model)?;
        Ok(match config.model {
            Some(model) => llm::connect(model, simulation.clock.clone())?,
            None => Arc::new(Expert),
        })
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm { interval: self.interval.0, reflex: self.reflex.0 }
    }

    /// When the demo's own time is up; never, where no length is given.
    fn end(&self, simulation: &Simulation) -> Timestamp {
        let length = self.duration.map(GoDuration::signed);
        length.and_then(|length| simulation.clock.now().checked_add(length).ok()).unwrap_or(Timestamp::MAX)
    }

    async fn run_page(
        &self,
        simulation: &Simulation,
        ticker: Ticker,
        ledger: Arc<SqliteLedger>,
        model: &dyn Model,
    ) -> anyhow::Result<Answer> {
        let (publish, published) = watch::channel(None);
        let (ask, asks) = mpsc::channel(16);
        let token = self.token_file.as_ref().map(|file| Token::read(file)).transpose().context("--token-file")?;
        let server = Server {
            published,
            ledger: ledger.clone(),
            decisions: Some(simulation.decisions()),
            asks: ask,
            clock: simulation.clock.clone(),
            settings: ServerSettings {
                listen: self.listen,
                token,
                host_names: Vec::new(),
                interval: self.interval.0,
                demo: true,
                title: "IPA demo".into(),
            },
        };
        let bound = server.bind().await?;
        say!(
            "ipa demo: a simulated cluster, the real loop; one second here is {} there",
            GoDuration(std::time::Duration::from_secs_f64(self.speed))
        );
        say!("  page    http://{}", bound.address());
        match model.identity().played_by {
            Some(player) => say!("  model   a {player} plays the model; let a real one play with --model-url and --model"),
            None => say!("  model   {}", model.identity().model),
        }
        let with_token = self.token_file.as_ref().map_or_else(String::new, |file| format!(" --token-file {}", file.display()));
        say!("  ask     ipa why shop/frontend --server http://{}{with_token}", bound.address());
        say!("  stop    Ctrl-C");
        std::io::stdout().flush()?;
        let (stop_server, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(bound.serve(async {
            let _ = stopped.await;
        }));
        let clock = simulation.clock.clone();
        let end = self.end(simulation);
        let stop = async {
            tokio::select! {
                () = super::run::terminated() => {}
                () = clock.sleep_until(end) => {}
            }
        };
        controller::run(ticker, simulation.clock.clone(), self.rhythm(), publish, asks, stop).await;
        let _ = stop_server.send(());
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), serving).await;
        ledger.close().await?;
        Ok(Answer::Yes)
    }

    /// Runs as fast as the machine can, and prints each tick's records; for people, the quiet ones are left out.
    async fn run_headless(
        &self,
        simulation: &Simulation,
        ticker: Ticker,
        ledger: &Arc<SqliteLedger>,
        output: Output,
    ) -> anyhow::Result<Answer> {
        let (publish, mut published) = watch::channel::<Option<Arc<Published>>>(None);
        let (_ask, asks) = mpsc::channel(1);
        let end = self.end(simulation);
        // Not a sleeper of the clock: it would jump there past a tick that computes.
        let stop = async move {
            let _ = published.wait_for(|view| view.as_ref().is_some_and(|view| view.at >= end)).await;
        };
        controller::run(ticker, simulation.clock.clone(), self.rhythm(), publish, asks, stop).await;
        print_records(ledger, output).await?;
        ledger.close().await?;
        Ok(Answer::Yes)
    }
}

/// Prints a ledger's records; for people, what is quiet is counted only.
async fn print_records(ledger: &SqliteLedger, output: Output) -> anyhow::Result<()> {
    let records = TickRecord::fold_all(ledger.entries(&EntryFilter::default()).await?);
    let is_quiet = |r: &TickRecord| r.actions.is_empty() && r.closed.as_ref().is_some_and(|c| c.proposals.is_empty());
    for record in &records {
        match output {
            Output::Json => print_json_line(record)?,
            Output::Table if is_quiet(record) => {}
            Output::Table => print_text(&report::record(record, report::evidence(ledger, record).await?.as_ref())),
        }
    }
    if output == Output::Table {
        print_text(&report::summary(&records));
        let quiet = records.iter().filter(|r| is_quiet(r)).count();
        say!("{quiet} quiet records are not shown; the chain of {} entries holds", ledger.verify().await?.entries);
    }
    Ok(())
}
