//! One line of results: an incident, policy, seed and price. The shape is a contract: scripts read it.

use std::sync::Arc;

use serde::Serialize;

use super::cell::CellResult;
use super::incident::Incident;
use super::policy::Policy;
use super::value::value;

/// What `ipa eval run --output json` prints for each incident, policy, seed and price, in this order. Every number is finite or absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the incident.
    pub incident: Arc<str>,
    /// Who decided.
    pub policy: Policy,
    /// Seed of the arrivals and of everything else that is drawn.
    pub seed: u64,
    /// Minutes of the ideal fleet that a wholly bad minute costs.
    pub price: u32,
    /// What is scored, replica-seconds; absent where a model was paid and no price of a replica is known.
    pub objective: Option<f64>,
    /// Share of the requests that were bad; absent where none came.
    pub bad_fraction: Option<f64>,
    /// Minutes in which more than half was bad, over all workloads.
    pub bad_minutes: u32,
    /// The longest run of seconds in which something bad happened each second, in any workload.
    pub longest_bad_s: u32,
    /// Pods and model, dollars.
    pub cost_usd: f64,
    /// Nodes, dollars.
    pub node_cost_usd: f64,
    /// Model, dollars.
    pub model_cost_usd: f64,
    /// Hours that replicas were paid for.
    pub pod_hours: f64,
    /// Hours that nodes were paid for.
    pub node_hours: f64,
    /// Changes upward.
    pub scale_ups: u32,
    /// Changes downward.
    pub scale_downs: u32,
    /// Changes that undid the one before within ten minutes.
    pub needless_reversals: u32,
    /// Pods evicted.
    pub evictions: u32,
    /// Containers killed for memory.
    pub oom_kills: u32,
    /// What was done although the incident forbids it, each once.
    pub forbidden: Vec<&'static str>,
    /// How good the forecasts were.
    pub forecast: ForecastRow,
    /// What the model did.
    pub model: ModelRow,
    /// How long the run took, seconds.
    pub wall_s: f64,
}

/// How good the forecasts were; absent values for a policy that makes none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ForecastRow {
    /// Mean pinball loss at the median, units/s.
    pub pinball50: Option<f64>,
    /// Mean pinball loss at 90 %, units/s.
    pub pinball90: Option<f64>,
    /// `1 − loss / loss of the best naive`.
    pub skill: Option<f64>,
    /// Share of values at or below the 90 % quantile.
    pub coverage90: Option<f64>,
}

/// What the model did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ModelRow {
    /// Requests to it.
    pub calls: u64,
    /// Tokens it read.
    pub prompt_tokens: u64,
    /// Tokens it wrote.
    pub completion_tokens: u64,
    /// Answers that were no valid call.
    pub invalid: u64,
    /// Dialogues that ended without it.
    pub fallbacks: u64,
}

impl Row {
    /// The line of a cell. `price` is what it is scored at, also where the policy takes none.
    #[must_use]
    pub fn new(incident: &Incident, policy: Policy, seed: u64, price: u32, cell: &CellResult) -> Self {
        let tallies = || cell.workloads.iter().map(|workload| workload.tally);
        let arrived: u64 = tallies().map(|tally| tally.arrived).sum();
        let bad: u64 = tallies().map(|tally| tally.bad).sum();
        let mut forbidden: Vec<&'static str> = cell.forbidden.iter().map(|broken| broken.what.name()).collect();
        forbidden.sort_unstable();
        forbidden.dedup();
        Self {
            incident: incident.name.clone(),
            policy,
            seed,
            price,
            objective: value(incident, cell, price).map(|value| value.objective).filter(|objective| objective.is_finite()),
            bad_fraction: (arrived > 0).then(|| bad as f64 / arrived as f64),
            bad_minutes: tallies().map(|tally| tally.bad_minutes).sum(),
            longest_bad_s: tallies().map(|tally| tally.longest_bad_s).max().unwrap_or(0),
            cost_usd: tallies().map(|tally| tally.pod_cost.dollars()).sum::<f64>() + cell.model.cost.dollars(),
            node_cost_usd: cell.node_cost.dollars(),
            model_cost_usd: cell.model.cost.dollars(),
            pod_hours: tallies().map(|tally| tally.replica_seconds).sum::<f64>() / 3600.0,
            node_hours: cell.node_seconds / 3600.0,
            scale_ups: tallies().map(|tally| tally.scale_ups).sum(),
            scale_downs: tallies().map(|tally| tally.scale_downs).sum(),
            needless_reversals: tallies().map(|tally| tally.needless_reversals).sum(),
            evictions: tallies().map(|tally| tally.evictions).sum(),
            oom_kills: tallies().map(|tally| tally.oom_kills).sum(),
            forbidden,
            forecast: cell.forecast.map_or_else(ForecastRow::default, |forecast| ForecastRow {
                pinball50: Some(forecast.pinball50),
                pinball90: Some(forecast.pinball90),
                skill: Some(forecast.skill),
                coverage90: Some(forecast.coverage90),
            }),
            model: ModelRow {
                calls: cell.model.calls,
                prompt_tokens: cell.model.prompt_tokens,
                completion_tokens: cell.model.completion_tokens,
                invalid: cell.model.invalid,
                fallbacks: cell.model.fallbacks,
            },
            wall_s: cell.wall_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::{ModelUse, WorkloadResult};
    use super::super::forbidden::{Broken, Forbidden};
    use super::super::incident::{ForbiddenAct, Never};
    use super::super::testing::seasonal;
    use super::*;
    use crate::domain::units::MicroUsd;
    use crate::service::Tally;

    fn broken(what: Forbidden, at_s: u32) -> Broken {
        Broken { what, workload: "web".into(), at_s }
    }

    #[test]
    fn a_line_is_the_contracts_to_the_key() {
        let mut incident = seasonal("shop", 30);
        incident.workloads.push(incident.workloads[0].clone());
        let web = Tally {
            arrived: 900,
            served: 890,
            lost: 5,
            bad: 10,
            bad_minutes: 1,
            longest_bad_s: 40,
            replica_seconds: 7200.0,
            pod_cost: MicroUsd(48_000),
            launches: 9,
            cold_restarts: 1,
            scale_ups: 3,
            scale_downs: 2,
            needless_reversals: 1,
            evictions: 4,
            oom_kills: 2,
        };
        let api = Tally { arrived: 100, longest_bad_s: 70, bad_minutes: 2, ..web };
        let result = |tally| WorkloadResult { tally, replica_price_per_hour: MicroUsd(24_000), ..WorkloadResult::default() };
        let cell = CellResult {
            workloads: vec![result(web), result(api)],
            node_cost: MicroUsd(60_000),
            node_seconds: 1800.0,
            model: ModelUse { calls: 2, prompt_tokens: 300, completion_tokens: 40, invalid: 1, fallbacks: 1, cost: MicroUsd(4_000) },
            forbidden: vec![
                broken(Forbidden::Never(Never::OutsideBounds), 5),
                broken(Forbidden::Act(ForbiddenAct::ScaleDown), 6),
                broken(Forbidden::Never(Never::OutsideBounds), 9),
            ],
            wall_s: 0.5,
            ..CellResult::default()
        };
        insta::assert_snapshot!(serde_json::to_string(&Row::new(&incident, Policy::IpaModel, 7, 10, &cell)).unwrap());
    }

    #[test]
    fn nothing_that_came_has_no_bad_share_and_no_number_is_odd() {
        let cell = CellResult { workloads: vec![WorkloadResult::default()], ..CellResult::default() };
        let row = Row::new(&seasonal("still", 30), Policy::Hold, 1, 3, &cell);
        assert_eq!((row.bad_fraction, row.objective), (None, Some(0.0)));
    }
}
