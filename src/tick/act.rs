//! act | queue (world): what was released is written down, carried out, and written down again; what needs a person waits in the queue.

use std::sync::Arc;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};

use super::{Pass, Ticker, review, status};
use crate::domain::memory::Headroom;
use crate::domain::names::{GroupId, ProposalId};
use crate::domain::outcome::{Outcome, OutcomeResult};
use crate::domain::proposal::{Change, Proposal};
use crate::domain::record::{EntryBody, Fate, Intent, Judged};
use crate::domain::review::{Review, Verdict};
use crate::domain::snapshot::{DecisionVerdict, QueuedProposal, Snapshot};
use crate::domain::status::StatusEventReason;
use crate::guardrails::{self, ReentryEnd, Released};
use crate::ports::NewEntry;

/// Writes to the cluster that may be under way at once.
const PARALLEL_WRITES: usize = 16;

/// How long a refusal that goes on is not told again.
const TELL_AGAIN: SignedDuration = SignedDuration::from_mins(30);

/// A write must end within this, so the lease must be held at least as long.
const WRITE_WINDOW: SignedDuration = SignedDuration::from_secs(10);

impl Ticker {
    /// Releases what was admitted and carries it out; queues what needs a person; says what became of the rest.
    pub(super) async fn carry_through(&mut self, pass: &mut Pass, batch: Vec<(Proposal, Review)>) {
        let mut released = Vec::new();
        let lease_until = pass.snapshot.at.max(self.ports.clock.now()).saturating_add(WRITE_WINDOW).unwrap_or(Timestamp::MAX);
        let epoch = if self.settings.dry { None } else { self.ports.lease.epoch(lease_until).await };
        for (proposal, review) in batch {
            self.totals.count_review(&review);
            let fate = match (review.verdict, epoch) {
                _ if self.settings.dry && review.verdict != Verdict::Refuse => Fate::Shadow,
                (Verdict::Admit | Verdict::Clamp, Some(epoch)) => {
                    match guardrails::release(&pass.snapshot, &pass.plan, &proposal, &review, epoch, &mut self.memory.gate.commitments) {
                        Some(change) => {
                            released.push((change, proposal, review));
                            continue;
                        }
                        None => Fate::Blocked,
                    }
                }
                (Verdict::Admit | Verdict::Clamp | Verdict::Queue, None) => Fate::Held,
                (Verdict::Queue, Some(_)) => self.enqueue(pass, &proposal, &review).await,
                (Verdict::Refuse, _) => review::fate_of_refusal(&review),
            };
            self.judged(pass, proposal, review, fate);
        }
        self.act(pass, released).await;
    }

    /// Intents first, in one transaction; without them nothing is done.
    async fn act(&mut self, pass: &mut Pass, released: Vec<(Released, Proposal, Review)>) {
        if released.is_empty() {
            return;
        }
        let reflex = pass.reflex;
        let intents = released.iter().map(|(released, proposal, _)| {
            let intent = Intent {
                proposal: proposal.id.clone(),
                origin: proposal.origin,
                change: released.change().clone(),
                epoch: released.epoch(),
                reflex,
                approved_by: pass.approver(&proposal.id),
            };
            entry(&pass.snapshot, &proposal.group, self.ports.clock.now(), EntryBody::Intent(intent))
        });
        let written = self.ports.ledger.append(intents.collect()).await;
        if let Ok(numbers) = self.noted("ledger", written) {
            self.totals.entries += numbers.len() as u64;
        } else {
            for (_, proposal, review) in released {
                self.memory.gate = guardrails::take_back(std::mem::take(&mut self.memory.gate), &proposal.id);
                pass.note_failure(&proposal.group, "NoRecordNoAction");
                self.judged(pass, proposal, review, Fate::Failed);
            }
            return;
        }

        // Before the writes: a process that ends amid them must remember what it had released.
        self.save(false).await;
        pass.moved = true;
        let ports = self.ports.clone();
        let outcomes = futures::stream::iter(released)
            .map(|(released, proposal, review)| {
                let ports = ports.clone();
                async move {
                    let outcome = if released.change().writes_cluster() {
                        let carried_out = ports.actuator.carry_out(released, ports.clock.now()).await;
                        // What came of it is known once the answer is there, which may be seconds after it was begun.
                        Outcome { at: ports.clock.now(), ..carried_out }
                    } else {
                        noted_only(&released, ports.clock.now())
                    };
                    (proposal, review, outcome)
                }
            })
            // In order, so that records of a replay come in the same order too.
            .buffered(PARALLEL_WRITES)
            .collect::<Vec<_>>()
            .await;

        let entries = outcomes
            .iter()
            .map(|(proposal, _, outcome)| entry(&pass.snapshot, &proposal.group, outcome.at, EntryBody::Outcome(outcome.clone())));
        self.unwritten.extend(entries);
        self.write_outcomes().await;
        for (proposal, review, outcome) in outcomes {
            self.came_of(pass, proposal, review, outcome);
        }
        self.save(false).await;
    }

    /// Writes down what came of actions. What could not be written is kept, and comes before anything else that is written.
    pub(super) async fn write_outcomes(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        let written = self.ports.ledger.append(self.unwritten.clone()).await;
        if let Ok(numbers) = self.noted("ledger", written) {
            self.totals.entries += numbers.len() as u64;
            self.unwritten.clear();
        }
    }

    fn came_of(&mut self, pass: &mut Pass, proposal: Proposal, review: Review, outcome: Outcome) {
        self.memory.gate = guardrails::charge_outcome(std::mem::take(&mut self.memory.gate), &outcome);
        if outcome.result.is_applied() {
            self.remember(pass, &outcome.change);
        } else {
            pass.note_failure(&proposal.group, outcome.result.reason());
        }
        let group = pass.groups.entry(proposal.group.clone()).or_default();
        group.events.extend(status::outcome_event(&proposal, &review, &outcome));
        let fate = if outcome.result.is_applied() { Fate::Applied } else { Fate::Failed };
        self.outcomes.push(outcome);
        self.judged(pass, proposal, review, fate);
    }

    /// Headroom is an entry in memory, a finding an event and a record: neither is written to the cluster.
    fn remember(&mut self, pass: &mut Pass, change: &Change) {
        match change {
            Change::Headroom(granted) => {
                let target = Arc::make_mut(&mut self.memory.planner).targets.entry(granted.target.clone()).or_default();
                target.headroom = Some(Headroom {
                    quantile_percent: granted.quantile_percent,
                    extra_lead_minutes: granted.extra_lead_minutes,
                    until: granted.until,
                });
            }
            Change::Finding(finding) => {
                if let Some((group, _)) = pass.snapshot.group_of(&finding.target) {
                    let id = group.id.clone();
                    pass.groups.entry(id).or_default().findings.push(finding.clone());
                }
            }
            Change::Replicas(_) | Change::Resources(_) | Change::NodePool(_) => {}
        }
    }

    /// Puts a proposal into the queue, unless one like it waits already: people are not asked twice for the same thing.
    async fn enqueue(&mut self, pass: &mut Pass, proposal: &Proposal, review: &Review) -> Fate {
        let Some(change) = review.change.clone() else { return Fate::Blocked };
        if pass.queue.iter().any(|q| review::was_rejected(q, &change, &pass.snapshot)) {
            return Fate::Blocked;
        }
        let waiting = pass.queue.iter().filter(|q| !q.closed).count();
        let alike = pass.queue.iter().position(|q| !q.closed && review::same_subject(&q.proposal.change, &change));
        if let Some(index) = alike {
            if review::still_stands(&pass.queue[index], &change) {
                return Fate::Queued;
            }
            let old = pass.queue[index].clone();
            self.close(pass, &old, "Superseded", "something else is needed now; the newer proposal says what").await;
        } else if waiting >= pass.snapshot.limits.most_pending as usize {
            pass.note_failure(&proposal.group, "QueueFull");
            return Fate::Held;
        }
        let digests = change.digest().and_then(|d| Ok((d, guardrails::state_digest(&pass.snapshot, &change)?)));
        let Ok((digest, state_digest)) = digests else {
            pass.note_failure(&proposal.group, "NoDigest");
            return Fate::Blocked;
        };
        let expires = pass.snapshot.at.saturating_add(pass.snapshot.limits.proposal_ttl.signed()).unwrap_or(Timestamp::MAX);
        let queued = QueuedProposal {
            proposal: Proposal { change, ..proposal.clone() },
            digest,
            state_digest,
            expires,
            rulings: review.rulings.clone(),
            decisions: Vec::new(),
            closed: false,
            ended: None,
        };
        let stored = self.ports.queue.enqueue(&queued).await;
        if self.noted("queue", stored).is_err() {
            pass.note_failure(&proposal.group, "QueueUnavailable");
            return Fate::Failed;
        }
        let note = format!("waits for approval until {expires}: {}", queued.proposal.change.summary());
        pass.event(&proposal.group, StatusEventReason::ApprovalRequested, queued.proposal.change.target(), note);
        pass.queue.push(queued);
        Fate::Queued
    }

    async fn close(&mut self, pass: &mut Pass, queued: &QueuedProposal, reason: &str, message: &str) {
        let closed = self.ports.queue.close(queued, reason, message, self.ports.clock.now()).await;
        if self.noted("queue", closed).is_ok() {
            for mine in pass.queue.iter_mut().filter(|q| q.proposal.id == queued.proposal.id) {
                mine.closed = true;
                mine.ended = Some(reason.to_owned());
            }
        }
    }

    /// Whether a refusal is told: the same rule about the same thing is told again only after a while, or every minute would tell it.
    fn is_news(&mut self, pass: &Pass, proposal: &Proposal, review: &Review) -> bool {
        let now = pass.snapshot.at;
        self.told.retain(|_, at| now.duration_since(*at) < TELL_AGAIN);
        let about = proposal.change.target().map_or_else(|| proposal.group.to_string(), ToString::to_string);
        let rule = review.decisive().map(|ruling| ruling.rule);
        let key = format!("{about} {rule:?} {}", proposal.change.reduces());
        if self.told.contains_key(&key) {
            return false;
        }
        self.told.insert(key, now);
        true
    }

    fn judged(&mut self, pass: &mut Pass, proposal: Proposal, review: Review, fate: Fate) {
        self.totals.count_fate(fate, proposal.origin);
        let event = status::verdict_event(&proposal, &review, fate).filter(|_| self.is_news(pass, &proposal, &review));
        let group = pass.groups.entry(proposal.group.clone()).or_default();
        group.events.extend(event);
        group.judged.push(Judged { proposal, review, fate });
    }
}

/// What becomes of one queued proposal: it waits, lapses, is rejected or stale, or, approved, is carried out whole.
pub(super) async fn settle_queued(ticker: &mut Ticker, pass: &mut Pass, queued: QueuedProposal) {
    let reentry = guardrails::judge_approved(&pass.snapshot, &pass.plan, &ticker.memory.gate.commitments, &queued);
    let why = reentry.review.decisive().map_or_else(String::new, |ruling| ruling.sentence.clone());
    let group = queued.proposal.group.clone();
    match reentry.end {
        ReentryEnd::Undecided | ReentryEnd::Closed => {}
        ReentryEnd::Approved => {
            ticker.carry_through(pass, vec![(queued.proposal.clone(), reentry.review)]).await;
            let fate = pass.groups.get(&group).and_then(|g| g.judged.last()).map(|j| j.fate);
            // Not the leader, or the write failed: the approval stands until it expires.
            if fate == Some(Fate::Applied) {
                ticker.close(pass, &queued, "Applied", "approved and carried out").await;
            }
        }
        ReentryEnd::Rejected | ReentryEnd::Expired | ReentryEnd::Stale => {
            if reentry.end == ReentryEnd::Expired {
                let note = format!("nobody decided in time: {}", queued.proposal.change.summary());
                pass.event(&group, StatusEventReason::ApprovalExpired, queued.proposal.change.target(), note);
            }
            ticker.close(pass, &queued, reentry.end.reason(), &why).await;
            ticker.judged(pass, queued.proposal.clone(), reentry.review, Fate::Blocked);
        }
    }
}

/// The outcome of what lives in memory and record alone.
fn noted_only(released: &Released, at: Timestamp) -> Outcome {
    let (proposal, change) = (released.proposal(), released.change());
    Outcome {
        proposal: proposal.id.clone(),
        origin: proposal.origin,
        change: change.clone(),
        result: OutcomeResult::Applied { resource_version: None },
        at,
    }
}

impl Pass {
    /// Who approved a queued proposal, where somebody did.
    fn approver(&self, proposal: &ProposalId) -> Option<String> {
        let queued = self.queue.iter().find(|q| q.proposal.id == *proposal)?;
        queued.decisions.iter().rev().find(|d| d.verdict == DecisionVerdict::Approve).map(|d| d.by.clone())
    }
}

/// An entry of this pass.
pub(super) fn entry(snapshot: &Snapshot, group: &GroupId, at: Timestamp, body: EntryBody) -> NewEntry {
    NewEntry { at, cluster: snapshot.cluster.clone(), group: group.clone(), tick: snapshot.tick, body }
}
