//! How honest the forecasts were: how often what came lay below each quantile, over everything and incident by incident.

use serde::Serialize;

use super::super::cell::ForecastScore;
use super::super::policy::Policy;
use super::super::suite::{Cells, Suite};
use super::super::words;
use super::geometry::{Scale, Tick};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 390.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 190.0;
/// Where the coverage of the 90 % quantile should lie.
const WANTED: (f64, f64) = (0.88, 0.92);
/// Below it an incident's coverage is bad.
const LEAST: f64 = 0.8;

/// The section.
#[derive(Debug, Serialize)]
pub(super) struct Calibration {
    policy: Policy,
    incidents: usize,
    pooled: Vec<Pooled>,
    skill: String,
    plots: Vec<Plot>,
}

/// What came of one quantile, over all incidents, each forecast counted once.
#[derive(Debug, Serialize)]
struct Pooled {
    nominal: String,
    observed: String,
}

/// Dots over a scale of shares.
#[derive(Debug, Serialize)]
struct Plot {
    title: &'static str,
    axis: &'static str,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    bottom: f64,
    axis_x: f64,
    axis_y: f64,
    center: f64,
    values: Vec<Tick>,
    columns: Vec<Tick>,
    band: Option<Band>,
    rule: String,
    dots: Vec<Dot>,
}

#[derive(Debug, Serialize)]
struct Band {
    top: f64,
    height: f64,
}

#[derive(Debug, Serialize)]
struct Dot {
    x: f64,
    y: f64,
    title: String,
    strong: bool,
}

/// The section for the first of our policies that forecasts, at `price` with the first seed; nothing where none does.
pub(super) fn calibration(suite: &Suite, cells: &Cells, price: u32) -> Option<Calibration> {
    let seed = *suite.seeds.first()?;
    suite.policies.iter().filter(|policy| policy.is_ours()).find_map(|policy| {
        let of = |(index, incident): (usize, &super::super::incident::Incident)| {
            let score = cells.get(index, *policy, seed, price)?.forecast?;
            (score.points > 0).then(|| (incident.name.to_string(), score))
        };
        let scores: Vec<(String, ForecastScore)> = suite.incidents.iter().enumerate().filter_map(of).collect();
        (!scores.is_empty()).then(|| section(*policy, &scores))
    })
}

fn section(policy: Policy, scores: &[(String, ForecastScore)]) -> Calibration {
    let points: u64 = scores.iter().map(|(_, score)| score.points).sum();
    let mean =
        |value: fn(&ForecastScore) -> f64| scores.iter().map(|(_, score)| value(score) * score.points as f64).sum::<f64>() / points as f64;
    let levels = [(0.5, mean(|s| s.coverage50)), (0.9, mean(|s| s.coverage90)), (0.95, mean(|s| s.coverage95))];
    let skill = scores.iter().map(|(_, score)| score.skill).sum::<f64>() / scores.len() as f64;
    Calibration {
        policy,
        incidents: scores.len(),
        pooled: levels
            .iter()
            .map(|(nominal, observed)| Pooled {
                nominal: format!("{:.0} %", nominal * 100.0),
                observed: format!("{:.1} %", observed * 100.0),
            })
            .collect(),
        skill: words::gap(Some(skill)),
        plots: vec![reliability(scores, &levels), coverage(scores), skills(scores)],
    }
}

/// Every incident's coverage of each quantile, and the pooled one, over what was promised.
fn reliability(scores: &[(String, ForecastScore)], levels: &[(f64, f64); 3]) -> Plot {
    let lowest = scores.iter().map(|(_, score)| score.coverage50).fold(0.4, f64::min);
    let values = Scale { from: lowest - 0.02, to: 1.0, start: BOTTOM, end: TOP };
    let columns = Scale { from: 0.4, to: 1.0, start: LEFT, end: RIGHT };
    let dot = |nominal: f64, observed: f64, who: &str, strong| Dot {
        x: columns.at(nominal),
        y: values.at(observed),
        title: format!("{who}: {:.1} % below the {:.0} % quantile", observed * 100.0, nominal * 100.0),
        strong,
    };
    let each = scores
        .iter()
        .flat_map(|(name, s)| [(0.5, s.coverage50), (0.9, s.coverage90), (0.95, s.coverage95)].map(|(n, o)| dot(n, o, name, false)));
    let pooled = levels.iter().map(|(nominal, observed)| dot(*nominal, *observed, "all", true));
    let from = 0.4f64.max(values.from);
    let rule = format!("M{} {}L{} {}", columns.at(from), values.at(from), columns.at(1.0), values.at(1.0));
    let ticks = columns.ticks(&[0.5, 0.9, 0.95], 10.0, |v| v, |v| format!("{:.0}", v * 100.0));
    plot("What was promised and what came", "quantile, %", &values, ticks, None, rule, each.chain(pooled).collect())
}

/// Coverage of the 90 % quantile, incident by incident, lowest first.
fn coverage(scores: &[(String, ForecastScore)]) -> Plot {
    let lowest = scores.iter().map(|(_, score)| score.coverage90).fold(LEAST, f64::min);
    let values = Scale { from: lowest - 0.02, to: 1.0, start: BOTTOM, end: TOP };
    let band = Band { top: values.at(WANTED.1), height: values.at(WANTED.0) - values.at(WANTED.1) };
    let rule = format!("M{LEFT} {}H{RIGHT}", values.at(LEAST));
    let title = |name: &str, value: f64| format!("{name}: {:.1} % below the 90 % quantile", value * 100.0);
    let dots = dots(scores, &values, |score| score.coverage90, title);
    plot("Coverage of the 90 % quantile", "incidents, lowest first", &values, Vec::new(), Some(band), rule, dots)
}

/// Skill, incident by incident, lowest first.
fn skills(scores: &[(String, ForecastScore)]) -> Plot {
    let lowest = scores.iter().map(|(_, score)| score.skill).fold(-0.1, f64::min).max(-1.0);
    let highest = scores.iter().map(|(_, score)| score.skill).fold(0.4, f64::max);
    let values = Scale { from: lowest, to: highest, start: BOTTOM, end: TOP };
    let rule = format!("M{LEFT} {}H{RIGHT}", values.at(0.0));
    let dots = dots(scores, &values, |score| score.skill, |name, value| format!("{name}: {}", words::gap(Some(value))));
    plot("Skill over the best naive forecast", "incidents, lowest first", &values, Vec::new(), None, rule, dots)
}

fn dots(
    scores: &[(String, ForecastScore)],
    values: &Scale,
    of: fn(&ForecastScore) -> f64,
    title: impl Fn(&str, f64) -> String,
) -> Vec<Dot> {
    let mut sorted: Vec<(f64, &str)> = scores.iter().map(|(name, score)| (of(score), name.as_str())).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    let columns = Scale { from: -1.0, to: sorted.len() as f64, start: LEFT, end: RIGHT };
    let dot = |(place, (value, name)): (usize, &(f64, &str))| Dot {
        x: columns.at(place as f64),
        y: values.at(*value),
        title: title(name, *value),
        strong: false,
    };
    sorted.iter().enumerate().map(dot).collect()
}

fn plot(
    title: &'static str,
    axis: &'static str,
    values: &Scale,
    columns: Vec<Tick>,
    band: Option<Band>,
    rule: String,
    dots: Vec<Dot>,
) -> Plot {
    let shares: Vec<f64> = (-10..=10).map(|tenth| f64::from(tenth) / 10.0).collect();
    Plot {
        title,
        axis,
        width: WIDTH,
        height: HEIGHT,
        left: LEFT,
        right: RIGHT,
        bottom: BOTTOM,
        axis_x: f64::midpoint(LEFT, RIGHT),
        axis_y: HEIGHT - 6.0,
        center: BOTTOM + 16.0,
        values: values.ticks(&shares, 18.0, |v| v, |v| words::percent(Some(v)).replace(".00", "").replace(".0", "").replace('-', "−")),
        columns,
        band,
        rule,
        dots,
    }
}
