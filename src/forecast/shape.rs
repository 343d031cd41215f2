//! The repeating part of log demand: by hour of the day or of the week, in the group's time zone.

use super::working::{Grid, offset_at};
use jiff::tz::TimeZone;

/// How long the shape takes to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Season {
    /// 24 h.
    Day,
    /// 168 h.
    Week,
}

impl Season {
    /// Hours in it.
    pub const fn hours(self) -> usize {
        match self {
            Self::Day => 24,
            Self::Week => 168,
        }
    }
}

/// Weight of each earlier season against the one after it: a habit changes within a week of days, or a month of weeks.
const RECENCY: f64 = 0.75;
/// Share of a season's hours that must be known for it to count.
const KNOWN_SHARE: f64 = 0.75;

/// The shape: deviation of log demand from its level, by hour of the season. Empty is flat.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shape {
    /// By hour, none, 24 or 168; hour 0 begins at local midnight (of a Thursday, as Unix weeks do).
    pub values: Vec<f32>,
}

impl Shape {
    /// The shape at an instant given in local seconds: linear between the middles of hours.
    pub fn at(&self, local: i64) -> f64 {
        if self.values.is_empty() {
            return 0.0;
        }
        let hours = i64::try_from(self.values.len()).unwrap_or(24);
        let from_middle = local - 1800;
        let slot = from_middle.div_euclid(3600);
        let share = from_middle.rem_euclid(3600) as f64 / 3600.0;
        let value = |slot: i64| f64::from(self.values[usize::try_from(slot.rem_euclid(hours)).unwrap_or(0)]);
        value(slot) * (1.0 - share) + value(slot + 1) * share
    }

    /// Builds a shape from values by hour of the season that were collected in order of time; hours never seen take their neighbours' mean.
    pub fn of_slots(mut slots: Vec<Option<f64>>) -> Option<Self> {
        let known: Vec<f64> = slots.iter().flatten().copied().collect();
        if (known.len() as f64) < KNOWN_SHARE * slots.len() as f64 || known.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mut last = *known.last()?;
        for slot in &mut slots {
            last = *slot.get_or_insert(last);
        }
        Some(Self { values: slots.into_iter().flatten().map(|v| v as f32).collect() })
    }

    /// The mean of the last seasons, each less its own mean, the newest weighing most. `None` with too little past.
    pub fn of_past(hours: &Grid, season: Season, zone: &TimeZone, log: impl Fn(f32) -> f64, at_least: usize) -> Option<Self> {
        let length = season.hours();
        let mut sums = vec![(0.0f64, 0.0f64); length];
        let (mut seasons, mut weight) = (0usize, 1.0f64);
        let mut end = hours.values.len();
        while end >= length {
            let block = end - length..end;
            let known = || block.clone().filter(|i| hours.values[*i].is_finite());
            let count = known().count();
            if count as f64 >= KNOWN_SHARE * length as f64 {
                let mean = known().map(|i| log(hours.values[i])).sum::<f64>() / count as f64;
                for index in known() {
                    let slot = slot_of(hours, index, season, zone);
                    sums[slot].0 += weight * (log(hours.values[index]) - mean);
                    sums[slot].1 += weight;
                }
                seasons += 1;
                weight *= RECENCY;
            }
            end -= length;
        }
        if seasons < at_least {
            return None;
        }
        Self::of_slots(sums.into_iter().map(|(sum, weight)| (weight > 0.0).then(|| sum / weight)).collect())
    }
}

/// The hour of the season that sample `index` of `hours` stands for.
pub(super) fn slot_of(hours: &Grid, index: usize, season: Season, zone: &TimeZone) -> usize {
    let middle = hours.middle(index);
    let local = middle.saturating_add(offset_at(zone, middle));
    usize::try_from(local.div_euclid(3600).rem_euclid(season.hours() as i64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_read_between_the_middles_of_hours_and_repeats() {
        let shape = Shape { values: (0..24u8).map(f32::from).collect() };
        assert_eq!(shape.at(1800), 0.0);
        assert_eq!(shape.at(3600), 0.5);
        assert_eq!(shape.at(86_400 + 3600), 0.5);
        assert_eq!(shape.at(0), 11.5, "halfway between hour 23 and hour 0");
        assert_eq!(Shape::default().at(123), 0.0);
    }

    #[test]
    fn a_day_that_is_mostly_missing_is_no_shape() {
        let hours = Grid { start: 3600, step: 3600, values: vec![f32::NAN; 48] };
        assert_eq!(Shape::of_past(&hours, Season::Day, &TimeZone::UTC, f64::from, 1), None);
    }
}
