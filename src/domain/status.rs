//! What a group is told about itself: status, conditions and events, in Kubernetes' words. The adapter writes them only when they change.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::limits::Modes;
use super::names::{GroupId, TargetKey};
use super::units::MicroUsd;

/// Status of one group after a tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Which group.
    pub group: GroupId,
    /// UID of the custom resource.
    pub uid: Arc<str>,
    /// Generation that was observed.
    pub observed_generation: i64,
    /// When the tick was.
    pub at: Timestamp,
    /// Its targets.
    pub targets: Vec<TargetStatus>,
    /// Conditions, all of [`ConditionType::ALL`], in that order.
    pub conditions: Vec<Condition>,
    /// Events to be recorded on the group and, where named, on the target.
    pub events: Vec<StatusEvent>,
}

/// Status of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetStatus {
    /// Which target.
    pub target: TargetKey,
    /// Effective modes.
    pub modes: Modes,
    /// Effective bounds.
    pub min: u32,
    /// Effective bounds.
    pub max: u32,
    /// Replicas there are.
    pub current: u32,
    /// Replicas wanted by the plan.
    pub desired: u32,
    /// Ready replicas.
    pub ready: u32,
    /// What an HPA would ask for.
    pub shadow_hpa: Option<u32>,
    /// How sure the outlook is: share of its back-test that held (coverage), 0 to 1.
    pub confidence: Option<f64>,
    /// Forecasting model.
    pub model: Option<Arc<str>>,
    /// Machine reason of the plan.
    pub reason: String,
    /// The last change that was carried out.
    pub last_action: Option<(Timestamp, String)>,
    /// Cost an hour.
    pub cost_per_hour: Option<MicroUsd>,
}

/// Condition types. The first four are HPA's words, so that tools understand them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "listed in the reference with their meaning")]
pub enum ConditionType {
    Ready,
    AbleToScale,
    ScalingActive,
    ScalingLimited,
    MetricsAvailable,
    LLMAvailable,
    Fallback,
    Paused,
    Conflicted,
    ApprovalPending,
    FenceInstalled,
    AuditHealthy,
}

impl ConditionType {
    /// All of them, in the order of status.
    pub const ALL: [Self; 12] = [
        Self::Ready,
        Self::AbleToScale,
        Self::ScalingActive,
        Self::ScalingLimited,
        Self::MetricsAvailable,
        Self::LLMAvailable,
        Self::Fallback,
        Self::Paused,
        Self::Conflicted,
        Self::ApprovalPending,
        Self::FenceInstalled,
        Self::AuditHealthy,
    ];
}

/// One condition. The adapter keeps the time of the last transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Type.
    pub kind: ConditionType,
    /// True, false, or not known.
    pub status: Option<bool>,
    /// Machine reason, `CamelCase`.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

/// Reasons of events that IPA records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "listed in the reference with their meaning")]
pub enum StatusEventReason {
    ScaledUp,
    ScaledDown,
    Resized,
    HeldByGuardrail,
    ClampedByGuardrail,
    ApprovalRequested,
    ApprovalExpired,
    FallbackActivated,
    FallbackDeactivated,
    LLMUnavailable,
    BudgetExhausted,
    ConflictDetected,
    MetricsStale,
    TruncatedResponse,
    ModelChanged,
    FenceMissing,
    Finding,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusEvent {
    /// Reason.
    pub reason: StatusEventReason,
    /// Whether it is a warning.
    pub warning: bool,
    /// Target it is about, if one.
    pub target: Option<TargetKey>,
    /// Text; the adapter cuts it to 1,024 bytes.
    pub note: String,
}
