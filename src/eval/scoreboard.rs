//! The scoreboard: what the shipped suite came to when somebody last committed it, and whether the floor has fallen since.
//!
//! Leagues are what is held: one incident may lose what others gain. What each incident came to stands beside them, so that a fall can be traced,
//! and so that a few incidents can be held without running the rest.

#[cfg(test)]
mod committed;
mod single;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bootstrap::{Interval, METHOD};
use super::policy::Policy;
use super::score::Scores;
use super::suite::Suite;

pub use single::{Loss, Single};

/// How far `gap_closed` may fall before it counts, where the file says nothing else: about what another compiler's rounding may move a decision.
pub const TOLERANCE: f64 = 0.02;
/// The policy that is held to what is committed: what remains when there is no model.
const FLOOR: Policy = Policy::Ipa;

/// The committed file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scoreboard {
    /// Commit it was measured at.
    pub commit: String,
    /// Seeds it was measured with.
    pub seeds: Vec<u64>,
    /// What the intervals are.
    pub interval: String,
    /// How far `gap_closed` of the floor may fall.
    pub tolerance: f64,
    /// By price, kind, class and policy.
    pub entries: Vec<Entry>,
    /// The floor on each incident, by price.
    pub incidents: Vec<Single>,
}

/// One policy over the scored incidents of one price, kind and start-up class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Price of a bad minute.
    pub price: u32,
    /// Tag; null is all.
    pub kind: Option<String>,
    /// Class of start-ups; null is all.
    pub class: Option<String>,
    /// Who.
    pub policy: Policy,
    /// Incidents it ran on.
    pub incidents: usize,
    /// Share of the distance from `hpa-tuned` to `oracle-rate`.
    pub gap_closed: Option<f64>,
    /// How sure that is.
    pub gap_interval: Option<Interval>,
    /// Share of the requests that were bad.
    pub bad_fraction: Option<f64>,
    /// Cost over the oracle's.
    pub cost_over_oracle: Option<f64>,
    /// Incidents failed by something forbidden.
    pub failed: usize,
}

/// A file that cannot be compared with this run.
#[derive(Debug, thiserror::Error)]
pub enum ScoreboardError {
    /// It is no scoreboard.
    #[error("failed to read the scoreboard: write a new one with --write-scoreboard")]
    Parse(#[from] serde_json::Error),
    /// It was measured with other seeds.
    #[error("the scoreboard was measured with other seeds: run with --seed {}", listed(.0))]
    Seeds(Vec<u64>),
    /// A tolerance that nothing, or everything, would pass.
    #[error("tolerance {0} of the scoreboard is not between 0 and 1: write the fall of gap_closed that is let pass, such as {TOLERANCE}")]
    Tolerance(f64),
}

/// Where the floor fell.
#[derive(Clone, Debug, PartialEq)]
pub struct Fall {
    /// What was committed.
    pub committed: Entry,
    /// How it fell.
    pub kind: FallKind,
}

/// How the floor fell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FallKind {
    /// This run does not measure it.
    NotMeasured,
    /// This run measures it on another number of incidents.
    OtherIncidents(usize),
    /// It closes less of the gap.
    Below(f64),
    /// More incidents failed by something forbidden.
    Failed(usize),
}

fn listed(seeds: &[u64]) -> String {
    seeds.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Scoreboard {
    /// What a run came to.
    #[must_use]
    pub fn of(suite: &Suite, scores: &Scores, commit: &str, tolerance: f64) -> Self {
        let entries = scores.leagues.iter().flat_map(|league| {
            league.standings.iter().map(|standing| Entry {
                price: league.scope.price,
                kind: league.scope.kind.as_ref().map(ToString::to_string),
                class: league.scope.class.map(|class| class.name().to_owned()),
                policy: standing.policy,
                incidents: standing.incidents,
                gap_closed: standing.gap_closed.map(short),
                gap_interval: standing.interval.map(|Interval { low, high }| Interval { low: short(low), high: short(high) }),
                bad_fraction: standing.bad_fraction.map(short),
                cost_over_oracle: standing.cost_over_oracle.map(short),
                failed: standing.failed,
            })
        });
        Self {
            commit: commit.to_owned(),
            seeds: suite.seeds.clone(),
            interval: METHOD.to_owned(),
            tolerance,
            entries: entries.collect(),
            incidents: scores.cases.iter().filter_map(|case| Single::of(suite, case, FLOOR)).collect(),
        }
    }

    /// Reads a committed file.
    ///
    /// # Errors
    /// [`ScoreboardError`] with the mend.
    pub fn parse(text: &str) -> Result<Self, ScoreboardError> {
        let scoreboard: Self = serde_json::from_str(text)?;
        if !(0.0..1.0).contains(&scoreboard.tolerance) {
            return Err(ScoreboardError::Tolerance(scoreboard.tolerance));
        }
        Ok(scoreboard)
    }

    /// The file, one entry a line, so that a change is read in a diff.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let commit = serde_json::to_string(&self.commit)?;
        let seeds = serde_json::to_string(&self.seeds)?;
        let interval = serde_json::to_string(&self.interval)?;
        let tolerance = serde_json::to_string(&self.tolerance)?;
        let (entries, incidents) = (lines(&self.entries)?, lines(&self.incidents)?);
        Ok(format!(
            "{{\n  \"commit\": {commit},\n  \"seeds\": {seeds},\n  \"interval\": {interval},\n  \"tolerance\": {tolerance},\n  \"entries\": {entries},\n  \
             \"incidents\": {incidents}\n}}\n"
        ))
    }

    /// Where the floor of `now` falls below what is committed here.
    ///
    /// # Errors
    /// When `now` was measured with other seeds.
    pub fn falls(&self, now: &Self) -> Result<Vec<Fall>, ScoreboardError> {
        if self.seeds != now.seeds {
            return Err(ScoreboardError::Seeds(self.seeds.clone()));
        }
        let held = self.entries.iter().filter(|entry| entry.policy == FLOOR);
        let fall = |committed: &Entry| {
            let same = |entry: &&Entry| {
                (entry.price, &entry.kind, &entry.class, entry.policy)
                    == (committed.price, &committed.kind, &committed.class, committed.policy)
            };
            let kind = match (now.entries.iter().find(same), committed.gap_closed) {
                (None, _) => FallKind::NotMeasured,
                (Some(entry), _) if entry.incidents != committed.incidents => FallKind::OtherIncidents(entry.incidents),
                (Some(entry), _) if entry.failed > committed.failed => FallKind::Failed(entry.failed),
                (Some(_), None) => return None,
                (Some(entry), Some(before)) => match entry.gap_closed {
                    Some(gap) if gap >= before - self.tolerance => return None,
                    Some(gap) => FallKind::Below(gap),
                    None => FallKind::NotMeasured,
                },
            };
            Some(Fall { committed: committed.clone(), kind })
        };
        Ok(held.filter_map(fall).collect())
    }
}

/// A list with one item a line.
fn lines<T: Serialize>(items: &[T]) -> Result<String, serde_json::Error> {
    let items: Vec<String> = items.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(if items.is_empty() { "[]".to_owned() } else { format!("[\n    {}\n  ]", items.join(",\n    ")) })
}

/// Four digits: finer is not meant, and would change in every diff.
fn short(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

impl fmt::Display for Fall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { price, kind, class, policy, incidents, gap_closed, failed, .. } = &self.committed;
        let (kind, class) = (kind.as_deref().unwrap_or("all kinds"), class.as_deref().unwrap_or("all start-ups"));
        write!(f, "{policy} at price {price}, {kind}, {class}: ")?;
        match self.kind {
            FallKind::NotMeasured => f.write_str("not measured by this run: run the incidents, policies and prices of the scoreboard"),
            FallKind::OtherIncidents(now) => {
                write!(f, "measured on {now} incidents, the scoreboard on {incidents}: run the same, or write a new scoreboard")
            }
            FallKind::Below(now) => write!(f, "gap_closed is {now:.4}, the scoreboard has {:.4}", gap_closed.unwrap_or_default()),
            FallKind::Failed(now) => write!(f, "{now} incidents failed by something forbidden, the scoreboard has {failed}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::progress::Progress;
    use super::super::score::score;
    use super::super::suite::Suite;
    use super::super::testing::{MadeUp, suite as incidents};
    use super::*;

    fn measured(runner: &MadeUp) -> Scoreboard {
        let policies = vec![Policy::HpaTuned, Policy::Ipa, Policy::Oracle, Policy::OracleRate];
        let suite = Suite { incidents: incidents(), policies, seeds: vec![1], prices: vec![10], model: String::new() };
        let cells = suite.run(runner, None, 2, &Progress::new(suite.size())).unwrap();
        Scoreboard::of(&suite, &score(&suite, &cells), "0f3c", TOLERANCE)
    }

    #[test]
    fn a_run_that_is_as_it_was_committed_passes_and_the_file_is_read_back() {
        let scoreboard = measured(&MadeUp::default());
        let text = scoreboard.text().unwrap();
        assert_eq!(Scoreboard::parse(&text).unwrap(), scoreboard);
        // All and two kinds, each over all classes and over three; four policies; and 18 incidents. A line each, and ten around them.
        assert_eq!((scoreboard.entries.len(), scoreboard.incidents.len(), text.lines().count()), (48, 18, 48 + 18 + 10));
        assert_eq!(scoreboard.falls(&scoreboard).unwrap(), []);
    }

    #[test]
    fn a_floor_that_closes_less_has_fallen_and_one_that_closes_more_has_not() {
        let (good, wasteful) = (measured(&MadeUp::default()), measured(&MadeUp { spare: Some(0.3), ..MadeUp::default() }));
        let falls = good.falls(&wasteful).unwrap();
        assert_eq!(falls.len(), 12);
        assert!(falls[0].to_string().starts_with("ipa at price 10, all kinds, all start-ups: gap_closed is "), "{}", falls[0]);
        assert_eq!(wasteful.falls(&good).unwrap(), []);
        let patient = Scoreboard { tolerance: 0.99, ..good };
        let least =
            |board: &Scoreboard| board.entries.iter().filter(|e| e.policy == Policy::Ipa).filter_map(|e| e.gap_closed).fold(9.0, f64::min);
        assert!(least(&patient) - least(&wasteful) < 0.99);
        assert_eq!(patient.falls(&wasteful).unwrap(), []);
    }

    #[test]
    fn another_suite_or_other_seeds_cannot_pass_for_it() {
        let good = measured(&MadeUp::default());
        let mut fewer = good.clone();
        fewer.entries.retain(|entry| entry.class.is_none());
        assert_eq!(good.falls(&fewer).unwrap().iter().filter(|fall| fall.kind == FallKind::NotMeasured).count(), 9);
        let mut other = good.clone();
        let entry = other.entries.iter_mut().find(|entry| entry.policy == Policy::Ipa).unwrap();
        entry.incidents = 17;
        assert_eq!(good.falls(&other).unwrap()[0].kind, FallKind::OtherIncidents(17));
        let seeds = Scoreboard { seeds: vec![1, 2], ..good.clone() };
        assert_eq!(seeds.falls(&good).unwrap_err().to_string(), "the scoreboard was measured with other seeds: run with --seed 1,2");
    }

    #[test]
    fn a_new_forbidden_act_is_a_fall_whatever_the_gap() {
        let good = measured(&MadeUp::default());
        let mut broken = good.clone();
        broken.entries.iter_mut().find(|entry| entry.policy == Policy::Ipa).unwrap().failed = 1;
        assert_eq!(good.falls(&broken).unwrap()[0].kind, FallKind::Failed(1));
        assert_eq!(broken.falls(&good).unwrap(), []);
    }

    #[test]
    fn a_file_that_is_no_scoreboard_is_refused_with_the_mend() {
        assert!(matches!(Scoreboard::parse("{}"), Err(ScoreboardError::Parse(_))));
        let loose = Scoreboard { tolerance: 2.0, ..measured(&MadeUp::default()) };
        assert!(matches!(Scoreboard::parse(&loose.text().unwrap()), Err(ScoreboardError::Tolerance(_))));
    }
}
