//! What a sync looks at: the scale, the pods, and what the metrics APIs answer.

use std::collections::BTreeMap;
use std::sync::Arc;

/// One workload at one sync.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// `spec.replicas` of the scale.
    pub desired: u32,
    /// `status.replicas` of the scale: what external averages are divided by.
    pub current: u32,
    /// Pods that the selector finds.
    pub pods: Vec<ObservedPod>,
    /// Sums of external metrics by name, thousandths of their unit; absent where the API does not answer.
    pub external: BTreeMap<Arc<str>, i64>,
}

/// One pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedPod {
    /// How far it is.
    pub state: PodState,
    /// It has a deletion timestamp.
    pub ending: bool,
    /// `status.startTime`, Unix second.
    pub started_s: Option<i64>,
    /// Its condition `Ready`; absent where it has none.
    pub ready: Option<Readiness>,
    /// CPU request, millicores.
    pub cpu_request_milli: Option<u64>,
    /// Memory request, bytes.
    pub memory_request_bytes: Option<u64>,
    /// CPU in use, thousandths of a core.
    pub cpu: Option<Sample>,
    /// Working set, thousandths of a byte.
    pub memory: Option<Sample>,
    /// Custom metrics by name.
    pub custom: BTreeMap<Arc<str>, Sample>,
}

/// `status.phase`, as far as an HPA tells phases apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodState {
    /// Not yet started: never counted for what it uses.
    Pending,
    /// Its containers run.
    #[default]
    Running,
    /// Its containers failed for good: not there.
    Failed,
}

/// A condition `Ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Whether the pod is.
    pub ready: bool,
    /// Unix second since which.
    pub since_s: i64,
}

/// One answer of a metrics API for one pod.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Thousandths of the unit.
    pub value_milli: i64,
    /// Unix second at which its window ended.
    pub at_s: i64,
    /// Seconds it is an average over.
    pub window_s: f64,
}

impl ObservedPod {
    /// Runs and is ready: what an external metric's proportion is taken of, also while it ends.
    pub(super) fn is_ready(&self) -> bool {
        self.state == PodState::Running && self.ready.is_some_and(|readiness| readiness.ready)
    }
}
