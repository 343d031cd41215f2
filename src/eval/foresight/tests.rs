//! Outlooks that are right, wrong and late.

use super::super::testing::{record, seasonal};
use super::*;
use crate::domain::plan::{CapacitySource, SizingReason};

/// A day of minutes that rises and falls and is never twice the same.
fn day() -> Vec<f32> {
    (0..1440u32).map(|minute| 400.0 + 100.0 * (minute as f32 / 200.0).sin() + (minute * 7919 % 97) as f32 / 10.0).collect()
}

/// What a run recorded whose every tick said `says(minute)` of the minute that ends `minute` minutes after the scored part began.
fn records(incident: &Incident, lead_s: f64, says: impl Fn(usize) -> f64) -> Vec<TickRecord> {
    let basis = SizingBasis {
        reason: SizingReason::Forecast,
        demand_now: None,
        demand_planned: None,
        quantile: 0.9,
        lead_s,
        capacity_per_replica: None,
        capacity_source: CapacitySource::Unknown,
        target_utilization: 0.7,
        raw: None,
    };
    let one = |minute: usize| {
        let said = [15, 30, 60].map(|ahead| (ahead, says(minute + ahead), says(minute + ahead) + 5.0, says(minute + ahead) + 9.0));
        let plan = PlanSummary {
            replicas: 1,
            p50_need: 1,
            basis: basis.clone(),
            outlook: Some(said),
            model: None,
            shadow_hpa: None,
            cost_per_hour: None,
        };
        let mut record = record(incident, 60 * minute as u32);
        record.closed.as_mut().unwrap().plan.insert(key("web"), plan);
        record
    };
    (0..1440).map(one).collect()
}

fn judged(lead_s: f64, says: impl Fn(usize) -> f64) -> ForecastScore {
    let incident = seasonal("shop", 30);
    foresight(&incident, &records(&incident, lead_s, says), &[day()]).unwrap()
}

/// What comes in the minute that ends so many minutes after.
fn truth(minute: usize) -> f64 {
    day().get(minute - 1).map_or(0.0, |value| f64::from(*value))
}

#[test]
fn who_says_what_comes_is_never_wrong_and_is_judged_at_the_lead_time() {
    let day = day();
    let says = |minute: usize| day.get(minute - 1).map_or(0.0, |value| f64::from(*value));
    let perfect = judged(90.0, says);
    // Of the day's minutes all but the first fifteen: the first is said by the tick at its begin.
    assert_eq!((perfect.points, perfect.pinball50, perfect.coverage50), (1440 - 14, 0.0, 1.0));
    assert!((perfect.pinball90 - 0.5).abs() < 1e-9, "five too many at 90 %: {perfect:?}");
    assert!(perfect.skill > 0.8 && perfect.skill < 1.0, "{perfect:?}");
    assert_eq!([1000.0, 4000.0].map(|lead_s| judged(lead_s, says).points), [1440 - 29, 1440 - 59]);
}

#[test]
fn a_minute_too_early_or_too_late_is_wrong() {
    assert!(judged(90.0, |minute| truth(minute + 1)).pinball50 > 1.0);
    assert!(judged(90.0, |minute| truth(minute.max(2) - 1)).pinball50 > 1.0);
}

#[test]
fn coverage_is_the_share_at_or_below_each_quantile() {
    let score = judged(90.0, |minute| truth(minute) - if minute % 2 == 0 { 7.0 } else { 1.0 });
    assert_eq!(score.coverage50, 0.0);
    assert!((score.coverage90 - 0.5).abs() < 0.01 && score.coverage95 == 1.0, "{score:?}");
}

#[test]
fn who_says_that_all_goes_on_as_it_is_gains_nothing() {
    let last = judged(90.0, |minute| truth(minute.max(16) - 15));
    assert!(last.skill < 0.1, "{last:?}");
    assert!(judged(90.0, |_| 3000.0).skill < -1.0);
}

#[test]
fn a_day_that_comes_again_is_a_rival() {
    let mut incident = seasonal("shop", 30);
    // Every day the same, in steps of five minutes.
    let again = |second: u32| 400.0 + 100.0 * f64::from(second / 300 % 288).sin();
    let all = incident.history_s + incident.duration_s;
    incident.workloads[0].demand.as_mut().unwrap().samples = (0..all / 300).map(|step| (300 * step, again(300 * step))).collect();
    let minutes: Vec<f32> = load(&incident, &incident.workloads[0], incident.history_s, all).chunks(4).map(|part| part[0]).collect();
    let noisy: Vec<f32> = minutes.iter().enumerate().map(|(minute, value)| value + (minute % 3) as f32).collect();
    let last = |minute: usize| f64::from(noisy[(minute.max(16) - 16).min(1439)]);
    let score = foresight(&incident, &records(&incident, 90.0, last), std::slice::from_ref(&noisy)).unwrap();
    assert!(score.skill < -2.0, "the last value is far behind yesterday's: {score:?}");
}

#[test]
fn where_nothing_was_said_nothing_is_judged() {
    let incident = seasonal("shop", 30);
    assert_eq!(foresight(&incident, &[], &[day()]), None);
    assert_eq!(foresight(&incident, &[record(&incident, 60)], &[day()]), None);
}
