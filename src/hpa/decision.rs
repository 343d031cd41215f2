//! What a sync decided, in the words of the object's conditions: variants are named as the controller writes their reasons.

/// The outcome of one sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Replicas it wants; what is there already when nothing is to change.
    pub desired: u32,
    /// Whether its recommendation was held back, or carried out.
    pub able: AbleToScale,
    /// Whether metrics could be used; absent where they were not asked.
    pub active: Option<ScalingActive>,
    /// What cut its recommendation; absent where there was none.
    pub limited: Option<ScalingLimited>,
}

/// Reasons of the condition `AbleToScale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbleToScale {
    /// Nothing was computed.
    SucceededGetScale,
    /// The recommendation stands, and asks for no change.
    ReadyForNewScale,
    /// A lower recommendation of the window holds it back.
    ScaleUpStabilized,
    /// A higher recommendation of the window holds it up.
    ScaleDownStabilized,
    /// Replicas change.
    SucceededRescale,
}

/// Reasons of the condition `ScalingActive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalingActive {
    /// A count came of the metrics.
    ValidMetricFound,
    /// The target has no replicas: a person switched it off.
    ScalingDisabled,
    /// Of the resource metrics.
    FailedGetResourceMetric,
    /// Of the pods' own metrics.
    FailedGetPodsMetric,
    /// Of an external metric.
    FailedGetExternalMetric,
    /// There is no metric.
    InvalidMetricSourceType,
}

/// Reasons of the condition `ScalingLimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalingLimited {
    /// Nothing cut it.
    DesiredWithinRange,
    /// `minReplicas`.
    TooFewReplicas,
    /// `maxReplicas`.
    TooManyReplicas,
    /// The rate of growth.
    ScaleUpLimit,
    /// The rate of shrinking.
    ScaleDownLimit,
}

impl Decision {
    /// Nothing changes, because of this.
    pub(super) fn hold(current: u32, why: ScalingActive) -> Self {
        Self { desired: current, able: AbleToScale::SucceededGetScale, active: Some(why), limited: None }
    }

    /// Into the bounds at once, whatever the metrics say.
    pub(super) fn bounded(bound: u32) -> Self {
        Self { desired: bound, able: AbleToScale::SucceededRescale, active: None, limited: None }
    }
}
