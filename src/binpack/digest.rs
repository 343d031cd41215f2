//! A cheap digest of all that packing looks at: packed again only when it changes.

use std::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};

use super::PackRequest;
use crate::domain::names::Digest;

/// Feeds `Hash` into SHA-256: no text is made of ten thousand pods to find that nothing changed.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    fn finish(&self) -> u64 {
        0
    }
}

/// The digest of a request. It is compared within one build of the program only, never stored as evidence.
#[must_use]
pub fn input_digest(request: &PackRequest<'_>) -> Digest {
    let PackRequest { pods, nodes, pools, fleets, catalogue } = request;
    let mut sha = Sha(Sha256::new());
    for class in pods {
        (&class.target, &class.shape, class.count).hash(&mut sha);
    }
    for node in *nodes {
        (&node.name, &node.labels, &node.taints, &node.allocatable, &node.requested, node.usable(), node.price_per_hour).hash(&mut sha);
    }
    for pool in *pools {
        (&pool.name, &pool.requirements, &pool.taints, &pool.limits, pool.weight).hash(&mut sha);
    }
    for fleet in fleets {
        (&fleet.id, &fleet.pools, &fleet.families, &fleet.zones, &fleet.capacity_types).hash(&mut sha);
        (fleet.least_on_demand_percent, fleet.limits.cpu, fleet.limits.memory).hash(&mut sha);
    }
    for instance in catalogue.types.values() {
        (&instance.name, &instance.allocatable).hash(&mut sha);
        for offering in &instance.offerings {
            (&offering.zone, offering.capacity_type, offering.price_per_hour).hash(&mut sha);
        }
    }
    Digest(hex::encode(sha.0.finalize()))
}
