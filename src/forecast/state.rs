//! An ensemble as memory keeps it, and what each tick learns from the forecasts that are due.

use jiff::{SignedDuration, Timestamp};

use super::ensemble::{Ensemble, Forecast, HORIZONS, PARTS};
use super::fit::Fitted;
use super::lags::Past;
use super::model::{Model, ModelKind, Pace};
use super::ridge::Ridge;
use super::shape::{Season, Shape};
use super::stand::Stand;
use super::width::Width;
use crate::domain::memory::{FollowerState, ForecastNote, ForecasterState, HorizonState};
use crate::domain::series::{History, mean};

/// Forecasts that may wait for what they forecast: at one in five minutes one, three, six and twelve, with room for a late tick.
const NOTES_KEPT: usize = 24;
/// A model has drifted when its recent errors are so many times its usual ones.
const DRIFT_FACTOR: f32 = 2.5;
/// Error of log demand below which nothing has drifted.
const LEAST_DRIFT: f32 = 0.05;

/// What memory keeps of a fit.
pub(super) fn remember(fitted: Fitted, at: Timestamp, completed: Option<Timestamp>) -> ForecasterState {
    let Fitted { ensemble, quality } = fitted;
    let mut state = ForecasterState {
        fitted: at,
        completed,
        offset: ensemble.offset,
        horizons: horizons_of(&ensemble),
        followers: Vec::with_capacity(ensemble.followers.len()),
        notes: std::collections::VecDeque::new(),
        quality,
    };
    for Model { kind, shape, pace: Pace { alpha, beta, phi, keep_hourly }, base, .. } in ensemble.followers {
        let pace = [alpha, beta, phi, keep_hourly];
        state.followers.push(FollowerState { model: kind.name().into(), shape: shape.values, pace, base });
    }
    state
}

fn horizons_of(ensemble: &Ensemble) -> Vec<HorizonState> {
    let horizon = |h: usize| {
        let (Ridge { products, targets, weights }, width) = (ensemble.ridges[h], ensemble.widths[h]);
        HorizonState {
            losses: ensemble.losses[h].to_vec(),
            products: products.to_vec(),
            targets: targets.to_vec(),
            weights: weights.to_vec(),
            sizes: [width.present, width.usual],
            quantiles: width.quantiles.to_vec(),
            seen: width.seen,
        }
    };
    (0..HORIZONS.len()).map(horizon).collect()
}

/// The ensemble that memory keeps. A state that does not hold together (a shape of no season, a number that is none, sums of another length)
/// gives nothing, and the series is fitted anew.
pub(super) fn recall(state: &ForecasterState, named: Option<ModelKind>) -> Option<Ensemble> {
    if !(state.offset.is_finite() && state.offset > 0.0) || state.followers.is_empty() || state.horizons.len() != HORIZONS.len() {
        return None;
    }
    let followers = state.followers.iter().map(|follower| recall_follower(follower, state.offset)).collect::<Option<Vec<_>>>()?;
    let mut ensemble = Ensemble::new(state.offset, followers, named);
    for (h, kept) in state.horizons.iter().enumerate() {
        ensemble.losses[h] = finite(&kept.losses)?;
        ensemble.ridges[h] = Ridge { products: finite(&kept.products)?, targets: finite(&kept.targets)?, weights: finite(&kept.weights)? };
        let [present, usual] = finite(&kept.sizes)?;
        let whole = present >= 0.0 && usual >= 0.0 && kept.seen >= 0.0;
        ensemble.widths[h] = whole.then(|| Some(Width { present, usual, quantiles: finite(&kept.quantiles)?, seen: kept.seen }))??;
    }
    ensemble.set_shifts();
    Some(ensemble)
}

fn recall_follower(follower: &FollowerState, offset: f64) -> Option<Model> {
    let [alpha, beta, phi, keep_hourly] = follower.pace;
    let whole = follower.pace.iter().all(|p| (0.0..=1.0).contains(p))
        && follower.base.is_finite()
        && (follower.shape.is_empty() || Season::of_slots(follower.shape.len()).is_some())
        && follower.shape.iter().all(|v| v.is_finite());
    let kind = ModelKind::named(&follower.model).filter(|kind| *kind != ModelKind::Ridge)?;
    whole.then(|| Model {
        kind,
        offset,
        shape: Shape { values: follower.shape.clone() },
        pace: Pace { alpha, beta, phi, keep_hourly },
        base: follower.base,
        shift: f64::INFINITY,
    })
}

fn finite<const N: usize>(values: &[f32]) -> Option<[f32; N]> {
    <[f32; N]>::try_from(values).ok().filter(|values| values.iter().all(|v| v.is_finite()))
}

/// Compares forecasts that are due with what was seen in the five minutes before, learns from them, and says so in `state`.
pub(super) fn settle(state: &mut ForecasterState, ensemble: &mut Ensemble, past: Past<'_>, history: &History, now: Timestamp) {
    let mut settled = false;
    state.notes.retain(|note| {
        if note.due > now {
            return true;
        }
        let seen = mean(history.fine.window(note.due, SignedDuration::from_mins(5)));
        let (horizon, parts) = (usize::from(note.horizon), <[f32; PARTS]>::try_from(note.parts.as_slice()));
        if let (Some(minutes), Ok(parts), true) = (HORIZONS.get(horizon), parts, seen.is_finite()) {
            let ahead = 60 * i64::from(*minutes);
            let origin = note.due.as_second() - ahead;
            let lesson = past.origin(origin).map(|at| (past.inputs(&at, ensemble.shape(), ahead), at.level()));
            ensemble.settle(horizon, &Forecast { parts, blend: note.blend }, seen, lesson.as_ref());
            settled = true;
        }
        false
    });
    if settled {
        ensemble.ridges.iter_mut().for_each(Ridge::solve);
        ensemble.set_shifts();
        state.horizons = horizons_of(ensemble);
    }
}

/// Notes forecasts to be compared later; models stand `age` seconds before `now`.
pub(super) fn note(state: &mut ForecasterState, now: Timestamp, stand: &Stand<'_>, age: i64) {
    for (horizon, minutes) in (0u16..).zip(HORIZONS) {
        let forecast = stand.ahead(60 * i64::from(minutes) + age);
        if forecast.blend.is_finite() {
            let due = now.saturating_add(SignedDuration::from_mins(i64::from(minutes))).unwrap_or(Timestamp::MAX);
            state.notes.push_back(ForecastNote { due, horizon, parts: forecast.parts.to_vec(), blend: forecast.blend });
        }
    }
    state.notes.drain(..state.notes.len().saturating_sub(NOTES_KEPT));
}

/// Whether recent errors at half an hour are far above the usual ones.
pub(super) fn drifted(state: &ForecasterState) -> bool {
    state.horizons.get(2).is_some_and(|h| h.sizes[0] > DRIFT_FACTOR * h.sizes[1] && h.sizes[0] > LEAST_DRIFT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outlook::ForecastQuality;
    use crate::forecast::model::offset_of;
    use crate::forecast::world::at;

    fn kept() -> ForecasterState {
        let level = Model {
            kind: ModelKind::Level,
            offset: offset_of(&[100.0]),
            shape: Shape::default(),
            pace: Pace::level(0.3, 1.0),
            base: 4.0,
            shift: f64::INFINITY,
        };
        let mut ensemble = Ensemble::new(level.offset, vec![level], None);
        ensemble.ridges[1].learn(&[0.5; super::super::lags::INPUTS], 0.2, 1.0);
        ensemble.widths[3].learn(0.4);
        ensemble.set_shifts();
        remember(Fitted { ensemble, quality: ForecastQuality::default() }, at(0), None)
    }

    #[test]
    fn what_is_remembered_is_recalled() {
        let state = kept();
        let read: ForecasterState = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        let again = recall(&read, None).unwrap();
        let fitted = Fitted { ensemble: again, quality: ForecastQuality::default() };
        assert_eq!(remember(fitted, at(0), None), state);
    }

    #[test]
    fn a_state_that_does_not_hold_together_is_none() {
        for spoil in [
            (|s: &mut ForecasterState| s.offset = 0.0) as fn(&mut ForecasterState),
            |s| s.followers.clear(),
            |s| s.followers[0].shape = vec![0.0; 7],
            |s| s.followers[0].pace[0] = f64::NAN,
            |s| s.followers[0].model = "prophet".into(),
            |s| s.horizons[0].products.truncate(3),
            |s| s.horizons[2].quantiles[1] = f32::INFINITY,
            |s| s.horizons[2].sizes[1] = -1.0,
        ] {
            let mut state = kept();
            spoil(&mut state);
            assert_eq!(recall(&state, None), None, "{state:?}");
        }
    }

    #[test]
    fn a_state_of_the_older_form_is_read_and_fitted_anew() {
        let old = r#"{"model":"level","fitted":"2026-03-04T10:00:00Z","complete":true,"offset":10.0,"shape":[],"pace":[0.3,0.0,0.0,1.0],
            "base":4.0,"errors":[[0.1],[],[],[]],"widths":[],"open":[["2026-03-04T10:05:00Z",0,100.0]],
            "quality":{"mape":null,"pinball50":null,"pinball90":null,"coverage90":null,"skill_vs_naive":null,"origins":0}}"#;
        let state: ForecasterState = serde_json::from_str(old).unwrap();
        assert_eq!(recall(&state, None), None);
    }
}
