//! Cost over the oracle against the share of bad requests, one point a policy: who is lower left of another beats it on both.

use serde::Serialize;

use super::super::score::League;
use super::super::words;
use super::geometry::{Scale, Tick};
use super::key::{Key, key};

const WIDTH: f64 = 680.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 664.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 332.0;
/// Width of a letter and height of a line of the labels.
const LETTER: f64 = 7.0;
const LINE: f64 = 15.0;
/// Half the size of a point, and some air.
const POINT: f64 = 9.0;

/// Shares of about this are where the scale turns from linear to logarithmic.
const LINEAR_BELOW: f64 = 0.0005;

/// The plot of one price.
#[derive(Debug, Serialize)]
pub(super) struct Pareto {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    middle: f64,
    center: f64,
    costs: Vec<Tick>,
    shares: Vec<Tick>,
    points: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Point {
    key: Key,
    x: f64,
    y: f64,
    label_x: f64,
    label_y: f64,
    anchor: &'static str,
    /// The label stands so far off that a line leads to it.
    far: bool,
    title: String,
}

/// A rectangle that is taken: left, top, right, bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Taken(f64, f64, f64, f64);

/// The plot of a league; nothing where no policy has both numbers.
pub(super) fn pareto(league: &League) -> Option<Pareto> {
    let both = league.standings.iter().filter_map(|standing| Some((standing, standing.cost_over_oracle?, standing.bad_fraction?)));
    let both: Vec<_> = both.filter(|(_, cost, _)| *cost > 0.0).collect();
    let least = both.iter().map(|(_, cost, _)| *cost).fold(f64::INFINITY, f64::min);
    let most = both.iter().map(|(_, cost, _)| *cost).fold(0.0, f64::max);
    let worst = both.iter().map(|(_, _, bad)| *bad).fold(0.001, f64::max);
    if both.is_empty() {
        return None;
    }
    // Costs by their logarithm, since they are ratios.
    let costs = Scale { from: (least * 0.97).ln(), to: (most * 1.06).ln(), start: LEFT, end: RIGHT };
    let shares = Scale { from: 0.0, to: spread(worst * 1.3), start: BOTTOM, end: TOP };
    let places: Vec<(f64, f64)> = both.iter().map(|(_, cost, bad)| (costs.at(cost.ln()), shares.at(spread(*bad)))).collect();
    let mut taken: Vec<Taken> = places.iter().map(|(x, y)| Taken(x - POINT, y - POINT, x + POINT, y + POINT)).collect();
    let points = both.iter().zip(&places).map(|((standing, cost, bad), (x, y))| {
        let (label_x, label_y, anchor) = label(*x, *y, standing.policy.name(), &mut taken);
        let far = anchor != "middle" && (label_y - y).abs() > 1.0;
        let title = format!("{}: cost {}, bad {}", standing.policy, words::times(Some(*cost)), words::percent(Some(*bad)));
        Point { key: key(standing.policy), x: *x, y: *y, label_x, label_y, anchor, far, title }
    });
    let points = points.collect();
    let cost_values = [0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 50.0, 100.0];
    let share_values = [0.0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
    Some(Pareto {
        width: WIDTH,
        height: HEIGHT,
        left: LEFT,
        right: RIGHT,
        top: TOP,
        bottom: BOTTOM,
        middle: f64::midpoint(TOP, BOTTOM),
        center: f64::midpoint(LEFT, RIGHT),
        costs: costs.ticks(&cost_values, 42.0, f64::ln, |value| format!("{value}×")),
        shares: shares.ticks(&share_values, 20.0, spread, |value| format!("{} %", (value * 1e6).round() / 1e4)),
        points,
    })
}

/// Shares by their logarithm, but for those near 0, which keep their place: 0.1 % and 1 % are told apart, and so are 1 % and 10 %.
fn spread(share: f64) -> f64 {
    (share / LINEAR_BELOW).asinh()
}

/// Where a label has room: right of its point, left, above, below, and then further away; the first that meets nothing taken.
fn label(x: f64, y: f64, text: &str, taken: &mut Vec<Taken>) -> (f64, f64, &'static str) {
    let width = LETTER * text.chars().count() as f64;
    let beside = |dy: f64| [(POINT + 3.0, dy, "start"), (-POINT - 3.0, dy, "end")];
    let over = [(0.0, -LINE, "middle"), (0.0, LINE, "middle")];
    let further = (1..=6).map(|line| (f64::from(line) + 0.6) * LINE).flat_map(|dy| [-dy, dy]).flat_map(beside);
    let mut places = beside(0.0).into_iter().chain(over).chain(further).map(|(dx, dy, anchor)| {
        let from = match anchor {
            "start" => x + dx,
            "end" => x + dx - width,
            _ => x + dx - width / 2.0,
        };
        (x + dx, y + dy, anchor, Taken(from, y + dy - LINE / 2.0, from + width, y + dy + LINE / 2.0))
    });
    let free = |place: &Taken| {
        let inside = place.0 >= LEFT && place.2 <= WIDTH && place.1 >= 0.0 && place.3 <= BOTTOM;
        inside && !taken.iter().any(|other| place.0 < other.2 && other.0 < place.2 && place.1 < other.3 && other.1 < place.3)
    };
    match places.find(|(_, _, _, place)| free(place)) {
        Some((label_x, label_y, anchor, place)) => {
            taken.push(place);
            (label_x, label_y, anchor)
        }
        None => (x + POINT + 3.0, y, "start"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_points_that_lie_together_do_not_overlap() {
        let points = [(300.0, 200.0), (302.0, 203.0), (305.0, 199.0), (299.0, 205.0), (655.0, 20.0)];
        let mut taken: Vec<Taken> = points.iter().map(|(x, y)| Taken(x - POINT, y - POINT, x + POINT, y + POINT)).collect();
        for (x, y) in points {
            label(x, y, "hpa-hindsight", &mut taken);
        }
        let labels = &taken[points.len()..];
        assert_eq!(labels.len(), points.len(), "each found room");
        for (index, a) in labels.iter().enumerate() {
            assert!(a.0 >= LEFT && a.2 <= WIDTH);
            assert!(labels[..index].iter().all(|b| a.0 >= b.2 || b.0 >= a.2 || a.1 >= b.3 || b.1 >= a.3), "{labels:?}");
        }
    }
}
