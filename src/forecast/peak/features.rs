//! What the regression sees at a moment: levels of the last minutes, slower levels, and the same time yesterday and a week ago.

use super::levels::Levels;
use crate::domain::series::Series;
use crate::domain::signal::Signal;

/// Single minutes before the last that are looked at.
const MINUTES: usize = 15;
/// Minutes beyond, three apart.
const SPARSE: usize = 3;
/// What is looked at besides.
const OTHERS: usize = 10;
/// How many numbers the regression sees.
pub const FEATURES: usize = OTHERS + MINUTES + SPARSE;
/// Seconds that a level stands for.
const MINUTE_S: i64 = 60;
/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// A signal as the regression looks at it.
#[derive(Clone, Debug)]
pub struct View<'a> {
    fine: Levels<'a>,
    middle: Levels<'a>,
    coarse: Option<Levels<'a>>,
    /// What was read after the last minute: second, and level over the minute before it.
    newest: Option<(i64, f64)>,
}

/// What is seen at one moment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The numbers, scaled by `scale`.
    pub values: [f64; FEATURES],
    /// Level of the last minute.
    pub level: f64,
    /// Level of the last twenty minutes, which the regression's answer is a multiple of.
    pub scale: f64,
}

impl Seen {
    /// The level ahead that these weights give. It never falls below zero, and never further above than a few times what there was.
    #[must_use]
    pub fn ahead(&self, weights: &[f32]) -> f64 {
        let change: f64 = self.values.iter().zip(weights).map(|(value, weight)| value * f64::from(*weight)).sum();
        (self.level + change.clamp(-2.0, 3.0) * self.scale).max(0.0)
    }
}

impl<'a> View<'a> {
    /// A live signal.
    #[must_use]
    pub fn of(signal: &'a Signal) -> Self {
        let history = &signal.history;
        Self {
            fine: Levels::of(&history.fine),
            middle: Levels::of(&history.middle),
            coarse: history.coarse.as_ref().map(Levels::of),
            newest: signal.newest.map(|(at, level)| (at.as_second(), f64::from(level))),
        }
    }

    /// A long past by the minute, with hours before it.
    #[must_use]
    pub fn of_past(minutes: &Series, coarse: Option<&Series>) -> View<'static> {
        let fine = Levels::summed(minutes);
        View { middle: fine.clone(), fine, coarse: coarse.map(Levels::summed), newest: None }
    }

    /// Levels by the minute.
    #[must_use]
    pub fn fine(&self) -> &Levels<'a> {
        &self.fine
    }

    /// Level of the last minute, or of the last three where that is not known.
    #[must_use]
    pub fn level(&self, now: i64) -> Option<f64> {
        let read = self.newest.filter(|(at, _)| (0..MINUTE_S).contains(&(now - at)) && *at >= self.fine.end_s());
        read.map(|(_, level)| level).or_else(|| self.fine.mean(now - 60, now)).or_else(|| self.fine.mean(now - 180, now))
    }

    /// What is seen at second `now`. `None` where the last minutes are unknown.
    #[must_use]
    pub fn features(&self, now: i64, lead_s: i64, offset: f64) -> Option<Seen> {
        let level = self.level(now)?;
        // Minutes end on the grid, and the last one now.
        let last = |seconds: i64| {
            let before = self.fine.mean(now - seconds, now - MINUTE_S)?;
            Some(before + (level - before) * MINUTE_S as f64 / seconds as f64)
        };
        let scale = last(1200).unwrap_or(level).max(level / 8.0) + offset;
        let log = |level: f64| (level + offset).ln();
        let x1 = log(level);
        let x5 = last(300).map_or(x1, log);
        let x20 = last(1200).map_or(x5, log);
        let x80 = last(4800).map_or(x20, log);
        let x360 = self.middle.mean(now - 21_600, now).map_or(x80, log);
        let yesterday = self.same_time(now, DAY_S, lead_s, offset);
        let week = self.a_week_ago(now, lead_s, offset);
        let others =
            [1.0, x1 - x5, x5 - x20, x20 - x80, x80 - x360, yesterday, yesterday.max(0.0), week, week.max(0.0), (x1 - x20).max(0.0)];
        let minute = |ago: i64| {
            let then = self.fine.mean(now - 60 * ago - 60, now - 60 * ago).unwrap_or(level);
            ((then - level) / scale).clamp(-2.0, 2.0)
        };
        let values = std::array::from_fn(|index| match index.checked_sub(OTHERS) {
            None => others[index],
            Some(ago) if ago < MINUTES => minute(ago.cast_signed() as i64 + 1),
            Some(ago) => minute((MINUTES + 3 * (ago + 1 - MINUTES)).cast_signed() as i64),
        });
        Some(Seen { values, level, scale })
    }

    /// By how much load rose within the lead after the same time so long ago, in log load.
    fn same_time(&self, now: i64, ago: i64, lead_s: i64, offset: f64) -> f64 {
        let then = now - ago;
        let Some(before) = self.middle.mean(then - 1200, then) else { return 0.0 };
        let mut highest = 0.0f64;
        let mut ahead = 0;
        while ahead < lead_s + 60 {
            highest = highest.max(self.middle.mean(then + ahead - 120, then + ahead + 180).unwrap_or(0.0));
            ahead += 60;
        }
        ((highest + offset).ln() - (before + offset).ln()).clamp(-2.0, 2.0)
    }

    /// As `same_time` a week ago, as far as hours can tell.
    fn a_week_ago(&self, now: i64, lead_s: i64, offset: f64) -> f64 {
        let Some(coarse) = &self.coarse else { return 0.0 };
        let then = now - 7 * DAY_S;
        let around = |center: i64| coarse.mean(center - 1800, center + 1800);
        let (Some(before), Some(after)) = (around(then - 600), around(then + lead_s)) else { return 0.0 };
        ((after + offset).ln() - (before + offset).ln()).clamp(-2.0, 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::domain::series::{FINE_SAMPLES, History, MIDDLE_SAMPLES};
    use jiff::{SignedDuration, Timestamp};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const NOW: i64 = 1_772_452_800;

    fn signal(value: impl Fn(i64) -> f32) -> Signal {
        let tier = |step: u32, count: usize| {
            let start = at(NOW) - SignedDuration::from_secs(i64::from(step) * (count.cast_signed() as i64 - 1));
            let mut series = Series::new(start, step);
            series.values = (0..count).map(|i| value(series.second(i))).collect();
            series
        };
        let history = History { fine: tier(60, FINE_SAMPLES), middle: tier(300, MIDDLE_SAMPLES), coarse: Some(tier(3600, 840)) };
        Signal { history: Arc::new(history), newest: None, source: "test".into(), faults: Vec::new() }
    }

    #[test]
    fn a_level_series_shows_nothing_but_the_constant() {
        let seen = View::of(&signal(|_| 100.0)).features(NOW, 300, 1.0).unwrap();
        assert_eq!((seen.level, seen.values[0]), (100.0, 1.0));
        assert!(seen.values[1..].iter().all(|v| v.abs() < 1e-6), "{:?}", seen.values);
        assert!((seen.ahead(&[0.5; FEATURES]) - 150.5).abs() < 1e-3, "half of the last twenty minutes' level on top");
    }

    #[test]
    fn what_rose_yesterday_is_seen_today() {
        let rose = |second: i64| if (NOW - 86_400 + 200..NOW - 86_400 + 3600).contains(&second) { 300.0 } else { 100.0 };
        let seen = View::of(&signal(rose)).features(NOW, 600, 1.0).unwrap();
        assert!(seen.values[5] > 0.9, "{:?}", seen.values);
        assert_eq!(seen.level, 100.0);
    }

    #[test]
    fn what_was_read_after_the_last_minute_is_the_level_of_now() {
        let mut seen = signal(|_| 100.0);
        seen.newest = Some((at(NOW + 30), 160.0));
        let view = View::of(&seen);
        assert_eq!(view.level(NOW + 30), Some(160.0));
        let features = view.features(NOW + 30, 300, 1.0).unwrap();
        assert!((features.values[1] - (161.0f64 / 113.0).ln()).abs() < 1e-6, "five minutes of which one is 160: {:?}", features.values);
        assert_eq!(view.level(NOW + 95), None, "what is too old is not now");
    }

    #[test]
    fn without_a_last_minute_there_is_nothing_to_go_by() {
        let mut gone = signal(|_| 100.0);
        for value in Arc::make_mut(&mut gone.history).fine.values.iter_mut().rev().take(5) {
            *value = f32::NAN;
        }
        assert!(View::of(&gone).features(NOW, 60, 1.0).is_none());
    }
}
