//! Pods of a simulated workload: pending, starting, ready, terminating; made and ended as a Deployment's controller does.

use std::sync::Arc;

use super::events::EventLog;
use super::workload::SimWorkload;
use crate::domain::resize::ResizeState;
use crate::domain::snapshot::EventReason;
use crate::domain::workload::{ContainerResources, PodPhase, ResourceList};
use crate::service::{SplitMix, StartUp, mix};

/// One simulated pod.
#[derive(Debug)]
pub(super) struct SimPod {
    pub(super) name: Arc<str>,
    pub(super) number: u64,
    /// Number of the node it is bound to.
    pub(super) node: Option<u64>,
    pub(super) phase: PodPhase,
    pub(super) created: i64,
    pub(super) scheduled: Option<i64>,
    pub(super) ready_since: Option<i64>,
    pub(super) container_started: i64,
    /// When it changes by itself.
    pub(super) due: Option<i64>,
    pub(super) restarts: u32,
    pub(super) oom_killed: bool,
    pub(super) revision: u32,
    /// Share of the declared capacity that its template serves.
    pub(super) speed: f64,
    pub(super) resources: ContainerResources,
    /// What it was asked to take in place and has not taken.
    pub(super) resize: Option<(ContainerResources, ResizeState)>,
    /// Working set at the last scrape, bytes.
    pub(super) memory: Option<f64>,
    /// Whether an event said that it has no place.
    pub(super) place_missed: bool,
}

impl SimPod {
    pub(super) fn is_ready(&self) -> bool {
        self.phase == PodPhase::Ready
    }

    pub(super) fn is_ending(&self) -> bool {
        self.phase == PodPhase::Terminating
    }

    /// What the scheduler counts.
    pub(super) fn requests(&self) -> ResourceList {
        ResourceList {
            cpu: self.resources.cpu_request.unwrap_or_default(),
            memory: self.resources.memory_request.unwrap_or_default(),
            pods: 1,
            ..ResourceList::default()
        }
    }

    /// Bound to a node: it starts.
    pub(super) fn bind(&mut self, node: u64, now: i64, startup: &StartUp, seed: u64) {
        self.node = Some(node);
        self.scheduled = Some(now);
        self.start(now, startup, seed);
    }

    /// Its container is gone, and starts anew.
    pub(super) fn crash(&mut self, now: i64, startup: &StartUp, seed: u64) {
        self.restarts += 1;
        self.start(now, startup, seed);
    }

    /// Each start of each pod takes a time of its own.
    fn start(&mut self, now: i64, startup: &StartUp, seed: u64) {
        let took = startup.draw(&mut SplitMix::of(seed ^ self.number, u64::from(self.restarts)));
        self.phase = PodPhase::Starting;
        self.ready_since = None;
        self.container_started = now;
        self.due = Some(now + took.round() as i64);
    }

    /// Takes no new work any more, and is gone once what it holds is done.
    fn end(&mut self, now: i64, holds_s: i64) {
        self.due = Some(now + if self.is_ready() { holds_s } else { 0 });
        self.phase = PodPhase::Terminating;
        self.ready_since = None;
    }
}

impl SimWorkload {
    /// The pods of the start, not bound yet; how long each has run is spread evenly below the oldest's.
    pub(super) fn first_pods(&mut self, start: i64) -> Vec<SimPod> {
        let (count, oldest) = (i64::from(self.spec.replicas), i64::from(self.spec.oldest_pod_s));
        (0..count).map(|index| self.make_pod(start - oldest * (count - index) / count.max(1))).collect()
    }

    fn make_pod(&mut self, now: i64) -> SimPod {
        self.pods_made += 1;
        let number = self.pods_made;
        SimPod {
            name: format!("{}-{:08x}", self.spec.key.name, mix(self.seed ^ number) >> 32).into(),
            number,
            node: None,
            phase: PodPhase::Pending,
            created: now,
            scheduled: None,
            ready_since: None,
            container_started: now,
            due: None,
            restarts: 0,
            oom_killed: false,
            revision: self.revision,
            speed: self.speed,
            resources: self.resources,
            resize: None,
            memory: None,
            place_missed: false,
        }
    }

    /// Starting pods whose time has come are ready.
    pub(super) fn ready_pods(&mut self, now: i64) {
        for pod in self.pods.iter_mut().filter(|pod| pod.phase == PodPhase::Starting && pod.due.is_some_and(|due| due <= now)) {
            pod.due = None;
            pod.phase = PodPhase::Ready;
            pod.ready_since = Some(now);
        }
    }

    /// Takes away the pods that have ended; tells what each leaves free on its node.
    pub(super) fn take_ended(&mut self, now: i64, mut freed: impl FnMut(u64, &ResourceList)) {
        self.pods.retain(|pod| {
            let gone = pod.is_ending() && pod.due.is_none_or(|due| due <= now);
            if let (true, Some(node)) = (gone, pod.node) {
                freed(node, &pod.requests());
            }
            !gone
        });
    }

    /// The pods on these nodes are lost with them.
    pub(super) fn evict(&mut self, now: i64, nodes: &[u64], events: &mut EventLog) {
        let before = self.pods.iter().filter(|pod| !pod.is_ending()).count();
        self.pods.retain(|pod| pod.node.is_none_or(|node| !nodes.contains(&node)));
        let lost = before - self.pods.iter().filter(|pod| !pod.is_ending()).count();
        for _ in 0..lost {
            self.count.evicted();
            events.note(now, &self.spec.key, "Pod", EventReason::Evicted);
        }
    }

    /// Brings pods nearer to what is asked for: as many as `desired`, all of the present template. A rollout keeps three quarters ready and goes a
    /// quarter beyond, as Deployments do by default.
    pub(super) fn reconcile(&mut self, now: i64, events: &mut EventLog) {
        let (surge, unavailable) = if self.rolling() { (self.desired.div_ceil(4), self.desired / 4) } else { (0, 0) };
        let alive = self.pods.iter().filter(|pod| !pod.is_ending()).count() as u32;
        let of_template = self.pods.iter().filter(|pod| !pod.is_ending() && pod.revision == self.revision).count() as u32;
        let new = (self.desired + surge).saturating_sub(alive).min(self.desired.saturating_sub(of_template));
        for _ in 0..new {
            let pod = self.make_pod(now);
            self.pods.push(pod);
            self.count.launched(now);
        }
        let removed = self.end_surplus(now, self.desired + surge);
        if removed > 0 {
            self.count.removed(now);
        }
        let replaced = self.end_outdated(now, self.desired - unavailable);
        if new + removed + replaced > 0 {
            events.note(now, &self.spec.key, "Deployment", EventReason::ScalingReplicaSet);
        }
    }

    /// Whether pods of an older template are left.
    pub(super) fn rolling(&self) -> bool {
        self.pods.iter().any(|pod| !pod.is_ending() && pod.revision != self.revision)
    }

    /// Ends pods beyond `most`: those without a node first, then those not ready, then the youngest.
    fn end_surplus(&mut self, now: i64, most: u32) -> u32 {
        let alive = self.pods.iter().filter(|pod| !pod.is_ending()).count();
        let surplus = alive.saturating_sub(most as usize);
        if surplus == 0 {
            return 0;
        }
        let mut order: Vec<usize> = (0..self.pods.len()).filter(|index| !self.pods[*index].is_ending()).collect();
        order.sort_by_key(|index| {
            let pod = &self.pods[*index];
            (pod.phase, std::cmp::Reverse(pod.created), std::cmp::Reverse(pod.number))
        });
        let holds_s = self.holds_s();
        for index in order.into_iter().take(surplus) {
            self.pods[index].end(now, holds_s);
        }
        surplus as u32
    }

    /// Ends pods of older templates as long as `least` pods stay ready; those that are not ready go at once.
    fn end_outdated(&mut self, now: i64, least: u32) -> u32 {
        let (revision, holds_s) = (self.revision, self.holds_s());
        let mut spare = (self.pods.iter().filter(|pod| pod.is_ready()).count() as u32).saturating_sub(least);
        let mut ended = 0;
        for pod in self.pods.iter_mut().filter(|pod| !pod.is_ending() && pod.revision != revision) {
            if pod.is_ready() {
                if spare == 0 {
                    continue;
                }
                spare -= 1;
            }
            pod.end(now, holds_s);
            ended += 1;
        }
        ended
    }

    /// Seconds until what a pod has begun is done.
    fn holds_s(&self) -> i64 {
        self.service.base_latency_s.ceil() as i64
    }
}
