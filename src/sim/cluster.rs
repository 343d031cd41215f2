//! [`Cluster`] and [`Actuator`] of the simulated cluster.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::office::EPOCH;
use super::queue::SimQueue;
use super::shared::Shared;
use crate::domain::outcome::{Outcome, OutcomeResult};
use crate::domain::snapshot::ClusterFacts;
use crate::guardrails::Released;
use crate::ports::{Actuator, Cluster, PortError};

/// [`Cluster`]: shows the world at the moment asked for, and the queue.
#[derive(Debug)]
pub struct SimCluster {
    shared: Arc<Shared>,
    queue: Arc<SimQueue>,
}

impl SimCluster {
    /// Shows `shared` together with `queue`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, queue: Arc<SimQueue>) -> Self {
        Self { shared, queue }
    }
}

#[async_trait]
impl Cluster for SimCluster {
    async fn observe(&self, now: Timestamp) -> Result<ClusterFacts, PortError> {
        let queue = self.queue.snapshot();
        Ok(self.shared.at(now, |world| world.facts(queue)))
    }
}

/// [`Actuator`]: writes to the world as IPA.
#[derive(Debug)]
pub struct SimActuator {
    shared: Arc<Shared>,
}

impl SimActuator {
    /// Writes to `shared`.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl Actuator for SimActuator {
    async fn carry_out(&self, released: Released, now: Timestamp) -> Outcome {
        let result =
            if released.epoch() == EPOCH { self.shared.at(now, |world| world.write(released.change())) } else { OutcomeResult::NotLeader };
        Outcome {
            proposal: released.proposal().id.clone(),
            origin: released.proposal().origin,
            change: released.change().clone(),
            result,
            at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ListPrices, NoLedger, plan, snapshot};
    use super::super::{Pace, demo};
    use super::*;
    use crate::domain::memory::Commitments;
    use crate::domain::names::{GroupId, ProposalId, TargetKey};
    use crate::domain::proposal::{Change, Origin, Proposal, ReplicasChange};
    use crate::domain::review::Verdict;
    use crate::guardrails::{judge, release};
    use crate::ports::Ports;

    /// Judges and releases eight replicas of `shop/cart` under `epoch`, then carries them out.
    async fn scale_cart(ports: &Ports, epoch: u64) -> Outcome {
        let snapshot = snapshot(2).await;
        let plan = plan(&snapshot, 1.0);
        let target = TargetKey::deployment("shop", "cart");
        let workload = &snapshot.facts.workloads[&target];
        let change = ReplicasChange { target, uid: workload.uid.clone(), from: workload.replicas.desired, to: 8 };
        let proposal = Proposal {
            id: ProposalId("t1-planner-1".into()),
            group: GroupId::new("shop", "storefront"),
            origin: Origin::Planner,
            change: Change::Replicas(change),
            rationale: String::new(),
            evidence: Vec::new(),
            made: snapshot.at,
            cost_change_per_hour: None,
        };
        let review = judge(&snapshot, &plan, &Commitments::default(), std::slice::from_ref(&proposal)).remove(0);
        assert_eq!(review.verdict, Verdict::Admit, "{review:?}");
        let released = release(&snapshot, &plan, &proposal, &review, epoch, &mut Commitments::default()).unwrap();
        ports.actuator.carry_out(released, snapshot.at).await
    }

    #[tokio::test]
    async fn what_is_released_is_written_and_seen() {
        let demo = demo(1, Pace::Headless, Arc::new(ListPrices)).await.unwrap();
        let ports = demo.ports(None, Arc::new(NoLedger));
        let epoch = ports.lease.epoch(Timestamp::MAX).await.unwrap();
        let outcome = scale_cart(&ports, epoch).await;
        assert!(outcome.result.is_applied(), "{outcome:?}");
        let later = outcome.at + jiff::SignedDuration::from_mins(3);
        let cart = ports.cluster.observe(later).await.unwrap().workloads.remove(&TargetKey::deployment("shop", "cart")).unwrap();
        assert_eq!((cart.replicas.desired, cart.replicas.ready), (8, 8));
    }

    #[tokio::test]
    async fn under_another_epoch_nothing_is_written() {
        let demo = demo(1, Pace::Headless, Arc::new(ListPrices)).await.unwrap();
        let ports = demo.ports(None, Arc::new(NoLedger));
        assert_eq!(scale_cart(&ports, EPOCH + 1).await.result, OutcomeResult::NotLeader);
        assert_eq!(demo.world.look(|world| world.facts(Vec::new()).workloads[&TargetKey::deployment("shop", "cart")].replicas.desired), 3);
    }
}
