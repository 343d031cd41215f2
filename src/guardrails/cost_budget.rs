//! Cost: what a group, a namespace and a fleet may cost an hour, after everything released. A budget without a price cannot be held, and says so.

use super::rule::{Answer, Case};
use super::world::resources_cost;
use crate::domain::proposal::{Change, Origin, ReplicasChange, ResourcesChange};
use crate::domain::units::MicroUsd;

/// Hours of a mean month, as clouds bill them.
const HOURS_A_MONTH: i64 = 730;

/// One budget, what is spent of it, and which of the added replicas it counts.
struct Budget {
    name: String,
    limit: MicroUsd,
    spent: MicroUsd,
    /// Replicas that cost it nothing: those that fit on nodes there are, for a fleet.
    free: u32,
}

pub(super) fn ask(case: &Case<'_>) -> Answer {
    match case.change {
        Change::Replicas(change) if change.to > change.from => replicas(case, change),
        Change::Resources(change) => resources(case, change),
        Change::Replicas(_) | Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => Answer::pass(),
    }
}

fn replicas(case: &Case<'_>, change: &ReplicasChange) -> Answer {
    let asked = change.to - change.from;
    let mut budgets = pod_budgets(case, &change.target.namespace);
    budgets.extend(fleet_budgets(case, asked));
    let allowed_by = |budget: &Budget, price: MicroUsd| {
        let left = (budget.limit - budget.spent).0.max(0) / price.0.max(1);
        budget.free.saturating_add(u32::try_from(left).unwrap_or(u32::MAX))
    };
    let Some(price) = case.world.replica_price(&change.target).filter(|price| price.0 > 0) else {
        return unpriced(&budgets);
    };
    let Some(budget) = budgets.into_iter().min_by_key(|budget| allowed_by(budget, price)) else { return Answer::pass() };
    let allowed = allowed_by(&budget, price);
    if allowed >= asked {
        return Answer::pass();
    }
    let why = format!("{} is {} an hour, {} are spent, and a replica costs {price}", budget.name, budget.limit, budget.spent);
    let would_be = budget.spent + price * i64::from(asked.saturating_sub(budget.free));
    Answer::at_most(change, allowed, &why).comparing("dollars an hour", would_be.dollars(), budget.limit.dollars())
}

fn resources(case: &Case<'_>, change: &ResourcesChange) -> Answer {
    let raised = change.to.cpu_request > change.from.cpu_request || change.to.memory_request > change.from.memory_request;
    if !raised {
        return Answer::pass();
    }
    let budgets = pod_budgets(case, &change.target.namespace);
    let Some(more) = resources_cost(case.world.plan, change) else {
        return match budgets.first() {
            // A model must not spend what nobody can count.
            Some(budget) if case.proposal.origin == Origin::Model && !case.approved => {
                Answer::queue(format!("{} cannot be checked, since no price is known for these pods: a person decides", budget.name))
            }
            _ => unpriced(&budgets),
        };
    };
    match budgets.into_iter().find(|budget| more.0 > 0 && budget.spent + more > budget.limit) {
        Some(budget) => {
            Answer::refuse(format!("{} is {} an hour, {} are spent, and this adds {more}", budget.name, budget.limit, budget.spent))
                .comparing("dollars an hour", (budget.spent + more).dollars(), budget.limit.dollars())
        }
        None => Answer::pass(),
    }
}

fn unpriced(budgets: &[Budget]) -> Answer {
    match budgets.first() {
        Some(budget) => Answer::admit(format!("{} was not checked: no price is known for these pods", budget.name)),
        None => Answer::pass(),
    }
}

fn pod_budgets(case: &Case<'_>, namespace: &str) -> Vec<Budget> {
    let group = case.subject.group.and_then(|group| {
        Some(Budget {
            name: format!("the cost budget of group {}", group.id),
            limit: group.cost_budget_per_hour?,
            spent: case.projection.group_cost(&group.id),
            free: 0,
        })
    });
    let spent = case.projection.namespace_cost(namespace);
    let hour = case.subject.guardrail.and_then(|guardrail| guardrail.cost_budget_per_hour);
    let month = case.subject.guardrail.and_then(|guardrail| guardrail.cost_budget_per_month);
    let of_namespace = |what: &str, limit| Budget { name: format!("the {what} of namespace {namespace}"), limit, spent, free: 0 };
    group
        .into_iter()
        .chain(hour.map(|limit| of_namespace("cost budget", limit)))
        .chain(month.map(|limit| of_namespace("cost budget a month, spread over its hours,", MicroUsd(limit.0 / HOURS_A_MONTH))))
        .collect()
}

/// Which fleet buys a node is not known beforehand, so each with a budget has to have it left.
fn fleet_budgets(case: &Case<'_>, asked: u32) -> Vec<Budget> {
    let facts = &case.world.snapshot.facts;
    let budgeted: Vec<_> = facts.fleets.values().filter_map(|fleet| Some((fleet, fleet.cost_budget_per_hour?))).collect();
    let Some(workload) = case.subject.workload.filter(|_| !budgeted.is_empty()) else { return Vec::new() };
    let free = case.projection.room.fits(&workload.template.shape, asked).existing;
    if free >= asked {
        return Vec::new();
    }
    let budget = |(fleet, limit): (&crate::domain::limits::Fleet, MicroUsd)| {
        let nodes = facts.nodes.iter().filter(|node| node.pool.as_ref().is_some_and(|pool| fleet.pools.contains(pool)));
        let running: MicroUsd = nodes.filter_map(|node| node.price_per_hour).sum();
        Budget { name: format!("the cost budget of {}", fleet.id), limit, spent: running + case.projection.bought_cost(), free }
    };
    budgeted.into_iter().map(budget).collect()
}

#[cfg(test)]
mod tests {
    use crate::domain::units::MicroUsd;
    use crate::guardrails::testing::{calm, check, fleet, node, pool, replicas};

    #[test]
    fn a_groups_and_a_namespaces_budget_hold() {
        let mut setup = calm();
        setup.group().cost_budget_per_hour = Some(MicroUsd(720_000));
        check(&setup, replicas(14), "Admit 10 -> 14");
        check(
            &setup,
            replicas(18),
            "Clamp 10 -> 14\n\
            CostBudget Clamp: 4 of 8 replicas may be added: the cost budget of group shop/shop is $0.7200 an hour, \
            $0.5000 are spent, and a replica costs $0.0500",
        );
        setup.guardrail().cost_budget_per_hour = Some(MicroUsd(620_000));
        check(
            &setup,
            replicas(18),
            "Clamp 10 -> 12\n\
            CostBudget Clamp: 2 of 8 replicas may be added: the cost budget of namespace shop is $0.6200 an hour, \
            $0.5000 are spent, and a replica costs $0.0500",
        );
        setup.guardrail().cost_budget_per_month = Some(MicroUsd(730 * 400_000));
        check(
            &setup,
            replicas(18),
            "Refuse\n\
            CostBudget Refuse: none of 8 replicas may be added: the cost budget a month, spread over its hours, of namespace shop is \
            $0.4000 an hour, $0.5000 are spent, and a replica costs $0.0500",
        );
        check(&setup, replicas(8), "Admit 10 -> 8");
    }

    #[test]
    fn a_fleets_budget_counts_what_has_to_be_bought() {
        let mut setup = calm();
        setup.snapshot.facts.nodes = vec![node("n1", 2)];
        setup.snapshot.facts.nodes[0].pool = Some("general".into());
        setup.snapshot.facts.node_pools = vec![pool(100)];
        setup
            .snapshot
            .facts
            .fleets
            .insert("main".into(), crate::domain::limits::Fleet { cost_budget_per_hour: Some(MicroUsd(300_000)), ..fleet() });
        check(&setup, replicas(14), "Admit 10 -> 14");
        check(
            &setup,
            replicas(18),
            "Clamp 10 -> 14\n\
            CostBudget Clamp: 4 of 8 replicas may be added: the cost budget of nodefleet/main is $0.3000 an hour, \
            $0.2000 are spent, and a replica costs $0.0500",
        );
    }

    #[test]
    fn a_budget_without_a_price_says_that_it_was_not_checked() {
        let mut setup = calm();
        setup.group().cost_budget_per_hour = Some(MicroUsd(1));
        setup.target_plan().cost_per_hour = None;
        check(
            &setup,
            replicas(12),
            "Admit 10 -> 12\n\
            CostBudget Admit: the cost budget of group shop/shop was not checked: no price is known for these pods",
        );
    }
}
