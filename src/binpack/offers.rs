//! What may be bought: each type, zone and way to pay that a pool's requirements and its fleet allow.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{PackRequest, PodClass};
use crate::domain::fleet::{CapacityType, InstanceType, Node, NodePool};
use crate::domain::limits::Fleet;
use crate::domain::units::{Bytes, MicroUsd, Millicores};
use crate::domain::workload::{PodShape, Requirement, RequirementOperator, ResourceList};
use crate::scheduling::{Labels, Unfit, fits_in, matches_terms, satisfies, tolerates_all};

const ZONE: &str = "topology.kubernetes.io/zone";
const CAPACITY_TYPE: &str = "karpenter.sh/capacity-type";
const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
const NODE_POOL: &str = "karpenter.sh/nodepool";

/// One way to get one node.
#[derive(Clone, Debug)]
pub(super) struct Offer<'a> {
    pub instance: &'a InstanceType,
    pub zone: &'a Arc<str>,
    pub capacity_type: CapacityType,
    pub price: MicroUsd,
    pub pool: &'a NodePool,
    pub fleet: Option<&'a Fleet>,
}

impl Labels for Offer<'_> {
    fn label(&self, key: &str) -> Option<&str> {
        match key {
            ZONE => Some(self.zone),
            CAPACITY_TYPE => Some(self.capacity_type.label()),
            INSTANCE_TYPE => Some(&self.instance.name),
            NODE_POOL => Some(&self.pool.name),
            _ => {
                let own = self.instance.labels.get(key).map(|value| &**value);
                let family = || key.ends_with("/instance-family").then_some(&*self.instance.family);
                own.or_else(family).or_else(|| self.pool_label(key))
            }
        }
    }
}

impl Offer<'_> {
    /// Whether a label is a machine's own, so that no pool can give it.
    fn of_machine(&self, key: &str) -> bool {
        matches!(key, ZONE | CAPACITY_TYPE | INSTANCE_TYPE) || self.instance.labels.contains_key(key) || key.starts_with("karpenter.k8s.")
    }

    /// A label that the pool puts on its nodes: a requirement with one value becomes one.
    fn pool_label(&self, key: &str) -> Option<&str> {
        if self.of_machine(key) {
            return None;
        }
        self.pool.requirements.iter().find_map(|r| match (&*r.key == key, r.operator, r.values.as_slice()) {
            (true, RequirementOperator::In, [only]) => Some(&**only),
            _ => None,
        })
    }

    /// Whether the pool would make such a node. A requirement on a label that types do not carry is one the pool sets itself.
    fn allowed_by_pool(&self) -> bool {
        let checked = |r: &Requirement| !self.of_machine(&r.key) || satisfies(self, r);
        self.pool.requirements.iter().all(checked)
    }

    fn allowed_by_fleet(&self) -> bool {
        self.fleet.is_none_or(|fleet| {
            (fleet.families.is_empty() || fleet.families.contains(&self.instance.family))
                && (fleet.zones.is_empty() || fleet.zones.contains(self.zone))
                && fleet.capacity_types.contains(&self.capacity_type)
        })
    }

    /// Whether a pod may go there, room aside.
    pub fn takes(&self, pod: &PodShape) -> Result<(), Unfit> {
        matches_terms(&pod.node_terms, self)?;
        tolerates_all(&pod.tolerations, &self.pool.taints)
    }
}

/// A pod's requests, counted as one pod whatever the shape says.
pub(super) fn one_pod(requests: &ResourceList) -> ResourceList {
    ResourceList { pods: requests.pods.max(1), ..requests.clone() }
}

/// The types of a pool that are large enough for `largest`, cheapest by the worth of what they hold first.
pub(super) fn types_for<'a>(request: &PackRequest<'a>, pool: &'a NodePool, largest: &ResourceList) -> Vec<Arc<str>> {
    let offers = of_pool(request, pool, false);
    let rates = super::bound::Rates::of(&request.pods, &offers);
    let mut ranked: BTreeMap<&Arc<str>, f64> = BTreeMap::new();
    for offer in offers.iter().filter(|offer| one_pod(largest).fits(&offer.instance.allocatable)) {
        let dear = offer.price.0 as f64 / rates.of_pod(&offer.instance.allocatable);
        ranked.entry(&offer.instance.name).and_modify(|best| *best = best.min(dear)).or_insert(dear);
    }
    let mut ranked: Vec<(&Arc<str>, f64)> = ranked.into_iter().collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(b.0)));
    ranked.into_iter().map(|(name, _)| name.clone()).collect()
}

/// All that may be bought for the classes with pods `left`, in a fixed order, without what can be of no use.
pub(super) fn offers<'a>(request: &PackRequest<'a>, left: &[u32]) -> Vec<Offer<'a>> {
    let waiting: Vec<&PodClass> = request.pods.iter().zip(left).filter(|(_, left)| **left > 0).map(|(class, _)| class).collect();
    let mentions = |key: &str| waiting.iter().any(|c| c.shape.node_terms.iter().flatten().any(|r| &*r.key == key));
    let places_matter = mentions(ZONE) || mentions(CAPACITY_TYPE) || request.fleets.iter().any(|f| f.least_on_demand_percent > 0);
    let labels_matter = waiting.iter().any(|class| !class.shape.node_terms.is_empty());
    let mut out = Vec::new();
    for pool in request.pools {
        let of_pool = of_pool(request, pool, places_matter);
        out.extend(if labels_matter || places_matter { of_pool } else { undominated(of_pool) });
    }
    out
}

/// What one pool may add; where places do not matter, the cheapest place of each type.
fn of_pool<'a>(request: &PackRequest<'a>, pool: &'a NodePool, places_matter: bool) -> Vec<Offer<'a>> {
    let fleet = request.fleets.iter().copied().find(|fleet| fleet.pools.contains(&pool.name));
    let mut out = Vec::new();
    for instance in request.catalogue.types.values() {
        let offers = instance.offerings.iter().filter(|o| o.price_per_hour.0 >= 0);
        let mut of_type: Vec<Offer<'a>> = offers
            .map(|o| Offer { instance, zone: &o.zone, capacity_type: o.capacity_type, price: o.price_per_hour, pool, fleet })
            .filter(|offer| offer.allowed_by_fleet() && offer.allowed_by_pool())
            .collect();
        of_type.sort_by(|a, b| (a.price, a.zone, a.capacity_type).cmp(&(b.price, b.zone, b.capacity_type)));
        if !places_matter {
            of_type.truncate(1);
        }
        out.append(&mut of_type);
    }
    out
}

/// Drops offers that another one beats or equals in every resource at no higher price.
fn undominated(mut offers: Vec<Offer<'_>>) -> Vec<Offer<'_>> {
    // Cheapest first, the larger of two at one price first: only an earlier offer can dominate a later one.
    offers.sort_by(|a, b| {
        (a.price, std::cmp::Reverse(&a.instance.allocatable), &a.instance.name).cmp(&(
            b.price,
            std::cmp::Reverse(&b.instance.allocatable),
            &b.instance.name,
        ))
    });
    let mut kept: Vec<Offer<'_>> = Vec::new();
    for offer in offers {
        if !kept.iter().any(|k| offer.instance.allocatable.fits(&k.instance.allocatable)) {
            kept.push(offer);
        }
    }
    kept
}

/// What a pool, and its fleet over all its pools, may still add; `u64::MAX` where nothing limits it.
pub(super) struct Allowance {
    pub pools: Vec<(u64, u64)>,
    pub fleets: Vec<(u64, u64)>,
    /// On demand and in all, of CPU, by fleet.
    pub shares: Vec<(u64, u64)>,
}

impl Allowance {
    pub fn of(request: &PackRequest<'_>) -> Self {
        let in_use = |pools: &[&Arc<str>], filter: &dyn Fn(&Node) -> bool| {
            let mut used = ResourceList::default();
            let of_pools = request.nodes.iter().filter(|n| n.pool.as_ref().is_some_and(|p| pools.contains(&p)));
            of_pools.filter(|n| filter(n)).for_each(|n| used.add(&n.allocatable, 1));
            used
        };
        let left = |limit: Option<u64>, used: u64| limit.map_or(u64::MAX, |limit| limit.saturating_sub(used));
        let pools = request.pools.iter().map(|pool| {
            let used = in_use(&[&pool.name], &|_| true);
            // A limit of 0 is how an absent one arrives in a resource list.
            let set = |value: u64| (value > 0).then_some(value);
            let limits = pool.limits.as_ref();
            let cpu = left(limits.and_then(|l| set(l.cpu.0)), used.cpu.0);
            (cpu, left(limits.and_then(|l| set(l.memory.0)), used.memory.0))
        });
        let names = |fleet: &Fleet| fleet.pools.clone();
        let fleets = request.fleets.iter().map(|fleet| {
            let used = in_use(&names(fleet).iter().collect::<Vec<_>>(), &|_| true);
            (left(fleet.limits.cpu.map(|v| v.0), used.cpu.0), left(fleet.limits.memory.map(|v| v.0), used.memory.0))
        });
        let shares = request.fleets.iter().map(|fleet| {
            let pools = names(fleet);
            let pools: Vec<_> = pools.iter().collect();
            let spot = |n: &Node| n.labels.get(CAPACITY_TYPE).is_some_and(|v| &**v == CapacityType::Spot.label());
            (in_use(&pools, &|n| !spot(n)).cpu.0, in_use(&pools, &|_| true).cpu.0)
        });
        Self { pools: pools.collect(), fleets: fleets.collect(), shares: shares.collect() }
    }

    fn indices(offer: &Offer<'_>, request: &PackRequest<'_>) -> (Option<usize>, Option<usize>) {
        let pool = request.pools.iter().position(|pool| pool.name == offer.pool.name);
        let fleet = offer.fleet.and_then(|fleet| request.fleets.iter().position(|f| f.id == fleet.id));
        (pool, fleet)
    }

    /// How many such nodes may still be added.
    pub fn times(&self, offer: &Offer<'_>, request: &PackRequest<'_>) -> u32 {
        let (pool, fleet) = Self::indices(offer, request);
        let (Millicores(cpu), Bytes(memory)) = (offer.instance.allocatable.cpu, offer.instance.allocatable.memory);
        let within = |(cpu_left, memory_left): (u64, u64)| {
            let of = |left: u64, each: u64| if left == u64::MAX { u64::MAX } else { left.checked_div(each).unwrap_or(u64::MAX) };
            of(cpu_left, cpu).min(of(memory_left, memory))
        };
        let mut times = pool.map_or(u64::MAX, |pool| within(self.pools[pool]));
        if let Some(fleet) = fleet {
            times = times.min(within(self.fleets[fleet]));
            let least = u64::from(offer.fleet.map_or(0, |f| f.least_on_demand_percent)).min(100);
            if least > 0 && offer.capacity_type == CapacityType::Spot {
                let (on_demand, all) = self.shares[fleet];
                // On demand stays at least `least` percent: all + n·cpu ≤ on_demand · 100 / least.
                times = times.min((on_demand.saturating_mul(100) / least).saturating_sub(all).checked_div(cpu).unwrap_or(0));
            }
        }
        u32::try_from(times).unwrap_or(u32::MAX)
    }

    pub fn take(&mut self, offer: &Offer<'_>, request: &PackRequest<'_>, times: u32) {
        let (pool, fleet) = Self::indices(offer, request);
        let (cpu, memory) = ((offer.instance.allocatable.cpu * times).0, (offer.instance.allocatable.memory * times).0);
        let take = |(cpu_left, memory_left): &mut (u64, u64)| {
            for (left, amount) in [(cpu_left, cpu), (memory_left, memory)] {
                *left = if *left == u64::MAX { *left } else { left.saturating_sub(amount) };
            }
        };
        if let Some(pool) = pool {
            take(&mut self.pools[pool]);
        }
        if let Some(fleet) = fleet {
            take(&mut self.fleets[fleet]);
            let (on_demand, all) = &mut self.shares[fleet];
            *all = all.saturating_add(cpu);
            if offer.capacity_type != CapacityType::Spot {
                *on_demand = on_demand.saturating_add(cpu);
            }
        }
    }
}

/// Why no node takes a pod, in the words of whoever is closest to taking it: room first, then a taint, then labels.
pub(super) fn why_not(pod: &PodShape, offers: &[Offer<'_>], request: &PackRequest<'_>) -> String {
    let requests = one_pod(&pod.requests);
    let mut closest: Option<(u8, &ResourceList, &Offer<'_>, Unfit)> = None;
    for offer in offers {
        let (rank, unfit) = match offer.takes(pod) {
            Ok(()) => match fits_in(&requests, &offer.instance.allocatable) {
                Ok(()) => {
                    let fleet = offer.fleet.map(|f| format!(" or of the fleet {}", f.id.name)).unwrap_or_default();
                    return format!(
                        "would fit on a new {}, but the limits of the pool {}{fleet} are used up: raise them",
                        offer.instance.name, offer.pool.name
                    );
                }
                Err(unfit) => (2, unfit),
            },
            Err(unfit @ Unfit::Taint(_)) => (1, unfit),
            Err(unfit) => (0, unfit),
        };
        let size = &offer.instance.allocatable;
        if closest.as_ref().is_none_or(|(best, largest, ..)| (rank, size) > (*best, *largest)) {
            closest = Some((rank, size, offer, unfit));
        }
    }
    if let Some((_, _, offer, unfit)) = closest {
        return format!("{unfit} (closest: {} of pool {})", offer.instance.name, offer.pool.name);
    }
    let full = request.nodes.iter().filter(|n| n.usable()).filter_map(|n| crate::scheduling::feasible(pod, n).err()).max();
    let no_pool = "no pool may add a node: allow one in a NodeFleet, or add a NodePool that the catalogue has types for";
    match full {
        Some(unfit) => format!("{unfit}, on the nodes there are; {no_pool}"),
        None => no_pool.into(),
    }
}
