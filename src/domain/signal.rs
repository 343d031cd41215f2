//! Signals: named series of a target with a unit, their history, and how far they can be trusted this tick.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::names::TargetKey;
use super::series::History;

/// What a signal measures. Shipped ones are closed; a team's own is `Custom` by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SignalName {
    /// Offered load, units/s (requests/s unless the group says otherwise).
    Demand,
    /// CPU used by the target's named container over all pods, cores.
    Cpu,
    /// Share of CPU periods throttled, 0 to 1.
    Throttling,
    /// Memory working set of the largest pod, bytes.
    Memory,
    /// Latency, p95, seconds.
    Latency,
    /// Share of requests that failed, 0 to 1.
    Errors,
    /// Work waiting, items.
    Queue,
    /// Restarts within the last 5 minutes, count.
    Restarts,
    /// OOM kills within the last hour, count.
    OomKills,
    /// GPU duty cycle, 0 to 1.
    GpuDuty,
    /// vLLM requests waiting, count.
    LlmWaiting,
    /// vLLM requests running, count.
    LlmRunning,
    /// Replicas that were ready, mean over the interval.
    Ready,
    /// A signal the team named.
    Custom(Arc<str>),
}

impl SignalName {
    /// The shipped signals, in the order they are shown.
    pub const SHIPPED: [Self; 13] = [
        Self::Demand,
        Self::Cpu,
        Self::Throttling,
        Self::Memory,
        Self::Latency,
        Self::Errors,
        Self::Queue,
        Self::Restarts,
        Self::OomKills,
        Self::GpuDuty,
        Self::LlmWaiting,
        Self::LlmRunning,
        Self::Ready,
    ];

    /// The name people and the model use.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Demand => "demand",
            Self::Cpu => "cpu",
            Self::Throttling => "throttling",
            Self::Memory => "memory",
            Self::Latency => "latency",
            Self::Errors => "errors",
            Self::Queue => "queue",
            Self::Restarts => "restarts",
            Self::OomKills => "oom_kills",
            Self::GpuDuty => "gpu_duty",
            Self::LlmWaiting => "llm_waiting",
            Self::LlmRunning => "llm_running",
            Self::Ready => "ready",
            Self::Custom(name) => name,
        }
    }

    /// Unit of a shipped signal; a custom one carries its own.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Demand => "1/s",
            Self::Cpu => "cores",
            Self::Throttling | Self::Errors | Self::GpuDuty => "share",
            Self::Memory => "bytes",
            Self::Latency => "s",
            Self::Queue => "items",
            Self::Restarts | Self::OomKills | Self::LlmWaiting | Self::LlmRunning | Self::Ready => "count",
            Self::Custom(_) => "",
        }
    }

    /// Whether five weeks of hours are kept.
    #[must_use]
    pub fn keeps_coarse(&self) -> bool {
        matches!(self, Self::Demand | Self::Cpu | Self::Memory)
    }
}

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One signal of one target at a tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// History; shared, since a snapshot is frozen and the next one only extends it.
    pub history: Arc<History>,
    /// What was read last, where that was after the newest minute of the history: a look between two ticks sees what is, and the history keeps its grid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<(Timestamp, f32)>,
    /// Which template answered (`ingress-nginx`, `istio`, …), for the record.
    pub source: Arc<str>,
    /// What was wrong with this tick's samples, if anything.
    pub faults: Vec<SampleFault>,
}

impl Signal {
    /// The newest value, if it is not older than `stale_after`.
    #[must_use]
    pub fn fresh(&self, now: Timestamp, stale_after: SignedDuration) -> Option<f64> {
        let (at, value) = self.latest()?;
        (now.duration_since(at) <= stale_after).then_some(value)
    }

    /// The newest value however old, with its time.
    #[must_use]
    pub fn latest(&self) -> Option<(Timestamp, f64)> {
        let minute = self.history.latest();
        let newest = self.newest.filter(|(at, _)| minute.is_none_or(|(minute, _)| *at > minute));
        newest.or(minute).map(|(at, value)| (at, f64::from(value)))
    }
}

/// Why a sample was thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SampleFault {
    /// `NaN`.
    NotANumber,
    /// `+Inf` or `-Inf`.
    Infinite,
    /// Below zero where nothing can be.
    Negative,
    /// Older than two scrape intervals or what the limits allow.
    Stale,
    /// From the future.
    Future,
    /// Two series with one identity.
    Duplicate,
    /// Not a number at all.
    Malformed,
    /// Fewer pods answered than are ready.
    Partial,
    /// Beyond what is physically possible (CPU above the limit by a fifth, memory above the node).
    Implausible,
}

/// All signals of all targets.
pub type Signals = BTreeMap<TargetKey, BTreeMap<SignalName, Signal>>;
