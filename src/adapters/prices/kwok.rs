//! The types of Karpenter's kwok provider, which are no machines but a formula: sizes by families by architectures, priced by the vCPU and
//! the gigabyte (kubernetes-sigs/karpenter, `kwok/tools/gen_instance_types.go`, v1.14). Linux alone. A catalogue file given to that provider
//! by its users is not known here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::fleet::{CapacityType, InstanceType, Offering};
use crate::domain::units::{Bytes, MicroUsd, Millicores};
use crate::domain::workload::ResourceList;

const SIZES: [u32; 12] = [1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256];
/// Family and its GiB for each vCPU: compute, standard, memory.
const FAMILIES: [(&str, u64); 3] = [("c", 2), ("s", 4), ("m", 8)];
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// Price in dollars an hour: 0.025 for a vCPU and 0.001 for 10^9 bytes; spot is 70 % of it.
#[must_use]
pub fn price(vcpu: u32, memory: Bytes, capacity_type: CapacityType) -> Option<MicroUsd> {
    let on_demand = 0.025 * f64::from(vcpu) + 0.001 * memory.0 as f64 / 1e9;
    match capacity_type {
        CapacityType::OnDemand => MicroUsd::from_dollars(on_demand),
        CapacityType::Spot => MicroUsd::from_dollars(on_demand * 0.7),
        CapacityType::Reserved => None,
    }
}

/// All its types, offered in `zones`.
#[must_use]
pub fn types(zones: &[Arc<str>]) -> Vec<InstanceType> {
    let mut types = Vec::new();
    for vcpu in SIZES {
        for (family, gib) in FAMILIES {
            for arch in ARCHITECTURES {
                types.push(instance_type(vcpu, family, Bytes((u64::from(vcpu) * gib) << 30), arch, zones));
            }
        }
    }
    types
}

fn instance_type(vcpu: u32, family: &str, memory: Bytes, arch: &str, zones: &[Arc<str>]) -> InstanceType {
    let name: Arc<str> = format!("{family}-{vcpu}x-{arch}-linux").into();
    let labels: [(&str, String); 7] = [
        ("node.kubernetes.io/instance-type", name.to_string()),
        ("kubernetes.io/arch", arch.to_owned()),
        ("kubernetes.io/os", "linux".to_owned()),
        ("karpenter.kwok.sh/instance-family", family.to_owned()),
        ("karpenter.kwok.sh/instance-size", vcpu.to_string()),
        ("karpenter.kwok.sh/instance-cpu", vcpu.to_string()),
        ("karpenter.kwok.sh/instance-memory", memory.quantity()),
    ];
    let mut offerings = Vec::new();
    for zone in zones {
        for capacity_type in [CapacityType::OnDemand, CapacityType::Spot] {
            let offering = |price_per_hour| Offering { zone: zone.clone(), capacity_type, price_per_hour };
            offerings.extend(price(vcpu, memory, capacity_type).map(offering));
        }
    }
    InstanceType {
        name,
        family: family.into(),
        labels: labels.into_iter().map(|(key, value)| (Arc::from(key), Arc::from(value))).collect(),
        // The provider keeps 100m and 10Mi for the system.
        allocatable: ResourceList {
            cpu: Millicores(u64::from(vcpu) * 1_000 - 100),
            memory: memory - Bytes(10 * Bytes::MIB),
            pods: (vcpu * 16).min(1_024),
            extended: BTreeMap::new(),
        },
        offerings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_what_the_provider_generates() {
        let types = types(&["test-zone-a".into()]);
        let c4 = types.iter().find(|t| &*t.name == "c-4x-amd64-linux").unwrap();
        assert_eq!((c4.allocatable.cpu, c4.allocatable.pods), (Millicores(3_900), 64));
        assert_eq!(c4.allocatable.memory, Bytes(8 * 1024 * Bytes::MIB - 10 * Bytes::MIB));
        // The provider's own file: 0.108589934592 and 0.0760129542144.
        let prices: Vec<_> = c4.offerings.iter().map(|o| (o.capacity_type, o.price_per_hour)).collect();
        assert_eq!(prices, [(CapacityType::OnDemand, MicroUsd(108_590)), (CapacityType::Spot, MicroUsd(76_013))]);
        assert_eq!(&*c4.labels["karpenter.kwok.sh/instance-memory"], "8Gi");
        assert!(types.iter().all(|t| t.allocatable.pods <= 1_024));
    }
}
