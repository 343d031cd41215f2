//! The catalogue of instance types and prices that is built in, behind the `Prices` port: no cloud API, no key, and a date on every price.
//!
//! Three lists: EC2 in us-east-1, GCE in us-central1, and the types of Karpenter's kwok provider. Prices of other regions are not in here;
//! zones can be named as a cluster names them, and the catalogue's source says where its prices hold. Leaves out reserved capacity and
//! everything a contract changes.

pub mod allocatable;
pub mod kwok;
pub mod list;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::list::ListError;
use crate::domain::fleet::{Catalogue, InstanceType};
use crate::ports::Prices;

/// A list of types and prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PriceList {
    /// Amazon EC2, us-east-1; allocatable as Karpenter and EKS compute it.
    AWS,
    /// Google Compute Engine, us-central1; allocatable as GKE computes it.
    GCE,
    /// The made-up types of Karpenter's kwok provider, by its own formula.
    KarpenterKWOK,
}

/// Which lists the catalogue holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuiltinPricesConfig {
    /// Lists, each with the zones it is offered in. Name the cluster's own provider alone where nodes are to be bought.
    #[schemars(length(min = 1, max = 3))]
    pub lists: Vec<ListConfig>,
}

/// One list, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListConfig {
    /// Which list.
    pub list: PriceList,
    /// Zones as nodes are labelled (`topology.kubernetes.io/zone`). Default: some of the list's own region.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub zones: Vec<String>,
}

impl Default for BuiltinPricesConfig {
    /// All lists, so that a node of any of them has its price.
    fn default() -> Self {
        let lists = [PriceList::AWS, PriceList::GCE, PriceList::KarpenterKWOK];
        Self { lists: lists.map(|list| ListConfig { list, zones: Vec::new() }).into() }
    }
}

impl PriceList {
    /// Zones of its own region that are offered where nothing else is said.
    #[must_use]
    pub const fn default_zones(self) -> &'static [&'static str] {
        match self {
            Self::AWS => &["us-east-1a", "us-east-1b", "us-east-1c"],
            Self::GCE => &["us-central1-a", "us-central1-b", "us-central1-c"],
            Self::KarpenterKWOK => &["test-zone-a", "test-zone-b", "test-zone-c", "test-zone-d"],
        }
    }

    const fn described(self) -> &'static str {
        match self {
            Self::AWS => "AWS us-east-1, on demand of 2026-07-20, spot estimated from savings of 2025-06-28",
            Self::GCE => "GCE us-central1, list of 2026",
            Self::KarpenterKWOK => "Karpenter kwok, by formula",
        }
    }

    /// The date of its oldest on-demand price; a formula has none.
    const fn as_of(self) -> Option<&'static str> {
        match self {
            Self::AWS => Some("2026-07-20T00:00:00Z"),
            Self::GCE => Some("2026-01-01T00:00:00Z"),
            Self::KarpenterKWOK => None,
        }
    }
}

/// The catalogue that is built in.
#[derive(Clone, Debug)]
pub struct BuiltinPrices {
    catalogue: Arc<Catalogue>,
}

impl BuiltinPrices {
    /// The catalogue of the lists that are asked for.
    ///
    /// # Errors
    /// [`ListError`] when a built-in list cannot be read (a test holds that none is so).
    pub fn new(config: &BuiltinPricesConfig) -> Result<Self, ListError> {
        let mut types: BTreeMap<Arc<str>, InstanceType> = BTreeMap::new();
        let (mut sources, mut as_of) = (Vec::new(), None::<Timestamp>);
        for ListConfig { list, zones } in &config.lists {
            let zones: Vec<Arc<str>> = if zones.is_empty() {
                list.default_zones().iter().map(|z| Arc::from(*z)).collect()
            } else {
                zones.iter().map(|z| Arc::from(z.as_str())).collect()
            };
            let listed = match list {
                PriceList::AWS => list::aws(&zones)?,
                PriceList::GCE => list::gce(&zones)?,
                PriceList::KarpenterKWOK => kwok::types(&zones),
            };
            types.extend(listed.into_iter().map(|t| (t.name.clone(), t)));
            sources.push(list.described());
            let date = list.as_of().and_then(|text| text.parse::<Timestamp>().ok());
            as_of = [as_of, date].into_iter().flatten().min();
        }
        let source = format!("built-in: {}", sources.join("; "));
        Ok(Self { catalogue: Arc::new(Catalogue { source, as_of, types }) })
    }
}

#[async_trait]
impl Prices for BuiltinPrices {
    async fn catalogue(&self, _now: Timestamp) -> Arc<Catalogue> {
        self.catalogue.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::CapacityType;
    use crate::domain::units::MicroUsd;
    use crate::domain::units::Millicores;

    fn all() -> Arc<Catalogue> {
        BuiltinPrices::new(&BuiltinPricesConfig::default()).unwrap().catalogue
    }

    #[test]
    fn the_lists_are_whole_dated_and_every_offering_has_a_price() {
        let catalogue = all();
        assert_eq!(catalogue.types.len(), 338 + 163 + 72);
        assert_eq!(catalogue.as_of, Some("2026-01-01T00:00:00Z".parse().unwrap()), "the oldest of them");
        for (name, kind) in &catalogue.types {
            assert_eq!(*name, kind.name);
            assert!(kind.allocatable.cpu > Millicores(0) && kind.allocatable.memory.0 > 0 && kind.allocatable.pods > 0, "{name}");
            assert!(kind.offerings.iter().any(|o| o.capacity_type == CapacityType::OnDemand), "{name}");
            for offering in &kind.offerings {
                assert!(offering.price_per_hour > MicroUsd(0), "{name}");
            }
            let spot = catalogue.price(name, None, CapacityType::Spot);
            assert!(spot.is_none_or(|spot| spot < catalogue.price(name, None, CapacityType::OnDemand).unwrap()), "{name}");
        }
    }

    #[test]
    fn a_list_can_be_offered_in_the_clusters_own_zones() {
        let config: BuiltinPricesConfig = serde_saphyr::from_str("lists:\n- {list: AWS, zones: [use1-az1, use1-az4]}\n").unwrap();
        let catalogue = BuiltinPrices::new(&config).unwrap().catalogue;
        assert_eq!(catalogue.price("m7i.xlarge", Some("use1-az4"), CapacityType::OnDemand), Some(MicroUsd(201_600)));
        assert_eq!(catalogue.price("m7i.xlarge", Some("us-east-1a"), CapacityType::OnDemand), None);
        assert!(!catalogue.types.contains_key("c-4x-amd64-linux"));
    }

    #[test]
    fn a_running_node_is_priced_by_its_labels() {
        let catalogue = all();
        let price = |labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(k, v)| (Arc::from(*k), Arc::from(*v))).collect();
            catalogue.node_price(&labels)
        };
        let m6i = ("node.kubernetes.io/instance-type", "m6i.large");
        assert_eq!(
            price(&[m6i, ("topology.kubernetes.io/zone", "us-east-1b"), ("karpenter.sh/capacity-type", "on-demand")]),
            Some(MicroUsd(96_000))
        );
        assert_eq!(price(&[m6i, ("topology.kubernetes.io/zone", "eu-west-1a")]), Some(MicroUsd(96_000)));
        assert_eq!(price(&[m6i, ("karpenter.sh/capacity-type", "spot")]), Some(MicroUsd(35_520)), "63 % below");
        assert_eq!(price(&[m6i, ("karpenter.sh/capacity-type", "reserved")]), None);
        assert_eq!(price(&[("node.kubernetes.io/instance-type", "made.up")]), None, "never invented");
        assert_eq!(price(&[]), None);
    }
}
