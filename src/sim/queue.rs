//! The queue of proposals that wait for a person, in memory; and the person: whoever sits at the page.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::names::{Digest, ProposalId};
use crate::domain::snapshot::{Decision, DecisionVerdict, QueuedProposal};
use crate::ports::{Decisions, PortError, Queue};

/// Who decides in a simulation.
pub const PERSON: &str = "demo user";

/// [`Queue`] and [`Decisions`] in memory.
#[derive(Debug, Default)]
pub struct SimQueue {
    /// In the order in which they came.
    proposals: Mutex<Vec<QueuedProposal>>,
}

impl SimQueue {
    /// All proposals that wait, and the last that ended.
    #[must_use]
    pub fn snapshot(&self) -> Vec<QueuedProposal> {
        self.proposals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Queue for SimQueue {
    async fn enqueue(&self, proposal: &QueuedProposal) -> Result<(), PortError> {
        let mut proposals = self.proposals.lock().unwrap_or_else(PoisonError::into_inner);
        if proposals.iter().any(|queued| queued.proposal.id == proposal.proposal.id) {
            return Err(failed("queue", &proposal.proposal.id, "a proposal of that id has been queued before"));
        }
        proposals.push(proposal.clone());
        Ok(())
    }

    async fn close(&self, proposal: &QueuedProposal, reason: &str, _message: &str, _now: Timestamp) -> Result<(), PortError> {
        let mut proposals = self.proposals.lock().unwrap_or_else(PoisonError::into_inner);
        let found = proposals.iter_mut().find(|queued| queued.proposal.id == proposal.proposal.id);
        let queued = found.ok_or_else(|| failed("close", &proposal.proposal.id, "no such proposal is in the queue"))?;
        queued.closed = true;
        queued.ended = Some(reason.to_owned());
        Ok(())
    }

    async fn forget(&self, ended: &QueuedProposal) -> Result<(), PortError> {
        let mut proposals = self.proposals.lock().unwrap_or_else(PoisonError::into_inner);
        proposals.retain(|queued| !queued.closed || queued.proposal.id != ended.proposal.id);
        Ok(())
    }
}

#[async_trait]
impl Decisions for SimQueue {
    async fn decide(
        &self,
        proposal: &ProposalId,
        verdict: DecisionVerdict,
        digest: &Digest,
        _token: Option<&str>,
        now: Timestamp,
    ) -> Result<(), PortError> {
        let mut proposals = self.proposals.lock().unwrap_or_else(PoisonError::into_inner);
        let found = proposals.iter_mut().find(|queued| queued.proposal.id == *proposal && !queued.closed);
        let queued = found.ok_or_else(|| failed("decide on", proposal, "no such proposal is open"))?;
        if queued.digest != *digest {
            return Err(failed("decide on", proposal, "the change is another than the one that was seen: load it anew"));
        }
        if queued.expires <= now {
            return Err(failed("decide on", proposal, "it has expired"));
        }
        queued.decisions.push(Decision { by: PERSON.into(), verdict, digest: digest.clone(), at: now });
        Ok(())
    }
}

fn failed(action: &str, proposal: &ProposalId, detail: &str) -> PortError {
    PortError::Failed { action: format!("{action} proposal {proposal}"), detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{GroupId, TargetKey};
    use crate::domain::proposal::{Cause, Change, Finding, Notify, Origin, Proposal};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn queued(id: &str) -> QueuedProposal {
        let change = Change::Finding(Finding { target: TargetKey::deployment("shop", "web"), cause: Cause::Leak, notify: Notify::Team });
        QueuedProposal {
            digest: change.digest().unwrap(),
            proposal: Proposal {
                id: ProposalId(id.into()),
                group: GroupId::new("shop", "front"),
                origin: Origin::Planner,
                change,
                rationale: String::new(),
                evidence: Vec::new(),
                made: at(0),
                cost_change_per_hour: None,
            },
            state_digest: Digest::default(),
            expires: at(1800),
            decisions: Vec::new(),
            rulings: Vec::new(),
            closed: false,
            ended: None,
        }
    }

    #[tokio::test]
    async fn a_decision_names_an_open_proposal_and_the_change_that_was_seen_in_time() {
        let (queue, first) = (SimQueue::default(), queued("t1-planner-1"));
        queue.enqueue(&first).await.unwrap();
        assert!(queue.enqueue(&first).await.is_err(), "twice");
        let id = &first.proposal.id;
        let yes = DecisionVerdict::Approve;
        assert!(queue.decide(&ProposalId("t9".into()), yes, &first.digest, None, at(60)).await.is_err());
        assert!(queue.decide(id, yes, &Digest("another".into()), None, at(60)).await.is_err());
        assert!(queue.decide(id, yes, &first.digest, None, at(1800)).await.is_err(), "expired");
        assert!(queue.snapshot()[0].decisions.is_empty());
        queue.decide(id, yes, &first.digest, None, at(60)).await.unwrap();
        let decision = Decision { by: PERSON.into(), verdict: yes, digest: first.digest.clone(), at: at(60) };
        assert_eq!(queue.snapshot()[0].decisions, [decision]);
        queue.close(&first, "Applied", "", at(61)).await.unwrap();
        assert!(queue.decide(id, yes, &first.digest, None, at(62)).await.is_err(), "ended");
        assert_eq!(queue.snapshot()[0].ended.as_deref(), Some("Applied"));
    }

    #[tokio::test]
    async fn what_has_ended_can_be_forgotten_and_what_waits_cannot() {
        let queue = SimQueue::default();
        for id in ["ended", "waits"] {
            queue.enqueue(&queued(id)).await.unwrap();
        }
        queue.close(&queued("ended"), "Expired", "", at(9)).await.unwrap();
        for id in ["ended", "waits"] {
            queue.forget(&queued(id)).await.unwrap();
        }
        let ids: Vec<String> = queue.snapshot().into_iter().map(|q| q.proposal.id.0).collect();
        assert_eq!(ids, ["waits"]);
    }
}
