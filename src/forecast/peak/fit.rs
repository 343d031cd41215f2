//! The regression walked through a past: at each moment fitted on what was known then, so that its errors are those it would have made.

use super::features::{FEATURES, View};
use super::{LEAST_WIDTH, QUANTILES, WIDTH_GAIN};
use crate::domain::memory::PeakModel;

/// Seconds between two moments that the regression learns from.
const LEARNED_EVERY_S: i64 = 120;
/// Seconds between two fits.
const FITTED_EVERY_S: i64 = 6 * 3600;
/// After so long half of what was learned counts, seconds.
const HALF_LIFE_S: f64 = 7.0 * 86_400.0;
/// What is known before the first fit, seconds.
pub(crate) const WARM_UP_S: i64 = 86_400;
/// Ridge: as if each weight had been seen to be zero so many times.
const RIDGE: f64 = 0.3;
/// Share of the mean load that is added before logarithms.
const OFFSET_SHARE: f64 = 0.01;

/// What the walk through a past gives.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The model at the end.
    pub model: PeakModel,
    /// Size of errors at the end, in log load.
    pub width: f32,
    /// Second of the first step.
    pub from_s: i64,
    /// Seconds of a step.
    pub step_s: i64,
    /// For each step what would have been forecast: centre in log load, and size of errors; `NaN` where nothing was known.
    pub forecasts: Vec<(f32, f32)>,
}

/// Walks through a past by the minute, from a day after its beginning in steps of `step_s`. `None` with less than two days of it.
#[must_use]
pub fn walk(view: &View, lead_s: u32, step_s: u32) -> Option<Walk> {
    let (begin, end) = (view.fine().begin_s(), view.fine().end_s());
    let (lead, step) = (i64::from(lead_s), i64::from(step_s.max(1)));
    let from_s = begin + WARM_UP_S;
    if end - from_s < WARM_UP_S {
        return None;
    }
    let offset = (OFFSET_SHARE * view.fine().mean(begin, end)?).max(1e-6);
    let mut learner = Learner::default();
    let mut weights = vec![0.0f32; FEATURES];
    let mut taught_until = begin + 3600;
    let mut fit_next = from_s;
    let mut width = 5.0 * LEAST_WIDTH;
    let mut open: std::collections::VecDeque<(i64, f32)> = std::collections::VecDeque::new();
    let mut errors = Vec::new();
    let mut forecasts = Vec::with_capacity(usize::try_from((end - from_s) / step).unwrap_or(0));
    let mut now = from_s;
    while now < end {
        if now >= fit_next {
            while taught_until + lead + 60 <= now {
                learner.learn(view, taught_until, lead, offset);
                taught_until += LEARNED_EVERY_S;
            }
            weights = learner.solve();
            fit_next = now + FITTED_EVERY_S;
        }
        while let Some((made, forecast)) = open.front().copied() {
            if made + lead + 60 > now {
                break;
            }
            open.pop_front();
            if let Some(peak) = view.fine().peak(made, lead) {
                let error: f32 = (peak + offset).ln() as f32 - forecast;
                errors.push(error / width.max(LEAST_WIDTH));
                width += WIDTH_GAIN * (error.abs() - width);
            }
        }
        let center = view.features(now, lead, offset).map(|seen| (seen.ahead(&weights) + offset).ln() as f32);
        if let Some(center) = center.filter(|_| (now - from_s) % LEARNED_EVERY_S < step) {
            open.push_back((now, center));
        }
        forecasts.push((center.unwrap_or(f32::NAN), width.max(LEAST_WIDTH)));
        now += step;
    }
    let model = PeakModel { lead_s, offset, weights, errors: quantiles(errors) };
    Some(Walk { model, width, from_s, step_s: step, forecasts })
}

/// The errors' quantiles; those of a wide normal distribution where there are too few.
fn quantiles(mut errors: Vec<f32>) -> Vec<f32> {
    if errors.len() < 10 * QUANTILES {
        return [-2.2, -1.4, -1.0, -0.7, -0.4, -0.1, 0.1, 0.4, 0.7, 1.0, 1.4, 2.2].to_vec();
    }
    errors.sort_by(f32::total_cmp);
    let at = |quantile: usize| errors[(2 * quantile + 1) * (errors.len() - 1) / (2 * QUANTILES)];
    (0..QUANTILES).map(at).collect()
}

/// Normal equations, in which the past fades.
#[derive(Clone, Debug)]
struct Learner {
    products: Vec<[f64; FEATURES]>,
    answers: [f64; FEATURES],
}

impl Default for Learner {
    fn default() -> Self {
        Self { products: vec![[0.0; FEATURES]; FEATURES], answers: [0.0; FEATURES] }
    }
}

impl Learner {
    fn learn(&mut self, view: &View, moment: i64, lead: i64, offset: f64) {
        let (Some(seen), Some(peak)) = (view.features(moment, lead, offset), view.fine().peak(moment, lead)) else { return };
        let answer = ((peak - seen.level) / seen.scale).clamp(-3.0, 3.0);
        let fade = (-std::f64::consts::LN_2 * LEARNED_EVERY_S as f64 / HALF_LIFE_S).exp();
        for (row, value) in self.products.iter_mut().zip(seen.values) {
            for (product, other) in row.iter_mut().zip(seen.values) {
                *product = *product * fade + value * other;
            }
        }
        for (sum, value) in self.answers.iter_mut().zip(seen.values) {
            *sum = *sum * fade + value * answer;
        }
    }

    /// The weights, by Gaussian elimination with pivots; a direction that was never seen gets none.
    fn solve(&self) -> Vec<f32> {
        let mut left = self.products.clone();
        let mut right = self.answers;
        for (index, row) in left.iter_mut().enumerate() {
            row[index] += RIDGE;
        }
        for column in 0..FEATURES {
            let pivot = (column..FEATURES).max_by(|a, b| left[*a][column].abs().total_cmp(&left[*b][column].abs())).unwrap_or(column);
            left.swap(column, pivot);
            right.swap(column, pivot);
            let (of_pivot, pivot_answer) = (left[column], right[column]);
            if of_pivot[column].abs() < 1e-12 {
                continue;
            }
            for row in (0..FEATURES).filter(|row| *row != column) {
                let factor = left[row][column] / of_pivot[column];
                if factor != 0.0 {
                    for (value, other) in left[row].iter_mut().zip(of_pivot) {
                        *value -= factor * other;
                    }
                    right[row] -= factor * pivot_answer;
                }
            }
        }
        let weight = |index: usize| if left[index][index].abs() < 1e-12 { 0.0 } else { (right[index] / left[index][index]) as f32 };
        (0..FEATURES).map(|index| Some(weight(index)).filter(|w| w.is_finite()).unwrap_or(0.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::memory::PeakWatch;
    use crate::domain::series::Series;
    use crate::forecast::peak::{forecast, peaks_at};
    use jiff::Timestamp;

    /// Days of a daily curve with noise that is a hash of the minute, shown as a mean over the ten minutes before, as Prometheus shows rates.
    fn past(days: i64) -> Series {
        let raw = |minute: i64| {
            let day = (minute % 1440) as f64 / 1440.0;
            let mut hash = (minute as u64 / 5).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            hash ^= hash >> 29;
            let noise = (hash.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / f64::from(1u32 << 24) - 0.5;
            100.0 * (1.0 - 0.6 * (day * std::f64::consts::TAU).cos()) * (1.0 + 0.5 * noise)
        };
        let mut series = Series::new(Timestamp::from_second(1_772_409_600).unwrap(), 60);
        series.values = (20..days * 1440).map(|m| ((0..10).map(|back| raw(m - back)).sum::<f64>() / 10.0) as f32).collect();
        series
    }

    #[test]
    fn it_beats_the_present_level_and_its_quantiles_cover_what_they_say() {
        let past = past(6);
        let view = View::of_past(&past, None);
        let walk = walk(&view, 300, 60).unwrap();
        let (mut own, mut naive, mut below, mut count) = (0.0, 0.0, 0, 0);
        for (step, (center, width)) in walk.forecasts.iter().enumerate().skip(1440) {
            let now = walk.from_s + 60 * step.cast_signed() as i64;
            if now + 400 > view.fine().end_s() {
                break;
            }
            let (peak, level) = (view.fine().peak(now, 300).unwrap(), view.fine().mean(now - 60, now).unwrap());
            own += (f64::from(*center).exp() - walk.model.offset - peak).abs();
            naive += (level - peak).abs();
            let ninety = peaks_at(f64::from(*center), f64::from(*width), &walk.model)[10];
            below += u32::from(peak <= ninety);
            count += 1;
        }
        assert!(own < 0.8 * naive, "error {own:.0} against {naive:.0}");
        let coverage = f64::from(below) / f64::from(count);
        assert!((0.80..0.94).contains(&coverage), "the quantile at 87.5 % covers {coverage}");
    }

    #[test]
    fn what_is_forecast_live_is_what_the_walk_would_say_at_its_end() {
        let past = past(4);
        let view = View::of_past(&past, None);
        let walk = walk(&view, 180, 60).unwrap();
        let watch = PeakWatch { width: walk.width, ..PeakWatch::default() };
        let end = past.end().unwrap();
        let live = forecast(&walk.model, &watch, &view, end, 1.0).unwrap();
        assert!(live.is_sorted());
        let level = f64::from(*past.values.last().unwrap());
        assert!(live[5] > 0.7 * level && live[5] < 1.5 * level, "{live:?} at {level}");
        let wider = forecast(&walk.model, &watch, &view, end, 2.0).unwrap();
        assert!(wider[11] > live[11] && wider[0] < live[0]);
    }

    #[test]
    fn too_short_a_past_gives_nothing_and_gaps_do_no_harm() {
        assert!(walk(&View::of_past(&past(1), None), 60, 60).is_none());
        let mut gappy = past(4);
        for value in gappy.values.iter_mut().skip(3000).take(600) {
            *value = f32::NAN;
        }
        let walk = walk(&View::of_past(&gappy, None), 60, 60).unwrap();
        assert!(walk.model.weights.iter().all(|w| w.is_finite()));
        assert!(walk.forecasts.iter().any(|(center, _)| center.is_nan()));
    }
}
