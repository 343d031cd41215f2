//! One kind of object, watched and kept in memory in the form that facts are made of.
//!
//! `kube::runtime::watcher` lists, watches, resumes after 410 and backs off; this keeps what it delivers, made lean on the way in (10,000
//! targets have 30,000 pods). An object that cannot be read is left out and does not hold up the list.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt as _;
use kube::Resource;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::meta::ObjectName;
use crate::ports::PortError;

/// A watch that has failed for so long shows an old world, and nothing may follow from it. The watcher's longest pause between tries is 30 s.
const STALE_AFTER: Duration = Duration::from_mins(2);
/// Failures further apart than this are two troubles, the first one mended (a mended watch without changes says nothing).
const SAME_TROUBLE: Duration = Duration::from_secs(90);

/// A kind's objects by name.
pub type Objects<V> = BTreeMap<ObjectName, Arc<V>>;

/// One kind of object in memory.
#[derive(Debug)]
pub struct Cache<V> {
    what: &'static str,
    state: RwLock<State<V>>,
}

#[derive(Debug)]
struct State<V> {
    listed: bool,
    objects: Objects<V>,
    /// What a running list has brought so far.
    incoming: Objects<V>,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    since: Instant,
    last: Instant,
    text: String,
}

impl<V: Send + Sync + 'static> Cache<V> {
    /// An empty cache for what people call `what` (`pods`).
    pub fn new(what: &'static str) -> Arc<Self> {
        let state = State { listed: false, objects: Objects::new(), incoming: Objects::new(), trouble: None };
        Arc::new(Self { what, state: RwLock::new(state) })
    }

    /// Follows the API for as long as it is polled, keeping what `lean` makes of each object; `None` is not kept.
    pub async fn follow<K>(
        self: Arc<Self>,
        api: Api<DeserializeGuard<K>>,
        config: watcher::Config,
        lean: impl Fn(DeserializeGuard<K>) -> Option<V>,
    ) where
        K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
        K::DynamicType: Clone,
    {
        let mut events = std::pin::pin!(watcher(api, config).default_backoff());
        while let Some(event) = events.next().await {
            self.take(event, &lean);
        }
    }

    fn take<K>(&self, event: Result<watcher::Event<DeserializeGuard<K>>, watcher::Error>, lean: &impl Fn(DeserializeGuard<K>) -> Option<V>)
    where
        K: Resource,
    {
        let name = |object: &DeserializeGuard<K>| ObjectName::of(object.meta());
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(event) => {
                state.trouble = None;
                match event {
                    watcher::Event::Init => state.incoming = Objects::new(),
                    watcher::Event::InitApply(object) => {
                        let name = name(&object);
                        if let Some(value) = lean(object) {
                            state.incoming.insert(name, Arc::new(value));
                        }
                    }
                    watcher::Event::InitDone => {
                        state.objects = std::mem::take(&mut state.incoming);
                        state.listed = true;
                    }
                    watcher::Event::Apply(object) => {
                        let name = name(&object);
                        match lean(object) {
                            Some(value) => state.objects.insert(name, Arc::new(value)),
                            None => state.objects.remove(&name),
                        };
                    }
                    watcher::Event::Delete(object) => {
                        state.objects.remove(&name(&object));
                    }
                }
            }
            Err(error) => {
                let now = Instant::now();
                let since = state.trouble.as_ref().filter(|t| now - t.last < SAME_TROUBLE).map_or(now, |t| t.since);
                state.trouble = Some(Trouble { since, last: now, text: describe(&error) });
            }
        }
    }

    /// All objects at this moment.
    ///
    /// # Errors
    /// [`PortError::NotReady`] until the first list is complete, [`PortError::Failed`] when the watch has been failing for long.
    pub fn objects(&self) -> Result<Objects<V>, PortError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if !state.listed {
            let detail = state.trouble.as_ref().map_or_else(|| "the first list is still running".to_owned(), |t| t.text.clone());
            return Err(PortError::NotReady { what: self.what, detail });
        }
        let now = Instant::now();
        match state.trouble.as_ref().filter(|t| now - t.since > STALE_AFTER && now - t.last < SAME_TROUBLE) {
            Some(trouble) => Err(PortError::Failed { action: format!("watch {}", self.what), detail: trouble.text.clone() }),
            None => Ok(state.objects.clone()),
        }
    }

    /// The cluster has no such kind: complete, and empty.
    pub fn has_none(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        *state = State { listed: true, objects: Objects::new(), incoming: Objects::new(), trouble: None };
    }

    /// One object, whatever the state of the watch.
    pub fn get(&self, name: &ObjectName) -> Option<Arc<V>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).objects.get(name).cloned()
    }
}

/// What failed, and the mend where it is known.
fn describe(error: &watcher::Error) -> String {
    let (watcher::Error::InitialListFailed(cause) | watcher::Error::WatchStartFailed(cause) | watcher::Error::WatchFailed(cause)) = error
    else {
        return error.to_string();
    };
    match cause {
        kube::Error::Api(status) if status.code == 404 => {
            "the API server does not know this kind: install the custom resources with `ipa crd | kubectl apply -f -`".to_owned()
        }
        kube::Error::Api(status) if status.code == 403 => format!("{}: apply the RBAC that deploy/ holds", status.message),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::NodeFleet;
    use axum::http::{Request, Response};
    use k8s_openapi::api::core::v1::Pod;
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};

    /// A server that answers every list with this, and whose watches stay open and silent.
    fn client(code: u16, answer: Value) -> Client {
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = serde_json::to_vec(&answer).unwrap();
            async move {
                if request.uri().query().is_some_and(|q| q.contains("watch=true")) {
                    return std::future::pending().await;
                }
                Ok::<_, std::convert::Infallible>(Response::builder().status(code).body(Body::from(answer)).unwrap())
            }
        });
        Client::new(service, "default")
    }

    async fn settled<V: Send + Sync + 'static>(
        cache: &Cache<V>,
        is: impl Fn(&Result<Objects<V>, PortError>) -> bool,
    ) -> Result<Objects<V>, PortError> {
        for _ in 0..200 {
            let objects = cache.objects();
            if is(&objects) {
                return objects;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cache.objects()
    }

    #[tokio::test]
    async fn fault_k11_an_unreadable_object_is_left_out_and_does_not_hold_up_the_list() {
        let cache = Cache::<String>::new("pods");
        assert!(matches!(cache.objects(), Err(PortError::NotReady { what: "pods", .. })), "nothing follows from an empty memory");
        let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": [
            {"metadata": {"name": "whole", "namespace": "shop"}}, {"metadata": {"name": "broken", "namespace": "shop"}, "spec": "none"}]});
        let api = Api::<DeserializeGuard<Pod>>::all(client(200, list));
        tokio::spawn(cache.clone().follow(api, watcher::Config::default(), |o| o.0.ok()?.metadata.name));
        let objects = settled(&cache, Result::is_ok).await.unwrap();
        assert_eq!(objects.keys().map(|n| &*n.name).collect::<Vec<_>>(), ["whole"]);
    }

    #[tokio::test]
    async fn fault_k08_missing_definitions_are_no_crash_and_say_how_to_install_them() {
        let cache = Cache::<()>::new("nodefleets.ipa.dev");
        let missing =
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound", "message": "not found"});
        let api = Api::<DeserializeGuard<NodeFleet>>::all(client(404, missing));
        tokio::spawn(cache.clone().follow(api, watcher::Config::default(), |_| Some(())));
        let names_the_mend = |r: &Result<Objects<()>, PortError>| {
            r.as_ref().is_err_and(|e| matches!(e, PortError::NotReady { .. }) && e.to_string().contains("`ipa crd | kubectl apply -f -`"))
        };
        let error = settled(&cache, names_the_mend).await;
        assert!(names_the_mend(&error), "{error:?}");
    }
}
