//! Prices as the simulated world has them: those of a list, and what has become of them there.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::shared::Shared;
use super::world::{World, times};
use crate::domain::fleet::Catalogue;
use crate::ports::Prices;

/// [`Prices`] of the simulated cluster.
pub struct SimPrices {
    shared: Arc<Shared>,
    list: Arc<dyn Prices>,
}

impl SimPrices {
    /// What `list` says, as it has changed in `shared`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, list: Arc<dyn Prices>) -> Self {
        Self { shared, list }
    }
}

#[async_trait]
impl Prices for SimPrices {
    async fn catalogue(&self, now: Timestamp) -> Arc<Catalogue> {
        let list = self.list.catalogue(now).await;
        self.shared.at(now, |world| if world.prices_changed() { Arc::new(changed(world, &list)) } else { list })
    }
}

fn changed(world: &World, list: &Catalogue) -> Catalogue {
    let mut catalogue = list.clone();
    for machine in catalogue.types.values_mut() {
        for offering in &mut machine.offerings {
            offering.price_per_hour = times(offering.price_per_hour, world.offering_factor(&machine.name, &offering.zone));
        }
    }
    catalogue
}
