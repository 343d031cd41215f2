//! Disruption budgets: a scale-down is not an eviction, and the API server does not ask the budget. So the budget is read for what it means:
//! it stops a scale-down while it is breached because pods are unhealthy, and below an absolute `minAvailable`; a budget that never
//! allows an eviction (`maxUnavailable: 0`) does not keep a workload from ever shrinking.

use super::rule::{Answer, Case};

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let (Some(change), Some(workload)) = (case.scale_down(), case.subject.workload) else { return Answer::pass() };
    let removed = change.from - change.to;
    for budget in &workload.disruption_budgets {
        if budget.disruptions_allowed == 0 && budget.current_healthy < budget.desired_healthy {
            return Answer::refuse(format!(
                "disruption budget {} counts {} healthy pods and wants {}",
                budget.name, budget.current_healthy, budget.desired_healthy
            ))
            .comparing("healthy pods", f64::from(budget.current_healthy), f64::from(budget.desired_healthy));
        }
        let left = budget.current_healthy.saturating_sub(removed);
        if let Some(least) = budget.min_available.filter(|least| left < *least) {
            return Answer::refuse(format!("{left} healthy pods would be left, disruption budget {} keeps at least {least}", budget.name))
                .comparing("healthy pods left", f64::from(left), f64::from(least));
        }
    }
    match workload.disruption_budgets.iter().find(|budget| budget.disruptions_allowed == 0) {
        Some(budget) => Answer::admit(format!(
            "disruption budget {} allows no eviction, all its {} pods are healthy, and a scale-down is no eviction",
            budget.name, budget.current_healthy
        )),
        None => Answer::pass(),
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::workload::DisruptionBudget;
    use crate::guardrails::testing::{Setup, calm, check, replicas};

    fn with(min_available: Option<u32>, disruptions_allowed: u32, current_healthy: u32, desired_healthy: u32) -> Setup {
        let mut setup = calm();
        let budget = DisruptionBudget { name: "web".into(), min_available, disruptions_allowed, current_healthy, desired_healthy };
        setup.workload().disruption_budgets.push(budget);
        setup
    }

    #[test]
    fn fault_g06_a_budget_breached_by_unhealthy_pods_holds_a_scale_down() {
        let setup = with(None, 0, 7, 9);
        check(&setup, replicas(8), "Refuse\nDisruptionBudget Refuse: disruption budget web counts 7 healthy pods and wants 9");
        check(&setup, replicas(12), "Admit 10 -> 12");
    }

    #[test]
    fn fault_g06_no_scale_down_goes_below_an_absolute_min_available() {
        let setup = with(Some(9), 1, 10, 9);
        check(&setup, replicas(8), "Refuse\nDisruptionBudget Refuse: 8 healthy pods would be left, disruption budget web keeps at least 9");
        check(&setup, replicas(9), "Admit 10 -> 9");
    }

    #[test]
    fn a_budget_that_never_allows_an_eviction_does_not_block_for_ever() {
        check(
            &with(None, 0, 10, 10),
            replicas(8),
            "Admit 10 -> 8\n\
            DisruptionBudget Admit: disruption budget web allows no eviction, all its 10 pods are healthy, and a scale-down is no eviction",
        );
    }
}
