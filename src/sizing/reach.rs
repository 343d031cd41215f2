//! How a size reaches the pods: in place where it can be, else through the pod template; and what is still to be done about a size in force.
//!
//! A change of the pod template replaces every pod; a resize in place replaces none, but new pods come from the template as it is. IPA has no
//! admission webhook that would size pods at birth (a webhook that fails stops deployments, and a right-sizer is not worth that), so:
//!
//! - A new size goes to the running pods in place, a few at a time, and is written down on the workload as *in force* (`ipa.dev/resized`). Nothing
//!   is evicted, so no disruption budget is touched.
//! - Pods that come from the older template are brought to the size in force by a later tick.
//! - The template follows rarely, with all containers' sizes in one write: at once where that restarts nothing (no replica runs); after a day where
//!   new pods would start with so much less than the size in force that they may not live until they are resized; after a week in any case, so that
//!   no size hangs on this program alone.
//! - Not with somebody else's roll-out: a template written into one would leave `kubectl rollout undo` leading back to the version that is just being
//!   given up.
//! - What cannot be done in place goes through the template: another quality-of-service class, something unset, a kubelet that cannot resize. A node
//!   that can never hold the size (`Infeasible`) falls back to the template, if another node could: new pods are scheduled anew. A node without room
//!   (`Deferred`) is waited for, an hour at most.
//!
//! Where somebody changes a container's resources in the template, that is the newer word: the size in force is void (the adapter drops it).

use jiff::{SignedDuration, Timestamp};

use crate::domain::plan::ResourcesPlan;
use crate::domain::resize::{ResizeState, Through};
use crate::domain::snapshot::ClusterFacts;
use crate::domain::workload::{Container, ContainerResources, Pod, ResourceList, Rollout, Workload};

/// How long a deferred resize is waited for: the room that a node lacks may come when a neighbour goes, and after an hour it rarely does.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);
/// How long a template may differ at all.
const OLDEST_DRIFT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long it may give new pods far too little: corrections come in rows, and ride together.
const OLDEST_SHORTAGE: SignedDuration = SignedDuration::from_hours(24);
/// Share of the size in force below which a template gives far too little.
const SHORTAGE: f64 = 2.0 / 3.0;

/// How `to` reaches the pods of a container.
#[must_use]
pub fn reach(workload: &Workload, container: &Container, to: &ContainerResources, facts: &ClusterFacts) -> Through {
    let in_place = facts.resizes_in_place
        && workload.pods.iter().any(Pod::is_running)
        && !container.resources.unset_by(to)
        && workload.qos_with(&container.name, &container.resources) == workload.qos_with(&container.name, to)
        && !workload.pods.iter().any(|pod| pod.is_running() && pod.size.resize == ResizeState::Unsupported);
    if in_place { Through::Pods } else { Through::Template }
}

/// What is still to be done about a size in force: pods that do not have it yet, or a template that is to follow. `None` when nothing is, or when
/// it waits.
#[must_use]
pub fn carry_on(workload: &Workload, container: &Container, facts: &ClusterFacts, now: Timestamp) -> Option<ResourcesPlan> {
    let resized = workload.resized.as_ref().filter(|resized| resized.containers.iter().any(|c| c.name == container.name))?;
    let drift = now.duration_since(resized.since);
    let through = if workload.rollout == Rollout::Complete && template_follows(workload, container, facts, now, drift) {
        Through::Template
    } else if facts.resizes_in_place && workload.resize_tally(&container.name).next() > 0 {
        Through::Pods
    } else {
        return None;
    };
    Some(ResourcesPlan {
        container: container.name.clone(),
        from: container.resources,
        to: container.resources,
        through,
        cpu_p95: None,
        memory_max: None,
        oom_kills: 0,
        throttled: None,
    })
}

fn template_follows(workload: &Workload, container: &Container, facts: &ClusterFacts, now: Timestamp, drift: SignedDuration) -> bool {
    let tally = workload.resize_tally(&container.name);
    let waits_for_long = || {
        let given_up = |state| matches!(state, ResizeState::Deferred { since: Some(since) } if now.duration_since(since) >= PATIENCE);
        workload.pods.iter().any(|pod| pod.is_running() && given_up(pod.size.resize))
    };
    let template = workload.in_template(&container.name).copied().unwrap_or_default();
    !facts.resizes_in_place
        || tally.pods() == 0 && workload.replicas.desired == 0
        || tally.unsupported > 0
        || (tally.infeasible > 0 || waits_for_long()) && fits_elsewhere(workload, container, facts)
        || drift >= OLDEST_DRIFT
        || drift >= OLDEST_SHORTAGE && falls_short(&template, &container.resources)
}

/// Whether new pods of this size have a chance: a node whose whole room holds one, or a pool that may buy another.
fn fits_elsewhere(workload: &Workload, container: &Container, facts: &ClusterFacts) -> bool {
    let template = workload.in_template(&container.name).copied().unwrap_or_default();
    let mut each = workload.template.shape.requests.minus(&amounts(&template));
    each.add(&amounts(&container.resources), 1);
    !facts.node_pools.is_empty() || facts.nodes.iter().any(|node| node.usable() && each.fits(&node.allocatable))
}

fn amounts(resources: &ContainerResources) -> ResourceList {
    let asked = resources.with_defaults();
    ResourceList { cpu: asked.cpu_request.unwrap_or_default(), memory: asked.memory_request.unwrap_or_default(), ..ResourceList::default() }
}

fn falls_short(template: &ContainerResources, in_force: &ContainerResources) -> bool {
    let short = |has: Option<u64>, needs: Option<u64>| match (has, needs) {
        (Some(has), Some(needs)) => (has as f64) < SHORTAGE * needs as f64,
        _ => false,
    };
    short(template.cpu_request.map(|v| v.0), in_force.cpu_request.map(|v| v.0))
        || short(template.cpu_limit.map(|v| v.0), in_force.cpu_limit.map(|v| v.0))
        || short(template.memory_request.map(|v| v.0), in_force.memory_request.map(|v| v.0))
        || short(template.memory_limit.map(|v| v.0), in_force.memory_limit.map(|v| v.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::Node;
    use crate::domain::resize::{PodSize, Resized};
    use crate::domain::units::{Bytes, Millicores};
    use crate::domain::workload::PodPhase;
    use crate::forecast::world;

    const MIB: u64 = Bytes::MIB;

    fn asks(cpu: u64, memory: u64) -> ContainerResources {
        ContainerResources {
            cpu_request: Some(Millicores(cpu)),
            cpu_limit: None,
            memory_request: Some(Bytes(memory * MIB)),
            memory_limit: Some(Bytes(2 * memory * MIB)),
        }
    }

    fn pod(resources: ContainerResources, resize: ResizeState) -> Pod {
        Pod {
            name: "p".into(),
            node: Some("n1".into()),
            phase: PodPhase::Ready,
            created: None,
            scheduled: None,
            ready_since: None,
            restarts: 0,
            oom_killed: false,
            current_template: true,
            size: PodSize { containers: vec![Container { name: "app".into(), resources }], resize },
        }
    }

    fn facts() -> ClusterFacts {
        ClusterFacts { resizes_in_place: true, ..ClusterFacts::default() }
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(hours * 3600).unwrap()
    }

    /// A workload whose template asks for `template`, with `in_force` since hour 0.
    fn workload(template: ContainerResources, in_force: Option<ContainerResources>, pods: Vec<Pod>) -> Workload {
        let mut workload = world::workload("web", 4);
        let app = |resources| Container { name: "app".into(), resources };
        workload.template.containers = vec![app(template)];
        workload.template.shape.requests = amounts(&template);
        workload.resized = in_force.map(|resources| Resized { containers: vec![app(resources)], since: at(0) });
        workload.pods = pods;
        workload
    }

    fn reached(from: ContainerResources, to: &ContainerResources, pods: Vec<Pod>, facts: &ClusterFacts) -> Through {
        let workload = workload(from, None, pods);
        reach(&workload, workload.container(Some("app")).unwrap(), to, facts)
    }

    fn carried_on(workload: &Workload, facts: &ClusterFacts, hours: i64) -> Option<Through> {
        carry_on(workload, workload.container(Some("app")).unwrap(), facts, at(hours)).map(|plan| plan.through)
    }

    #[test]
    fn a_new_size_goes_in_place_where_it_can_and_through_the_template_where_it_cannot() {
        let (old, new) = (asks(500, 256), asks(300, 300));
        let running = || vec![pod(old, ResizeState::Settled)];
        assert_eq!(reached(old, &new, running(), &facts()), Through::Pods);
        assert_eq!(reached(old, &new, running(), &ClusterFacts::default()), Through::Template, "the API server has no pods/resize");
        assert_eq!(reached(old, &new, vec![], &facts()), Through::Template, "nothing runs");
        assert_eq!(reached(old, &new, vec![pod(old, ResizeState::Unsupported)], &facts()), Through::Template);
        let unlimited = ContainerResources { memory_limit: None, ..new };
        assert_eq!(reached(old, &unlimited, running(), &facts()), Through::Template, "a limit cannot be taken away in place");
        let guaranteed = ContainerResources { cpu_limit: new.cpu_request, memory_limit: new.memory_request, ..new };
        assert_eq!(reached(old, &guaranteed, running(), &facts()), Through::Template, "Burstable would become Guaranteed");
        let nothing = ContainerResources::default();
        assert_eq!(reached(nothing, &new, vec![pod(nothing, ResizeState::Settled)], &facts()), Through::Template, "BestEffort has no size");
    }

    #[test]
    fn new_pods_are_brought_to_the_size_in_force_and_then_nothing_is_left_to_do() {
        let (old, new) = (asks(500, 256), asks(450, 256));
        let arrived = workload(old, Some(new), vec![pod(new, ResizeState::Settled), pod(old, ResizeState::Settled)]);
        assert_eq!(carried_on(&arrived, &facts(), 1), Some(Through::Pods));
        let settled = workload(old, Some(new), vec![pod(new, ResizeState::Settled); 2]);
        assert_eq!(carried_on(&settled, &facts(), 1), None);
        let never = workload(old, None, vec![pod(old, ResizeState::Settled)]);
        assert_eq!(carried_on(&never, &facts(), 10_000), None);
    }

    #[test]
    fn a_deferred_resize_is_waited_for_an_hour() {
        let (old, new) = (asks(500, 256), asks(900, 256));
        let since = Some(at(10));
        let mut waiting = workload(old, Some(new), vec![pod(new, ResizeState::Deferred { since })]);
        let roomy = ClusterFacts { nodes: vec![node(2000)], ..facts() };
        assert_eq!(carried_on(&waiting, &roomy, 10), None);
        assert_eq!(carried_on(&waiting, &roomy, 11), Some(Through::Template));
        assert_eq!(carried_on(&waiting, &facts(), 11), None, "no node holds it: replaced pods would wait as well");
        waiting.rollout = Rollout::Progressing;
        assert_eq!(carried_on(&waiting, &roomy, 11), None, "not into somebody's roll-out");
    }

    #[test]
    fn an_infeasible_resize_falls_back_to_the_template_where_another_node_could_hold_it() {
        let (old, new) = (asks(500, 256), asks(3000, 256));
        let stuck = workload(old, Some(new), vec![pod(new, ResizeState::Infeasible)]);
        for (cpu, expected) in [(2000, None), (4000, Some(Through::Template))] {
            let facts = ClusterFacts { nodes: vec![node(cpu)], ..facts() };
            assert_eq!(carried_on(&stuck, &facts, 1), expected, "{cpu}");
        }
    }

    #[test]
    fn the_template_follows_rarely() {
        let settled = |old, new| workload(old, Some(new), vec![pod(new, ResizeState::Settled)]);
        let smaller = settled(asks(1000, 512), asks(300, 200));
        assert_eq!((carried_on(&smaller, &facts(), 167), carried_on(&smaller, &facts(), 168)), (None, Some(Through::Template)));
        let far_larger = settled(asks(300, 512), asks(500, 512));
        assert_eq!((carried_on(&far_larger, &facts(), 23), carried_on(&far_larger, &facts(), 24)), (None, Some(Through::Template)));
        let little_larger = settled(asks(400, 512), asks(500, 512));
        assert_eq!(carried_on(&little_larger, &facts(), 24), None);
        let mut nothing_runs = workload(asks(1000, 512), Some(asks(300, 200)), vec![]);
        assert_eq!(carried_on(&nothing_runs, &facts(), 1), None, "its pods are about to come");
        nothing_runs.replicas.desired = 0;
        assert_eq!(carried_on(&nothing_runs, &facts(), 1), Some(Through::Template), "no pod restarts for it");
        assert_eq!(carried_on(&smaller, &ClusterFacts::default(), 1), Some(Through::Template), "the API server can no more");
    }

    fn node(cpu: u64) -> Node {
        Node {
            name: "n2".into(),
            labels: std::collections::BTreeMap::new(),
            taints: Vec::new(),
            allocatable: ResourceList { cpu: Millicores(cpu), memory: Bytes(1 << 40), pods: 10, ..ResourceList::default() },
            requested: ResourceList::default(),
            ready: true,
            unschedulable: false,
            created: None,
            ready_since: None,
            pool: None,
            price_per_hour: None,
        }
    }
}
