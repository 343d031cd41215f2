//! An ensemble at one instant, looking ahead.

use super::ensemble::{Ensemble, Forecast, HORIZONS, Lesson, PARTS, Weights};
use super::lags::{Origin, Past, Samples};
use super::model::{ModelKind, Standing};
use super::shift::last_shift;
use crate::domain::outlook::LEVELS;

/// Log demand off the reference that a regression may forecast: what is a factor of twenty away was never learned.
const FARTHEST: f64 = 3.0;

/// Where the followers stand, by kind.
pub(super) type Standings = [Option<Standing>; ModelKind::ALL.len()];

/// The models at one instant.
pub(super) struct Stand<'a> {
    pub ensemble: &'a Ensemble,
    pub weights: Weights,
    /// Offsets of the quantiles by horizon.
    widths: [[f32; LEVELS.len()]; HORIZONS.len()],
    past: Past<'a>,
    origin: Option<Origin>,
    standings: Standings,
    /// The instant, Unix seconds.
    at: i64,
    /// Seconds that a follower takes a sample to be.
    step: i64,
}

/// The horizon at or below `minutes`, and the share of the way from there to the next.
fn between(minutes: f64) -> (usize, f64) {
    let last = HORIZONS.len() - 2;
    let below = (1..=last).rev().find(|i| f64::from(HORIZONS[*i]) <= minutes).unwrap_or(0);
    let (low, high) = (f64::from(HORIZONS[below]), f64::from(HORIZONS[below + 1]));
    (below, ((minutes - low) / (high - low)).clamp(0.0, 1.0))
}

impl<'a> Stand<'a> {
    /// The models at `at`, seeing `past` and no more of it.
    pub fn new(ensemble: &'a Ensemble, past: Past<'a>, at: i64, standings: Standings, step: i64) -> Self {
        let past = Past { since: shifted_at(ensemble, &past), ..past };
        let widths = ensemble.widths.map(|width| width.offsets());
        Self { ensemble, weights: ensemble.weights(), widths, origin: past.origin(at), past, standings, at, step }
    }

    /// What a regression is shown when it looks `ahead` seconds on.
    pub fn lesson(&self, ahead: i64) -> Option<Lesson> {
        self.origin.as_ref().map(|origin| (self.past.inputs(origin, self.ensemble.shape(), ahead), origin.level()))
    }

    /// Log demand by each part `ahead` seconds on, and by all together.
    pub fn ahead(&self, ahead: i64) -> Forecast {
        self.forecast(ahead, self.lesson(ahead).as_ref())
    }

    /// The same, where the lesson is at hand.
    pub fn forecast(&self, ahead: i64, lesson: Option<&Lesson>) -> Forecast {
        let (below, share) = between(ahead as f64 / 60.0);
        let mut parts = [f32::NAN; PARTS];
        let local = self.at.saturating_add(self.past.shift);
        for model in &self.ensemble.followers {
            if let Some(at) = self.standings[model.kind as usize] {
                parts[model.kind as usize] = model.ahead(at, self.step, local, ahead) as f32;
            }
        }
        if let (Some((inputs, level)), Some(origin)) = (lesson, &self.origin) {
            let of = |horizon: usize| self.ensemble.ridges[horizon].answer(inputs);
            let answer = of(below) * (1.0 - share) + of(below + 1) * share;
            parts[ModelKind::Ridge as usize] = (level + answer.clamp(-FARTHEST, FARTHEST)) as f32;
            for (part, repeat) in parts[ModelKind::ALL.len()..].iter_mut().zip(self.past.repeats(origin, ahead)) {
                *part = repeat.map_or(f32::NAN, |log| log as f32);
            }
        }
        let (mut sum, mut total) = (0.0, 0.0);
        for (part, value) in parts.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let weight = self.weights[below][part] * (1.0 - share) + self.weights[below + 1][part] * share;
            sum += weight * f64::from(*value);
            total += weight;
        }
        Forecast { parts, blend: if total > 0.0 { (sum / total) as f32 } else { f32::NAN } }
    }

    /// Offsets of the quantiles from the blend `ahead` seconds on, in log demand.
    pub fn offsets(&self, ahead: i64) -> [f32; LEVELS.len()] {
        let (below, share) = between(ahead as f64 / 60.0);
        let mut row = self.widths[below];
        for (value, high) in row.iter_mut().zip(self.widths[below + 1]) {
            *value += share as f32 * (high - *value);
        }
        row
    }
}

/// When the level last shifted: off both the shape and the day before, by more than an hour usually brings.
fn shifted_at(ensemble: &Ensemble, past: &Past<'_>) -> i64 {
    let shape = ensemble.shape();
    let usual = f64::from(ensemble.widths[HORIZONS.len() - 1].usual);
    let Samples { start, step, values } = past.grid;
    let end = |index: usize| start.saturating_add(step.saturating_mul(i64::try_from(index).unwrap_or(0)));
    last_shift(&past.grid, usual, |index| {
        let log = ensemble.log(values[index]);
        let rest = log - shape.at(end(index).saturating_add(past.shift - step / 2));
        [rest, past.day_before(end(index)).map_or(rest, |before| log - before)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_horizons_it_is_linear_and_outside_the_nearest_holds() {
        assert_eq!(between(0.0), (0, 0.0));
        assert_eq!(between(10.0), (0, 0.5));
        assert_eq!(between(15.0), (1, 0.0));
        assert_eq!(between(45.0), (2, 0.5));
        assert_eq!(between(90.0), (2, 1.0));
    }
}
