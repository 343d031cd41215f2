//! Unready: nothing is taken away while pods fail, start, or sit on a node in trouble. Pods that wait for a node may be given up: the controller
//! deletes those first, and nothing that serves is lost.

use super::rule::{Answer, Case};
use crate::domain::workload::PodPhase;

pub(super) fn ask(case: &Case<'_>) -> Answer {
    if case.target_losing_capacity().is_none() {
        return Answer::pass();
    }
    let Some(workload) = case.subject.workload else { return Answer::pass() };
    let counts = workload.replicas;
    let of = |phase| u32::try_from(workload.pods.iter().filter(|pod| pod.phase == phase).count()).unwrap_or(u32::MAX);
    let (pending, starting, failed) = (of(PodPhase::Pending), of(PodPhase::Starting), of(PodPhase::Failed));
    let missing = counts.desired.saturating_sub(counts.ready);
    let only_waiting = case.scale_down().is_some_and(|change| missing == pending && change.from - change.to <= pending);
    if missing > 0 && !only_waiting {
        return Answer::refuse(format!(
            "{} of {} pods are ready ({pending} wait for a node, {starting} start, {failed} failed): nothing is taken away",
            counts.ready, counts.desired
        ))
        .comparing("pods ready", f64::from(counts.ready), f64::from(counts.desired));
    }
    let troubled = workload.pods.iter().find_map(|pod| {
        let node = pod.node.as_deref().filter(|node| case.world.troubled_nodes.contains(*node))?;
        (pod.phase == PodPhase::Ready).then_some(node)
    });
    match troubled {
        Some(node) => Answer::refuse(format!("node {node} is not ready or under pressure and runs pods of it: nothing is taken away")),
        None => Answer::pass(),
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::workload::PodPhase;
    use crate::guardrails::testing::{calm, check, replicas, resources};

    #[test]
    fn fault_g06_pods_that_are_not_ready_hold_a_scale_down() {
        let mut setup = calm();
        setup.workload().replicas.ready = 8;
        setup.workload().pods[0].phase = PodPhase::Starting;
        setup.workload().pods[1].phase = PodPhase::Failed;
        check(
            &setup,
            replicas(8),
            "Refuse\n\
            Unready Refuse: 8 of 10 pods are ready (0 wait for a node, 1 start, 1 failed): nothing is taken away",
        );
        check(&setup, replicas(12), "Admit 10 -> 12");
        check(
            &setup,
            resources("1", "600Mi", "2Gi"),
            "Admit resources of shop/deployments.apps/web container app: \
            cpu 1, memory 512Mi, memory limit 1Gi -> cpu 1, memory 600Mi, memory limit 2Gi",
        );
    }

    #[test]
    fn pods_that_wait_for_a_node_may_be_given_up() {
        let mut setup = calm();
        setup.workload().replicas.ready = 8;
        for pod in &mut setup.workload().pods[..2] {
            pod.phase = PodPhase::Pending;
            pod.node = None;
        }
        check(&setup, replicas(8), "Admit 10 -> 8");
        check(
            &setup,
            replicas(7),
            "Refuse\n\
            Unready Refuse: 8 of 10 pods are ready (2 wait for a node, 0 start, 0 failed): nothing is taken away",
        );
    }

    #[test]
    fn fault_g06_a_node_under_pressure_holds_a_scale_down() {
        let mut setup = calm();
        setup.snapshot.facts.nodes[0].ready = false;
        check(
            &setup,
            replicas(8),
            "Refuse\n\
            Unready Refuse: node n1 is not ready or under pressure and runs pods of it: nothing is taken away",
        );
    }
}
