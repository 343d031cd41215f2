//! What an incident expects, held against our own policies.
//!
//! Shares and costs are held at the prices at which goals hold; what must never happen is held at each. Causes and a first safe act are asked
//! only of a policy that reports causes: numbers alone understand nothing, and holding still may be all that they should do.

use std::fmt;
use std::sync::Arc;

use super::super::cell::CellResult;
use super::super::forbidden::{Broken, Forbidden};
use super::super::incident::{Expect, ExpectedDecision};
use super::super::policy::Policy;
use super::super::suite::{Cells, Suite};
use super::{Case, GOAL_PRICES};
use crate::domain::proposal::Cause;
use crate::domain::units::GoDuration;

/// Something that was expected and did not come, or came and was not to.
#[derive(Clone, Debug, PartialEq)]
pub struct Miss {
    /// Name of the incident.
    pub incident: Arc<str>,
    /// By whom.
    pub policy: Policy,
    /// At which price.
    pub price: u32,
    /// What.
    pub kind: MissKind,
}

/// What was missed.
#[derive(Clone, Debug, PartialEq)]
pub enum MissKind {
    /// A larger share of the requests was bad.
    BadFraction {
        /// Share.
        is: f64,
        /// `maxBadFraction`.
        most: f64,
    },
    /// It cost more.
    CostOverOracle {
        /// Cost over the oracle's.
        is: f64,
        /// `maxCostOverOracle`.
        most: f64,
    },
    /// Something forbidden was done.
    Forbidden {
        /// What.
        what: Forbidden,
        /// With which seed.
        seed: u64,
        /// Seconds after the scored part began.
        at_s: u32,
    },
    /// No safe act came in time.
    FirstSafeAct {
        /// When it came, seconds from the first fault.
        at_s: Option<u32>,
        /// `firstSafeActBefore`.
        before_s: u32,
        /// With which seed.
        seed: u64,
    },
    /// The cause was not reported.
    Cause {
        /// What was to be.
        expected: Cause,
        /// What was.
        reported: Vec<Cause>,
        /// With which seed.
        seed: u64,
    },
    /// The cause was reported without a signal that shows it.
    Evidence {
        /// Signals that no finding names.
        missing: Vec<String>,
        /// With which seed.
        seed: u64,
    },
}

pub(super) fn misses(suite: &Suite, cells: &Cells, cases: &[Case]) -> Vec<Miss> {
    let mut misses = Vec::new();
    for case in cases {
        let incident = &suite.incidents[case.incident];
        for &policy in suite.policies.iter().filter(|policy| policy.is_ours()) {
            let mut kinds = if GOAL_PRICES.contains(&case.price) { of_numbers(&incident.expect, case, policy) } else { Vec::new() };
            for &seed in &suite.seeds {
                let Some(cell) = cells.get(case.incident, policy, seed, case.price) else { continue };
                kinds.extend(forbidden(&cell.forbidden, seed));
                kinds.extend(incident.expect.decision.iter().flat_map(|decision| of_decision(decision, cell, seed)));
            }
            misses.extend(kinds.into_iter().map(|kind| Miss { incident: incident.name.clone(), policy, price: case.price, kind }));
        }
    }
    misses
}

fn of_numbers(expect: &Expect, case: &Case, policy: Policy) -> Vec<MissKind> {
    let above = |is: Option<f64>, most: Option<f64>| is.zip(most).filter(|(is, most)| is > most);
    let bad = above(case.bad_share(policy).value(), expect.max_bad_fraction);
    let cost = above(case.cost_over_oracle(policy).value(), expect.max_cost_over_oracle);
    let bad = bad.map(|(is, most)| MissKind::BadFraction { is, most });
    bad.into_iter().chain(cost.map(|(is, most)| MissKind::CostOverOracle { is, most })).collect()
}

/// The first of each kind.
fn forbidden(broken: &[Broken], seed: u64) -> Vec<MissKind> {
    let first = broken.iter().enumerate().filter(|(index, act)| !broken[..*index].iter().any(|earlier| earlier.what == act.what));
    first.map(|(_, act)| MissKind::Forbidden { what: act.what, seed, at_s: act.at_s }).collect()
}

fn of_decision(decision: &ExpectedDecision, cell: &CellResult, seed: u64) -> Vec<MissKind> {
    let mut kinds = Vec::new();
    if let Some(findings) = &cell.findings {
        if let Some(before_s) = decision.first_safe_act_before_s
            && cell.first_safe_act_s.is_none_or(|at_s| at_s > before_s)
        {
            kinds.push(MissKind::FirstSafeAct { at_s: cell.first_safe_act_s, before_s, seed });
        }
        let right: Vec<_> = findings.iter().filter(|found| found.cause == decision.class).collect();
        if right.is_empty() {
            let reported = findings.iter().map(|found| found.cause).collect();
            kinds.push(MissKind::Cause { expected: decision.class, reported, seed });
        } else {
            let named = |signal: &&String| !right.iter().any(|found| found.evidence.contains(signal));
            let missing: Vec<String> = decision.evidence.iter().filter(named).cloned().collect();
            if !missing.is_empty() {
                kinds.push(MissKind::Evidence { missing, seed });
            }
        }
    }
    kinds
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} at price {}: ", self.incident, self.policy, self.price)?;
        let duration = |seconds: u32| GoDuration::from_secs(u64::from(seconds));
        match &self.kind {
            MissKind::BadFraction { is, most } => {
                write!(f, "{:.2} % of the requests were bad, maxBadFraction is {:.2} %", 100.0 * is, 100.0 * most)
            }
            MissKind::CostOverOracle { is, most } => write!(f, "cost {is:.2} times the oracle's, maxCostOverOracle is {most:.2}"),
            MissKind::Forbidden { what, seed, at_s } => write!(f, "did what is forbidden: {what} after {} (seed {seed})", duration(*at_s)),
            MissKind::FirstSafeAct { at_s: Some(at_s), before_s, seed } => {
                let (at, before) = (duration(*at_s), duration(*before_s));
                write!(f, "the first safe act came {at} after the first fault, firstSafeActBefore is {before} (seed {seed})")
            }
            MissKind::FirstSafeAct { at_s: None, before_s, seed } => {
                write!(f, "no safe act came, firstSafeActBefore is {} (seed {seed})", duration(*before_s))
            }
            MissKind::Cause { expected, reported, seed } => {
                let reported = if reported.is_empty() { "none".to_owned() } else { format!("{reported:?}") };
                write!(f, "the cause is {expected:?}, reported was {reported} (seed {seed})")
            }
            MissKind::Evidence { missing, seed } => write!(f, "no finding names the evidence {} (seed {seed})", missing.join(", ")),
        }
    }
}
