//! The models of one series together: each forecasts, all are weighed by how well they did of late, and the blend has one width.
//!
//! A blend and not the best one: which model is best changes with the hour, and a mean of forecasts whose errors differ errs less than any of
//! them (Bates and Granger 1969). Weights fall steeply with loss, so a model that fails is out within hours, and since repeats of yesterday
//! and last week take part, so is the fear of losing to them.

use super::lags::INPUTS;
use super::model::{Model, ModelKind, OFFSET_SHARE};
use super::ridge::Ridge;
use super::shape::Shape;
use super::width::Width;

/// Minutes ahead at which models are judged and widths kept; between them both are linear, outside them the nearest holds.
pub(super) const HORIZONS: [u16; 4] = [5, 15, 30, 60];
/// What takes part in a blend: one model of each kind, by its place in [`ModelKind::ALL`], then the repeats.
pub(super) const PARTS: usize = ModelKind::ALL.len() + REPEATS.len();
/// What needs no fit: a day, and a week, come again as they were. Their names.
pub(super) const REPEATS: [&str; 2] = ["yesterday", "last-week"];
/// Judgements after which an older one weighs half: eight hours at one in five minutes.
const HALF_LIFE: f64 = 96.0;
/// How sharply weight falls with loss: a model that is off by a fifth more weighs half.
const SHARPNESS: f64 = 4.0;
/// Loss, in means of demand, that one miss counts as at most; also what a model that has no forecast is charged.
const LARGEST_MISS: f64 = 10.0;
/// Log demand off the reference that a regression learns from at most: a factor of twenty is an outage or its end.
const LARGEST_LESSON: f64 = 3.0;
/// Least usual error that a lesson is weighed by.
const LEAST_USUAL: f64 = 1e-3;
/// Share of the blend above which a part is named in it.
const NAMED_SHARE: f64 = 0.2;

/// What was forecast for one instant, as log demand by part; what does not take part is `NaN`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Forecast {
    pub parts: [f32; PARTS],
    pub blend: f32,
}

/// What a regression is shown of an instant, and the log level that its answer is added to.
pub(super) type Lesson = ([f64; INPUTS], f64);

/// The models and what is known of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ensemble {
    /// Added to demand before its logarithm.
    pub offset: f64,
    /// Those that follow a level, at most one of each kind.
    pub followers: Vec<Model>,
    /// The regressions, by horizon.
    pub ridges: [Ridge; HORIZONS.len()],
    /// Mean misses that fade, in means of demand, by horizon and part.
    pub losses: [[f32; PARTS]; HORIZONS.len()],
    /// What the blend has been off by.
    pub widths: [Width; HORIZONS.len()],
    /// The kind a group names, which then stands alone.
    pub named: Option<ModelKind>,
}

/// Weights by horizon and part; each row sums up to one, or to nothing where nothing takes part.
pub(super) type Weights = [[f64; PARTS]; HORIZONS.len()];

impl Ensemble {
    /// Models of which nothing is known yet.
    pub fn new(offset: f64, followers: Vec<Model>, named: Option<ModelKind>) -> Self {
        Self {
            offset,
            followers,
            ridges: [Ridge::default(); HORIZONS.len()],
            losses: [[0.0; PARTS]; HORIZONS.len()],
            widths: [Width::default(); HORIZONS.len()],
            named,
        }
    }

    /// Log demand.
    pub fn log(&self, value: f32) -> f64 {
        (f64::from(value).max(0.0) + self.offset).ln()
    }

    /// Demand of a log.
    pub fn demand(&self, log: f64) -> f64 {
        // Beyond e^80 there is no demand; the bound keeps sums finite.
        (log.min(80.0).exp() - self.offset).max(0.0)
    }

    /// The shape that regressions are given.
    pub fn shape(&self) -> &Shape {
        static FLAT: Shape = Shape { values: Vec::new() };
        let of = |kind: ModelKind| self.followers.iter().find(|m| m.kind == kind).map(|m| &m.shape);
        of(ModelKind::SeasonalNaive).or_else(|| of(ModelKind::Mstl)).unwrap_or(&FLAT)
    }

    /// Tells the followers which surprise means that the level has shifted: far beyond what all but one in ten are off by, since most spikes
    /// come back.
    pub fn set_shifts(&mut self) {
        let row = self.widths[0].offsets();
        let usual = f64::from(row[row.len() - 2].max(-row[0]));
        for model in &mut self.followers {
            model.shift = (SHIFT_FACTOR * usual).max(LEAST_SHIFT);
        }
    }

    /// How much each part counts. A kind that is named stands alone, where it takes part at all.
    pub fn weights(&self) -> Weights {
        let fitted = |kind: ModelKind| kind == ModelKind::Ridge || self.followers.iter().any(|m| m.kind == kind);
        let named = self.named.filter(|kind| fitted(*kind));
        let takes_part = |part: usize| match ModelKind::ALL.get(part) {
            Some(kind) => fitted(*kind) && named.is_none_or(|named| named == *kind),
            None => named.is_none(),
        };
        let present: [bool; PARTS] = std::array::from_fn(takes_part);
        self.losses.map(|losses| {
            let best = (0..PARTS).filter(|part| present[*part]).map(|part| losses[part]).fold(f32::INFINITY, f32::min);
            let weight = |part: usize| f64::from((best + f32::EPSILON) / (losses[part] + f32::EPSILON)).powf(SHARPNESS);
            let row: [f64; PARTS] = std::array::from_fn(|part| if present[part] { weight(part) } else { 0.0 });
            let sum: f64 = row.iter().sum();
            row.map(|w| if sum > 0.0 { w / sum } else { 0.0 })
        })
    }

    /// The names of what counts most in the near future, heaviest first.
    pub fn name(weights: &Weights) -> String {
        let mut shares: Vec<(f64, &str)> = (0..PARTS).map(|part| (weights[1][part], part_name(part))).collect();
        shares.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let names: Vec<&str> = shares.iter().take_while(|s| s.0 >= NAMED_SHARE).map(|s| s.1).collect();
        if names.is_empty() { shares.first().map_or("level", |s| s.1).to_owned() } else { names.join("+") }
    }

    /// Learns from what came: how far each part was off, how far the blend was, and what a regression should have said.
    pub fn settle(&mut self, horizon: usize, forecast: &Forecast, seen: f32, lesson: Option<&Lesson>) {
        let seen_log = self.log(seen);
        let typical = self.offset / OFFSET_SHARE;
        let gain = 1.0 - 0.5f64.powf(1.0 / HALF_LIFE);
        for (loss, part) in self.losses[horizon].iter_mut().zip(forecast.parts) {
            let miss = (f64::from(part).min(80.0).exp() - seen_log.exp()).abs() / typical;
            let miss = if miss.is_finite() { miss.min(LARGEST_MISS) } else { LARGEST_MISS };
            *loss += (gain * (miss - f64::from(*loss))) as f32;
        }
        // Large misses teach in proportion to their size and not its square (Huber 1964): spikes would else drown all that is regular.
        let usual = f64::from(self.widths[horizon].present).max(LEAST_USUAL);
        let missed = (seen_log - f64::from(forecast.parts[ModelKind::Ridge as usize])).abs();
        let weight = if missed.is_finite() { usual / missed.max(usual) } else { 1.0 };
        self.widths[horizon].learn(seen_log - f64::from(forecast.blend));
        if let Some((inputs, level)) = lesson {
            let truth = (seen_log - level).clamp(-LARGEST_LESSON, LARGEST_LESSON);
            self.ridges[horizon].learn(inputs, truth, weight);
        }
    }
}

/// A shift is so many times what all but one in ten are off by.
const SHIFT_FACTOR: f64 = 4.0;
/// Least change of log demand that counts as a shift of level: a tenth.
const LEAST_SHIFT: f64 = 0.1;

fn part_name(part: usize) -> &'static str {
    match ModelKind::ALL.get(part) {
        Some(kind) => kind.name(),
        None => REPEATS[(part - ModelKind::ALL.len()).min(REPEATS.len() - 1)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(ridge: f32, yesterday: f32) -> Forecast {
        let mut parts = [f32::NAN; PARTS];
        parts[ModelKind::Ridge as usize] = ridge;
        parts[PARTS - 2] = yesterday;
        Forecast { parts, blend: ridge }
    }

    #[test]
    fn weight_goes_to_what_does_well_and_comes_back() {
        let mut ensemble = Ensemble::new(10.0, Vec::new(), None);
        let right = ensemble.log(100.0) as f32;
        let share = |ensemble: &Ensemble| ensemble.weights()[0][PARTS - 2];
        let even = share(&ensemble);
        (0..100).for_each(|_| ensemble.settle(0, &forecast(right + 0.5, right + 0.05), 100.0, None));
        assert!(share(&ensemble) > 0.95 && share(&ensemble) > even, "{}", share(&ensemble));
        assert_eq!(Ensemble::name(&[ensemble.weights()[0]; HORIZONS.len()]), "yesterday");
        (0..300).for_each(|_| ensemble.settle(0, &forecast(right, right + 0.5), 100.0, None));
        assert!(share(&ensemble) < 0.2, "{}", share(&ensemble));
    }

    #[test]
    fn what_has_no_forecast_loses_its_weight() {
        let mut ensemble = Ensemble::new(10.0, Vec::new(), None);
        let right = ensemble.log(100.0) as f32;
        (0..100).for_each(|_| ensemble.settle(0, &forecast(right + 0.3, f32::NAN), 100.0, None));
        assert!(ensemble.weights()[0][ModelKind::Ridge as usize] > 0.99, "{:?}", ensemble.weights()[0]);
    }

    #[test]
    fn a_named_kind_stands_alone_where_it_is_fitted() {
        let alone = Ensemble::new(1.0, Vec::new(), Some(ModelKind::Ridge)).weights();
        assert_eq!(alone[2][ModelKind::Ridge as usize], 1.0);
        let unfitted = Ensemble::new(1.0, Vec::new(), Some(ModelKind::Mstl)).weights();
        assert!(unfitted[2][ModelKind::Ridge as usize] > 0.3, "a name that cannot be had leaves the blend");
    }
}
