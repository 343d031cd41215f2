//! What a suite came to, in a terminal: for each price the league, every kind and class, and where our policies do worst.

use std::fmt::Write as _;

use super::super::output::table;
use crate::eval::bootstrap::METHOD;
use crate::eval::policy::Policy;
use crate::eval::score::{GOAL_PRICES, League, Scores, worst};
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
    fn a_suite_is_read_in_a_terminal() {
        let policies = vec![Policy::Hpa, Policy::HpaTuned, Policy::Ipa, Policy::Oracle, Policy::OracleRate];
        let mut all = incidents();
        all.push(Incident { history_s: 3600, ..incident("too-short", "seasonal", 30) });
        let suite = Suite { incidents: all, policies, seeds: vec![1], prices: vec![10], model: String::new() };
        let cells = suite.run(&MadeUp::default(), None, 2, &Progress::new(suite.size())).unwrap();
        insta::assert_snapshot!(text(&suite, &score(&suite, &cells)));
    }
}
