//! `ScalingProposal`: one exact change that waits for a person, and what people decided. IPA writes it once and ends it in status;
//! people append to `spec.decisions` and change nothing else, which CEL holds.

#![expect(clippy::duplicated_attributes, reason = "each printcolumn has a type and a path of its own")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::ChangeSpec;
use super::text::MoneyText;
use crate::domain::snapshot::DecisionVerdict;

/// Label on a proposal with the name of the resource it belongs to, so that `kubectl get sprop -l` finds a group's.
pub const IPA_LABEL: &str = "ipa.dev/ipa";

/// One change that waits for a person. All but the decisions is fixed when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "ipa.dev",
    version = "v1alpha1",
    kind = "ScalingProposal",
    plural = "scalingproposals",
    shortname = "sprop",
    category = "autoscaling",
    namespaced,
    derive = "PartialEq",
    status = "ScalingProposalStatus",
    doc = "A change that IPA proposes and a person approves or rejects. An approval names the digest of the exact change.",
    printcolumn(name = "IPA", type_ = "string", json_path = ".spec.ipaRef.name"),
    printcolumn(name = "Change", type_ = "string", json_path = ".spec.summary"),
    printcolumn(name = "Origin", type_ = "string", json_path = ".spec.origin"),
    printcolumn(name = "Cost/h", type_ = "string", json_path = ".spec.costChangePerHour"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expires"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Rationale", type_ = "string", json_path = ".spec.rationale", priority = 1)
)]
#[x_kube(
    validation = (
        "self.ipaRef == oldSelf.ipaRef && self.origin == oldSelf.origin && self.made == oldSelf.made",
        "only decisions may change; make a new proposal instead"
    ),
    validation = (
        "self.change == oldSelf.change && self.summary == oldSelf.summary",
        "the change is fixed; reject this proposal and ask for another"
    ),
    validation = (
        "self.digest == oldSelf.digest && self.stateDigest == oldSelf.stateDigest && self.expires == oldSelf.expires",
        "digests and expiry are fixed; make a new proposal instead"
    ),
    validation = (
        "self.rationale == oldSelf.rationale && has(self.costChangePerHour) == has(oldSelf.costChangePerHour) \
         && (!has(self.costChangePerHour) || self.costChangePerHour == oldSelf.costChangePerHour)",
        "rationale and cost are fixed; make a new proposal instead"
    ),
    validation = (
        "has(self.evidence) == has(oldSelf.evidence) && (!has(self.evidence) || self.evidence == oldSelf.evidence)",
        "evidence is fixed; make a new proposal instead"
    ),
    validation = (
        "has(self.rulings) == has(oldSelf.rulings) && (!has(self.rulings) || self.rulings == oldSelf.rulings)",
        "rulings are fixed; make a new proposal instead"
    ),
    validation = (
        "!has(oldSelf.decisions) || (has(self.decisions) \
         && oldSelf.decisions.all(d, self.decisions.indexOf(d) == oldSelf.decisions.indexOf(d)))",
        "decisions are append-only; add a further one at the end"
    ),
    validation = (
        "!has(self.decisions) || self.decisions.all(d, d.digest == self.digest)",
        "a decision names another digest than the proposal; read the proposal again and decide on what it says"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ScalingProposalSpec {
    /// The IntelligentPodAutoscaler or NodeFleet that this belongs to. Required.
    pub ipa_ref: IpaRef,
    /// Who wants the change: Planner, Model or Person. Required.
    pub origin: OriginSpec,
    /// One line that says what would change, such as replicas of shop/deployments.apps/web 4 -> 7. Required.
    #[schemars(length(min = 1, max = 1024))]
    pub summary: String,
    /// The exact change, as it would be carried out: it passes whole or goes stale, it is never clamped. Required.
    pub change: ChangeSpec,
    /// SHA-256 of the exact change's canonical JSON, in lower-case hex; a decision names it. Required.
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub digest: String,
    /// SHA-256 of the state that it was judged against, in lower-case hex; another state makes it Stale. Required.
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub state_digest: String,
    /// When it was made, as an RFC 3339 time. Required.
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub made: String,
    /// When it lapses unless it was approved before, as an RFC 3339 time. Required.
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub expires: String,
    /// Why, in a sentence for people; a model's words are shown, never obeyed. Default: empty.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub rationale: String,
    /// Ids of what it rests on: ledger entries (e1042), cluster events (ev3), signals (w1.latency), 0 to 32. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub evidence: Vec<String>,
    /// What the guardrails said, rule by rule, 0 to 32; those with nothing to say are left out. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub rulings: Vec<RulingSpec>,
    /// What it changes in cost an hour, in US dollars; negative saves. Default: absent, prices are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_change_per_hour: Option<MoneyText>,
    /// What people decided, oldest first, append-only, 0 to 16. A rejection ends it, whatever else is said. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub decisions: Vec<DecisionSpec>,
}

/// The resource that a proposal belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpaRef {
    /// Namespace of the IntelligentPodAutoscaler; empty for a NodeFleet, which has none. Default: empty.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Name of the IntelligentPodAutoscaler or NodeFleet. Required.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Who wants a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OriginSpec {
    /// The numeric planner.
    Planner,
    /// The language model.
    Model,
    /// A person.
    Person,
}

/// What one guardrail said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RulingSpec {
    /// Which rule it was, such as Step, Unusual or CostBudget. Required.
    #[schemars(length(min = 1, max = 64))]
    pub rule: String,
    /// What it said: Admit, Clamp, Queue or Refuse. Required.
    #[schemars(length(min = 1, max = 16))]
    pub verdict: String,
    /// The same in a sentence for people, with the numbers compared. Required.
    #[schemars(length(max = 1024))]
    pub sentence: String,
}

/// One person's decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionSpec {
    /// Who decided: the user name as the API server authenticated it. Required.
    #[schemars(length(min = 1, max = 253))]
    pub by: String,
    /// Yes or no to the exact change: Approve or Reject. Required.
    pub verdict: DecisionVerdict,
    /// Digest of the change that was decided on; it must be the proposal's own. Required.
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub digest: String,
    /// When it was decided, as an RFC 3339 time. Required.
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub at: String,
}

/// Where a proposal stands; written by IPA alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingProposalStatus {
    /// Where it stands: Pending, Approved, Rejected, Applied, Expired, Stale or Cancelled.
    pub phase: Phase,
    /// Machine-readable reason of the phase in CamelCase.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// Sentence for people that names the cause and, where there is one, the mend.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// When it entered this phase (RFC 3339, UTC).
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub since: String,
}

/// Where a proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Waits for a person.
    Pending,
    /// A person said yes; the next tick judges it again.
    Approved,
    /// A person said no.
    Rejected,
    /// Carried out.
    Applied,
    /// Nobody decided in time.
    Expired,
    /// The state it was judged against is gone, or a later judgement refused it.
    Stale,
    /// Withdrawn by IPA.
    Cancelled,
}

impl Phase {
    /// Whether it has ended.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        match self {
            Self::Pending | Self::Approved => false,
            Self::Rejected | Self::Applied | Self::Expired | Self::Stale | Self::Cancelled => true,
        }
    }

    /// The phase that a machine reason ends a proposal in; a reason that is no phase's name cancels it.
    #[must_use]
    pub fn of_reason(reason: &str) -> Self {
        match reason {
            "Applied" => Self::Applied,
            "Rejected" => Self::Rejected,
            "Expired" => Self::Expired,
            "Stale" => Self::Stale,
            _ => Self::Cancelled,
        }
    }
}
