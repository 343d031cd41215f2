//! One case under way: what the controller is about to see is put together, shown to both sides, and what each made of it is kept.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use ipa::hpa::{Decision, Hpa, MetricSpec, Observation, ObservedPod, PodState, Readiness, Sample};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::script::{Case, REQUEST_MILLI, Step, external_name};
use crate::testbed::READY_WITHIN;

/// The window that pod metrics claim, seconds.
const WINDOW_S: i64 = 1;
/// Between two looks at pods that do not stand still yet.
const PAUSE: Duration = Duration::from_millis(100);
/// As the Deployments of the cases ask for it.
const MEMORY_REQUEST: u64 = 16 << 20;

/// A case and its course.
pub struct Lane {
    client: Client,
    namespace: String,
    case: Case,
    course: tokio::sync::Mutex<Course>,
}

struct Course {
    hpa: Hpa,
    polls: usize,
    syncs: Vec<Sync>,
    answer: Vec<Value>,
}

/// One sync, seen from both sides.
#[derive(Clone, Debug)]
pub struct Sync {
    /// What metrics showed.
    step: Step,
    /// What was seen.
    seen: Observation,
    /// What the state machine decided.
    ours: Decision,
    /// What the controller did; known from the next sync on.
    pub theirs: Theirs,
}

/// What the controller made of a sync.
#[derive(Clone, Debug, Default)]
pub struct Theirs {
    replicas: Option<u32>,
    able: Option<String>,
    active: Option<String>,
    limited: Option<String>,
}

impl Theirs {
    /// The reasons of its conditions.
    pub fn reasons(&self) -> BTreeSet<String> {
        [&self.able, &self.active, &self.limited].into_iter().flatten().cloned().collect()
    }
}

impl Sync {
    /// Whether both decided alike, in number and reason. A condition that a sync does not touch may say anything.
    pub fn agrees(&self) -> bool {
        let same = |ours: Option<String>, theirs: &Option<String>| ours.is_none() || ours == *theirs;
        let written = |reason: &dyn std::fmt::Debug| format!("{reason:?}");
        self.theirs.replicas == Some(self.ours.desired)
            && same(Some(written(&self.ours.able)), &self.theirs.able)
            && same(self.ours.active.map(|reason| written(&reason)), &self.theirs.active)
            && same(self.ours.limited.map(|reason| written(&reason)), &self.theirs.limited)
    }

    /// The controller's answer, for a person.
    pub fn replicas(&self) -> String {
        self.theirs.replicas.map_or_else(|| "?".to_owned(), |replicas| replicas.to_string())
    }
}

impl std::fmt::Display for Sync {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { step, seen, ours, theirs } = self;
        write!(out, "{} of {} pods at {step:?}\n  ours {ours:?}\n  theirs {theirs:?}", seen.current, seen.desired)
    }
}

impl Lane {
    /// One that has not begun.
    pub fn new(client: Client, namespace: &str, case: Case) -> Self {
        let course = Course { hpa: Hpa::new(case.spec.clone()), polls: 0, syncs: vec![], answer: vec![] };
        Self { client, namespace: namespace.to_owned(), case, course: tokio::sync::Mutex::new(course) }
    }

    /// Where it is.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What the metrics API shows at this sync. The controller asks once for each metric; with the first question of a sync a new step begins.
    pub async fn answer(&self) -> Result<Vec<Value>> {
        let mut course = self.course.lock().await;
        let begins = course.polls.is_multiple_of(self.case.spec.metrics.len());
        course.polls += 1;
        if begins {
            self.step(&mut course).await.with_context(|| format!("failed to play {}", self.case.name))?;
        }
        Ok(course.answer.clone())
    }

    /// An error until each step has been shown and its consequence seen.
    pub async fn played(&self) -> Result<()> {
        let course = self.course.lock().await;
        let known = course.syncs.iter().filter(|sync| sync.theirs.replicas.is_some()).count();
        ensure!(known >= self.case.steps.len(), "{known} of {} syncs are", self.case.steps.len());
        Ok(())
    }

    /// What happened so far: one entry for each step.
    pub async fn syncs(&self) -> Vec<Sync> {
        self.course.lock().await.syncs.iter().take(self.case.steps.len()).cloned().collect()
    }

    async fn step(&self, course: &mut Course) -> Result<()> {
        // The controller has read the scale just now, before it asked.
        let scale = Api::<Deployment>::namespaced(self.client.clone(), &self.namespace).get_scale(self.case.name).await?;
        let count = |replicas: Option<i32>| u32::try_from(replicas.unwrap_or_default());
        let desired = count(scale.spec.and_then(|spec| spec.replicas))?;
        let current = count(scale.status.map(|status| status.replicas))?;
        if let Some(last) = course.syncs.last_mut() {
            last.theirs = self.theirs(desired).await?;
        }
        let step = self.case.steps.get(course.syncs.len()).or(self.case.steps.last()).copied().unwrap_or_default();
        let pods = self.settled(desired).await?;
        let samples: Vec<Option<i64>> = sample_times(&pods, step);
        let observed = pods.iter().zip(&samples).map(|(pod, at_s)| observed(pod, step, *at_s)).collect();
        let name = external_name(self.case.name);
        let external = step.external.map(|units| (name.clone().into(), i64::from(units) * 1000)).into_iter().collect();
        let seen = Observation { desired, current, pods: observed, external };
        course.answer = match self.case.spec.metrics[0] {
            MetricSpec::External { .. } => step.external.map(|units| external_value(&name, units)).into_iter().collect(),
            MetricSpec::Resource { .. } | MetricSpec::Pods { .. } => {
                pods.iter().zip(samples).filter_map(|(pod, at_s)| Some(pod_metrics(pod, step, at_s?))).collect()
            }
        };
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        let ours = course.hpa.sync(&seen, now_s);
        course.syncs.push(Sync { step, seen, ours, theirs: Theirs::default() });
        Ok(())
    }

    /// The pods, oldest first, once they are as many as wanted and each is where it will stay.
    async fn settled(&self, desired: u32) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let own = ListParams::default().labels(&format!("app={}", self.case.name));
        let ready = self.case.ready_of(desired) as usize;
        let start = Instant::now();
        loop {
            let mut pods = pods.list(&own).await?.items;
            let is_ready = pods.iter().filter(|pod| readiness(pod).is_some_and(|readiness| readiness.ready)).count();
            let ending = pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some());
            if pods.len() == desired as usize && is_ready == ready && !ending {
                pods.sort_by_key(|pod| (pod.creation_timestamp(), pod.name_any()));
                return Ok(pods);
            }
            ensure!(start.elapsed() < READY_WITHIN, "{} pods are there, {is_ready} ready, instead of {desired}, {ready}", pods.len());
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn theirs(&self, replicas: u32) -> Result<Theirs> {
        let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client.clone(), &self.namespace);
        let status = autoscalers.get(self.case.name).await?.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let reason =
            |kind: &str| conditions.iter().find(|condition| condition.type_ == kind).and_then(|condition| condition.reason.clone());
        Ok(Theirs {
            replicas: Some(replicas),
            able: reason("AbleToScale"),
            active: reason("ScalingActive"),
            limited: reason("ScalingLimited"),
        })
    }
}

/// The end of each pod's metric window, oldest pod first: a whole window after the pod became ready, less than one for those that are to be young,
/// none for those that are missing. A pod that is pending is shown as if it ran: the controller must leave it out by itself.
fn sample_times(pods: &[Pod], step: Step) -> Vec<Option<i64>> {
    let shown = pods.len().saturating_sub(step.missing);
    let grown = shown.saturating_sub(step.young);
    let time = |(index, pod): (usize, &Pod)| {
        let since_s = readiness(pod).map_or_else(|| Timestamp::now().as_second(), |readiness| readiness.since_s);
        (index < shown).then_some(if index < grown { since_s + WINDOW_S } else { since_s + WINDOW_S - 1 })
    };
    pods.iter().enumerate().map(time).collect()
}

fn observed(pod: &Pod, step: Step, sampled_at_s: Option<i64>) -> ObservedPod {
    let status = pod.status.as_ref();
    let state = match status.and_then(|status| status.phase.as_deref()) {
        Some("Running") => PodState::Running,
        Some("Failed") => PodState::Failed,
        _ => PodState::Pending,
    };
    let sample = |value_milli: u64| {
        let value_milli = i64::try_from(value_milli).unwrap_or(i64::MAX);
        sampled_at_s.map(|at_s| Sample { value_milli, at_s, window_s: WINDOW_S as f64 })
    };
    ObservedPod {
        state,
        ending: pod.metadata.deletion_timestamp.is_some(),
        started_s: status.and_then(|status| status.start_time.as_ref()).map(|time| time.0.as_second()),
        ready: readiness(pod),
        cpu_request_milli: Some(REQUEST_MILLI),
        memory_request_bytes: Some(MEMORY_REQUEST),
        cpu: sample(cpu_milli(step)),
        memory: step.memory_mib.and_then(|mib| sample(u64::from(mib) * 1024 * 1024 * 1000)),
        ..ObservedPod::default()
    }
}

fn cpu_milli(step: Step) -> u64 {
    REQUEST_MILLI * u64::from(step.cpu_percent) / 100
}

fn readiness(pod: &Pod) -> Option<Readiness> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    Some(Readiness { ready: ready.status == "True", since_s: ready.last_transition_time.as_ref()?.0.as_second() })
}

fn pod_metrics(pod: &Pod, step: Step, at_s: i64) -> Value {
    let mut usage = json!({"cpu": format!("{}m", cpu_milli(step))});
    if let Some(mib) = step.memory_mib {
        usage["memory"] = format!("{mib}Mi").into();
    }
    json!({
        "metadata": {"name": pod.name_any(), "namespace": pod.namespace(), "labels": pod.labels()},
        "timestamp": time(at_s),
        "window": format!("{WINDOW_S}s"),
        "containers": [{"name": "app", "usage": usage}],
    })
}

fn external_value(name: &str, units: u32) -> Value {
    json!({"metricName": name, "metricLabels": {}, "timestamp": time(Timestamp::now().as_second()), "value": units.to_string()})
}

fn time(at_s: i64) -> String {
    Timestamp::from_second(at_s).map(|time| time.to_string()).unwrap_or_default()
}
