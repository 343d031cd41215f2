//! How good the outlooks were that a run left in its ledger, against what then came, and beside forecasts that need no model.
//!
//! Judged is the shortest printed horizon that covers the lead time that the plan was made for. What came is what an honest exporter counts, even
//! where the incident's metrics lied: people are served or not by what is there.

use super::cell::ForecastScore;
use super::incident::{Incident, Observe};
use super::stage::{LOOK_S, key, load};
use crate::domain::plan::SizingBasis;
use crate::domain::record::{PlanSummary, TickRecord};
use crate::service::Tally;

/// Minutes of a day and of a week: what may come again.
const SEASONS: [usize; 2] = [1440, 7 * 1440];
/// Minutes of its own newest errors that a naive forecast's width is taken from.
const WIDTH_MINUTES: usize = 1440;
/// Errors without which a width is not known: an hour of them.
const LEAST_ERRORS: usize = 60;
/// A width is taken anew so often, minutes.
const RENEWED_MINUTES: usize = 60;
/// Errors are shares of demand; below this share of its mean they would be shares of nothing.
const FLOOR: f64 = 0.05;

/// One forecast: for which minute, made how many minutes before, and what it said at 50, 90 and 95 %.
#[derive(Clone, Copy, Debug)]
struct Said {
    due: usize,
    ahead: usize,
    quantiles: [f64; 3],
}

/// Losses at the median and at 90 %, and what lay at or below each quantile.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    points: u64,
    loss50: f64,
    loss90: f64,
    below: [u64; 3],
}

/// A workload's demand by the minute: of the past as it was recorded, then of the scored part as it came.
struct Minutes {
    values: Vec<f64>,
    /// Where the scored part begins.
    scored: usize,
    /// What is added to demand before errors are taken as shares of it.
    floor: f64,
}

/// Units/s of a minute as metrics of a workload count demand, where nothing goes wrong with them.
#[must_use]
pub fn observed(incident: &Incident, workload: usize, passed: &Tally) -> f32 {
    let observe = incident.workloads[workload].demand.as_ref().map_or(Observe::default(), |demand| demand.observe);
    let units = match observe {
        Observe::Offered => passed.arrived,
        Observe::Served => passed.served,
    };
    units as f32 / 60.0
}

/// How good the outlooks of `records` were. `came` holds the minutes of the scored part for each workload. Nothing where none can be judged.
#[must_use]
pub fn foresight(incident: &Incident, records: &[TickRecord], came: &[Vec<f32>]) -> Option<ForecastScore> {
    let (mut sums, mut naive) = (Sums::default(), Vec::new());
    for (workload, came) in incident.workloads.iter().zip(came) {
        let minutes = Minutes::of(incident, workload, came);
        let said = said(incident, records, &workload.name, &minutes);
        for one in &said {
            sums.add(minutes.values[one.due], one.quantiles);
        }
        naive.extend(best_naive(&minutes, &said));
    }
    let points = sums.points as f64;
    let share = |below: u64| below as f64 / points;
    (sums.points > 0).then(|| ForecastScore {
        points: sums.points,
        pinball50: sums.loss50 / points,
        pinball90: sums.loss90 / points,
        skill: skill(&sums, &naive),
        coverage50: share(sums.below[0]),
        coverage90: share(sums.below[1]),
        coverage95: share(sums.below[2]),
    })
}

/// What is gained on forecasts that need no model; nothing where these are never wrong.
fn skill(sums: &Sums, naive: &[f64]) -> f64 {
    let naive: f64 = naive.iter().sum();
    if naive > 0.0 { 1.0 - (sums.loss50 + sums.loss90) / naive } else { 0.0 }
}

/// What the records say of a workload's minutes that came.
fn said(incident: &Incident, records: &[TickRecord], workload: &str, minutes: &Minutes) -> Vec<Said> {
    let target = key(workload);
    let begun = incident.scored_from().as_second();
    let one = |record: &TickRecord| {
        let PlanSummary { basis, outlook, .. } = record.closed.as_ref()?.plan.get(&target)?;
        let (ahead, p50, p90, p95) = horizon(basis, outlook.as_ref()?);
        let made = usize::try_from((record.at.as_second() - begun) / 60).ok()?;
        // The minute that ends `ahead` minutes after.
        let due = (minutes.scored + made + ahead).checked_sub(1)?;
        (due < minutes.values.len()).then_some(Said { due, ahead, quantiles: [p50, p90, p95] })
    };
    records.iter().filter_map(one).collect()
}

/// The shortest printed horizon that covers the lead time; the longest where none does.
fn horizon(basis: &SizingBasis, printed: &[(usize, f64, f64, f64); 3]) -> (usize, f64, f64, f64) {
    printed.iter().find(|(minutes, ..)| *minutes as f64 * 60.0 >= basis.lead_s).copied().unwrap_or(printed[2])
}

/// The least summed loss of what needs no model on the same minutes: the last value goes on, or the value of a day or a week before comes again.
fn best_naive(minutes: &Minutes, said: &[Said]) -> Option<f64> {
    let first = said.iter().map(|one| one.due).min()?;
    let longest = said.iter().map(|one| one.ahead).max()?;
    let rivals = std::iter::once(None).chain(SEASONS.map(Some));
    rivals
        // A season that the past does not hold, with the errors of its width, is no rival.
        .filter(|season| first >= season.unwrap_or(longest) + longest + LEAST_ERRORS)
        .map(|season| naive_loss(minutes, said, season))
        .min_by(f64::total_cmp)
}

/// The summed loss of saying, for each minute that was forecast, what came a season before; without one, what came last.
fn naive_loss(minutes: &Minutes, said: &[Said], season: Option<usize>) -> f64 {
    let mut sums = Sums::default();
    let mut width: Option<(usize, [f64; 3])> = None;
    for one in said {
        let back = season.unwrap_or(one.ahead);
        let origin = one.due - one.ahead;
        let fresh = width.filter(|(made, _)| origin.abs_diff(*made) < RENEWED_MINUTES);
        let (made, factors) = fresh.unwrap_or_else(|| (origin, minutes.errors(origin, back)));
        width = Some((made, factors));
        sums.add(minutes.values[one.due], factors.map(|factor| minutes.moved(minutes.values[one.due - back], factor)));
    }
    sums.loss50 + sums.loss90
}

impl Minutes {
    fn of(incident: &Incident, workload: &super::incident::IncidentWorkload, came: &[f32]) -> Self {
        let most = 60 * (SEASONS[1] + WIDTH_MINUTES) as u32;
        let past = load(incident, workload, incident.history_s.saturating_sub(most), incident.history_s);
        let minute = |part: &[f32]| part.iter().map(|value| f64::from(*value)).sum::<f64>() / part.len() as f64;
        let mut values: Vec<f64> = past.chunks_exact((60 / LOOK_S) as usize).map(minute).collect();
        let scored = values.len();
        let mean = values.iter().sum::<f64>() / scored.max(1) as f64;
        values.extend(came.iter().map(|value| f64::from(*value)));
        Self { values, scored, floor: (FLOOR * mean).max(f64::MIN_POSITIVE) }
    }

    /// A value and an error of it.
    fn moved(&self, value: f64, factor: f64) -> f64 {
        ((value + self.floor) * factor - self.floor).max(0.0)
    }

    /// By what factor what came lay above what had come `back` minutes before: quantiles at 50, 90 and 95 %, of what was known at `origin`.
    fn errors(&self, origin: usize, back: usize) -> [f64; 3] {
        let from = origin.saturating_sub(WIDTH_MINUTES).max(back);
        let mut errors: Vec<f64> =
            (from..=origin).map(|minute| (self.values[minute] + self.floor) / (self.values[minute - back] + self.floor)).collect();
        errors.sort_by(f64::total_cmp);
        [0.5, 0.9, 0.95]
            .map(|level| errors.get(((errors.len() as f64 * level) as usize).min(errors.len().saturating_sub(1))).copied().unwrap_or(1.0))
    }
}

impl Sums {
    fn add(&mut self, came: f64, [p50, p90, p95]: [f64; 3]) {
        // Pinball loss (Koenker and Bassett 1978).
        let pinball = |said: f64, level: f64| if came >= said { level * (came - said) } else { (1.0 - level) * (said - came) };
        self.points += 1;
        self.loss50 += pinball(p50, 0.5);
        self.loss90 += pinball(p90, 0.9);
        for (below, said) in self.below.iter_mut().zip([p50, p90, p95]) {
            *below += u64::from(came <= said);
        }
    }
}

#[cfg(test)]
mod tests;
