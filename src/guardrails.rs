//! One rule a file, all in one list; `judge` asks every rule about every proposal, `release` opens the door for what was admitted.
//!
//! The hardest verdict wins and nothing upgrades a refusal. A rule may ask for a smaller change; the change is made smaller in one order, and then
//! every rule is asked again about what is left, which has to be admitted whole. What was admitted is charged to a projection before the next
//! proposal is judged, so that limits hold for the sum. Rules see numbers and enums; no rule reads a rationale, and none trusts the planner's
//! arithmetic where the snapshot shows the facts.

mod approval;
mod evidence;
mod gate;
pub mod ownership;
mod projection;
mod release;
mod room;
mod rule;
mod world;

mod bounds;
mod change_budget;
mod cool_down;
mod cost_budget;
mod cross_check;
mod disruption_budget;
mod fit;
mod flap;
mod fleet;
mod freeze;
mod identity;
mod mode;
mod other_writer;
mod qos_class;
mod quota;
mod regret_budget;
mod request_limit;
mod resource_bounds;
mod rollout;
mod stale_metrics;
mod step;
mod unready;
mod unusual;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;

pub use approval::{Reentry, ReentryEnd, judge_approved, state_digest};
pub use evidence::resolve as resolve_evidence;
pub use gate::{charge_outcome, settle, take_back};
pub use release::{Released, release};

use self::projection::Projection;
use self::rule::{Answer, Case};
use self::world::World;
use crate::domain::memory::Commitments;
use crate::domain::names::TargetKey;
use crate::domain::plan::Plan;
use crate::domain::priority::{Claim, priority};
use crate::domain::proposal::{Change, Proposal};
use crate::domain::review::{Review, RuleId, Ruling, Verdict};
use crate::domain::snapshot::Snapshot;

/// Every rule, in the order in which they are asked.
const RULES: [RuleId; 23] = [
    RuleId::Identity,
    RuleId::Mode,
    RuleId::Bounds,
    RuleId::Step,
    RuleId::Unusual,
    RuleId::CoolDown,
    RuleId::Flap,
    RuleId::StaleMetrics,
    RuleId::CrossCheck,
    RuleId::Unready,
    RuleId::Rollout,
    RuleId::DisruptionBudget,
    RuleId::Freeze,
    RuleId::ResourceBounds,
    RuleId::RequestLimit,
    RuleId::QosClass,
    RuleId::Quota,
    RuleId::Fit,
    RuleId::CostBudget,
    RuleId::OtherWriter,
    RuleId::RegretBudget,
    RuleId::ChangeBudget,
    RuleId::Fleet,
];

/// The rules that may ask for a smaller change, in the order in which they make it smaller: what a person set first, what the world has room
/// for next, what is shared last.
const CLAMPING: [RuleId; 8] = [
    RuleId::Bounds,
    RuleId::ResourceBounds,
    RuleId::Step,
    RuleId::Quota,
    RuleId::Fit,
    RuleId::CostBudget,
    RuleId::RegretBudget,
    RuleId::ChangeBudget,
];

/// What every rule says of each proposal, in the order given. Pure: anyone may ask. Proposals are judged by priority (criticality, then SLO
/// need, then cost), and what is admitted is charged before later ones are judged, so that limits hold for the sum.
#[must_use]
pub fn judge(snapshot: &Snapshot, plan: &Plan, commitments: &Commitments, proposals: &[Proposal]) -> Vec<Review> {
    let all: Vec<&Proposal> = proposals.iter().collect();
    let mut batch = Batch::new(snapshot, plan, commitments, &all);
    let mut reviews: Vec<Option<Review>> = vec![None; proposals.len()];
    for index in in_order(&batch.world, proposals) {
        let proposal = &proposals[index];
        let review = judge_one(&batch, proposal, false);
        if let (Verdict::Admit | Verdict::Clamp, Some(change)) = (review.verdict, &review.change) {
            batch.projection.charge(&batch.world, proposal, change);
        }
        reviews[index] = Some(review);
    }
    reviews.into_iter().flatten().collect()
}

/// What a batch is judged against.
struct Batch<'a> {
    world: World<'a>,
    projection: Projection<'a>,
}

impl<'a> Batch<'a> {
    fn new(snapshot: &'a Snapshot, plan: &'a Plan, commitments: &Commitments, proposals: &[&Proposal]) -> Self {
        let world = World::new(snapshot, plan, proposals);
        let projection = Projection::new(&world, commitments, proposals);
        Self { world, projection }
    }
}

/// The order in which a batch is judged. Node pools come last: no workload waits for them within a tick.
fn in_order(world: &World<'_>, proposals: &[Proposal]) -> Vec<usize> {
    let nowhere = TargetKey::new("", "", "", "");
    let claims: Vec<Claim<'_>> = proposals
        .iter()
        .map(|proposal| {
            let target = proposal.change.target().unwrap_or(&nowhere);
            let subject = world.subject(proposal);
            let wanted = world.plan.targets.get(target).map_or(0, |plan| plan.replicas);
            let missing = wanted.saturating_sub(subject.workload.map_or(0, |workload| workload.replicas.desired));
            let need = if wanted == 0 { 0.0 } else { f64::from(missing) / f64::from(wanted) };
            Claim { criticality: subject.criticality(), need, cost: proposal.cost_change_per_hour.unwrap_or_default(), target }
        })
        .collect();
    let mut order: Vec<usize> = (0..proposals.len()).collect();
    order.sort_by(|&a, &b| {
        let pool = |index: usize| proposals[index].change.target().is_none();
        pool(a).cmp(&pool(b)).then_with(|| priority(&claims[a], &claims[b])).then_with(|| proposals[a].id.cmp(&proposals[b].id))
    });
    order
}

/// Every rule's word on one proposal: first those that make it smaller, each on what the one before left; then all, on what is left.
fn judge_one(batch: &Batch<'_>, proposal: &Proposal, approved: bool) -> Review {
    let subject = batch.world.subject(proposal);
    let mut change = proposal.change.clone();
    let mut rulings: BTreeMap<RuleId, Ruling> = BTreeMap::new();
    let ask_about = |rule: RuleId, change: &Change| {
        ask(rule, &Case { world: &batch.world, projection: &batch.projection, proposal, change, subject, approved })
    };
    for rule in CLAMPING {
        let mut answer = ask_about(rule, &change);
        if let Some(smaller) = answer.take_clamped() {
            change = smaller;
            keep_hardest(&mut rulings, rule, answer);
        }
    }
    for rule in RULES {
        let answer = ask_about(rule, &change).hardened("no smaller change keeps every limit");
        keep_hardest(&mut rulings, rule, answer);
    }
    let verdict = rulings.values().map(|ruling| ruling.verdict).max().unwrap_or(Verdict::Admit);
    Review {
        proposal: proposal.id.clone(),
        verdict,
        change: (verdict != Verdict::Refuse).then_some(change),
        rulings: rulings.into_values().collect(),
    }
}

fn keep_hardest(rulings: &mut BTreeMap<RuleId, Ruling>, rule: RuleId, answer: Answer) {
    if rulings.get(&rule).is_some_and(|ruling| ruling.verdict >= answer.verdict()) {
        return;
    }
    if let Some(ruling) = answer.ruling(rule) {
        rulings.insert(rule, ruling);
    }
}

fn ask(rule: RuleId, case: &Case<'_>) -> Answer {
    match rule {
        RuleId::Identity => identity::ask(case),
        RuleId::Mode => mode::ask(case),
        RuleId::Bounds => bounds::ask(case),
        RuleId::Step => step::ask(case),
        RuleId::Unusual => unusual::ask(case),
        RuleId::CoolDown => cool_down::ask(case),
        RuleId::Flap => flap::ask(case),
        RuleId::StaleMetrics => stale_metrics::ask(case),
        RuleId::Unready => unready::ask(case),
        RuleId::Rollout => rollout::ask(case),
        RuleId::DisruptionBudget => disruption_budget::ask(case),
        RuleId::Freeze => freeze::ask(case),
        RuleId::ResourceBounds => resource_bounds::ask(case),
        RuleId::RequestLimit => request_limit::ask(case),
        RuleId::QosClass => qos_class::ask(case),
        RuleId::Quota => quota::ask(case),
        RuleId::Fit => fit::ask(case),
        RuleId::CostBudget => cost_budget::ask(case),
        RuleId::OtherWriter => other_writer::ask(case),
        RuleId::ChangeBudget => change_budget::ask(case),
        RuleId::RegretBudget => regret_budget::ask(case),
        RuleId::Fleet => fleet::ask(case),
        RuleId::CrossCheck => cross_check::ask(case),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The variants of `RuleId`, read from where they are declared: Rust has no list of them.
    fn declared() -> BTreeSet<String> {
        let source = include_str!("domain/review.rs");
        let body = source.split_once("pub enum RuleId {").unwrap().1.split_once("\n}").unwrap().0;
        body.lines().filter_map(|line| line.trim().strip_suffix(',')).map(str::to_owned).collect()
    }

    #[test]
    fn every_rule_is_asked_and_has_a_file_with_a_test() {
        let asked: BTreeSet<String> = RULES.iter().map(ToString::to_string).collect();
        assert_eq!(asked, declared());
        assert_eq!(asked.len(), RULES.len(), "none is asked twice");
        assert!(CLAMPING.iter().all(|rule| RULES.contains(rule)));
        for rule in &asked {
            let mut file = String::new();
            for letter in rule.chars() {
                if letter.is_uppercase() && !file.is_empty() {
                    file.push('_');
                }
                file.extend(letter.to_lowercase());
            }
            let path = format!("{}/src/guardrails/{file}.rs", env!("CARGO_MANIFEST_DIR"));
            let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(source.starts_with("//! "), "{path} says what it is for");
            assert!(source.contains("pub(super) fn ask(case: &Case<'_>) -> Answer"), "{path} answers");
            assert!(source.contains("#[test]"), "{path} is tested");
        }
    }
}
