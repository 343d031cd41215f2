//! From where an ensemble stands to the hour ahead, as a distribution by minute.

use jiff::Timestamp;

use super::ensemble::Ensemble;
use super::stand::Stand;
use super::surge::apply;
use crate::domain::limits::Surge;
use crate::domain::outlook::{ForecastQuality, HORIZON_MINUTES, Outlook};

/// Minutes between the points at which the path is computed; between them it is linear.
const NODE_MINUTES: usize = 5;

/// The outlook made at `made` by models that stand `age` seconds before it, with announced surges upon it.
pub(super) fn outlook(made: Timestamp, stand: &Stand<'_>, age: i64, surges: &[Surge], quality: ForecastQuality) -> Outlook {
    let mut rows = Vec::with_capacity(HORIZON_MINUTES + 1);
    let node = |minute: usize| {
        let ahead = age.saturating_add(60 * i64::try_from(minute).unwrap_or(0));
        let point = f64::from(stand.ahead(ahead).blend);
        stand.offsets(ahead).map(|offset| stand.ensemble.demand(point + f64::from(offset)) as f32)
    };
    let mut low = node(0);
    for start in (0..HORIZON_MINUTES).step_by(NODE_MINUTES) {
        let high = node(start + NODE_MINUTES);
        for minute in 0..NODE_MINUTES {
            let share = minute as f32 / NODE_MINUTES as f32;
            let mut row = low;
            for (value, high) in row.iter_mut().zip(high) {
                *value += share * (high - *value);
            }
            rows.push(row);
        }
        low = high;
    }
    rows.push(low);
    for surge in surges {
        apply(surge, made, &mut rows);
    }
    Outlook::new(made, &Ensemble::name(&stand.weights), rows, quality)
}
