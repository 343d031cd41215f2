//! Cool-down: after a change, how long the next one waits, by the gate's own memory. A scale-up waits for nothing but a person's recent
//! scaling and a change that is on its way; what takes capacity away waits for the last change to have shown its effect.

use super::ownership::{Ownership, ownership};
use super::rule::{Answer, Case, age};
use crate::domain::memory::ChangeMark;
use crate::domain::names::TargetKey;
use crate::domain::proposal::Change;
use crate::domain::units::GoDuration;
use crate::domain::workload::OwnedField;

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let Some(target) = case.change.target().filter(|_| case.change.writes_cluster()) else { return Answer::pass() };
    on_its_way(case, target)
        .or_else(|| persons_hold(case))
        .or_else(|| case.target_losing_capacity().and_then(|target| cooling(case, target)))
        .unwrap_or_else(Answer::pass)
}

/// What this snapshot led to is not seen before the next one; older than that, a lost write must not hold back a spike.
fn on_its_way(case: &Case<'_>, target: &TargetKey) -> Option<Answer> {
    case.projection.open(target).iter().find_map(|open| {
        let beyond = match (case.scale_up(), &open.change) {
            (Some(asked), Change::Replicas(released)) => asked.to > released.to,
            (Some(_), _) => true,
            (None, _) => false,
        };
        let of_this_tick = open.at >= case.now();
        (of_this_tick || !beyond).then(|| Answer::refuse(format!("{} is released and not yet seen in the cluster", open.change.summary())))
    })
}

fn persons_hold(case: &Case<'_>) -> Option<Answer> {
    let (group, workload) = (case.subject.group?, case.subject.workload?);
    let takeover = workload.annotations.contains_key("takeover");
    workload.writers.iter().filter(|writer| field_of(case.change) == Some(writer.field.clone())).find_map(|writer| {
        match ownership(writer, group.human_hold, case.now(), takeover) {
            Ownership::HoldUntil(until) => {
                Some(Answer::refuse(format!("a person set this by {}: it is left alone until {until}", writer.manager)))
            }
            Ownership::TakeOver | Ownership::Conflict { .. } => None,
        }
    })
}

fn cooling(case: &Case<'_>, target: &TargetKey) -> Option<Answer> {
    let (now, limits) = (case.now(), &case.world.snapshot.limits);
    let gate = &case.world.snapshot.memory.gate;
    let held = |what: &str, passed: GoDuration, wait: GoDuration| {
        (passed < wait).then(|| {
            Answer::refuse(format!("{what} {passed} ago: nothing is taken away within {wait}")).comparing(
                "seconds since",
                passed.seconds(),
                wait.seconds(),
            )
        })
    };
    let since = gate.started.map_or(GoDuration::default(), |started| age(now, started));
    let marks = gate.changes.get(target);
    let last = |is: fn(&ChangeMark) -> bool| marks.and_then(|marks| marks.iter().rev().find(|mark| is(mark))).map(|mark| age(now, mark.at));
    held("the gate's memory began", since, limits.cool_down_after_up)
        .or_else(|| held("replicas were added", last(|m| m.to > m.from)?, limits.cool_down_after_up))
        .or_else(|| held("resources were changed", last(|m| m.to == m.from)?, limits.cool_down_after_up))
        .or_else(|| held("replicas were removed", last(|m| m.to < m.from)?, limits.cool_down_after_down))
}

/// The field a change writes, as `managedFields` knows it.
pub(super) fn field_of(change: &Change) -> Option<OwnedField> {
    match change {
        Change::Replicas(_) => Some(OwnedField::Replicas),
        Change::Resources(c) => Some(OwnedField::Resources { container: c.container.clone() }),
        Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::memory::Commitment;
    use crate::domain::names::{GroupId, ProposalId};
    use crate::domain::proposal::Origin;
    use crate::domain::units::MicroUsd;
    use crate::domain::workload::{FieldWriter, OwnedField, WriteOperation};
    use crate::guardrails::judge;
    use crate::guardrails::testing::{Setup, calm, check, minutes_ago, proposal, replicas, resources, said};

    fn released(setup: &mut Setup, minutes: i64, to: u32) {
        setup.commitments.open.push(Commitment {
            proposal: ProposalId("t6-0001".into()),
            group: GroupId::new("shop", "shop"),
            origin: Origin::Planner,
            change: replicas(to),
            at: minutes_ago(minutes),
            cost_change_per_hour: MicroUsd(0),
            regret: MicroUsd(0),
        });
    }

    #[test]
    fn fault_g07_a_scale_down_waits_and_a_scale_up_does_not() {
        let mut setup = calm();
        setup.mark(4, 6, 10);
        check(&setup, replicas(8), "Refuse\nCoolDown Refuse: replicas were added 4m ago: nothing is taken away within 5m");
        check(&setup, replicas(14), "Admit 10 -> 14");
        setup.snapshot.memory.gate.changes.clear();
        setup.mark(1, 12, 10);
        check(&setup, replicas(8), "Refuse\nCoolDown Refuse: replicas were removed 1m ago: nothing is taken away within 2m");
        check(&setup, replicas(14), "Admit 10 -> 14");
        setup.snapshot.memory.gate.changes.clear();
        setup.mark(6, 6, 10);
        check(&setup, replicas(8), "Admit 10 -> 8");
        setup.mark(3, 0, 0);
        check(
            &setup,
            resources("900m", "512Mi", "1Gi"),
            "Refuse\n\
            CoolDown Refuse: resources were changed 3m ago: nothing is taken away within 5m",
        );
    }

    #[test]
    fn a_memory_that_has_just_begun_is_a_cool_down_that_has_just_begun() {
        let mut setup = calm();
        setup.snapshot.memory.gate.started = Some(minutes_ago(2));
        check(&setup, replicas(8), "Refuse\nCoolDown Refuse: the gate's memory began 2m ago: nothing is taken away within 5m");
        setup.snapshot.memory.gate.started = None;
        check(&setup, replicas(8), "Refuse\nCoolDown Refuse: the gate's memory began 0s ago: nothing is taken away within 5m");
    }

    #[test]
    fn a_change_that_is_on_its_way_is_waited_for_unless_more_is_needed() {
        let mut setup = calm();
        released(&mut setup, 1, 12);
        let waits = "Refuse\nCoolDown Refuse: replicas of shop/deployments.apps/web 10 -> 12 is released and not yet seen in the cluster";
        check(&setup, replicas(12), waits);
        check(&setup, replicas(8), waits);
        check(&setup, replicas(14), "Admit 10 -> 14");
        setup.commitments.open.clear();
        released(&mut setup, 0, 12);
        check(&setup, replicas(14), waits);
        setup.commitments.open.clear();
        released(&mut setup, 11, 12);
        check(&setup, replicas(12), "Admit 10 -> 12");
    }

    #[test]
    fn of_two_proposals_for_one_target_one_passes() {
        let setup = calm();
        let batch = [proposal(1, Origin::Planner, replicas(12)), proposal(2, Origin::Model, replicas(8))];
        let reviews = judge(&setup.snapshot, &setup.plan, &setup.commitments, &batch);
        assert_eq!(said(&reviews[0]), "Admit 10 -> 12");
        assert_eq!(
            said(&reviews[1]),
            "Refuse\nCoolDown Refuse: replicas of shop/deployments.apps/web 10 -> 12 is released and not yet seen in the cluster"
        );
    }

    #[test]
    fn a_persons_scaling_is_left_alone() {
        let mut setup = calm();
        setup.workload().writers.push(FieldWriter {
            manager: "kubectl".into(),
            operation: WriteOperation::Update,
            subresource: Some("scale".into()),
            field: OwnedField::Replicas,
            at: Some(minutes_ago(5)),
        });
        let held = "Refuse\nCoolDown Refuse: a person set this by kubectl: it is left alone until 2026-03-01T10:10:00Z";
        check(&setup, replicas(12), held);
        check(&setup, replicas(8), held);
        setup.workload().annotations.insert("takeover".into(), "true".into());
        check(&setup, replicas(12), "Admit 10 -> 12");
    }
}
