//! What holds for any batch over any world: the limits, for the sum too; that no ruling is outvoted; that order and repetition change nothing.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::testing::{Setup, calm, node, pool, proposal, replicas_of, web};
use super::{judge, release};
use crate::domain::limits::{Bounds, Criticality};
use crate::domain::memory::Commitments;
use crate::domain::names::ProposalId;
use crate::domain::proposal::{Change, HeadroomChange, Origin, Proposal, ResourcesChange};
use crate::domain::resize::Through;
use crate::domain::review::{Review, Verdict};
use crate::domain::signal::SignalName;
use crate::domain::snapshot::{Quota, QuotaAmounts};
use crate::domain::units::{Bytes, MicroUsd, Millicores};
use crate::domain::workload::ContainerResources;

const TARGETS: [&str; 4] = ["web", "api", "jobs", "mail"];

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..60u32, 1 => any::<u32>()]
}

fn money() -> impl Strategy<Value = Option<MicroUsd>> {
    prop_oneof![Just(None), (0..2_000_000i64).prop_map(|v| Some(MicroUsd(v))), any::<i64>().prop_map(|v| Some(MicroUsd(v)))]
}

prop_compose! {
    fn world()(
        targets in prop::collection::vec((count(), count(), count(), 0..20u32, 0..20u32, any::<bool>(), 0..4u8), 4),
        floor in 0..60u32,
        percent in 0..120u32,
        share in 0..120u32,
        cores in 0..80u64,
        pool_cores in prop::option::of(0..40u64),
        quota in prop::option::of(0..90_000u64),
        budgets in (money(), money(), money()),
        planned in (count(), count(), money()),
        cpu in prop_oneof![0.0..30.0f32, any::<f32>()],
        demand in prop_oneof![0.0..3000.0f32, any::<f32>()],
    ) -> Setup {
        let mut setup = calm();
        for name in &TARGETS[1..] {
            setup.add(name);
        }
        for (index, (name, (desired, low, high, up, down, zero, rank))) in TARGETS.iter().zip(targets).enumerate() {
            let Change::Replicas(change) = replicas_of(name, 0, 0) else { unreachable!() };
            let key = change.target;
            let facts = &mut setup.snapshot.facts;
            let workload = facts.workloads.get_mut(&key).unwrap();
            workload.replicas.desired = desired;
            workload.replicas.current = desired;
            workload.replicas.ready = desired;
            let limits = facts.guardrails.get_mut("shop").unwrap().targets.get_mut(&key).unwrap();
            limits.bounds = Bounds::new(low.min(high), low.max(high)).unwrap();
            (limits.max_step_up, limits.max_step_down, limits.allow_zero) = (up, down, zero);
            let criticality = [Criticality::Low, Criticality::Medium, Criticality::High, Criticality::Critical][usize::from(rank)];
            setup.group().targets[index].criticality = criticality;
        }
        setup.snapshot.limits.change_floor = floor;
        setup.snapshot.limits.change_percent = percent;
        setup.snapshot.limits.dialogue_share_percent = share;
        setup.snapshot.facts.nodes = vec![node("n1", cores)];
        setup.snapshot.facts.node_pools = pool_cores.map(pool).into_iter().collect();
        if let Some(quota) = quota {
            let hard = QuotaAmounts { cpu: Some(Millicores(quota)), ..QuotaAmounts::default() };
            setup.snapshot.facts.quotas.insert("shop".into(), vec![Quota { name: "q".into(), hard, used: QuotaAmounts::default() }]);
        }
        setup.group().cost_budget_per_hour = budgets.0;
        setup.guardrail().cost_budget_per_hour = budgets.1;
        setup.guardrail().cost_budget_per_month = budgets.2;
        let plan = setup.target_plan();
        (plan.replicas, plan.p50_need, plan.cost_per_hour) = planned;
        setup.set_signal(SignalName::Cpu, |_| cpu);
        setup.set_signal(SignalName::Demand, |_| demand);
        setup
    }
}

prop_compose! {
    fn batch()(wanted in prop::collection::vec((0..4usize, any::<bool>(), count(), count(), 0..3u8, money(), 0..8u8), 0..12)) -> Vec<Wanted> {
        wanted
    }
}

/// Which target, whether `from` is the live count, `from` otherwise, `to`, whose, its claimed cost, and which kind.
type Wanted = (usize, bool, u32, u32, u8, Option<MicroUsd>, u8);

fn proposals(setup: &Setup, batch: &[Wanted]) -> Vec<Proposal> {
    let made = batch.iter().enumerate().map(|(number, (target, live, from, to, origin, cost, kind))| {
        let name = TARGETS[*target];
        let Change::Replicas(mut change) = replicas_of(name, *from, *to) else { unreachable!() };
        let workload = &setup.snapshot.facts.workloads[&change.target];
        if *live {
            change.from = workload.replicas.desired;
        }
        let change = match kind {
            0 => Change::Headroom(HeadroomChange {
                target: change.target,
                quantile_percent: *from,
                extra_lead_minutes: *to,
                until: setup.snapshot.at + jiff::SignedDuration::from_mins(i64::from(*to % 10_000)),
            }),
            1 => Change::Resources(ResourcesChange {
                target: change.target,
                uid: change.uid,
                container: "app".into(),
                from: workload.template.containers[0].resources,
                to: ContainerResources {
                    cpu_request: Some(Millicores(u64::from(*from))),
                    cpu_limit: (*to % 2 == 0).then_some(Millicores(u64::from(*to))),
                    memory_request: Some(Bytes(u64::from(*to) << 20)),
                    memory_limit: (*from % 2 == 0).then_some(Bytes(u64::from(*from) << 20)),
                },
                through: if *to % 3 == 0 { Through::Pods } else { Through::Template },
            }),
            _ => Change::Replicas(change),
        };
        let origin = [Origin::Planner, Origin::Model, Origin::Person][usize::from(*origin)];
        let mut proposal = proposal(u32::try_from(number).unwrap(), origin, change);
        proposal.cost_change_per_hour = *cost;
        proposal
    });
    made.collect()
}

fn passed(review: &Review) -> Option<&Change> {
    review.change.as_ref().filter(|_| review.verdict <= Verdict::Clamp)
}

proptest! {
    #[test]
    fn what_passes_keeps_every_limit_and_so_does_the_sum(setup in world(), batch in batch()) {
        let batch = proposals(&setup, &batch);
        let reviews = judge(&setup.snapshot, &setup.plan, &setup.commitments, &batch);
        prop_assert_eq!(reviews.len(), batch.len());
        let mut moved = 0u64;
        let mut touched = BTreeSet::new();
        for (review, proposal) in reviews.iter().zip(&batch) {
            prop_assert_eq!(&review.proposal, &proposal.id);
            let Some(Change::Replicas(change)) = passed(review) else { continue };
            let limits = &setup.snapshot.facts.guardrails["shop"].targets[&change.target];
            let live = setup.snapshot.facts.workloads[&change.target].replicas.desired;
            prop_assert_eq!(change.from, live);
            prop_assert!((limits.bounds.min..=limits.bounds.max).contains(&change.to));
            let step = change.from.abs_diff(change.to);
            let most = if change.to > change.from { limits.max_step_up } else { limits.max_step_down };
            prop_assert!(step > 0 && step <= most);
            prop_assert!(change.to > 0 || limits.allow_zero);
            moved += u64::from(step);
            prop_assert!(touched.insert(change.target.clone()), "one change a target");
        }
        let enrolled: u64 = setup.snapshot.facts.workloads.values().map(|w| u64::from(w.replicas.desired)).sum();
        let limits = &setup.snapshot.limits;
        prop_assert!(moved <= (enrolled * u64::from(limits.change_percent) / 100).max(u64::from(limits.change_floor)));
    }

    #[test]
    fn no_ruling_is_outvoted_and_only_what_passes_is_released(setup in world(), batch in batch()) {
        let batch = proposals(&setup, &batch);
        for (review, proposal) in judge(&setup.snapshot, &setup.plan, &setup.commitments, &batch).iter().zip(&batch) {
            let hardest = review.rulings.iter().map(|ruling| ruling.verdict).max().unwrap_or(Verdict::Admit);
            prop_assert_eq!(review.verdict, hardest);
            prop_assert_eq!(review.change.is_some(), review.verdict != Verdict::Refuse);
            prop_assert_eq!(passed(review).is_some_and(|change| *change == proposal.change), review.verdict == Verdict::Admit);
            prop_assert!(crate::domain::names::Digest::of(review).is_ok(), "a record can be made of it");
            let released = release(&setup.snapshot, &setup.plan, proposal, review, 1, &mut Commitments::default());
            prop_assert_eq!(released.as_ref().map(super::Released::change), passed(review));
        }
    }

    #[test]
    fn the_order_of_a_batch_changes_nothing(setup in world(), batch in batch(), turn in 0..12usize) {
        let batch = proposals(&setup, &batch);
        let by_id = |batch: &[Proposal]| -> BTreeMap<ProposalId, Review> {
            judge(&setup.snapshot, &setup.plan, &setup.commitments, batch).into_iter().map(|r| (r.proposal.clone(), r)).collect()
        };
        let mut turned = batch.clone();
        turned.rotate_left(turn.min(batch.len()));
        prop_assert_eq!(by_id(&batch), by_id(&turned));
        turned.reverse();
        prop_assert_eq!(by_id(&batch), by_id(&turned));
    }

    #[test]
    fn what_was_clamped_is_admitted_as_it_is(setup in world(), batch in batch()) {
        let batch = proposals(&setup, &batch);
        for (review, proposal) in judge(&setup.snapshot, &setup.plan, &setup.commitments, &batch).iter().zip(&batch) {
            let Some(change) = passed(review) else { continue };
            let again = Proposal { change: change.clone(), ..proposal.clone() };
            let second = judge(&setup.snapshot, &setup.plan, &setup.commitments, &[again]).remove(0);
            prop_assert_eq!((second.verdict, second.change.as_ref()), (Verdict::Admit, Some(change)));
        }
    }

    #[test]
    fn bounds_that_never_meet_a_target_let_nothing_pass(to in any::<u32>()) {
        let mut setup = calm();
        setup.guardrail().targets.remove(&web());
        let asked = proposal(1, Origin::Person, replicas_of("web", 10, to));
        prop_assert_eq!(judge(&setup.snapshot, &setup.plan, &setup.commitments, &[asked])[0].verdict, Verdict::Refuse);
    }
}
