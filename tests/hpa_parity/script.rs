//! What a case is made of: an HPA, the Deployment it scales, and what metrics show at each of its syncs.

use ipa::hpa::HpaSpec;

/// CPU request of each pod, millicores: a percentage of it is a number of millicores.
pub const REQUEST_MILLI: u64 = 100;

/// Name of the external metric of a case: the server knows by it who asks.
pub fn external_name(case: &str) -> String {
    format!("load-of-{case}")
}

/// One HPA and its script.
#[derive(Clone, Debug)]
pub struct Case {
    /// Names its Deployment and HPA.
    pub name: &'static str,
    /// What the HPA is told.
    pub spec: HpaSpec,
    /// Replicas at the beginning.
    pub replicas: u32,
    /// Most pods that find a place; the others stay pending.
    pub places: Option<u32>,
    /// One for each sync.
    pub steps: Vec<Step>,
}

impl Case {
    /// Pods that become ready of so many.
    pub fn ready_of(&self, replicas: u32) -> u32 {
        self.places.map_or(replicas, |places| places.min(replicas))
    }
}

/// What metrics show at one sync.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    /// Percent of its request that each pod uses.
    pub cpu_percent: u32,
    /// Working set of each pod, MiB; absent where it is not shown.
    pub memory_mib: Option<u32>,
    /// So many of the newest pods have no metrics.
    pub missing: usize,
    /// So many of the newest pods that have some became ready within the metric's window.
    pub young: usize,
    /// The external metric, units; absent where there is none.
    pub external: Option<u32>,
}

/// Every pod at so many percent of its request.
pub fn cpu(percent: u32) -> Step {
    Step { cpu_percent: percent, ..Step::default() }
}

/// An external metric of so many units.
pub fn external(units: u32) -> Step {
    Step { external: Some(units), ..Step::default() }
}

impl Step {
    /// The same with so many pods without metrics.
    pub fn missing(self, missing: usize) -> Self {
        Self { missing, ..self }
    }

    /// The same with so many pods that are young.
    pub fn young(self, young: usize) -> Self {
        Self { young, ..self }
    }

    /// The same with so much memory in each pod.
    pub fn memory(self, mib: u32) -> Self {
        Self { memory_mib: Some(mib), ..self }
    }
}
