//! The watches of everything a tick may know of the cluster, and the port that reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Event, LimitRange, Node, ObjectReference, Pod, ResourceQuota, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::Api;
use kube::core::{DeserializeGuard, DynamicObject, GroupVersionKind};
use kube::runtime::watcher;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::act::{Known, Lookout};
use super::announce;
use super::autoscalers::LeanAutoscaler;
use super::budgets::LeanBudget;
use super::cache::{Cache, Objects};
use super::dynamic::{Kinds, follow_optional, watched_kind};
use super::events::LeanEvent;
use super::facts::{Seen, facts, named_targets};
use super::groups::{self, Read, fleets, read};
use super::meta::ObjectName;
use super::nodes::{node, node_pool};
use super::pods::{LeanPod, LeanReplicaSet};
use super::quotas::{limit_range, quota};
use super::routes::{FOREIGN_SLICES, LeanEndpoints, LeanIngress, LeanService};
use super::workload::LeanWorkload;
use crate::crd::target_ref::built_in;
use crate::crd::{IntelligentPodAutoscaler, NodeFleet, convert};
use crate::domain::fleet;
use crate::domain::limits::{Fleet, Guardrail};
use crate::domain::names::{Digest, GroupId, TargetKey};
use crate::domain::snapshot::{self, ClusterFacts, QueuedProposal};
use crate::domain::units::GoDuration;
use crate::ports::{Cluster, PortError};

/// The subresource by which running pods are resized, as discovery names it.
const RESIZE: &str = "pods/resize";

/// The cluster in memory. Watching ends when this is dropped.
pub struct Watches {
    client: Client,
    kinds: Kinds,
    caches: Caches,
    resizes_in_place: OnceCell<bool>,
    _following: JoinSet<()>,
}

/// One cache a kind.
#[derive(Clone)]
struct Caches {
    groups: Arc<Cache<Read<IntelligentPodAutoscaler>>>,
    guardrails: Arc<Cache<Guardrail>>,
    fleets: Arc<Cache<Read<NodeFleet>>>,
    proposals: Arc<Cache<QueuedProposal>>,
    deployments: Arc<Cache<LeanWorkload>>,
    stateful_sets: Arc<Cache<LeanWorkload>>,
    replica_sets: Arc<Cache<LeanReplicaSet>>,
    pods: Arc<Cache<LeanPod>>,
    services: Arc<Cache<LeanService>>,
    endpoints: Arc<Cache<LeanEndpoints>>,
    ingresses: Arc<Cache<LeanIngress>>,
    nodes: Arc<Cache<fleet::Node>>,
    events: Arc<Cache<LeanEvent>>,
    hpas: Arc<Cache<LeanAutoscaler>>,
    scaled_objects: Arc<Cache<LeanAutoscaler>>,
    vpas: Arc<Cache<LeanAutoscaler>>,
    budgets: Arc<Cache<LeanBudget>>,
    quotas: Arc<Cache<snapshot::Quota>>,
    limit_ranges: Arc<Cache<snapshot::LimitRange>>,
    node_pools: Arc<Cache<fleet::NodePool>>,
}

impl Watches {
    /// Begins to watch. [`Cluster::observe`] says `NotReady` until every kind has been listed once.
    #[must_use]
    pub fn start(client: Client) -> Self {
        let caches = Caches::new();
        let mut following = JoinSet::new();
        let tasks = &mut following;
        follow_read(tasks, &client, &caches.groups, |o| Some(read(o)));
        follow_read(tasks, &client, &caches.guardrails, groups::guardrail);
        follow_read(tasks, &client, &caches.fleets, |o| Some(read(o)));
        follow_read(tasks, &client, &caches.proposals, groups::proposal);
        follow(tasks, &client, &caches.deployments, |o: Deployment| Some(LeanWorkload::from_deployment(&o)));
        follow(tasks, &client, &caches.stateful_sets, |o: StatefulSet| Some(LeanWorkload::from_stateful_set(&o)));
        follow(tasks, &client, &caches.replica_sets, |o: ReplicaSet| Some(LeanReplicaSet::from_replica_set(&o)));
        follow(tasks, &client, &caches.pods, |o: Pod| LeanPod::from_pod(&o));
        follow(tasks, &client, &caches.services, |o: Service| Some(LeanService::from_service(&o)));
        follow(tasks, &client, &caches.ingresses, |o: Ingress| Some(LeanIngress::from_ingress(&o)));
        follow(tasks, &client, &caches.nodes, |o: Node| Some(node(&o)));
        follow(tasks, &client, &caches.events, |o: Event| LeanEvent::from_event(&o));
        follow(tasks, &client, &caches.hpas, |o: HorizontalPodAutoscaler| LeanAutoscaler::from_hpa(&o));
        follow(tasks, &client, &caches.budgets, |o: PodDisruptionBudget| LeanBudget::from_budget(&o));
        follow(tasks, &client, &caches.quotas, |o: ResourceQuota| quota(&o));
        follow(tasks, &client, &caches.limit_ranges, |o: LimitRange| Some(limit_range(&o)));
        let foreign = watcher::Config::default().labels(FOREIGN_SLICES);
        follow_with(tasks, &client, &caches.endpoints, foreign, |o: EndpointSlice| LeanEndpoints::from_slice(&o));
        let mut optional = |group: &str, version: &str, kind: &str, cache, lean: fn(&DynamicObject) -> Option<LeanAutoscaler>| {
            tasks.spawn(follow_optional(client.clone(), GroupVersionKind::gvk(group, version, kind), cache, lean));
        };
        optional("keda.sh", "v1alpha1", "ScaledObject", caches.scaled_objects.clone(), LeanAutoscaler::from_scaled_object);
        optional("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler", caches.vpas.clone(), LeanAutoscaler::from_vpa);
        let pools = GroupVersionKind::gvk("karpenter.sh", "v1", "NodePool");
        tasks.spawn(follow_optional(client.clone(), pools, caches.node_pools.clone(), |o| Some(node_pool(o))));
        Self { kinds: Kinds::new(client.clone()), client, caches, resizes_in_place: OnceCell::new(), _following: following }
    }

    /// Whether running pods can be resized, by discovery. Asked until it is answered once: no API server learns it without a restart, and the
    /// answer "no" costs no more than a roll-out.
    async fn resizes_in_place(&self) -> bool {
        let ask = || async {
            let served = self.client.list_core_api_resources("v1").await?;
            Ok::<bool, kube::Error>(served.resources.iter().any(|resource| resource.name == RESIZE))
        };
        match self.resizes_in_place.get_or_try_init(ask).await {
            Ok(answer) => *answer,
            Err(error) => {
                tracing::debug!(%error, "failed to ask whether the API server resizes pods in place");
                false
            }
        }
    }

    /// The longest hold that a group naming the target asks for: of two that name it, neither is cut short.
    fn human_hold(&self, target: &TargetKey) -> GoDuration {
        let groups = self.caches.groups.objects().unwrap_or_default();
        let resolve = |api_version: &str, kind: &str| built_in(api_version, kind).or_else(|| self.kinds.remembered(api_version, kind));
        groups
            .range(ObjectName { namespace: target.namespace.clone(), name: "".into() }..)
            .take_while(|(name, _)| name.namespace == target.namespace)
            .filter_map(|(_, object)| object.as_ref().as_ref().ok())
            .filter_map(|ipa| convert::group(ipa, &resolve).ok())
            .filter(|group| group.targets.iter().any(|t| t.key == *target))
            .map(|group| group.human_hold)
            .max()
            .unwrap_or_default()
    }

    /// A group's resource as it was last seen.
    pub(super) fn autoscaler(&self, name: &ObjectName) -> Option<Arc<Read<IntelligentPodAutoscaler>>> {
        self.caches.groups.get(name)
    }

    /// A fleet's resource as it was last seen.
    pub(super) fn node_fleet(&self, name: &ObjectName) -> Option<Arc<Read<NodeFleet>>> {
        self.caches.fleets.get(name)
    }

    /// Whether the queue holds an open proposal of a group for exactly this change.
    pub(super) fn open_proposal(&self, group: &GroupId, digest: &Digest) -> bool {
        let proposals = self.caches.proposals.objects().unwrap_or_default();
        proposals.values().any(|p| !p.closed && p.proposal.group == *group && p.digest == *digest)
    }

    /// A target as events refer to it, if its kind is watched.
    pub(super) fn reference(&self, target: &TargetKey) -> Option<ObjectReference> {
        let workload = self.workload(target)?;
        Some(announce::reference("apps/v1", &workload.kind, &target.namespace, &target.name, &workload.uid))
    }

    fn workload(&self, target: &TargetKey) -> Option<Arc<LeanWorkload>> {
        let name = ObjectName { namespace: target.namespace.clone(), name: target.name.clone() };
        match watched_kind(target)? {
            "Deployment" => self.caches.deployments.get(&name),
            _ => self.caches.stateful_sets.get(&name),
        }
    }
}

impl Lookout for Watches {
    fn known(&self, target: &TargetKey) -> Known {
        Known { human_hold: self.human_hold(target), resource_version: self.workload(target).map(|w| w.resource_version.clone()) }
    }

    fn fleet(&self, name: &str) -> Option<Fleet> {
        let object = self.caches.fleets.get(&ObjectName::new("", name))?;
        convert::fleet(object.as_ref().as_ref().ok()?).ok()
    }
}

#[async_trait]
impl Cluster for Watches {
    async fn observe(&self, now: Timestamp) -> Result<ClusterFacts, PortError> {
        let resources = self.caches.groups.objects()?;
        let mut seen = self.caches.read()?;
        seen.groups = groups::groups(&resources, &self.kinds).await;
        let unwatched: Vec<TargetKey> = named_targets(&seen.groups).into_iter().filter(|t| watched_kind(t).is_none()).collect();
        seen.others = self.kinds.read(unwatched).await;
        seen.resizes_in_place = self.resizes_in_place().await;
        Ok(facts(&seen, now))
    }
}

impl Caches {
    fn new() -> Self {
        Self {
            groups: Cache::new("intelligentpodautoscalers.ipa.dev"),
            guardrails: Cache::new("scalingguardrails.ipa.dev"),
            fleets: Cache::new("nodefleets.ipa.dev"),
            proposals: Cache::new("scalingproposals.ipa.dev"),
            deployments: Cache::new("deployments"),
            stateful_sets: Cache::new("statefulsets"),
            replica_sets: Cache::new("replicasets"),
            pods: Cache::new("pods"),
            services: Cache::new("services"),
            endpoints: Cache::new("endpointslices"),
            ingresses: Cache::new("ingresses"),
            nodes: Cache::new("nodes"),
            events: Cache::new("events"),
            hpas: Cache::new("horizontalpodautoscalers"),
            scaled_objects: Cache::new("scaledobjects"),
            vpas: Cache::new("verticalpodautoscalers"),
            budgets: Cache::new("poddisruptionbudgets"),
            quotas: Cache::new("resourcequotas"),
            limit_ranges: Cache::new("limitranges"),
            node_pools: Cache::new("nodepools"),
        }
    }

    fn read(&self) -> Result<Seen, PortError> {
        Ok(Seen {
            groups: Objects::new(),
            guardrails: self.guardrails.objects()?,
            fleets: fleets(&self.fleets.objects()?),
            proposals: self.proposals.objects()?,
            deployments: self.deployments.objects()?,
            stateful_sets: self.stateful_sets.objects()?,
            others: BTreeMap::new(),
            replica_sets: self.replica_sets.objects()?,
            pods: self.pods.objects()?,
            services: self.services.objects()?,
            endpoints: self.endpoints.objects()?,
            ingresses: self.ingresses.objects()?,
            nodes: self.nodes.objects()?,
            events: self.events.objects()?,
            hpas: self.hpas.objects()?,
            scaled_objects: self.scaled_objects.objects()?,
            vpas: self.vpas.objects()?,
            budgets: self.budgets.objects()?,
            quotas: self.quotas.objects()?,
            limit_ranges: self.limit_ranges.objects()?,
            node_pools: self.node_pools.objects()?,
            resizes_in_place: false,
        })
    }
}

/// Follows a kind whose unreadable objects are somebody's to hear of.
fn follow_read<K, V>(tasks: &mut JoinSet<()>, client: &Client, cache: &Arc<Cache<V>>, lean: fn(DeserializeGuard<K>) -> Option<V>)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    let api = Api::<DeserializeGuard<K>>::all(client.clone());
    tasks.spawn(cache.clone().follow(api, watcher::Config::default(), lean));
}

fn follow<K, V>(tasks: &mut JoinSet<()>, client: &Client, cache: &Arc<Cache<V>>, lean: fn(K) -> Option<V>)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    follow_with(tasks, client, cache, watcher::Config::default(), lean);
}

fn follow_with<K, V>(tasks: &mut JoinSet<()>, client: &Client, cache: &Arc<Cache<V>>, config: watcher::Config, lean: fn(K) -> Option<V>)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    let api = Api::<DeserializeGuard<K>>::all(client.clone());
    tasks.spawn(cache.clone().follow(api, config, move |object| object.0.ok().and_then(lean)));
}
