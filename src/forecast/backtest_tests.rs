//! Back-test, in sentences.

use jiff::Timestamp;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::forecast::world::{NOW, at, daily};

/// Uniform noise of mean 0 and standard deviation 1.
fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    move || (rng.next_u32() as f32 / u32::MAX as f32 - 0.5) * 12f32.sqrt()
}

fn series(days: i64, mut value: impl FnMut(i64) -> f32) -> Series {
    let count = days * 288;
    let start = NOW - 300 * (count - 1);
    Series { start: at(start), step_s: 300, values: (0..count).map(|i| value(start + 300 * i)).collect() }
}

fn forecast(series: &Series, minutes: u16) -> SeriesForecast {
    forecast_series(series, minutes, None, &TimeZone::UTC).unwrap()
}

#[test]
fn a_season_is_forecast_as_a_season_and_noise_as_a_level() {
    let mut noise_of_day = noise(1);
    let seasonal = forecast(&series(10, |t| daily(t) * (1.0 + 0.05 * noise_of_day())), 30);
    assert!(!seasonal.outlook.model.contains("level"), "{}", seasonal.outlook.model);
    let mut noise_alone = noise(2);
    let level = forecast(&series(10, |_| 100.0 + 10.0 * noise_alone()), 30);
    assert!(level.outlook.model.contains("level"), "{}", level.outlook.model);
    assert!((level.outlook.quantile(30, 0.5) / 100.0 - 1.0).abs() < 0.05);
}

#[test]
fn it_beats_the_best_naive_and_its_ninety_percent_covers_ninety_percent() {
    for seed in 3..6 {
        let mut noise = noise(seed);
        let forecast = forecast(&series(14, |t| daily(t) * (1.0 + 0.1 * noise())), 15);
        let quality = forecast.backtest;
        assert!(quality.skill_vs_naive.unwrap() > 0.15, "{quality:?}");
        assert!((0.86..=0.94).contains(&quality.coverage90.unwrap()), "{quality:?}");
        assert!(quality.mape.unwrap() < 0.12, "{quality:?}");
    }
}

#[test]
fn the_outlook_rises_before_the_day_does() {
    // 10:00, the wave rises until 14:00.
    let forecast = forecast(&series(7, daily), 30);
    let (soon, later) = (forecast.outlook.quantile(0, 0.5), forecast.outlook.quantile(60, 0.5));
    let truth = f64::from(daily(NOW + 3600));
    assert!(later > soon && (later / truth - 1.0).abs() < 0.05, "{soon} {later} {truth}");
}

#[test]
fn a_weekend_is_known_where_weeks_are() {
    let weekly = |t: i64| {
        // Unix days begin on a Thursday: days 2 and 3 are the weekend.
        let weekend = matches!((t / 86_400) % 7, 2 | 3);
        daily(t) * if weekend { 0.3 } else { 1.0 }
    };
    // Up to Saturday, 00:00.
    let midnight = NOW - NOW.rem_euclid(86_400) + 3 * 86_400;
    let count = 28 * 288;
    let start = midnight - 300 * (count - 1);
    let series = Series { start: at(start), step_s: 300, values: (0..count).map(|i| weekly(start + 300 * i)).collect() };
    let truth = f64::from(weekly(midnight + 3600));
    let seen = forecast(&series, 60).outlook.quantile(60, 0.5);
    assert!(seen < 1.5 * truth, "{seen} {truth}");
}

#[test]
fn a_named_model_is_taken() {
    let series = series(6, daily);
    for kind in ModelKind::ALL {
        let forecast = forecast_series(&series, 30, Some(kind), &TimeZone::UTC).unwrap();
        assert_eq!(&*forecast.outlook.model, kind.name());
    }
}

#[test]
fn a_repeat_of_yesterday_is_hardly_lost_to() {
    // Jobs by the clock, other ones each hour and the same each day: yesterday is the best forecast there is.
    let mut noise = noise(7);
    let forecast = forecast(&series(14, |t| 100.0 * (1.0 + ((t / 300) % 288 * 7919 % 97) as f32 / 20.0) * (1.0 + 0.02 * noise())), 30);
    assert!(forecast.backtest.skill_vs_naive.unwrap() > -0.05, "{:?}", forecast.backtest);
}

#[test]
fn a_shift_of_level_is_followed_at_once_and_does_not_run_away() {
    for minutes in [15, 30, 60] {
        let factor = |t: i64| if t > NOW - 60 * minutes { 3.0 } else { 1.0 };
        let mut noise = noise(8);
        let outlook = forecast(&series(14, |t| daily(t) * factor(t) * (1.0 + 0.03 * noise())), 30).outlook;
        for ahead in [5, 30, 60] {
            let truth = f64::from(3.0 * daily(NOW + 60 * ahead));
            let seen = outlook.quantile(usize::try_from(ahead).unwrap(), 0.5);
            assert!((0.8..1.25).contains(&(seen / truth)), "{minutes} minutes after, {ahead} ahead: {seen} {truth}");
        }
    }
}

#[test]
fn an_outage_yesterday_is_not_forecast_for_today() {
    let out = NOW - 86_400..NOW - 86_400 + 3600;
    let forecast = forecast(&series(10, |t| if out.contains(&t) { 0.0 } else { daily(t) }), 30);
    let truth = f64::from(daily(NOW + 1800));
    let seen = forecast.outlook.quantile(30, 0.5);
    assert!((seen / truth - 1.0).abs() < 0.1, "{seen} {truth}");
}

#[test]
fn a_true_zero_is_zero() {
    let forecast = forecast(&series(10, |t| if t > NOW - 3600 { 0.0 } else { 100.0 }), 30);
    assert!(forecast.outlook.quantile(5, 0.5) < 5.0, "{:?}", forecast.outlook.printed());
}

#[test]
fn less_than_an_hour_of_seconds_is_forecast_by_the_minute() {
    let mut noise = noise(9);
    let values = (0..330).map(|_| 100.0 * (1.0 + 0.2 * noise())).collect();
    let series = Series { start: at(NOW), step_s: 10, values };
    let forecast = forecast(&series, 10);
    assert_eq!(forecast.step_s, 60);
    assert!((forecast.outlook.quantile(10, 0.5) / 100.0 - 1.0).abs() < 0.2, "{:?}", forecast.outlook.printed());
}

#[test]
fn too_short_a_series_gives_nothing_and_gaps_give_no_zeros() {
    assert_eq!(forecast_series(&series(0, daily), 30, None, &TimeZone::UTC), None);
    let mut holed = series(7, |_| 100.0);
    let length = holed.values.len();
    holed.values[length - 30..].fill(f32::NAN);
    holed.values[300..900].fill(f32::NAN);
    let forecast = forecast(&holed, 30);
    assert!(forecast.outlook.quantile(30, 0.05) > 80.0, "{:?}", forecast.outlook.printed());
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = f32> {
        prop_oneof![
            4 => 0.0f32..1000.0,
            1 => Just(f32::NAN),
            1 => prop::num::f32::ANY,
            1 => Just(0.0),
            1 => Just(f32::MAX),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_series_makes_it_panic_or_answer_nonsense(
            values in prop::collection::vec(any_value(), 0..900),
            step in prop_oneof![Just(0u32), Just(60), Just(300), Just(1800), Just(3600), 1u32..100_000],
            start in -4_000_000_000i64..4_000_000_000,
            horizon in 0u16..100,
        ) {
            let series = Series { start: Timestamp::from_second(start).unwrap(), step_s: step, values };
            if let Some(forecast) = forecast_series(&series, horizon, None, &TimeZone::UTC) {
                for minute in [0, 15, 60] {
                    let (p50, p90) = (forecast.outlook.quantile(minute, 0.5), forecast.outlook.quantile(minute, 0.9));
                    prop_assert!(p50.is_finite() && p90.is_finite() && 0.0 <= p50 && p50 <= p90);
                }
            }
        }
    }
}
