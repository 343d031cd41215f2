//! What a cell is worth at a price: replica-seconds over all workloads, what the model cost among them.
//!
//! A replica-second of one workload may cost more than another's, so each workload's are weighed by the price of its requests over the mean of
//! the incident's workloads: with one workload they are plain replica-seconds. A model's dollars become replica-seconds at that mean price.

use super::cell::CellResult;
use super::incident::{Incident, IncidentWorkload};
use crate::service::{Tally, Worth};

/// What a cell is worth. All but the counts of units are replica-seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Value {
    /// Paid for replicas and for the model.
    pub paid: f64,
    /// What was bad, at its price.
    pub bad: f64,
    /// Cold restarts.
    pub restarts: f64,
    /// What is scored: the three together, or what an oracle's programme came to.
    pub objective: f64,
    /// What the fleet that demand needs ideally would be paid: mean demand over capacity, all the time.
    pub ideal: f64,
    /// Bad units in replica-seconds of work, whatever the price.
    pub bad_work: f64,
    /// Units that came, in replica-seconds of work.
    pub arrived_work: f64,
}

/// Worth of `cell` at `price`; nothing where a model was paid and no price of a replica is known, so that the two cannot be added.
#[must_use]
pub fn value(incident: &Incident, cell: &CellResult, price: u32) -> Option<Value> {
    let prices: Vec<f64> = cell.workloads.iter().map(|workload| workload.replica_price_per_hour.dollars()).collect();
    let mean = prices.iter().sum::<f64>() / prices.len().max(1) as f64;
    let all_have_one = prices.iter().all(|price| *price > 0.0);
    let mut value = Value::default();
    for ((workload, result), replica_price) in incident.workloads.iter().zip(&cell.workloads).zip(&prices) {
        let weight = if all_have_one { replica_price / mean } else { 1.0 };
        let worth = worth(workload, price);
        let work = |units: u64| weight * units as f64 / worth.capacity;
        let restarts = Tally { cold_restarts: result.tally.cold_restarts, ..Tally::default() };
        value.paid += weight * result.tally.replica_seconds;
        value.bad += weight * worth.bad_unit() * result.tally.bad as f64;
        value.restarts += weight * worth.objective(&restarts);
        value.objective += weight * result.objective.unwrap_or_else(|| worth.objective(&result.tally));
        value.ideal += work(result.offered);
        value.bad_work += work(result.tally.bad);
        value.arrived_work += work(result.tally.arrived);
    }
    let model = cell.model.cost.dollars();
    if model > 0.0 {
        if !all_have_one {
            return None;
        }
        let seconds = model / mean * 3600.0;
        value.paid += seconds;
        value.objective += seconds;
    }
    Some(value)
}

/// By what a workload's stretch is valued. A capacity of nothing would make every unit infinitely dear; incidents are refused for it when read.
fn worth(workload: &IncidentWorkload, price: u32) -> Worth {
    Worth { price: f64::from(price), capacity: workload.service.capacity.max(f64::MIN_POSITIVE), startup_s: workload.startup.p50_s }
}

#[cfg(test)]
mod tests {
    use super::super::cell::{ModelUse, WorkloadResult};
    use super::super::testing::seasonal;
    use super::*;
    use crate::domain::units::MicroUsd;

    fn cell(prices: &[i64]) -> CellResult {
        let tally = Tally { arrived: 1000, bad: 100, replica_seconds: 400.0, cold_restarts: 2, ..Tally::default() };
        let workloads = prices.iter().map(|price| WorkloadResult {
            tally,
            offered: 900,
            replica_price_per_hour: MicroUsd(*price),
            ..WorkloadResult::default()
        });
        CellResult { workloads: workloads.collect(), ..CellResult::default() }
    }

    #[test]
    fn one_workload_is_worth_what_its_tally_is() {
        // Capacity 50 and a start-up of 30 s: 100 bad units at 10 cost 20 replica-seconds, two restarts 60.
        let value = value(&seasonal("shop", 30), &cell(&[36_000]), 10).unwrap();
        assert_eq!((value.paid, value.bad, value.restarts, value.objective), (400.0, 20.0, 60.0, 480.0));
        assert_eq!((value.ideal, value.bad_work, value.arrived_work), (18.0, 2.0, 20.0));
    }

    #[test]
    fn a_dearer_workload_weighs_more_and_two_equal_ones_weigh_as_they_are() {
        let mut incident = seasonal("shop", 30);
        incident.workloads.push(incident.workloads[0].clone());
        assert_eq!(value(&incident, &cell(&[5, 5]), 10).unwrap().objective, 960.0);
        let mut unequal = cell(&[1, 3]);
        unequal.workloads[0].tally.replica_seconds = 0.0;
        assert_eq!(value(&incident, &unequal, 10).unwrap().paid, 600.0);
        assert_eq!(value(&incident, &cell(&[0, 3]), 10).unwrap().objective, 960.0, "without prices all weigh the same");
    }

    #[test]
    fn what_the_model_cost_is_part_of_what_was_paid() {
        let incident = seasonal("shop", 30);
        let with = |price| CellResult { model: ModelUse { cost: MicroUsd(1_000), ..ModelUse::default() }, ..cell(&[price]) };
        let value = |price| value(&incident, &with(price), 10);
        // A tenth of a cent buys a hundred seconds of a replica at 3.6 cents an hour.
        assert_eq!(value(36_000).map(|v| (v.paid, v.objective)), Some((500.0, 580.0)));
        assert_eq!(value(0), None, "dollars and replica-seconds cannot be added without a price");
    }

    #[test]
    fn the_value_of_an_oracles_programme_stands_for_its_tally() {
        let mut bound = cell(&[36_000]);
        bound.workloads[0].objective = Some(123.0);
        assert_eq!(value(&seasonal("shop", 30), &bound, 10).unwrap().objective, 123.0);
    }
}
