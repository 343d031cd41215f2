//! Change budget: how many replicas may change over all groups within a window, up or down, so that no single wrong input moves the whole
//! cluster. A share is kept for dialogues that are still open: the planner, which comes first, leaves it.

use super::rule::{Answer, Case};
use crate::domain::proposal::{Change, Origin};

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let Change::Replicas(change) = case.change else { return Answer::pass() };
    let limits = &case.world.snapshot.limits;
    let share = case.world.enrolled_replicas.saturating_mul(u64::from(limits.change_percent)) / 100;
    let whole = share.max(u64::from(limits.change_floor));
    let (budget, part) = match case.proposal.origin {
        Origin::Planner => {
            (whole.saturating_mul(u64::from(100u32.saturating_sub(limits.dialogue_share_percent))) / 100, "the planner's part of ")
        }
        Origin::Model | Origin::Person => (whole, ""),
    };
    let spent = case.projection.changed();
    let asked = change.from.abs_diff(change.to);
    let left = u32::try_from(budget.saturating_sub(spent)).unwrap_or(u32::MAX);
    if left >= asked {
        return Answer::pass();
    }
    let why = format!("{spent} replicas changed within {}, {part}the change budget is {budget}", limits.change_window);
    Answer::at_most(change, left, &why).comparing("replicas changed", spent.saturating_add(u64::from(asked)) as f64, budget as f64)
}

#[cfg(test)]
mod tests {
    use crate::domain::limits::Criticality;
    use crate::domain::proposal::{Change, Origin};
    use crate::domain::review::Verdict;
    use crate::guardrails::judge;
    use crate::guardrails::testing::{Setup, calm, check, check_from, minutes_ago, proposal, replicas, replicas_of};

    fn with(floor: u32) -> Setup {
        let mut setup = calm();
        setup.snapshot.limits.change_floor = floor;
        setup.snapshot.limits.change_percent = 0;
        setup
    }

    #[test]
    fn the_planner_leaves_the_dialogues_share() {
        let mut setup = with(10);
        check(&setup, replicas(18), "Admit 10 -> 18");
        check(
            &setup,
            replicas(20),
            "Clamp 10 -> 18\n\
            ChangeBudget Clamp: 8 of 10 replicas may be added: 0 replicas changed within 5m, the planner's part of the change budget is 8",
        );
        check_from(&setup, Origin::Person, replicas(20), "Admit 10 -> 20");
        setup.commitments.window.push_back((minutes_ago(4), 8));
        setup.commitments.window.push_back((minutes_ago(6), 90));
        check(
            &setup,
            replicas(12),
            "Refuse\n\
            ChangeBudget Refuse: none of 2 replicas may be added: 8 replicas changed within 5m, the planner's part of the change budget is 8",
        );
        check_from(
            &setup,
            Origin::Person,
            replicas(14),
            "Clamp 10 -> 12\n\
            ChangeBudget Clamp: 2 of 4 replicas may be added: 8 replicas changed within 5m, the change budget is 10",
        );
    }

    #[test]
    fn fault_g10_a_hundred_proposals_at_once_stay_within_the_budget_by_priority() {
        let mut setup = with(100);
        let mut batch = Vec::new();
        for number in 0..100 {
            let name = format!("w{number:02}");
            setup.add(&name);
            batch.push(proposal(number, Origin::Planner, replicas_of(&name, 10, 14)));
        }
        setup.group().targets.last_mut().unwrap().criticality = Criticality::Critical;
        setup.snapshot.facts.nodes[0].allocatable.cpu.0 = 1_000_000;
        setup.snapshot.facts.nodes[0].allocatable.pods = 1_000;
        let reviews = judge(&setup.snapshot, &setup.plan, &setup.commitments, &batch);
        let moved: u32 = reviews.iter().filter_map(|review| review.change.as_ref()).map(added).sum();
        assert_eq!(moved, 80, "the planner's part of 100");
        assert_eq!(reviews.iter().filter(|review| review.verdict == Verdict::Refuse).count(), 80);
        assert_eq!(reviews[99].verdict, Verdict::Admit, "the critical one goes first");
    }

    fn added(change: &Change) -> u32 {
        match change {
            Change::Replicas(c) => c.from.abs_diff(c.to),
            other => panic!("{other:?}"),
        }
    }
}
