//! Ticks of prediction, in sentences.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::limits::CustomSignal;
use crate::domain::limits::{Aggregate, JoinKey, Surge};
use crate::domain::memory::ForecastNote;
use crate::domain::units::GoDuration;
use crate::forecast::world::{NOW, add, at, daily, empty, history, signal};

fn with_demand(days: f64, value: &dyn Fn(i64) -> f32) -> (Snapshot, TargetKey) {
    let mut snapshot = empty(NOW);
    let key = add(&mut snapshot, "web", 4, true);
    signal(&mut snapshot, &key, SignalName::Demand, history(NOW, days, value));
    (snapshot, key)
}

/// Ticks on until every kind of fit was made, and gives the last outlook.
fn settled(snapshot: &mut Snapshot, key: &TargetKey) -> Arc<Outlook> {
    for _ in 0..3 {
        snapshot.memory.planner = Arc::new(predict(snapshot).memory);
    }
    predict(snapshot).outlooks[key].clone()
}

#[test]
fn the_first_tick_knows_the_season() {
    let (snapshot, key) = with_demand(14.0, &daily);
    let prediction = predict(&snapshot);
    let outlook = &prediction.outlooks[&key];
    let truth = f64::from(daily(NOW + 3600));
    assert!((outlook.quantile(60, 0.5) / truth - 1.0).abs() < 0.06, "{} {truth}", outlook.quantile(60, 0.5));
    assert!(outlook.quality.origins > 100);
    assert_eq!(prediction.memory.targets[&key].forecaster.as_ref().unwrap().completed, None);
}

#[test]
fn a_level_shift_is_followed_within_minutes_and_keeps_the_shape() {
    let shifted = |t: i64| daily(t) * if t > NOW - 900 { 2.0 } else { 1.0 };
    let (mut snapshot, key) = with_demand(14.0, &shifted);
    let outlook = settled(&mut snapshot, &key);
    let now = f64::from(shifted(NOW));
    assert!(outlook.quantile(0, 0.5) > 0.8 * now, "{} {now}", outlook.quantile(0, 0.5));
    assert!(outlook.quantile(0, 0.95) > 0.95 * now);
}

#[test]
fn a_gap_is_not_zero_demand() {
    let gap = |t: i64| if t > NOW - 1800 { f32::NAN } else { 100.0 };
    let (mut snapshot, key) = with_demand(5.0, &gap);
    let outlook = settled(&mut snapshot, &key);
    assert!((outlook.quantile(10, 0.5) / 100.0 - 1.0).abs() < 0.1, "{}", outlook.quantile(10, 0.5));
}

#[test]
fn a_young_series_is_carried_on_widely() {
    let (snapshot, key) = with_demand(0.02, &|_| 100.0);
    let prediction = predict(&snapshot);
    let outlook = &prediction.outlooks[&key];
    assert_eq!(&*outlook.model, "level");
    assert!((outlook.quantile(30, 0.5) - 100.0).abs() < 2.0);
    assert!(outlook.quantile(30, 0.95) > 130.0, "little is known");
    assert_eq!(prediction.memory.targets[&key].forecaster, None);
}

#[test]
fn an_announced_surge_multiplies_its_minutes() {
    let (mut snapshot, key) = with_demand(5.0, &|_| 100.0);
    let surge = Surge { name: "sale".into(), start: at(NOW + 1200), duration: GoDuration::from_mins(20), percent: 300 };
    snapshot.facts.groups.values_mut().next().unwrap().surges.push(surge);
    let outlook = predict(&snapshot).outlooks[&key].clone();
    for (minute, expected) in [(19, 100.0), (20, 300.0), (39, 300.0), (40, 100.0)] {
        assert!((outlook.quantile(minute, 0.5) / expected - 1.0).abs() < 0.05, "{minute} {}", outlook.quantile(minute, 0.5));
    }
}

#[test]
fn errors_are_learned_when_their_time_has_come() {
    let (mut snapshot, key) = with_demand(5.0, &|_| 100.0);
    snapshot.memory.planner = Arc::new(predict(&snapshot).memory);
    let at_five = |snapshot: &Snapshot| snapshot.memory.planner.targets[&key].forecaster.as_ref().unwrap().horizons[0].clone();
    let before = at_five(&snapshot);
    // An hour in which demand jumps between 50 and 150 every five minutes.
    let unsteady = |t: i64| if t <= NOW { 100.0 } else { 100.0 + 50.0 * if (t / 300) % 2 == 0 { 1.0 } else { -1.0 } };
    for minute in 1..=60 {
        let now = NOW + 60 * minute;
        snapshot.at = at(now);
        signal(&mut snapshot, &key, SignalName::Demand, history(now, 5.0, &unsteady));
        snapshot.memory.planner = Arc::new(predict(&snapshot).memory);
    }
    let after = at_five(&snapshot);
    assert!(after.seen >= before.seen + 10.0, "{} {}", before.seen, after.seen);
    assert!(after.sizes[0] > before.sizes[0] + 0.01, "{:?} {:?}", before.sizes, after.sizes);
    assert!(after.losses != before.losses && after.products != before.products);
}

#[test]
fn what_was_learned_outlives_a_new_fit() {
    let (mut snapshot, key) = with_demand(5.0, &daily);
    snapshot.memory.planner = Arc::new(predict(&snapshot).memory);
    let memory = Arc::make_mut(&mut snapshot.memory.planner);
    let state = memory.targets.get_mut(&key).unwrap().forecaster.as_mut().unwrap();
    state.fitted = at(NOW - 7 * 3600);
    state.completed = Some(at(NOW - 7 * 3600));
    state.horizons[2].seen = 12_345.0;
    let state = predict(&snapshot).memory.targets[&key].forecaster.clone().unwrap();
    assert_eq!((state.fitted, state.horizons[2].seen), (at(NOW), 12_345.0));
}

#[test]
fn a_state_is_small() {
    let (mut snapshot, key) = with_demand(35.0, &daily);
    settled(&mut snapshot, &key);
    for minute in 1..=60 {
        let now = NOW + 60 * minute;
        snapshot.at = at(now);
        signal(&mut snapshot, &key, SignalName::Demand, history(now, 35.0, &daily));
        snapshot.memory.planner = Arc::new(predict(&snapshot).memory);
    }
    let state = snapshot.memory.planner.targets[&key].forecaster.clone().unwrap();
    let shapes: usize = state.followers.iter().map(|f| f.shape.capacity()).sum();
    let sums: usize =
        state.horizons.iter().map(|h| h.losses.len() + h.products.len() + h.targets.len() + h.weights.len() + h.quantiles.len()).sum();
    let notes: usize = state.notes.iter().map(|n| size_of_val(n) / 4 + n.parts.len()).sum();
    assert!(state.notes.len() >= 20, "{}", state.notes.len());
    assert!(4 * (shapes + sums + notes) < 6000, "{shapes} {sums} {notes}");
}

#[test]
fn a_recreated_workload_starts_anew() {
    let (mut snapshot, key) = with_demand(5.0, &daily);
    snapshot.memory.planner = Arc::new(predict(&snapshot).memory);
    Arc::make_mut(&mut snapshot.memory.planner).targets.get_mut(&key).unwrap().capacity.samples = 99;
    snapshot.facts.workloads.get_mut(&key).unwrap().uid = "another".into();
    let memory = predict(&snapshot).memory;
    assert_eq!(memory.targets[&key].capacity.samples, 0);
    snapshot.facts.workloads.clear();
    assert!(predict(&snapshot).memory.targets.is_empty(), "what is gone is forgotten");
}

#[test]
fn a_teams_own_demand_signal_goes_before_the_shipped_one() {
    let (mut snapshot, key) = with_demand(5.0, &|_| 100.0);
    snapshot.facts.groups.values_mut().next().unwrap().signals.push(CustomSignal {
        name: "orders".into(),
        role: SignalUse::Demand,
        unit: "1/s".into(),
        query: "x".into(),
        join: JoinKey::Workload,
        aggregate: Aggregate::Sum,
    });
    let seen = |snapshot: &Snapshot| predict(snapshot).outlooks[&key].quantile(5, 0.5);
    assert!((seen(&snapshot) - 100.0).abs() < 5.0, "while it shows nothing, the shipped one counts");
    signal(&mut snapshot, &key, SignalName::Custom("orders".into()), history(NOW, 5.0, &|_| 7.0));
    assert!((seen(&snapshot) - 7.0).abs() < 1.0);
}

#[test]
fn fits_are_spread_over_ticks() {
    let mut snapshot = empty(NOW);
    let past = history(NOW, 3.0, &daily);
    for index in 0..(QUICK_FITS + 10) {
        let key = add(&mut snapshot, &format!("s{index:03}"), 2, true);
        signal(&mut snapshot, &key, SignalName::Demand, past.clone());
    }
    let fitted = |memory: &PlannerMemory| memory.targets.values().filter(|t| t.forecaster.is_some()).count();
    let complete =
        |memory: &PlannerMemory| memory.targets.values().filter(|t| t.forecaster.as_ref().is_some_and(|f| f.completed.is_some())).count();
    let first = predict(&snapshot);
    assert_eq!((fitted(&first.memory), complete(&first.memory)), (QUICK_FITS, 0));
    assert_eq!(first.outlooks.len(), QUICK_FITS + 10, "all have an outlook all the same");
    snapshot.memory.planner = Arc::new(first.memory);
    let second = predict(&snapshot);
    assert_eq!((fitted(&second.memory), complete(&second.memory)), (QUICK_FITS + 10, COMPLETE_FITS));
}

#[test]
fn the_same_snapshot_gives_the_same_prediction() {
    let (snapshot, _) = with_demand(5.0, &daily);
    assert_eq!(predict(&snapshot), predict(&snapshot));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn no_history_and_no_memory_makes_it_panic(
        tiers in prop::collection::vec((prop::collection::vec(prop::num::f32::ANY, 0..400), -100_000i64..100_000), 3),
        shape in prop::collection::vec(prop::num::f32::ANY, 0..30),
        pace in [prop::num::f64::ANY, prop::num::f64::ANY, prop::num::f64::ANY, prop::num::f64::ANY],
        coarse in any::<bool>(),
    ) {
        let (mut snapshot, key) = with_demand(5.0, &daily);
        let tier = |index: usize, step_s: u32| {
            let (values, shift): &(Vec<f32>, i64) = &tiers[index];
            Series { start: at(NOW - i64::from(step_s) * i64::try_from(values.len()).unwrap() + shift), step_s, values: values.clone() }
        };
        let past = History { fine: tier(0, 60), middle: tier(1, 300), coarse: coarse.then(|| tier(2, 3600)) };
        signal(&mut snapshot, &key, SignalName::Demand, past);
        let mut memory = predict(&snapshot).memory;
        if let Some(state) = memory.targets.get_mut(&key).and_then(|t| t.forecaster.as_mut()) {
            (state.followers[0].shape, state.followers[0].pace) = (shape, pace);
            state.notes.push_back(ForecastNote { due: at(NOW), horizon: 77, parts: vec![f32::NAN], blend: f32::NAN });
        }
        snapshot.memory.planner = Arc::new(memory);
        for outlook in predict(&snapshot).outlooks.values() {
            prop_assert!(outlook.quantile(30, 0.9).is_finite());
        }
    }
}
