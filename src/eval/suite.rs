//! A grid of cells, run on the cores there are. The results do not depend on how many, or on which cells an earlier run had finished.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::cell::{CellError, CellResult, RunError, Runner};
use super::incident::Incident;
use super::policy::Policy;
use super::progress::Progress;
use super::resume::{CellName, Finished, ResumeError, incident_digest};
use super::timeline::Timeline;
use crate::domain::names::Digest;

/// What is run: every policy on every incident with every seed, once per price where the policy takes one.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The incidents; names are unique.
    pub incidents: Vec<Incident>,
    /// The policies, each once.
    pub policies: Vec<Policy>,
    /// The seeds, each once.
    pub seeds: Vec<u64>,
    /// The prices, each once.
    pub prices: Vec<u32>,
    /// Which model `ipa-model` asks, as far as its cells depend on it.
    pub model: String,
}

/// Place of a cell in the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    incident: usize,
    policy: Policy,
    seed: u64,
    /// 0 for a policy that takes none.
    price: u32,
}

/// The finished grid.
#[derive(Debug, Default)]
pub struct Cells {
    by_place: BTreeMap<Place, CellResult>,
    /// Cells that could not be had, a sentence each.
    pub unfit: Vec<String>,
    /// Cells that an earlier run had finished.
    pub found: usize,
}

/// Why a suite did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// A name that stands twice could not be told apart in results.
    #[error("two incidents are named {0}: give one of them another metadata.name")]
    Twice(Arc<str>),
    /// No threads.
    #[error("failed to start {jobs} threads")]
    Threads {
        /// How many were asked for.
        jobs: usize,
        /// Why.
        #[source]
        source: rayon::ThreadPoolBuildError,
    },
    /// A cell failed.
    #[error("failed to run {policy} on {incident} (seed {seed}, price {price})")]
    Cell {
        /// Incident.
        incident: Arc<str>,
        /// Policy.
        policy: Policy,
        /// Seed.
        seed: u64,
        /// Price; 0 for a policy that takes none.
        price: u32,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Finished cells could not be read or kept.
    #[error(transparent)]
    Resume(#[from] ResumeError),
}

/// What came of a place.
enum Outcome {
    Ran(CellResult),
    Found(CellResult),
    Unfit(String),
}

impl Suite {
    /// Cells of the grid.
    #[must_use]
    pub fn size(&self) -> usize {
        self.places().len()
    }

    /// Incident by incident, so that what a runner derives from one is still at hand for the next.
    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for incident in 0..self.incidents.len() {
            for &policy in &self.policies {
                let prices = if policy.takes_price() { self.prices.as_slice() } else { &[0] };
                let grid = self.seeds.iter().flat_map(|seed| prices.iter().map(move |price| (*seed, *price)));
                places.extend(grid.map(|(seed, price)| Place { incident, policy, seed, price }));
            }
        }
        places
    }

    /// Runs all cells with `jobs` threads; those in `finished` are taken from there, and new ones added to it.
    ///
    /// # Errors
    /// [`SuiteError`] of a cell that failed; no further ones are begun, and what was finished before is kept.
    pub fn run(&self, runner: &dyn Runner, finished: Option<&Finished>, jobs: usize, progress: &Progress) -> Result<Cells, SuiteError> {
        let mut names: Vec<&Arc<str>> = self.incidents.iter().map(|incident| &incident.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(SuiteError::Twice(twice[0].clone()));
        }
        let digests: Vec<Digest> = match finished {
            Some(_) => self.incidents.iter().map(|incident| incident_digest(&incident.directory)).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let threads = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().map_err(|source| SuiteError::Threads { jobs, source })?;
        let places = self.places();
        let outcomes: Result<Vec<Outcome>, SuiteError> = threads.install(|| {
            // One by one from the front: cells take from milliseconds to minutes.
            places
                .par_iter()
                .with_max_len(1)
                .map(|place| {
                    let outcome = self.place(*place, runner, finished.map(|finished| (finished, &digests[place.incident])));
                    let name = format!("{} {}", self.incidents[place.incident].name, place.policy);
                    progress.advance(matches!(outcome, Ok(Outcome::Found(_))), &name);
                    outcome
                })
                .collect()
        });
        progress.finish();
        let mut cells = Cells::default();
        for (place, outcome) in places.into_iter().zip(outcomes?) {
            match outcome {
                Outcome::Ran(cell) => drop(cells.by_place.insert(place, cell)),
                Outcome::Found(cell) => {
                    cells.found += 1;
                    cells.by_place.insert(place, cell);
                }
                Outcome::Unfit(sentence) => cells.unfit.push(sentence),
            }
        }
        cells.unfit.dedup();
        Ok(cells)
    }

    fn place(&self, place: Place, runner: &dyn Runner, finished: Option<(&Finished, &Digest)>) -> Result<Outcome, SuiteError> {
        let Place { incident, policy, seed, price } = place;
        let incident = &self.incidents[incident];
        let model = if policy == Policy::IpaModel { self.model.as_str() } else { "" };
        let name = |digest| CellName { incident: digest, policy, seed, price, model };
        let key = finished.map(|(finished, digest)| finished.key(&name(digest))).transpose()?;
        if let (Some((finished, _)), Some(key)) = (finished, &key)
            && let Some(cell) = finished.get(key)
        {
            return Ok(Outcome::Found(cell.clone()));
        }
        let failed = |source| SuiteError::Cell { incident: incident.name.clone(), policy, seed, price, source };
        let mut cell = match runner.run(incident, policy, seed, price) {
            Ok(cell) => cell,
            Err(RunError::Unfit(sentence)) => return Ok(Outcome::Unfit(sentence)),
            Err(RunError::Failed(source)) => return Err(failed(source)),
        };
        cell.check(incident).map_err(|error: CellError| failed(error.into()))?;
        for workload in &mut cell.workloads {
            workload.timeline = workload.timeline.thinned(Timeline::ENOUGH);
        }
        if let (Some((finished, _)), Some(key)) = (finished, key) {
            finished.add(key, &cell)?;
        }
        Ok(Outcome::Ran(cell))
    }
}

impl Cells {
    /// The cell of an incident (by its place in the suite), policy, seed and price.
    #[must_use]
    pub fn get(&self, incident: usize, policy: Policy, seed: u64, price: u32) -> Option<&CellResult> {
        let price = if policy.takes_price() { price } else { 0 };
        self.by_place.get(&Place { incident, policy, seed, price })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::testing::{MadeUp, seasonal};
    use super::*;

    fn suite() -> Suite {
        Suite {
            incidents: vec![seasonal("one", 30), seasonal("two", 180)],
            policies: vec![Policy::Hpa, Policy::HpaTuned, Policy::Ipa],
            seeds: vec![1, 2],
            prices: vec![10, 30],
            model: String::new(),
        }
    }

    fn run(suite: &Suite, runner: &MadeUp, jobs: usize) -> Result<Cells, SuiteError> {
        suite.run(runner, None, jobs, &Progress::new(suite.size()))
    }

    #[test]
    fn a_policy_that_takes_no_price_runs_once_for_all_prices() {
        let (suite, runner) = (suite(), MadeUp::default());
        let cells = run(&suite, &runner, 2).unwrap();
        // 2 incidents, 2 seeds, and for each 1 + 2 + 2 cells.
        assert_eq!((suite.size(), runner.ran.load(Ordering::Relaxed)), (20, 20));
        assert!(cells.get(0, Policy::Hpa, 1, 10).is_some());
        assert_eq!(cells.get(0, Policy::Hpa, 1, 10), cells.get(0, Policy::Hpa, 1, 30));
        assert_eq!(cells.get(0, Policy::Keda, 1, 10), None);
    }

    #[test]
    fn the_results_do_not_depend_on_the_number_of_threads() {
        let (suite, runner) = (suite(), MadeUp::default());
        assert_eq!(run(&suite, &runner, 1).unwrap().by_place, run(&suite, &runner, 3).unwrap().by_place);
    }

    #[test]
    fn an_interrupted_run_goes_on_and_comes_to_the_same() {
        let (directory, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut suite = suite();
        for incident in &mut suite.incidents {
            incident.directory = directory.path().join(&*incident.name);
            std::fs::create_dir(&incident.directory).unwrap();
            std::fs::write(incident.directory.join("incident.yaml"), &*incident.name).unwrap();
        }
        let whole = run(&suite, &MadeUp::default(), 1).unwrap();
        let resumed = |runner: &MadeUp| {
            let finished = Finished::open(out.path(), "build").unwrap();
            suite.run(runner, Some(&finished), 1, &Progress::new(suite.size()))
        };
        let broken = MadeUp { fails: Some(Policy::Ipa), ..MadeUp::default() };
        let error = resumed(&broken).unwrap_err();
        assert_eq!(error.to_string(), "failed to run ipa on one (seed 1, price 10)");
        let before = broken.ran.load(Ordering::Relaxed) - 1;
        assert!(before > 0);
        let runner = MadeUp::default();
        let cells = resumed(&runner).unwrap();
        assert_eq!((cells.found as u32, runner.ran.load(Ordering::Relaxed)), (before, 20 - before));
        assert_eq!(cells.by_place, whole.by_place);
        let again = MadeUp::default();
        assert_eq!((resumed(&again).unwrap().found, again.ran.load(Ordering::Relaxed)), (20, 0));
    }

    #[test]
    fn a_policy_that_does_not_fit_is_left_out_and_said_so() {
        let cells = run(&suite(), &MadeUp { unfit: Some(Policy::HpaTuned), ..MadeUp::default() }, 2).unwrap();
        assert_eq!(cells.unfit, ["hpa-tuned needs more past than one has", "hpa-tuned needs more past than two has"]);
        assert!(cells.get(0, Policy::HpaTuned, 1, 10).is_none() && cells.get(0, Policy::Ipa, 1, 10).is_some());
    }

    #[test]
    fn two_incidents_of_one_name_are_refused() {
        let mut suite = suite();
        suite.incidents[1].name = "one".into();
        assert!(matches!(run(&suite, &MadeUp::default(), 1), Err(SuiteError::Twice(name)) if &*name == "one"));
    }
}
