//! Unusual: a count far from what the target usually has needs a person, however many small steps led there.

use super::rule::{Answer, Case};
use crate::domain::proposal::Change;

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let (Change::Replicas(change), Some(workload)) = (case.change, case.subject.workload) else { return Answer::pass() };
    let snapshot = case.world.snapshot;
    let factor = f64::from(snapshot.limits.unusual_factor.max(1));
    let usual = snapshot.memory.gate.usual.get(&change.target).copied().filter(|usual| usual.is_finite());
    // Below one replica there is no factor to speak of.
    let usual = usual.unwrap_or(f64::from(workload.replicas.desired)).max(1.0);
    let asked = f64::from(change.to);
    let (side, limit) = if asked > usual * factor {
        ("above", usual * factor)
    } else if change.to < change.from && asked.max(1.0) * factor < usual {
        ("below", usual / factor)
    } else {
        return Answer::pass();
    };
    let sentence = format!("{} replicas are {side} {factor} times the usual {usual:.1}", change.to);
    let answer = if case.approved {
        Answer::admit(format!("{sentence}; a person approved it"))
    } else {
        Answer::queue(format!("{sentence}: a person decides"))
    };
    answer.comparing("replicas asked", asked, limit)
}

#[cfg(test)]
mod tests {
    use crate::guardrails::testing::{calm, check, replicas, web};

    #[test]
    fn what_is_far_from_the_usual_needs_a_person() {
        let mut setup = calm();
        setup.snapshot.memory.gate.usual.insert(web(), 1.5);
        check(&setup, replicas(15), "Admit 10 -> 15");
        check(&setup, replicas(16), "Queue 10 -> 16\nUnusual Queue: 16 replicas are above 10 times the usual 1.5: a person decides");
        setup.snapshot.memory.gate.usual.insert(web(), 100.0);
        check(&setup, replicas(9), "Queue 10 -> 9\nUnusual Queue: 9 replicas are below 10 times the usual 100.0: a person decides");
    }

    #[test]
    fn a_target_nobody_has_seen_is_compared_with_itself() {
        check(&calm(), replicas(20), "Admit 10 -> 20");
    }
}
