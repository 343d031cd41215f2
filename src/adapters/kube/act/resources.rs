//! Requests and limits of one container, by server-side apply on the pod template of a Deployment or `StatefulSet`.
//!
//! What an apply leaves out and the manager owned before is removed by the API server; so each apply carries the resources of every container
//! that is ours already, and only the named one's are new.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::api::{Api, Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Map, Value, json};

use super::answer::classify;
use super::world::World;
use super::{Known, KubeActuator, Try, Write};
use crate::adapters::kube::dynamic::watched_kind;
use crate::adapters::kube::template::container_resources;
use crate::domain::outcome::OutcomeResult;
use crate::domain::proposal::ResourcesChange;
use crate::domain::units::{Bytes, Millicores};
use crate::domain::workload::{ContainerResources, OwnedField};
use crate::guardrails::ownership::ACTUATOR;

/// Writes one change of resources.
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

    fn field(&self) -> OwnedField {
        OwnedField::Resources { container: self.change.container.clone() }
    }

    async fn look(&self) -> Result<(Api<DynamicObject>, &'static str, World), Try> {
        let target = &self.change.target;
        let Some(kind) = watched_kind(target) else {
            let detail = format!("{target} is no Deployment or StatefulSet: only their containers are resized");
            return Err(Try::Done(OutcomeResult::Denied { detail }));
        };
        let unread = |error: &kube::Error| match classify(error) {
            Try::Lost(detail) | Try::Again(detail) => {
                Try::Done(OutcomeResult::Unknown { detail: format!("failed to read {target}: {detail}") })
            }
            done @ Try::Done(_) => done,
        };
        let Some(resource) = self.actuator.kinds.of(target).await.map_err(|e| unread(&e))? else {
            return Err(Try::Done(OutcomeResult::Gone));
        };
        let api = Api::<DynamicObject>::namespaced_with(self.actuator.client.clone(), &target.namespace, &resource);
        let world = World::of(api.get(&target.name).await.map_err(|e| unread(&e))?);
        Ok((api, kind, world))
    }

    async fn write(&self) -> Result<OutcomeResult, Try> {
        let ResourcesChange { target, uid, container, from, to } = self.change;
        let (api, kind, world) = self.look().await?;
        world.check(target, uid, &self.known)?;
        let changed = |detail: String| Err(Try::Done(OutcomeResult::WorldChanged { detail }));
        let now = resources_of(&world.object);
        match now.get(&**container) {
            None => return changed(format!("{target} has no container {container} any more")),
            Some(present) if present == to && world.is_ours(&self.field()) => return Ok(OutcomeResult::Confirmed),
            Some(present) if present != from => return changed(format!("the resources of container {container} of {target} changed")),
            Some(_) => {}
        }
        let force = world.must_force(&self.field(), &self.known, self.now)?;
        let containers: Vec<Value> = now
            .iter()
            .filter_map(|(name, present)| {
                let ours = world.is_ours(&OwnedField::Resources { container: name.as_str().into() });
                let wanted = if **name == **container { Some(to) } else { Some(present).filter(|_| ours) };
                wanted.map(|resources| json!({"name": name, "resources": written(resources)}))
            })
            .collect();
        let body = json!({
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": {"name": &*target.name, "namespace": &*target.namespace, "uid": &**uid, "resourceVersion": world.resource_version},
            "spec": {"template": {"spec": {"containers": containers}}},
        });
        let params = PatchParams { force, ..PatchParams::apply(ACTUATOR) };
        if unsets(from, to) {
            // What another manager set stays when we leave it out; find out before a pod is restarted for nothing.
            let rehearsal = PatchParams { dry_run: true, ..params.clone() };
            let after = api.patch(&target.name, &rehearsal, &Patch::Apply(&body)).await.map_err(|e| classify(&e))?;
            if resources_of(&after).get(&**container) != Some(to) {
                let other = world.writers.iter().find(|w| w.field == self.field() && &*w.manager != ACTUATOR);
                return Ok(OutcomeResult::Conflicted {
                    manager: other.map_or_else(|| "another manager".into(), |w| w.manager.clone()),
                    advice: "it set a request or limit that would have to be removed; take it out of the manifest".into(),
                });
            }
        }
        let after = api.patch(&target.name, &params, &Patch::Apply(&body)).await.map_err(|e| classify(&e))?;
        Ok(OutcomeResult::Applied { resource_version: after.metadata.resource_version.map(Into::into) })
    }
}

impl Write for Writer<'_> {
    async fn attempt(&self) -> Try {
        self.write().await.map_or_else(|other| other, Try::Done)
    }

    async fn is_done(&self) -> bool {
        self.look().await.is_ok_and(|(_, _, world)| {
            *world.uid == *self.change.uid
                && world.is_ours(&self.field())
                && resources_of(&world.object).get(&*self.change.container) == Some(&self.change.to)
        })
    }
}

/// Resources by container.
fn resources_of(object: &DynamicObject) -> BTreeMap<String, ContainerResources> {
    let containers = object.data.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    containers
        .into_iter()
        .flatten()
        .filter_map(|c| {
            let resources: Option<ResourceRequirements> = c.get("resources").and_then(|r| serde_json::from_value(r.clone()).ok());
            Some((c.get("name")?.as_str()?.to_owned(), container_resources(resources.as_ref())))
        })
        .collect()
}

/// Resources as the API server takes them.
fn written(resources: &ContainerResources) -> Value {
    let amounts = |cpu: Option<String>, memory: Option<String>| -> Map<String, Value> {
        [("cpu", cpu), ("memory", memory)].into_iter().filter_map(|(name, amount)| Some((name.to_owned(), amount?.into()))).collect()
    };
    let ContainerResources { cpu_request, cpu_limit, memory_request, memory_limit } = resources;
    json!({
        "requests": amounts(cpu_request.map(Millicores::quantity), memory_request.map(Bytes::quantity)),
        "limits": amounts(cpu_limit.map(Millicores::quantity), memory_limit.map(Bytes::quantity)),
    })
}

/// Whether something that is set would be set no more.
fn unsets(from: &ContainerResources, to: &ContainerResources) -> bool {
    (from.cpu_request.is_some() && to.cpu_request.is_none())
        || (from.cpu_limit.is_some() && to.cpu_limit.is_none())
        || (from.memory_request.is_some() && to.memory_request.is_none())
        || (from.memory_limit.is_some() && to.memory_limit.is_none())
}
