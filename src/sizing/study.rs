//! Margin and hold chosen by replaying a workload's own past week: "had these settings run last week". Champion and challengers run through the
//! same queue at the same price, settings like an HPA's among them; the cheapest wins and is kept with what it would have come to.
//!
//! Left out: when studies are made (the driver's), and what is done with the choice (`replicas`).

use jiff::Timestamp;
use rayon::prelude::*;

use super::least_cost::CostOfLoad;
use crate::domain::limits::{Bounds, Slo};
use crate::domain::memory::{Tuning, TuningEvidence, TuningRule};
use crate::domain::series::Series;
use crate::forecast::peak::{Peaks, View, Walk, peaks_at, walk};
use crate::service::replay::{ReplaySight, ReplaySpec, STEP_S, replay};
use crate::service::{ServiceSpec, Tally, Worth};

/// How much wider than its usual errors a forecast is taken.
const SPREADS: [f64; 7] = [0.6, 0.8, 1.0, 1.25, 1.6, 2.2, 3.2];
/// How long a need is held after it was last seen, in start-ups.
const HELD_STARTUPS: [f64; 5] = [0.0, 1.0, 2.0, 4.0, 8.0];
/// Utilisations at which a rule that only looks at the present aims.
const UTILISATIONS: [f64; 6] = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
/// How long such a rule waits before it scales down, seconds.
const WINDOWS_S: [u32; 2] = [60, 300];
/// Seconds between two forecasts in a replay.
const FORECAST_STEP_S: u32 = 30;
/// Beyond the start-up the forecast has to cover the time until the next look.
const LOOK_S: u32 = 30;
/// A longer lead is no forecast any more, seconds.
const LONGEST_LEAD_S: u32 = 3600;

/// What a study rests on.
#[derive(Clone, Debug)]
pub struct Past<'a> {
    /// Load by the minute, some days of it, in the unit of the service's capacity.
    pub minutes: &'a Series,
    /// Load by the hour, some weeks.
    pub hours: Option<&'a Series>,
    /// How the workload serves, as far as is known.
    pub service: &'a ServiceSpec,
    /// What is promised, and what a bad minute costs.
    pub slo: Slo,
    /// From launch to ready, seconds.
    pub startup_s: u32,
    /// Replicas it may have.
    pub bounds: Bounds,
}

/// Studies a past. `None` where there is too little of it, or nothing in it.
#[must_use]
pub fn study(past: &Past<'_>, now: Timestamp) -> Option<Tuning> {
    let lead_s = (past.startup_s + LOOK_S).min(LONGEST_LEAD_S);
    let view = View::of_past(past.minutes, past.hours);
    let walk = walk(&view, lead_s, FORECAST_STEP_S)?;
    let price = f64::from(past.slo.bad_minute_cost.max(1));
    let latency_s = past.slo.latency.seconds();
    let cost = CostOfLoad::of(past.service, latency_s, price).tabulated(past.bounds.max);
    let worth = Worth { price, capacity: past.service.capacity, startup_s: f64::from(past.startup_s) };
    let rates = rates(past.minutes, walk.from_s);
    let spec = ReplaySpec {
        service: past.service,
        slo_latency_s: latency_s,
        startup_s: past.startup_s,
        bounds: past.bounds,
        rates: &rates,
        step_s: 60,
        start_replicas: past.bounds.clamp((f64::from(*rates.first()?) / past.service.capacity / 0.7).ceil() as u32),
    };
    let score = |tally: &Tally| worth.objective(tally);
    let mut by_forecast: Vec<Vec<Tally>> = SPREADS
        .par_iter()
        .map(|spread| {
            let needs = needs(&walk, &cost, *spread, past.bounds);
            HELD_STARTUPS.iter().map(|held| replay(&spec, &mut forecast_rule(&needs, hold_s(*held, past.startup_s)))).collect()
        })
        .collect();
    let grid: Vec<Vec<f64>> = by_forecast.iter().map(|row| row.iter().map(score).collect()).collect();
    let (row, column) = calm_minimum(&grid)?;
    let best = by_forecast[row].swap_remove(column);
    let forecast = TuningRule::Forecast { spread: SPREADS[row], hold_s: hold_s(HELD_STARTUPS[column], past.startup_s) };

    let reactive: Vec<(TuningRule, Tally)> = UTILISATIONS
        .par_iter()
        .flat_map_iter(|utilisation| WINDOWS_S.iter().map(|hold_s| (*utilisation, *hold_s)))
        .map(|(utilisation, hold_s)| {
            let rule = TuningRule::Present { utilisation, hold_s };
            (rule, replay(&spec, &mut present_rule(past.service.capacity, utilisation, hold_s)))
        })
        .collect();
    let (present, present_tally) = reactive.into_iter().min_by(|a, b| score(&a.1).total_cmp(&score(&b.1)))?;
    // The challenger has to be better by more than chance would have it.
    let (rule, tally, other) =
        if score(&present_tally) < 0.97 * score(&best) { (present, present_tally, best) } else { (forecast, best, present_tally) };
    Some(Tuning {
        made: now,
        model: walk.model.clone(),
        width: walk.width,
        rule,
        evidence: TuningEvidence {
            days: (rates.len() as f64 / 1440.0).round() as u32,
            bad_share: tally.bad as f64 / (tally.arrived.max(1)) as f64,
            replica_hours: tally.replica_seconds / 3600.0,
            objective: score(&tally),
            other_objective: score(&other),
        },
    })
}

/// Load by the minute from a second on; a gap holds the last.
fn rates(minutes: &Series, from_s: i64) -> Vec<f32> {
    let first = (0..minutes.values.len()).find(|index| minutes.second(*index) > from_s).unwrap_or(minutes.values.len());
    let mut last = minutes.values[..first].iter().rev().copied().find(|v| v.is_finite()).unwrap_or(0.0);
    let held = minutes.values[first..].iter().map(|value| {
        if value.is_finite() {
            last = *value;
        }
        last
    });
    held.collect()
}

/// What least cost would have asked for at each forecast.
fn needs(walk: &Walk, cost: &CostOfLoad<'_>, spread: f64, bounds: Bounds) -> Vec<u32> {
    let mut last = bounds.min;
    let need = |(center, width): &(f32, f32)| {
        if center.is_finite() {
            let peaks: Peaks = peaks_at(f64::from(*center), f64::from(*width) * spread, &walk.model);
            last = cost.replicas(&peaks, bounds);
        }
        last
    };
    walk.forecasts.iter().map(need).collect()
}

fn hold_s(times: f64, startup_s: u32) -> u32 {
    if times == 0.0 { 0 } else { (times * f64::from(startup_s)).max(60.0) as u32 }
}

/// Needs, held for a while, and what the queue shows already.
fn forecast_rule(needs: &[u32], hold_s: u32) -> impl FnMut(&ReplaySight) -> u32 {
    let mut held = Held::new(hold_s);
    move |sight| {
        let need = needs.get((sight.at_s / FORECAST_STEP_S) as usize).or(needs.last()).copied().unwrap_or(sight.desired);
        held.of(sight.at_s, need, sight.desired)
    }
}

/// What the present load needs at a utilisation, held for a while: as an HPA on the load itself.
fn present_rule(capacity: f64, utilisation: f64, hold_s: u32) -> impl FnMut(&ReplaySight) -> u32 {
    let mut held = Held::new(hold_s);
    move |sight| held.of(sight.at_s, (sight.rate / capacity / utilisation).ceil() as u32, sight.desired)
}

/// The largest need of a while.
struct Held {
    hold_s: u32,
    /// Needs that no later one has passed, the largest first.
    needs: std::collections::VecDeque<(u32, u32)>,
}

impl Held {
    fn new(hold_s: u32) -> Self {
        Self { hold_s, needs: std::collections::VecDeque::new() }
    }

    fn of(&mut self, now: u32, need: u32, desired: u32) -> u32 {
        while self.needs.pop_back_if(|(_, earlier)| *earlier <= need).is_some() {}
        self.needs.push_back((now, need));
        while self.needs.pop_front_if(|(at, _)| *at + self.hold_s < now).is_some() {}
        let largest = self.needs.front().map_or(need, |(_, need)| *need);
        need.max(largest.min(desired))
    }
}

/// The least of a grid, each value taken together with its neighbours: a minimum that stands alone is luck.
fn calm_minimum(grid: &[Vec<f64>]) -> Option<(usize, usize)> {
    let value = |row: Option<usize>, column: Option<usize>| grid.get(row?)?.get(column?).copied();
    let calm = |row: usize, column: usize| {
        let around = [
            (value(Some(row), Some(column)), 2.0),
            (value(row.checked_sub(1), Some(column)), 1.0),
            (value(Some(row + 1), Some(column)), 1.0),
            (value(Some(row), column.checked_sub(1)), 0.5),
            (value(Some(row), Some(column + 1)), 0.5),
        ];
        let (sum, weight) = around
            .iter()
            .filter_map(|(value, weight)| Some((value.as_ref()?, weight)))
            .fold((0.0, 0.0), |(s, w), (v, g)| (s + v * g, w + g));
        sum / weight
    };
    let places = grid.iter().enumerate().flat_map(|(row, values)| (0..values.len()).map(move |column| (row, column)));
    places.min_by(|a, b| calm(a.0, a.1).total_cmp(&calm(b.0, b.1)))
}

const _: () = assert!(STEP_S == 15, "the replay looks as often as the reflex does");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::web;

    /// Five days of a daily curve that every tenth minute goes its own way, as a mean over ten minutes.
    fn past(swing: f64) -> Series {
        let raw = |minute: i64| {
            let day = (minute % 1440) as f64 / 1440.0;
            let hash = (minute as u64 / 10).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            let noise = hash as f64 / f64::from(1u32 << 24) - 0.5;
            600.0 * (1.0 - 0.6 * (day * std::f64::consts::TAU).cos()) * (1.0 + swing * noise)
        };
        let mut series = Series::new(Timestamp::from_second(1_772_409_600).unwrap(), 60);
        series.values = (20..5 * 1440).map(|m| ((0..10).map(|back| raw(m - back)).sum::<f64>() / 10.0) as f32).collect();
        series
    }

    fn studied(minutes: &Series, startup_s: u32, bad_minute_cost: u32) -> Tuning {
        let service = web();
        let slo =
            Slo { bad_minute_cost, latency: crate::domain::units::GoDuration(std::time::Duration::from_millis(250)), ..Slo::default() };
        let past = Past { minutes, hours: None, service: &service, slo, startup_s, bounds: Bounds { min: 1, max: 60 } };
        study(&past, minutes.end().unwrap()).unwrap()
    }

    #[test]
    fn a_slow_start_costs_more_and_a_dearer_minute_leaves_less_bad() {
        let minutes = past(0.5);
        let (fast, slow) = (studied(&minutes, 30, 10), studied(&minutes, 420, 10));
        assert!(slow.evidence.objective > fast.evidence.objective, "a slow start costs more");
        let (cheap, dear) = (studied(&minutes, 180, 3), studied(&minutes, 180, 30));
        assert!(dear.evidence.bad_share < cheap.evidence.bad_share, "{:?} {:?}", dear.evidence, cheap.evidence);
        assert!(dear.evidence.replica_hours > cheap.evidence.replica_hours);
        assert_eq!(fast.evidence.days, 4);
    }

    #[test]
    fn what_is_regular_is_forecast() {
        let tuning = studied(&past(0.05), 300, 10);
        assert!(matches!(tuning.rule, TuningRule::Forecast { .. }), "{tuning:?}");
        assert!(tuning.evidence.objective < tuning.evidence.other_objective);
    }

    #[test]
    fn too_short_a_past_gives_nothing() {
        let mut minutes = past(0.1);
        minutes.values.truncate(1440);
        let service = web();
        let past = Past {
            minutes: &minutes,
            hours: None,
            service: &service,
            slo: Slo::default(),
            startup_s: 30,
            bounds: Bounds { min: 1, max: 60 },
        };
        assert!(study(&past, Timestamp::UNIX_EPOCH).is_none());
    }
}
