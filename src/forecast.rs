//! Series to outlook: models, their back-test, and how wide the outlook must be. Online work is small (a level followed over a few hours and a
//! path of an hour); fitting is rare and counted.
//!
//! Every model is one form: a repeating **shape** of log demand plus a **pace** at which a level follows what is seen. They differ in where both
//! come from: `level` has no shape; `seasonal-naive` takes it from the last days or weeks; `ets` takes its pace from `augurs`; `mstl` takes shape
//! and pace from there. So any of them follows a level shift within minutes, and none has a state that a gap could spoil.
//!
//! Left out: holidays, learning across workloads, and blending of models.

mod backtest;
mod candidates;
mod model;
mod predict;
mod shape;
mod state;
mod width;
mod working;
#[cfg(test)]
pub(crate) mod world;

pub use backtest::{SeriesForecast, forecast_series};
pub use model::ModelKind;
pub use predict::{Prediction, load_signal, predict};
