//! Mode: how far a person lets IPA go, by kind of change. `Observe` refuses, by this rule and no other: the tick then records the proposal as
//! a shadow of what would have been done. `Recommend` asks a person, once; what was approved passes. Headroom and findings write nothing to the
//! cluster and need no mode.

use super::rule::{Answer, Case};
use crate::domain::limits::Mode;
use crate::domain::proposal::Change;

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let modes = case.modes();
    let (mode, what) = match case.change {
        Change::Replicas(c) if c.to > c.from => (modes.scale_up, "scale-ups"),
        Change::Replicas(_) => (modes.scale_down, "scale-downs"),
        Change::Resources(_) => (modes.resources, "resource changes"),
        Change::NodePool(c) => {
            let fleet = case.world.snapshot.facts.fleets.get(&c.fleet);
            (fleet.map_or(Mode::Observe, |fleet| fleet.highest_mode.min(case.world.snapshot.limits.highest_mode)), "node pools")
        }
        Change::Headroom(_) | Change::Finding(_) => return Answer::pass(),
    };
    match mode {
        Mode::Auto => Answer::pass(),
        Mode::Recommend if case.approved => Answer::admit("a person approved exactly this change".into()),
        Mode::Recommend => Answer::queue(format!("the mode of {what} is Recommend: a person decides")),
        Mode::Observe => match (case.change.target(), case.subject.limits) {
            (Some(target), None) => {
                Answer::refuse(format!("no ScalingGuardrail of namespace {} enrols {target}: it is observed only", target.namespace))
            }
            _ => Answer::refuse(format!("the mode of {what} is Observe: this is recorded and not carried out")),
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::limits::{Mode, Modes};
    use crate::domain::proposal::Origin;
    use crate::guardrails::testing::{calm, check, check_from, replicas, resources, web};

    #[test]
    fn each_direction_has_its_own_mode() {
        let mut setup = calm();
        setup.group().modes = Modes { scale_up: Mode::Auto, scale_down: Mode::Recommend, resources: Mode::Observe, nodes: Mode::Observe };
        check(&setup, replicas(12), "Admit 10 -> 12");
        check(&setup, replicas(8), "Queue 10 -> 8\nMode Queue: the mode of scale-downs is Recommend: a person decides");
        check(
            &setup,
            resources("1200m", "600Mi", "1Gi"),
            "Refuse\n\
            Mode Refuse: the mode of resource changes is Observe: this is recorded and not carried out",
        );
        check_from(
            &setup,
            Origin::Person,
            replicas(8),
            "Queue 10 -> 8\nMode Queue: the mode of scale-downs is Recommend: a person decides",
        );
    }

    #[test]
    fn the_platform_and_the_installation_can_only_lower_it() {
        let mut setup = calm();
        setup.guardrail().highest_mode = Mode::Recommend;
        check(&setup, replicas(12), "Queue 10 -> 12\nMode Queue: the mode of scale-ups is Recommend: a person decides");
        setup.snapshot.limits.highest_mode = Mode::Observe;
        check(&setup, replicas(12), "Refuse\nMode Refuse: the mode of scale-ups is Observe: this is recorded and not carried out");
    }

    #[test]
    fn without_a_guardrail_nothing_above_observe_is_allowed() {
        let mut setup = calm();
        setup.guardrail().targets.remove(&web());
        check(
            &setup,
            replicas(12),
            "Refuse\n\
            Mode Refuse: no ScalingGuardrail of namespace shop enrols shop/deployments.apps/web: it is observed only",
        );
    }
}
