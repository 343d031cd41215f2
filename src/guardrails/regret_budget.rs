//! Regret: what following the model can cost at most. A model's proposal below what the plan's median outlook needs takes named evidence or a
//! person; what it adds in cost over the plan is capped per group and day. An addition is charged for one hour, as far as an outlook reaches:
//! what is still wanted then is a new proposal.

use super::evidence::named;
use super::rule::{Answer, Case};
use crate::domain::plan::Plan;
use crate::domain::proposal::{Change, Origin, Proposal, ReplicasChange, ResourcesChange};
use crate::domain::units::MicroUsd;

pub(super) fn ask(case: &Case<'_>) -> Answer {
    if case.proposal.origin != Origin::Model {
        return Answer::pass();
    }
    match case.change {
        Change::Replicas(change) => replicas(case, change),
        Change::Resources(change) => resources(case, change),
        Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => Answer::pass(),
    }
}

/// What a change of a model's is charged for adding over the plan.
pub(super) fn regret(plan: &Plan, proposal: &Proposal, change: &Change) -> MicroUsd {
    if proposal.origin != Origin::Model {
        return MicroUsd::default();
    }
    match change {
        Change::Replicas(replicas) => {
            let over = replicas.to.saturating_sub(planned(plan, replicas));
            super::world::replica_price(plan, &replicas.target).unwrap_or_default() * i64::from(over)
        }
        Change::Resources(resources) if over_plan(plan, resources) => {
            super::world::resources_cost(plan, resources).unwrap_or_default().max(MicroUsd(0))
        }
        Change::Resources(_) | Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => MicroUsd::default(),
    }
}

/// What there would be without the model: what runs, or what the plan adds.
fn planned(plan: &Plan, change: &ReplicasChange) -> u32 {
    plan.targets.get(&change.target).map_or(change.from, |target| target.replicas.max(change.from))
}

fn over_plan(plan: &Plan, change: &ResourcesChange) -> bool {
    let planned = plan.targets.get(&change.target).and_then(|target| target.resources.as_ref()).filter(|p| p.container == change.container);
    let planned = planned.map_or(change.from, |planned| planned.to);
    change.to.cpu_request > planned.cpu_request.max(change.from.cpu_request)
        || change.to.memory_request > planned.memory_request.max(change.from.memory_request)
}

fn replicas(case: &Case<'_>, change: &ReplicasChange) -> Answer {
    let Some(target) = case.world.plan.targets.get(&change.target) else {
        return decided(case, &format!("the plan knows nothing of {}", change.target));
    };
    if change.to < target.p50_need && !named(case.world.snapshot, case.proposal) {
        let sentence = format!("{} replicas are below the {} of the median outlook, and no evidence is named", change.to, target.p50_need);
        return decided(case, &sentence).comparing("replicas asked", f64::from(change.to), f64::from(target.p50_need));
    }
    let planned = planned(case.world.plan, change);
    let over = change.to.saturating_sub(planned);
    let Some(price) = case.world.replica_price(&change.target).filter(|price| price.0 > 0 && over > 0) else { return Answer::pass() };
    let (spent, cap) = account(case);
    let affordable = u32::try_from((cap - spent).0.max(0) / price.0).unwrap_or(u32::MAX);
    if affordable >= over {
        return Answer::pass();
    }
    let why = format!("the model has added {spent} over the plan today, {cap} are allowed, and a replica over it costs {price}");
    Answer::at_most(change, planned.saturating_sub(change.from).saturating_add(affordable), &why).comparing(
        "dollars over the plan",
        (spent + price * i64::from(over)).dollars(),
        cap.dollars(),
    )
}

fn resources(case: &Case<'_>, change: &ResourcesChange) -> Answer {
    let needed = case.world.plan.targets.get(&change.target).and_then(|target| target.resources.as_ref());
    let needed = needed.filter(|plan| plan.container == change.container).map_or(change.from, |plan| plan.to);
    let below = change.to.cpu_request < needed.cpu_request || change.to.memory_request < needed.memory_request;
    if below && !named(case.world.snapshot, case.proposal) {
        return decided(case, &format!("the requests are below the plan's for container {}, and no evidence is named", change.container));
    }
    let added = regret(case.world.plan, case.proposal, case.change);
    let (spent, cap) = account(case);
    if added.0 > 0 && spent + added > cap {
        return Answer::refuse(format!("the model has added {spent} over the plan today, {cap} are allowed, and this adds {added}"))
            .comparing("dollars over the plan", (spent + added).dollars(), cap.dollars());
    }
    Answer::pass()
}

/// A person decides, or has.
fn decided(case: &Case<'_>, sentence: &str) -> Answer {
    if case.approved {
        Answer::admit(format!("{sentence}; a person approved it"))
    } else {
        Answer::queue(format!("{sentence}: a person decides"))
    }
}

/// What was spent today, and what may be.
fn account(case: &Case<'_>) -> (MicroUsd, MicroUsd) {
    let percent = i64::from(case.world.snapshot.limits.regret_percent);
    let a_day = case.projection.planned_cost(&case.proposal.group) * 24;
    (case.projection.regret(&case.proposal.group), MicroUsd(a_day.0.saturating_mul(percent) / 100))
}

#[cfg(test)]
mod tests {
    use crate::domain::memory::RegretAccount;
    use crate::domain::names::EvidenceId;
    use crate::domain::proposal::Origin;
    use crate::domain::snapshot::{Event, EventReason};
    use crate::domain::units::MicroUsd;
    use crate::guardrails::judge;
    use crate::guardrails::testing::{calm, check, check_from, minutes_ago, proposal, replicas, resources, said, web};

    #[test]
    fn below_the_median_need_a_model_names_evidence_or_a_person_decides() {
        let mut setup = calm();
        setup.target_plan().p50_need = 9;
        setup.snapshot.facts.events.push(Event {
            id: "ev1".into(),
            at: minutes_ago(5),
            target: web(),
            kind: "Deployment".into(),
            reason: EventReason::ScalingReplicaSet,
            count: 1,
        });
        let queued = "Queue 10 -> 8\n\
            RegretBudget Queue: 8 replicas are below the 9 of the median outlook, and no evidence is named: a person decides";
        check(&setup, replicas(8), "Admit 10 -> 8");
        check_from(&setup, Origin::Model, replicas(8), queued);
        check_from(&setup, Origin::Model, replicas(9), "Admit 10 -> 9");
        let with = |ids: &[&str]| {
            let mut proposal = proposal(1, Origin::Model, replicas(8));
            proposal.evidence = ids.iter().map(|id| EvidenceId((*id).into())).collect();
            said(&judge(&setup.snapshot, &setup.plan, &setup.commitments, &[proposal])[0])
        };
        assert_eq!(with(&["ev1", "shop/deployments.apps/web.latency"]), "Admit 10 -> 8");
        assert_eq!(with(&["shop/deployments.apps/web.latency"]), queued, "that a signal exists is no evidence");
        assert_eq!(with(&["ev1", "ev9"]), queued, "one id is invented");
    }

    #[test]
    fn what_a_model_adds_over_the_plan_is_capped_a_day() {
        // The plan costs $9.60 a day; a tenth of a percent of it is nothing, one percent two replicas for an hour short of a cent.
        let mut setup = calm();
        setup.snapshot.limits.regret_percent = 1;
        check(&setup, replicas(16), "Admit 10 -> 16");
        check_from(
            &setup,
            Origin::Model,
            replicas(16),
            "Clamp 10 -> 11\n\
            RegretBudget Clamp: 1 of 6 replicas may be added: the model has added $0.0000 over the plan today, \
            $0.0960 are allowed, and a replica over it costs $0.0500",
        );
        let account = RegretAccount { day: minutes_ago(600), spent: MicroUsd(90_000) };
        setup.snapshot.memory.gate.regret.insert(crate::domain::names::GroupId::new("shop", "shop"), account);
        check_from(
            &setup,
            Origin::Model,
            replicas(16),
            "Refuse\n\
            RegretBudget Refuse: none of 6 replicas may be added: the model has added $0.0900 over the plan today, \
            $0.0960 are allowed, and a replica over it costs $0.0500",
        );
        setup.target_plan().replicas = 16;
        setup.target_plan().cost_per_hour = Some(MicroUsd(800_000));
        check_from(&setup, Origin::Model, replicas(16), "Admit 10 -> 16");
    }

    #[test]
    fn requests_below_the_plans_take_evidence_too() {
        check_from(
            &calm(),
            Origin::Model,
            resources("900m", "512Mi", "1Gi"),
            "Queue resources of shop/deployments.apps/web container app: \
            cpu 1, memory 512Mi, memory limit 1Gi -> cpu 900m, memory 512Mi, memory limit 1Gi\n\
            RegretBudget Queue: the requests are below the plan's for container app, and no evidence is named: a person decides",
        );
    }
}
