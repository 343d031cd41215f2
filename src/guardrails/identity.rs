//! Identity: the target exists, is in the group that proposes, is the object that was meant and still as it was; and the numbers asked for are
//! numbers a cluster can hold. Judged on what was asked, not on a clamped form: nonsense is not made sense of.

use super::rule::{Answer, Case};
use crate::domain::names::TargetKey;
use crate::domain::proposal::{Change, ReplicasChange, ResourcesChange};
use crate::domain::resize::Through;

/// `spec.replicas` is an int32.
const MOST_REPLICAS: u32 = i32::MAX as u32;

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let fault = match &case.proposal.change {
        Change::Replicas(c) => strange(case, &c.target).or_else(|| another(case, &c.uid)).or_else(|| wrong_replicas(case, c)),
        Change::Resources(c) => strange(case, &c.target).or_else(|| another(case, &c.uid)).or_else(|| wrong_resources(case, c)),
        Change::Headroom(c) => strange(case, &c.target),
        Change::Finding(c) => strange(case, &c.target),
        // Which pools there may be is the fleet's word: see the rule of that name.
        Change::NodePool(_) => None,
    };
    fault.unwrap_or_else(Answer::pass)
}

fn strange(case: &Case<'_>, target: &TargetKey) -> Option<Answer> {
    let group = &case.proposal.group;
    if case.subject.group.is_none() {
        return Some(Answer::refuse(format!("there is no group {group}")));
    }
    if target.namespace != group.namespace {
        return Some(Answer::refuse(format!("{target} lies in another namespace than group {group}")));
    }
    if case.subject.member.is_none() {
        return Some(Answer::refuse(format!("{target} is not a target of group {group}")));
    }
    if case.subject.workload.is_none() {
        return Some(Answer::refuse(format!("{target} is not in the cluster")));
    }
    None
}

fn another(case: &Case<'_>, meant: &str) -> Option<Answer> {
    let workload = case.subject.workload.filter(|workload| *workload.uid != *meant)?;
    Some(Answer::refuse(format!("{} was recreated: UID {} was meant, {} is there", workload.key, meant, workload.uid)))
}

fn wrong_replicas(case: &Case<'_>, change: &ReplicasChange) -> Option<Answer> {
    let live = case.subject.workload?.replicas.desired;
    if change.to > MOST_REPLICAS {
        return Some(Answer::refuse(format!("{} replicas are more than any object can ask for ({MOST_REPLICAS})", change.to)).comparing(
            "replicas asked",
            f64::from(change.to),
            f64::from(MOST_REPLICAS),
        ));
    }
    if change.from != live {
        return Some(Answer::refuse(format!("the world has moved: {} replicas when this was made, {live} now", change.from)).comparing(
            "replicas when made",
            f64::from(change.from),
            f64::from(live),
        ));
    }
    if change.to == change.from {
        return Some(Answer::refuse(format!("{live} replicas are asked for and {live} are there: this changes nothing")));
    }
    if change.to == 0 && !case.subject.limits.is_some_and(|limits| limits.allow_zero) {
        return Some(Answer::refuse("0 replicas may only be asked for where the guardrail sets allowZero".into()));
    }
    None
}

fn wrong_resources(case: &Case<'_>, change: &ResourcesChange) -> Option<Answer> {
    let named = case.subject.member?.container.as_deref();
    let Some(container) = case.subject.workload?.container(named) else {
        return Some(Answer::refuse(format!("{} has no container {}", change.target, named.unwrap_or("at all"))));
    };
    if container.name != change.container {
        return Some(Answer::refuse(format!("container {} is not the one that may change, {} is", change.container, container.name)));
    }
    if container.resources != change.from {
        return Some(Answer::refuse(format!(
            "the world has moved: container {} has other resources than when this was made",
            container.name
        )));
    }
    if change.carries_on() && nothing_left(case, change) {
        return Some(Answer::refuse(format!("container {} has these resources already: this changes nothing", container.name)));
    }
    let zero = [change.to.cpu_limit.map(|v| v.0), change.to.memory_request.map(|v| v.0), change.to.memory_limit.map(|v| v.0)];
    if zero.contains(&Some(0)) {
        return Some(Answer::refuse("a memory request, a memory limit or a CPU limit of 0 lets no container run".into()));
    }
    if (change.from.cpu_request.is_some() && change.to.cpu_request.is_none())
        || (change.from.memory_request.is_some() && change.to.memory_request.is_none())
    {
        return Some(Answer::refuse("a request may be changed but not removed: the scheduler would place pods blindly".into()));
    }
    None
}

/// Whether no pod, or no template, lacks the size in force.
fn nothing_left(case: &Case<'_>, change: &ResourcesChange) -> bool {
    let Some(workload) = case.subject.workload else { return true };
    match change.through {
        Through::Pods => workload.resize_tally(&change.container).to_ask == 0,
        Through::Template => workload.in_template(&change.container) == Some(&change.to),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::domain::names::{GroupId, TargetKey};
    use crate::domain::proposal::{Change, Origin};
    use crate::domain::resize::Resized;
    use crate::domain::signal::SignalName;
    use crate::domain::units::Millicores;
    use crate::domain::workload::{Container, ContainerResources};
    use crate::guardrails::judge;
    use crate::guardrails::testing::{calm, check, proposal, replicas, replicas_of, resources, said, web};

    #[test]
    fn what_was_meant_and_is_there_passes() {
        check(&calm(), replicas(12), "Admit 10 -> 12");
        check(
            &calm(),
            resources("1200m", "600Mi", "1Gi"),
            "Admit resources of shop/deployments.apps/web container app: \
            cpu 1, memory 512Mi, memory limit 1Gi -> cpu 1200m, memory 600Mi, memory limit 1Gi",
        );
    }

    #[test]
    fn fault_g01_numbers_that_no_cluster_can_hold_are_refused() {
        check(
            &calm(),
            replicas(0),
            "Refuse\n\
            Identity Refuse: 0 replicas may only be asked for where the guardrail sets allowZero\n\
            Bounds Clamp: 8 of 10 replicas may be removed: 0 asked for, at least 2 kept\n\
            Step Clamp: 5 of 8 replicas may be removed: one step is at most 5\n\
            CrossCheck Refuse: demand is 400.0/s and 5 replicas serve 300.0/s",
        );
        check(
            &calm(),
            replicas(2_147_483_648),
            "Refuse\n\
            Identity Refuse: 2147483648 replicas are more than any object can ask for (2147483647)\n\
            Bounds Clamp: 50 of 2147483638 replicas may be added: 2147483648 asked for, at most 60 allowed\n\
            Step Clamp: 10 of 50 replicas may be added: one step is at most 10",
        );
        check(&calm(), replicas(10), "Refuse\nIdentity Refuse: 10 replicas are asked for and 10 are there: this changes nothing");
        check(&calm(), replicas_of("web", 9, 12), "Refuse\nIdentity Refuse: the world has moved: 9 replicas when this was made, 10 now");
    }

    #[test]
    fn zero_is_admitted_where_the_guardrail_says_so() {
        let mut setup = calm();
        setup.limits().allow_zero = true;
        setup.limits().bounds.min = 0;
        setup.limits().max_step_down = 10;
        setup.group().targets[0].bounds.min = 0;
        check(&setup, replicas(0), "Refuse\nCrossCheck Refuse: demand is 400.0/s and 0 replicas serve 0.0/s");
        setup.set_signal(SignalName::Demand, |_| 0.0);
        setup.set_signal(SignalName::Cpu, |_| 0.0);
        check(&setup, replicas(0), "Admit 10 -> 0");
    }

    #[test]
    fn fault_g05_a_target_that_is_not_the_groups_or_not_the_one_meant_is_refused() {
        let setup = calm();
        let mut stranger = proposal(1, Origin::Planner, replicas(12));
        let judged = |p: &_| said(&judge(&setup.snapshot, &setup.plan, &setup.commitments, std::slice::from_ref(p))[0]);
        stranger.group = GroupId::new("other", "shop");
        assert!(judged(&stranger).contains("Identity Refuse: there is no group other/shop"));

        let Change::Replicas(mut elsewhere) = replicas(12) else { unreachable!() };
        elsewhere.target = TargetKey::deployment("bank", "web");
        let mut reaching = proposal(1, Origin::Model, Change::Replicas(elsewhere));
        reaching.group = GroupId::new("shop", "shop");
        assert!(judged(&reaching).contains("Identity Refuse: bank/deployments.apps/web lies in another namespace than group shop/shop"));

        let unknown = judged(&proposal(1, Origin::Planner, replicas_of("nobody", 10, 12)));
        assert!(unknown.contains("Identity Refuse: shop/deployments.apps/nobody is not a target of group shop/shop"));

        let Change::Replicas(mut old) = replicas(12) else { unreachable!() };
        old.uid = Arc::from("uid-before");
        check(
            &calm(),
            Change::Replicas(old),
            "Refuse\n\
            Identity Refuse: shop/deployments.apps/web was recreated: UID uid-before was meant, uid-web is there",
        );

        let mut gone = calm();
        gone.snapshot.facts.workloads.remove(&web());
        check(&gone, replicas(12), "Refuse\nIdentity Refuse: shop/deployments.apps/web is not in the cluster");
    }

    #[test]
    fn fault_g04_only_the_named_container_changes() {
        let Change::Resources(mut change) = resources("1200m", "600Mi", "1Gi") else { unreachable!() };
        change.container = "sidecar".into();
        change.from = ContainerResources::default();
        let review = "Refuse\nIdentity Refuse: container sidecar is not the one that may change, app is";
        check(&calm(), Change::Resources(change.clone()), review);

        let mut named = calm();
        named.group().targets[0].container = Some("sidecar".into());
        check(
            &named,
            resources("1200m", "600Mi", "1Gi"),
            "Refuse\nIdentity Refuse: container app is not the one that may change, sidecar is",
        );
        named.workload().template.containers.push(Container { name: "third".into(), ..Container::default() });
        check(
            &named,
            Change::Resources(change),
            "Admit resources of shop/deployments.apps/web container sidecar: \
            none -> cpu 1200m, memory 600Mi, memory limit 1Gi",
        );
    }

    /// The size `to` of `web` is in force, and one pod came since that has what the template says.
    fn in_force(to: ContainerResources) -> (crate::guardrails::testing::Setup, Change) {
        let mut setup = calm();
        let Change::Resources(mut change) = crate::guardrails::testing::in_place(resources("1", "512Mi", "1Gi")) else { panic!() };
        (change.from, change.to) = (to, to);
        let workload = setup.workload();
        let app = |resources| Container { name: "app".into(), resources };
        let before = workload.template.containers[0].resources;
        workload.resized = Some(Resized { containers: vec![app(to)], since: crate::guardrails::testing::minutes_ago(60) });
        for (number, pod) in workload.pods.iter_mut().enumerate() {
            pod.size.containers = vec![app(if number == 0 { before } else { to })];
        }
        (setup, Change::Resources(change))
    }

    #[test]
    fn a_size_in_force_is_carried_on_while_a_pod_lacks_it() {
        let larger = ContainerResources { cpu_request: Some(Millicores(1200)), ..crate::guardrails::testing::app_resources() };
        let (mut setup, change) = in_force(larger);
        let text = change.summary();
        check(&setup, change.clone(), &format!("Admit {text}"));
        setup.workload().pods.remove(0);
        check(&setup, change, "Refuse\nIdentity Refuse: container app has these resources already: this changes nothing");
    }

    #[test]
    fn what_is_carried_on_is_held_to_bounds_and_live_use_like_anything_new() {
        let beyond = ContainerResources { cpu_request: Some(Millicores(5000)), ..crate::guardrails::testing::app_resources() };
        let (setup, change) = in_force(beyond);
        check(
            &setup,
            change,
            "Refuse\n\
            ResourceBounds Refuse: the size in force, cpu 5, memory 512Mi, memory limit 1Gi, is not inside the bounds of resources any more",
        );
        let below = ContainerResources { cpu_request: Some(Millicores(300)), ..crate::guardrails::testing::app_resources() };
        let (setup, change) = in_force(below);
        check(&setup, change, "Refuse\nRequestLimit Refuse: a cpu request of 300m is below the 400m that a pod used within the hour");
    }
}
