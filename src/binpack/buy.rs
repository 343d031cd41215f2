//! New nodes: greedily the one whose pods are worth most for its price, as often as its pattern repeats; then each shrunk to the cheapest
//! type that holds its pods.

use std::collections::BTreeMap;

use super::PackRequest;
use super::bound::Rates;
use super::offers::{Allowance, Offer, one_pod};
use crate::domain::plan::PlannedNode;
use crate::domain::workload::ResourceList;
use crate::scheduling::count_that_fits;

/// Pods of a node: which class, how many.
type Pattern = Vec<(usize, u32)>;

/// Nodes bought with one pattern.
struct Bought {
    offer: usize,
    pattern: Pattern,
    times: u32,
}

/// Buys for the pods `left`, and takes from it what was placed. `iterations` counts patterns that are tried.
pub(super) fn buy(
    request: &PackRequest<'_>,
    offers: &[Offer<'_>],
    rates: &Rates,
    left: &mut [u32],
    iterations: u64,
    stop: &dyn Fn() -> bool,
) -> Vec<PlannedNode> {
    let requests: Vec<ResourceList> = request.pods.iter().map(|class| one_pod(&class.shape.requests)).collect();
    let worth: Vec<f64> = requests.iter().map(|r| rates.of_pod(r)).collect();
    // Large pods first: small ones fill what they leave.
    let mut order: Vec<usize> = (0..requests.len()).filter(|class| left[*class] > 0).collect();
    order.sort_by(|a, b| worth[*b].total_cmp(&worth[*a]).then(a.cmp(b)));
    let plain = |class: &usize| request.pods[*class].shape.node_terms.is_empty();
    let takes: Vec<Option<Vec<bool>>> = offers
        .iter()
        .map(|offer| {
            let all = offer.pool.taints.is_empty() && order.iter().all(plain);
            (!all).then(|| request.pods.iter().map(|class| offer.takes(&class.shape).is_ok()).collect())
        })
        .collect();
    let fill = |offer: usize, left: &[u32]| {
        let mut room = offers[offer].instance.allocatable.clone();
        let mut pattern = Pattern::new();
        for class in order.iter().copied().filter(|class| left[*class] > 0) {
            if takes[offer].as_ref().is_some_and(|takes| !takes[class]) {
                continue;
            }
            let count = count_that_fits(&requests[class], &room).min(left[class]);
            if count > 0 {
                let mut used = ResourceList::default();
                used.add(&requests[class], count);
                room = room.minus(&used);
                pattern.push((class, count));
            }
        }
        pattern
    };
    let mut allowance = Allowance::of(request);
    let mut bought: Vec<Bought> = Vec::new();
    let mut tried = 0u64;
    while order.iter().any(|class| left[*class] > 0) {
        let mut best: Option<(f64, usize, Pattern)> = None;
        for (index, offer) in offers.iter().enumerate() {
            // Without time to choose, the first that takes anything does.
            if best.is_some() && (tried >= iterations || stop()) {
                break;
            }
            if allowance.times(offer, request) == 0 {
                continue;
            }
            tried += 1;
            let pattern = fill(index, left);
            let held: f64 = pattern.iter().map(|(class, count)| worth[*class] * f64::from(*count)).sum();
            let score = held / offer.price.0.max(1) as f64;
            if !pattern.is_empty() && best.as_ref().is_none_or(|(held, ..)| score > *held) {
                best = Some((score, index, pattern));
            }
        }
        let Some((_, offer, pattern)) = best else { break };
        let repeats = pattern.iter().map(|(class, count)| left[*class] / count).min().unwrap_or(1).max(1);
        let times = repeats.min(allowance.times(&offers[offer], request));
        allowance.take(&offers[offer], request, times);
        for (class, count) in &pattern {
            left[*class] -= count * times;
        }
        bought.push(Bought { offer, pattern, times });
    }
    let mut nodes = Vec::new();
    for Bought { offer, pattern, times } in bought {
        let offer = &offers[shrunk(offer, &pattern, offers, &requests, &takes)];
        let mut pods = BTreeMap::new();
        for (class, count) in &pattern {
            *pods.entry(request.pods[*class].target.clone()).or_default() += count;
        }
        let node = PlannedNode {
            instance_type: offer.instance.name.clone(),
            zone: offer.zone.clone(),
            capacity_type: offer.capacity_type,
            price_per_hour: offer.price,
            pods,
        };
        nodes.extend(std::iter::repeat_n(node, times as usize));
    }
    nodes
}

/// The cheapest offer of the same pool and way to pay, no larger, that holds the pattern: limits that allowed the one allow the other.
fn shrunk(from: usize, pattern: &[(usize, u32)], offers: &[Offer<'_>], requests: &[ResourceList], takes: &[Option<Vec<bool>>]) -> usize {
    let mut needed = ResourceList::default();
    for (class, count) in pattern {
        needed.add(&requests[*class], *count);
    }
    let held = &offers[from];
    (0..offers.len())
        .filter(|index| {
            let offer = &offers[*index];
            let size = &offer.instance.allocatable;
            offer.pool.name == held.pool.name
                && offer.capacity_type == held.capacity_type
                && size.cpu <= held.instance.allocatable.cpu
                && size.memory <= held.instance.allocatable.memory
                && needed.fits(size)
                && takes[*index].as_ref().is_none_or(|takes| pattern.iter().all(|(class, _)| takes[*class]))
        })
        .min_by(|a, b| offers[*a].price.cmp(&offers[*b].price).then(a.cmp(b)))
        .filter(|index| offers[*index].price < held.price)
        .unwrap_or(from)
}
