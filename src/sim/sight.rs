//! What an autoscaler beside IPA sees of one workload: what the metrics API and the object itself would show, and nothing of what is to come.

/// One workload at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// Unix second.
    pub at_s: i64,
    /// `spec.replicas`.
    pub desired: u32,
    /// CPU request of one pod, millicores.
    pub cpu_request_milli: u64,
    /// Memory request of one pod, bytes.
    pub memory_request_bytes: u64,
    /// Pods that are not ending.
    pub pods: Vec<PodSight>,
    /// Units/s offered over the last minute, as the ingress counts them.
    pub demand: Option<f64>,
    /// Units that wait.
    pub waiting: u64,
}

/// One pod as the metrics API and its status show it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PodSight {
    /// Unix second at which its container started; absent while it has no node.
    pub started_s: Option<i64>,
    /// Unix second since which it is ready; absent while it is not.
    pub ready_since_s: Option<i64>,
    /// CPU over the metrics API's last window, millicores; absent before the first.
    pub cpu_milli: Option<u64>,
    /// Memory working set, bytes; absent before the first sample.
    pub memory_bytes: Option<u64>,
}
