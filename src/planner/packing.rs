//! The planned pods on nodes: only those that are not bound yet, packed again only when something changed.

use std::collections::BTreeMap;

use super::assess::Assessed;
use crate::binpack::{PackRequest, PodClass, input_digest, pack};
use crate::domain::memory::PackingCache;
use crate::domain::names::TargetKey;
use crate::domain::plan::{NodeMix, TargetPlan};
use crate::domain::snapshot::Snapshot;

/// Patterns a tick may try: worth about 50 ms at the sizes that clusters have.
pub(super) const ITERATIONS: u64 = 20_000;

/// The pods that have to be placed, in order of priority.
pub(super) fn pods_to_place(order: &[&Assessed<'_>], plans: &BTreeMap<TargetKey, TargetPlan>) -> Vec<PodClass> {
    let class = |target: &&Assessed<'_>| {
        let count = plans.get(target.key())?.replicas.saturating_sub(target.bound_pods());
        let pod = || PodClass { target: target.key().clone(), shape: target.workload.template.shape.clone(), count };
        (count > 0).then(pod)
    };
    order.iter().filter_map(class).collect()
}

/// The request for `pods` on everything there is.
pub(super) fn request(snapshot: &Snapshot, pods: Vec<PodClass>) -> PackRequest<'_> {
    PackRequest {
        pods,
        nodes: &snapshot.facts.nodes,
        pools: &snapshot.facts.node_pools,
        fleets: snapshot.facts.fleets.values().collect(),
        catalogue: &snapshot.catalogue,
    }
}

/// Packs what has to be placed, or takes the last answer where nothing changed.
pub(super) fn pack_nodes(
    snapshot: &Snapshot,
    order: &[&Assessed<'_>],
    plans: &BTreeMap<TargetKey, TargetPlan>,
    cache: &mut Option<PackingCache>,
) -> NodeMix {
    let request = request(snapshot, pods_to_place(order, plans));
    if request.pods.is_empty() {
        *cache = None;
        return NodeMix { made: Some(snapshot.at), ..pack(&request, 0, &|| false) };
    }
    let input = input_digest(&request);
    if let Some(known) = cache.as_ref().filter(|known| known.input == input) {
        return known.mix.clone();
    }
    let mix = NodeMix { made: Some(snapshot.at), ..pack(&request, ITERATIONS, &|| false) };
    *cache = Some(PackingCache { input, mix: mix.clone() });
    mix
}
