//! What happened, where people look for it: the status of groups and fleets, written only when it says something new, and events.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _, stream};
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::announce::{Announcer, reference};
use super::meta::ObjectName;
use super::watch::Watches;
use crate::crd::{API_GROUP, API_VERSION, IntelligentPodAutoscaler, NodeFleet, status};
use crate::domain::status::GroupStatus;
use crate::ports::{PortError, Status};

/// Field manager of every status.
const MANAGER: &str = "ipa-status";
/// Groups written at a time.
const AT_ONCE: usize = 8;

/// Publishes status and events.
pub struct KubeStatus {
    client: Client,
    watches: Arc<Watches>,
    announcer: Announcer,
}

impl KubeStatus {
    /// Publishes as `client`; events are signed with `instance` (a pod's name).
    #[must_use]
    pub fn new(client: Client, watches: Arc<Watches>, instance: &str) -> Self {
        Self { announcer: Announcer::new(client.clone(), instance), client, watches }
    }

    async fn publish_one(&self, new: &GroupStatus) -> Result<(), PortError> {
        let name = ObjectName { namespace: new.group.namespace.clone(), name: new.group.name.clone() };
        let written = if new.group.is_fleet() {
            let seen = self.watches.node_fleet(&name);
            let previous = seen.as_ref().and_then(|o| o.as_ref().as_ref().ok()).and_then(|f| f.status.as_ref());
            self.write::<NodeFleet, _>(new, "NodeFleet", &status::fleet(new, previous), previous).await
        } else {
            let seen = self.watches.autoscaler(&name);
            let previous = seen.as_ref().and_then(|o| o.as_ref().as_ref().ok()).and_then(|a| a.status.as_ref());
            self.write::<IntelligentPodAutoscaler, _>(new, "IntelligentPodAutoscaler", &status::autoscaler(new, previous), previous).await
        };
        self.tell(new).await;
        written
    }

    /// Writes a status unless it is there already. An object that is gone, or is another one by now, needs none.
    async fn write<K, S>(&self, new: &GroupStatus, kind: &str, wanted: &S, previous: Option<&S>) -> Result<(), PortError>
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
        S: Serialize + PartialEq,
    {
        if previous == Some(wanted) {
            return Ok(());
        }
        let resource = kube::core::ApiResource::erase::<K>(&());
        let namespace = Some(&*new.group.namespace).filter(|n| !n.is_empty());
        let api: Api<kube::core::DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let body = json!({
            "apiVersion": format!("{API_GROUP}/{API_VERSION}"),
            "kind": kind,
            "metadata": {"name": &*new.group.name, "namespace": namespace, "uid": &*new.uid},
            "status": wanted,
        });
        // Nobody else writes status; force takes it back from whoever tried.
        match api.patch_status(&new.group.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&body)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(PortError::Failed { action: format!("write the status of {}", new.group), detail: error.to_string() }),
        }
    }

    async fn tell(&self, new: &GroupStatus) {
        let kind = if new.group.is_fleet() { "NodeFleet" } else { "IntelligentPodAutoscaler" };
        let group = reference(&format!("{API_GROUP}/{API_VERSION}"), kind, &new.group.namespace, &new.group.name, &new.uid);
        for event in &new.events {
            self.announcer.tell(event, &group, new.at).await;
            if let Some(target) = event.target.as_ref().and_then(|t| self.watches.reference(t)) {
                self.announcer.tell(event, &target, new.at).await;
            }
        }
    }
}

#[async_trait]
impl Status for KubeStatus {
    async fn publish(&self, status: &[GroupStatus]) -> Result<(), PortError> {
        let publishing: Vec<_> = status.iter().map(|new| self.publish_one(new).boxed()).collect();
        let results: Vec<Result<(), PortError>> = stream::iter(publishing).buffer_unordered(AT_ONCE).collect().await;
        // Every group had its turn; the first failure stands for all of them.
        results.into_iter().find(Result::is_err).unwrap_or(Ok(()))
    }
}
