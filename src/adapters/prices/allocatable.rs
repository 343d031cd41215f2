//! What a node of a shape leaves to pods, by the providers' own published formulas.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::units::{Bytes, Millicores};
use crate::domain::workload::ResourceList;

/// A machine as it is sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Virtual CPUs.
    pub vcpu: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// NVIDIA GPUs.
    pub gpus: u32,
    /// Pods that its network interfaces can address.
    pub pods: u32,
    /// Whether it is an ARM machine.
    pub arm: bool,
}

/// kubelet's hard eviction threshold `memory.available<100Mi`, the default of EKS, GKE and Karpenter alike.
const EVICTION_MIB: u64 = 100;
/// Karpenter's `vmMemoryOverheadPercent`, thousandths: what the hypervisor keeps of the memory that is sold.
const VM_OVERHEAD_PERMILLE: u64 = 75;
/// Graviton kernels keep this for contiguous allocations (Karpenter subtracts it before the overhead).
const ARM_CMA_MIB: u64 = 64;
/// GKE's most pods a node by default.
const GKE_PODS: u32 = 110;

/// CPU kept for the system: 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest. Published by GKE ("Plan
/// node sizes") and taken over by the EKS AMI (`bootstrap.sh`, now nodeadm) and Karpenter.
#[must_use]
pub fn reserved_cpu(vcpu: u32) -> Millicores {
    let rest = u64::from(vcpu.saturating_sub(4));
    let first = match vcpu {
        0 => 0,
        1 => 60,
        2 => 70,
        3 => 75,
        _ => 80,
    };
    Millicores(first + rest * 5 / 2)
}

/// Memory kept for the kubelet on EKS, MiB: 11 MiB for each pod it may hold and 255 MiB (EKS AMI, Karpenter).
#[must_use]
pub const fn eks_reserved_memory_mib(pods: u32) -> u64 {
    11 * pods as u64 + 255
}

/// Pods that the interfaces of an EC2 instance can address: each keeps its first address, and two pods use the host's network.
#[must_use]
pub const fn eni_pods(interfaces: u32, addresses: u32) -> u32 {
    interfaces * (addresses - 1) + 2
}

/// Memory kept for the system on GKE, MiB: 255 MiB below 1 GiB; else 25 % of the first 4 GiB, 20 % of the next 4, 10 % of the next 8, 6 % of
/// the next 112, and 2 % of what is above 128 GiB.
#[must_use]
pub fn gke_reserved_memory_mib(memory_mib: u64) -> u64 {
    if memory_mib < 1_024 {
        return 255;
    }
    let (mut left, mut reserved) = (memory_mib, 0);
    for (width, percent) in [(4 << 10, 25), (4 << 10, 20), (8 << 10, 10), (112 << 10, 6), (u64::MAX, 2)] {
        let part = left.min(width);
        reserved += part * percent;
        left -= part;
    }
    reserved.div_ceil(100)
}

/// Allocatable of an EKS node, as Karpenter computes it before it has seen one: memory loses the VM overhead, the kubelet's part and the
/// eviction threshold.
#[must_use]
pub fn eks(shape: &Shape) -> ResourceList {
    let sold = shape.memory_mib.saturating_sub(if shape.arm { ARM_CMA_MIB } else { 0 });
    let overhead = (sold * VM_OVERHEAD_PERMILLE).div_ceil(1_000);
    let memory = sold.saturating_sub(overhead + eks_reserved_memory_mib(shape.pods) + EVICTION_MIB);
    resources(shape, memory, shape.pods)
}

/// Allocatable of a GKE node.
#[must_use]
pub fn gke(shape: &Shape) -> ResourceList {
    let memory = shape.memory_mib.saturating_sub(gke_reserved_memory_mib(shape.memory_mib) + EVICTION_MIB);
    resources(shape, memory, GKE_PODS)
}

fn resources(shape: &Shape, memory_mib: u64, pods: u32) -> ResourceList {
    let gpus = (shape.gpus > 0).then(|| (Arc::from("nvidia.com/gpu"), u64::from(shape.gpus)));
    ResourceList {
        cpu: Millicores(u64::from(shape.vcpu) * 1_000) - reserved_cpu(shape.vcpu),
        memory: Bytes(memory_mib * Bytes::MIB),
        pods,
        extended: BTreeMap::from_iter(gpus),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eks_nodes_leave_what_karpenter_says_they_do() {
        // Karpenter's reference pages: type, vCPU, MiB, pods, ARM -> CPU in millicores, memory in MiB.
        for (name, vcpu, memory_mib, pods, arm, cpu, memory) in [
            ("m6i.large", 2, 8_192, 29, false, 1_930, 6_903),
            ("m6i.xlarge", 4, 16_384, 58, false, 3_920, 14_162),
            ("m5.4xlarge", 16, 65_536, 234, false, 15_890, 57_691),
            ("m7i.24xlarge", 96, 393_216, 737, false, 95_690, 355_262),
            ("r6i.32xlarge", 128, 1_048_576, 737, false, 127_610, 961_470),
            ("t3.medium", 2, 4_096, 17, false, 1_930, 3_246),
            ("c7g.medium", 1, 2_048, 8, true, 940, 1_392),
        ] {
            let got = eks(&Shape { vcpu, memory_mib, gpus: 0, pods, arm });
            assert_eq!((got.cpu.0, got.memory.0 / Bytes::MIB, got.pods), (cpu, memory, pods), "{name}");
        }
        assert_eq!(eks(&Shape { vcpu: 4, memory_mib: 16_384, gpus: 1, pods: 58, arm: false }).extended[&Arc::from("nvidia.com/gpu")], 1);
    }

    #[test]
    fn pods_of_an_instance_follow_from_its_interfaces() {
        for (name, interfaces, addresses, pods) in [
            ("m5.large", 3, 10, 29),
            ("m5.xlarge", 4, 15, 58),
            ("m5.4xlarge", 8, 30, 234),
            ("m5.24xlarge", 15, 50, 737),
            ("t3.medium", 3, 6, 17),
        ] {
            assert_eq!(eni_pods(interfaces, addresses), pods, "{name}");
        }
    }

    #[test]
    fn gke_reserves_by_steps_of_memory() {
        // GKE's documentation, MiB: 8 GiB keeps 1.8 GiB, 16 GiB 2.6, 128 GiB 9.32, 256 GiB 11.88.
        for (memory, reserved) in [(512, 255), (4_096, 1_024), (8_192, 1_844), (16_384, 2_663), (131_072, 9_544), (262_144, 12_166)] {
            assert_eq!(gke_reserved_memory_mib(memory), reserved, "{memory}");
        }
        let got = gke(&Shape { vcpu: 4, memory_mib: 16_384, gpus: 0, pods: 0, arm: false });
        assert_eq!((got.cpu.0, got.memory.0 / Bytes::MIB, got.pods), (3_920, 13_621, 110));
    }

    #[test]
    fn a_tiny_machine_leaves_nothing_rather_than_less() {
        assert_eq!(eks(&Shape { vcpu: 0, memory_mib: 256, gpus: 0, pods: 4, arm: false }).memory, Bytes(0));
    }
}
