//! Requests and limits of one container, by server-side apply on the pod template of a Deployment or `StatefulSet`.
//!
//! What an apply leaves out and the manager owned before is removed by the API server; so each apply carries the resources of every container
//! that is ours already, and only the named one's are new.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::api::{Api, Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::answer::classify;
use super::world::World;
use super::{Known, KubeActuator, Try, Write};
use crate::adapters::kube::dynamic::watched_kind;
use crate::adapters::kube::meta;
use crate::adapters::kube::resized::{self, RESIZED, requirements};
use crate::adapters::kube::template::container_resources;
use crate::domain::names::TargetKey;
use crate::domain::outcome::OutcomeResult;
use crate::domain::proposal::ResourcesChange;
use crate::domain::resize::Resized;
use crate::domain::workload::{Container, ContainerResources, OwnedField};
use crate::guardrails::ownership::ACTUATOR;

/// Writes one change of resources into the template.
pub struct Writer<'a> {
    actuator: &'a KubeActuator,
    change: &'a ResourcesChange,
    known: Known,
    now: Timestamp,
}

/// A target as it is now, and how it is written.
pub struct Look {
    pub api: Api<DynamicObject>,
    pub kind: &'static str,
    pub world: World,
}

impl Look {
    /// What running pods were given in place and the template does not have.
    pub fn resized(&self) -> Option<Resized> {
        resized::read(meta::ipa_annotations(&self.world.object.metadata).get(RESIZED), &template_of(&self.world.object))
    }

    /// A container's requests and limits in force.
    pub fn in_force(&self, container: &str) -> Option<ContainerResources> {
        let resized = self.resized().into_iter().flat_map(|resized| resized.containers);
        resized.chain(template_of(&self.world.object)).find(|c| &*c.name == container).map(|c| c.resources)
    }
}

/// Looks at a target whose containers are resized.
pub async fn look(actuator: &KubeActuator, target: &TargetKey) -> Result<Look, Try> {
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
    let Some(resource) = actuator.kinds.of(target).await.map_err(|e| unread(&e))? else {
        return Err(Try::Done(OutcomeResult::Gone));
    };
    let api = Api::<DynamicObject>::namespaced_with(actuator.client.clone(), &target.namespace, &resource);
    let world = World::of(api.get(&target.name).await.map_err(|e| unread(&e))?);
    Ok(Look { api, kind, world })
}

/// The containers of an object's pod template.
pub fn template_of(object: &DynamicObject) -> Vec<Container> {
    let containers = object.data.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    containers
        .into_iter()
        .flatten()
        .filter_map(|c| {
            let resources: Option<ResourceRequirements> = c.get("resources").and_then(|r| serde_json::from_value(r.clone()).ok());
            Some(Container { name: c.get("name")?.as_str()?.into(), resources: container_resources(resources.as_ref()) })
        })
        .collect()
}

/// Whether a container's resources in the template are ours, so that an apply must name them again.
pub fn to_keep(world: &World, container: &str) -> bool {
    world.is_ours(&OwnedField::Resources { container: container.into() })
}

impl<'a> Writer<'a> {
    /// A writer of `change`.
    pub fn new(actuator: &'a KubeActuator, change: &'a ResourcesChange, now: Timestamp) -> Self {
        Self { actuator, change, known: actuator.lookout.known(&change.target), now }
    }

    fn field(&self) -> OwnedField {
        OwnedField::Resources { container: self.change.container.clone() }
    }

    async fn write(&self) -> Result<OutcomeResult, Try> {
        let ResourcesChange { target, uid, container, from, to, through: _ } = self.change;
        let seen = look(self.actuator, target).await?;
        let Look { api, kind, world } = &seen;
        world.check(target, uid, &self.known)?;
        let changed = |detail: String| Err(Try::Done(OutcomeResult::WorldChanged { detail }));
        let template = template_of(&world.object);
        let Some(written) = template.iter().find(|c| c.name == *container) else {
            return changed(format!("{target} has no container {container} any more"));
        };
        if written.resources == *to && world.is_ours(&self.field()) {
            return Ok(OutcomeResult::Confirmed);
        }
        if seen.in_force(container).as_ref() != Some(from) {
            return changed(format!("the resources of container {container} of {target} changed"));
        }
        // All sizes in force go into one write: one roll-out for all of them.
        let resized = seen.resized().map_or_else(Vec::new, |resized| resized.containers);
        let wanted = |c: &Container| match &resized {
            _ if c.name == *container => Some(*to),
            resized => resized.iter().find(|r| r.name == c.name).map(|r| r.resources),
        };
        let mut force = false;
        let mut containers = Vec::new();
        for present in &template {
            let new = wanted(present);
            if new.is_some() {
                let field = OwnedField::Resources { container: present.name.clone() };
                force |= world.must_force(&field, &self.known, self.now)?;
            }
            let resources = new.or_else(|| to_keep(world, &present.name).then_some(present.resources));
            containers.extend(resources.map(|resources| json!({"name": &*present.name, "resources": requirements(&resources)})));
        }
        // The annotation of sizes in force is left out, and so taken away.
        let body = json!({
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": {"name": &*target.name, "namespace": &*target.namespace, "uid": &**uid, "resourceVersion": world.resource_version},
            "spec": {"template": {"spec": {"containers": containers}}},
        });
        let params = PatchParams { force, ..PatchParams::apply(ACTUATOR) };
        if written.resources.unset_by(to) {
            // What another manager set stays when we leave it out; find out before a pod is restarted for nothing.
            let rehearsal = PatchParams { dry_run: true, ..params.clone() };
            let after = api.patch(&target.name, &rehearsal, &Patch::Apply(&body)).await.map_err(|e| classify(&e))?;
            if !template_of(&after).iter().any(|c| c.name == *container && c.resources == *to) {
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
        look(self.actuator, &self.change.target).await.is_ok_and(|Look { world, .. }| {
            *world.uid == *self.change.uid
                && world.is_ours(&self.field())
                && template_of(&world.object).iter().any(|c| c.name == self.change.container && c.resources == self.change.to)
        })
    }
}
