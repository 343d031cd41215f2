//! A proven least cost, and with it what each resource is worth.
//!
//! Let `w ≥ 0` be rates for resources such that no offer holds more worth than it costs: `Σ_r w_r · alloc_r(o) ≤ price(o)` for every offer `o`.
//! Any set of new nodes that, with the free room of the nodes there are, holds the pods obeys for each resource
//! `demand_r ≤ room_r + Σ_o n_o · alloc_r(o)`. Multiplying by `w_r` and adding up gives
//! `Σ_r w_r (demand_r − room_r) ≤ Σ_o n_o Σ_r w_r alloc_r(o) ≤ Σ_o n_o price(o)`: the cost. So every such `w` proves a bound; this is weak
//! duality of the linear relaxation over resources, and the best of a fan of directions is taken. It relaxes everything but CPU, memory and
//! pod counts: whole nodes, shapes, labels, taints, limits. Running nodes are in it as free room, not as cost.

use super::offers::{Offer, one_pod};
use super::{PackRequest, PodClass};
use crate::domain::units::MicroUsd;
use crate::domain::workload::ResourceList;

/// Directions between CPU and memory that are tried.
const DIRECTIONS: u32 = 32;
/// What floats may have gained by rounding, many times over: products of a few terms err by parts in 10^15.
const ROUNDING: f64 = 1.0 - 1e-9;

/// Valid rates: micro-dollars an hour for a millicore, a byte and a pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rates {
    fan: Vec<[f64; 3]>,
    best: [f64; 3],
}

fn amounts(list: &ResourceList) -> [f64; 3] {
    [list.cpu.0 as f64, list.memory.0 as f64, f64::from(list.pods)]
}

fn worth(rates: &[f64; 3], of: &[f64; 3]) -> f64 {
    rates.iter().zip(of).map(|(rate, amount)| rate * amount).sum()
}

impl Rates {
    /// The fan of valid rates for `offers`; the best one for the pods as a whole serves as the worth of pods.
    pub fn of(pods: &[PodClass], offers: &[Offer<'_>]) -> Self {
        let mut total = ResourceList::default();
        for class in pods {
            total.add(&one_pod(&class.shape.requests), class.count);
        }
        let total = amounts(&total);
        let share = |part: f64, of: f64| if of > 0.0 { part / of } else { 0.0 };
        let mut directions: Vec<[f64; 3]> = (0..=DIRECTIONS)
            .map(|step| f64::from(step) / f64::from(DIRECTIONS))
            .map(|cpu| [share(cpu, total[0]), share(1.0 - cpu, total[1]), 0.0])
            .collect();
        directions.push([0.0, 0.0, share(1.0, total[2])]);
        let fan: Vec<[f64; 3]> = directions.into_iter().filter_map(|direction| valid(direction, offers)).collect();
        let best = fan.iter().copied().max_by(|a, b| worth(a, &total).total_cmp(&worth(b, &total))).unwrap_or([1e-6, 1e-15, 0.0]);
        Self { fan, best }
    }

    /// What one pod is worth, micro-dollars an hour; never nothing.
    pub fn of_pod(&self, requests: &ResourceList) -> f64 {
        let extended: u64 = requests.extended.values().fold(0, |sum, n| sum.saturating_add(*n));
        // Extended resources are in no bound; pods that ask for them go first all the same.
        worth(&self.best, &amounts(&one_pod(requests))).max(1e-9) * (1.0 + extended as f64)
    }

    /// The bound on the cost of new nodes for `packed` pods of each class.
    pub fn lower_bound(&self, request: &PackRequest<'_>, packed: &[u32]) -> MicroUsd {
        let mut demand = ResourceList::default();
        request.pods.iter().zip(packed).for_each(|(class, count)| demand.add(&one_pod(&class.shape.requests), *count));
        let mut room = ResourceList::default();
        request.nodes.iter().filter(|node| node.usable()).for_each(|node| room.add(&node.room(), 1));
        let (demand, room) = (amounts(&demand), amounts(&room));
        let net = [demand[0] - room[0], demand[1] - room[1], demand[2] - room[2]];
        let best = self.fan.iter().map(|rates| worth(rates, &net)).fold(0.0, f64::max);
        MicroUsd((best * ROUNDING).floor() as i64)
    }
}

/// The largest multiple of a direction that is worth no more than any offer costs.
fn valid(direction: [f64; 3], offers: &[Offer<'_>]) -> Option<[f64; 3]> {
    let scale = offers
        .iter()
        .map(|offer| (offer.price.0 as f64, worth(&direction, &amounts(&offer.instance.allocatable))))
        .filter(|(_, worth)| *worth > 0.0)
        .map(|(price, worth)| price / worth)
        .min_by(f64::total_cmp)?;
    scale.is_finite().then(|| direction.map(|rate| rate * scale))
}
