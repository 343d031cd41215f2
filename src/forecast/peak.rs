//! How high load will peak until a replica that is launched now is ready: what sizing waits for, forecast as such and for this workload's own lead.
//!
//! A ridge regression on the levels of the last minutes one by one, on slower levels, and on what came after the same time yesterday and a week
//! ago. The single minutes matter: a rate that Prometheus shows is a moving average, and what will leave its window is known. Width comes from
//! the regression's own errors: their shape from the past, their size from the last hours.
//!
//! Left out: what is beyond the lead; that is the outlook's.

mod features;
mod fit;
mod levels;

pub use features::{FEATURES, View};
pub use fit::{Walk, walk};
pub use levels::Levels;

use jiff::{SignedDuration, Timestamp};

use crate::domain::memory::{PeakModel, PeakWatch};

/// Quantiles that a peak's distribution is kept at: `(i + 1/2) / QUANTILES`.
pub const QUANTILES: usize = 12;
/// Weight of one error in the running mean of their size.
const WIDTH_GAIN: f32 = 0.03;
/// Least size of errors, in log load: what no forecast is below.
const LEAST_WIDTH: f32 = 0.01;
/// Forecasts that may wait for what they forecast.
const OPEN_KEPT: usize = 40;

/// The distribution of the peak until the lead is over: as many equally likely values, rising, in the load's unit.
pub type Peaks = [f64; QUANTILES];

/// What a model says of now. `None` where nothing fresh is known.
#[must_use]
pub fn forecast(model: &PeakModel, watch: &PeakWatch, view: &View, now: Timestamp, spread: f64) -> Option<Peaks> {
    let center = center(model, view, now)?;
    Some(peaks_at(center, f64::from(watch.width.max(LEAST_WIDTH)) * spread, model))
}

/// The log of load at the forecast peak.
fn center(model: &PeakModel, view: &View, now: Timestamp) -> Option<f64> {
    let seen = view.features(now.as_second(), i64::from(model.lead_s), model.offset)?;
    Some((seen.ahead(&model.weights) + model.offset).ln())
}

/// The distribution around a centre, where errors are usually so large; both in log load.
#[must_use]
pub fn peaks_at(center: f64, width: f64, model: &PeakModel) -> Peaks {
    let error = |quantile: usize| f64::from(model.errors.get(quantile).copied().unwrap_or_default());
    std::array::from_fn(|quantile| ((center + width * error(quantile)).exp() - model.offset).max(0.0))
}

/// Notes this minute's forecast, and takes in the errors of those that are due.
pub fn watch(model: &PeakModel, watch: &mut PeakWatch, view: &View, now: Timestamp) {
    let lead = SignedDuration::from_secs(i64::from(model.lead_s));
    while let Some((made, forecast)) = watch.open.front().copied() {
        if now.duration_since(made) < lead + SignedDuration::from_mins(1) {
            break;
        }
        watch.open.pop_front();
        if let Some(peak) = view.fine().peak(made.as_second(), i64::from(model.lead_s)) {
            let error = ((peak + model.offset).ln() as f32 - forecast).abs();
            watch.width += WIDTH_GAIN * (error - watch.width);
        }
    }
    let fresh = watch.open.back().is_none_or(|(made, _)| now.duration_since(*made) >= SignedDuration::from_mins(1));
    if let Some(center) = center(model, view, now).filter(|_| fresh) {
        watch.open.push_back((now, center as f32));
        let surplus = watch.open.len().saturating_sub(OPEN_KEPT);
        watch.open.drain(..surplus);
    }
}
