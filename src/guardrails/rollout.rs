//! Rollout: while a new template replaces the old one nothing is taken away and no third template is begun. A scale-up passes: the Deployment
//! controller shares it between old and new, and a spike does not wait for a deploy.

use super::rule::{Answer, Case};
use crate::domain::proposal::Change;
use crate::domain::resize::Through;
use crate::domain::workload::Rollout;

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let disturbs = match case.change {
        // In place no template is written; but what is used amid a rollout is no ground for less.
        Change::Resources(resources) => resources.through == Through::Template || case.target_losing_capacity().is_some(),
        _ => case.scale_down().is_some(),
    };
    if !disturbs {
        return Answer::pass();
    }
    let held = match case.subject.workload.map(|workload| workload.rollout) {
        None | Some(Rollout::Complete) => return Answer::pass(),
        Some(Rollout::Progressing) => "a rollout is in progress",
        Some(Rollout::Stalled) => "a rollout has passed its deadline",
        Some(Rollout::Paused) => "its rollout is paused",
    };
    Answer::refuse(format!("{held}: no replica is removed and no template or lesser size given"))
}

#[cfg(test)]
mod tests {
    use crate::domain::workload::Rollout;
    use crate::guardrails::testing::{calm, check, in_place, replicas, resources};

    #[test]
    fn fault_g06_a_rollout_holds_scale_downs_and_templates_and_lets_a_spike_be_met() {
        for (rollout, why) in [
            (Rollout::Progressing, "a rollout is in progress"),
            (Rollout::Stalled, "a rollout has passed its deadline"),
            (Rollout::Paused, "its rollout is paused"),
        ] {
            let mut setup = calm();
            setup.workload().rollout = rollout;
            let held = format!("Refuse\nRollout Refuse: {why}: no replica is removed and no template or lesser size given");
            check(&setup, replicas(8), &held);
            check(&setup, resources("1200m", "600Mi", "1Gi"), &held);
            check(&setup, replicas(12), "Admit 10 -> 12");
            // More, in place, for the pods that run.
            let more = in_place(resources("1200m", "600Mi", "2Gi"));
            let text = more.summary();
            check(&setup, more, &format!("Admit {text}"));
            check(&setup, in_place(resources("900m", "600Mi", "2Gi")), &held);
        }
    }
}
