//! The repeating part of log demand: by hour of the day or of the week, in the group's time zone.

use super::working::{Grid, offset_at};
use jiff::tz::TimeZone;

/// How long the shape takes to repeat, and how finely it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Season {
    /// 24 h by hours.
    Day,
    /// 24 h by five minutes: what runs by the clock, such as jobs on the hour. Only the fine grid shows it.
    FineDay,
    /// 168 h by hours.
    Week,
}

impl Season {
    /// Slots in it.
    pub const fn slots(self) -> usize {
        match self {
            Self::Day => 24,
            Self::FineDay => 288,
            Self::Week => 168,
        }
    }

    /// Slots, for arithmetic with instants.
    fn slots_signed(self) -> i64 {
        i64::try_from(self.slots()).unwrap_or(1)
    }

    /// Seconds of a slot.
    pub const fn slot_s(self) -> i64 {
        match self {
            Self::Day | Self::Week => 3600,
            Self::FineDay => 300,
        }
    }

    /// Hours it takes.
    pub const fn hours(self) -> usize {
        match self {
            Self::Day | Self::FineDay => 24,
            Self::Week => 168,
        }
    }

    /// The season of a shape with so many slots.
    pub const fn of_slots(slots: usize) -> Option<Self> {
        match slots {
            24 => Some(Self::Day),
            288 => Some(Self::FineDay),
            168 => Some(Self::Week),
            _ => None,
        }
    }
}

/// Weight of each earlier season against the one after it: a habit changes within a week of days, or a month of weeks.
const RECENCY: f64 = 0.75;
/// Share of a season's slots that must be known for it to count.
const KNOWN_SHARE: f64 = 0.75;

/// The shape: deviation of log demand from its level, by slot of the season. Empty is flat.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shape {
    /// By slot, as many as a [`Season`] has or none; slot 0 begins at local midnight (of a Thursday, as Unix weeks do).
    pub values: Vec<f32>,
}

impl Shape {
    /// The shape at an instant given in local seconds: linear between the middles of slots.
    pub fn at(&self, local: i64) -> f64 {
        let Some(season) = Season::of_slots(self.values.len()) else { return 0.0 };
        let from_middle = local - season.slot_s() / 2;
        let slot = from_middle.div_euclid(season.slot_s());
        let share = from_middle.rem_euclid(season.slot_s()) as f64 / season.slot_s() as f64;
        let value = |slot: i64| f64::from(self.values[usize::try_from(slot.rem_euclid(season.slots_signed())).unwrap_or(0)]);
        value(slot) * (1.0 - share) + value(slot + 1) * share
    }

    /// Builds a shape from values by slot of the season; slots never seen take their neighbour's.
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
    /// `past` has the season's step.
    pub fn of_past(past: &Grid, season: Season, zone: &TimeZone, log: impl Fn(f32) -> f64, at_least: usize) -> Option<Self> {
        let length = season.slots();
        let mut sums = vec![(0.0f64, 0.0f64); length];
        let (mut seasons, mut weight) = (0usize, 1.0f64);
        let mut end = past.values.len();
        while end >= length {
            let block = end - length..end;
            let known = || block.clone().filter(|i| past.values[*i].is_finite());
            let count = known().count();
            if count as f64 >= KNOWN_SHARE * length as f64 {
                let mean = known().map(|i| log(past.values[i])).sum::<f64>() / count as f64;
                for index in known() {
                    let slot = slot_of(past, index, season, zone);
                    sums[slot].0 += weight * (log(past.values[index]) - mean);
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

/// The slot of the season that sample `index` stands for.
pub(super) fn slot_of(past: &Grid, index: usize, season: Season, zone: &TimeZone) -> usize {
    let middle = past.middle(index);
    let local = middle.saturating_add(offset_at(zone, middle));
    usize::try_from(local.div_euclid(season.slot_s()).rem_euclid(season.slots_signed())).unwrap_or(0)
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
        let past = Grid { start: 3600, step: 3600, values: vec![f32::NAN; 48] };
        assert_eq!(Shape::of_past(&past, Season::Day, &TimeZone::UTC, f64::from, 1), None);
    }
}
