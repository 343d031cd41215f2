//! What a pod costs: the price of its requests, at rates that the nodes it runs on pay for a core and a gibibyte.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::fleet::CapacityType;
use crate::domain::snapshot::Snapshot;
use crate::domain::units::MicroUsd;
use crate::domain::workload::ResourceList;

/// Gibibytes that cost as much as one core: `OpenCost`'s default price list (0.031611 $ a core-hour, 0.004237 $ a GiB-hour), which it scales
/// to each node's price as is done here.
const GIB_PER_CORE: f64 = 0.031_611 / 0.004_237;
const GIB: f64 = (1u64 << 30) as f64;

/// Rates in micro-dollars an hour; absent where no price is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Prices {
    core: Option<f64>,
    extended: BTreeMap<Arc<str>, f64>,
}

/// CPU and memory as cores' worth.
fn cores_worth(list: &ResourceList) -> f64 {
    list.cpu.cores() + list.memory.0 as f64 / GIB / GIB_PER_CORE
}

impl Prices {
    /// From the running nodes with a price; where there are none, the median type of the catalogue on demand.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut running: Vec<(&ResourceList, f64)> =
            snapshot.facts.nodes.iter().filter_map(|n| n.price_per_hour.map(|price| (&n.allocatable, price.0 as f64))).collect();
        if running.iter().all(|(size, _)| !size.extended.is_empty()) {
            let on_demand = |name: &str| snapshot.catalogue.price(name, None, CapacityType::OnDemand);
            running
                .extend(snapshot.catalogue.types.values().filter_map(|t| on_demand(&t.name).map(|price| (&t.allocatable, price.0 as f64))));
        }
        let mut rates: Vec<f64> = running
            .iter()
            .filter(|(size, _)| size.extended.is_empty())
            .map(|(size, price)| price / cores_worth(size))
            .filter(|rate| rate.is_finite() && *rate >= 0.0)
            .collect();
        rates.sort_by(f64::total_cmp);
        let core = rates.get(rates.len() / 2).copied();
        let mut extended: BTreeMap<Arc<str>, f64> = BTreeMap::new();
        for (size, price) in running {
            // What a node with accelerators costs beyond its cores is theirs; the cheapest seen counts.
            let rest = price - core.unwrap_or(0.0) * cores_worth(size);
            let units: u64 = size.extended.values().sum();
            for name in size.extended.keys().filter(|_| units > 0) {
                let each = (rest / units as f64).max(0.0);
                extended.entry(name.clone()).and_modify(|known| *known = known.min(each)).or_insert(each);
            }
        }
        Self { core, extended }
    }

    /// What so many pods cost an hour.
    pub fn of_pods(&self, requests: &ResourceList, count: u32) -> Option<MicroUsd> {
        let mut each = self.core? * cores_worth(requests);
        for (name, amount) in &requests.extended {
            each += self.extended.get(name).copied().unwrap_or(0.0) * *amount as f64;
        }
        Some(MicroUsd(each.round().min(9.0e15) as i64) * i64::from(count))
    }
}
