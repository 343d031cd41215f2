//! What leads to a target: the Services that select its pods (or whose end points name them), and the Ingresses that lead to these alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressBackend};

use super::cache::Objects;
use super::meta::ObjectName;
use super::selectors::{LabelMatch, Labels, SelectorIndex};
use crate::domain::workload::{Pod, Routes};

/// Label by which an `EndpointSlice` names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// End points that somebody else than Kubernetes' own controller keeps: those of Services without a selector. The others follow from
/// selectors and are not watched, since there are as many of them as pods.
pub const FOREIGN_SLICES: &str = "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io";

/// A Service, as far as it leads to pods.
#[derive(Clone, Debug)]
pub struct LeanService {
    selector: LabelMatch,
}

/// End points of a Service without a selector.
#[derive(Clone, Debug)]
pub struct LeanEndpoints {
    service: Arc<str>,
    pods: BTreeSet<Arc<str>>,
}

/// An Ingress, as the Services behind it.
#[derive(Clone, Debug)]
pub struct LeanIngress {
    services: BTreeSet<Arc<str>>,
}

impl LeanService {
    /// From a Service.
    pub fn from_service(object: &Service) -> Self {
        let empty = Labels::new();
        let selector = object.spec.as_ref().and_then(|s| s.selector.as_ref()).unwrap_or(&empty);
        Self { selector: LabelMatch::from_labels(selector) }
    }
}

impl LeanEndpoints {
    /// From an `EndpointSlice` that names its Service.
    pub fn from_slice(object: &EndpointSlice) -> Option<Self> {
        let service = object.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
        let pods = object
            .endpoints
            .iter()
            .filter_map(|e| e.target_ref.as_ref())
            .filter(|r| r.kind.as_deref() == Some("Pod"))
            .filter_map(|r| r.name.as_deref().map(Into::into));
        Some(Self { service: service.as_str().into(), pods: pods.collect() })
    }
}

impl LeanIngress {
    /// From an Ingress.
    pub fn from_ingress(object: &Ingress) -> Self {
        let spec = object.spec.as_ref();
        let by_default = spec.and_then(|s| s.default_backend.as_ref());
        let by_rule = spec
            .iter()
            .flat_map(|s| s.rules.iter().flatten())
            .filter_map(|r| r.http.as_ref())
            .flat_map(|http| http.paths.iter().map(|path| &path.backend));
        let service = |backend: &IngressBackend| backend.service.as_ref().map(|s| s.name.as_str().into());
        Self { services: by_default.into_iter().chain(by_rule).filter_map(service).collect() }
    }
}

/// Everything that leads anywhere, indexed.
#[derive(Debug)]
pub struct RouteIndex<'a> {
    services: SelectorIndex<'a, Arc<str>>,
    services_of_pod: BTreeMap<(&'a str, &'a str), Vec<Arc<str>>>,
    /// Ingresses by the one Service behind them, where it is one.
    ingresses: BTreeMap<(&'a str, &'a str), Vec<Arc<str>>>,
}

impl<'a> RouteIndex<'a> {
    /// Indexes services, foreign end points and ingresses.
    pub fn new(services: &'a Objects<LeanService>, endpoints: &'a Objects<LeanEndpoints>, ingresses: &'a Objects<LeanIngress>) -> Self {
        let mut services_of_pod: BTreeMap<_, Vec<Arc<str>>> = BTreeMap::new();
        for (name, slice) in endpoints {
            for pod in &slice.pods {
                services_of_pod.entry((&*name.namespace, &**pod)).or_default().push(slice.service.clone());
            }
        }
        let mut by_service: BTreeMap<_, Vec<Arc<str>>> = BTreeMap::new();
        for (name, ingress) in ingresses {
            // A series of an ingress that leads to several services cannot be shared out among them.
            if let (Some(service), 1) = (ingress.services.first(), ingress.services.len()) {
                by_service.entry((&*name.namespace, &**service)).or_default().push(name.name.clone());
            }
        }
        Self {
            services: SelectorIndex::new(services.iter().map(|(name, s)| (&name.namespace, &s.selector, name.name.clone()))),
            services_of_pod,
            ingresses: by_service,
        }
    }

    /// What leads to a target, by the labels its pods carry and by the pods it has.
    pub fn routes_of(&self, target: &ObjectName, template_labels: &Labels, pods: &[Pod]) -> Routes {
        let mut services: BTreeSet<Arc<str>> = self.services.matching(&target.namespace, template_labels).into_iter().collect();
        for pod in pods {
            services.extend(self.services_of_pod.get(&(&*target.namespace, &*pod.name)).into_iter().flatten().cloned());
        }
        let ingresses: BTreeSet<Arc<str>> =
            services.iter().filter_map(|s| self.ingresses.get(&(&*target.namespace, &**s))).flatten().cloned().collect();
        Routes { services: services.into_iter().collect(), ingresses: ingresses.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::resize::PodSize;
    use crate::domain::workload::PodPhase;
    use serde_json::{Value, json};

    fn objects<V>(entries: impl IntoIterator<Item = (&'static str, V)>) -> Objects<V> {
        entries.into_iter().map(|(name, value)| (ObjectName::new("shop", name), Arc::new(value))).collect()
    }

    fn ingress(backends: &[&str]) -> LeanIngress {
        let paths: Vec<Value> =
            backends.iter().map(|b| json!({"path": "/", "pathType": "Prefix", "backend": {"service": {"name": b}}})).collect();
        LeanIngress::from_ingress(&serde_json::from_value(json!({"spec": {"rules": [{"http": {"paths": paths}}]}})).unwrap())
    }

    #[test]
    fn services_come_by_selector_or_end_point_and_ingresses_only_where_they_lead_nowhere_else() {
        let service =
            |selector: Value| LeanService::from_service(&serde_json::from_value(json!({"spec": {"selector": selector}})).unwrap());
        let services =
            objects([("web", service(json!({"app": "web"}))), ("api", service(json!({"app": "api"}))), ("manual", service(json!(null)))]);
        let slice = json!({"addressType": "IPv4", "metadata": {"labels": {SERVICE_NAME: "manual"}},
            "endpoints": [{"addresses": [], "targetRef": {"kind": "Pod", "name": "web-1"}}, {"addresses": []}]});
        let endpoints = objects([("manual-x", LeanEndpoints::from_slice(&serde_json::from_value(slice).unwrap()).unwrap())]);
        let ingresses = objects([("one", ingress(&["web", "web"])), ("two", ingress(&["web", "api"])), ("empty", ingress(&[]))]);
        let index = RouteIndex::new(&services, &endpoints, &ingresses);
        let pod = Pod {
            name: "web-1".into(),
            node: None,
            phase: PodPhase::Ready,
            created: None,
            scheduled: None,
            ready_since: None,
            restarts: 0,
            oom_killed: false,
            current_template: true,
            size: PodSize::default(),
        };
        let labels = Labels::from([("app".into(), "web".into())]);
        let routes = index.routes_of(&ObjectName::new("shop", "web"), &labels, &[pod]);
        assert_eq!(routes, Routes { services: vec!["manual".into(), "web".into()], ingresses: vec!["one".into()] });
        assert_eq!(index.routes_of(&ObjectName::new("other", "web"), &labels, &[]), Routes::default());
    }
}
