//! What a tick shows of itself: the pages, the JSON API and the metrics read this and nothing else. Sparklines, not histories: a snapshot's
//! series stay the tick's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::Pass;
use crate::domain::limits::{Criticality, Modes, Surge};
use crate::domain::names::{GroupId, TargetKey, TickId};
use crate::domain::plan::{PlannedNode, SizingBasis, Unschedulable};
use crate::domain::record::{Asked, DialogueEnd, Fate, Usage};
use crate::domain::signal::{Signal, SignalName};
use crate::domain::snapshot::{QueuedProposal, Rejected, Snapshot, SourceHealth};
use crate::domain::status::Condition;
use crate::domain::units::MicroUsd;

/// Minutes a sparkline shows.
const SPARKLINE_MINUTES: usize = 90;

/// Everything the last tick shows.
#[derive(Clone, Debug, Serialize)]
pub struct Published {
    /// When the tick was.
    pub at: Timestamp,
    /// Which tick.
    pub tick: TickId,
    /// Which cluster.
    pub cluster: Arc<str>,
    /// How metrics answered.
    pub metrics: SourceHealth,
    /// Groups by id.
    pub groups: Vec<GroupView>,
    /// Custom resources that could not be taken.
    pub rejected: Vec<Rejected>,
    /// Nodes.
    pub nodes: NodesView,
    /// Proposals that wait for people, and those that ended lately.
    pub queue: Vec<QueuedProposal>,
    /// Who answers for the model.
    pub model: Option<ModelView>,
    /// Counters since the process began.
    pub totals: Totals,
}

/// One group.
#[derive(Clone, Debug, Serialize)]
pub struct GroupView {
    /// Which.
    pub group: GroupId,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// Why the model was or was not asked.
    pub asked: Asked,
    /// Announced surges that have not ended.
    pub surges: Vec<SurgeView>,
    /// Its targets.
    pub targets: Vec<TargetView>,
}

/// An announced surge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SurgeView {
    /// Name, for people.
    pub name: String,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// Demand in percent of the usual for that time.
    pub percent: u32,
}

/// One target.
#[derive(Clone, Debug, Serialize)]
pub struct TargetView {
    /// Which.
    pub target: TargetKey,
    /// How much it matters.
    pub criticality: Criticality,
    /// Effective modes.
    pub modes: Modes,
    /// Effective bounds.
    pub min: u32,
    /// Effective bounds.
    pub max: u32,
    /// Replicas there are.
    pub current: u32,
    /// Replicas asked for in the cluster.
    pub asked_for: u32,
    /// Ready replicas.
    pub ready: u32,
    /// Replicas the plan wants.
    pub desired: u32,
    /// What an HPA would ask for.
    pub shadow_hpa: Option<u32>,
    /// Numbers behind `desired`.
    pub basis: Option<SizingBasis>,
    /// Demand of the last 90 minutes, oldest first; gaps are null.
    pub demand: Vec<Option<f32>>,
    /// Median demand of the next 60 minutes.
    pub outlook_p50: Vec<f32>,
    /// 90 % demand of the next 60 minutes.
    pub outlook_p90: Vec<f32>,
    /// Newest value of each signal, with unit and age.
    pub signals: BTreeMap<String, SignalView>,
    /// Cost an hour at the desired replicas.
    pub cost_per_hour: Option<MicroUsd>,
    /// Cost an hour of the pods there are.
    pub current_cost_per_hour: Option<MicroUsd>,
}

/// A signal's newest value.
#[derive(Clone, Debug, Serialize)]
pub struct SignalView {
    /// Value.
    pub value: Option<f64>,
    /// Unit.
    pub unit: String,
    /// Age in seconds.
    pub age_s: Option<i64>,
    /// What was wrong with this tick's samples.
    pub faults: Vec<crate::domain::signal::SampleFault>,
}

/// Nodes at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct NodesView {
    /// Nodes there are.
    pub count: usize,
    /// Of these, ready.
    pub ready: usize,
    /// What they cost an hour, as far as prices are known.
    pub cost_per_hour: MicroUsd,
    /// Nodes the plan would buy.
    pub planned: Vec<PlannedNode>,
    /// Replicas that fit nowhere.
    pub unschedulable: Vec<Unschedulable>,
}

/// The model at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct ModelView {
    /// Model asked for.
    pub model: String,
    /// Who plays it, if not a model.
    pub played_by: Option<String>,
    /// Whether it may be asked now, and if not, why.
    pub availability: String,
    /// Tokens left today, where there is a budget.
    pub tokens_remaining: Option<u64>,
}

/// Counters since the process began.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Ticks taken.
    pub ticks: u64,
    /// Reflex passes taken.
    pub reflex_passes: u64,
    /// Ticks that began late, by more than a tenth of the interval, or were left out.
    pub late_ticks: u64,
    /// How late the last tick began, seconds.
    pub lateness_s: f64,
    /// How long the last tick took until its records were closed, seconds.
    pub tick_s: f64,
    /// Failures of ports by part (`observe`, `status`, `ledger`, …).
    pub failures: BTreeMap<String, u64>,
    /// Judged proposals by fate and origin.
    pub decisions: BTreeMap<String, u64>,
    /// Rulings by rule and verdict.
    pub verdicts: BTreeMap<String, u64>,
    /// Dialogues by end.
    pub dialogues: BTreeMap<String, u64>,
    /// Tokens and calls.
    pub usage: Usage,
    /// Ledger entries appended.
    pub entries: u64,
}

impl Totals {
    /// Counts a judged proposal. Keys join with `/`; the metrics page splits them into labels.
    pub(super) fn count_fate(&mut self, fate: Fate, origin: crate::domain::proposal::Origin) {
        *self.decisions.entry(format!("{fate:?}/{origin:?}")).or_default() += 1;
    }

    /// Counts a review's rulings.
    pub(super) fn count_review(&mut self, review: &crate::domain::review::Review) {
        for ruling in &review.rulings {
            *self.verdicts.entry(format!("{}/{:?}", ruling.rule, ruling.verdict)).or_default() += 1;
        }
    }

    /// Counts a dialogue.
    pub(super) fn count_dialogue(&mut self, end: &DialogueEnd, usage: Usage) {
        let name = format!("{end:?}");
        let name = name.split('(').next().unwrap_or(&name).to_owned();
        *self.dialogues.entry(name).or_default() += 1;
        self.usage.calls += usage.calls;
        self.usage.prompt_tokens += usage.prompt_tokens;
        self.usage.completion_tokens += usage.completion_tokens;
        self.usage.invalid_calls += usage.invalid_calls;
    }

    /// Counts a failure of a part.
    pub(super) fn count_failure(&mut self, part: &str) {
        *self.failures.entry(part.to_owned()).or_default() += 1;
    }
}

/// The view of a pass.
pub(super) fn view(pass: &Pass, model: Option<ModelView>, totals: Totals) -> Published {
    let snapshot = &*pass.snapshot;
    let nodes = &snapshot.facts.nodes;
    Published {
        at: snapshot.at,
        tick: snapshot.tick,
        cluster: snapshot.cluster.clone(),
        metrics: snapshot.metrics_health.clone(),
        groups: pass
            .statuses
            .iter()
            .map(|status| GroupView {
                group: status.group.clone(),
                conditions: status.conditions.clone(),
                asked: pass.groups.get(&status.group).map_or(Asked::NotWorthIt, |g| g.dialogue.asked),
                surges: snapshot.facts.groups.get(&status.group).map_or_else(Vec::new, |group| surges(&group.surges, snapshot.at)),
                targets: status.targets.iter().filter_map(|target| target_view(pass, target)).collect(),
            })
            .collect(),
        rejected: snapshot.facts.rejected.clone(),
        nodes: NodesView {
            count: nodes.len(),
            ready: nodes.iter().filter(|n| n.usable()).count(),
            cost_per_hour: nodes.iter().filter_map(|n| n.price_per_hour).sum(),
            planned: pass.plan.nodes.new_nodes.clone(),
            unschedulable: pass.plan.nodes.unschedulable.clone(),
        },
        queue: pass.queue.clone(),
        model,
        totals,
    }
}

fn surges(announced: &[Surge], now: Timestamp) -> Vec<SurgeView> {
    let view = |surge: &Surge| SurgeView {
        name: surge.name.clone(),
        start: surge.start,
        end: surge.start.saturating_add(surge.duration.signed()).unwrap_or(Timestamp::MAX),
        percent: surge.percent,
    };
    announced.iter().map(view).filter(|surge| surge.end > now).collect()
}

fn target_view(pass: &Pass, status: &crate::domain::status::TargetStatus) -> Option<TargetView> {
    let snapshot = &*pass.snapshot;
    let (_, named) = snapshot.group_of(&status.target)?;
    let plan = pass.plan.targets.get(&status.target);
    let outlook = plan.and_then(|p| p.outlook.as_deref());
    let path = |q: f64| outlook.map(|o| (0..=60).map(|m| o.quantile(m, q) as f32).collect()).unwrap_or_default();
    let asked_for = snapshot.workload(&status.target).map_or(0, |w| w.replicas.desired);
    Some(TargetView {
        target: status.target.clone(),
        criticality: named.criticality,
        modes: status.modes,
        min: status.min,
        max: status.max,
        current: status.current,
        asked_for,
        ready: status.ready,
        desired: status.desired,
        shadow_hpa: status.shadow_hpa,
        basis: plan.map(|p| p.basis.clone()),
        demand: sparkline(snapshot.signal(&status.target, &SignalName::Demand)),
        outlook_p50: path(0.5),
        outlook_p90: path(0.9),
        signals: signals(snapshot, &status.target),
        cost_per_hour: status.cost_per_hour,
        current_cost_per_hour: plan.and_then(|p| {
            let each = p.cost_per_hour?.0.checked_div(i64::from(p.replicas))?;
            Some(MicroUsd(each) * i64::from(status.current))
        }),
    })
}

fn sparkline(signal: Option<&Signal>) -> Vec<Option<f32>> {
    let Some(signal) = signal else { return Vec::new() };
    let values = &signal.history.fine.values;
    values[values.len().saturating_sub(SPARKLINE_MINUTES)..].iter().map(|v| v.is_finite().then_some(*v)).collect()
}

fn signals(snapshot: &Snapshot, target: &TargetKey) -> BTreeMap<String, SignalView> {
    let Some(signals) = snapshot.signals.get(target) else { return BTreeMap::new() };
    signals
        .iter()
        .map(|(name, signal)| {
            let latest = signal.latest();
            let view = SignalView {
                value: latest.map(|(_, value)| value),
                unit: name.unit().to_owned(),
                age_s: latest.map(|(at, _)| snapshot.at.duration_since(at).as_secs()),
                faults: signal.faults.clone(),
            };
            (name.to_string(), view)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::GoDuration;

    #[test]
    fn a_surge_is_shown_until_it_has_ended() {
        let start: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
        let sale = Surge { name: "sale".into(), start, duration: GoDuration::from_mins(30), percent: 240 };
        let end: Timestamp = "2026-03-02T08:30:00Z".parse().unwrap();
        let shown = |at: &str| surges(std::slice::from_ref(&sale), at.parse().unwrap());
        let view = SurgeView { name: "sale".into(), start, end, percent: 240 };
        assert_eq!(shown("2026-03-01T00:00:00Z").as_slice(), std::slice::from_ref(&view));
        assert_eq!(shown("2026-03-02T08:29:59Z"), [view]);
        assert_eq!(shown("2026-03-02T08:30:00Z"), []);
    }
}
