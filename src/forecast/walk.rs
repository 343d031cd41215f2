//! A walk over the past, as ticks would have gone: look ahead, see what comes, learn.

use std::collections::VecDeque;

use super::ensemble::{Ensemble, Forecast, HORIZONS, Lesson};
use super::lags::{Past, Samples};
use super::ridge::Ridge;
use super::score::{P50, P90, Score};
use super::stand::{Stand, Standings};
use super::working::{Grid, Working, offset_at};

/// Samples a level is followed over before it counts, and on each tick: after six hours a gain of 0.05 has forgotten its start.
pub(super) const WARM_UP: usize = 72;
/// Samples between two solutions of the regressions.
const SOLVE_EVERY: usize = 12;

/// Samples in so many minutes, one at least.
pub(super) fn steps(grid: &Grid, minutes: u16) -> usize {
    usize::try_from((i64::from(minutes) * 60 + grid.step / 2) / grid.step).unwrap_or(1).max(1)
}

/// Where forecasts `lead` samples ahead are scored.
pub(super) struct Judge<'a> {
    pub lead: usize,
    pub score: &'a mut Score,
}

/// A look ahead that waits for what it looked at.
struct Open {
    origin: usize,
    looks: [(Forecast, Option<Lesson>); HORIZONS.len()],
    /// The median and 90 % at the judge's lead.
    judged: Option<(f64, f64)>,
}

/// The past as it was known when sample `index` had come.
pub(super) fn past_at(known: &Working, offset: f64, index: usize, shift: i64) -> Past<'_> {
    let upto = |grid| {
        let all = Samples::of(grid);
        Samples { values: &all.values[..all.values.len().min(index + 1)], ..all }
    };
    let fine = known.fine.as_ref().map(Samples::of);
    let hours = (known.grid.step < known.hours.step).then(|| Samples::of(&known.hours));
    Past { offset, fine, grid: upto(&known.grid), habit: upto(&known.habit), hours, shift, since: i64::MIN }
}

/// Where the followers stand after sample `index`, having followed since `from`.
fn begin(ensemble: &Ensemble, known: &Working, from: usize) -> Standings {
    let mut standings = Standings::default();
    for model in &ensemble.followers {
        standings[model.kind as usize] = model.begin(&known.grid, from, &known.zone);
    }
    standings
}

fn follow(ensemble: &Ensemble, standings: &mut Standings, known: &Working, index: usize, shift: i64) {
    for model in &ensemble.followers {
        if let Some(at) = &mut standings[model.kind as usize] {
            model.follow(at, known.grid.values[index], known.grid.middle(index).saturating_add(shift), 1.0);
        }
    }
}

/// Where the followers stand after sample `last`.
pub(super) fn stand_at(ensemble: &Ensemble, known: &Working, last: usize, shift: i64) -> Standings {
    let from = (last + 1).saturating_sub(WARM_UP);
    let mut standings = begin(ensemble, known, from);
    (from..=last).for_each(|index| follow(ensemble, &mut standings, known, index, shift));
    standings
}

/// Walks `ensemble` over the samples of `range`.
pub(super) fn walk(ensemble: &mut Ensemble, known: &Working, range: std::ops::Range<usize>, mut judge: Option<Judge<'_>>) {
    let grid = &known.grid;
    let shift = offset_at(&known.zone, grid.time(range.end.saturating_sub(1)));
    let warm = range.start.saturating_sub(WARM_UP);
    ensemble.set_shifts();
    let mut standings = begin(ensemble, known, warm);
    let ahead = HORIZONS.map(|minutes| steps(grid, minutes));
    let seconds = |steps: usize| grid.step * i64::try_from(steps).unwrap_or(1);
    let longest = ahead.into_iter().chain(judge.as_ref().map(|j| j.lead)).max().unwrap_or(1);
    let mut open: VecDeque<Open> = VecDeque::with_capacity(longest + 1);
    for index in warm..range.end {
        let value = grid.values[index];
        follow(ensemble, &mut standings, known, index, shift);
        if value.is_finite() {
            for waiting in &open {
                let due = ahead.iter().enumerate().filter(|(_, steps)| waiting.origin + **steps == index);
                for (horizon, (forecast, lesson)) in due.map(|(horizon, _)| (horizon, &waiting.looks[horizon])) {
                    ensemble.settle(horizon, forecast, value, lesson.as_ref());
                }
                if let (Some(judge), Some((p50, p90))) = (&mut judge, waiting.judged)
                    && waiting.origin + judge.lead == index
                {
                    judge.score.add(f64::from(value), p50, p90);
                }
            }
        }
        while open.front().is_some_and(|waiting| waiting.origin + longest <= index) {
            open.pop_front();
        }
        if index.is_multiple_of(SOLVE_EVERY) {
            ensemble.ridges.iter_mut().for_each(Ridge::solve);
        }
        if index < range.start || !value.is_finite() {
            continue;
        }
        let stand = Stand::new(ensemble, past_at(known, ensemble.offset, index, shift), grid.time(index), standings, grid.step);
        let judged = judge.as_ref().map(|judge| {
            let lead = seconds(judge.lead);
            let (point, row) = (f64::from(stand.ahead(lead).blend), stand.offsets(lead));
            (ensemble.demand(point + f64::from(row[P50])), ensemble.demand(point + f64::from(row[P90])))
        });
        let looks = ahead.map(|steps| {
            let lesson = stand.lesson(seconds(steps));
            (stand.forecast(seconds(steps), lesson.as_ref()), lesson)
        });
        open.push_back(Open { origin: index, looks, judged: judged.filter(|(p50, _)| p50.is_finite()) });
    }
    ensemble.ridges.iter_mut().for_each(Ridge::solve);
    ensemble.set_shifts();
}

/// Mean absolute miss, in demand, of one follower `ahead` samples on, from every `stride`th origin at or after `from`.
pub(super) fn miss_of(model: &super::model::Model, known: &Working, from: usize, ahead: usize, stride: usize) -> Option<f64> {
    let grid = &known.grid;
    let warm = from.saturating_sub(WARM_UP);
    let mut at = model.begin(grid, warm, &known.zone)?;
    let shift = offset_at(&known.zone, grid.time(grid.values.len().saturating_sub(1)));
    let seconds = grid.step * i64::try_from(ahead).unwrap_or(1);
    let (mut sum, mut count) = (0.0, 0u32);
    for origin in warm..grid.values.len().saturating_sub(ahead) {
        model.follow(&mut at, grid.values[origin], grid.middle(origin).saturating_add(shift), 1.0);
        let seen = grid.values[origin + ahead];
        if origin >= from && (origin - from).is_multiple_of(stride) && seen.is_finite() {
            let forecast = model.demand(model.ahead(at, grid.step, grid.time(origin).saturating_add(shift), seconds));
            sum += (f64::from(seen) - forecast).abs();
            count += 1;
        }
    }
    (count > 0).then(|| sum / f64::from(count))
}
