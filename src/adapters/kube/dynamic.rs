//! Kinds that this program has no types for: targets of any kind with a `/scale`, read when they are named, and kinds that a cluster may
//! lack (KEDA, VPA, Karpenter), watched while it has them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use kube::Client;
use kube::api::Api;
use kube::core::{ApiResource, DeserializeGuard, DynamicObject, GroupVersionKind};
use kube::discovery;
use kube::error::DiscoveryError;
use kube::runtime::watcher;
use tokio::time::{Instant, sleep};

use super::cache::Cache;
use super::workload::LeanWorkload;
use crate::crd::target_ref::ResourceName;
use crate::domain::names::TargetKey;

/// How long an answer about which kinds there are is believed.
const BELIEVED: Duration = Duration::from_mins(5);
/// How long to wait when nobody answered.
const ASK_AGAIN: Duration = Duration::from_secs(15);
/// Targets read at a time.
const AT_ONCE: usize = 8;

/// Follows a kind while the cluster has it; where it has not, the cache is complete and empty.
pub async fn follow_optional<V: Send + Sync + 'static>(
    client: Client,
    kind: GroupVersionKind,
    cache: Arc<Cache<V>>,
    lean: impl Fn(&DynamicObject) -> Option<V>,
) {
    let lean = |object: DeserializeGuard<DynamicObject>| object.0.ok().and_then(|o| lean(&o));
    loop {
        match discovery::pinned_kind(&client, &kind).await {
            Ok((resource, _)) => {
                let api = Api::<DeserializeGuard<DynamicObject>>::all_with(client.clone(), &resource);
                let following = cache.clone().follow(api, watcher::Config::default(), &lean);
                tokio::select! {
                    () = following => {}
                    () = until_gone(&client, &kind) => {}
                }
            }
            Err(error) if is_absent(&error) => {
                cache.has_none();
                sleep(BELIEVED).await;
            }
            Err(error) => {
                tracing::debug!(kind = %kind.kind, %error, "failed to ask whether the cluster has this kind");
                sleep(ASK_AGAIN).await;
            }
        }
    }
}

/// Returns when the cluster says that it has the kind no more.
async fn until_gone(client: &Client, kind: &GroupVersionKind) {
    loop {
        sleep(BELIEVED).await;
        if discovery::pinned_kind(client, kind).await.is_err_and(|error| is_absent(&error)) {
            return;
        }
    }
}

fn is_absent(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code == 404,
        kube::Error::Discovery(
            DiscoveryError::MissingKind(_)
            | DiscoveryError::MissingApiGroup(_)
            | DiscoveryError::MissingResource(_)
            | DiscoveryError::EmptyApiGroup(_),
        ) => true,
        _ => false,
    }
}

/// The kinds there are, by API group and plural, as discovery told them not long ago.
pub struct Kinds {
    client: Client,
    /// By API group and plural.
    by_resource: Believed<ApiResource>,
    /// By apiVersion and kind.
    by_kind: Believed<ResourceName>,
}

/// Answers to questions of two words, believed for a while.
struct Believed<V>(Mutex<BTreeMap<[String; 2], Answer<V>>>);

/// What was answered; that there is no such thing is an answer, too.
#[derive(Clone)]
struct Answer<V> {
    at: Instant,
    found: Option<V>,
}

impl<V: Clone> Believed<V> {
    fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// The answer, however old.
    fn last(&self, question: &[String; 2]) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(question)?.found.clone()
    }

    /// The answer, if it is still believed.
    fn fresh(&self, question: &[String; 2]) -> Option<Answer<V>> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(question).filter(|answer| answer.at.elapsed() < BELIEVED).cloned()
    }

    fn learn(&self, question: [String; 2], found: Option<V>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(question, Answer { at: Instant::now(), found });
    }
}

impl Kinds {
    /// Nothing known yet.
    pub fn new(client: Client) -> Self {
        Self { client, by_resource: Believed::new(), by_kind: Believed::new() }
    }

    /// The kind of a target; `None` when the cluster has no such kind, or it has no `/scale`.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn of(&self, target: &TargetKey) -> Result<Option<ApiResource>, kube::Error> {
        if let Some(resource) = built_in(target) {
            return Ok(Some(resource));
        }
        let name = [target.group.to_string(), target.resource.to_string()];
        if let Some(known) = self.by_resource.fresh(&name) {
            return Ok(known.found);
        }
        let found = match discovery::group(&self.client, &target.group).await {
            Ok(group) => group
                .resources_by_stability()
                .into_iter()
                .find(|(resource, _)| *resource.plural == *target.resource)
                .filter(|(_, capabilities)| capabilities.subresources.iter().any(|(sub, _)| sub.plural == "scale"))
                .map(|(resource, _)| resource),
            Err(error) if is_absent(&error) => None,
            Err(error) => return Err(error),
        };
        self.by_resource.learn(name, found.clone());
        Ok(found)
    }

    /// The resource of a kind that a custom resource names; `None` when the cluster does not know it, or does not say.
    pub async fn named(&self, api_version: &str, kind: &str) -> Option<ResourceName> {
        let asked = [api_version.to_owned(), kind.to_owned()];
        if let Some(known) = self.by_kind.fresh(&asked) {
            return known.found;
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = match discovery::pinned_kind(&self.client, &GroupVersionKind::gvk(group, version, kind)).await {
            Ok((resource, _)) => Some(ResourceName { group: resource.group.into(), resource: resource.plural.into() }),
            Err(error) if is_absent(&error) => None,
            Err(error) => {
                tracing::warn!(api_version, kind, %error, "failed to look up a kind");
                return None;
            }
        };
        self.by_kind.learn(asked, found.clone());
        found
    }

    /// The resource of a kind, if it was looked up before.
    pub fn remembered(&self, api_version: &str, kind: &str) -> Option<ResourceName> {
        self.by_kind.last(&[api_version.to_owned(), kind.to_owned()])
    }

    /// Reads targets of kinds that are not watched. One that cannot be read is left out, and does not hold up the others.
    pub async fn read(&self, targets: Vec<TargetKey>) -> BTreeMap<TargetKey, LeanWorkload> {
        let reading = targets.into_iter().map(|target| async move {
            match self.read_one(&target).await {
                Ok(workload) => workload.map(|w| (target, w)),
                Err(error) => {
                    tracing::warn!(%target, %error, "failed to read a target");
                    None
                }
            }
        });
        stream::iter(reading).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
    }

    async fn read_one(&self, target: &TargetKey) -> Result<Option<LeanWorkload>, kube::Error> {
        let Some(resource) = self.of(target).await? else { return Ok(None) };
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &target.namespace, &resource);
        let Some(object) = api.get_opt(&target.name).await? else { return Ok(None) };
        let scale = api.get_scale(&target.name).await?;
        Ok(Some(LeanWorkload::from_scale(&resource.kind, &object, &scale)))
    }
}

/// Deployments and `StatefulSets`, which every cluster has.
fn built_in(target: &TargetKey) -> Option<ApiResource> {
    let kind = watched_kind(target)?;
    Some(ApiResource {
        group: "apps".into(),
        version: "v1".into(),
        api_version: "apps/v1".into(),
        kind: kind.into(),
        plural: target.resource.to_string(),
    })
}

/// The kind of a target whose kind is watched.
pub fn watched_kind(target: &TargetKey) -> Option<&'static str> {
    match (&*target.group, &*target.resource) {
        ("apps", "deployments") => Some("Deployment"),
        ("apps", "statefulsets") => Some("StatefulSet"),
        _ => None,
    }
}
