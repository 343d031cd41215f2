//! One incident at one price, over all seeds and policies: what each came to, as parts of sums.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::super::bootstrap::Ratio;
use super::super::incident::Incident;
use super::super::policy::Policy;
use super::super::suite::{Cells, Suite};
use super::super::value::{Value, value};

/// Where the scale of `gap_closed` begins.
const ZERO: Policy = Policy::HpaTuned;
/// Where `hpa-tuned` itself serves a larger share badly, dropping work is what pays: nothing is learned of scaling.
const DROPPING: f64 = 0.05;
/// Below this share of the objective a distance is noise, and no share of it is reported.
const LEAST_DISTANCE: f64 = 0.05;
/// Seconds of past without which an incident is reported and not scored: a week, so that a tuned HPA has seen one.
const LEAST_PAST_S: u32 = 7 * 86_400;
/// The same for incidents tagged `llm`, whose public series are short.
const LEAST_PAST_LLM_S: u32 = 3 * 3600;

/// What is to be known of a case before its numbers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// `hpa-tuned` itself serves more than 5 % badly: left out of totals.
    Dropping,
    /// Too little past to tune anything on: left out of totals.
    ShortPast,
    /// What `oracle` gives is a proven bound.
    Bound,
    /// A policy did what the incident forbids.
    Failed,
}

/// Classes of start-up times, by the slowest workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StartupClass {
    /// Up to a minute.
    Fast,
    /// Up to three.
    Medium,
    /// Above.
    Slow,
}

/// One incident at one price.
#[derive(Clone, Debug)]
pub struct Case {
    /// Place of the incident in the suite.
    pub incident: usize,
    /// Price of a bad minute.
    pub price: u32,
    /// What is to be known.
    pub marks: BTreeSet<Mark>,
    /// Policies that did what the incident forbids.
    pub failed: BTreeSet<Policy>,
    /// By seed, in the suite's order: what each policy came to.
    pub episodes: Vec<BTreeMap<Policy, Value>>,
}

impl StartupClass {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Medium, Self::Slow];

    /// The class of an incident.
    #[must_use]
    pub fn of(incident: &Incident) -> Self {
        let slowest = incident.workloads.iter().map(|workload| workload.startup.p50_s).fold(0.0, f64::max);
        if slowest <= 60.0 {
            Self::Fast
        } else if slowest <= 180.0 {
            Self::Medium
        } else {
            Self::Slow
        }
    }

    /// Its name as people read it on a page.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Fast => "≤ 60 s",
            Self::Medium => "≤ 180 s",
            Self::Slow => "> 180 s",
        }
    }

    /// Its name in files and in a terminal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "<=60s",
            Self::Medium => "<=180s",
            Self::Slow => ">180s",
        }
    }
}

impl fmt::Display for StartupClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Case {
    pub(super) fn new(suite: &Suite, cells: &Cells, incident: usize, price: u32) -> Self {
        let known = &suite.incidents[incident];
        let mut case = Self { incident, price, marks: BTreeSet::new(), failed: BTreeSet::new(), episodes: Vec::new() };
        for &seed in &suite.seeds {
            let mut episode = BTreeMap::new();
            for &policy in &suite.policies {
                let Some(cell) = cells.get(incident, policy, seed, price) else { continue };
                episode.extend(value(known, cell, price).map(|value| (policy, value)));
                if !cell.forbidden.is_empty() {
                    case.failed.insert(policy);
                    case.marks.insert(Mark::Failed);
                }
                if policy == Policy::Oracle && cell.bound {
                    case.marks.insert(Mark::Bound);
                }
            }
            case.episodes.push(episode);
        }
        let least = if known.tags.iter().any(|tag| tag == "llm") { LEAST_PAST_LLM_S } else { LEAST_PAST_S };
        if known.history_s < least {
            case.marks.insert(Mark::ShortPast);
        }
        if case.bad_share(ZERO).value().is_some_and(|share| share > DROPPING) {
            case.marks.insert(Mark::Dropping);
        }
        case
    }

    /// Whether totals count it.
    #[must_use]
    pub fn is_scored(&self) -> bool {
        !self.marks.contains(&Mark::Dropping) && !self.marks.contains(&Mark::ShortPast)
    }

    /// For each seed, what `policy` gained on `hpa-tuned` over how far `one` is from it, in parts of the ideal cost. Who did what is forbidden
    /// gained nothing, whatever it scored.
    #[must_use]
    pub fn gained(&self, policy: Policy, one: Policy) -> Vec<Ratio> {
        let part = |episode: &BTreeMap<Policy, Value>| {
            let (zero, one, own) = (episode.get(&ZERO)?, episode.get(&one)?, episode.get(&policy)?);
            let gained = (zero.objective - own.objective) / zero.ideal;
            let top = if self.failed.contains(&policy) { gained.min(0.0) } else { gained };
            let ratio = Ratio { top, bottom: (zero.objective - one.objective) / zero.ideal };
            (zero.ideal > 0.0).then_some(ratio)
        };
        self.episodes.iter().map(|episode| part(episode).unwrap_or_default()).collect()
    }

    /// What a distance has to reach to be more than noise: 5 % of `hpa-tuned`'s objective, in parts of the ideal cost, over all seeds.
    #[must_use]
    pub fn least_distance(&self) -> f64 {
        let part = |zero: &Value| if zero.ideal > 0.0 { LEAST_DISTANCE * zero.objective / zero.ideal } else { 0.0 };
        self.episodes.iter().filter_map(|episode| episode.get(&ZERO)).map(part).sum()
    }

    /// Share of the distance from `hpa-tuned` to `one` that `policy` closes; nothing where that distance is noise.
    #[must_use]
    pub fn gap_closed(&self, policy: Policy, one: Policy) -> Option<f64> {
        let gained: Ratio = self.gained(policy, one).into_iter().sum();
        gained.value().filter(|_| gained.bottom >= self.least_distance())
    }

    /// Bad work over all that came, each seed divided by its ideal cost.
    #[must_use]
    pub fn bad_share(&self, policy: Policy) -> Ratio {
        let own = self.episodes.iter().filter_map(|episode| episode.get(&policy)).filter(|own| own.ideal > 0.0);
        own.map(|own| Ratio { top: own.bad_work / own.ideal, bottom: own.arrived_work / own.ideal }).sum()
    }

    /// What `policy` paid over what the oracle paid: the exact oracle, or where only a bound is known, the best schedule for the rate, since
    /// nobody could have run a bound.
    #[must_use]
    pub fn cost_over_oracle(&self, policy: Policy) -> Ratio {
        let bound_only = self.marks.contains(&Mark::Bound) || self.episodes.iter().all(|episode| !episode.contains_key(&Policy::Oracle));
        let oracle = if bound_only { Policy::OracleRate } else { Policy::Oracle };
        let part = |episode: &BTreeMap<Policy, Value>| {
            let (oracle, own) = (episode.get(&oracle)?, episode.get(&policy)?);
            (own.ideal > 0.0).then(|| Ratio { top: own.paid / own.ideal, bottom: oracle.paid / own.ideal })
        };
        self.episodes.iter().filter_map(part).sum()
    }

    /// What `policy` came to, over all seeds.
    #[must_use]
    pub fn total(&self, policy: Policy) -> Option<Value> {
        let mut values = self.episodes.iter().filter_map(|episode| episode.get(&policy)).peekable();
        values.peek()?;
        Some(values.fold(Value::default(), |sum, value| Value {
            paid: sum.paid + value.paid,
            bad: sum.bad + value.bad,
            restarts: sum.restarts + value.restarts,
            objective: sum.objective + value.objective,
            ideal: sum.ideal + value.ideal,
            bad_work: sum.bad_work + value.bad_work,
            arrived_work: sum.arrived_work + value.arrived_work,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(objectives: &[(Policy, f64)]) -> Case {
        let value = |objective| Value { objective, paid: objective / 2.0, ideal: 10.0, arrived_work: 10.0, ..Value::default() };
        let episode = objectives.iter().map(|(policy, objective)| (*policy, value(*objective))).collect();
        Case { incident: 0, price: 10, marks: BTreeSet::new(), failed: BTreeSet::new(), episodes: vec![episode] }
    }

    #[test]
    fn the_tuned_hpa_is_0_and_the_best_schedule_for_the_rate_is_1() {
        let case = case(&[
            (Policy::HpaTuned, 100.0),
            (Policy::OracleRate, 60.0),
            (Policy::Oracle, 50.0),
            (Policy::Ipa, 80.0),
            (Policy::Hpa, 120.0),
        ]);
        let gap = |policy| case.gap_closed(policy, Policy::OracleRate);
        assert_eq!([gap(Policy::HpaTuned), gap(Policy::OracleRate), gap(Policy::Oracle)], [Some(0.0), Some(1.0), Some(1.25)]);
        assert_eq!([gap(Policy::Ipa), gap(Policy::Hpa), gap(Policy::Keda)], [Some(0.5), Some(-0.5), None]);
        assert_eq!(case.gap_closed(Policy::Ipa, Policy::Oracle), Some(0.4));
    }

    #[test]
    fn a_distance_below_a_twentieth_of_the_objective_is_not_divided_by() {
        let gap = |rate| {
            case(&[(Policy::HpaTuned, 100.0), (Policy::OracleRate, rate), (Policy::Ipa, 94.0)]).gap_closed(Policy::Ipa, Policy::OracleRate)
        };
        assert_eq!(gap(95.1), None);
        assert_eq!(gap(95.0), Some(1.2));
        assert_eq!(gap(101.0), None);
    }

    #[test]
    fn who_did_what_is_forbidden_gained_nothing() {
        let mut case = case(&[(Policy::HpaTuned, 100.0), (Policy::OracleRate, 60.0), (Policy::Ipa, 70.0), (Policy::Hpa, 120.0)]);
        case.failed.extend([Policy::Ipa, Policy::Hpa]);
        assert_eq!(case.gap_closed(Policy::Ipa, Policy::OracleRate), Some(0.0));
        assert_eq!(case.gap_closed(Policy::Hpa, Policy::OracleRate), Some(-0.5));
    }

    #[test]
    fn cost_is_held_against_a_schedule_that_could_be_run() {
        let mut case = case(&[(Policy::OracleRate, 60.0), (Policy::Oracle, 50.0), (Policy::Ipa, 75.0)]);
        assert_eq!(case.cost_over_oracle(Policy::Ipa).value(), Some(1.5));
        case.marks.insert(Mark::Bound);
        assert_eq!(case.cost_over_oracle(Policy::Ipa).value(), Some(1.25));
    }
}
