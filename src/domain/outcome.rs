//! What happened when a released change was carried out.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::ProposalId;
use super::proposal::{Change, Origin};
use super::resize::ResizeTally;

/// What came of one released change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which proposal.
    pub proposal: ProposalId,
    /// Who wanted it.
    pub origin: Origin,
    /// What was carried out.
    pub change: Change,
    /// How it ended.
    pub result: OutcomeResult,
    /// When.
    pub at: Timestamp,
}

/// How an action ended. Each has its own mend, so each is its own variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result")]
pub enum OutcomeResult {
    /// Written, and the server said so.
    Applied {
        /// Resource version after the write, where there is one.
        resource_version: Option<Arc<str>>,
    },
    /// The answer to the write was lost, but a later read shows it.
    Confirmed,
    /// Running pods were asked in place; what each node answers shows in the pods.
    Resized {
        /// Where the target's pods stood a moment later.
        pods: ResizeTally,
    },
    /// The world had moved since it was judged; the next tick judges anew.
    WorldChanged {
        /// What was different.
        detail: String,
    },
    /// Somebody else owns the field.
    Conflicted {
        /// The manager, by name.
        manager: Arc<str>,
        /// What a person can do.
        advice: String,
    },
    /// The object is gone, or is another one of the same name.
    Gone,
    /// RBAC does not allow it.
    Forbidden {
        /// The server's reason, shortened.
        detail: String,
    },
    /// An admission policy or webhook, or validation, refused it.
    Denied {
        /// The server's reason, shortened.
        detail: String,
    },
    /// The server could not be reached or did not answer within the deadline; whether it was written is not known.
    Unknown {
        /// What was seen.
        detail: String,
    },
    /// This process does not hold the lease (any more).
    NotLeader,
}

impl OutcomeResult {
    /// Whether the change is in the cluster.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Applied { .. } | Self::Confirmed | Self::Resized { .. })
    }

    /// Machine reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Applied { .. } => "Applied",
            Self::Confirmed => "Confirmed",
            Self::Resized { .. } => "Resized",
            Self::WorldChanged { .. } => "WorldChanged",
            Self::Conflicted { .. } => "Conflicted",
            Self::Gone => "Gone",
            Self::Forbidden { .. } => "Forbidden",
            Self::Denied { .. } => "Denied",
            Self::Unknown { .. } => "Unknown",
            Self::NotLeader => "NotLeader",
        }
    }
}
