//! The policies that can be scored: a closed list, with their names on the command line and in every result.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who decides how many replicas there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// The replicas of the beginning, for ever.
    Hold,
    /// What the highest demand of the past needed, for ever.
    StaticPeak,
    /// autoscaling/v2 at 70 % CPU.
    Hpa,
    /// The best HPA on the incident's own past: 0 on the scale of `gap_closed`.
    HpaTuned,
    /// The best HPA on the scored part itself.
    HpaHindsight,
    /// KEDA on requests a second.
    Keda,
    /// The vertical pod autoscaler's recommender.
    Vpa,
    /// The floor: the numeric planner without a model.
    Ipa,
    /// The whole loop, with a model.
    IpaModel,
    /// Knows every arrival.
    Oracle,
    /// Knows the rate and not the noise: 1 on the scale of `gap_closed`.
    OracleRate,
}

/// Policies of one family share a colour in charts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// What is measured here.
    Ipa,
    /// Autoscalers that teams run today.
    Reactive,
    /// No scaling at all.
    Fixed,
    /// Those that know what is to come.
    Oracle,
}

impl Policy {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 11] = [
        Self::Hold,
        Self::StaticPeak,
        Self::Hpa,
        Self::HpaTuned,
        Self::HpaHindsight,
        Self::Keda,
        Self::Vpa,
        Self::Ipa,
        Self::IpaModel,
        Self::Oracle,
        Self::OracleRate,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::StaticPeak => "static-peak",
            Self::Hpa => "hpa",
            Self::HpaTuned => "hpa-tuned",
            Self::HpaHindsight => "hpa-hindsight",
            Self::Keda => "keda",
            Self::Vpa => "vpa",
            Self::Ipa => "ipa",
            Self::IpaModel => "ipa-model",
            Self::Oracle => "oracle",
            Self::OracleRate => "oracle-rate",
        }
    }

    /// Whether what it does depends on the price of a bad minute; the others run once for all prices.
    #[must_use]
    pub fn takes_price(self) -> bool {
        match self {
            Self::HpaTuned | Self::HpaHindsight | Self::Ipa | Self::IpaModel | Self::Oracle | Self::OracleRate => true,
            Self::Hold | Self::StaticPeak | Self::Hpa | Self::Keda | Self::Vpa => false,
        }
    }

    /// Whether `expect` of an incident is held against it.
    #[must_use]
    pub fn is_ours(self) -> bool {
        self.family() == Family::Ipa
    }

    /// Its family.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::Ipa | Self::IpaModel => Family::Ipa,
            Self::Hpa | Self::HpaTuned | Self::HpaHindsight | Self::Keda | Self::Vpa => Family::Reactive,
            Self::Hold | Self::StaticPeak => Family::Fixed,
            Self::Oracle | Self::OracleRate => Family::Oracle,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Policy {
    type Err = PolicyError;
    fn from_str(text: &str) -> Result<Self, PolicyError> {
        Self::ALL.into_iter().find(|policy| policy.name() == text).ok_or_else(|| PolicyError(text.chars().take(40).collect()))
    }
}

/// A name that is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no policy: write some of {names}, with commas between", names = Policy::ALL.map(Policy::name).join(", "))]
pub struct PolicyError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_one_name_on_the_command_line_and_in_json() {
        for policy in Policy::ALL {
            assert_eq!(policy.name().parse(), Ok(policy));
            assert_eq!(serde_json::to_value(policy).unwrap(), policy.name());
            assert_eq!(serde_json::from_value::<Policy>(policy.name().into()).unwrap(), policy);
        }
    }

    #[test]
    fn another_name_is_answered_with_the_list() {
        let said = "hpa2".parse::<Policy>().unwrap_err().to_string();
        assert!(said.starts_with("`hpa2` is no policy"), "{said}");
        assert!(Policy::ALL.into_iter().all(|policy| said.contains(policy.name())), "{said}");
    }
}
