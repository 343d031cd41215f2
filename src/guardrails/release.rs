//! The only door to action: an admitted review becomes a [`Released`], and the commitments are charged.

use serde::Serialize;

use super::regret_budget::regret;
use super::world::{replica_price, resources_cost};
use crate::domain::memory::{Commitment, Commitments};
use crate::domain::plan::Plan;
use crate::domain::proposal::{Change, Proposal};
use crate::domain::review::{Review, Verdict};
use crate::domain::snapshot::Snapshot;
use crate::domain::units::MicroUsd;

/// A change that passed every rule, at the gate, in this tick. It cannot be cloned, read from data, or made anywhere but in this file; carrying
/// it out consumes it.
///
/// ```compile_fail,E0599
/// fn twice(released: ipa::guardrails::Released) -> (ipa::guardrails::Released, ipa::guardrails::Released) {
///     (released.clone(), released)
/// }
/// ```
///
/// ```compile_fail,E0277
/// let forged: ipa::guardrails::Released = serde_json::from_str("{}").unwrap();
/// ```
///
/// ```compile_fail,E0451
/// fn forge(proposal: ipa::domain::proposal::Proposal) -> ipa::guardrails::Released {
///     let change = proposal.change.clone();
///     ipa::guardrails::Released { proposal, change, epoch: 1 }
/// }
/// ```
#[derive(Debug, PartialEq, Serialize)]
pub struct Released {
    proposal: Proposal,
    change: Change,
    epoch: u64,
}

impl Released {
    /// The proposal it came from.
    #[must_use]
    pub fn proposal(&self) -> &Proposal {
        &self.proposal
    }

    /// Exactly what may be carried out.
    #[must_use]
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// Lease epoch under which it may be carried out.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// Turns an admitted or clamped review into a [`Released`] and charges the commitments: the change window, the open commitment with its cost, and
/// what a model's change adds over the plan (moved to the group's account of the day by `settle`, once the change is in the world). `None` for any
/// other verdict, for a review of another proposal, and for a change that is no smaller form of the proposal's.
#[must_use]
pub fn release(
    snapshot: &Snapshot,
    plan: &Plan,
    proposal: &Proposal,
    review: &Review,
    epoch: u64,
    commitments: &mut Commitments,
) -> Option<Released> {
    let admitted = matches!(review.verdict, Verdict::Admit | Verdict::Clamp) && review.proposal == proposal.id;
    let refused = review.rulings.iter().any(|ruling| ruling.verdict > review.verdict);
    let change = review.change.clone().filter(|change| admitted && !refused && narrows(&proposal.change, change))?;
    if let Change::Replicas(replicas) = &change {
        commitments.window.push_back((snapshot.at, replicas.from.abs_diff(replicas.to)));
    }
    commitments.open.push(Commitment {
        proposal: proposal.id.clone(),
        group: proposal.group.clone(),
        origin: proposal.origin,
        cost_change_per_hour: cost_change(plan, proposal, &change),
        regret: regret(plan, proposal, &change),
        change: change.clone(),
        at: snapshot.at,
    });
    Some(Released { proposal: proposal.clone(), change, epoch })
}

/// Whether `change` is what was proposed, or a smaller form of it: the same object, and no further from what is there.
fn narrows(proposed: &Change, change: &Change) -> bool {
    match (proposed, change) {
        (Change::Replicas(p), Change::Replicas(c)) => {
            let between = (p.from.min(p.to)..=p.from.max(p.to)).contains(&c.to);
            (&p.target, &p.uid, p.from) == (&c.target, &c.uid, c.from) && between && c.to != c.from
        }
        (Change::Resources(p), Change::Resources(c)) => {
            (&p.target, &p.uid, &p.container, p.from) == (&c.target, &c.uid, &c.container, c.from)
        }
        (Change::Headroom(p), Change::Headroom(c)) => p.target == c.target && c.until <= p.until,
        (Change::NodePool(_), Change::NodePool(_)) | (Change::Finding(_), Change::Finding(_)) => proposed == change,
        _ => false,
    }
}

/// What is carried out costs what the plan's price says of it; a claim stands where there is no price.
fn cost_change(plan: &Plan, proposal: &Proposal, change: &Change) -> MicroUsd {
    let claimed = proposal.cost_change_per_hour.unwrap_or_default();
    match change {
        Change::Replicas(c) => replica_price(plan, &c.target).map_or(claimed, |price| price * (i64::from(c.to) - i64::from(c.from))),
        Change::Resources(c) => resources_cost(plan, c).unwrap_or(claimed),
        Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => claimed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::proposal::Origin;
    use crate::guardrails::judge;
    use crate::guardrails::testing::{Setup, calm, now, proposal, replicas};

    fn judged(setup: &Setup, proposal: &Proposal) -> Review {
        judge(&setup.snapshot, &setup.plan, &setup.commitments, std::slice::from_ref(proposal)).remove(0)
    }

    fn try_release(setup: &Setup, proposal: &Proposal, review: &Review) -> (Option<Released>, Commitments) {
        let mut commitments = Commitments::default();
        let released = release(&setup.snapshot, &setup.plan, proposal, review, 3, &mut commitments);
        (released, commitments)
    }

    #[test]
    fn what_is_released_is_what_was_left_and_is_charged() {
        let setup = calm();
        let asked = proposal(1, Origin::Model, replicas(30));
        let (released, commitments) = try_release(&setup, &asked, &judged(&setup, &asked));
        let released = released.unwrap();
        assert_eq!((released.change(), released.epoch(), released.proposal()), (&replicas(20), 3, &asked));
        assert_eq!(commitments.window, [(now(), 10)]);
        let [open] = &commitments.open[..] else { panic!("{commitments:?}") };
        assert_eq!(open.change, replicas(20));
        assert_eq!(open.cost_change_per_hour, MicroUsd(500_000), "ten more of $0.05");
        assert_eq!(open.regret, MicroUsd(500_000), "the plan asks for no more than run");
    }

    #[test]
    fn nothing_else_is_released_and_nothing_charged() {
        let setup = calm();
        let asked = proposal(1, Origin::Planner, replicas(12));
        let good = judged(&setup, &asked);
        let edit = |edit: fn(&mut Review)| {
            let mut review = good.clone();
            edit(&mut review);
            review
        };
        for review in [
            edit(|r| r.verdict = Verdict::Queue),
            edit(|r| r.verdict = Verdict::Refuse),
            edit(|r| r.change = None),
            edit(|r| r.change = Some(replicas(13))),
            edit(|r| r.change = Some(replicas(9))),
            edit(|r| r.change = Some(replicas(10))),
            edit(|r| r.proposal.0.push('x')),
        ] {
            assert_eq!(try_release(&setup, &asked, &review), (None, Commitments::default()));
        }
        let mut refused = calm();
        refused.guardrail().freeze = true;
        let mut softened = judged(&refused, &asked);
        softened.verdict = Verdict::Admit;
        softened.change = Some(replicas(12));
        assert_eq!(try_release(&refused, &asked, &softened).0, None, "a ruling that refuses is not outvoted");
        assert!(try_release(&setup, &asked, &good).0.is_some());
    }
}
