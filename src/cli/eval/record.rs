//! `ipa eval record`: a live stretch, from Prometheus and the ledger, as an incident's directory.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::super::output::{print_json, print_text};
use super::super::{Answer, ClusterArgs, Config, ConfigArgs, ModelArgs, Output, world};
use crate::adapters::ledger::{FILE_NAME, SqliteLedger};
use crate::domain::names::GroupId;
use crate::domain::units::GoDuration;
use crate::eval::record::{Assumed, Recording, Request, Sources, is_free, record};
use crate::ports::{Ledger, State as _};

/// Where `ipa run` keeps its ledger unless it is told otherwise.
const USUAL_DATA_DIR: &str = "./ipa-data";

/// Record a live stretch of one group as an incident, from Prometheus and the ledger: `ipa eval run DIR` replays it.
#[derive(Args, Debug)]
pub struct Record {
    /// A new directory, called as the incident is to be called.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Where the scored part begins: RFC 3339, or before now, such as -2h or -7d. Demand of two weeks before is its past.
    #[arg(long, env = "IPA_EVAL_FROM", value_name = "T", allow_hyphen_values = true)]
    from: String,
    /// Where it ends: RFC 3339, before now, or now.
    #[arg(long, env = "IPA_EVAL_TO", value_name = "T", allow_hyphen_values = true, default_value = "now")]
    to: String,
    /// Which `IntelligentPodAutoscaler`; the only one where none is named.
    #[arg(long, env = "IPA_EVAL_GROUP", value_name = "NAMESPACE/NAME")]
    group: Option<GroupId>,
    /// Units/s that one replica of a workload serves, where that is neither declared nor learned, or is known better. May be given for several.
    #[arg(long, env = "IPA_EVAL_CAPACITY", value_name = "WORKLOAD=UNITS", value_delimiter = ',', value_parser = capacity)]
    capacity: Vec<(String, f64)>,
    /// Call the workloads w1, w2, ..., and name neither the group nor the cluster.
    #[arg(long, env = "IPA_EVAL_ANONYMIZE")]
    anonymize: bool,
    /// Directory of the ledger that was written meanwhile. Default: the configuration's, or ./ipa-data where there is one.
    #[arg(long, env = "IPA_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    config: ConfigArgs,
}

/// What is printed for scripts.
#[derive(Serialize)]
struct Printed<'a> {
    incident: &'a str,
    directory: &'a Path,
    workloads: &'a [String],
    start: Timestamp,
    history_s: u32,
    duration_s: u32,
    ticks: usize,
    events: usize,
    faults: usize,
    assumed: &'a [Assumed],
    notes: &'a [String],
}

impl Record {
    pub(super) async fn run(self, output: Output) -> anyhow::Result<Answer> {
        let now = Timestamp::now();
        let mut request = self.request(now)?;
        // Before anything is asked.
        request.stretch()?;
        is_free(&self.directory)?;
        let config = Config::load(&self.config, &ModelArgs::default())?;
        let ledger = self.ledger(&config).await?;
        let memory = match &ledger {
            Some(ledger) => ledger.load().await?,
            None => None,
        };
        let world = world::connect(&self.cluster, &config).await?;
        world.ready().await?;
        let facts = world.facts(now).await?;
        let archive = world.archive();
        let sources = Sources {
            facts: &facts,
            archive: &*archive,
            ledger: ledger.as_ref().map(|ledger| ledger as &dyn Ledger),
            memory: memory.as_ref().map(|memory| &*memory.planner),
        };
        request.cluster = world.name.clone();
        let recording = record(sources, &request).await?;
        let incident = recording.write(&self.directory)?;
        match output {
            Output::Table => print_text(&self.told(&recording, ledger.is_some())),
            Output::Json => print_json(&Printed {
                incident: &incident.name,
                directory: &self.directory,
                workloads: &recording.workloads,
                start: incident.start,
                history_s: incident.history_s,
                duration_s: incident.duration_s,
                ticks: recording.ticks,
                events: recording.events,
                faults: recording.faults,
                assumed: &recording.assumed,
                notes: &recording.notes,
            })?,
        }
        Ok(Answer::Yes)
    }

    /// What is asked for; the cluster has no name yet.
    fn request(&self, now: Timestamp) -> anyhow::Result<Request> {
        let name = self.directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        Ok(Request {
            cluster: "".into(),
            name: name.to_owned(),
            group: self.group.clone(),
            from: moment(&self.from, "--from", now)?,
            until: moment(&self.to, "--to", now)?,
            capacities: self.capacity.iter().cloned().collect(),
            anonymize: self.anonymize,
        })
    }

    /// The ledger, where there is one. One that was named has to be there.
    async fn ledger(&self, config: &Config) -> anyhow::Result<Option<SqliteLedger>> {
        let named = self.data_dir.as_deref().or(config.data_dir.as_deref());
        let directory = named.unwrap_or(Path::new(USUAL_DATA_DIR));
        if named.is_none() && !directory.join(FILE_NAME).is_file() {
            return Ok(None);
        }
        Ok(Some(SqliteLedger::open_existing(directory).await?))
    }

    fn told(&self, recording: &Recording, with_ledger: bool) -> String {
        let Recording { files: _, workloads, history, duration, ticks, events, faults, assumed, notes } = recording;
        let mut text = format!(
            "{}: {}, {history} of history and {duration} scored; {ticks} ticks, {events} events, {faults} faults\n",
            self.directory.display(),
            workloads.join(", ")
        );
        // Writing to a string cannot fail.
        let mut list = |title: &str, lines: &[String]| {
            for (index, line) in lines.iter().enumerate() {
                let _ = if index == 0 { writeln!(text, "{title}:\n  {line}") } else { writeln!(text, "  {line}") };
            }
        };
        list("taken by default", &assumed.iter().map(ToString::to_string).collect::<Vec<_>>());
        list("not as it was", notes);
        if !with_ledger {
            text.push_str("there was no ledger to read: name its directory with --data-dir for replicas, events and faults as they were\n");
        }
        let _ = writeln!(text, "replay it with: ipa eval run {} --policy hpa,ipa,oracle", self.directory.display());
        text
    }
}

/// A moment of the past: RFC 3339, `now`, or a duration before it.
fn moment(text: &str, flag: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let mistaken = || format!("{flag} {text} is no time: write RFC 3339, such as 2026-03-02T10:00:00Z, or a time before now, such as -2h");
    let at = match text.strip_prefix('-') {
        _ if text == "now" => now,
        Some(ago) => {
            let ago: GoDuration = ago.parse().map_err(|_| anyhow!(mistaken()))?;
            now.checked_sub(ago.signed()).map_err(|_| anyhow!(mistaken()))?
        }
        None => text.parse().map_err(|_| anyhow!(mistaken()))?,
    };
    if at > now {
        bail!("{flag} {text} is yet to come: name a time that has passed");
    }
    Ok(at)
}

/// `web=50`.
fn capacity(text: &str) -> Result<(String, f64), String> {
    let given = text.split_once('=').and_then(|(name, units)| Some((name.trim(), units.trim().parse::<f64>().ok()?)));
    match given {
        Some((name, units)) if !name.is_empty() && units.is_finite() && units > 0.0 => Ok((name.to_owned(), units)),
        _ => Err("write a workload's name and the units/s that one replica serves, such as web=50".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(flatten)]
        record: Record,
    }

    fn request(arguments: &str) -> Result<Request, String> {
        let now = "2026-03-04T10:00:30Z".parse().unwrap();
        let line = Line::try_parse_from(format!("record {arguments}").split(' ')).map_err(|error| error.to_string())?;
        line.record.request(now).map_err(|error| error.to_string())
    }

    #[test]
    fn times_are_rfc_3339_or_before_now_and_the_end_is_now_unless_it_is_said() {
        let between = |arguments: &str| request(arguments).map(|request| [request.from, request.until].map(|at| at.to_string()));
        let times = |from: &str, until: &str| Ok([from.to_owned(), until.to_owned()]);
        assert_eq!(between("--from -2h a/friday"), times("2026-03-04T08:00:30Z", "2026-03-04T10:00:30Z"));
        assert_eq!(between("--from=-7d --to -1h30m x"), times("2026-02-25T10:00:30Z", "2026-03-04T08:30:30Z"));
        assert_eq!(between("--from 2026-03-04T10:00:00+01:00 --to now x"), times("2026-03-04T09:00:00Z", "2026-03-04T10:00:30Z"));
        assert_eq!(request("--from -2h a/friday/").unwrap().name, "friday");
        for mistaken in ["yesterday", "2026-03-04", "-soon", "2h"] {
            let said = request(&format!("--from {mistaken} x")).unwrap_err();
            assert!(said.starts_with(&format!("--from {mistaken} is no time: write RFC 3339, such as")), "{said}");
        }
        assert_eq!(
            request("--from -2h --to 2026-03-04T10:00:31Z x").unwrap_err(),
            "--to 2026-03-04T10:00:31Z is yet to come: name a time that has passed"
        );
    }

    #[test]
    fn capacities_are_given_by_name() {
        let given = request("--from -2h --capacity web=50,api=0.5 --capacity db=7 x").unwrap().capacities;
        assert_eq!(given.into_iter().collect::<Vec<_>>(), [("api".to_owned(), 0.5), ("db".to_owned(), 7.0), ("web".to_owned(), 50.0)]);
        for mistaken in ["web", "web=", "=5", "web=0", "web=-1", "web=NaN", "web=many"] {
            assert!(request(&format!("--from -2h --capacity {mistaken} x")).unwrap_err().contains("such as web=50"), "{mistaken}");
        }
    }
}
