//! What a rule is: a question about one change, answered with a verdict, the numbers compared and a sentence. What it is asked about is a
//! [`Case`]; which rules there are, and in which order they clamp, is in `guardrails.rs`.

use jiff::Timestamp;

use super::projection::Projection;
use super::world::World;
use crate::domain::limits::{Group, GroupTarget, Guardrail, Modes, TargetLimits};
use crate::domain::names::TargetKey;
use crate::domain::proposal::{Change, Proposal, ReplicasChange, ResourcesChange};
use crate::domain::resize::Through;
use crate::domain::review::{Compared, RuleId, Ruling, Verdict};
use crate::domain::units::GoDuration;
use crate::domain::workload::{ContainerResources, Workload};

/// Everything a rule may look at. A rule never looks at a proposal's words.
pub(super) struct Case<'a> {
    /// Snapshot and plan, indexed.
    pub world: &'a World<'a>,
    /// What was released before, within this batch and in earlier ones.
    pub projection: &'a Projection<'a>,
    /// The proposal as it was made.
    pub proposal: &'a Proposal,
    /// The change as clamped so far.
    pub change: &'a Change,
    /// Who and what it is about.
    pub subject: Subject<'a>,
    /// Whether a person approved exactly this change.
    pub approved: bool,
}

/// What the snapshot holds about a change's target; all absent for a node pool.
#[derive(Clone, Copy, Default)]
pub(super) struct Subject<'a> {
    /// The group that proposes.
    pub group: Option<&'a Group>,
    /// How the group names the target; absent when it does not.
    pub member: Option<&'a GroupTarget>,
    /// The platform's guardrail of the namespace.
    pub guardrail: Option<&'a Guardrail>,
    /// The platform's limits of the target; absent when it is not enrolled.
    pub limits: Option<&'a TargetLimits>,
    /// The target as observed.
    pub workload: Option<&'a Workload>,
}

/// What a rule says.
pub(super) struct Answer {
    verdict: Verdict,
    clamped: Option<Change>,
    compared: Vec<Compared>,
    sentence: String,
}

impl<'a> Case<'a> {
    pub(super) fn now(&self) -> Timestamp {
        self.world.snapshot.at
    }

    /// Modes in force for the target: the least of installation, guardrail and group; `Observe` where nothing enrols it.
    pub(super) fn modes(&self) -> Modes {
        match (self.subject.group, self.subject.guardrail, self.subject.limits) {
            (Some(group), Some(guardrail), Some(_)) => {
                group.modes.at_most(guardrail.highest_mode).at_most(self.world.snapshot.limits.highest_mode)
            }
            _ => Modes::default(),
        }
    }

    /// The change, if it removes replicas.
    pub(super) fn scale_down(&self) -> Option<&'a ReplicasChange> {
        match self.change {
            Change::Replicas(replicas) if replicas.to < replicas.from => Some(replicas),
            _ => None,
        }
    }

    /// The change, if it adds replicas.
    pub(super) fn scale_up(&self) -> Option<&'a ReplicasChange> {
        match self.change {
            Change::Replicas(replicas) if replicas.to > replicas.from => Some(replicas),
            _ => None,
        }
    }

    /// The target of a change that takes capacity away: fewer replicas, or a lower request or limit.
    pub(super) fn target_losing_capacity(&self) -> Option<&'a TargetKey> {
        let loses = match self.change {
            Change::Resources(c) => {
                let from = self.before(c);
                c.to.cpu_request < from.cpu_request
                    || c.to.memory_request < from.memory_request
                    || lower(from.cpu_limit, c.to.cpu_limit)
                    || lower(from.memory_limit, c.to.memory_limit)
            }
            other => other.reduces(),
        };
        if loses { self.change.target() } else { None }
    }

    /// What those have whom a change of resources reaches: what is in force; or, where it carries that on, the most that a pod without it has, or
    /// what the template says.
    pub(super) fn before(&self, change: &ResourcesChange) -> ContainerResources {
        let Some(workload) = self.subject.workload.filter(|_| change.carries_on()) else { return change.from };
        let without = workload.pods.iter().filter(|pod| pod.is_running() && !pod.asks_for(&change.container, &change.to));
        let sizes = without.flat_map(|pod| &pod.size.containers).filter(|c| c.name == change.container).map(|c| c.resources);
        let most = match change.through {
            Through::Pods => sizes.reduce(most),
            Through::Template => workload.in_template(&change.container).copied(),
        };
        most.unwrap_or(change.from)
    }
}

/// The larger of each amount; no limit is more than any.
fn most(a: ContainerResources, b: ContainerResources) -> ContainerResources {
    ContainerResources {
        cpu_request: a.cpu_request.max(b.cpu_request),
        cpu_limit: a.cpu_limit.zip(b.cpu_limit).map(|(a, b)| a.max(b)),
        memory_request: a.memory_request.max(b.memory_request),
        memory_limit: a.memory_limit.zip(b.memory_limit).map(|(a, b)| a.max(b)),
    }
}

/// Whether a limit falls, or is set where there was none.
pub(super) fn lower<T: PartialOrd>(from: Option<T>, to: Option<T>) -> bool {
    match (from, to) {
        (Some(from), Some(to)) => to < from,
        (None, Some(_)) => true,
        (_, None) => false,
    }
}

impl Answer {
    /// Nothing to say.
    pub(super) fn pass() -> Self {
        Self::new(Verdict::Admit, None, String::new())
    }

    /// Allowed, with something worth recording.
    pub(super) fn admit(sentence: String) -> Self {
        Self::new(Verdict::Admit, None, sentence)
    }

    /// Allowed in a smaller form.
    pub(super) fn clamp(change: Change, sentence: String) -> Self {
        Self::new(Verdict::Clamp, Some(change), sentence)
    }

    /// A person decides.
    pub(super) fn queue(sentence: String) -> Self {
        Self::new(Verdict::Queue, None, sentence)
    }

    /// Not allowed.
    pub(super) fn refuse(sentence: String) -> Self {
        Self::new(Verdict::Refuse, None, sentence)
    }

    /// `allowed` of the replicas by which `replicas` differs: all, some, or none and thus a refusal. `why` ends the sentence.
    pub(super) fn at_most(replicas: &ReplicasChange, allowed: u32, why: &str) -> Self {
        let asked = replicas.from.abs_diff(replicas.to);
        if allowed >= asked {
            return Self::pass();
        }
        let up = replicas.to > replicas.from;
        let verb = if up { "added" } else { "removed" };
        if allowed == 0 {
            return Self::refuse(format!("none of {asked} replicas may be {verb}: {why}"));
        }
        let to = if up { replicas.from + allowed } else { replicas.from - allowed };
        Self::clamp(
            Change::Replicas(ReplicasChange { to, ..replicas.clone() }),
            format!("{allowed} of {asked} replicas may be {verb}: {why}"),
        )
    }

    /// Adds a number that was compared.
    pub(super) fn comparing(mut self, what: &str, value: f64, limit: f64) -> Self {
        // JSON has no infinity, and a record must have canonical JSON.
        let finite = |v: f64| if v.is_finite() { v } else { f64::MAX };
        self.compared.push(Compared { what: what.into(), value: finite(value), limit: finite(limit) });
        self
    }

    /// The verdict.
    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The change in its smaller form, taken out.
    pub(super) fn take_clamped(&mut self) -> Option<Change> {
        self.clamped.take()
    }

    /// Turns a clamp into a refusal, saying why a smaller form is no way out.
    pub(super) fn hardened(mut self, because: &str) -> Self {
        if self.verdict == Verdict::Clamp {
            self.verdict = Verdict::Refuse;
            self.clamped = None;
            self.sentence = format!("{}; {because}", self.sentence);
        }
        self
    }

    /// The answer as the record keeps it; `None` when there is nothing to say.
    pub(super) fn ruling(self, rule: RuleId) -> Option<Ruling> {
        let silent = self.verdict == Verdict::Admit && self.compared.is_empty() && self.sentence.is_empty();
        (!silent).then_some(Ruling { rule, verdict: self.verdict, compared: self.compared, sentence: self.sentence })
    }

    fn new(verdict: Verdict, clamped: Option<Change>, sentence: String) -> Self {
        Self { verdict, clamped, compared: Vec::new(), sentence }
    }
}

/// How long ago something was, in whole seconds; nothing is in the future.
pub(super) fn age(now: Timestamp, at: Timestamp) -> GoDuration {
    GoDuration::from_secs(u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0))
}
