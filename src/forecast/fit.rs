//! Fitting: of each kind the follower that did best of late, and a walk over the past in which the blend learns.

use super::candidates::candidates;
use super::ensemble::Ensemble;
use super::model::{Model, ModelKind, offset_of};
use super::score::{Score, naive_loss};
use super::walk::{Judge, miss_of, steps, walk};
use super::working::{Grid, Working};
use crate::domain::outlook::ForecastQuality;

/// Known samples without which nothing is fitted: two hours of five minutes.
pub(super) const LEAST_KNOWN: usize = 24;
/// Longest stretch that candidates are compared on: a day and a half, so that each hour of the day counts and the newest ones twice.
const TRIAL_S: i64 = 36 * 3600;
/// Origins that candidates are compared at, about: with more, neighbours say nearly the same.
const COMPARED_ORIGINS: usize = 144;
/// How far mean demand may move, as a factor, before logs with the old offset no longer compare.
const SAME_OFFSET: std::ops::RangeInclusive<f64> = 0.5..=2.0;

/// An ensemble with what is known of how good it has been.
pub(super) struct Fitted {
    pub ensemble: Ensemble,
    pub quality: ForecastQuality,
}

impl Fitted {
    /// Carries on what an earlier ensemble learned: followers are new, what regressions, weights and widths learned over weeks stays. Kinds that
    /// are slow to fit stay too, unless this fit was `complete`.
    pub fn carry_on(mut self, old: &Ensemble, complete: bool) -> Self {
        if !SAME_OFFSET.contains(&(old.offset / self.ensemble.offset)) {
            return self;
        }
        let mut followers = std::mem::take(&mut self.ensemble.followers);
        let kept = |model: &&Model| !complete && matches!(model.kind, ModelKind::Ets | ModelKind::Mstl);
        followers.extend(old.followers.iter().filter(kept).cloned());
        for model in &mut followers {
            model.offset = old.offset;
        }
        self.ensemble = Ensemble { followers, named: self.ensemble.named, ..old.clone() };
        self
    }
}

/// Where a trial of followers begins.
fn trial_from(grid: &Grid) -> usize {
    let length = grid.values.len();
    length - usize::try_from(TRIAL_S / grid.step).unwrap_or(length).clamp(1, length.div_ceil(2).max(1))
}

/// Of each kind the follower that did best on the newest stretch.
struct Chosen {
    /// As it was fitted on what came before that stretch.
    tried: Vec<Model>,
    /// Fitted on everything.
    fitted: Vec<Model>,
}

fn choose(known: &Working, lead_minutes: u16, complete: bool) -> Chosen {
    let grid = &known.grid;
    let from = trial_from(grid);
    let before = known.until(grid.time(from.saturating_sub(1)));
    let lead = steps(grid, lead_minutes);
    let stride = ((grid.values.len() - from) / COMPARED_ORIGINS).max(1);
    let mut best: Vec<(f64, Model)> = Vec::new();
    for model in candidates(&before, complete) {
        let Some(miss) = miss_of(&model, known, from, lead, stride) else { continue };
        match best.iter_mut().find(|(_, held)| held.kind == model.kind) {
            Some(held) if miss < held.0 => *held = (miss, model),
            Some(_) => {}
            None => best.push((miss, model)),
        }
    }
    let tried: Vec<Model> = best.into_iter().map(|(_, model)| model).collect();
    let all = candidates(known, complete);
    let offset = offset_of(&grid.values);
    let again = |tried: &Model| {
        let model = all.iter().find(|model| same_candidate(model, tried)).unwrap_or(tried);
        Model { offset, ..model.clone() }
    };
    let fitted = tried.iter().map(again).collect();
    Chosen { tried, fitted }
}

/// What tells one candidate from another across fits on different stretches.
#[expect(clippy::float_cmp, reason = "both come from the same menu, bit for bit")]
fn same_candidate(a: &Model, b: &Model) -> bool {
    let gain_matters = matches!(a.kind, ModelKind::Level | ModelKind::SeasonalNaive);
    a.kind == b.kind
        && a.shape.values.len() == b.shape.values.len()
        && a.pace.keep_hourly == b.pace.keep_hourly
        && (!gain_matters || a.pace.alpha == b.pace.alpha)
}

/// The followers of a series, fitted on everything; `complete` asks for those that are slow to fit too. Their offset is `offset`.
pub(super) fn followers(known: &Working, lead_minutes: u16, complete: bool, offset: f64) -> Vec<Model> {
    choose(known, lead_minutes, complete).fitted.into_iter().map(|model| Model { offset, ..model }).collect()
}

/// Fits an ensemble on what is known. The newest stretch is walked with followers that have not seen it, so that weights and widths are those
/// of real forecasts; then the followers are fitted on everything. `None` with too little past.
pub(super) fn fit(known: &Working, lead_minutes: u16, named: Option<ModelKind>, complete: bool) -> Option<Fitted> {
    let grid = &known.grid;
    if grid.known() < LEAST_KNOWN {
        return None;
    }
    let Chosen { tried, fitted } = choose(known, lead_minutes, complete);
    let offset = offset_of(&grid.values);
    let tried = tried.into_iter().map(|model| Model { offset, ..model }).collect();
    let mut ensemble = Ensemble::new(offset, tried, named);
    let (from, lead) = (trial_from(grid), steps(grid, lead_minutes));
    let mut score = Score::default();
    walk(&mut ensemble, known, 0..from, None);
    walk(&mut ensemble, known, from..grid.values.len(), Some(Judge { lead, score: &mut score }));
    ensemble.followers = fitted;
    ensemble.set_shifts();
    Some(Fitted { quality: score.quality(naive_loss(known, from, lead, offset)), ensemble })
}
