//! Announced surges upon an outlook.

use jiff::Timestamp;

use crate::domain::limits::Surge;
use crate::domain::outlook::LEVELS;

/// Multiplies the minutes that an announced surge covers. One that runs already is in what is seen, so it is carried on, not multiplied again.
pub(super) fn apply(surge: &Surge, made: Timestamp, rows: &mut [[f32; LEVELS.len()]]) {
    if surge.start <= made {
        return;
    }
    let first = (surge.start.duration_since(made).as_secs() + 59) / 60;
    let last = first.saturating_add(i64::try_from(surge.duration.0.as_secs() / 60).unwrap_or(i64::MAX));
    let factor = surge.percent as f32 / 100.0;
    for (minute, row) in (0i64..).zip(rows) {
        if (first..last.max(first + 1)).contains(&minute) {
            for value in row {
                *value *= factor;
            }
        }
    }
}
