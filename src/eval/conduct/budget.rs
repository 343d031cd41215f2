//! Cost budgets of groups and namespaces, held against what the replicas that are asked for cost an hour at the price that is paid for them.

use super::super::incident::{Incident, NAMESPACE};
use super::super::stage::key;
use super::failure::Minute;
use crate::domain::units::MicroUsd;

/// Hours of a mean month, as clouds bill them.
const HOURS_A_MONTH: i64 = 730;
/// Prices are whole millionths of a dollar; a sum of so many parts more is rounding.
const ROUNDING: f64 = 1e-3;

/// Who may spend what, and how many replicas are asked for.
#[derive(Debug)]
pub(super) struct Budgets {
    /// An hour's limit, and the workloads (by place) that it covers.
    limits: Vec<(MicroUsd, Vec<usize>)>,
    desired: Vec<u32>,
}

impl Budgets {
    /// Those that people set in an incident.
    pub(super) fn of(incident: &Incident) -> Self {
        let places = |such: &dyn Fn(&crate::domain::names::TargetKey) -> bool| -> Vec<usize> {
            (0..incident.workloads.len()).filter(|place| such(&key(&incident.workloads[*place].name))).collect()
        };
        let of_groups = incident.groups.iter().filter_map(|group| {
            let members = places(&|target| group.targets.iter().any(|member| member.key == *target));
            group.cost_budget_per_hour.map(|limit| (limit, members))
        });
        let guardrails = incident.guardrails.iter().filter(|guardrail| &*guardrail.namespace == NAMESPACE);
        let of_namespaces = guardrails.flat_map(|guardrail| {
            let month = guardrail.cost_budget_per_month.map(|limit| MicroUsd(limit.0 / HOURS_A_MONTH));
            [guardrail.cost_budget_per_hour, month].into_iter().flatten().map(|limit| (limit, places(&|_| true)))
        });
        let desired = incident.workloads.iter().map(|workload| workload.replicas).collect();
        Self { limits: of_groups.chain(of_namespaces).collect(), desired }
    }

    /// A workload is asked to have so many replicas.
    pub(super) fn scaled(&mut self, workload: usize, replicas: u32) {
        if let Some(desired) = self.desired.get_mut(workload) {
            *desired = replicas;
        }
    }

    /// Whether a budget that covers the workload is passed by what is asked for now. Without a price it cannot be said, and is not.
    pub(super) fn passed(&self, workload: usize, minute: &Minute) -> bool {
        let cost = |place: &usize| f64::from(self.desired[*place]) * minute.price_per_hour(*place).unwrap_or(0.0);
        let covering = self.limits.iter().filter(|(_, members)| members.contains(&workload));
        covering.into_iter().any(|(limit, members)| members.iter().map(cost).sum::<f64>() > limit.dollars() * (1.0 + ROUNDING))
    }
}
