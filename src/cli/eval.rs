//! `ipa eval`: incidents are replayed and policies scored; a live stretch is recorded as one.

mod record;
mod tables;

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::output::{print_json_line, print_text};
use super::{Answer, Config, ConfigArgs, ModelArgs, Output};
use crate::adapters::llm::ChatModel;
use crate::adapters::prices::{BuiltinPrices, BuiltinPricesConfig, ListConfig};
use crate::agent::prompt::Prompts;
use crate::eval::cell::Runner;
use crate::eval::engine::{Engine, PRICE_LISTS};
use crate::eval::incident::Incident;
use crate::eval::judgement::TokenPrice;
use crate::eval::player::Player;
use crate::eval::policy::Policy;
use crate::eval::progress::Progress;
use crate::eval::report::{self, Header};
use crate::eval::resume::{Finished, this_build};
use crate::eval::score::{Scores, score};
use crate::eval::scoreboard::{Scoreboard, TOLERANCE};
use crate::eval::suite::{Cells, Suite};
use crate::ports::Model;

/// File by which a directory is known as an incident.
const INCIDENT_FILE: &str = "incident.yaml";
/// Directories that are looked through below one that is no incident: a folder of suites of incidents.
const DEEPEST: u32 = 3;

/// What can be done with incidents.
#[derive(Args, Debug)]
pub struct Eval {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    Run(Box<Run>),
    Record(Box<record::Record>),
}

impl Eval {
    pub(super) fn run(self, output: Output) -> anyhow::Result<Answer> {
        let run = match self.action {
            Action::Run(run) => run,
            Action::Record(record) => return tokio::runtime::Handle::current().block_on(record.run(output)),
        };
        let incidents = run.incident_directories()?.iter().map(|directory| Incident::read(directory)).collect::<Result<_, _>>()?;
        let prices =
            BuiltinPrices::new(&BuiltinPricesConfig { lists: PRICE_LISTS.map(|list| ListConfig { list, zones: Vec::new() }).to_vec() })?;
        let engine = Engine::new(Arc::new(prices));
        let engine = match run.player()? {
            Some(player) => engine.with_player(player),
            None => engine,
        };
        run.score(incidents, &engine, output)
    }
}

/// Replay incidents and score policies: a league table, or one JSON object a line.
#[derive(Args, Debug)]
pub struct Run {
    /// Directories that are incidents, or that hold some.
    #[arg(value_name = "DIR", required = true)]
    directories: Vec<PathBuf>,
    /// Policies, with commas between; all that need no model where none is named, and `ipa-model` where there is one.
    #[arg(long, env = "IPA_EVAL_POLICY", value_name = "NAME", value_delimiter = ',')]
    policy: Vec<Policy>,
    /// Prices of a wholly bad minute, in minutes of the ideal fleet. Goals hold at 10 and 30.
    #[arg(long, env = "IPA_EVAL_PRICE", value_name = "N", value_delimiter = ',', default_values_t = [3, 10, 30], value_parser = clap::value_parser!(u32).range(1..=1000))]
    price: Vec<u32>,
    /// Seeds of the arrivals and of everything else that is drawn.
    #[arg(long, env = "IPA_EVAL_SEED", value_name = "N", value_delimiter = ',', default_values_t = [1])]
    seed: Vec<u64>,
    /// Cells that run at once; as many as there are cores where nothing is said.
    #[arg(long, env = "IPA_EVAL_JOBS", value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Write the report, one HTML file that needs nothing else.
    #[arg(long, env = "IPA_EVAL_REPORT", value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keep finished cells in this directory: the same command goes on where it was interrupted.
    #[arg(long, env = "IPA_EVAL_OUT", value_name = "DIR")]
    out: Option<PathBuf>,
    /// Compare with this scoreboard; exit 1, with a table of what fell, when the floor is below it.
    #[arg(long, env = "IPA_EVAL_CHECK_SCOREBOARD", value_name = "FILE")]
    check_scoreboard: Option<PathBuf>,
    /// Write what this run came to as a scoreboard. One that is there keeps its tolerance.
    #[arg(long, env = "IPA_EVAL_WRITE_SCOREBOARD", value_name = "FILE")]
    write_scoreboard: Option<PathBuf>,
    /// Commit that the report and the scoreboard name.
    #[arg(long, env = "IPA_COMMIT", value_name = "ID", default_value = option_env!("IPA_COMMIT").unwrap_or("unknown"))]
    commit: String,
    /// Dollars that a million prompt tokens and a million completion tokens cost, such as 0.25,2; model cost is part of cost.
    #[arg(long, env = "IPA_EVAL_MODEL_PRICE", value_name = "PROMPT,COMPLETION", value_parser = token_price)]
    model_price: Option<TokenPrice>,
    #[command(flatten)]
    model: ModelArgs,
}

fn token_price(text: &str) -> Result<TokenPrice, String> {
    let dollars = |text: &str| text.trim().parse::<f64>().ok().filter(|dollars| dollars.is_finite() && *dollars >= 0.0);
    let both = text.split_once(',').and_then(|(prompt, completion)| Some((dollars(prompt)?, dollars(completion)?)));
    let (prompt, completion) = both.ok_or("write two amounts of dollars a million tokens, prompt and completion, such as 0.25,2")?;
    Ok(TokenPrice { prompt, completion })
}

impl Run {
    /// The incidents that are asked for: each directory that is one, or every one below it, by path.
    ///
    /// # Errors
    /// A directory that cannot be read, or holds none.
    pub fn incident_directories(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for directory in &self.directories {
            let before = found.len();
            collect(directory, DEEPEST, &mut found)?;
            if found.len() == before {
                bail!("{} holds no incident: name a directory with an {INCIDENT_FILE}, or one above such", directory.display());
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Runs and scores `incidents`, prints what came of it and writes what was asked for.
    ///
    /// # Errors
    /// A cell that failed, or a file that cannot be read or written.
    pub fn score(&self, incidents: Vec<Incident>, runner: &dyn Runner, output: Output) -> anyhow::Result<Answer> {
        let suite = self.suite(incidents)?;
        let committed = self.check_scoreboard.as_deref().map(read_scoreboard).transpose()?;
        let finished = match &self.out {
            Some(directory) => Some(Finished::open(directory, &this_build().context("failed to read this program's own file")?)?),
            None => None,
        };
        let jobs = self.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let cells = suite.run(runner, finished.as_ref(), jobs, &Progress::new(suite.size()))?;
        let scores = score(&suite, &cells);
        match output {
            Output::Json => print_lines(&suite, &scores)?,
            Output::Table => print_text(&tables::text(&suite, &scores)),
        }
        self.note(&suite, &cells);
        self.write(&suite, &cells, &scores)?;
        for miss in &scores.misses {
            eprintln!("missed: {miss}");
        }
        let falls = match &committed {
            Some(committed) => {
                let now = self.scoreboard_of(&suite, &scores, TOLERANCE);
                let (falls, losses) = (committed.falls(&now)?, committed.losses(&now)?);
                eprint!("{}", tables::fallen(&falls, &losses));
                falls
            }
            None => Vec::new(),
        };
        Ok(if scores.misses.is_empty() && falls.is_empty() { Answer::Yes } else { Answer::No })
    }

    fn suite(&self, incidents: Vec<Incident>) -> anyhow::Result<Suite> {
        let with_model = self.model.model_url.is_some();
        if self.policy.contains(&Policy::IpaModel) && !with_model {
            bail!("--policy ipa-model needs a model: name one with --model-url");
        }
        let all = || Policy::ALL.into_iter().filter(|policy| with_model || *policy != Policy::IpaModel).collect();
        let policies = if self.policy.is_empty() { all() } else { once(&self.policy) };
        let mut model =
            [&self.model.model, &self.model.model_url].map(|part| part.as_deref().unwrap_or_default()).join(" ").trim().to_owned();
        if let (Some(TokenPrice { prompt, completion }), true) = (self.model_price, with_model) {
            // A cell holds what the model cost: at another price it is another cell.
            let _ = write!(model, " at {prompt},{completion} $/M");
        }
        Ok(Suite { incidents, policies, seeds: once(&self.seed), prices: once(&self.price), model })
    }

    /// Who plays the model, as `ipa demo` would be told; nobody without `--model-url`.
    fn player(&self) -> anyhow::Result<Option<Player>> {
        let Some(config) = Config::load(&ConfigArgs::default(), &self.model)?.model else { return Ok(None) };
        config.check()?;
        Ok(Some(Player {
            tokens_per_day: config.tokens_per_day,
            caps: config.caps(),
            price: self.model_price.unwrap_or_default(),
            connect: Box::new(move || Ok(Arc::new(ChatModel::new(config.clone())?) as Arc<dyn Model>)),
        }))
    }

    /// What a reader of the results would miss without a word.
    fn note(&self, suite: &Suite, cells: &Cells) {
        if let (Some(directory), 1..) = (&self.out, cells.found) {
            eprintln!("{} of {} cells were found finished in {}", cells.found, suite.size(), directory.display());
        }
        for sentence in &cells.unfit {
            eprintln!("not run: {sentence}");
        }
        for reference in [Policy::HpaTuned, Policy::OracleRate].into_iter().filter(|policy| !suite.policies.contains(policy)) {
            eprintln!("gap_closed is unknown without {reference}: add it to --policy");
        }
        if suite.policies.contains(&Policy::IpaModel) && self.model_price.is_none() {
            eprintln!("model_cost_usd is 0: say what tokens cost with --model-price, such as 0.25,2");
        }
        let costs_expected = suite.incidents.iter().any(|incident| incident.expect.max_cost_over_oracle.is_some());
        if costs_expected && ![Policy::Oracle, Policy::OracleRate].iter().any(|oracle| suite.policies.contains(oracle)) {
            eprintln!("maxCostOverOracle was not checked: add oracle to --policy");
        }
    }

    fn write(&self, suite: &Suite, cells: &Cells, scores: &Scores) -> anyhow::Result<()> {
        if let Some(path) = &self.report {
            let header = Header {
                commit: self.commit.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                prompt_hash: Prompts::load()?.hash().short().to_owned(),
                model: if suite.policies.contains(&Policy::IpaModel) { suite.model.clone() } else { String::new() },
            };
            write_file(path, &report::render(suite, cells, scores, &header)?)?;
        }
        if let Some(path) = &self.write_scoreboard {
            let tolerance = if path.exists() { read_scoreboard(path)?.tolerance } else { TOLERANCE };
            write_file(path, &self.scoreboard_of(suite, scores, tolerance).text()?)?;
        }
        Ok(())
    }

    fn scoreboard_of(&self, suite: &Suite, scores: &Scores, tolerance: f64) -> Scoreboard {
        Scoreboard::of(suite, scores, &self.commit, tolerance)
    }
}

/// Each once, in the order in which they were given.
fn once<T: PartialEq + Copy>(given: &[T]) -> Vec<T> {
    let mut once = Vec::new();
    for item in given {
        if !once.contains(item) {
            once.push(*item);
        }
    }
    once
}

fn collect(directory: &Path, deeper: u32, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if directory.join(INCIDENT_FILE).is_file() {
        into.push(directory.to_owned());
        return Ok(());
    }
    let failed = || format!("failed to read {}", directory.display());
    for entry in std::fs::read_dir(directory).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if deeper > 0 && path.is_dir() {
            collect(&path, deeper - 1, into)?;
        }
    }
    Ok(())
}

fn print_lines(suite: &Suite, scores: &Scores) -> anyhow::Result<()> {
    for row in &scores.rows {
        print_json_line(row)?;
    }
    for row in scores.gap_rows(suite) {
        print_json_line(&row)?;
    }
    Ok(())
}

fn read_scoreboard(path: &Path) -> anyhow::Result<Scoreboard> {
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    Scoreboard::parse(&text).with_context(|| path.display().to_string())
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::eval::testing::{MadeUp, seasonal};

    #[derive(Parser, Debug)]
    struct Line {
        #[command(flatten)]
        run: Run,
    }

    fn run(arguments: &str) -> Run {
        Line::try_parse_from(format!("run {arguments}").split(' ')).unwrap().run
    }

    fn shops() -> Vec<Incident> {
        ["one", "two", "three"].into_iter().map(|name| seasonal(name, 30)).collect()
    }

    #[test]
    fn lists_are_read_with_commas_and_nothing_runs_twice() {
        let suite = run("x --policy ipa,hpa,ipa --seed 3,1,3 --price 10").suite(Vec::new()).unwrap();
        assert_eq!((suite.policies, suite.seeds, suite.prices), (vec![Policy::Ipa, Policy::Hpa], vec![3, 1], vec![10]));
        let all = run("x").suite(Vec::new()).unwrap();
        assert_eq!((all.policies.len(), all.seeds, all.prices), (10, vec![1], vec![3, 10, 30]));
        let with_model = run("x --model-url http://m/v1 --model small").suite(Vec::new()).unwrap();
        assert!(with_model.policies.contains(&Policy::IpaModel));
        assert_eq!(with_model.model, "small http://m/v1");
        let dear = run("x --model-url http://m/v1 --model small --model-price 0.25,2").suite(Vec::new()).unwrap();
        assert_eq!(dear.model, "small http://m/v1 at 0.25,2 $/M");
    }

    #[test]
    fn what_cannot_be_run_is_said_before_anything_runs() {
        let refused = |arguments: &str| Line::try_parse_from(format!("run {arguments}").split(' ')).unwrap_err().to_string();
        assert!(refused("x --policy hpa,best").contains("`best` is no policy: write some of hold, static-peak"));
        assert!(refused("x --price 0").contains("0 is not in 1..=1000"));
        assert!(refused("x --jobs 0").contains("--jobs"));
        assert!(refused("").contains("DIR"));
        for odd in ["3", "-1,2", "a,b", "NaN,1"] {
            assert!(refused(&format!("x --model-price={odd}")).contains("write two amounts"), "{odd}");
        }
        let error = run("x --policy ipa-model").suite(Vec::new()).unwrap_err().to_string();
        assert_eq!(error, "--policy ipa-model needs a model: name one with --model-url");
        assert!(run("x").player().unwrap().is_none());
        let player =
            |arguments: &str| run(arguments).player().map(|player| player.map(|player| (player.connect)().unwrap().identity().model));
        assert_eq!(player("x --model-url http://m/v1 --model small").unwrap().as_deref(), Some("small"));
        assert!(player("x --model-url http://m/v1").unwrap_err().to_string().contains("--model-url needs --model"));
        assert!(player("x --model-url m --model small").unwrap_err().to_string().starts_with("model.url"));
    }

    #[test]
    fn incidents_are_found_below_what_is_named_each_once() {
        let root = tempfile::tempdir().unwrap();
        for name in ["b/shop", "a", "b/deep/er"] {
            let directory = root.path().join(name);
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join(INCIDENT_FILE), "").unwrap();
        }
        std::fs::create_dir(root.path().join("empty")).unwrap();
        let shown = root.path().display().to_string();
        let found = run(&format!("{shown} {shown}/a")).incident_directories().unwrap();
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(root.path()).unwrap().display().to_string()).collect();
        assert_eq!(names, ["a", "b/deep/er", "b/shop"]);
        let error = run(&format!("{shown}/empty")).incident_directories().unwrap_err().to_string();
        assert!(error.ends_with("empty holds no incident: name a directory with an incident.yaml, or one above such"), "{error}");
        assert!(run(&format!("{shown}/none")).incident_directories().unwrap_err().to_string().starts_with("failed to read"));
    }

    #[test]
    fn the_answer_is_no_when_something_expected_was_missed() {
        let quick = run("x --policy hpa-tuned,ipa,oracle,oracle-rate --price 10 --jobs 1");
        assert_eq!(quick.score(shops(), &MadeUp::default(), Output::Table).unwrap(), Answer::Yes);
        let mut strict = shops();
        strict[1].expect.max_cost_over_oracle = Some(1.0);
        assert_eq!(quick.score(strict, &MadeUp::default(), Output::Table).unwrap(), Answer::No);
    }

    #[test]
    fn the_answer_is_no_when_the_floor_falls_below_the_scoreboard() {
        let directory = tempfile::tempdir().unwrap();
        let (board, page) = (directory.path().join("scoreboard.json"), directory.path().join("report.html"));
        let quick =
            format!("x --policy hpa-tuned,ipa,oracle,oracle-rate --price 10 --jobs 1 --commit 0f3c --check-scoreboard {}", board.display());
        let first = quick.replace("--check-scoreboard", "--write-scoreboard") + &format!(" --report {}", page.display());
        assert_eq!(run(&first).score(shops(), &MadeUp::default(), Output::Json).unwrap(), Answer::Yes);
        assert!(std::fs::read_to_string(&page).unwrap().contains("0f3c"));
        assert_eq!(run(&quick).score(shops(), &MadeUp::default(), Output::Json).unwrap(), Answer::Yes);
        let wasteful = MadeUp { spare: Some(0.4), ..MadeUp::default() };
        assert_eq!(run(&quick).score(shops(), &wasteful, Output::Json).unwrap(), Answer::No);
        // Written anew, the file keeps the tolerance that somebody set.
        let loose = std::fs::read_to_string(&board).unwrap().replace("\"tolerance\": 0.02", "\"tolerance\": 0.5");
        std::fs::write(&board, loose).unwrap();
        run(&first).score(shops(), &wasteful, Output::Json).unwrap();
        assert_eq!(read_scoreboard(&board).unwrap().tolerance, 0.5);
    }
}
