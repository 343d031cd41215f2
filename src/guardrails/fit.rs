//! Fit: some node there is, or may be bought, takes the pods. Counted on the projected nodes; where the planner's packing says why pods fit
//! nowhere, its reason is passed on.

use super::rule::{Answer, Case};

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let (Some(change), Some(workload)) = (case.scale_up(), case.subject.workload) else { return Answer::pass() };
    let room = &case.projection.room;
    if !room.known() {
        return Answer::admit("no nodes are known: whether the pods fit was not checked".into());
    }
    let asked = change.to - change.from;
    let shape = &workload.template.shape;
    let fits = room.fits(shape, asked);
    let allowed = fits.existing.saturating_add(fits.bought);
    if allowed >= asked {
        return Answer::pass();
    }
    let largest = room.largest();
    let packing = case.world.plan.nodes.unschedulable.iter().find(|u| u.target == change.target);
    let why = format!(
        "a pod asks for cpu {} and memory {}, the freest nodes have cpu {} and memory {}, and no pool may buy more{}",
        shape.requests.cpu,
        shape.requests.memory,
        largest.cpu,
        largest.memory,
        packing.map_or(String::new(), |packing| format!(" ({})", packing.reason))
    );
    Answer::at_most(change, allowed, &why).comparing("replicas that fit", f64::from(asked), f64::from(allowed))
}

#[cfg(test)]
mod tests {
    use crate::domain::plan::Unschedulable;
    use crate::domain::proposal::Origin;
    use crate::domain::workload::{PodPhase, Taint};
    use crate::guardrails::judge;
    use crate::guardrails::testing::{Setup, calm, check, node, pool, proposal, replicas, replicas_of, said, web};

    fn with_cores(cores: u64) -> Setup {
        let mut setup = calm();
        setup.snapshot.facts.nodes = vec![node("n1", cores)];
        setup
    }

    #[test]
    fn fault_g08_what_fits_on_the_nodes_there_are_is_taken() {
        check(&with_cores(6), replicas(16), "Admit 10 -> 16");
        check(
            &with_cores(4),
            replicas(16),
            "Clamp 10 -> 14\n\
            Fit Clamp: 4 of 6 replicas may be added: a pod asks for cpu 1 and memory 512Mi, \
            the freest nodes have cpu 4 and memory 256Gi, and no pool may buy more",
        );
        let mut packed = with_cores(0);
        packed.plan.nodes.unschedulable.push(Unschedulable { target: web(), replicas: 6, reason: "no zone has m6i".into() });
        check(
            &packed,
            replicas(16),
            "Refuse\n\
            Fit Refuse: none of 6 replicas may be added: a pod asks for cpu 1 and memory 512Mi, \
            the freest nodes have cpu 0 and memory 256Gi, and no pool may buy more (no zone has m6i)",
        );
    }

    #[test]
    fn pools_buy_what_their_limits_allow() {
        let mut setup = with_cores(2);
        setup.snapshot.facts.node_pools = vec![pool(100)];
        check(&setup, replicas(16), "Admit 10 -> 16");
        setup.snapshot.facts.node_pools = vec![pool(4)];
        setup.snapshot.facts.node_pools[0].limits.as_mut().unwrap().cpu.0 = 4_500;
        check(
            &setup,
            replicas(20),
            "Clamp 10 -> 16\n\
            Fit Clamp: 6 of 10 replicas may be added: a pod asks for cpu 1 and memory 512Mi, \
            the freest nodes have cpu 2 and memory 256Gi, and no pool may buy more",
        );
        setup.snapshot.facts.node_pools[0].taints = vec![Taint { key: "gpu".into(), value: "".into(), effect: "NoSchedule".into() }];
        check(
            &setup,
            replicas(20),
            "Clamp 10 -> 12\n\
            Fit Clamp: 2 of 10 replicas may be added: a pod asks for cpu 1 and memory 512Mi, \
            the freest nodes have cpu 2 and memory 256Gi, and no pool may buy more",
        );
    }

    #[test]
    fn pods_that_wait_already_and_the_batch_before_take_their_room() {
        let mut setup = with_cores(8);
        setup.add("api");
        for pod in &mut setup.workload().pods[..2] {
            pod.phase = PodPhase::Pending;
            pod.node = None;
        }
        let batch = [proposal(1, Origin::Planner, replicas_of("api", 10, 15)), proposal(2, Origin::Planner, replicas(15))];
        let reviews = judge(&setup.snapshot, &setup.plan, &setup.commitments, &batch);
        assert_eq!(said(&reviews[0]), "Admit 10 -> 15");
        assert_eq!(
            said(&reviews[1]),
            "Clamp 10 -> 11\nFit Clamp: 1 of 5 replicas may be added: a pod asks for cpu 1 and memory 512Mi, \
             the freest nodes have cpu 1 and memory 258560Mi, and no pool may buy more"
        );
    }

    #[test]
    fn where_no_nodes_are_known_it_says_so() {
        let mut setup = calm();
        setup.snapshot.facts.nodes.clear();
        check(&setup, replicas(12), "Admit 10 -> 12\nFit Admit: no nodes are known: whether the pods fit was not checked");
    }
}
