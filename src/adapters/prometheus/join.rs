//! Which series belong to which target. Leaves out what is made of their values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::answer::Labels;
use crate::domain::limits::{Group, JoinKey};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::units::Millicores;
use crate::domain::workload::{PodPhase, Workload};

/// What a sample of a target is held against.
#[derive(Clone, Debug)]
pub struct TargetInfo {
    /// Which target.
    pub key: TargetKey,
    /// Container whose CPU and memory count.
    pub container: Option<Arc<str>>,
    /// Its CPU limit, cores.
    pub cpu_limit: Option<f64>,
    /// Its memory limit, bytes.
    pub memory_limit: Option<f64>,
    /// Pods that have been ready long enough to have been scraped.
    pub expected_pods: BTreeSet<Arc<str>>,
    /// Pods there are, one at least.
    pub pods: u32,
    /// Services that lead to it.
    pub services: Vec<Arc<str>>,
    /// Ready replicas: its weight where a Service leads to several targets.
    ready: u32,
}

/// Targets by what series call them.
#[derive(Clone, Debug, Default)]
pub struct TargetIndex {
    /// The targets; others refer to them by position.
    pub targets: Vec<TargetInfo>,
    pods: ByName,
    services: ByName,
    ingresses: ByName,
    workloads: ByName,
}

type ByName = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Vec<usize>>>;

/// Labels that hold a namespace, in order of trust: what the metric is about comes before where it was scraped.
const NAMESPACE: [&str; 4] = ["exported_namespace", "destination_workload_namespace", "k8s_namespace_name", "namespace"];
const POD: [&str; 3] = ["exported_pod", "k8s_pod_name", "pod"];
const SERVICE: [&str; 4] = ["exported_service", "destination_service_name", "k8s_service_name", "service"];
const INGRESS: [&str; 2] = ["exported_ingress", "ingress"];
const WORKLOAD: [&str; 7] =
    ["owner", "destination_workload", "k8s_deployment_name", "k8s_statefulset_name", "workload", "deployment", "statefulset"];
const CONTAINER: [&str; 2] = ["exported_container", "container"];

/// Where a series goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined<'a> {
    /// Targets and the share of the value that is each one's; shares other than 1 only where one Service leads to several targets.
    pub to: Vec<(usize, f64)>,
    /// The label it was joined on.
    pub label: &'static str,
    /// That label's value.
    pub name: &'a str,
}

impl TargetIndex {
    /// The targets that groups name and the cluster has.
    #[must_use]
    pub fn new(
        groups: &BTreeMap<GroupId, Group>,
        workloads: &BTreeMap<TargetKey, Workload>,
        now: Timestamp,
        settle: SignedDuration,
    ) -> Self {
        let named: BTreeMap<&TargetKey, &str> =
            groups.values().flat_map(|g| &g.targets).filter_map(|t| Some((&t.key, t.container.as_deref()?))).collect();
        let mut index = Self::default();
        for (key, workload) in workloads {
            let position = index.targets.len();
            let namespace = &key.namespace;
            let add = |map: &mut ByName, name: &Arc<str>| {
                map.entry(namespace.clone()).or_default().entry(name.clone()).or_default().push(position);
            };
            for pod in &workload.pods {
                add(&mut index.pods, &pod.name);
            }
            for service in &workload.routes.services {
                add(&mut index.services, service);
            }
            for ingress in &workload.routes.ingresses {
                add(&mut index.ingresses, ingress);
            }
            add(&mut index.workloads, &key.name);
            let container = workload.container(named.get(key).copied());
            let settled = |since: Option<Timestamp>| since.is_none_or(|since| now.duration_since(since) >= settle);
            let expected = workload.pods.iter().filter(|p| p.phase == PodPhase::Ready && settled(p.ready_since));
            index.targets.push(TargetInfo {
                key: key.clone(),
                container: container.map(|c| c.name.clone()),
                cpu_limit: container.and_then(|c| c.resources.cpu_limit).map(Millicores::cores),
                memory_limit: container.and_then(|c| c.resources.memory_limit).map(|limit| limit.0 as f64),
                expected_pods: expected.map(|p| p.name.clone()).collect(),
                pods: workload.replicas.current.max(1),
                services: workload.routes.services.clone(),
                ready: workload.replicas.ready,
            });
        }
        index
    }

    /// The targets' namespaces.
    #[must_use]
    pub fn namespaces(&self) -> BTreeSet<&str> {
        self.targets.iter().map(|t| &*t.key.namespace).collect()
    }

    /// The targets a series belongs to; `namespace` where the query was held to one. A series of another container than the target's
    /// belongs to none.
    #[must_use]
    pub fn join<'a>(&self, key: JoinKey, labels: &'a Labels, namespace: Option<&'a str>) -> Option<Joined<'a>> {
        let (map, spellings): (&ByName, &[&'static str]) = match key {
            // A query grouped by owner carries no pod.
            JoinKey::Pod if labels.contains_key("owner") => (&self.workloads, &WORKLOAD),
            JoinKey::Pod => (&self.pods, &POD),
            JoinKey::Service => (&self.services, &SERVICE),
            JoinKey::Ingress => (&self.ingresses, &INGRESS),
            JoinKey::Workload => (&self.workloads, &WORKLOAD),
        };
        let namespace = namespace.or_else(|| first(labels, &NAMESPACE).map(|(_, value)| value))?;
        let (label, name) = first(labels, spellings)?;
        let container = first(labels, &CONTAINER).map(|(_, value)| value);
        let positions = map.get(namespace)?.get(name)?;
        let mine = |position: &&usize| container.is_none_or(|c| self.targets[**position].container.as_deref().is_none_or(|own| own == c));
        let ready: f64 = positions.iter().map(|p| f64::from(self.targets[*p].ready)).sum();
        let share = |position: usize| match positions.len() {
            1 => 1.0,
            n if ready <= 0.0 => 1.0 / n as f64,
            _ => f64::from(self.targets[position].ready) / ready,
        };
        Some(Joined { to: positions.iter().filter(mine).map(|p| (*p, share(*p))).collect(), label, name })
    }
}

fn first<'a>(labels: &'a Labels, spellings: &[&'static str]) -> Option<(&'static str, &'a str)> {
    spellings.iter().find_map(|label| Some((*label, labels.get(*label).filter(|v| !v.is_empty())?.as_str())))
}
