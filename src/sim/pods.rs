//! Pods of a simulated workload: pending, starting, ready, terminating; made and ended as a Deployment's controller does.

use std::sync::Arc;

use super::demand::mix;
use super::events::EventLog;
use super::workload::SimWorkload;
use crate::domain::snapshot::EventReason;
use crate::domain::workload::{ContainerResources, PodPhase, ResourceList};

/// Seconds a pod that is ended takes beyond what it works on.
const GRACE_S: i64 = 5;

/// One simulated pod.
#[derive(Debug)]
pub(super) struct SimPod {
    pub(super) name: Arc<str>,
    pub(super) number: u64,
    pub(super) node: Option<Arc<str>>,
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
    pub(super) resources: ContainerResources,
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

    /// Bound to a node: it starts. Start-up times differ by a tenth at most.
    pub(super) fn bind(&mut self, node: &Arc<str>, now: i64, startup_s: i64, seed: u64) {
        let share = mix(seed ^ self.number) as f64 / u64::MAX as f64;
        self.node = Some(node.clone());
        self.phase = PodPhase::Starting;
        self.scheduled = Some(now);
        self.container_started = now;
        self.due = Some(now + (startup_s as f64 * (0.9 + 0.2 * share)).round() as i64);
    }

    /// Its container is killed for memory and starts anew.
    pub(super) fn kill_for_memory(&mut self, now: i64, startup_s: i64) {
        self.restarts += 1;
        self.oom_killed = true;
        self.phase = PodPhase::Starting;
        self.ready_since = None;
        self.container_started = now;
        self.due = Some(now + startup_s);
    }

    fn end(&mut self, now: i64, grace_s: i64) {
        self.due = Some(now + if self.node.is_some() { grace_s } else { 0 });
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
            resources: self.resources,
            place_missed: false,
        }
    }

    /// What was due happens: starting pods become ready, ending ones are gone. Gives what the gone ones leave free on their nodes.
    pub(super) fn end_and_ready_pods(&mut self, now: i64) -> Vec<(Arc<str>, ResourceList)> {
        let mut freed = Vec::new();
        for pod in self.pods.iter_mut().filter(|pod| pod.due.is_some_and(|due| due <= now)) {
            pod.due = None;
            if pod.phase == PodPhase::Starting {
                pod.phase = PodPhase::Ready;
                pod.ready_since = Some(now);
            } else if let Some(node) = &pod.node {
                freed.push((node.clone(), pod.requests()));
            }
        }
        self.pods.retain(|pod| !(pod.is_ending() && pod.due.is_none()));
        freed
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
        }
        let mut ended = self.end_surplus(now, self.desired + surge);
        ended += self.end_outdated(now, self.desired - unavailable);
        if new + ended > 0 {
            events.note(now, &self.spec.key, "Deployment", EventReason::ScalingReplicaSet);
        }
    }

    /// Whether pods of an older template are left.
    pub(super) fn rolling(&self) -> bool {
        self.pods.iter().any(|pod| !pod.is_ending() && pod.revision != self.revision)
    }

    /// Ends pods beyond `most`: those without a node first, then those not ready, then the youngest.
    fn end_surplus(&mut self, now: i64, most: u32) -> u32 {
        let mut alive: Vec<usize> = (0..self.pods.len()).filter(|index| !self.pods[*index].is_ending()).collect();
        let surplus = alive.len().saturating_sub(most as usize);
        alive.sort_by_key(|index| {
            let pod = &self.pods[*index];
            (pod.phase, std::cmp::Reverse(pod.created), std::cmp::Reverse(pod.number))
        });
        let grace_s = self.grace_s();
        for index in alive.into_iter().take(surplus) {
            self.pods[index].end(now, grace_s);
        }
        surplus as u32
    }

    /// Ends pods of older templates as long as `least` pods stay ready; those that are not ready go at once.
    fn end_outdated(&mut self, now: i64, least: u32) -> u32 {
        let (revision, grace_s) = (self.revision, self.grace_s());
        let mut spare = (self.pods.iter().filter(|pod| pod.is_ready()).count() as u32).saturating_sub(least);
        let mut ended = 0;
        for pod in self.pods.iter_mut().filter(|pod| !pod.is_ending() && pod.revision != revision) {
            if pod.is_ready() {
                if spare == 0 {
                    continue;
                }
                spare -= 1;
            }
            pod.end(now, grace_s);
            ended += 1;
        }
        ended
    }

    fn grace_s(&self) -> i64 {
        GRACE_S + self.spec.service.base_latency_s.ceil() as i64
    }
}
