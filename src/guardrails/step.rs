//! Step: how many replicas one change may add or remove, as the guardrail says. The API server's own policy holds the same numbers.

use super::rule::{Answer, Case};
use crate::domain::proposal::Change;

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let (Change::Replicas(change), Some(limits)) = (case.change, case.subject.limits) else { return Answer::pass() };
    let step = if change.to > change.from { limits.max_step_up } else { limits.max_step_down };
    let asked = change.from.abs_diff(change.to);
    if asked <= step {
        return Answer::pass();
    }
    Answer::at_most(change, step, &format!("one step is at most {step}")).comparing("replicas changed", f64::from(asked), f64::from(step))
}

#[cfg(test)]
mod tests {
    use crate::guardrails::testing::{calm, check, replicas};

    #[test]
    fn fault_g07_a_step_too_large_is_made_smaller() {
        check(&calm(), replicas(20), "Admit 10 -> 20");
        check(&calm(), replicas(21), "Clamp 10 -> 20\nStep Clamp: 10 of 11 replicas may be added: one step is at most 10");
        let mut setup = calm();
        setup.limits().max_step_down = 1;
        check(&setup, replicas(8), "Clamp 10 -> 9\nStep Clamp: 1 of 2 replicas may be removed: one step is at most 1");
        setup.limits().max_step_down = 0;
        check(&setup, replicas(8), "Refuse\nStep Refuse: none of 2 replicas may be removed: one step is at most 0");
    }
}
