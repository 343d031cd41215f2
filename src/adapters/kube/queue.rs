//! The queue as `ScalingProposal` objects, in the group's namespace, owned by its resource; a fleet's lie in IPA's own.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::DeserializeGuard;
use serde_json::json;

use super::client::one_line;
use super::groups;
use super::meta::{self, ObjectName};
use super::watch::Watches;
use crate::crd::proposal::{Phase, ScalingProposalStatus};
use crate::crd::{API_GROUP, API_VERSION, ScalingProposal, convert};
use crate::domain::names::GroupId;
use crate::domain::snapshot::QueuedProposal;
use crate::ports::{PortError, Queue};

/// Field manager of proposals and their status.
const MANAGER: &str = "ipa-queue";

/// The queue in the cluster.
pub struct KubeQueue {
    client: Client,
    watches: Arc<Watches>,
    own_namespace: String,
}

/// Every proposal that the caller may see, oldest first; what cannot be read is left out and logged.
///
/// # Errors
/// [`PortError`] when the list is refused, or the definitions are not installed.
pub async fn queued_proposals(client: &Client) -> Result<Vec<QueuedProposal>, PortError> {
    let failed = |error: kube::Error| PortError::Failed {
        action: "list proposals".into(),
        detail: format!(
            "{}; are the definitions installed (`ipa crd | kubectl apply -f -`), and may you list scalingproposals?",
            said(&error)
        ),
    };
    let listed = Api::<DeserializeGuard<ScalingProposal>>::all(client.clone()).list(&ListParams::default()).await.map_err(failed)?;
    let mut queued: Vec<QueuedProposal> = listed.items.into_iter().filter_map(groups::proposal).collect();
    queued.sort_by(|a, b| (a.proposal.made, &a.proposal.id).cmp(&(b.proposal.made, &b.proposal.id)));
    Ok(queued)
}

/// What went wrong, in the server's words where it answered.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.lines().next().unwrap_or_default().to_owned(),
        other => one_line(other),
    }
}

impl KubeQueue {
    /// A queue whose fleet proposals lie in `own_namespace`.
    #[must_use]
    pub fn new(client: Client, watches: Arc<Watches>, own_namespace: &str) -> Self {
        Self { client, watches, own_namespace: own_namespace.into() }
    }

    fn namespace<'a>(&'a self, group: &'a GroupId) -> &'a str {
        if group.is_fleet() { &self.own_namespace } else { &group.namespace }
    }

    /// The resource that a proposal goes with: deleted with it.
    fn owner(&self, group: &GroupId) -> Option<OwnerReference> {
        let name = ObjectName { namespace: group.namespace.clone(), name: group.name.clone() };
        let (kind, uid) = if group.is_fleet() {
            ("NodeFleet", meta::uid(&self.watches.node_fleet(&name)?.as_ref().as_ref().ok()?.metadata))
        } else {
            ("IntelligentPodAutoscaler", meta::uid(&self.watches.autoscaler(&name)?.as_ref().as_ref().ok()?.metadata))
        };
        Some(OwnerReference {
            api_version: format!("{API_GROUP}/{API_VERSION}"),
            kind: kind.into(),
            name: group.name.to_string(),
            uid: uid.to_string(),
            ..OwnerReference::default()
        })
    }

    async fn write_status(&self, proposal: &QueuedProposal, status: &ScalingProposalStatus) -> Result<(), kube::Error> {
        let name = &proposal.proposal.id.0;
        let api = Api::<ScalingProposal>::namespaced(self.client.clone(), self.namespace(&proposal.proposal.group));
        let body = json!({
            "apiVersion": format!("{API_GROUP}/{API_VERSION}"),
            "kind": "ScalingProposal",
            "metadata": {"name": name},
            "status": status,
        });
        api.patch_status(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&body)).await.map(|_| ())
    }
}

#[async_trait]
impl Queue for KubeQueue {
    async fn enqueue(&self, proposal: &QueuedProposal) -> Result<(), PortError> {
        let failed = |error: kube::Error| PortError::Failed {
            action: format!("queue the proposal {}", proposal.proposal.id),
            detail: error.to_string(),
        };
        let group = &proposal.proposal.group;
        if self.watches.open_proposal(group, &proposal.digest) {
            return Ok(());
        }
        let namespace = self.namespace(group);
        let mut object = convert::manifest(proposal, namespace);
        object.metadata.owner_references = self.owner(group).map(|owner| vec![owner]);
        let api = Api::<ScalingProposal>::namespaced(self.client.clone(), namespace);
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        match api.create(&params, &object).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let standing = api.get(&proposal.proposal.id.0).await.map_err(failed)?;
                // The same proposal of the same tick: a restart in between. Another of that name is from before the data directory was lost.
                return if standing.spec.digest == proposal.digest.0 {
                    Ok(())
                } else {
                    Err(PortError::Failed {
                        action: format!("queue the proposal {}", proposal.proposal.id),
                        detail: format!(
                            "an older one has its name; delete it: kubectl -n {namespace} delete sprop {}",
                            proposal.proposal.id
                        ),
                    })
                };
            }
            Err(error) => return Err(failed(error)),
        }
        let pending = ScalingProposalStatus {
            phase: Phase::Pending,
            reason: "AwaitingDecision".into(),
            message: format!("decide with `ipa proposals approve {0}` or `ipa proposals reject {0}`", proposal.proposal.id),
            since: proposal.proposal.made.to_string(),
        };
        self.write_status(proposal, &pending).await.map_err(failed)
    }

    async fn close(&self, proposal: &QueuedProposal, reason: &str, message: &str, now: Timestamp) -> Result<(), PortError> {
        match self.write_status(proposal, &convert::closed_status(reason, message, now)).await {
            Ok(()) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => {
                Err(PortError::Failed { action: format!("close the proposal {}", proposal.proposal.id), detail: error.to_string() })
            }
        }
    }

    async fn forget(&self, ended: &QueuedProposal) -> Result<(), PortError> {
        let name = &ended.proposal.id.0;
        let api = Api::<ScalingProposal>::namespaced(self.client.clone(), self.namespace(&ended.proposal.group));
        match api.delete(name, &DeleteParams::background()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(PortError::Failed { action: format!("clear away the proposal {name}"), detail: error.to_string() }),
        }
    }
}
