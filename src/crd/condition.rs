//! Conditions in Kubernetes' form, with the time of their last transition kept while their status stays.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::status::Condition;

/// One condition, as `kubectl wait --for=condition=` reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConditionStatus {
    /// Type of the condition, such as Ready, ScalingLimited or Fallback.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 64))]
    pub kind: String,
    /// Whether it holds: True, False, or Unknown where nothing can be said.
    pub status: ConditionValue,
    /// Generation of the spec that this was said of, to tell old from new.
    #[schemars(range(min = 0))]
    pub observed_generation: i64,
    /// When the status last changed from one value to another (RFC 3339, UTC).
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// Machine-readable reason in CamelCase, one word for each cause.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// Sentence for people that names the cause and, where there is one, the mend.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// A condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionValue {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nothing can be said.
    Unknown,
}

impl From<Option<bool>> for ConditionValue {
    fn from(status: Option<bool>) -> Self {
        match status {
            Some(true) => Self::True,
            Some(false) => Self::False,
            None => Self::Unknown,
        }
    }
}

/// The conditions as they are to be written: each keeps its time from `previous` unless its status changes `now`.
#[must_use]
pub fn conditions(new: &[Condition], previous: &[ConditionStatus], generation: i64, now: Timestamp) -> Vec<ConditionStatus> {
    new.iter()
        .map(|condition| {
            let kind = format!("{:?}", condition.kind);
            let status = ConditionValue::from(condition.status);
            let since = previous.iter().find(|p| p.kind == kind && p.status == status).map(|p| p.last_transition_time.clone());
            ConditionStatus {
                kind,
                status,
                observed_generation: generation,
                last_transition_time: since.unwrap_or_else(|| whole_seconds(now)),
                reason: shortened(&condition.reason, 128),
                message: shortened(&condition.message, 1024),
            }
        })
        .collect()
}

/// A time as Kubernetes' `metav1.Time` prints it.
pub(crate) fn whole_seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// The first `most` characters; a schema's `maxLength` counts characters too.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::status::ConditionType;

    fn ready(status: Option<bool>, message: &str) -> Condition {
        Condition { kind: ConditionType::Ready, status, reason: "Scaled".into(), message: message.into() }
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let at = |s: &str| s.parse::<Timestamp>().unwrap();
        let first = conditions(&[ready(Some(true), "a")], &[], 1, at("2026-03-02T10:00:00.5Z"));
        assert_eq!(first[0].last_transition_time, "2026-03-02T10:00:00Z");
        let second = conditions(&[ready(Some(true), "b")], &first, 2, at("2026-03-02T11:00:00Z"));
        assert_eq!(second[0].last_transition_time, "2026-03-02T10:00:00Z");
        assert_eq!((second[0].message.as_str(), second[0].observed_generation), ("b", 2));
        let third = conditions(&[ready(None, "b")], &second, 2, at("2026-03-02T12:00:00Z"));
        assert_eq!((third[0].status, third[0].last_transition_time.as_str()), (ConditionValue::Unknown, "2026-03-02T12:00:00Z"));
    }

    #[test]
    fn a_message_is_cut_by_characters() {
        assert_eq!(shortened("für", 3), "für");
        assert_eq!(shortened("fünf", 3), "fü…");
    }
}
