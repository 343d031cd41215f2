//! What the simulated cluster shows of itself, in the words that the kube adapter uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::CONTAINER;
use super::nodes::{SimNode, SimPool};
use super::pods::SimPod;
use super::workload::SimWorkload;
use super::world::{World, time};
use crate::domain::fleet::{Node, NodePool};
use crate::domain::snapshot::{ClusterFacts, QueuedProposal, Quota, QuotaAmounts};
use crate::domain::units::{Bytes, Millicores};
use crate::domain::workload::{
    Autoscaler, AutoscalerKind, Container, DisruptionBudget, Pod, PodShape, PodTemplate, ReplicaCounts, Requirement, RequirementOperator,
    ResourceList, Rollout, Routes, Workload,
};

impl World {
    /// All facts at this moment; the queue is kept elsewhere and handed in.
    #[must_use]
    pub fn facts(&self, queue: Vec<QueuedProposal>) -> ClusterFacts {
        ClusterFacts {
            groups: self.groups.clone(),
            rejected: Vec::new(),
            guardrails: self.guardrails.clone(),
            fleets: self.fleets.clone(),
            workloads: self.workloads.iter().map(|workload| (workload.spec.key.clone(), workload.facts(self))).collect(),
            nodes: self.nodes.iter().map(|node| node.facts(self.now)).collect(),
            node_pools: self.pools.iter().map(SimPool::facts).collect(),
            quotas: self.quotas.iter().map(|(namespace, quota)| (namespace.clone(), vec![self.quota_in_use(namespace, quota)])).collect(),
            limit_ranges: BTreeMap::new(),
            events: self.events.snapshot(self.now),
            queue,
            resizes_in_place: true,
        }
    }

    fn quota_in_use(&self, namespace: &Arc<str>, quota: &Quota) -> Quota {
        let mut used = ResourceList::default();
        let pods = self.workloads.iter().filter(|w| w.spec.key.namespace == *namespace).flat_map(|w| &w.pods);
        pods.for_each(|pod| used.add(&pod.requests(), 1));
        let used = QuotaAmounts { cpu: Some(used.cpu), memory: Some(used.memory), pods: Some(u64::from(used.pods)) };
        Quota { used, ..quota.clone() }
    }
}

impl SimWorkload {
    fn facts(&self, world: &World) -> Workload {
        let alive = self.pods.iter().filter(|pod| !pod.is_ending()).count() as u32;
        Workload {
            key: self.spec.key.clone(),
            uid: self.uid.clone(),
            generation: self.generation,
            resource_version: self.resource_version.to_string().into(),
            replicas: ReplicaCounts { desired: self.desired, current: alive, ready: self.ready() },
            rollout: if self.rolling() { Rollout::Progressing } else { Rollout::Complete },
            template: self.template(),
            resized: self.resized_facts(),
            pods: self.pods.iter().map(|pod| pod.facts(self.revision, world)).collect(),
            writers: self.writers.clone(),
            autoscalers: self.autoscalers(),
            disruption_budgets: self.disruption_budgets(),
            annotations: BTreeMap::new(),
            routes: Routes { services: vec![self.spec.key.name.clone()], ingresses: Vec::new() },
            created: None,
        }
    }

    fn template(&self) -> PodTemplate {
        PodTemplate {
            hash: format!("{:08x}-{}", self.seed >> 32, self.revision).into(),
            containers: vec![Container { name: CONTAINER.into(), resources: self.resources }],
            shape: PodShape {
                requests: ResourceList {
                    cpu: self.resources.cpu_request.unwrap_or_default(),
                    memory: self.resources.memory_request.unwrap_or_default(),
                    pods: 1,
                    ..ResourceList::default()
                },
                node_terms: Vec::new(),
                tolerations: Vec::new(),
            },
        }
    }

    fn autoscalers(&self) -> Vec<Autoscaler> {
        let hpa = self.spec.hpa.map(|hpa| Autoscaler {
            kind: AutoscalerKind::HPA,
            name: self.spec.key.name.clone(),
            min: Some(hpa.min),
            max: Some(hpa.max),
            cpu_target_percent: Some(hpa.cpu_percent),
            active: true,
        });
        hpa.into_iter().collect()
    }

    fn disruption_budgets(&self) -> Vec<DisruptionBudget> {
        let budget = self.spec.min_available.map(|min| DisruptionBudget {
            name: self.spec.key.name.clone(),
            min_available: Some(min),
            disruptions_allowed: self.ready().saturating_sub(min),
            current_healthy: self.ready(),
            desired_healthy: min,
        });
        budget.into_iter().collect()
    }
}

impl SimPod {
    pub(super) fn facts(&self, revision: u32, world: &World) -> Pod {
        Pod {
            name: self.name.clone(),
            node: self.node.and_then(|number| world.node(number)).map(|node| node.name.clone()),
            phase: self.phase,
            created: Some(time(self.created)),
            scheduled: self.scheduled.map(time),
            ready_since: self.ready_since.map(time),
            restarts: self.restarts,
            oom_killed: self.oom_killed,
            current_template: self.revision == revision,
            size: self.size(),
        }
    }
}

impl SimNode {
    fn facts(&self, now: i64) -> Node {
        let ready = self.ready_at <= now;
        Node {
            name: self.name.clone(),
            labels: self.labels.clone(),
            taints: Vec::new(),
            allocatable: self.allocatable.clone(),
            requested: self.requested.clone(),
            ready,
            unschedulable: self.cordoned,
            created: Some(time(self.launched)),
            ready_since: ready.then(|| time(self.ready_at)),
            pool: Some(self.pool.clone()),
            price_per_hour: Some(self.price_per_hour),
        }
    }
}

impl SimPool {
    fn facts(&self) -> NodePool {
        let one_of = |key: &str, mut values: Vec<Arc<str>>| {
            values.sort();
            Requirement { key: key.into(), operator: RequirementOperator::In, values }
        };
        let capacity_types = self.capacity_types.iter().map(|c| c.label().into()).collect();
        NodePool {
            name: self.name.clone(),
            requirements: [
                one_of("karpenter.sh/capacity-type", capacity_types),
                one_of("node.kubernetes.io/instance-type", self.instance_types.clone()),
            ]
            .into_iter()
            .chain((!self.zones.is_empty()).then(|| one_of("topology.kubernetes.io/zone", self.zones.clone())))
            .collect(),
            taints: Vec::new(),
            limits: self.limits.clone().or_else(|| self.limit_of_count()),
            weight: self.weight,
        }
    }

    /// A pool that is limited by a count of nodes shows it as the most that so many of its largest machines hold.
    fn limit_of_count(&self) -> Option<ResourceList> {
        let cpu = self.options.iter().map(|o| o.allocatable.cpu).max()?;
        let memory = self.options.iter().map(|o| o.allocatable.memory).max()?;
        Some(ResourceList {
            cpu: Millicores(cpu.0.saturating_mul(u64::from(self.max))),
            memory: Bytes(memory.0.saturating_mul(u64::from(self.max))),
            ..ResourceList::default()
        })
    }
}
