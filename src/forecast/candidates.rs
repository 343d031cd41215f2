//! The models that compete for a series. Quick ones cost a pass over the past; complete ones are fitted by `augurs` and are counted.

use augurs::ets::model::{ErrorComponent, ModelType, SeasonalComponent, TrendComponent, Unfit};
use augurs::mstl::MSTLModel;
use augurs::{Fit, Predict};

use super::model::{Model, ModelKind, Pace, offset_of};
use super::shape::{Season, Shape, slot_of};
use super::working::{Grid, Working, offset_at};

/// Gains a level may follow with; 1 is the last sample. Of equals the first is taken, so the middle ones come first.
const GAINS: [f64; 5] = [0.35, 0.65, 1.0, 0.15, 0.05];
/// What may be left of a deviation from the usual level after an hour; 1 carries it on, 0.3 forgets it within two.
const KEPT_HOURLY: [f64; 4] = [1.0, 0.9, 0.7, 0.3];
/// Samples of the fine grid that exponential smoothing is fitted on: a day of five minutes.
const SMOOTHING_SAMPLES: usize = 288;
/// Steps of the optimiser: of damped Holt smoothing, which holds the simpler forms, two hundred come within a percent of two thousand.
const SMOOTHING_ITERATIONS: usize = 200;
/// Least hours for a daily shape by loess: `stlrs` needs two seasons, three give it something to smooth.
const LEAST_DAYS: usize = 3;
/// Share of a trend that is kept from one sample to the next at most, as Hyndman and Athanasopoulos (2021, 8.2) bound it.
const MOST_KEPT: f64 = 0.98;
/// Spread of log demand below which there is nothing to smooth.
const LEAST_SPREAD: f64 = 1e-6;

/// Fits every candidate on what is known; `complete` asks for the slow ones too.
pub(super) fn candidates(known: &Working, complete: bool) -> Vec<Model> {
    let offset = offset_of(&known.grid.values);
    let log = |value: f32| (f64::from(value) + offset).ln();
    let base_of = |hours: usize| mean_of(known.hours.values.iter().rev().take(hours).filter(|v| v.is_finite()).map(|v| log(*v)));
    let recent = base_of(24).unwrap_or(0.0);
    let mut models = Vec::new();
    let mut followers = |kind, shape: &Shape, base| {
        for gain in GAINS {
            for keep in KEPT_HOURLY {
                models.push(Model { kind, offset, shape: shape.clone(), pace: Pace::level(gain, keep), base, shift: f64::INFINITY });
            }
        }
    };
    followers(ModelKind::Level, &Shape::default(), recent);
    for (season, at_least) in [(Season::Day, 1), (Season::FineDay, 1), (Season::Week, 2)] {
        let past = [&known.hours, &known.habit].into_iter().find(|past| past.step == season.slot_s());
        let Some(shape) = past.and_then(|past| Shape::of_past(past, season, &known.zone, log, at_least)) else { continue };
        followers(ModelKind::SeasonalNaive, &shape, base_of(season.hours()).unwrap_or(recent));
    }
    if complete {
        if let Some(pace) = smoothing(known, offset, &Shape::default()) {
            models.push(Model { kind: ModelKind::Ets, offset, shape: Shape::default(), pace, base: recent, shift: f64::INFINITY });
        }
        for season in [Season::Day, Season::Week] {
            let Some(shape) = loess_shape(&known.hours, season, known, log) else { continue };
            let Some(pace) = smoothing(known, offset, &shape) else { continue };
            let base = base_of(season.hours()).unwrap_or(recent);
            for keep_hourly in KEPT_HOURLY {
                let pace = Pace { keep_hourly, ..pace };
                models.push(Model { kind: ModelKind::Mstl, offset, shape: shape.clone(), pace, base, shift: f64::INFINITY });
            }
        }
    }
    models
}

fn mean_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), v| (sum + v, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// The seasonal part by MSTL (Bandara, Hyndman and Bergmeir 2021) of the hours. Gaps are bridged by the value of a season before: loess
/// cannot have holes.
fn loess_shape(hours: &Grid, season: Season, known: &Working, log: impl Fn(f32) -> f64) -> Option<Shape> {
    let periods: Vec<usize> = match season {
        Season::Day | Season::FineDay => vec![Season::Day.slots()],
        Season::Week => vec![Season::Day.slots(), Season::Week.slots()],
    };
    let least = match season {
        Season::Day | Season::FineDay => LEAST_DAYS * Season::Day.slots(),
        // `stlrs` refuses a period longer than half the series.
        Season::Week => 2 * Season::Week.slots() + 1,
    };
    let values = filled(hours.values.iter().map(|v| if v.is_finite() { log(*v) } else { f64::NAN }), season.hours())?;
    if values.len() < least {
        return None;
    }
    let fitted = MSTLModel::naive(periods).fit(&values).ok()?;
    let mut slots = vec![None; season.hours()];
    for index in values.len() - season.hours()..values.len() {
        let seasonal: f64 = fitted.fit().seasonal().iter().map(|part| f64::from(part[index])).sum();
        slots[slot_of(hours, index, season, &known.zone)] = Some(seasonal);
    }
    Shape::of_slots(slots)
}

/// The pace that exponential smoothing finds for what a shape leaves over.
fn smoothing(known: &Working, offset: f64, shape: &Shape) -> Option<Pace> {
    let grid = &known.grid;
    let from = grid.values.len().saturating_sub(SMOOTHING_SAMPLES);
    let shift = offset_at(&known.zone, grid.time(grid.values.len().saturating_sub(1)));
    let rest = (from..grid.values.len())
        .map(|i| (f64::from(grid.values[i]).max(0.0) + offset).ln() - shape.at(grid.middle(i) + shift))
        .zip(&grid.values[from..])
        .map(|(rest, value)| if value.is_finite() { rest } else { f64::NAN });
    let rest = filled(rest, 1)?;
    let mean = rest.iter().sum::<f64>() / rest.len() as f64;
    if rest.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (rest.len() as f64) < LEAST_SPREAD {
        return None;
    }
    let kind = ModelType { error: ErrorComponent::Additive, trend: TrendComponent::Additive, season: SeasonalComponent::None };
    let fitted = Unfit::new(kind).damped(true).max_iterations(SMOOTHING_ITERATIONS).fit(&rest).ok()?;
    let inside = fitted.predict_in_sample(None).ok()?.point;
    let future = fitted.predict(3, None).ok()?.point;
    pace_of(&rest, &inside, &future)
}

/// `augurs` does not tell the parameters it found, but its forecasts follow from them: with one-step forecasts `f`, errors `e` and
/// `d_t = f_{t+1} − f_t`, damped Holt smoothing obeys `d_t − φ d_{t−1} = (α + φβ) e_t − φα e_{t−1}`, which is linear once φ is read off the
/// way ahead. Least squares recovers α and β.
fn pace_of(seen: &[f64], inside: &[f64], future: &[f64]) -> Option<Pace> {
    let [first, second, third] = future else { return None };
    let (one, two) = (second - first, third - second);
    let phi = if one.abs() > 1e-9 { (two / one).clamp(0.0, MOST_KEPT) } else { 0.0 };
    let n = seen.len().min(inside.len());
    let (mut xx, mut xy, mut yy, mut xz, mut yz) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for t in 1..n.saturating_sub(1) {
        let z = (inside[t + 1] - inside[t]) - phi * (inside[t] - inside[t - 1]);
        let (x, y) = (seen[t] - inside[t], seen[t - 1] - inside[t - 1]);
        (xx, xy, yy, xz, yz) = (xx + x * x, xy + x * y, yy + y * y, xz + x * z, yz + y * z);
    }
    let pace = if phi > 0.0 {
        let determinant = xx * yy - xy * xy;
        let (a, b) = ((xz * yy - yz * xy) / determinant, (yz * xx - xz * xy) / determinant);
        let alpha = -b / phi;
        Pace { alpha, beta: (a - alpha) / phi, phi, keep_hourly: 1.0 }
    } else {
        Pace::level(xz / xx, 1.0)
    };
    let finite = pace.alpha.is_finite() && pace.beta.is_finite();
    // A level that hardly follows is of no use to an autoscaler: the first shift would leave it behind for hours.
    finite.then(|| Pace { alpha: pace.alpha.clamp(0.05, 1.0), beta: pace.beta.clamp(0.0, pace.alpha.max(0.0)), ..pace })
}

/// Fills gaps with the value a season before (or the last known); `None` when less than half is known.
fn filled(values: impl Iterator<Item = f64>, season: usize) -> Option<Vec<f64>> {
    let mut out: Vec<f64> = values.collect();
    let first_known = out.iter().position(|v| v.is_finite())?;
    out.drain(..first_known);
    let known = out.iter().filter(|v| v.is_finite()).count();
    if known * 2 < out.len() || out.len() < 24 {
        return None;
    }
    for index in 0..out.len() {
        if !out[index].is_finite() {
            out[index] = out[index.checked_sub(season).unwrap_or(index.saturating_sub(1))];
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_that_a_library_found_is_recovered_from_its_forecasts() {
        let truth = Pace { alpha: 0.4, beta: 0.1, phi: 0.9, keep_hourly: 1.0 };
        let (mut level, mut trend) = (5.0, 0.1);
        let (mut seen, mut inside) = (Vec::new(), Vec::new());
        for t in 0..200 {
            let forecast = level + truth.phi * trend;
            let error = f64::from(t % 7) / 7.0 - 0.43;
            inside.push(forecast);
            seen.push(forecast + error);
            level = forecast + truth.alpha * error;
            trend = truth.phi * trend + truth.beta * error;
        }
        let future: Vec<f64> = (1..=3).map(|h| level + (1..=h).map(|i| truth.phi.powi(i)).sum::<f64>() * trend).collect();
        let found = pace_of(&seen, &inside, &future).unwrap();
        for (found, truth) in [(found.alpha, truth.alpha), (found.beta, truth.beta), (found.phi, truth.phi)] {
            assert!((found - truth).abs() < 1e-6, "{found} {truth}");
        }
    }

    #[test]
    fn gaps_are_bridged_and_a_series_of_gaps_is_refused() {
        let mut values = vec![1.0; 48];
        values[30] = f64::NAN;
        values[6] = 4.0;
        assert_eq!(filled(values.clone().into_iter(), 24).unwrap()[30], 4.0);
        assert_eq!(filled(std::iter::repeat_n(f64::NAN, 48), 24), None);
        values[..40].fill(f64::NAN);
        assert_eq!(filled(values.into_iter(), 24), None, "eight hours are no day");
    }
}
