//! One cell of a suite: an incident under one policy, seed and price. The seam between what runs an incident and what scores it.
//!
//! Left out: how an incident is run, and what the result is worth.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::forbidden::Broken;
use super::incident::Incident;
use super::policy::Policy;
use super::timeline::Timeline;
use crate::domain::proposal::Cause;
use crate::domain::units::MicroUsd;
use crate::service::Tally;

/// Runs one cell. The same arguments give the same result, wall time aside, on whatever thread.
pub trait Runner: Sync {
    /// Runs `incident` under `policy`. `price` is 0 for a policy that takes none.
    ///
    /// # Errors
    /// [`RunError`] when the policy cannot run here, or the run failed.
    fn run(&self, incident: &Incident, policy: Policy, seed: u64, price: u32) -> Result<CellResult, RunError>;
}

/// Why a cell has no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The policy is not made for this incident. The suite goes on without the cell, and says so.
    #[error("{0}")]
    Unfit(String),
    /// Something failed that should not.
    #[error(transparent)]
    Failed(#[from] Box<dyn std::error::Error + Send + Sync>),
}

/// What came of one cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// Each workload of the incident, in the incident's order.
    pub workloads: Vec<WorkloadResult>,
    /// What the nodes cost.
    pub node_cost: MicroUsd,
    /// Seconds that nodes were paid for, over all of them.
    pub node_seconds: f64,
    /// What the model did.
    pub model: ModelUse,
    /// How good the forecasts were; absent for a policy that makes none.
    pub forecast: Option<ForecastScore>,
    /// What `expect` forbids and was done all the same, in order of time.
    pub forbidden: Vec<Broken>,
    /// Seconds from the first fault to the first act that `expect` does not forbid; absent where there was none.
    pub first_safe_act_s: Option<u32>,
    /// What was reported as the cause; absent for a policy that reports no causes.
    pub findings: Option<Vec<Found>>,
    /// What is given is a proven bound, and no schedule that could be run.
    pub bound: bool,
    /// How long the run took, seconds.
    pub wall_s: f64,
}

/// One workload of a cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkloadResult {
    /// Its name in the incident.
    pub name: Arc<str>,
    /// What came of the scored part.
    pub tally: Tally,
    /// Units that were wanted in the scored part, each counted once however often it was tried: what the ideal fleet is sized by.
    pub offered: u64,
    /// What its requests cost an hour, one replica's; the same for every policy, 0 where nothing is priced.
    pub replica_price_per_hour: MicroUsd,
    /// The objective in replica-seconds where it is not simply what the tally is worth: the value of an oracle's programme.
    pub objective: Option<f64>,
    /// The scored part, for charts.
    pub timeline: Timeline,
}

/// What the model did in a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUse {
    /// Requests to it.
    pub calls: u64,
    /// Tokens it read.
    pub prompt_tokens: u64,
    /// Tokens it wrote.
    pub completion_tokens: u64,
    /// Answers that were no valid call.
    pub invalid: u64,
    /// Looks that were worth a dialogue and came to none that ended well: the floor alone went on.
    pub fallbacks: u64,
    /// What it cost.
    pub cost: MicroUsd,
}

/// How good the forecasts of a cell were, against what came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ForecastScore {
    /// Forecasts that were compared.
    pub points: u64,
    /// Mean pinball loss at the median, units/s.
    pub pinball50: f64,
    /// Mean pinball loss at 90 %, units/s.
    pub pinball90: f64,
    /// `1 − loss / loss of the best naive`.
    pub skill: f64,
    /// Share of values at or below the median.
    pub coverage50: f64,
    /// Share of values at or below the 90 % quantile.
    pub coverage90: f64,
    /// Share of values at or below the 95 % quantile.
    pub coverage95: f64,
}

/// A cause that was reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The cause.
    pub cause: Cause,
    /// Names of the signals it was shown by.
    pub evidence: Vec<String>,
}

impl CellResult {
    /// Holds the result against its incident.
    ///
    /// # Errors
    /// What does not fit: a runner that breaks its promises must not be scored.
    pub fn check(&self, incident: &Incident) -> Result<(), CellError> {
        let mut wanted = incident.workloads.iter().map(|workload| &workload.name);
        if self.workloads.len() != incident.workloads.len() || self.workloads.iter().any(|w| wanted.next() != Some(&w.name)) {
            return Err(CellError::Workloads);
        }
        let forecast = self.forecast.map(|f| [f.pinball50, f.pinball90, f.skill, f.coverage50, f.coverage90, f.coverage95]);
        let amounts = self.workloads.iter().flat_map(|w| [Some(w.tally.replica_seconds), w.objective]).flatten();
        let amounts = amounts.chain([self.node_seconds, self.wall_s]);
        if let Some(odd) = amounts.clone().chain(forecast.into_iter().flatten()).find(|number| !number.is_finite()) {
            return Err(CellError::Number(odd));
        }
        match amounts.into_iter().find(|amount| *amount < 0.0) {
            Some(odd) => Err(CellError::Number(odd)),
            None => Ok(()),
        }
    }
}

/// A result that cannot be scored.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CellError {
    /// Other workloads than the incident's.
    #[error("the result's workloads are not the incident's, in its order")]
    Workloads,
    /// Not a number, infinite, or negative where nothing negative can be.
    #[error("the result holds {0} where a finite amount belongs")]
    Number(f64),
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MadeUp, seasonal};
    use super::*;

    #[test]
    fn a_result_that_does_not_fit_its_incident_is_refused() {
        let incident = seasonal("shop", 30);
        let fits = MadeUp::default().run(&incident, Policy::Ipa, 1, 10).unwrap();
        assert_eq!(fits.check(&incident), Ok(()));
        let mut other = fits.clone();
        other.workloads[0].name = "another".into();
        assert_eq!(other.check(&incident), Err(CellError::Workloads));
        assert_eq!(CellResult { workloads: Vec::new(), ..fits.clone() }.check(&incident), Err(CellError::Workloads));
        let mut odd = fits.clone();
        odd.workloads[0].objective = Some(f64::INFINITY);
        assert_eq!(odd.check(&incident), Err(CellError::Number(f64::INFINITY)));
        assert_eq!(CellResult { node_seconds: -1.0, ..fits }.check(&incident), Err(CellError::Number(-1.0)));
    }

    #[test]
    fn a_result_is_read_back_as_it_was_written() {
        let result = MadeUp::default().run(&seasonal("shop", 30), Policy::Ipa, 1, 10).unwrap();
        let text = serde_json::to_string(&result).unwrap();
        assert_eq!(serde_json::from_str::<CellResult>(&text).unwrap(), result);
    }
}
