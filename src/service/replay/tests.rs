//! The fluid against the queue of the simulator, second by second.

use super::*;
use crate::service::tests::web;
use crate::service::{Arrivals, ServiceKind, Worth};

const DAY: u32 = 86_400;

fn draw(rates: &[f32], step_s: u32, seed: u64) -> Vec<u32> {
    let seconds = rates.len() as u32 * step_s;
    let rate = |second: u32| f64::from(rates[(second / step_s) as usize]);
    (0..seconds).map(|second| Arrivals::new(seed).at(i64::from(second), rate(second)) as u32).collect()
}

fn spec<'a>(service: &'a ServiceSpec, rates: &'a [f32], startup_s: u32) -> ReplaySpec<'a> {
    ReplaySpec { service, slo_latency_s: 0.25, startup_s, bounds: Bounds { min: 1, max: 60 }, rates, step_s: 60, start_replicas: 6 }
}

/// As many as `load` of their capacity for the rate of the last minute; fewer only after ten minutes.
fn follow(load: f64) -> impl FnMut(&ReplaySight) -> u32 {
    let mut last = Vec::new();
    move |sight| {
        last.push((sight.rate / 50.0 / load).ceil().max(1.0) as u32);
        last.iter().rev().take(40).copied().max().unwrap_or(1)
    }
}

/// The policy's decisions in the exact replay are made again in the fluid one, so that both are asked for the same launches.
fn check(name: &str, spec: &ReplaySpec<'_>, load: f64, bad_apart: f64) {
    let arrivals = draw(spec.rates, spec.step_s, 4);
    let mut asked = Vec::new();
    let mut policy = follow(load);
    let exact = replay_exactly(spec, &arrivals, &mut |sight| {
        asked.push(policy(sight));
        asked[asked.len() - 1]
    });
    let mut again = asked.iter();
    let fluid = replay(spec, &mut |_| *again.next().unwrap());
    assert_eq!(fluid.replica_seconds, exact.replica_seconds, "{name}");
    assert_eq!(
        (fluid.launches, fluid.cold_restarts, fluid.scale_downs),
        (exact.launches, exact.cold_restarts, exact.scale_downs),
        "{name}"
    );
    let share = |tally: &Tally| tally.bad as f64 / tally.arrived as f64;
    let (found, truth) = (share(&fluid), share(&exact));
    assert!((found - truth).abs() <= bad_apart * truth + 1e-4, "{name}: bad share {found:.5}, exactly {truth:.5}");
    for price in [10.0, 30.0] {
        let worth = Worth { price, capacity: spec.service.capacity, startup_s: f64::from(spec.startup_s) };
        let ratio = worth.objective(&fluid) / worth.objective(&exact);
        assert!((ratio - 1.0).abs() < 0.03, "{name}: objective at {price} is {ratio:.4} of the exact one");
    }
}

fn seasonal(peak: f64) -> Vec<f32> {
    let minute = |minute: u32| {
        let day = f64::from(minute) / 1440.0 * std::f64::consts::TAU;
        let lunch = (-((f64::from(minute) - 760.0) / 40.0).powi(2)).exp();
        (peak * (0.55 - 0.4 * day.cos() + 0.15 * lunch)) as f32
    };
    (0..DAY / 60).map(minute).collect()
}

fn spiky() -> Vec<f32> {
    let minute = |minute: u32| if minute % 97 < 7 { 700.0 } else { 120.0 + 40.0 * (minute % 13) as f32 };
    (0..DAY / 60).map(minute).collect()
}

#[test]
fn it_agrees_with_the_exact_queue_on_seasonal_load() {
    let service = web();
    for (load, startup_s) in [(0.7, 30), (0.9, 30), (0.97, 30), (0.9, 180)] {
        check(&format!("seasonal at {load}"), &spec(&service, &seasonal(900.0), startup_s), load, 0.1);
    }
}

#[test]
fn it_agrees_with_the_exact_queue_on_spikes() {
    let service = ServiceSpec { timeout_s: 30.0, ..web() };
    for startup_s in [30, 50, 420] {
        check(&format!("spikes, {startup_s} s to start"), &spec(&service, &spiky(), startup_s), 0.8, 0.05);
    }
}

#[test]
fn it_agrees_with_the_exact_queue_in_overload() {
    let rates = [300.0; 240];
    let overloaded = |service: &ServiceSpec, max: u32, name: &str| {
        let spec = ReplaySpec { bounds: Bounds { min: 1, max }, start_replicas: max, ..spec(service, &rates, 30) };
        check(name, &spec, 0.5, 0.03);
    };
    overloaded(&web(), 5, "120 % load, lost after 3 s");
    overloaded(&ServiceSpec { timeout_s: 30.0, ..web() }, 4, "150 % load, lost after 30 s");
    overloaded(&ServiceSpec { kind: ServiceKind::Queue, ..web() }, 5, "120 % load, nothing is lost");
}

#[test]
fn queued_work_is_late_by_its_wait() {
    let service = ServiceSpec { kind: ServiceKind::Queue, ..web() };
    let rates = spiky();
    let spec = ReplaySpec { slo_latency_s: 120.0, ..spec(&service, &rates, 180) };
    check("a queue with two minutes", &spec, 0.95, 0.05);
}

#[test]
fn noise_alone_makes_as_many_late_as_in_the_exact_queue() {
    // Steady loads at which between one in three hundred and a fifth of all units wait too long.
    for (replicas, load) in [(1, 0.6), (1, 0.7), (1, 0.8), (2, 0.85), (4, 0.9), (4, 0.95), (12, 0.97), (12, 0.98), (30, 0.99)] {
        let service = web();
        let rates = vec![(50.0 * f64::from(replicas) * load) as f32; 2 * DAY as usize / 60];
        let bounds = Bounds { min: replicas, max: replicas };
        let spec = ReplaySpec { bounds, start_replicas: replicas, ..spec(&service, &rates, 30) };
        let share = |tally: Tally| tally.bad as f64 / tally.arrived as f64;
        let found = share(replay(&spec, &mut |_| replicas));
        let truth = share(replay_exactly(&spec, &draw(&rates, 60, 9), &mut |_| replicas));
        assert!(
            (found / truth - 1.0).abs() < 0.25 || (found - truth).abs() < 5e-4,
            "{replicas} replicas at {load}: {found:.5}, exactly {truth:.5}"
        );
    }
}

#[test]
fn a_policy_sees_the_past_and_nothing_else() {
    let service = web();
    let rates: Vec<f32> = [100.0; 5].into_iter().chain([400.0; 5]).collect();
    let spec = ReplaySpec { start_replicas: 4, ..spec(&service, &rates, 45) };
    let mut seen = Vec::new();
    replay(&spec, &mut |sight| {
        seen.push(*sight);
        if sight.at_s >= 60 { 5 } else { 4 }
    });
    assert_eq!(seen.len(), 40);
    let at = |second: u32| seen[(second / STEP_S) as usize];
    assert!((at(300).rate - 100.0).abs() < 1e-6 && (at(315).rate - 175.0).abs() < 1e-6, "the surge shows after it began");
    assert!((at(30).utilisation - 0.5).abs() < 1e-9 && (at(30).cores - (0.8 + 0.08)).abs() < 1e-9);
    assert_eq!((at(75).desired, at(75).ready, at(75).starting), (5, 4, 1));
    assert_eq!((at(105).ready, at(105).starting), (5, 0), "launched at 60, ready 45 s later");
    assert_eq!(at(300).waiting, 0.0);
    assert!(at(360).waiting > 0.0);
    assert_eq!(at(360).utilisation, 1.0);
}

#[test]
fn what_is_not_a_number_is_nothing_and_an_empty_past_comes_to_nothing() {
    let service = web();
    let odd = [f32::NAN, -5.0, f32::INFINITY, 60.0];
    let tally = replay(&spec(&service, &odd, 30), &mut |sight| sight.desired);
    assert_eq!((tally.arrived, tally.bad), (3600, 0));
    assert_eq!(replay(&spec(&service, &[], 30), &mut |_| 9), Tally::default());
}
