//! Requests and limits of one container in place, through the `resize` subresource of a target's running pods.
//!
//! Four steps, so that a refusal leaves nothing half done and a process that ends amid them leaves what the next tick carries on: one pod is asked in
//! rehearsal; the size is written down on the workload as in force; pods are asked, few at a time; and their nodes are given a moment to answer.
//! Nothing is evicted. A pod is named by UID, not by version: its status moves all the time, and nobody else sizes it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod as ApiPod;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::{DynamicObject, Selector};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::answer::{classify, shortened};
use super::resources::{Look, look, template_of, to_keep};
use super::world::World;
use super::{Known, KubeActuator, Try, Write};
use crate::adapters::kube::meta::{self, ANNOTATION_PREFIX};
use crate::adapters::kube::pods::LeanPod;
use crate::adapters::kube::resized::{self, RESIZED, requirements};
use crate::domain::outcome::OutcomeResult;
use crate::domain::proposal::ResourcesChange;
use crate::domain::resize::{ResizeTally, Resized};
use crate::domain::workload::{Container, Pod};
use crate::guardrails::ownership::ACTUATOR;

/// How long nodes are given to answer: a kubelet looks at a changed pod at once, and what it has not said then shows in the next tick.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Resizes a target's running pods.
pub struct Writer<'a> {
    actuator: &'a KubeActuator,
    change: &'a ResourcesChange,
    known: Known,
    now: Timestamp,
}

impl<'a> Writer<'a> {
    /// A writer of `change`.
    pub fn new(actuator: &'a KubeActuator, change: &'a ResourcesChange, now: Timestamp) -> Self {
        Self { actuator, change, known: actuator.lookout.known(&change.target), now }
    }

    async fn write(&self) -> Result<OutcomeResult, Try> {
        let ResourcesChange { target, uid, container, from, to, through: _ } = self.change;
        let seen = look(self.actuator, target).await?;
        seen.world.check(target, uid, &self.known)?;
        match seen.in_force(container) {
            None => return changed(format!("{target} has no container {container} any more")),
            // The size is in force: an earlier answer was lost, or pods are left to ask.
            Some(present) if present == *to => {}
            Some(present) if present != *from => return changed(format!("the resources of container {container} of {target} changed")),
            Some(_) => {}
        }
        let pods = self.pods(&seen.world).await?;
        let tally = ResizeTally::of(&pods, container, to);
        let mut left = pods.iter().filter(|pod| pod.is_running() && !pod.asks_for(container, to)).take(tally.next() as usize);
        let Some(first) = left.next() else {
            return Ok(OutcomeResult::Resized { pods: tally });
        };
        self.ask(first, true).await?;
        if seen.in_force(container).as_ref() != Some(to) {
            self.put_in_force(&seen).await?;
        }
        let mut refused = None;
        let mut asked = 0;
        for pod in std::iter::once(first).chain(left) {
            match self.ask(pod, false).await {
                Ok(()) => asked += 1,
                // It ended meanwhile.
                Err(Try::Done(OutcomeResult::Gone)) => {}
                Err(other) => refused = Some(other),
            }
        }
        match refused {
            Some(refused) if asked == 0 => Err(refused),
            _ => Ok(OutcomeResult::Resized { pods: self.answers(&seen.world, &pods).await }),
        }
    }

    /// Writes the size down as in force. What the manager owns in the template is named again, or the API server would take it away.
    async fn put_in_force(&self, seen: &Look) -> Result<(), Try> {
        let ResourcesChange { target, uid, container, to, .. } = self.change;
        let template = template_of(&seen.world.object);
        let before = seen.resized();
        let since = before.as_ref().map_or(self.now, |resized| resized.since);
        let mut containers = before.map_or_else(Vec::new, |resized| resized.containers);
        containers.retain(|c| c.name != *container);
        containers.push(Container { name: container.clone(), resources: *to });
        let mut body = json!({
            "apiVersion": "apps/v1",
            "kind": seen.kind,
            "metadata": {"name": &*target.name, "namespace": &*target.namespace, "uid": &**uid, "resourceVersion": seen.world.resource_version},
        });
        if let Some(text) = resized::write(&Resized { containers, since }, &template) {
            body["metadata"]["annotations"] = json!({format!("{ANNOTATION_PREFIX}{RESIZED}"): text});
        }
        let keep: Vec<Value> = template
            .iter()
            .filter(|c| to_keep(&seen.world, &c.name))
            .map(|c| json!({"name": &*c.name, "resources": requirements(&c.resources)}))
            .collect();
        if !keep.is_empty() {
            body["spec"] = json!({"template": {"spec": {"containers": keep}}});
        }
        seen.api.patch(&target.name, &PatchParams::apply(ACTUATOR), &Patch::Apply(&body)).await.map_err(|e| classify(&e))?;
        Ok(())
    }

    /// Asks one pod.
    async fn ask(&self, pod: &Pod, rehearse: bool) -> Result<(), Try> {
        let api = Api::<ApiPod>::namespaced(self.actuator.client.clone(), &self.change.target.namespace);
        let params = PatchParams { dry_run: rehearse, field_manager: Some(ACTUATOR.to_owned()), ..PatchParams::default() };
        let body = json!({"spec": {"containers": [{"name": &*self.change.container, "resources": requirements(&self.change.to)}]}});
        let answer = api.patch_subresource("resize", &pod.name, &params, &Patch::Strategic(&body)).await;
        answer.map(|_| ()).map_err(|error| match classify(&error) {
            Try::Done(OutcomeResult::Denied { detail }) => {
                Try::Done(OutcomeResult::Denied { detail: shortened(&format!("pod {} cannot be resized in place: {detail}", pod.name)) })
            }
            other => other,
        })
    }

    /// Where pods stand once their nodes have answered, or the moment is over.
    async fn answers(&self, world: &World, before: &[Pod]) -> ResizeTally {
        let until = Instant::now() + ANSWER_WITHIN;
        let mut last = ResizeTally::of(before, &self.change.container, &self.change.to);
        loop {
            if let Ok(pods) = self.pods(world).await {
                last = ResizeTally::of(&pods, &self.change.container, &self.change.to);
                if last.in_progress == 0 {
                    return last;
                }
            }
            if Instant::now() + LOOK_EVERY > until {
                return last;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The target's pods, read anew: those its selector finds and its own controller owns, by name.
    async fn pods(&self, world: &World) -> Result<Vec<Pod>, Try> {
        let target = &self.change.target;
        let unread = |error: &kube::Error| match classify(error) {
            Try::Lost(detail) | Try::Again(detail) => {
                Try::Done(OutcomeResult::Unknown { detail: format!("failed to read the pods of {target}: {detail}") })
            }
            done @ Try::Done(_) => done,
        };
        let Some(selector) = selector_of(&world.object) else {
            return Err(Try::Done(OutcomeResult::Denied { detail: format!("{target} has no selector that finds its pods") }));
        };
        let listing = ListParams::default().labels_from(&selector);
        let mut owners = vec![world.uid.to_string()];
        let sets = Api::<ReplicaSet>::namespaced(self.actuator.client.clone(), &target.namespace);
        for set in sets.list(&listing).await.map_err(|e| unread(&e))? {
            let owned = meta::controller(&set.metadata).is_some_and(|owner| *owner.uid == *world.uid);
            owners.extend(set.uid().filter(|_| owned));
        }
        let api = Api::<ApiPod>::namespaced(self.actuator.client.clone(), &target.namespace);
        let found = api.list(&listing).await.map_err(|e| unread(&e))?;
        let lean = found.items.iter().filter_map(LeanPod::from_pod);
        let mut pods: Vec<Pod> = lean
            .filter(|pod| pod.owner.as_ref().is_some_and(|owner| owners.iter().any(|uid| **uid == *owner.uid)))
            .map(|pod| pod.pod)
            .collect();
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(pods)
    }
}

impl Write for Writer<'_> {
    async fn attempt(&self) -> Try {
        self.write().await.map_or_else(|other| other, Try::Done)
    }

    /// The size is in force: pods that were not asked yet are by the next tick.
    async fn is_done(&self) -> bool {
        look(self.actuator, &self.change.target)
            .await
            .is_ok_and(|seen| *seen.world.uid == *self.change.uid && seen.in_force(&self.change.container) == Some(self.change.to))
    }
}

fn changed<T>(detail: String) -> Result<T, Try> {
    Err(Try::Done(OutcomeResult::WorldChanged { detail }))
}

fn selector_of(object: &DynamicObject) -> Option<Selector> {
    let selector: k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector =
        serde_json::from_value(object.data.pointer("/spec/selector")?.clone()).ok()?;
    Selector::try_from(selector).ok()
}
