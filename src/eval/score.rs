//! What a suite comes to: rows, the share of the gap that each policy closes, league tables with intervals, and what was expected and missed.

mod case;
mod expect;
mod reason;

pub use case::{Case, Mark, StartupClass};
pub use expect::{Miss, MissKind};
pub use reason::{Worst, worst};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;
use serde::Serialize;

use super::bootstrap::{self, Interval, Ratio};
use super::policy::Policy;
use super::row::Row;
use super::suite::{Cells, Suite};

/// Prices at which goals hold; others are reported.
pub const GOAL_PRICES: [u32; 2] = [10, 30];
/// Seed of the intervals: they are part of a result and repeat with it.
const INTERVAL_SEED: u64 = 1;

/// What a suite comes to.
#[derive(Clone, Debug)]
pub struct Scores {
    /// For each incident, policy, seed and price.
    pub rows: Vec<Row>,
    /// For each incident and price.
    pub cases: Vec<Case>,
    /// For each price, over everything and over each start-up class, kind, and class of a kind.
    pub leagues: Vec<League>,
    /// What `expect` asks of our policies and did not come.
    pub misses: Vec<Miss>,
}

/// What `ipa eval run --output json` prints for each incident and price, after the rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GapRow {
    /// Name of the incident.
    pub incident: Arc<str>,
    /// Price of a bad minute.
    pub price: u32,
    /// Share of the distance from `hpa-tuned` to `oracle-rate`.
    pub gap_closed: BTreeMap<Policy, Option<f64>>,
    /// The same to `oracle`.
    pub gap_closed_to_oracle: BTreeMap<Policy, Option<f64>>,
    /// What is to be known before these are read.
    pub marks: BTreeSet<Mark>,
}

/// Which scored cases a league is over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// Price of a bad minute.
    pub price: u32,
    /// A tag; all kinds where absent.
    pub kind: Option<Arc<str>>,
    /// A class of start-ups; all where absent.
    pub class: Option<StartupClass>,
}

/// A league table: ratios of sums over the scored incidents of a scope, each divided by its ideal cost.
#[derive(Clone, Debug, PartialEq)]
pub struct League {
    /// Over what.
    pub scope: Scope,
    /// Incidents.
    pub incidents: usize,
    /// Each policy, in the suite's order.
    pub standings: Vec<Standing>,
}

/// One policy in a league.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Who.
    pub policy: Policy,
    /// Incidents it ran on.
    pub incidents: usize,
    /// Share of the distance from `hpa-tuned` to `oracle-rate`.
    pub gap_closed: Option<f64>,
    /// How sure that is; nothing for fewer than two incidents.
    pub interval: Option<Interval>,
    /// Share of the distance from `hpa-tuned` to `oracle`.
    pub gap_closed_to_oracle: Option<f64>,
    /// Share of the requests that were bad.
    pub bad_fraction: Option<f64>,
    /// Cost over the oracle's.
    pub cost_over_oracle: Option<f64>,
    /// Incidents failed by something forbidden.
    pub failed: usize,
}

/// Scores a finished suite.
#[must_use]
pub fn score(suite: &Suite, cells: &Cells) -> Scores {
    let rows = rows(suite, cells);
    let grid = suite.prices.iter().flat_map(|price| (0..suite.incidents.len()).map(move |incident| (incident, *price)));
    let cases: Vec<Case> = grid.map(|(incident, price)| Case::new(suite, cells, incident, price)).collect();
    let leagues = scopes(suite).into_par_iter().map(|scope| league(suite, &cases, scope)).filter(|league| league.incidents > 0).collect();
    let misses = expect::misses(suite, cells, &cases);
    Scores { rows, cases, leagues, misses }
}

impl Scores {
    /// The lines for each incident and price.
    #[must_use]
    pub fn gap_rows(&self, suite: &Suite) -> Vec<GapRow> {
        let shares = |case: &Case, one| suite.policies.iter().map(|policy| (*policy, case.gap_closed(*policy, one))).collect();
        let row = |case: &Case| GapRow {
            incident: suite.incidents[case.incident].name.clone(),
            price: case.price,
            gap_closed: shares(case, Policy::OracleRate),
            gap_closed_to_oracle: shares(case, Policy::Oracle),
            marks: case.marks.clone(),
        };
        self.cases.iter().map(row).collect()
    }

    /// The league of a price over all kinds and classes; nothing where no incident is scored.
    #[must_use]
    pub fn overall(&self, price: u32) -> Option<&League> {
        let all = Scope { price, kind: None, class: None };
        self.leagues.iter().find(|league| league.scope == all)
    }
}

fn rows(suite: &Suite, cells: &Cells) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, incident) in suite.incidents.iter().enumerate() {
        for &policy in &suite.policies {
            for &seed in &suite.seeds {
                let cell = |price| cells.get(index, policy, seed, price).map(|cell| (price, cell));
                let priced = suite.prices.iter().filter_map(|price| cell(*price));
                rows.extend(priced.map(|(price, cell)| Row::new(incident, policy, seed, price, cell)));
            }
        }
    }
    rows
}

/// In order of price, kind and class; what is over everything comes first.
fn scopes(suite: &Suite) -> Vec<Scope> {
    let kinds: BTreeSet<Arc<str>> = suite.incidents.iter().flat_map(|incident| &incident.tags).map(|tag| tag.as_str().into()).collect();
    let kinds = std::iter::once(None).chain(kinds.into_iter().map(Some));
    let mut scopes = Vec::new();
    for kind in kinds {
        for class in std::iter::once(None).chain(StartupClass::ALL.map(Some)) {
            scopes.extend(suite.prices.iter().map(|price| Scope { price: *price, kind: kind.clone(), class }));
        }
    }
    scopes.sort();
    scopes
}

impl Scope {
    fn holds(&self, suite: &Suite, case: &Case) -> bool {
        let incident = &suite.incidents[case.incident];
        case.price == self.price
            && self.kind.as_ref().is_none_or(|kind| incident.tags.iter().any(|tag| **tag == **kind))
            && self.class.is_none_or(|class| StartupClass::of(incident) == class)
    }
}

fn league(suite: &Suite, cases: &[Case], scope: Scope) -> League {
    let cases: Vec<&Case> = cases.iter().filter(|case| case.is_scored() && scope.holds(suite, case)).collect();
    let gained = |policy: &Policy| cases.iter().map(|case| case.gained(*policy, Policy::OracleRate)).collect::<Vec<_>>();
    let by_policy: Vec<Vec<Vec<Ratio>>> = suite.policies.iter().map(gained).collect();
    let by_incident: Vec<Vec<Vec<Ratio>>> = (0..cases.len())
        .map(|case| (0..suite.seeds.len()).map(|seed| by_policy.iter().map(|policy| policy[case][seed]).collect()).collect())
        .collect();
    let intervals = bootstrap::intervals(&by_incident, suite.policies.len(), INTERVAL_SEED);
    let standings = suite.policies.iter().zip(intervals).map(|(policy, interval)| standing(&cases, *policy, interval)).collect();
    League { scope, incidents: cases.len(), standings }
}

fn standing(cases: &[&Case], policy: Policy, interval: Option<Interval>) -> Standing {
    let gap = |one| {
        // Only the cases that both ran on make the distance, so only they make what it must reach.
        let parts = || cases.iter().map(|case| (case.gained(policy, one).into_iter().sum::<Ratio>(), case.least_distance()));
        let sum: Ratio = parts().map(|(gained, _)| gained).sum();
        let least: f64 = parts().filter(|(gained, _)| *gained != Ratio::default()).map(|(_, least)| least).sum();
        sum.value().filter(|_| sum.bottom >= least)
    };
    let gap_closed = gap(Policy::OracleRate);
    Standing {
        policy,
        incidents: cases.iter().filter(|case| case.total(policy).is_some()).count(),
        gap_closed,
        // The two that make the scale are where they are by definition.
        interval: gap_closed.and(interval).filter(|_| !matches!(policy, Policy::HpaTuned | Policy::OracleRate)),
        gap_closed_to_oracle: gap(Policy::Oracle),
        bad_fraction: cases.iter().map(|case| case.bad_share(policy)).sum::<Ratio>().value(),
        cost_over_oracle: cases.iter().map(|case| case.cost_over_oracle(policy)).sum::<Ratio>().value(),
        failed: cases.iter().filter(|case| case.failed.contains(&policy)).count(),
    }
}

#[cfg(test)]
mod tests;
