//! A tick's record as people read it in a terminal: for each target what there is, what is wanted and why, and for each proposal what the
//! guardrails say. And what a run of ticks comes to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::output::table;
use crate::domain::limits::Mode;
use crate::domain::names::TickId;
use crate::domain::proposal::{Change, Proposal};
use crate::domain::record::{Asked, Evidence, Fate, Judged, TickRecord};
use crate::domain::review::Verdict;
use crate::domain::units::MicroUsd;
use crate::ports::{Body, Ledger, PortError};

/// The evidence behind a record; `None` where there is none, or it was pruned.
///
/// # Errors
/// [`PortError`] when the ledger cannot be read.
pub(super) async fn evidence(ledger: &dyn Ledger, record: &TickRecord) -> Result<Option<Evidence>, PortError> {
    let Some(opened) = &record.opened else { return Ok(None) };
    Ok(match ledger.body(&opened.evidence).await? {
        Some(Body::Evidence(evidence)) => Some(evidence),
        Some(Body::Dialogue(_)) | None => None,
    })
}

/// What a run of ticks comes to, one line a subject: ticks, what became of what was wanted, and what the workloads cost.
pub(super) fn summary(records: &[TickRecord]) -> String {
    let mut fates: BTreeMap<Fate, usize> = BTreeMap::new();
    let mut costs: BTreeMap<TickId, MicroUsd> = BTreeMap::new();
    for record in records {
        let Some(closed) = &record.closed else { continue };
        for judged in &closed.proposals {
            *fates.entry(judged.fate).or_default() += 1;
        }
        *costs.entry(record.tick).or_default() += closed.plan.values().filter_map(|plan| plan.cost_per_hour).sum::<MicroUsd>();
    }
    let count = |fate| fates.get(&fate).copied().unwrap_or_default();
    let mut out = format!(
        "{} ticks, {} records: {} changes applied, {} failed; {} refused and {} held, each counted in every tick that wanted it\n",
        costs.len(),
        records.len(),
        count(Fate::Applied),
        count(Fate::Failed),
        count(Fate::Blocked),
        count(Fate::Held),
    );
    if let (Some(first), Some(last)) = (costs.values().next(), costs.values().next_back()) {
        let ticks = i64::try_from(costs.len()).unwrap_or(i64::MAX);
        let mean = MicroUsd(costs.values().copied().sum::<MicroUsd>().0 / ticks);
        let _ = writeln!(out, "cost of the workloads as planned: {first}/h in the first tick, {last}/h in the last, {mean}/h on average");
    }
    out
}

/// One record, with the evidence behind it where that is at hand.
pub(super) fn record(record: &TickRecord, evidence: Option<&Evidence>) -> String {
    let mut out = String::new();
    let closed = record.closed.as_ref();
    let end = closed.map_or_else(|| "open".to_owned(), |c| format!("{}: {}", c.shown(), c.reason));
    let _ = writeln!(out, "{} {}  {}  {end}", record.at.strftime("%Y-%m-%d %H:%M:%S UTC"), record.tick, record.group);
    if let Some(closed) = closed {
        let mut targets = table(&["TARGET", "MODE", "CURRENT", "DESIRED", "HPA", "DEMAND", "PLANNED", "CAPACITY", "COST/H", "REASON"]);
        for (key, plan) in &closed.plan {
            let mode = record.opened.as_ref().and_then(|o| o.modes.get(key)).map_or(Mode::Observe, |m| m.scale_up);
            let current = evidence.and_then(|e| e.targets.iter().find(|t| t.key == *key)).map(|t| t.replicas.desired);
            targets.add_row([
                key.name.to_string(),
                format!("{mode:?}"),
                or_dash(current),
                plan.replicas.to_string(),
                or_dash(plan.shadow_hpa),
                or_dash(plan.basis.demand_now.map(|d| format!("{d:.1}"))),
                or_dash(plan.basis.demand_planned.map(|d| format!("{d:.1}"))),
                or_dash(plan.basis.capacity_per_replica.map(|c| format!("{c:.1} {:?}", plan.basis.capacity_source))),
                or_dash(plan.cost_per_hour),
                format!("{:?}", plan.basis.reason),
            ]);
        }
        if !closed.plan.is_empty() {
            for line in targets.to_string().lines() {
                let _ = writeln!(out, "  {}", line.trim_end());
            }
        }
        for judged in &closed.proposals {
            let _ = writeln!(out, "  {}", proposal(judged));
            for ruling in judged.review.rulings.iter().filter(|r| r.verdict != Verdict::Admit) {
                let _ = writeln!(out, "      {:?} by {}: {}", ruling.verdict, ruling.rule, ruling.sentence);
            }
        }
        if let Asked::Yes(reason) = closed.dialogue.asked {
            let end = closed.dialogue.end.as_ref().map_or("open".to_owned(), |e| format!("{e:?}"));
            let usage = closed.dialogue.usage;
            let tokens = usage.prompt_tokens + usage.completion_tokens;
            let _ = writeln!(out, "  model asked ({reason:?}): {end}, {} calls, {tokens} tokens", usage.calls);
        }
    }
    out
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}

/// One proposal like a diff: what would change, for how much, why, and what becomes of it.
fn proposal(judged: &Judged) -> String {
    let Proposal { change, origin, rationale, cost_change_per_hour, .. } = &judged.proposal;
    let shown = judged.review.change.as_ref().unwrap_or(change);
    let fate = match judged.fate {
        Fate::Applied => "done",
        Fate::Failed => "failed",
        Fate::Queued => "waits for approval",
        Fate::Shadow => "would be done",
        Fate::Held => "held",
        Fate::Blocked => "refused",
        Fate::Superseded => "superseded",
    };
    let delta = match shown {
        Change::Replicas(c) => format!(" ({:+})", i64::from(c.to) - i64::from(c.from)),
        Change::Resources(_) | Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => String::new(),
    };
    let cost = cost_change_per_hour.filter(|c| *c != MicroUsd(0)).map(|c| format!(" · {}{c}/h", if c.0 > 0 { "+" } else { "" }));
    format!("{fate}: {}{delta}{} · {origin:?}: {rationale}", shown.summary(), cost.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::names::TargetKey;

    const WEB: &str = "shop/deployments.apps/web";

    /// One record of a group with one target, at this cost, in which one proposal met this fate.
    fn closed(tick: u64, (verdict, reason): (&str, &str), fate: Fate, micro_usd: i64) -> TickRecord {
        let change = json!({"kind": "Replicas", "target": WEB, "uid": "u", "from": 4, "to": 6});
        let proposal = json!({
            "id": format!("t{tick}-planner-1"), "group": "shop/front", "origin": "Planner", "change": change, "rationale": "more is asked",
            "evidence": [], "made": "2026-03-02T08:00:00Z", "cost_change_per_hour": null,
        });
        let review = json!({"proposal": proposal["id"], "verdict": "Admit", "change": change, "rulings": []});
        let basis = json!({
            "reason": "Forecast", "demand_now": 200.0, "demand_planned": 240.0, "quantile": 0.97, "lead_s": 90.0,
            "capacity_per_replica": 50.0, "capacity_source": "Learned", "target_utilization": 0.8, "raw": 6,
        });
        let plan = json!({
            "replicas": 6, "p50_need": 5, "basis": basis, "outlook": null, "model": null, "shadow_hpa": 5, "cost_per_hour": micro_usd,
        });
        let usage = json!({"calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "invalid_calls": 0});
        serde_json::from_value(json!({
            "cluster": "c", "group": "shop/front", "tick": tick, "at": "2026-03-02T08:00:00Z", "entries": [1, 2], "opened": null,
            "actions": [], "closed_seq": 2,
            "closed": {
                "verdict": verdict, "reason": reason, "plan": {WEB: plan}, "findings": [],
                "proposals": [{"proposal": proposal, "review": review, "fate": fate}],
                "dialogue": {"asked": "NotWorthIt", "end": null, "transcript": null, "usage": usage},
            },
        }))
        .unwrap()
    }

    fn web(desired: u32) -> Evidence {
        let counts = json!({"desired": desired, "current": desired, "ready": desired});
        let target = json!({"key": TargetKey::deployment("shop", "web"), "uid": "u", "replicas": counts, "rollout": "Complete", "autoscalers": [], "signals": {}});
        serde_json::from_value(json!({"targets": [target], "events": [], "guardrail": null})).unwrap()
    }

    #[test]
    fn a_record_says_what_there_is_and_that_a_change_waits() {
        let told = record(&closed(7, ("Blocked", "ApprovalPending"), Fate::Queued, 0), Some(&web(4)));
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], "2026-03-02 08:00:00 UTC t7  shop/front  Waiting: ApprovalPending");
        let row: Vec<&str> = lines[2].split_whitespace().collect();
        assert_eq!(row[..4], ["web", "Observe", "4", "6"], "target, mode, current, desired");
        let refused = record(&closed(7, ("Blocked", "Mode"), Fate::Blocked, 0), None);
        assert!(refused.starts_with("2026-03-02 08:00:00 UTC t7  shop/front  Blocked: Mode\n"), "{refused}");
    }

    #[test]
    fn a_run_comes_to_ticks_fates_and_cost() {
        let records = [
            closed(1, ("Acted", "Applied"), Fate::Applied, 100_000),
            closed(1, ("Held", "CoolDown"), Fate::Held, 100_000),
            closed(2, ("Held", "CoolDown"), Fate::Held, 500_000),
            closed(3, ("Blocked", "Mode"), Fate::Blocked, 200_000),
        ];
        assert_eq!(
            summary(&records),
            "3 ticks, 4 records: 1 changes applied, 0 failed; 1 refused and 2 held, each counted in every tick that wanted it\n\
             cost of the workloads as planned: $0.2000/h in the first tick, $0.2000/h in the last, $0.3000/h on average\n"
        );
    }
}
