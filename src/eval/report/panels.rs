//! An incident's charts: demand against capacity, one panel for each workload and policy, on one scale, with what was bad below.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::policy::Policy;
use super::super::score::{Case, GapRow, Mark, Scores, StartupClass};
use super::super::suite::{Cells, Suite};
use super::super::timeline::Timeline;
use super::super::words;
use super::geometry::{Scale, Tick, nice_step, steps, tenth, time_step};
use super::key::{Key, key};

const WIDTH: f64 = 400.0;
/// Where the plot begins and ends.
const LEFT: f64 = 38.0;
const RIGHT: f64 = 384.0;
const TOP: f64 = 6.0;
const BOTTOM: f64 = 96.0;
/// The strip below the plot in which bad minutes stand.
const STRIP_TOP: f64 = 101.0;
const STRIP_BOTTOM: f64 = 115.0;
const HEIGHT: f64 = 132.0;
/// A share of bad requests below this is not drawn: one in a thousand.
const SHOWN_BAD: f32 = 0.001;
/// A capacity is drawn up to so many times the highest demand; a fleet held far above it would flatten everything else.
const HIGHEST: f32 = 2.0;

/// One incident on the page.
#[derive(Debug, Serialize)]
pub(super) struct IncidentView {
    number: usize,
    name: String,
    title: String,
    source: String,
    license: String,
    tags: String,
    class: &'static str,
    marks: Vec<&'static str>,
    summary: String,
    open: bool,
    prices: Vec<u32>,
    policies: Vec<PolicyLine>,
    workloads: Vec<WorkloadView>,
}

/// What a policy came to in an incident, price by price.
#[derive(Debug, Serialize)]
struct PolicyLine {
    key: Key,
    cells: Vec<PriceCell>,
}

#[derive(Debug, Serialize)]
struct PriceCell {
    bad: String,
    cost: String,
    gap: String,
}

#[derive(Debug, Serialize)]
struct WorkloadView {
    name: String,
    panels: Vec<Panel>,
}

/// One chart.
#[derive(Debug, Serialize)]
struct Panel {
    key: Key,
    caption: String,
    label: String,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    bottom: f64,
    strip: f64,
    strip_text: f64,
    time_text: f64,
    demand: String,
    capacity: String,
    bad: String,
    rates: Vec<Tick>,
    times: Vec<Tick>,
}

/// Views of all incidents, charts at `price` with the first seed. Those of `open` are open at once.
pub(super) fn incidents(suite: &Suite, cells: &Cells, scores: &Scores, price: u32, open: &[&str]) -> Vec<IncidentView> {
    let gaps = scores.gap_rows(suite);
    let view = |(number, incident): (usize, &super::super::incident::Incident)| {
        let cases: Vec<(&Case, &GapRow)> = scores.cases.iter().zip(&gaps).filter(|(case, _)| case.incident == number).collect();
        let shown = cases.iter().find(|(case, _)| case.price == price);
        let policies = suite.policies.iter().map(|policy| PolicyLine { key: key(*policy), cells: cells_of(&cases, *policy) }).collect();
        let ours = suite.policies.iter().filter(|policy| policy.is_ours());
        let gap =
            |policy: &Policy| format!("{policy} {}", words::gap(shown.and_then(|(case, _)| case.gap_closed(*policy, Policy::OracleRate))));
        IncidentView {
            number,
            name: incident.name.to_string(),
            title: incident.title.clone(),
            source: incident.source.clone(),
            license: incident.license.clone(),
            tags: incident.tags.join(", "),
            class: StartupClass::of(incident).title(),
            marks: shown.map(|(case, _)| case.marks.iter().map(|mark| told(*mark)).collect()).unwrap_or_default(),
            summary: ours.map(gap).collect::<Vec<_>>().join(" · "),
            open: open.contains(&&*incident.name),
            prices: cases.iter().map(|(case, _)| case.price).collect(),
            policies,
            workloads: workloads(suite, cells, number, price, shown.map(|(case, _)| *case)),
        }
    };
    suite.incidents.iter().enumerate().map(view).collect()
}

fn told(mark: Mark) -> &'static str {
    match mark {
        Mark::Dropping => "hpa-tuned drops work: not scored",
        Mark::ShortPast => "too little past: not scored",
        Mark::Bound => "the oracle is a bound",
        Mark::Failed => "a policy did what is forbidden",
    }
}

fn cells_of(cases: &[(&Case, &GapRow)], policy: Policy) -> Vec<PriceCell> {
    let cell = |(case, gap): &(&Case, &GapRow)| PriceCell {
        bad: words::percent(case.bad_share(policy).value()),
        cost: words::times(case.cost_over_oracle(policy).value()),
        gap: words::gap(gap.gap_closed.get(&policy).copied().flatten()),
    };
    cases.iter().map(cell).collect()
}

fn workloads(suite: &Suite, cells: &Cells, incident: usize, price: u32, case: Option<&Case>) -> Vec<WorkloadView> {
    let Some(&seed) = suite.seeds.first() else { return Vec::new() };
    let run = |policy: &Policy| cells.get(incident, *policy, seed, price).map(|cell| (*policy, cell));
    let runs: Vec<_> = suite.policies.iter().filter_map(run).collect();
    let several = suite.incidents[incident].workloads.len() > 1;
    let view = |(place, workload): (usize, &super::super::incident::IncidentWorkload)| {
        let lines = runs.iter().filter_map(|(policy, cell)| cell.workloads.get(place).map(|result| (*policy, &result.timeline)));
        let lines: Vec<_> = lines.filter(|(_, timeline)| !timeline.demand.is_empty()).collect();
        let top = top(&lines);
        let panels = lines.iter().map(|(policy, timeline)| panel(*policy, timeline, top, case)).collect();
        WorkloadView { name: if several { workload.name.to_string() } else { String::new() }, panels }
    };
    suite.incidents[incident].workloads.iter().enumerate().map(view).filter(|view| !view.panels.is_empty()).collect()
}

/// The highest value that all panels of a workload have room for, units/s.
fn top(lines: &[(Policy, &Timeline)]) -> f64 {
    let highest = |column: fn(&Timeline) -> &Vec<f32>| lines.iter().flat_map(|(_, timeline)| column(timeline)).copied().fold(0.0, f32::max);
    let demand = highest(|timeline| &timeline.demand);
    f64::from(demand.max(highest(|timeline| &timeline.capacity).min(HIGHEST * demand))) * 1.06
}

fn panel(policy: Policy, timeline: &Timeline, top: f64, case: Option<&Case>) -> Panel {
    let rates = Scale { from: 0.0, to: top, start: BOTTOM, end: TOP };
    let count = timeline.demand.len();
    let seconds = timeline.step_s.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
    let times = Scale { from: 0.0, to: f64::from(seconds), start: LEFT, end: RIGHT };
    let edges: Vec<f64> = (0..=count).map(|index| times.at(f64::from(timeline.step_s) * index as f64)).collect();
    let heights = |column: &[f32]| column.iter().map(|value| rates.at(f64::from(*value))).collect::<Vec<_>>();
    let demand = steps(&edges, &heights(&timeline.demand));
    let rate_step = nice_step(top, 4);
    let rate_values: Vec<f64> = (0..=4u32).map(|index| rate_step * f64::from(index)).collect();
    let time_step = time_step(seconds);
    let time_values: Vec<f64> = (0..=seconds / time_step).map(|index| f64::from(index * time_step)).collect();
    let unit = if time_step < 3600 { ("min", 60.0) } else { ("h", 3600.0) };
    let pair = |case: &Case| {
        let bad = words::percent(case.bad_share(policy).value());
        let cost = words::times(case.cost_over_oracle(policy).value());
        format!("bad {bad} · cost {cost} · gap {}", words::gap(case.gap_closed(policy, Policy::OracleRate)))
    };
    let caption = case.map(pair).unwrap_or_default();
    Panel {
        key: key(policy),
        label: format!("{policy}: demand against capacity; {caption}"),
        caption,
        width: WIDTH,
        height: HEIGHT,
        left: LEFT,
        right: RIGHT,
        bottom: BOTTOM,
        strip: STRIP_BOTTOM,
        strip_text: STRIP_BOTTOM - 2.0,
        time_text: HEIGHT - 4.0,
        demand: format!("{demand}V{BOTTOM}H{LEFT}Z"),
        capacity: steps(&edges, &heights(&timeline.capacity)),
        bad: bad(&edges, &timeline.bad),
        rates: rates.ticks(&rate_values, 12.0, |value| value, |value| format!("{value}")),
        times: times.ticks(&time_values, 20.0, |value| value, |value| format!("{:.0} {}", value / unit.1, unit.0)),
    }
}

/// Bars in the strip: their height is the root of the share, so that one request in a hundred is still seen.
fn bad(edges: &[f64], shares: &[f32]) -> String {
    let mut path = String::new();
    for (index, share) in shares.iter().enumerate().filter(|(_, share)| **share > SHOWN_BAD) {
        let [Some(from), Some(to)] = [edges.get(index), edges.get(index + 1)] else { break };
        let height = tenth((STRIP_BOTTOM - STRIP_TOP) * f64::from(share.min(1.0)).sqrt());
        // At least a pixel wide, or a minute of a long day would not be seen. Writing to a `String` cannot fail.
        let _ = write!(path, "M{from} {STRIP_BOTTOM}v-{height}h{}v{height}z", tenth((to - from).max(1.0)));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_minute_is_drawn_by_the_root_of_its_share_and_a_good_one_is_not() {
        assert_eq!(bad(&[0.0, 10.0, 20.0, 20.2], &[0.0005, 0.25, 1.0]), "M10 115v-7h10v7zM20 115v-14h1v14z");
    }

    #[test]
    fn a_fleet_far_above_demand_does_not_flatten_the_chart() {
        let timeline =
            |capacity: f32| Timeline { step_s: 60, demand: vec![50.0, 100.0], capacity: vec![capacity; 2], ..Timeline::default() };
        assert_eq!(top(&[(Policy::Hold, &timeline(150.0))]), 159.0);
        assert_eq!(top(&[(Policy::Hold, &timeline(9_000.0))]), 212.0);
    }
}
