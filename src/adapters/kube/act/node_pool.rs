//! A node pool, by server-side apply of Karpenter's own kind. Never by force: a pool that somebody else writes is theirs.

use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

use super::answer::classify;
use super::{KubeActuator, Try, Write};
use crate::adapters::karpenter::karpenter_node_pool;
use crate::adapters::kube::nodes::node_pool;
use crate::domain::limits::Provider;
use crate::domain::outcome::OutcomeResult;
use crate::domain::proposal::NodePoolChange;
use crate::guardrails::ownership::ACTUATOR;

/// Writes one node pool.
pub struct Writer<'a> {
    actuator: &'a KubeActuator,
    change: &'a NodePoolChange,
    api: Api<DynamicObject>,
}

impl<'a> Writer<'a> {
    /// A writer of `change`.
    pub fn new(actuator: &'a KubeActuator, change: &'a NodePoolChange) -> Self {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("karpenter.sh", "v1", "NodePool"));
        Self { actuator, change, api: Api::all_with(actuator.client.clone(), &resource) }
    }

    /// The pool as it should be stored.
    fn manifest(&self) -> Result<Value, Try> {
        let NodePoolChange { fleet, provider, draft: _, exists: _ } = self.change;
        match provider {
            Provider::Karpenter => {}
            Provider::ClusterAPI => {
                let detail = "node pools are written for Karpenter alone; set the fleet's provider to Karpenter".into();
                return Err(Try::Done(OutcomeResult::Denied { detail }));
            }
        }
        match self.actuator.lookout.fleet(fleet) {
            Some(fleet) => Ok(karpenter_node_pool(self.change, &fleet)),
            None => Err(Try::Done(OutcomeResult::WorldChanged { detail: format!("there is no fleet {fleet} any more") })),
        }
    }

    async fn write(&self) -> Result<OutcomeResult, Try> {
        let mut manifest = self.manifest()?;
        let name = &self.change.draft.name;
        let present = self.api.get_opt(name).await.map_err(|e| classify(&e))?;
        match (&present, self.change.exists) {
            (Some(_), false) => {
                return Err(Try::Done(OutcomeResult::WorldChanged { detail: format!("a node pool {name} was made meanwhile") }));
            }
            (None, true) => return Err(Try::Done(OutcomeResult::Gone)),
            (Some(_), true) | (None, false) => {}
        }
        if let Some(version) = present.as_ref().and_then(ResourceExt::resource_version) {
            manifest["metadata"]["resourceVersion"] = version.into();
        }
        let after = self.api.patch(name, &PatchParams::apply(ACTUATOR), &Patch::Apply(&manifest)).await.map_err(|e| classify(&e))?;
        Ok(OutcomeResult::Applied { resource_version: after.metadata.resource_version.map(Into::into) })
    }
}

impl Write for Writer<'_> {
    async fn attempt(&self) -> Try {
        self.write().await.map_or_else(|other| other, Try::Done)
    }

    async fn is_done(&self) -> bool {
        let Ok(manifest) = self.manifest() else { return false };
        let wanted: Option<DynamicObject> = serde_json::from_value(manifest).ok();
        let present = self.api.get_opt(&self.change.draft.name).await.ok().flatten();
        present.is_some_and(|present| {
            let ours = present.managed_fields().iter().any(|f| f.manager.as_deref() == Some(ACTUATOR));
            ours && wanted.is_some_and(|wanted| node_pool(&wanted) == node_pool(&present))
        })
    }
}
