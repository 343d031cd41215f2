//! Replicas, by server-side apply on `/scale`: what is recorded is an `Apply` of `ipa-actuator` on that subresource and nothing else.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::json;

use super::answer::{classify, shortened};
use super::world::World;
use super::{Known, KubeActuator, Try, Write};
use crate::adapters::kube::meta::count;
use crate::domain::outcome::OutcomeResult;
use crate::domain::proposal::ReplicasChange;
use crate::domain::workload::OwnedField;
use crate::guardrails::ownership::ACTUATOR;

/// Stands for a generation that was not seen yet.
const UNSEEN: i64 = -1;

/// Writes one change of replicas.
pub struct Writer<'a> {
    actuator: &'a KubeActuator,
    change: &'a ReplicasChange,
    known: Known,
    now: Timestamp,
    /// The generation of the first look: a later look at another one is a world that was not judged.
    generation: AtomicI64,
}

impl<'a> Writer<'a> {
    /// A writer of `change`.
    pub fn new(actuator: &'a KubeActuator, change: &'a ReplicasChange, now: Timestamp) -> Self {
        Self { actuator, change, known: actuator.lookout.known(&change.target), now, generation: AtomicI64::new(UNSEEN) }
    }

    /// The object and how many replicas it asks for.
    async fn look(&self) -> Result<(Api<DynamicObject>, World, u32), Try> {
        let target = &self.change.target;
        let before = |error: &kube::Error| match classify(error) {
            // Nothing was written yet, so nothing can be lost.
            Try::Lost(detail) | Try::Again(detail) => {
                Try::Done(OutcomeResult::Unknown { detail: format!("failed to read {target}: {detail}") })
            }
            done @ Try::Done(_) => done,
        };
        let Some(kind) = self.actuator.kinds.of(target).await.map_err(|e| before(&e))? else { return Err(Try::Done(OutcomeResult::Gone)) };
        let api = Api::<DynamicObject>::namespaced_with(self.actuator.client.clone(), &target.namespace, &kind);
        let world = World::of(api.get(&target.name).await.map_err(|e| before(&e))?);
        let scale = api.get_scale(&target.name).await.map_err(|e| before(&e))?;
        let replicas = count(scale.spec.as_ref().and_then(|s| s.replicas), 0);
        Ok((api, world, replicas))
    }

    async fn write(&self) -> Result<OutcomeResult, Try> {
        let ReplicasChange { target, uid, from, to } = self.change;
        let (api, world, replicas) = self.look().await?;
        world.check(target, uid, &self.known)?;
        let first = self.generation.compare_exchange(UNSEEN, world.generation, Ordering::Relaxed, Ordering::Relaxed);
        let changed = |detail: String| Err(Try::Done(OutcomeResult::WorldChanged { detail }));
        if first.is_err_and(|generation| generation != world.generation) {
            return changed(format!("the spec of {target} changed while it was written"));
        }
        if replicas == *to && world.is_ours(&OwnedField::Replicas) {
            return Ok(OutcomeResult::Confirmed);
        }
        if replicas != *from {
            return changed(format!("{target} asks for {replicas} replicas, not {from}"));
        }
        let force = world.must_force(&OwnedField::Replicas, &self.known, self.now)?;
        let body = json!({
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": &*target.name, "namespace": &*target.namespace, "uid": &**uid, "resourceVersion": world.resource_version},
            "spec": {"replicas": to},
        });
        let params = PatchParams { force, ..PatchParams::apply(ACTUATOR) };
        let scale = api.patch_scale(&target.name, &params, &Patch::Apply(&body)).await.map_err(|e| classify(&e))?;
        let written = scale.spec.as_ref().and_then(|s| s.replicas);
        if written.is_some_and(|n| u32::try_from(n) == Ok(*to)) {
            Ok(OutcomeResult::Applied { resource_version: scale.metadata.resource_version.map(Into::into) })
        } else {
            // An admission plug-in that rewrites what we ask for is a limit that somebody set.
            Ok(OutcomeResult::Denied { detail: shortened(&format!("asked for {to} replicas, the server stored {written:?}")) })
        }
    }
}

impl Write for Writer<'_> {
    async fn attempt(&self) -> Try {
        self.write().await.map_or_else(|other| other, Try::Done)
    }

    async fn is_done(&self) -> bool {
        self.look().await.is_ok_and(|(_, world, replicas)| {
            *world.uid == *self.change.uid && replicas == self.change.to && world.is_ours(&OwnedField::Replicas)
        })
    }
}
