//! Small enough to be searched through: nothing beats an oracle.

use proptest::prelude::*;

use super::*;
use crate::service::tests::web;
use crate::service::{Arrivals, ServiceKind};

/// A service of four units/s a replica: a handful of units makes or breaks it.
fn small() -> ServiceSpec {
    ServiceSpec { capacity: 4.0, timeout_s: 4.0, ..web() }
}

fn spec(service: &ServiceSpec, startup_s: u32, price: f64) -> OracleSpec<'_> {
    OracleSpec {
        service,
        slo_latency_s: 0.6,
        startup_s,
        ending_s: 1,
        bounds: Bounds { min: 1, max: 3 },
        start_replicas: 1,
        unscored_s: 0,
        worth: Worth { price, capacity: service.capacity, startup_s: f64::from(startup_s) },
    }
}

/// The least objective over all schedules that change at multiples of `every_s` seconds.
fn exhaustive(spec: &OracleSpec<'_>, arrivals: &[u32], every_s: u32) -> f64 {
    let choices = spec.bounds.max - spec.bounds.min + 1;
    let changes = (arrivals.len() as u32).div_ceil(every_s);
    let objective = |mut number: u32| {
        let schedule: Vec<(u32, u32)> = (0..changes)
            .map(|change| {
                let replicas = spec.bounds.min + number % choices;
                number /= choices;
                (change * every_s, replicas)
            })
            .collect();
        spec.worth.objective(&score(spec, arrivals, &schedule))
    };
    (0..choices.pow(changes)).map(objective).fold(f64::INFINITY, f64::min)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_schedule_beats_it_and_where_it_is_exact_one_reaches_it(
        arrivals in proptest::collection::vec(prop_oneof![0u32..4, 3u32..10, 8u32..16], 7),
        startup_s in 0u32..5,
        price in prop_oneof![Just(1.0), Just(3.0), Just(30.0)],
        queue in any::<bool>(),
        unscored_s in prop_oneof![Just(0u32), Just(3u32)],
    ) {
        let kind = if queue { ServiceKind::Queue } else { ServiceKind::HTTP };
        let service = ServiceSpec { kind, ..small() };
        let spec = OracleSpec { unscored_s, ..spec(&service, startup_s, price) };
        let answer = oracle(&spec, &arrivals);
        let least = exhaustive(&spec, &arrivals, 1);
        prop_assert!(answer.objective <= least + 1e-9, "{} was reached, below {answer:?}", least);
        prop_assert!(answer.achieved >= least - 1e-9, "no schedule reaches {}: {answer:?}", answer.achieved);
        if answer.exact {
            prop_assert!((answer.objective - least).abs() < 1e-9, "{least} is the least: {answer:?}");
        }
    }
}

#[test]
fn it_is_exact_on_minutes_of_noise() {
    let service = small();
    let spec = spec(&service, 2, 10.0);
    let exact = (0..20).filter(|seed| {
        let arrivals: Vec<u32> = (0..120).map(|second| Arrivals::new(*seed).at(second, 5.0) as u32).collect();
        let answer = oracle(&spec, &arrivals);
        assert!(answer.objective <= answer.achieved + 1e-9, "{answer:?}");
        answer.exact
    });
    let exact = exact.count();
    assert!(exact >= 18, "{exact} of 20");
}

/// Six hours of a wave between 2 and 9 replicas.
fn wave(seed: u64) -> (Vec<f32>, Vec<u32>) {
    let rate = |second: u32| 275.0 - 175.0 * (f64::from(second) / 10_800.0 * std::f64::consts::TAU).cos();
    let arrivals = (0..21_600u32).map(|second| Arrivals::new(seed).at(i64::from(second), rate(second / 15 * 15)) as u32).collect();
    ((0..1440).map(|step| rate(step * 15) as f32).collect(), arrivals)
}

#[test]
fn its_schedule_comes_near_its_bound_and_nothing_it_knows_of_beats_it() {
    let (rates, arrivals) = wave(3);
    for (startup_s, price) in [(30, 10.0), (180, 30.0)] {
        let service = web();
        let spec = OracleSpec {
            slo_latency_s: 0.25,
            bounds: Bounds { min: 1, max: 20 },
            start_replicas: 3,
            unscored_s: 600,
            ..spec(&service, startup_s, price)
        };
        let answer = oracle(&spec, &arrivals);
        assert!(answer.achieved / answer.objective < 1.01, "{} over {}", answer.achieved, answer.objective);
        let by_rate = oracle_rate(&spec, &rates, 15);
        let tally = score(&spec, &arrivals, &by_rate);
        let of_rate = spec.worth.objective(&tally);
        assert!((1.0..1.08).contains(&(of_rate / answer.objective)), "the rate alone gives {of_rate} over {}", answer.objective);
        assert!((tally.bad as f64) < 0.002 * tally.arrived as f64, "{tally:?}");
        for replicas in 2..15 {
            let flat = spec.worth.objective(&score(&spec, &arrivals, &[(0, replicas)]));
            assert!(flat >= answer.objective, "{replicas} all the time");
        }
    }
}

#[test]
fn knowing_of_cold_restarts_it_avoids_them() {
    // A dip of a minute: too short to be worth a removal and a launch that costs twice.
    let service = web();
    let spec = OracleSpec { slo_latency_s: 0.25, bounds: Bounds { min: 1, max: 5 }, start_replicas: 2, ..spec(&service, 40, 30.0) };
    let arrivals: Vec<u32> = (0..600).map(|second| if (300..360).contains(&second) { 40 } else { 90 }).collect();
    let answer = oracle(&spec, &arrivals);
    assert!(answer.exact);
    assert_eq!(answer.schedule, [(0, 2)]);
    let free = OracleSpec { worth: Worth { startup_s: 0.0, ..spec.worth }, ..spec };
    assert_eq!(oracle(&free, &arrivals).schedule.len(), 3, "{:?}", oracle(&free, &arrivals));
}

#[test]
fn where_more_than_the_backlog_matters_it_says_so() {
    let arrivals = [60; 30];
    let answer = |service: &ServiceSpec| oracle(&spec(service, 2, 10.0), &arrivals).exact;
    assert!(answer(&web()));
    assert!(!answer(&ServiceSpec { contention: 0.1, ..web() }));
    assert!(!answer(&ServiceSpec { capacity: 1.0, base_latency_s: 1.0, ..web() }));
    assert!(!answer(&ServiceSpec { retry: crate::service::Retry { share: 0.5, max: 2 }, ..web() }));
}

#[test]
fn one_question_has_one_answer_and_nothing_is_an_answer_too() {
    let service = web();
    let spec = spec(&service, 30, 10.0);
    let arrivals: Vec<u32> = (0..900).map(|second| Arrivals::new(8).at(second, 90.0) as u32).collect();
    assert_eq!(oracle(&spec, &arrivals), oracle(&spec, &arrivals));
    let nothing = oracle(&spec, &[]);
    assert_eq!((nothing.objective, nothing.schedule), (0.0, vec![]));
    assert_eq!(oracle_rate(&spec, &[], 60), vec![]);
}
