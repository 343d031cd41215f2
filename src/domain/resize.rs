//! Resizing in place: how a change of resources reaches the pods, what each pod was given and answered, and what is not in the template yet.
//!
//! Kubernetes 1.33 and newer resize a running pod through its `resize` subresource: the API server stores the new requests and limits at once, and
//! the kubelet of the pod's node takes them, defers them (`PodResizePending`, reason `Deferred`: no room now) or never takes them (`Infeasible`:
//! more than the node can ever give). Neither the pod's quality-of-service class may change, nor may what is set be unset. Left out: how an API is
//! asked, and when which way is taken (`sizing`).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::workload::{Container, ContainerResources, Pod, PodPhase, Workload};

/// Pods that are resized at a time: a quarter of a target's, as many as a Deployment's roll-out replaces at a time by default, since a container
/// may say that it is restarted when it is resized.
const AT_A_TIME_SHARE: u32 = 4;
/// And no more than a write's time allows.
const AT_A_TIME_MOST: u32 = 32;

/// How a change of resources reaches the pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Through {
    /// The pod template: every pod is replaced.
    #[default]
    Template,
    /// The running pods, in place. New pods come from the template as it is, and are resized after they came.
    Pods,
}

/// What came of the last resize of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state")]
pub enum ResizeState {
    /// What it asks for is what it has, or nothing was ever asked.
    #[default]
    Settled,
    /// Asked for and accepted by the node, or not answered yet.
    InProgress,
    /// The node has no room for it now; the kubelet tries again by itself.
    Deferred {
        /// Since when, where it says so.
        since: Option<Timestamp>,
    },
    /// The node can never hold it.
    Infeasible,
    /// Its node's kubelet knows no resizing in place: the API server refuses to be asked.
    Unsupported,
}

/// What a pod's containers ask for, and what came of the last resize.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodSize {
    /// Requests and limits in the pod's own spec.
    pub containers: Vec<Container>,
    /// What came of the last resize.
    pub resize: ResizeState,
}

/// Sizes that running pods were given in place and that the pod template does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resized {
    /// The containers, with the requests and limits in force.
    pub containers: Vec<Container>,
    /// Since when the template differs.
    pub since: Timestamp,
}

/// A pod's quality-of-service class, by which the kernel and the kubelet choose whom to end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum QosClass {
    /// No container asks for anything.
    BestEffort,
    /// Something between.
    Burstable,
    /// Each container's requests are its limits, for CPU and memory.
    Guaranteed,
}

/// Where a target's running pods stand with a size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResizeTally {
    /// Have it.
    pub taken: u32,
    /// Were asked, and their nodes have not taken it yet.
    pub in_progress: u32,
    /// Their nodes have no room for it now.
    pub deferred: u32,
    /// Their nodes can never hold it.
    pub infeasible: u32,
    /// Cannot be resized in place.
    pub unsupported: u32,
    /// Have not been asked yet.
    pub to_ask: u32,
}

impl PodSize {
    /// Whether nothing is known of it.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

impl QosClass {
    /// The class of a pod with these containers, as the API server derives it: a limit without a request is a request, too.
    ///
    /// Init containers count for the real class and are not seen here. That errs to one side alone: a pod taken for another class than it has is
    /// not resized in place, and none is resized that would change its class.
    #[must_use]
    pub fn of<'a>(containers: impl IntoIterator<Item = &'a ContainerResources>) -> Self {
        let (mut any, mut all) = (false, true);
        for resources in containers {
            let ContainerResources { cpu_request, cpu_limit, memory_request, memory_limit } = resources.with_defaults();
            any |= cpu_request.is_some() || memory_request.is_some();
            all &= cpu_limit.is_some() && memory_limit.is_some() && cpu_request == cpu_limit && memory_request == memory_limit;
        }
        match (any, all) {
            (false, _) => Self::BestEffort,
            (true, false) => Self::Burstable,
            (true, true) => Self::Guaranteed,
        }
    }
}

impl fmt::Display for QosClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ResizeTally {
    /// Counts the running pods of a target by where they stand with `wanted` of one container.
    #[must_use]
    pub fn of<'a>(pods: impl IntoIterator<Item = &'a Pod>, container: &str, wanted: &ContainerResources) -> Self {
        let mut tally = Self::default();
        for pod in pods.into_iter().filter(|pod| pod.is_running()) {
            let place = match (pod.asks_for(container, wanted), pod.size.resize) {
                (true, ResizeState::Settled | ResizeState::Unsupported) => &mut tally.taken,
                (true, ResizeState::InProgress) => &mut tally.in_progress,
                (true, ResizeState::Deferred { .. }) => &mut tally.deferred,
                (true, ResizeState::Infeasible) => &mut tally.infeasible,
                (false, ResizeState::Unsupported) => &mut tally.unsupported,
                (false, _) => &mut tally.to_ask,
            };
            *place += 1;
        }
        tally
    }

    /// Running pods in all.
    #[must_use]
    pub fn pods(&self) -> u32 {
        let Self { taken, in_progress, deferred, infeasible, unsupported, to_ask } = *self;
        taken + in_progress + deferred + infeasible + unsupported + to_ask
    }

    /// How many more may be asked now, so that few are under way at a time.
    #[must_use]
    pub fn next(&self) -> u32 {
        let at_a_time = self.pods().div_ceil(AT_A_TIME_SHARE).clamp(1, AT_A_TIME_MOST);
        at_a_time.saturating_sub(self.in_progress).min(self.to_ask)
    }
}

impl fmt::Display for ResizeTally {
    /// `2 of 5 pods have it, 1 waits for room on its node (Deferred)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} pods have it", self.taken, self.pods())?;
        let parts = [
            (self.in_progress, "are being resized"),
            (self.deferred, "wait for room on their nodes (Deferred)"),
            (self.infeasible, "ask for more than their nodes can give (Infeasible)"),
            (self.unsupported, "run on nodes that cannot resize in place"),
            (self.to_ask, "follow"),
        ];
        parts.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}

impl ContainerResources {
    /// With a limit for each request that is missing, as the API server fills a pod in.
    #[must_use]
    pub fn with_defaults(&self) -> Self {
        Self { cpu_request: self.cpu_request.or(self.cpu_limit), memory_request: self.memory_request.or(self.memory_limit), ..*self }
    }

    /// Whether something that is set here is unset in `to`.
    #[must_use]
    pub fn unset_by(&self, to: &Self) -> bool {
        let unset = |from: bool, to: bool| from && !to;
        unset(self.cpu_request.is_some(), to.cpu_request.is_some())
            || unset(self.cpu_limit.is_some(), to.cpu_limit.is_some())
            || unset(self.memory_request.is_some(), to.memory_request.is_some())
            || unset(self.memory_limit.is_some(), to.memory_limit.is_some())
    }

    /// Whether everything that is set in `wanted` is so here; what a limit range or the API server filled in does not count.
    #[must_use]
    pub fn has(&self, wanted: &Self) -> bool {
        fn same<T: PartialEq + Copy>(have: Option<T>, want: Option<T>) -> bool {
            want.is_none() || have == want
        }
        same(self.cpu_request, wanted.cpu_request)
            && same(self.cpu_limit, wanted.cpu_limit)
            && same(self.memory_request, wanted.memory_request)
            && same(self.memory_limit, wanted.memory_limit)
    }
}

impl Pod {
    /// Whether it is bound to a node and stays there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.node.is_some() && matches!(self.phase, PodPhase::Starting | PodPhase::Ready)
    }

    /// Whether its spec asks for `wanted` in this container; a pod whose size is not known is taken to.
    #[must_use]
    pub fn asks_for(&self, container: &str, wanted: &ContainerResources) -> bool {
        self.size.containers.iter().find(|c| &*c.name == container).is_none_or(|c| c.resources.has(wanted))
    }
}

impl Workload {
    /// What the template says of a container.
    #[must_use]
    pub fn in_template(&self, container: &str) -> Option<&ContainerResources> {
        self.template.containers.iter().find(|c| &*c.name == container).map(|c| &c.resources)
    }

    /// A container with the resources in force: those that its running pods were given in place, or the template's.
    #[must_use]
    pub fn in_force(&self, container: &str) -> Option<&Container> {
        let resized = self.resized.iter().flat_map(|resized| &resized.containers);
        resized.chain(&self.template.containers).find(|c| &*c.name == container)
    }

    /// Where running pods stand with the resources in force of a container.
    #[must_use]
    pub fn resize_tally(&self, container: &str) -> ResizeTally {
        match self.in_force(container) {
            Some(in_force) => ResizeTally::of(&self.pods, container, &in_force.resources),
            None => ResizeTally::default(),
        }
    }

    /// The class of its pods with this container at `resources`, the others as they are in force.
    #[must_use]
    pub fn qos_with(&self, container: &str, resources: &ContainerResources) -> QosClass {
        let containers = self.template.containers.iter();
        QosClass::of(
            containers
                .map(|c| if &*c.name == container { resources } else { self.in_force(&c.name).map_or(&c.resources, |f| &f.resources) }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::{Bytes, Millicores};

    fn asks(cpu: u64, cpu_limit: Option<u64>, memory: u64, memory_limit: Option<u64>) -> ContainerResources {
        ContainerResources {
            cpu_request: Some(Millicores(cpu)),
            cpu_limit: cpu_limit.map(Millicores),
            memory_request: Some(Bytes(memory)),
            memory_limit: memory_limit.map(Bytes),
        }
    }

    fn pod(resources: ContainerResources, resize: ResizeState) -> Pod {
        Pod {
            name: "p".into(),
            node: Some("n".into()),
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

    #[test]
    fn a_class_is_derived_as_the_api_server_does() {
        let nothing = ContainerResources::default();
        let limits_alone = ContainerResources { cpu_limit: Some(Millicores(1)), memory_limit: Some(Bytes(1)), ..nothing };
        let cpu_alone = ContainerResources { cpu_request: Some(Millicores(1)), cpu_limit: Some(Millicores(1)), ..nothing };
        for (containers, class) in [
            (vec![nothing, nothing], QosClass::BestEffort),
            (vec![asks(1, Some(1), 1, Some(1)), limits_alone], QosClass::Guaranteed),
            (vec![asks(1, Some(1), 1, Some(1)), nothing], QosClass::Burstable),
            (vec![asks(1, Some(2), 1, Some(1))], QosClass::Burstable),
            (vec![cpu_alone], QosClass::Burstable),
        ] {
            assert_eq!(QosClass::of(&containers), class, "{containers:?}");
        }
    }

    #[test]
    fn running_pods_are_counted_by_where_they_stand() {
        let (old, new) = (asks(100, None, 1, None), asks(200, None, 1, None));
        let waiting = ResizeState::Deferred { since: None };
        let gone = Pod { phase: PodPhase::Terminating, ..pod(old, ResizeState::Settled) };
        let pods = [
            pod(new, ResizeState::Settled),
            pod(new, waiting),
            pod(new, ResizeState::Infeasible),
            pod(new, ResizeState::InProgress),
            pod(old, ResizeState::Settled),
            pod(old, ResizeState::Unsupported),
            // It waits for an earlier size; it may be asked for another.
            pod(old, waiting),
            gone,
        ];
        let tally = ResizeTally::of(&pods, "app", &new);
        let expected = ResizeTally { taken: 1, in_progress: 1, deferred: 1, infeasible: 1, unsupported: 1, to_ask: 2 };
        assert_eq!(tally, expected);
        assert_eq!(tally.next(), 1, "two of seven at a time, and one is under way");
        assert_eq!(
            tally.to_string(),
            "1 of 7 pods have it, 1 are being resized, 1 wait for room on their nodes (Deferred), \
            1 ask for more than their nodes can give (Infeasible), 1 run on nodes that cannot resize in place, 2 follow"
        );
    }

    #[test]
    fn few_are_resized_at_a_time_and_at_least_one() {
        let next = |to_ask, in_progress| ResizeTally { in_progress, to_ask, ..ResizeTally::default() }.next();
        assert_eq!((next(0, 0), next(1, 0), next(8, 0), next(1000, 0)), (0, 1, 2, 32));
        assert_eq!((next(6, 2), next(7, 1)), (0, 1));
    }

    #[test]
    fn what_the_server_filled_in_is_no_difference() {
        let wanted = ContainerResources { cpu_limit: Some(Millicores(500)), ..ContainerResources::default() };
        let filled = ContainerResources { cpu_request: Some(Millicores(500)), memory_request: Some(Bytes(7)), ..wanted };
        assert!(filled.has(&wanted) && !wanted.has(&filled));
        assert!(filled.unset_by(&wanted) && !wanted.unset_by(&filled));
    }
}
