//! A tick's record as people read it in a terminal: for each target what there is, what is wanted and why, and for each proposal what the
//! guardrails say.

use std::fmt::Write as _;

use super::output::table;
use crate::domain::limits::Mode;
use crate::domain::proposal::{Change, Proposal};
use crate::domain::record::{Asked, Evidence, Fate, Judged, TickRecord};
use crate::domain::review::Verdict;
use crate::domain::units::MicroUsd;

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
