//! Demand by the minute: what people do by hour and by weekday, how their number wanders, how grainy it is, the bursts among it, and what happens
//! in it.
//!
//! The level of a day and the hour at which it comes differ from day to day. The wandering is the sum of two first-order autoregressive processes, over
//! the better part of two hours and over minutes, and it multiplies: its size follows the rate. The grain goes with the root of the rate, as the
//! noise of counted events does, and is more than Poisson's, since users come in sessions. Bursts come at random, more of them when more is going
//! on; their size is Pareto's: most are small, and one is not.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::random::Dice;

/// Minutes over which the level wanders slowly, and fast.
const SLOW_MIN: f64 = 100.0;
const FAST_MIN: f64 = 5.0;
/// Largest burst, in multiples of the least: beyond, one burst would be all there is.
const LARGEST_BURST: f64 = 12.0;
const DAY_MIN: i64 = 1440;

/// Demand of one service.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Units/s where day and week have 1.
    pub(super) level: f64,
    /// Share of the level by local hour; between two a half cosine, around midnight too.
    pub(super) day: &'static [(f64, f64)],
    /// Share of the level by weekday, Monday first.
    pub(super) week: [f64; 7],
    /// By how much a week is above the one before it.
    pub(super) growth: f64,
    /// How far a day's level is from the usual (standard deviation), and its hours from theirs.
    pub(super) days_differ: f64,
    /// How far it wanders, slowly and fast (standard deviation of the logarithm).
    pub(super) wander: (f64, f64),
    /// Variance of a minute's count in multiples of Poisson's.
    pub(super) grain: f64,
    /// Bursts among it.
    pub(super) bursts: Option<Bursts>,
    /// What happens.
    pub(super) happens: Vec<Happening>,
}

/// Bursts that come at random.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bursts {
    /// Mean minutes from one to the next, when day and week have 1.
    pub(super) every_min: f64,
    /// The least burst at its height, in shares of the level.
    pub(super) least: f64,
    /// Pareto's exponent: the smaller, the wilder.
    pub(super) tail: f64,
    /// Minutes until a burst has fallen to a third, least and most.
    pub(super) fade_min: (f64, f64),
}

/// Something that happens; times are minutes after the scored part began, negative in the past. All of it multiplies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// Rises to `factor` within `rise`, holds, and falls back within `fall`.
    Surge { at: i64, rise: i64, hold: i64, fall: i64, factor: f64 },
    /// From then on.
    Shift { at: i64, factor: f64 },
    /// Rises or falls evenly and stays.
    Ramp { at: i64, over: i64, factor: f64 },
    /// For a few minutes out of every `period`, over the whole series.
    Every { period: i64, offset: i64, lasts: i64, factor: f64 },
}

/// When a series begins and how it is cut.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) start: Timestamp,
    pub(super) zone: TimeZone,
    pub(super) history_min: i64,
    pub(super) scored_min: i64,
}

impl Load {
    /// Units/s by the minute.
    pub(super) fn minutes(&self, span: &Span, seed: u64, purpose: &[&str]) -> Vec<f64> {
        let dice = |what: &str| Dice::new(seed, &[purpose, &[what]].concat());
        let total = span.history_min + span.scored_min;
        let days = self.days(total, &mut dice("days"));
        let (mut slow, mut fast) = (Wander::new(SLOW_MIN, self.wander.0), Wander::new(FAST_MIN, self.wander.1));
        let (mut wander, mut grain) = (dice("wander"), dice("grain"));
        let usual: Vec<f64> =
            Clock::new(span).take(total as usize).zip(0..).map(|(clock, minute)| self.usual(clock, minute, &days)).collect();
        let bursts = self.bursts.map_or_else(|| vec![0.0; usual.len()], |bursts| bursts.minutes(&usual, &mut dice("bursts")));
        (0..)
            .zip(usual.iter().zip(bursts))
            .map(|(minute, (usual, burst))| {
                let wandering = libm::exp(slow.next(&mut wander) + fast.next(&mut wander));
                let happening: f64 = self.happens.iter().map(|happening| happening.factor(minute - span.history_min)).product();
                let rate = self.level * (usual * wandering + burst) * happening;
                // A rate over a minute of 60 seconds.
                (rate + (rate * (self.grain - 1.0).max(0.0) / 60.0).sqrt() * grain.normal()).max(0.0)
            })
            .collect()
    }

    /// The level of each day, and the hours by which it comes late; one more than there are, since between two noons both count.
    fn days(&self, total_min: i64, dice: &mut Dice) -> Vec<(f64, f64)> {
        let count = total_min / DAY_MIN + 3;
        // A day that differs by a tenth comes a quarter of an hour early or late.
        (0..count).map(|_| (libm::exp(self.days_differ * dice.normal()), 2.5 * self.days_differ * dice.normal())).collect()
    }

    /// Share of the level that this minute of this weekday usually has.
    fn usual(&self, clock: Clock, minute: i64, days: &[(f64, f64)]) -> f64 {
        // From noon to noon the level of one day gives way to the next one's.
        let noons = clock.since_first_midnight_min as f64 / DAY_MIN as f64 + 0.5;
        let (index, share) = (noons as usize, noons.fract());
        let mix = |of: fn(&(f64, f64)) -> f64| {
            let at = |index: usize| days.get(index).or(days.last()).map_or(0.0, of);
            at(index) + (at(index + 1) - at(index)) * share
        };
        let hour = clock.hour - mix(|day| day.1);
        let grown = libm::pow(1.0 + self.growth, minute as f64 / (7 * DAY_MIN) as f64);
        let week = self.week[clock.weekday.to_monday_zero_offset() as usize];
        by_hour(self.day, hour.rem_euclid(24.0)) * week * grown * mix(|day| day.0)
    }
}

fn by_hour(day: &[(f64, f64)], hour: f64) -> f64 {
    let (Some(first), Some(last)) = (day.first(), day.last()) else { return 1.0 };
    let (from, to) = match day.iter().position(|(h, _)| *h > hour) {
        Some(0) => ((last.0 - 24.0, last.1), *first),
        Some(index) => (day[index - 1], day[index]),
        None => (*last, (first.0 + 24.0, first.1)),
    };
    let share = (hour - from.0) / (to.0 - from.0);
    from.1 + (to.1 - from.1) * (1.0 - libm::cos(std::f64::consts::PI * share)) / 2.0
}

impl Bursts {
    fn minutes(&self, usual: &[f64], dice: &mut Dice) -> Vec<f64> {
        let mut minutes = vec![0.0; usual.len()];
        // Time runs as fast as things go on.
        let mut until = dice.wait(self.every_min);
        for (minute, usual) in usual.iter().enumerate() {
            until -= usual;
            if until > 0.0 {
                continue;
            }
            until = dice.wait(self.every_min);
            let height = self.least * dice.pareto(self.tail).min(LARGEST_BURST);
            let (rise, fade) = (dice.between(0.0, 4.0).floor() as usize, dice.between(self.fade_min.0, self.fade_min.1));
            for (after, burst) in minutes[minute..].iter_mut().enumerate().take(rise + 6 * fade as usize) {
                *burst += if after < rise {
                    height * (after + 1) as f64 / (rise + 1) as f64
                } else {
                    height * libm::exp(-((after - rise) as f64) / fade)
                };
            }
        }
        minutes
    }
}

impl Happening {
    fn factor(self, minute: i64) -> f64 {
        let share = |into: i64, over: i64| (into as f64 / over.max(1) as f64).clamp(0.0, 1.0);
        match self {
            Self::Surge { at, rise, hold, fall, factor } => {
                let (up, down) = (share(minute - at + 1, rise), share(minute - at - rise - hold + 1, fall));
                let height = if minute < at { 0.0 } else { up - down };
                1.0 + (factor - 1.0) * height
            }
            Self::Shift { at, factor } => {
                if minute < at {
                    1.0
                } else {
                    factor
                }
            }
            Self::Ramp { at, over, factor } => 1.0 + (factor - 1.0) * share(minute - at, over),
            Self::Every { period, offset, lasts, factor } => {
                if (minute - offset).rem_euclid(period) < lasts {
                    factor
                } else {
                    1.0
                }
            }
        }
    }
}

/// A first-order autoregressive process.
struct Wander {
    keeps: f64,
    takes: f64,
    now: f64,
}

impl Wander {
    fn new(over_min: f64, deviation: f64) -> Self {
        let keeps = libm::exp(-1.0 / over_min);
        Self { keeps, takes: deviation * (1.0 - keeps * keeps).sqrt(), now: 0.0 }
    }

    fn next(&mut self, dice: &mut Dice) -> f64 {
        self.now = self.keeps * self.now + self.takes * dice.normal();
        self.now
    }
}

/// The wall clock, minute by minute.
#[derive(Clone, Copy)]
struct Clock {
    hour: f64,
    weekday: Weekday,
    since_first_midnight_min: i64,
}

impl Clock {
    fn new(span: &Span) -> impl Iterator<Item = Self> {
        let local = move |minute: i64| span.start.saturating_add(SignedDuration::from_mins(minute)).unwrap_or(Timestamp::MAX);
        let first = span.start.to_zoned(span.zone.clone());
        let first_midnight_min = i64::from(first.hour()) * 60 + i64::from(first.minute());
        let mut whole_hour = first.clone();
        (0..).map(move |minute: i64| {
            // No zone changes its offset within an hour of the clock.
            let into = minute.rem_euclid(60);
            if into == 0 {
                whole_hour = local(minute).to_zoned(span.zone.clone());
            }
            let minutes = i64::from(whole_hour.hour()) * 60 + i64::from(whole_hour.minute()) + into;
            Self {
                hour: minutes.rem_euclid(DAY_MIN) as f64 / 60.0,
                weekday: whole_hour.weekday(),
                since_first_midnight_min: first_midnight_min + minute,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &[(f64, f64)] = &[(4.0, 0.1), (12.0, 1.0), (20.0, 0.6)];

    fn load() -> Load {
        Load {
            level: 1000.0,
            day: DAY,
            week: [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.4],
            growth: 0.0,
            days_differ: 0.0,
            wander: (0.0, 0.0),
            grain: 1.0,
            bursts: None,
            happens: Vec::new(),
        }
    }

    fn span(history_h: i64, scored_h: i64) -> Span {
        let start = "2026-03-02T00:00:00Z".parse().unwrap();
        Span { start, zone: TimeZone::UTC, history_min: history_h * 60, scored_min: scored_h * 60 }
    }

    fn minutes(load: &Load) -> Vec<f64> {
        load.minutes(&span(14 * 24, 24), 1, &["test"])
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn a_quiet_load_follows_the_hours_and_the_weekdays() {
        let minutes = minutes(&load());
        let at = |day: usize, hour: usize| minutes[(day * 24 + hour) * 60].round();
        assert_eq!([at(0, 4), at(0, 12), at(0, 16), at(0, 20), at(0, 8)], [100.0, 1000.0, 800.0, 600.0, 550.0]);
        assert_eq!([at(5, 12), at(6, 12), at(7, 12)], [500.0, 400.0, 1000.0]);
    }

    #[test]
    fn a_clock_that_changes_moves_the_day() {
        let vienna = Span { start: "2026-03-28T00:00:00Z".parse().unwrap(), zone: TimeZone::get("Europe/Vienna").unwrap(), ..span(24, 24) };
        let week = [1.0; 7];
        let minutes = Load { week, ..load() }.minutes(&vienna, 1, &["test"]);
        assert_eq!(minutes[11 * 60].round(), 1000.0, "11:00 UTC is noon on Saturday");
        assert_eq!(minutes[(24 + 10) * 60].round(), 1000.0, "10:00 UTC is noon on Sunday");
    }

    #[test]
    fn the_wandering_is_autocorrelated_and_its_size_follows_the_rate() {
        let wild = minutes(&Load { wander: (0.1, 0.05), week: [1.0; 7], ..load() });
        let quiet = minutes(&Load { week: [1.0; 7], ..load() });
        let ratio: Vec<f64> = wild.iter().zip(&quiet).map(|(wild, quiet)| libm::log(wild / quiet)).collect();
        let spread = |of: &dyn Fn(usize) -> bool| {
            let picked: Vec<f64> = ratio.iter().enumerate().filter(|(minute, _)| of(minute % 1440)).map(|(_, r)| r * r).collect();
            mean(&picked).sqrt()
        };
        let (night, noon) = (spread(&|minute| minute < 360), spread(&|minute| (660..900).contains(&minute)));
        assert!((0.07..0.16).contains(&night) && (0.07..0.16).contains(&noon), "{night} {noon}");
        let lagged = |lag: usize| {
            mean(&ratio.windows(lag + 1).map(|w| w[0] * w[lag]).collect::<Vec<_>>())
                / mean(&ratio.iter().map(|r| r * r).collect::<Vec<_>>())
        };
        assert!(lagged(1) > 0.9 && lagged(30) > 0.4 && lagged(30) < 0.8, "{} {}", lagged(1), lagged(30));
    }

    #[test]
    fn bursts_come_when_much_is_going_on_and_one_is_far_larger_than_most() {
        let bursts = Bursts { every_min: 90.0, least: 0.1, tail: 1.3, fade_min: (3.0, 8.0) };
        let with = minutes(&Load { bursts: Some(bursts), week: [1.0; 7], ..load() });
        let without = minutes(&Load { week: [1.0; 7], ..load() });
        let burst: Vec<f64> = with.iter().zip(&without).map(|(with, without)| with - without).collect();
        let by_hours = |hours: std::ops::Range<usize>| {
            mean(&burst.iter().enumerate().filter(|(minute, _)| hours.contains(&(minute % 1440 / 60))).map(|(_, b)| *b).collect::<Vec<_>>())
        };
        assert!(by_hours(10..16) > 2.0 * by_hours(2..6));
        let mut heights: Vec<f64> = burst.windows(3).filter(|w| w[1] > 50.0 && w[1] >= w[0] && w[1] > w[2]).map(|w| w[1]).collect();
        heights.sort_by(f64::total_cmp);
        assert!(heights.len() > 50 && heights[heights.len() - 1] > 4.0 * heights[heights.len() / 2], "{heights:?}");
    }

    #[test]
    fn days_differ_and_grow() {
        let noons = |load: &Load| (0..15).map(|day| minutes(load)[(day * 24 + 12) * 60]).collect::<Vec<f64>>();
        let differing = noons(&Load { days_differ: 0.08, week: [1.0; 7], ..load() });
        assert!(differing.windows(2).all(|pair| (pair[0] - pair[1]).abs() > 0.1), "{differing:?}");
        let growing = noons(&Load { growth: 0.1, week: [1.0; 7], ..load() });
        assert!((growing[14] / growing[0] - 1.21).abs() < 0.01);
    }

    #[test]
    fn what_happens_happens_at_its_minute() {
        let surge = Happening::Surge { at: 10, rise: 2, hold: 3, fall: 5, factor: 3.0 };
        let factors = [9, 10, 11, 14, 15, 19, 20].map(|minute| (surge.factor(minute) * 10.0).round());
        assert_eq!(factors, [10.0, 20.0, 30.0, 30.0, 26.0, 10.0, 10.0]);
        assert_eq!([-1, 0, 9].map(|minute| Happening::Shift { at: 0, factor: 2.0 }.factor(minute)), [1.0, 2.0, 2.0]);
        assert_eq!([0, 5, 10, 50].map(|minute| Happening::Ramp { at: 0, over: 10, factor: 3.0 }.factor(minute)), [1.0, 2.0, 3.0, 3.0]);
        let every = Happening::Every { period: 30, offset: 0, lasts: 2, factor: 1.5 };
        assert_eq!([-30, -29, -28, 0, 1, 2, 30].map(|minute| every.factor(minute)), [1.5, 1.5, 1.0, 1.5, 1.5, 1.0, 1.5]);
    }
}
