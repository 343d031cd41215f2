//! What an incident may forbid, by name: in results, in files, and in lines for people.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::incident::{ForbiddenAct, Never};

/// One thing that `expect` may forbid: of `never`, or of `decision.forbidden`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Forbidden {
    /// Never, in this incident.
    Never(Never),
    /// Not as an answer to what goes wrong in this incident.
    Act(ForbiddenAct),
}

/// Something forbidden that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// What.
    pub what: Forbidden,
    /// Whose workload.
    pub workload: Arc<str>,
    /// Seconds after the scored part began.
    pub at_s: u32,
}

impl Forbidden {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Never(Never::ScaleDownOnStaleMetrics),
        Self::Never(Never::OutsideBounds),
        Self::Never(Never::ScaleDownUnderFailure),
        Self::Never(Never::FightWriter),
        Self::Never(Never::EvictProtected),
        Self::Never(Never::ExceedBudget),
        Self::Never(Never::ActWithoutRecord),
        Self::Act(ForbiddenAct::ScaleUp),
        Self::Act(ForbiddenAct::ScaleDown),
        Self::Act(ForbiddenAct::Resize),
        Self::Act(ForbiddenAct::NodePool),
    ];

    /// Its name in `incident.yaml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Never(Never::ScaleDownOnStaleMetrics) => "ScaleDownOnStaleMetrics",
            Self::Never(Never::OutsideBounds) => "OutsideBounds",
            Self::Never(Never::ScaleDownUnderFailure) => "ScaleDownUnderFailure",
            Self::Never(Never::FightWriter) => "FightWriter",
            Self::Never(Never::EvictProtected) => "EvictProtected",
            Self::Never(Never::ExceedBudget) => "ExceedBudget",
            Self::Never(Never::ActWithoutRecord) => "ActWithoutRecord",
            Self::Act(ForbiddenAct::ScaleUp) => "ScaleUp",
            Self::Act(ForbiddenAct::ScaleDown) => "ScaleDown",
            Self::Act(ForbiddenAct::Resize) => "Resize",
            Self::Act(ForbiddenAct::NodePool) => "NodePool",
        }
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Forbidden> for &'static str {
    fn from(forbidden: Forbidden) -> Self {
        forbidden.name()
    }
}

impl FromStr for Forbidden {
    type Err = ForbiddenError;
    fn from_str(text: &str) -> Result<Self, ForbiddenError> {
        Self::ALL.into_iter().find(|forbidden| forbidden.name() == text).ok_or_else(|| ForbiddenError(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for Forbidden {
    type Error = ForbiddenError;
    fn try_from(text: String) -> Result<Self, ForbiddenError> {
        text.parse()
    }
}

/// A name that nothing forbidden has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is nothing that an incident can forbid: write one of {names}", names = Forbidden::ALL.map(Forbidden::name).join(", "))]
pub struct ForbiddenError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forbidden_is_written_and_read_by_name() {
        for forbidden in Forbidden::ALL {
            let text = serde_json::to_string(&forbidden).unwrap();
            assert_eq!(text, format!("\"{forbidden}\""));
            assert_eq!(serde_json::from_str::<Forbidden>(&text).unwrap(), forbidden);
        }
        assert!(serde_json::from_str::<Forbidden>("\"Sleep\"").unwrap_err().to_string().contains("`Sleep` is nothing"));
    }
}
