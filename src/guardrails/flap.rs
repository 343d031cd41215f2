//! Flap: a target whose direction was reversed too often is held where it is, high: only what takes capacity away waits.

use super::rule::{Answer, Case};

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let Some(change) = case.scale_down() else { return Answer::pass() };
    let (snapshot, limits) = (case.world.snapshot, &case.world.snapshot.limits);
    let Some(marks) = snapshot.memory.gate.changes.get(&change.target) else { return Answer::pass() };
    let window = limits.flap_window.signed();
    let mut reversals = 0;
    let mut last_up = None;
    let recent = marks.iter().filter(|mark| mark.from != mark.to && snapshot.at.duration_since(mark.at) < window);
    for up in recent.map(|mark| mark.to > mark.from).chain([false]) {
        reversals += u32::from(last_up.is_some_and(|last| last != up));
        last_up = Some(up);
    }
    if reversals <= limits.most_reversals {
        return Answer::pass();
    }
    Answer::refuse(format!(
        "this would be reversal {reversals} of direction within {}, at most {} are allowed",
        limits.flap_window, limits.most_reversals
    ))
    .comparing("reversals", f64::from(reversals), f64::from(limits.most_reversals))
}

#[cfg(test)]
mod tests {
    use crate::guardrails::testing::{calm, check, replicas};

    #[test]
    fn fault_g07_a_direction_reversed_too_often_is_held_high() {
        let mut setup = calm();
        for (minutes, from, to) in [(28, 10, 12), (22, 12, 10), (16, 10, 12), (10, 10, 12)] {
            setup.mark(minutes, from, to);
        }
        check(&setup, replicas(8), "Admit 10 -> 8");
        setup.mark(8, 12, 8);
        setup.mark(6, 8, 10);
        check(&setup, replicas(8), "Refuse\nFlap Refuse: this would be reversal 5 of direction within 30m, at most 3 are allowed");
        check(&setup, replicas(12), "Admit 10 -> 12");
    }
}
