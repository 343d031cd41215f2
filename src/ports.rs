//! The edge of the program: what it needs of the world, in its own words. `adapters/` and `sim/` stand behind these; nothing else does I/O.
//!
//! A tick takes `Ports`, so an eval, the demo and the operator run the same code.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::agent::messages::{ModelFailure, ModelReply, ModelRequest};
use crate::domain::fleet::Catalogue;
use crate::domain::limits::Group;
use crate::domain::memory::Memory;
use crate::domain::names::{Digest, GroupId, TargetKey, TickId};
use crate::domain::outcome::Outcome;
use crate::domain::record::{DialogueRecord, Entry, EntryBody, Evidence, PastDecision};
use crate::domain::series::Series;
use crate::domain::signal::{SignalName, Signals};
use crate::domain::snapshot::{ClusterFacts, QueuedProposal, SourceHealth};
use crate::domain::status::GroupStatus;
use crate::domain::workload::Workload;
use crate::guardrails::Released;
use crate::service::Observe;

/// What the cluster shows.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// All facts at one moment of the caches.
    ///
    /// # Errors
    /// [`PortError`] when caches are not filled yet or the API cannot be read; no action follows then.
    async fn observe(&self, now: Timestamp) -> Result<ClusterFacts, PortError>;
}

/// What the metrics source knows. One query per signal for all targets together.
#[async_trait]
pub trait Metrics: Send + Sync {
    /// Signals of all `workloads`, up to `now`, with the history kept so far; and how the source answered. Never fails as a whole: what is
    /// missing is missing.
    async fn signals(
        &self,
        groups: &BTreeMap<GroupId, Group>,
        workloads: &BTreeMap<TargetKey, Workload>,
        now: Timestamp,
    ) -> (Signals, SourceHealth);

    /// Demand alone at one minute for eight days, for the nightly replay; outside the hot snapshot.
    ///
    /// # Errors
    /// [`PortError`] when the source does not answer.
    async fn demand_history(&self, target: &TargetKey, now: Timestamp) -> Result<Series, PortError>;
}

/// What a metrics source has kept of a stretch that is over. Not one of the tick's [`Ports`]: a recording asks it, never the loop.
#[async_trait]
pub trait Archive: Send + Sync {
    /// One signal of all `workloads`, a value a minute. `Demand` is what replicas are sized for: a team's own signal where it names one. A target
    /// is absent for which no source has a value within the stretch.
    ///
    /// # Errors
    /// [`PortError`] when the source does not answer: what it did not say is not the same as what it does not have.
    async fn recorded(
        &self,
        groups: &BTreeMap<GroupId, Group>,
        workloads: &BTreeMap<TargetKey, Workload>,
        signal: &SignalName,
        stretch: Stretch,
    ) -> Result<BTreeMap<TargetKey, Recorded>, PortError>;
}

/// A stretch of the past, in whole minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// It begins with the minute after this.
    pub from: Timestamp,
    /// It ends with the minute before this.
    pub until: Timestamp,
    /// How much of what was before is asked for as well, from the source that answers for the stretch.
    pub past: SignedDuration,
}

/// A signal as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// A value a minute, each for the minute that ends with it.
    pub series: Series,
    /// Where it comes from.
    pub source: Arc<str>,
    /// Which rate it is, where it is demand and that is known.
    pub observe: Option<Observe>,
}

/// What things cost.
#[async_trait]
pub trait Prices: Send + Sync {
    /// The present catalogue. Stale prices are shown as stale, never invented.
    async fn catalogue(&self, now: Timestamp) -> Arc<Catalogue>;
}

/// A language model.
#[async_trait]
pub trait Model: Send + Sync {
    /// Who answers: the model's name, and, where no model plays, who does.
    fn identity(&self) -> ModelIdentity;

    /// Whether it is worth asking now. Asking this changes nothing; a model without a guard is always available.
    fn availability(&self, now: Timestamp) -> Availability {
        let _ = now;
        Availability::Available
    }

    /// Tokens left of the day's budget; `None` where there is none.
    fn tokens_remaining(&self, now: Timestamp) -> Option<u64> {
        let _ = now;
        None
    }

    /// One call, within `deadline`, retries included.
    ///
    /// # Errors
    /// [`ModelFailure`], by class.
    async fn complete(&self, request: &ModelRequest, deadline: Duration) -> Result<ModelReply, ModelFailure>;
}

/// Whether a model may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It may.
    Available,
    /// It kept failing, or its provider asked to be left alone.
    BreakerOpen {
        /// Until then at least.
        until: Timestamp,
    },
    /// The day's tokens are spent.
    BudgetSpent {
        /// Until then.
        until: Timestamp,
    },
}

/// Who answers for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelIdentity {
    /// Model name asked for.
    pub model: String,
    /// Set when no model plays but something else does (`scripted expert`), and shown wherever its words are.
    pub played_by: Option<String>,
}

/// Carries out what was released.
#[async_trait]
pub trait Actuator: Send + Sync {
    /// Writes one released change, if the world still matches and this process still leads. Always ends in an outcome.
    async fn carry_out(&self, released: Released, now: Timestamp) -> Outcome;
}

/// The right to act.
#[async_trait]
pub trait Lease: Send + Sync {
    /// The fencing epoch under which this process leads until at least `until`; `None` when it does not.
    async fn epoch(&self, until: Timestamp) -> Option<u64>;
}

/// Where groups read what happened.
#[async_trait]
pub trait Status: Send + Sync {
    /// Publishes status and events, writing only what changed. A failure is logged, counted and tried anew next tick: it never fails a tick.
    async fn publish(&self, status: &[GroupStatus]) -> Result<(), PortError>;
}

/// The queue of proposals that wait for people.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Puts a proposal where people can decide on it. Approvals come back through [`Cluster::observe`].
    ///
    /// # Errors
    /// [`PortError`] when it could not be stored.
    async fn enqueue(&self, proposal: &QueuedProposal) -> Result<(), PortError>;

    /// Ends a queued proposal with a machine reason (`Applied`, `Rejected`, `Expired`, `Stale`, …).
    ///
    /// # Errors
    /// [`PortError`] when it could not be stored.
    async fn close(&self, proposal: &QueuedProposal, reason: &str, message: &str, now: Timestamp) -> Result<(), PortError>;

    /// Clears away a proposal that has ended; the ledger keeps what it was and what came of it.
    ///
    /// # Errors
    /// [`PortError`] when it could not be taken away.
    async fn forget(&self, ended: &QueuedProposal) -> Result<(), PortError>;
}

/// Where memory is kept between runs.
#[async_trait]
pub trait State: Send + Sync {
    /// The memory last saved; `None` when there is none or it is of another version.
    ///
    /// # Errors
    /// [`PortError`] when the store cannot be read, or what it holds does not match its digest.
    async fn load(&self) -> Result<Option<Memory>, PortError>;

    /// Saves all of memory with its digest. The planner's part is large and can be learned anew: it is saved now and then.
    ///
    /// # Errors
    /// [`PortError`] when the store cannot be written.
    async fn save(&self, memory: &Memory) -> Result<(), PortError>;

    /// Saves all but the planner's part: small, and due after each action, before the next.
    ///
    /// # Errors
    /// [`PortError`] when the store cannot be written.
    async fn save_gate(&self, memory: &Memory) -> Result<(), PortError>;
}

/// The append-only record. No record, no action: what cannot be appended is not done.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Appends entries in order, in one transaction, chaining them; gives their sequence numbers.
    ///
    /// # Errors
    /// [`PortError`] when nothing was appended.
    async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<u64>, PortError>;

    /// Stores bodies by their content, in one transaction, and gives their digests in order; the same content is stored once.
    ///
    /// # Errors
    /// [`PortError`] when nothing was stored.
    async fn put_bodies(&self, bodies: Vec<Body>, now: Timestamp) -> Result<Vec<Digest>, PortError>;

    /// A body by digest; `None` when it was pruned or never stored.
    ///
    /// # Errors
    /// [`PortError`] when the store cannot be read.
    async fn body(&self, digest: &Digest) -> Result<Option<Body>, PortError>;

    /// Drops bodies that were last used before `before`; the chain keeps their digests. Gives how many.
    ///
    /// # Errors
    /// [`PortError`] when the store cannot be written.
    async fn prune(&self, before: Timestamp) -> Result<u64, PortError>;

    /// Entries that match, oldest first.
    ///
    /// # Errors
    /// [`PortError`] when the store cannot be read.
    async fn entries(&self, filter: &EntryFilter) -> Result<Vec<Entry>, PortError>;

    /// A bounded digest of past decisions, newest last.
    ///
    /// # Errors
    /// [`PortError`] when the store cannot be read.
    async fn past(&self, limit: usize) -> Result<Vec<PastDecision>, PortError>;
}

/// An entry that is to be appended; the ledger gives it its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEntry {
    /// When.
    pub at: Timestamp,
    /// Which cluster.
    pub cluster: Arc<str>,
    /// Which group.
    pub group: GroupId,
    /// Which tick.
    pub tick: TickId,
    /// What it says.
    pub body: EntryBody,
}

/// What is kept beside the chain, by digest.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "body")]
pub enum Body {
    /// What was known of a group.
    Evidence(Evidence),
    /// A dialogue.
    Dialogue(DialogueRecord),
}

/// Which entries are asked for; all parts must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// Only this group.
    pub group: Option<GroupId>,
    /// Only this tick.
    pub tick: Option<TickId>,
    /// Only ticks before this one.
    pub before: Option<TickId>,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// Only after this sequence number.
    pub after: Option<u64>,
    /// The newest so many, at most; 0 means all.
    pub newest: usize,
    /// The oldest so many, at most; 0 means all. One of `newest` and `oldest` is set at most.
    pub oldest: usize,
}

/// Time. The operator's is the system's; the simulator's is virtual.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Wall clock.
    fn now(&self) -> Timestamp;

    /// Returns when the clock shows at least `until`.
    async fn sleep_until(&self, until: Timestamp);
}

/// Everything a tick needs of the world.
#[derive(Clone)]
pub struct Ports {
    /// The cluster.
    pub cluster: Arc<dyn Cluster>,
    /// Metrics.
    pub metrics: Arc<dyn Metrics>,
    /// Prices.
    pub prices: Arc<dyn Prices>,
    /// The model, where one is configured.
    pub model: Option<Arc<dyn Model>>,
    /// Carries out.
    pub actuator: Arc<dyn Actuator>,
    /// The right to act.
    pub lease: Arc<dyn Lease>,
    /// Status and events.
    pub status: Arc<dyn Status>,
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// Memory.
    pub state: Arc<dyn State>,
    /// The record.
    pub ledger: Arc<dyn Ledger>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Why a port did not do what was asked. The text names the object and the mend; it is logged once, at the top.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Not ready yet (caches are filling, a server is starting).
    #[error("{what} is not ready: {detail}")]
    NotReady {
        /// Which part.
        what: &'static str,
        /// What is missing.
        detail: String,
    },
    /// Could not be reached, or did not answer as it should.
    #[error("failed to {action}: {detail}")]
    Failed {
        /// What was tried.
        action: String,
        /// What was seen, and the mend where one is known.
        detail: String,
    },
    /// What is stored does not hold together.
    #[error("{what} is corrupt: {detail}")]
    Corrupt {
        /// Which part.
        what: &'static str,
        /// First bad place.
        detail: String,
    },
}

/// Where a person's decision on a queued proposal goes. Not one of the tick's [`Ports`]: the page and the CLI act for a person, never the loop.
#[async_trait]
pub trait Decisions: Send + Sync {
    /// Records a decision of the person that `token` stands for (in the demo, whoever sits at the page). `digest` is the change that was seen.
    ///
    /// # Errors
    /// [`PortError`] when there is no such open proposal, the digest is another, or the person may not.
    async fn decide(
        &self,
        proposal: &crate::domain::names::ProposalId,
        verdict: crate::domain::snapshot::DecisionVerdict,
        digest: &Digest,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<(), PortError>;
}
