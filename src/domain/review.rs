//! What the guardrails say of a proposal: a verdict with the rule, the numbers compared and a sentence a person understands.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::names::ProposalId;
use super::proposal::Change;

/// A verdict, from mildest to hardest. The hardest of all rules wins; nothing upgrades a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// May be carried out as proposed.
    Admit,
    /// May be carried out in a smaller form.
    Clamp,
    /// Needs a person.
    Queue,
    /// Not allowed, now ([`RuleId::passes_with_time`]) or at all.
    Refuse,
}

/// Every rule there is; `guardrails/` holds one file for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RuleId {
    /// The target exists, is in the group, is the one that was meant, and the numbers are numbers.
    Identity,
    /// The mode allows it, or a person is asked.
    Mode,
    /// Replicas inside the guardrail's and the team's bounds.
    Bounds,
    /// Step up and down.
    Step,
    /// A change beyond a factor of the usual needs a person.
    Unusual,
    /// Cool-down after a change.
    CoolDown,
    /// Direction reversed too often.
    Flap,
    /// Stale or missing metrics never scale down.
    StaleMetrics,
    /// No scale-down while pods are failing or starting.
    Unready,
    /// No scale-down and no new pod template while a rollout is in progress.
    Rollout,
    /// Disruption budgets.
    DisruptionBudget,
    /// Freeze windows, the guardrail's freeze, and pauses.
    Freeze,
    /// Container resources inside the guardrail's bounds and the namespace's limit ranges.
    ResourceBounds,
    /// Request not above limit; limit above live usage.
    RequestLimit,
    /// Quota of the namespace.
    Quota,
    /// Some node there is, or may be bought, takes the pods.
    Fit,
    /// Cost an hour.
    CostBudget,
    /// Somebody else writes the field.
    OtherWriter,
    /// Total change over all groups within a window.
    ChangeBudget,
    /// The floor under a model's proposal, and the cap on what it adds in cost.
    RegretBudget,
    /// Node pools only within what the fleet allows.
    Fleet,
    /// Several signals must agree before capacity is taken away.
    CrossCheck,
    /// Pods keep their quality-of-service class in place, and get no lower one.
    QosClass,
}

impl RuleId {
    /// Whether the same proposal may pass later without anybody changing a limit: a refusal by such a rule is shown as *held*, by any other as
    /// *blocked*.
    #[must_use]
    pub const fn passes_with_time(self) -> bool {
        match self {
            Self::CoolDown
            | Self::Flap
            | Self::StaleMetrics
            | Self::Unready
            | Self::Rollout
            | Self::DisruptionBudget
            | Self::Freeze
            | Self::ChangeBudget
            | Self::CrossCheck => true,
            Self::Identity
            | Self::Mode
            | Self::Bounds
            | Self::Step
            | Self::Unusual
            | Self::ResourceBounds
            | Self::RequestLimit
            | Self::QosClass
            | Self::Quota
            | Self::Fit
            | Self::CostBudget
            | Self::OtherWriter
            | Self::RegretBudget
            | Self::Fleet => false,
        }
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A number a rule compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// What was measured, with its unit (`replicas asked`, `metrics age s`).
    pub what: String,
    /// Its value.
    pub value: f64,
    /// What it was compared with.
    pub limit: f64,
}

/// What one rule says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ruling {
    /// Which rule.
    pub rule: RuleId,
    /// Its verdict.
    pub verdict: Verdict,
    /// The numbers.
    pub compared: Vec<Compared>,
    /// A sentence a person understands, with the numbers in it.
    pub sentence: String,
}

/// What the guardrails say of one proposal. Data that anyone may ask for; carrying it out takes a `Released`, which only the gate makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// Which proposal.
    pub proposal: ProposalId,
    /// The hardest verdict.
    pub verdict: Verdict,
    /// What would be carried out: the proposal's change, or its clamped form; absent when refused.
    pub change: Option<Change>,
    /// What each rule said that had something to say (every rule is asked; `Admit` without numbers is left out).
    pub rulings: Vec<Ruling>,
}

impl Review {
    /// The ruling that decided.
    #[must_use]
    pub fn decisive(&self) -> Option<&Ruling> {
        self.rulings.iter().filter(|r| r.verdict == self.verdict).min_by_key(|r| r.rule)
    }
}
