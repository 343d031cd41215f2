//! The floor on one incident, as it was committed, and whether it does worse now.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::incident::Incident;
use super::super::policy::Policy;
use super::super::score::Case;
use super::super::suite::Suite;
use super::{Scoreboard, ScoreboardError, short};

/// One incident at one price, over all seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Single {
    /// Its name.
    pub incident: String,
    /// Price of a bad minute.
    pub price: u32,
    /// What is scored, over what the fleet that demand needs ideally would be paid.
    pub objective_over_ideal: f64,
    /// Share of the requests that were bad.
    pub bad_fraction: Option<f64>,
    /// Share of the distance from `hpa-tuned` to `oracle-rate`, where both ran.
    pub gap_closed: Option<f64>,
    /// Whether something forbidden was done.
    pub failed: bool,
}

/// Where the floor does worse on an incident than is committed.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    /// What was committed.
    pub committed: Single,
    /// What it came to now.
    pub now: Single,
}

impl Single {
    /// What `policy` came to in a case; nothing where it did not run, or where nothing came.
    pub(super) fn of(suite: &Suite, case: &Case, policy: Policy) -> Option<Self> {
        let total = case.total(policy).filter(|total| total.ideal > 0.0 && total.objective.is_finite())?;
        let incident: &Incident = &suite.incidents[case.incident];
        Some(Self {
            incident: incident.name.to_string(),
            price: case.price,
            objective_over_ideal: short(total.objective / total.ideal),
            bad_fraction: case.bad_share(policy).value().map(short),
            gap_closed: case.gap_closed(policy, Policy::OracleRate).map(short),
            failed: case.failed.contains(&policy),
        })
    }

    /// Whether `now` is worse: costs more than the tolerated share, or does what is forbidden as this did not.
    fn is_better_than(&self, now: &Self, tolerance: f64) -> bool {
        now.objective_over_ideal > self.objective_over_ideal * (1.0 + tolerance) || (now.failed && !self.failed)
    }
}

impl Scoreboard {
    /// Incidents that `now` measures, and on which its floor does worse than is committed here, by more than the tolerance.
    ///
    /// # Errors
    /// When `now` was measured with other seeds.
    pub fn losses(&self, now: &Self) -> Result<Vec<Loss>, ScoreboardError> {
        if self.seeds != now.seeds {
            return Err(ScoreboardError::Seeds(self.seeds.clone()));
        }
        let same = |committed: &Single| {
            let mut all = now.incidents.iter();
            all.find(|single| (&single.incident, single.price) == (&committed.incident, committed.price))
        };
        let loss = |committed: &Single| {
            let now = same(committed).filter(|now| committed.is_better_than(now, self.tolerance))?;
            Some(Loss { committed: committed.clone(), now: now.clone() })
        };
        Ok(self.incidents.iter().filter_map(loss).collect())
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { committed, now } = self;
        write!(f, "{} at price {}: ", now.incident, now.price)?;
        if now.failed && !committed.failed {
            return f.write_str("something forbidden was done, which the scoreboard does not have");
        }
        let (is, was) = (now.objective_over_ideal, committed.objective_over_ideal);
        write!(f, "costs {is:.4} times the ideal, the scoreboard has {was:.4}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(objective_over_ideal: f64, failed: bool) -> Scoreboard {
        let single = Single { incident: "one".into(), price: 10, objective_over_ideal, bad_fraction: None, gap_closed: None, failed };
        Scoreboard {
            commit: "0f3c".into(),
            seeds: vec![1],
            interval: String::new(),
            tolerance: 0.02,
            entries: Vec::new(),
            incidents: vec![Single { incident: "two".into(), ..single.clone() }, single],
        }
    }

    #[test]
    fn an_incident_that_costs_more_than_is_tolerated_is_named() {
        let (committed, alone) = (board(1.5, false), |mut board: Scoreboard| {
            board.incidents.remove(0);
            board
        });
        assert_eq!(committed.losses(&alone(board(1.52, false))).unwrap(), []);
        let losses = committed.losses(&alone(board(1.54, false))).unwrap();
        assert_eq!(
            losses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["one at price 10: costs 1.5400 times the ideal, the scoreboard has 1.5000"]
        );
        assert_eq!(committed.losses(&board(1.54, false)).unwrap().len(), 2, "what is measured is held");
    }

    #[test]
    fn a_new_forbidden_act_is_a_loss_whatever_it_costs() {
        let losses = board(1.5, false).losses(&board(1.0, true)).unwrap();
        assert_eq!((losses.len(), losses[0].to_string().contains("forbidden")), (2, true));
        assert_eq!(board(1.5, true).losses(&board(1.0, true)).unwrap(), []);
    }

    #[test]
    fn other_seeds_are_no_comparison() {
        let other = Scoreboard { seeds: vec![2], ..board(1.0, false) };
        assert!(matches!(board(1.0, false).losses(&other), Err(ScoreboardError::Seeds(_))));
    }
}
