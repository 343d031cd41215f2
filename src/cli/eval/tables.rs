//! What a suite came to, in a terminal: for each price the league, every kind and class, and where our policies do worst.

use std::fmt::Write as _;

use super::super::output::table;
use crate::eval::bootstrap::METHOD;
use crate::eval::policy::Policy;
use crate::eval::score::{GOAL_PRICES, League, Scores, worst};
use crate::eval::scoreboard::{Fall, FallKind, Loss};
use crate::eval::suite::Suite;
use crate::eval::words;

/// The worst incidents that are listed.
const WORST: usize = 5;

/// The tables.
pub(super) fn text(suite: &Suite, scores: &Scores) -> String {
    let mut out = String::new();
    for &price in &suite.prices {
        let of_price = scores.cases.iter().filter(|case| case.price == price);
        let (counted, reported): (Vec<_>, Vec<_>) = of_price.partition(|case| case.is_scored());
        let goal = if GOAL_PRICES.contains(&price) { "" } else { ", no goal" };
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "Price {price}{goal}: {} incidents scored, {} reported only", counted.len(), reported.len());
        if let Some(league) = scores.overall(price) {
            push(&mut out, &standings(league));
            push(&mut out, &groups(suite, scores, price));
        }
        for policy in suite.policies.iter().filter(|policy| policy.is_ours()) {
            let worst = worst(suite, &scores.cases, *policy, price, WORST);
            if !worst.is_empty() {
                let mut lines = table(&["WORST OF", policy.name(), "AGAINST HPA-TUNED, IN PERCENT OF ITS OBJECTIVE"]);
                for worst in worst {
                    lines.add_row([worst.incident.to_string(), words::gap(Some(worst.gap_closed)), worst.reason]);
                }
                push(&mut out, &lines);
            }
        }
        if !reported.is_empty() {
            let mut lines = table(&["REPORTED ONLY", "WHY"]);
            for case in reported {
                let marks = serde_json::to_value(&case.marks).unwrap_or_default();
                let why: Vec<&str> = marks.as_array().into_iter().flatten().filter_map(|mark| mark.as_str()).collect();
                lines.add_row([suite.incidents[case.incident].name.to_string(), why.join(", ")]);
            }
            push(&mut out, &lines);
        }
    }
    let _ = writeln!(out, "Gap closed: 0 is hpa-tuned, 1 is oracle-rate. {METHOD}.");
    out
}

/// Where the floor fell below what is committed, and on which incidents it does worse; nothing where it does not.
pub(super) fn fallen(falls: &[Fall], losses: &[Loss]) -> String {
    let mut out = String::new();
    if !falls.is_empty() {
        let mut lines = table(&["FELL", "START-UP", "PRICE", "SCOREBOARD", "NOW"]);
        for Fall { committed, kind } in falls {
            let all = |name: &Option<String>| name.clone().unwrap_or_else(|| "all".to_owned());
            let (was, now) = match kind {
                FallKind::NotMeasured => (words::gap(committed.gap_closed), "not measured".to_owned()),
                FallKind::OtherIncidents(now) => (format!("{} incidents", committed.incidents), format!("{now} incidents")),
                FallKind::Below(now) => (words::gap(committed.gap_closed), words::gap(Some(*now))),
                FallKind::Failed(now) => (format!("{} failed", committed.failed), format!("{now} failed")),
            };
            lines.add_row([all(&committed.kind), all(&committed.class), committed.price.to_string(), was, now]);
        }
        push(&mut out, &lines);
        if falls.iter().any(|fall| matches!(fall.kind, FallKind::NotMeasured | FallKind::OtherIncidents(_))) {
            out.push_str("  Run the incidents, policies and prices of the scoreboard, or write a new one with --write-scoreboard.\n\n");
        }
    }
    if !losses.is_empty() {
        let mut lines = table(&["DOES WORSE ON", "PRICE", "COST/IDEAL", "NOW", "FORBIDDEN"]);
        for Loss { committed, now } in losses {
            let forbidden = if now.failed { "yes" } else { "no" };
            let cost = |ratio| words::times(Some(ratio));
            let (was, is) = (cost(committed.objective_over_ideal), cost(now.objective_over_ideal));
            lines.add_row([now.incident.clone(), now.price.to_string(), was, is, forbidden.to_owned()]);
        }
        push(&mut out, &lines);
    }
    out
}

fn push(out: &mut String, table: &comfy_table::Table) {
    for line in table.to_string().lines() {
        let _ = writeln!(out, "  {}", line.trim_end());
    }
    out.push('\n');
}

fn standings(league: &League) -> comfy_table::Table {
    let mut lines = table(&["POLICY", "GAP CLOSED", "INTERVAL", "TO ORACLE", "BAD", "COST/ORACLE", "FAILED", "INCIDENTS"]);
    for standing in &league.standings {
        lines.add_row([
            standing.policy.to_string(),
            words::gap(standing.gap_closed),
            words::interval(standing.interval),
            words::gap(standing.gap_closed_to_oracle),
            words::percent(standing.bad_fraction),
            words::times(standing.cost_over_oracle),
            standing.failed.to_string(),
            standing.incidents.to_string(),
        ]);
    }
    right(&mut lines, 1);
    lines
}

/// Gap closed of each policy but the two that make the scale, with the interval of ours.
fn groups(suite: &Suite, scores: &Scores, price: u32) -> comfy_table::Table {
    let policies: Vec<Policy> = suite.policies.iter().copied().filter(|p| !matches!(p, Policy::HpaTuned | Policy::OracleRate)).collect();
    let names: Vec<String> = policies.iter().map(|policy| policy.name().to_uppercase()).collect();
    let mut header = vec!["KIND", "START-UP", "INCIDENTS"];
    header.extend(names.iter().map(String::as_str));
    let mut lines = table(&header);
    for league in scores.leagues.iter().filter(|league| league.scope.price == price) {
        let kind = league.scope.kind.as_deref().unwrap_or("all").to_owned();
        let class = league.scope.class.map_or("all", |class| class.name()).to_owned();
        let cell = |policy: &Policy| {
            let standing = league.standings.iter().find(|standing| standing.policy == *policy);
            let interval = words::interval(standing.and_then(|s| s.interval).filter(|_| policy.is_ours()));
            format!("{} {interval}", words::gap(standing.and_then(|s| s.gap_closed))).trim_end().to_owned()
        };
        let mut row = vec![kind, class, league.incidents.to_string()];
        row.extend(policies.iter().map(cell));
        lines.add_row(row);
    }
    right(&mut lines, 2);
    lines
}

/// Numbers stand to the right, from a column on.
fn right(table: &mut comfy_table::Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::incident::Incident;
    use crate::eval::progress::Progress;
    use crate::eval::score::score;
    use crate::eval::testing::{MadeUp, incident, suite as incidents};

    #[test]
    fn what_fell_is_a_table() {
        let entry = crate::eval::scoreboard::Entry {
            price: 10,
            kind: Some("spiky".into()),
            class: None,
            policy: Policy::Ipa,
            incidents: 9,
            gap_closed: Some(0.31),
            gap_interval: None,
            bad_fraction: None,
            cost_over_oracle: None,
            failed: 0,
        };
        let falls = [FallKind::Below(0.12), FallKind::Failed(1), FallKind::OtherIncidents(8)];
        let falls: Vec<Fall> = falls.into_iter().map(|kind| Fall { committed: entry.clone(), kind }).collect();
        let single = |objective_over_ideal, failed| crate::eval::scoreboard::Single {
            incident: "one".into(),
            price: 10,
            objective_over_ideal,
            bad_fraction: None,
            gap_closed: None,
            failed,
        };
        let losses = [Loss { committed: single(1.4, false), now: single(1.6, true) }];
        insta::assert_snapshot!(fallen(&falls, &losses));
        assert_eq!(fallen(&[], &[]), "");
    }

    #[test]
    fn a_suite_is_read_in_a_terminal() {
        let policies = vec![Policy::Hpa, Policy::HpaTuned, Policy::Ipa, Policy::Oracle, Policy::OracleRate];
        let mut all = incidents();
        all.push(Incident { history_s: 3600, ..incident("too-short", "seasonal", 30) });
        let suite = Suite { incidents: all, policies, seeds: vec![1], prices: vec![10], model: String::new() };
        let cells = suite.run(&MadeUp::default(), None, 2, &Progress::new(suite.size())).unwrap();
        insta::assert_snapshot!(text(&suite, &score(&suite, &cells)));
    }
}
