//! A demand series as recorded, into the rate that arrivals are drawn from.
//!
//! # The rule
//!
//! A sample stands for its own interval: what was offered from its time until the next. When it begins, the rate leaves the level it has
//! and moves to the sample's in a straight line that takes as long as the step before it, at most ten minutes; there it stays until the next
//! sample begins. So
//!
//! - a series of ten minutes and more is the mean of its samples held, taken over the last ten minutes;
//! - a finer series keeps its shape, its peaks and its sum, one step late: it is interpolated towards a sample only after that sample has begun;
//! - a series by the second is what it is;
//! - a gap holds the last rate, and what comes after it is reached within ten minutes.
//!
//! Nothing looks ahead: not at the next sample's value, and not at when it will come. A policy that sees the rate up to a second therefore knows
//! nothing of what the recording says of later ones. Left out: the noise of single arrivals, which are drawn from this rate.

use super::incident::DemandSamples;
use crate::service::RateSeries;

/// Seconds over which a coarse or scaled series is smoothed.
pub const SMOOTHED_OVER_S: u32 = 600;

/// Spacings on either side that say what spacing is usual at a place.
const NEIGHBOURS: usize = 7;

/// The rate from `from_s` until `to_s` (not included), seconds from the incident's start, which is the Unix second `start_s`; one value a second.
/// Before the first sample its value holds, after the last the last.
#[must_use]
pub fn rate(samples: &DemandSamples, start_s: i64, from_s: u32, to_s: u32) -> RateSeries {
    let mut rates = Vec::with_capacity(to_s.saturating_sub(from_s) as usize);
    let mut rest = samples.samples.iter().copied().peekable();
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
    RateSeries { start_s: start_s.saturating_add(i64::from(from_s)), step_s: 1, rates: rates.into() }
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

/// Each sample as the mean of those that began within the last ten minutes, itself among them: the noise of few events is not scaled up with them.
#[must_use]
pub fn smoothed(samples: &[(u32, f64)]) -> Vec<(u32, f64)> {
    let mut first = 0;
    let mut sum = 0.0;
    samples
        .iter()
        .enumerate()
        .map(|(index, &(at, value))| {
            sum += value;
            while samples[first].0 + SMOOTHED_OVER_S <= at {
                sum -= samples[first].1;
                first += 1;
            }
            // Sums that go up and down carry the last digit's noise along; a rate is never below zero.
            (at, (sum / (index - first + 1) as f64).max(0.0))
        })
        .collect()
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
        DemandSamples { samples: samples.to_vec(), observe: Observe::Offered }
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
    fn what_is_scaled_is_smoothed_over_ten_minutes_of_its_past() {
        let samples: Vec<(u32, f64)> = (0..40).map(|i| (i * 60, if i == 20 { 100.0 } else { 0.0 })).collect();
        let smooth: Vec<f64> = smoothed(&samples).iter().map(|(_, value)| *value).collect();
        assert_eq!((smooth[19], smooth[20], smooth[29], smooth[30]), (0.0, 10.0, 10.0, 0.0));
        assert_eq!(smoothed(&[(0, 4.0), (1800, 8.0)]), [(0, 4.0), (1800, 8.0)], "a coarse series has one sample in ten minutes");
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
            samples in any_samples(), others in any_samples(), keep in any::<prop::sample::Index>(), scaled in any::<bool>(),
        ) {
            let kept = keep.index(samples.len()) + 1;
            let now = samples[kept - 1].0;
            let later = others.iter().map(|(at, value)| (now + at, *value));
            let other: Vec<(u32, f64)> = samples[..kept].iter().copied().chain(later).collect();
            let shaped = |samples: &[(u32, f64)]| if scaled { smoothed(samples) } else { samples.to_vec() };
            let until = now + others[0].0;
            let until = samples.get(kept).map_or(until, |(at, _)| until.min(*at));
            prop_assert_eq!(rates(&shaped(&samples), 0, until), rates(&shaped(&other), 0, until));
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
