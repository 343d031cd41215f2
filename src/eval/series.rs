//! A demand series as recorded, into the rate that arrivals are drawn from.
//!
//! # The rule
//!
//! A sample stands for its own interval: what was offered from its time until the next. A series that is [`coarse`] or was scaled is a rate, and the
//! grain of its samples says nothing of how a service of this size would see it: the rate of a second is the mean of the samples that held over
//! the last ten minutes.
//!
//! A series that counts just this service (`smooth: false`) keeps its grain. When a sample begins, the rate leaves the level it has and moves to the
//! sample's in a straight line that takes as long as the step before it, at most ten minutes; there it stays until the next sample begins. So it
//! keeps its shape, its peaks and its sum, one step late: it is interpolated towards a sample only after that sample has begun. A series by the
//! second is what it is.
//!
//! A gap holds the last rate, and what comes after it is reached within ten minutes.
//!
//! Nothing looks ahead: not at the next sample's value, and not at when it will come. A policy that sees the rate up to a second therefore knows
//! nothing of what the recording says of later ones. Left out: the noise of single arrivals, which are drawn from this rate.

use super::incident::DemandSamples;
use crate::service::RateSeries;

/// Seconds over which a coarse or scaled series is smoothed.
pub const SMOOTHED_OVER_S: u32 = 600;

/// Spacings on either side that say what spacing is usual at a place.
const NEIGHBOURS: usize = 7;

/// Samples further apart than this are means of their time, and no counts of what a scrape sees.
const COARSE_S: u32 = 15;

/// Whether most samples are more than a scrape apart.
#[must_use]
pub fn coarse(samples: &[(u32, f64)]) -> bool {
    let mut steps: Vec<u32> = samples.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).is_none_or(|usual| *usual > COARSE_S)
}

/// The rate from `from_s` until `to_s` (not included), seconds from the incident's start, which is the Unix second `start_s`; one value a second.
/// Before the first sample its value holds, after the last the last.
#[must_use]
pub fn rate(demand: &DemandSamples, start_s: i64, from_s: u32, to_s: u32) -> RateSeries {
    let rates = match demand.samples.first() {
        None => Vec::new(),
        Some(_) if demand.smooth => smoothed(&demand.samples, from_s, to_s),
        Some(_) => moved(&demand.samples, from_s, to_s),
    };
    RateSeries { start_s: start_s.saturating_add(i64::from(from_s)), step_s: 1, rates: rates.into() }
}

/// In each second the mean of what held over the last ten minutes, that second among them.
fn smoothed(samples: &[(u32, f64)], from_s: u32, to_s: u32) -> Vec<f32> {
    let begun_s = i64::from(from_s) - i64::from(SMOOTHED_OVER_S);
    let mut next = 0;
    let held: Vec<f64> = (begun_s..i64::from(to_s))
        .map(|second| {
            while samples.get(next + 1).is_some_and(|(at, _)| i64::from(*at) <= second) {
                next += 1;
            }
            samples[next].1
        })
        .collect();
    let window = SMOOTHED_OVER_S as usize;
    let mut sum: f64 = held.iter().take(window).sum();
    let mean = |(entered, left): (&f64, &f64)| {
        sum += entered - left;
        // Sums that go up and down carry the last digit's noise along; a rate is never below zero.
        (sum / window as f64).max(0.0) as f32
    };
    held.iter().skip(window).zip(&held).map(mean).collect()
}

/// What was recorded, step by step.
fn moved(samples: &[(u32, f64)], from_s: u32, to_s: u32) -> Vec<f32> {
    let mut rates = Vec::with_capacity(to_s.saturating_sub(from_s) as usize);
    let mut rest = samples.iter().copied().peekable();
    if let Some(&(first, value)) = rest.peek() {
        let mut move_ = Move { from: value, to: value, begun: first, over: 1 };
        let mut before = first;
        for second in from_s..to_s {
            while let Some((begun, to)) = rest.next_if(|(at, _)| *at <= second) {
                move_ = Move { from: move_.before(begun), to, begun, over: (begun - before).clamp(1, SMOOTHED_OVER_S) };
                before = begun;
            }
            rates.push(move_.at(second) as f32);
        }
    }
    rates
}

/// Where the recording has nothing up to `until_s`: `(from, until)` in seconds from the incident's start. There the rate goes on and metrics show
/// nothing. A space of more than one and a half times what is usual around it is a gap, which begins where the sample before it ends.
#[must_use]
pub fn gaps(samples: &DemandSamples, until_s: u32) -> Vec<(u32, u32)> {
    let times: Vec<u32> = samples.samples.iter().map(|(at, _)| *at).chain([until_s]).collect();
    let spaces: Vec<u32> = samples.samples.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let usual = |index: usize| {
        let around = index.saturating_sub(NEIGHBOURS)..(index + NEIGHBOURS + 1).min(spaces.len());
        let mut near: Vec<u32> = spaces.get(around).unwrap_or_default().to_vec();
        near.sort_unstable();
        near.get(near.len() / 2).copied()
    };
    let gap = |(index, pair): (usize, &[u32])| {
        let usual = usual(index)?;
        let (from, until) = (pair[0].saturating_add(usual), pair[1].min(until_s));
        (u64::from(pair[1].saturating_sub(pair[0])) * 2 > u64::from(usual) * 3 && from < until).then_some((from, until))
    };
    times.windows(2).enumerate().filter_map(gap).collect()
}

/// The way from one level to the next.
struct Move {
    from: f64,
    to: f64,
    begun: u32,
    over: u32,
}

impl Move {
    /// The level in a second, at its end.
    fn at(&self, second: u32) -> f64 {
        let share = (f64::from(second.saturating_sub(self.begun)) + 1.0) / f64::from(self.over);
        if share >= 1.0 { self.to } else { self.from + (self.to - self.from) * share }
    }

    /// The level in the second before `second`.
    fn before(&self, second: u32) -> f64 {
        if second <= self.begun { self.from } else { self.at(second - 1) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::incident::Observe;
    use super::*;

    fn demand(samples: &[(u32, f64)]) -> DemandSamples {
        DemandSamples { samples: samples.to_vec(), observe: Observe::Offered, smooth: false }
    }

    fn rates(samples: &[(u32, f64)], from_s: u32, to_s: u32) -> Vec<f32> {
        rate(&demand(samples), 0, from_s, to_s).rates.to_vec()
    }

    #[test]
    fn a_coarse_series_moves_for_ten_minutes_and_then_holds() {
        let rates = rates(&[(0, 10.0), (3600, 70.0), (7200, 10.0)], 0, 9000);
        assert_eq!([rates[0], rates[3599], rates[3899], rates[4199], rates[7199]], [10.0, 10.0, 40.0, 70.0, 70.0]);
        assert_eq!(rates[7799], 10.0);
    }

    #[test]
    fn a_series_by_the_second_is_what_it_is() {
        assert_eq!(rates(&[(0, 1.0), (1, 5.0), (2, 0.0), (3, 7.0)], 0, 5), [1.0, 5.0, 0.0, 7.0, 7.0]);
    }

    #[test]
    fn a_fine_series_keeps_its_peak_and_its_sum_one_step_late() {
        let samples = [(0, 10.0), (60, 10.0), (120, 50.0), (180, 10.0), (240, 10.0), (300, 10.0)];
        let rates = rates(&samples, 0, 360);
        assert_eq!((rates[119], rates[179], rates[239]), (10.0, 50.0, 10.0));
        let extra: f32 = rates.iter().map(|rate| rate - 10.0).sum();
        assert!((extra - 40.0 * 60.0).abs() < 1.0, "{extra}");
    }

    #[test]
    fn a_stretch_is_cut_from_the_whole_and_knows_its_wall_clock() {
        let samples = demand(&[(0, 10.0), (300, 40.0), (600, 20.0)]);
        let (whole, part) = (rate(&samples, 1_000, 0, 900), rate(&samples, 1_000, 450, 900));
        assert_eq!((part.start_s, part.rates.len()), (1_450, 450));
        assert_eq!(part.rates[..], whole.rates[450..]);
        assert!(rate(&demand(&[]), 0, 0, 900).rates.is_empty());
    }

    #[test]
    fn a_gap_holds_the_last_rate_and_is_told() {
        let samples = [(0, 10.0), (60, 10.0), (120, 30.0), (180, 30.0), (1200, 90.0), (1260, 90.0), (1320, 90.0)];
        let rates = rates(&samples, 0, 2000);
        assert_eq!((rates[300], rates[1199]), (30.0, 30.0));
        assert!((rates[1200] - 30.0).abs() < 2.0, "what comes after a gap is not known ahead, and not jumped to");
        assert_eq!(gaps(&demand(&samples), 1380), [(240, 1200)]);
        assert_eq!(gaps(&demand(&samples), 3000), [(240, 1200), (1380, 3000)], "the end may be missing too");
    }

    #[test]
    fn a_change_of_step_is_no_gap() {
        let coarse = (0..20).map(|i| (i * 300, 1.0));
        let fine = (0..60).map(|i| (6000 + i * 60, 1.0));
        let again = (0..20).map(|i| (9600 + i * 300, 1.0));
        let samples: Vec<(u32, f64)> = coarse.chain(fine).chain(again).collect();
        assert_eq!(gaps(&demand(&samples), 15_600), []);
        assert_eq!(gaps(&demand(&[(0, 1.0)]), 600), [], "one sample says nothing of its step");
    }

    #[test]
    fn a_smoothed_rate_is_the_mean_of_ten_minutes() {
        let samples: Vec<(u32, f64)> = (0..40).map(|i| (i * 60, if i == 20 { 100.0 } else { 0.0 })).collect();
        let whole = rate(&DemandSamples { smooth: true, ..demand(&samples) }, 0, 0, 2400);
        let rates = &whole.rates;
        assert_eq!((rates[1199], rates[1229], rates[1259], rates[1799]), (0.0, 5.0, 10.0, 10.0));
        assert!(rates[1859] < 1e-3 && (rates.iter().sum::<f32>() - 6000.0).abs() < 1.0, "the peak's sum is kept");
        let part = rate(&DemandSamples { smooth: true, ..demand(&samples) }, 0, 1300, 1500);
        assert!(part.rates.iter().zip(&rates[1300..1500]).all(|(a, b)| (a - b).abs() < 1e-3), "wherever it is cut");
        assert!(coarse(&samples) && !coarse(&[(0, 1.0), (1, 2.0), (2, 3.0)]));
    }

    fn any_samples() -> impl Strategy<Value = Vec<(u32, f64)>> {
        proptest::collection::vec((1u32..1500, 0.0f64..1000.0), 1..40).prop_map(|steps| {
            let mut at = 0;
            steps
                .into_iter()
                .map(|(step, value)| {
                    at += step;
                    (at, value)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn nothing_of_the_future_changes_the_past(
            samples in any_samples(), others in any_samples(), keep in any::<prop::sample::Index>(), smooth in any::<bool>(),
        ) {
            let kept = keep.index(samples.len()) + 1;
            let now = samples[kept - 1].0;
            let later = others.iter().map(|(at, value)| (now + at, *value));
            let other: Vec<(u32, f64)> = samples[..kept].iter().copied().chain(later).collect();
            let until = now + others[0].0;
            let until = samples.get(kept).map_or(until, |(at, _)| until.min(*at));
            let shaped = |samples: &[(u32, f64)]| rate(&DemandSamples { smooth, ..demand(samples) }, 0, 0, until).rates.to_vec();
            prop_assert_eq!(shaped(&samples), shaped(&other));
        }

        #[test]
        fn the_rate_stays_between_what_was_recorded(samples in any_samples(), from in 0u32..20_000) {
            let (least, most) = samples.iter().fold((f64::MAX, 0.0f64), |(least, most), (_, v)| (least.min(*v), most.max(*v)));
            for rate in rates(&samples, from, from + 500) {
                prop_assert!(f64::from(rate) >= least - 1e-3 && f64::from(rate) <= most + 1e-3);
            }
        }

        #[test]
        fn gaps_lie_between_samples_and_before_the_end(samples in any_samples(), until in 1u32..80_000) {
            for (from, end) in gaps(&demand(&samples), until) {
                prop_assert!(from < end && end <= until);
                prop_assert!(samples.iter().all(|(at, _)| *at < from || *at >= end));
            }
        }
    }
}
