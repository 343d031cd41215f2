//! Nodes: pods are bound to those there are, new ones are bought for pods without a place, empty ones are given back.
//!
//! Binding spreads as kube-scheduler does by default: the node that is left emptiest, less a little for each pod of the same workload. Buying
//! takes what is cheapest for each pod it takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::scenario::PoolSpec;
use super::world::{ScenarioError, World};
use crate::domain::fleet::{CapacityType, Catalogue};
use crate::domain::snapshot::EventReason;
use crate::domain::units::MicroUsd;
use crate::domain::workload::{PodPhase, ResourceList};
use crate::scheduling;
use crate::service::{mix, pod_price};

/// A node without pods is given back after so many seconds.
const EMPTY_S: i64 = 60;
/// What a pod of the same workload on a node counts against it, in points of a hundred.
const SPREAD: i64 = 10;

/// One simulated node.
#[derive(Clone, Debug)]
pub(super) struct SimNode {
    /// Counts up with each launch; nodes are sorted by it.
    pub(super) number: u64,
    pub(super) name: Arc<str>,
    pub(super) pool: Arc<str>,
    pub(super) zone: Arc<str>,
    pub(super) capacity_type: CapacityType,
    pub(super) labels: BTreeMap<Arc<str>, Arc<str>>,
    pub(super) allocatable: ResourceList,
    pub(super) requested: ResourceList,
    /// What it costs when nothing has changed prices, and what it costs now.
    pub(super) list_price: MicroUsd,
    pub(super) price_per_hour: MicroUsd,
    pub(super) launched: i64,
    pub(super) ready_at: i64,
    /// Nothing new is put on it: it is about to be taken away.
    pub(super) cordoned: bool,
    /// Share of its speed that it works at.
    pub(super) speed: f64,
    pub(super) empty_since: Option<i64>,
}

/// One simulated pool.
#[derive(Clone, Debug)]
pub(super) struct SimPool {
    pub(super) name: Arc<str>,
    pub(super) instance_types: Vec<Arc<str>>,
    /// Empty means all.
    pub(super) zones: Vec<Arc<str>>,
    pub(super) capacity_types: Vec<CapacityType>,
    pub(super) provisioning_s: u32,
    pub(super) max: u32,
    /// Most resources in use, where the pool says so.
    pub(super) limits: Option<ResourceList>,
    pub(super) weight: u32,
    /// What it may buy, cheapest first.
    pub(super) options: Vec<PoolOption>,
}

/// One thing a pool may buy.
#[derive(Clone, Debug)]
pub(super) struct PoolOption {
    pub(super) labels: BTreeMap<Arc<str>, Arc<str>>,
    pub(super) zone: Arc<str>,
    pub(super) capacity_type: CapacityType,
    pub(super) allocatable: ResourceList,
    pub(super) price_per_hour: MicroUsd,
}

impl SimNode {
    /// What is left to request.
    pub(super) fn room(&self) -> ResourceList {
        self.allocatable.minus(&self.requested)
    }

    /// When it changes by itself.
    pub(super) fn due(&self, now: i64) -> Option<i64> {
        if self.ready_at > now { Some(self.ready_at) } else { self.empty_since.map(|since| since + EMPTY_S) }
    }
}

impl SimPool {
    /// The pool of a scenario that names none: machines on demand, at once, without limit, of the type on which the largest of these pods costs
    /// least.
    pub(super) fn ample(pods: &[ResourceList], catalogue: &Catalogue) -> Option<PoolSpec> {
        let mut largest = ResourceList { pods: 1, ..ResourceList::default() };
        for pod in pods {
            largest.cpu = largest.cpu.max(pod.cpu);
            largest.memory = largest.memory.max(pod.memory);
        }
        let fitting = catalogue.types.values().filter(|machine| largest.fits(&machine.allocatable));
        let price = |name: &str, machine: &ResourceList| {
            let list = catalogue.price(name, None, CapacityType::OnDemand)?;
            Some((pod_price(&largest, machine, list), list))
        };
        let (_, name) = fitting.filter_map(|machine| Some((price(&machine.name, &machine.allocatable)?, machine.name.clone()))).min()?;
        Some(PoolSpec {
            name: "ample".into(),
            instance_types: vec![name],
            zones: Vec::new(),
            capacity_types: vec![CapacityType::OnDemand],
            provisioning_s: 0,
            max: u32::MAX,
        })
    }

    /// Pools as a scenario asks for them.
    pub(super) fn all(specs: Vec<PoolSpec>, catalogue: &Catalogue) -> Result<Vec<Self>, ScenarioError> {
        specs
            .into_iter()
            .map(|spec| {
                let mut pool = Self {
                    options: Vec::new(),
                    name: spec.name,
                    instance_types: spec.instance_types,
                    zones: spec.zones,
                    capacity_types: spec.capacity_types,
                    provisioning_s: spec.provisioning_s,
                    max: spec.max,
                    limits: None,
                    weight: 1,
                };
                pool.options = pool.find_options(catalogue);
                let bought = |name: &Arc<str>| pool.options.iter().any(|o| o.labels.get(INSTANCE_TYPE) == Some(name));
                match pool.instance_types.iter().find(|name| !bought(name)) {
                    Some(missing) => Err(ScenarioError::UnknownInstanceType { pool: pool.name.clone(), instance_type: missing.clone() }),
                    None => Ok(pool),
                }
            })
            .collect()
    }

    /// What the catalogue offers of what the pool may buy, cheapest first.
    pub(super) fn find_options(&self, catalogue: &Catalogue) -> Vec<PoolOption> {
        let types = self.instance_types.iter().filter_map(|name| catalogue.types.get(name));
        let mut options: Vec<PoolOption> = types
            .flat_map(|t| t.offerings.iter().map(move |o| (t, o)))
            .filter(|(_, o)| self.capacity_types.contains(&o.capacity_type) && (self.zones.is_empty() || self.zones.contains(&o.zone)))
            .map(|(t, offering)| {
                let mut labels = t.labels.clone();
                labels.insert(INSTANCE_TYPE.into(), t.name.clone());
                labels.insert("topology.kubernetes.io/zone".into(), offering.zone.clone());
                labels.insert("karpenter.sh/capacity-type".into(), offering.capacity_type.label().into());
                labels.insert("karpenter.sh/nodepool".into(), self.name.clone());
                PoolOption {
                    labels,
                    zone: offering.zone.clone(),
                    capacity_type: offering.capacity_type,
                    allocatable: t.allocatable.clone(),
                    price_per_hour: offering.price_per_hour,
                }
            })
            .collect();
        options.sort_by(|a, b| (a.price_per_hour, &a.labels).cmp(&(b.price_per_hour, &b.labels)));
        options
    }
}

const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";

impl World {
    /// Places the pods of the start on nodes that have always been there, and makes them ready.
    pub(super) fn place_first_pods(&mut self) -> Result<(), ScenarioError> {
        // Binding spreads where buying packs, so that what was bought may not do at first.
        loop {
            let (before, unplaced) = (self.nodes.len(), self.pending().len());
            self.provision();
            if unplaced > 0 && self.nodes.len() == before {
                return Err(ScenarioError::NoRoom { pods: unplaced });
            }
            for node in &mut self.nodes {
                node.launched = self.start - 86_400;
                node.ready_at = node.launched + 60;
            }
            self.schedule();
            if self.pending().is_empty() {
                break;
            }
        }
        for workload in &mut self.workloads {
            let startup_s = workload.spec.startup.p50_s.round() as i64;
            for pod in &mut workload.pods {
                pod.phase = PodPhase::Ready;
                pod.due = None;
                pod.scheduled = Some(pod.created);
                pod.container_started = pod.created;
                pod.ready_since = Some(pod.created + startup_s);
            }
        }
        self.events.clear();
        self.settle();
        Ok(())
    }

    /// Pods that have ended are gone and leave their room.
    pub(super) fn take_ended_pods(&mut self) {
        let (nodes, now) = (&mut self.nodes, self.now);
        for workload in &mut self.workloads {
            workload.take_ended(now, |number, requests| {
                if let Ok(at) = nodes.binary_search_by_key(&number, |node| node.number) {
                    nodes[at].requested = nodes[at].requested.minus(requests);
                }
            });
        }
    }

    /// The node of that number.
    pub(super) fn node(&self, number: u64) -> Option<&SimNode> {
        self.nodes.binary_search_by_key(&number, |node| node.number).ok().map(|at| &self.nodes[at])
    }

    /// Nodes are gone at once, and what runs on them.
    pub(super) fn lose_nodes(&mut self, numbers: &[u64]) {
        for workload in &mut self.workloads {
            workload.evict(self.now, numbers, &mut self.events);
        }
        self.nodes.retain(|node| !numbers.contains(&node.number));
    }

    /// Binds pending pods to ready nodes, in the order in which they were made.
    pub(super) fn schedule(&mut self) {
        for (index, pod_index) in self.pending() {
            let workload = &self.workloads[index];
            let requests = workload.pods[pod_index].requests();
            let alike = |node: &SimNode| workload.pods.iter().filter(|pod| pod.node == Some(node.number)).count();
            let score = |node: &SimNode| {
                let emptiness = scheduling::least_allocated(&requests, &node.allocatable, &node.room());
                emptiness.cast_signed() - SPREAD * i64::try_from(alike(node)).unwrap_or(i64::MAX / SPREAD)
            };
            let usable = |node: &SimNode| node.ready_at <= self.now && !node.cordoned;
            let fitting = self.nodes.iter().enumerate().filter(|(_, node)| usable(node) && requests.fits(&node.room()));
            let best = fitting
                .map(|(at, node)| (at, score(node)))
                .max_by(|a, b| a.1.cmp(&b.1).then_with(|| self.nodes[b.0].name.cmp(&self.nodes[a.0].name)));
            let workload = &mut self.workloads[index];
            let pod = &mut workload.pods[pod_index];
            if let Some((at, _)) = best {
                let node = &mut self.nodes[at];
                node.requested.add(&requests, 1);
                pod.bind(node.number, self.now, &workload.spec.startup, workload.seed);
            } else if !pod.place_missed {
                pod.place_missed = true;
                self.events.note(self.now, &workload.spec.key, "Pod", EventReason::FailedScheduling);
            }
        }
    }

    /// Buys nodes for pods that have no place on those there are or that boot.
    pub(super) fn provision(&mut self) {
        let mut waiting: Vec<(usize, ResourceList)> =
            self.pending().into_iter().map(|(index, pod)| (index, self.workloads[index].pods[pod].requests())).collect();
        let mut rooms: Vec<ResourceList> =
            self.nodes.iter().filter(|node| node.ready_at > self.now && !node.cordoned).map(SimNode::room).collect();
        waiting.retain(|(_, requests)| !take_first(&mut rooms, requests));
        waiting.sort_by(|a, b| (b.1.cpu, b.1.memory, a.0).cmp(&(a.1.cpu, a.1.memory, b.0)));
        while !waiting.is_empty() {
            let Some((pool, option)) = self.cheapest(&waiting) else { break };
            let mut room = [option.allocatable.clone()];
            waiting.retain(|(index, requests)| {
                let placed = take_first(&mut room, requests);
                if placed {
                    self.events.note(self.now, &self.workloads[*index].spec.key, "Pod", EventReason::Nominated);
                }
                !placed
            });
            self.launch(pool, option);
        }
    }

    /// Gives nodes back that have been empty for a while.
    pub(super) fn consolidate(&mut self) {
        let now = self.now;
        for node in &mut self.nodes {
            let empty = node.ready_at <= now && node.requested.pods == 0;
            node.empty_since = if empty { node.empty_since.or(Some(now)) } else { None };
        }
        self.nodes.retain(|node| node.empty_since.is_none_or(|since| since + EMPTY_S > now));
    }

    pub(super) fn pending(&self) -> Vec<(usize, usize)> {
        let mut pending: Vec<(i64, usize, usize)> = Vec::new();
        for (index, workload) in self.workloads.iter().enumerate() {
            let unbound = workload.pods.iter().enumerate().filter(|(_, pod)| pod.phase == PodPhase::Pending);
            pending.extend(unbound.map(|(at, pod)| (pod.created, index, at)));
        }
        pending.sort_unstable();
        pending.into_iter().map(|(_, index, at)| (index, at)).collect()
    }

    /// The pool (by index) and the machine whose price for each waiting pod it takes is least.
    fn cheapest(&self, waiting: &[(usize, ResourceList)]) -> Option<(usize, PoolOption)> {
        let mut best: Option<(f64, usize, &PoolOption)> = None;
        for (index, pool) in self.pools.iter().enumerate() {
            let of_pool = || self.nodes.iter().filter(|node| node.pool == pool.name);
            if of_pool().count() as u32 >= pool.max {
                continue;
            }
            let mut in_use = ResourceList::default();
            of_pool().for_each(|node| in_use.add(&node.allocatable, 1));
            let within =
                |option: &PoolOption| pool.limits.as_ref().is_none_or(|limits| within_limits(&option.allocatable, &in_use, limits));
            let had = |option: &&PoolOption| within(option) && !self.is_short(&pool.name, &option.zone);
            for option in pool.options.iter().filter(had) {
                let mut room = [option.allocatable.clone()];
                let taken = waiting.iter().filter(|(_, requests)| take_first(&mut room, requests)).count();
                let price = option.price_per_hour.0 as f64 * self.price_factor(&pool.name, &option.zone) / taken as f64;
                if taken > 0 && best.is_none_or(|(least, _, _)| price < least) {
                    best = Some((price, index, option));
                }
            }
        }
        best.map(|(_, index, option)| (index, option.clone()))
    }

    fn launch(&mut self, pool: usize, option: PoolOption) {
        self.nodes_launched += 1;
        let pool = &self.pools[pool];
        let share = mix(self.seed ^ self.nodes_launched) as f64 / u64::MAX as f64;
        let provisioning_s = f64::from(pool.provisioning_s) * (0.9 + 0.2 * share);
        self.nodes.push(SimNode {
            number: self.nodes_launched,
            name: format!("{}-{:05x}", pool.name, mix(self.seed ^ self.nodes_launched) >> 44).into(),
            pool: pool.name.clone(),
            zone: option.zone,
            capacity_type: option.capacity_type,
            labels: option.labels,
            allocatable: option.allocatable,
            requested: ResourceList::default(),
            list_price: option.price_per_hour,
            price_per_hour: option.price_per_hour,
            launched: self.now,
            ready_at: self.now + provisioning_s.round() as i64,
            cordoned: false,
            speed: 1.0,
            empty_since: None,
        });
    }
}

/// Takes a pod's requests from the first room they fit into.
fn take_first(rooms: &mut [ResourceList], requests: &ResourceList) -> bool {
    match rooms.iter_mut().find(|room| requests.fits(room)) {
        Some(room) => {
            *room = room.minus(requests);
            true
        }
        None => false,
    }
}

fn within_limits(machine: &ResourceList, in_use: &ResourceList, limits: &ResourceList) -> bool {
    (limits.cpu.0 == 0 || machine.cpu + in_use.cpu <= limits.cpu)
        && (limits.memory.0 == 0 || machine.memory + in_use.memory <= limits.memory)
}
