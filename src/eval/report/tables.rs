//! The tables of one price: the league with its intervals drawn, every class and kind, and the worst incidents.

use serde::Serialize;

use super::super::bootstrap::Interval;
use super::super::policy::Policy;
use super::super::score::{GOAL_PRICES, League, Scope, Scores, Standing, Worst, worst};
use super::super::suite::Suite;
use super::super::words;
use super::geometry::Scale;
use super::key::{Key, key};
use super::pareto::{Pareto, pareto};

/// Width of the drawn intervals.
const WHISKER: f64 = 220.0;
/// Nothing is drawn beyond these shares of the gap.
const FARTHEST: (f64, f64) = (-1.5, 1.6);
/// The worst incidents that are listed.
const WORST: usize = 8;

/// Everything that is shown of one price.
#[derive(Debug, Serialize)]
pub(super) struct PriceView {
    pub(super) price: u32,
    shown: bool,
    goal: bool,
    incidents: usize,
    left_out: usize,
    /// Where 0 and 1 are drawn in the intervals.
    zero: f64,
    one: f64,
    whisker: f64,
    league: Vec<LeagueLine>,
    pareto: Option<Pareto>,
    columns: Vec<Key>,
    groups: Vec<GroupLine>,
    worst: Vec<WorstTable>,
}

/// What is said first: how our policies do.
#[derive(Debug, Serialize)]
pub(super) struct Headline {
    key: Key,
    price: u32,
    goal: bool,
    gap: String,
    interval: String,
    bad: String,
    tuned_bad: String,
    cost: String,
    tuned_cost: String,
}

#[derive(Debug, Serialize)]
struct LeagueLine {
    key: Key,
    gap: String,
    interval: String,
    from: Option<f64>,
    width: Option<f64>,
    at: Option<f64>,
    to_oracle: String,
    bad: String,
    cost: String,
    failed: usize,
    incidents: usize,
    wall: String,
}

#[derive(Debug, Serialize)]
struct GroupLine {
    kind: String,
    class: &'static str,
    incidents: usize,
    whole: bool,
    cells: Vec<GroupCell>,
}

#[derive(Debug, Serialize)]
struct GroupCell {
    gap: String,
    interval: String,
    /// How strongly the cell is washed, percent, and with which colour.
    wash: u32,
    tone: &'static str,
}

#[derive(Debug, Serialize)]
struct WorstTable {
    key: Key,
    lines: Vec<WorstLine>,
}

#[derive(Debug, Serialize)]
struct WorstLine {
    incident: String,
    number: usize,
    gap: String,
    reason: String,
}

/// What is shown of `price`; `shown` is the price that the page opens with.
pub(super) fn price(suite: &Suite, scores: &Scores, price: u32, shown: u32) -> PriceView {
    let league = scores.overall(price);
    let standings = league.map(|league| by_gap(&league.standings)).unwrap_or_default();
    let lowest = standings.iter().filter_map(|s| s.interval.map(|i| i.low).or(s.gap_closed)).fold(-0.2, f64::min).max(FARTHEST.0);
    let highest = standings.iter().filter_map(|s| s.interval.map(|i| i.high).or(s.gap_closed)).fold(1.1, f64::max).min(FARTHEST.1);
    let scale = Scale { from: lowest - 0.05, to: highest + 0.05, start: 6.0, end: WHISKER - 6.0 };
    let columns: Vec<Policy> = suite.policies.iter().copied().filter(|p| !matches!(p, Policy::HpaTuned | Policy::OracleRate)).collect();
    let groups = scores.leagues.iter().filter(|league| league.scope.price == price);
    let of_price = scores.cases.iter().filter(|case| case.price == price);
    PriceView {
        price,
        shown: price == shown,
        goal: GOAL_PRICES.contains(&price),
        incidents: league.map_or(0, |league| league.incidents),
        left_out: of_price.filter(|case| !case.is_scored()).count(),
        zero: scale.at(0.0),
        one: scale.at(1.0),
        whisker: WHISKER,
        league: standings.iter().map(|standing| line(standing, &scale, wall(scores, standing.policy, price))).collect(),
        pareto: league.and_then(pareto),
        groups: groups.map(|league| group(league, &columns)).collect(),
        columns: columns.into_iter().map(key).collect(),
        worst: suite.policies.iter().filter(|policy| policy.is_ours()).map(|policy| worst_of(suite, scores, *policy, price)).collect(),
    }
}

/// The headline of each of our policies at each price.
pub(super) fn headlines(suite: &Suite, scores: &Scores) -> Vec<Headline> {
    let leagues = suite.prices.iter().filter_map(|price| Some((*price, scores.overall(*price)?)));
    let of = |(price, league): (u32, &League)| {
        let tuned = league.standings.iter().find(|standing| standing.policy == Policy::HpaTuned);
        let tuned_bad = words::percent(tuned.and_then(|tuned| tuned.bad_fraction));
        let tuned_cost = words::times(tuned.and_then(|tuned| tuned.cost_over_oracle));
        let headline = |own: &Standing| Headline {
            key: key(own.policy),
            price,
            goal: GOAL_PRICES.contains(&price),
            gap: words::gap(own.gap_closed),
            interval: words::interval(own.interval),
            bad: words::percent(own.bad_fraction),
            tuned_bad: tuned_bad.clone(),
            cost: words::times(own.cost_over_oracle),
            tuned_cost: tuned_cost.clone(),
        };
        league.standings.iter().filter(|standing| standing.policy.is_ours()).map(headline).collect::<Vec<_>>()
    };
    leagues.flat_map(of).collect()
}

/// Largest share first; those without one last, in their own order.
fn by_gap(standings: &[Standing]) -> Vec<Standing> {
    let mut sorted = standings.to_vec();
    let rank = |standing: &Standing| standing.gap_closed.unwrap_or(f64::NEG_INFINITY);
    sorted.sort_by(|a, b| rank(b).total_cmp(&rank(a)).then(a.policy.cmp(&b.policy)));
    sorted
}

fn line(standing: &Standing, scale: &Scale, wall: String) -> LeagueLine {
    let from = standing.interval.map(|interval| scale.at(interval.low));
    LeagueLine {
        key: key(standing.policy),
        gap: words::gap(standing.gap_closed),
        interval: words::interval(standing.interval),
        from,
        width: standing.interval.zip(from).map(|(Interval { high, .. }, from)| super::geometry::tenth((scale.at(high) - from).max(1.0))),
        at: standing.gap_closed.map(|gap| scale.at(gap)),
        to_oracle: words::gap(standing.gap_closed_to_oracle),
        bad: words::percent(standing.bad_fraction),
        cost: words::times(standing.cost_over_oracle),
        failed: standing.failed,
        incidents: standing.incidents,
        wall,
    }
}

/// Mean seconds a cell took.
fn wall(scores: &Scores, policy: Policy, price: u32) -> String {
    let (sum, count) = scores
        .rows
        .iter()
        .filter(|row| row.policy == policy && row.price == price)
        .fold((0.0, 0u32), |(sum, n), row| (sum + row.wall_s, n + 1));
    if count == 0 { words::UNKNOWN.to_owned() } else { format!("{:.2} s", sum / f64::from(count)) }
}

fn group(league: &League, columns: &[Policy]) -> GroupLine {
    let Scope { kind, class, .. } = &league.scope;
    let cell = |policy: &Policy| {
        let standing = league.standings.iter().find(|standing| standing.policy == *policy);
        let gap = standing.and_then(|standing| standing.gap_closed);
        let strength = gap.unwrap_or(0.0);
        GroupCell {
            gap: words::gap(gap),
            interval: words::interval(standing.and_then(|standing| standing.interval)),
            wash: (strength.abs().min(1.0) * 30.0).round() as u32,
            tone: if strength < 0.0 { "tone-bad" } else { "tone-ipa" },
        }
    };
    GroupLine {
        kind: kind.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string),
        class: class.map_or("all", |class| class.title()),
        incidents: league.incidents,
        whole: class.is_none(),
        cells: columns.iter().map(cell).collect(),
    }
}

fn worst_of(suite: &Suite, scores: &Scores, policy: Policy, price: u32) -> WorstTable {
    let line = |Worst { incident, gap_closed, reason, .. }: Worst| WorstLine {
        number: suite.incidents.iter().position(|known| known.name == incident).unwrap_or_default(),
        incident: incident.to_string(),
        gap: words::gap(Some(gap_closed)),
        reason,
    };
    WorstTable { key: key(policy), lines: worst(suite, &scores.cases, policy, price, WORST).into_iter().map(line).collect() }
}
