//! Series to outlook: models, the blend of them, and how wide it must be. Online work is small (levels followed over a few hours and a path of an
//! hour); fitting is rare and counted.
//!
//! Models that **follow** are one form: a repeating shape of log demand plus a pace at which a level follows what is seen. `level` has no shape;
//! `seasonal-naive` takes it from the last days or weeks; `ets` takes its pace from `augurs`; `mstl` takes shape and pace from there. Beside them
//! stands a **regression** (`ridge`) on levels over minutes to hours and on what came an hour, a day and a week ago, which learns every five
//! minutes, and the plain **repeats** of yesterday and last week. All are weighed by how far they were off of late, and the blend's width
//! follows its own errors.
//!
//! | file | holds |
//! |---|---|
//! | `working`, `outage` | the series that is worked on; what of it is no habit |
//! | `shape`, `model`, `candidates` | the models that follow |
//! | `lags`, `ridge`, `shift` | the regression, what it is shown, and how far back it may look |
//! | `ensemble`, `width`, `stand` | the blend, its width, and its look ahead |
//! | `fit`, `walk`, `score`, `backtest` | how models are chosen, learn and are judged on the past |
//! | `predict`, `state`, `outlook`, `surge` | one tick for all targets |
//!
//! Left out: learning across workloads; holidays, since no group says which it has (a surge of less than 100 % announces one).

mod backtest;
mod candidates;
mod ensemble;
mod fit;
mod lags;
mod model;
mod outage;
mod outlook;
pub mod peak;
mod predict;
mod ridge;
mod score;
mod shape;
mod shift;
mod stand;
mod state;
mod surge;
mod walk;
mod width;
#[cfg(test)]
pub(crate) mod world;
mod working;

pub use backtest::{SeriesForecast, forecast_series};
pub use model::ModelKind;
pub use predict::{Prediction, load_signal, predict};
