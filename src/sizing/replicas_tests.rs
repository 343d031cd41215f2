//! Sizing, in sentences.

use super::*;
use crate::domain::outlook::{ForecastQuality, LEVELS};

/// An outlook whose median at a minute is `value(minute)`, a tenth wider at 95 %.
fn outlook(value: impl Fn(usize) -> f64) -> Outlook {
    let row = |m: usize| LEVELS.map(|level| (value(m) * (1.0 + 0.2 * (level - 0.5))) as f32);
    Outlook::new(Timestamp::UNIX_EPOCH, "level", (0..=60).map(row).collect(), ForecastQuality::default())
}

fn situation(outlook: &Outlook) -> Situation<'_> {
    Situation {
        at: Timestamp::from_second(36_000).unwrap(),
        desired: 4,
        ready: 4,
        bounds: Bounds { min: 2, max: 60 },
        slo: Slo::default(),
        outlook: Some(outlook),
        load_now: Some(outlook.quantile(0, 0.5)),
        load_is_cpu: false,
        from_callers: 0.0,
        capacity: Some(50.0),
        capacity_source: CapacitySource::Declared,
        lead: Lead { startup_s: 60.0, provisioning_s: 0.0, tick_s: 60.0 },
        headroom: None,
        queue: None,
        latency_ratio: Some(0.3),
        errors: None,
        throttling: None,
        cpu_utilization: None,
        degraded: false,
        young: false,
        surge_near: false,
        tuned: None,
    }
}

fn sized(situation: &Situation<'_>) -> Sized {
    size(situation, &mut VecDeque::new())
}

#[test]
fn a_ramp_is_met_ahead_of_time_by_the_lead() {
    let ramp = outlook(|minute| 100.0 + 20.0 * minute as f64);
    let fast = sized(&situation(&ramp));
    let slow = sized(&Situation { lead: Lead { startup_s: 420.0, provisioning_s: 90.0, tick_s: 60.0 }, ..situation(&ramp) });
    assert_eq!(fast.basis.reason, SizingReason::Forecast);
    // 3 minutes ahead 160/s, 11 minutes ahead 320/s, at 50/s a replica used to at most 85 %.
    assert!((5..=6).contains(&fast.replicas), "{fast:?}");
    assert!((8..=11).contains(&slow.replicas), "{slow:?}");
    assert!(slow.p50_need <= slow.replicas);
    assert_eq!(slow.basis.lead_s, 570.0);
}

#[test]
fn a_gap_does_not_scale_down() {
    let calm = outlook(|_| 20.0);
    let stale = sized(&Situation { load_now: None, desired: 9, ..situation(&calm) });
    assert_eq!((stale.replicas, stale.basis.reason), (9, SizingReason::NoData));
    let unknown = sized(&Situation { outlook: None, desired: 9, ..situation(&calm) });
    assert_eq!((unknown.replicas, unknown.basis.reason), (9, SizingReason::NoData));
}

#[test]
fn demand_above_the_forecast_is_met_at_once() {
    let calm = outlook(|_| 100.0);
    let surprised = sized(&Situation { load_now: Some(400.0), ..situation(&calm) });
    assert_eq!(surprised.basis.reason, SizingReason::PresentDemand);
    assert!(surprised.replicas >= 9, "{surprised:?}");
}

#[test]
fn waiting_work_and_saturation_ask_for_more_but_failure_does_not() {
    let calm = outlook(|_| 150.0);
    let waiting = sized(&Situation { queue: Some(60_000.0), ..situation(&calm) });
    assert_eq!(waiting.basis.reason, SizingReason::Backlog);
    assert!(waiting.replicas >= 14, "{waiting:?}");
    let served = Situation { latency_ratio: Some(2.0), ready: 3, desired: 3, ..situation(&calm) };
    let saturated = sized(&Situation { desired: 10, ready: 10, load_now: Some(450.0), ..served.clone() });
    assert_eq!((saturated.basis.reason, saturated.replicas), (SizingReason::Backlog, 13));
    let failing = sized(&Situation { errors: Some(0.9), desired: 10, ready: 10, load_now: Some(450.0), ..served.clone() });
    assert_ne!(failing.basis.reason, SizingReason::Backlog);
    let slow_dependency = sized(&Situation { cpu_utilization: Some(0.1), ready: 30, desired: 30, ..served });
    assert_ne!(slow_dependency.basis.reason, SizingReason::Backlog, "slow and idle is not saturated");
}

#[test]
fn fewer_replicas_wait_for_some_start_ups() {
    let (busy, calm) = (outlook(|_| 400.0), outlook(|_| 100.0));
    let mut needs = VecDeque::new();
    let first = size(&situation(&busy), &mut needs);
    let later = |minutes: i64| Timestamp::from_second(36_000 + 60 * minutes).unwrap();
    let mut then = |minutes| size(&Situation { at: later(minutes), desired: first.replicas, ..situation(&calm) }, &mut needs);
    let held = then(2);
    assert_eq!((held.replicas, held.basis.reason), (first.replicas, SizingReason::HeldHigh));
    let released = then(6);
    assert!(released.replicas < first.replicas);
    assert_eq!(released.basis.reason, SizingReason::Forecast);
}

#[test]
fn bounds_hold_whatever_is_needed_and_say_so() {
    let huge = outlook(|_| 1e9);
    let most = sized(&situation(&huge));
    assert_eq!((most.replicas, most.basis.reason), (60, SizingReason::Bounds));
    let nothing = outlook(|_| 0.0);
    let least = sized(&Situation { desired: 2, ready: 2, ..situation(&nothing) });
    assert_eq!((least.replicas, least.basis.reason), (2, SizingReason::Bounds));
}

#[test]
fn a_workload_nobody_has_seen_keeps_what_it_has_and_says_so() {
    let calm = outlook(|_| 10.0);
    let new = sized(&Situation { young: true, ..situation(&calm) });
    assert_eq!((new.replicas, new.basis.reason), (4, SizingReason::New));
    let busy = outlook(|_| 1000.0);
    assert!(sized(&Situation { young: true, ..situation(&busy) }).replicas > 20, "a need that is seen is met all the same");
}

#[test]
fn granted_headroom_counts() {
    let ramp = outlook(|minute| 100.0 + 20.0 * minute as f64);
    let headroom = Headroom { quantile_percent: 99, extra_lead_minutes: 20, until: Timestamp::MAX };
    assert!(sized(&Situation { headroom: Some(headroom), ..situation(&ramp) }).replicas > sized(&situation(&ramp)).replicas + 5);
}

#[test]
fn cpu_alone_sizes_as_an_hpa_at_seventy_percent_would() {
    let cores = outlook(|_| 2.8);
    let sized = sized(&Situation { load_is_cpu: true, capacity: Some(0.5), capacity_source: CapacitySource::Unknown, ..situation(&cores) });
    assert_eq!(sized.basis.reason, SizingReason::CpuOnly);
    assert_eq!(sized.basis.demand_planned, None, "cores are not demand");
    assert_eq!(sized.basis.target_utilization, 0.7);
    assert!((8..=9).contains(&sized.replicas), "{sized:?}");
}

#[test]
fn what_callers_will_send_counts() {
    let calm = outlook(|_| 50.0);
    assert!(sized(&Situation { from_callers: 500.0, ..situation(&calm) }).replicas >= 12);
}

#[test]
fn nothing_is_taken_away_while_a_promise_that_was_kept_is_broken() {
    let calm = outlook(|_| 20.0);
    assert!(sized(&Situation { desired: 9, ..situation(&calm) }).replicas < 9);
    let broken = sized(&Situation { desired: 9, degraded: true, ..situation(&calm) });
    assert_eq!((broken.replicas, broken.basis.reason), (9, SizingReason::HeldHigh));
}

#[test]
fn what_was_tuned_decides_and_what_is_announced_still_counts() {
    let steady = outlook(|_| 100.0);
    let tuned = Some(Tuned { replicas: 7, median: 100.0, planned: (300.0, 0.9), hold_s: 0, lead_s: 90 });
    let by_rule = sized(&Situation { tuned, ..situation(&steady) });
    assert_eq!((by_rule.replicas, by_rule.basis.lead_s, by_rule.basis.demand_planned), (7, 90.0, Some(300.0)));
    assert!(
        (by_rule.basis.target_utilization - 300.0 / 350.0).abs() < 1e-9,
        "what is said of it is how full seven are at what they are for"
    );
    let surge = outlook(|minute| if minute > 1 { 800.0 } else { 100.0 });
    let unannounced = sized(&Situation { tuned, ..situation(&surge) });
    assert_eq!(unannounced.replicas, 7, "the outlook beside it is not asked");
    assert!(sized(&Situation { tuned, surge_near: true, ..situation(&surge) }).replicas > 15);
}

#[test]
fn work_in_a_queue_is_done_within_what_was_promised_for_it() {
    let steady = outlook(|_| 100.0);
    let waiting = |promise: u64, startup_s: f64| {
        let slo = Slo { latency: crate::domain::units::GoDuration(std::time::Duration::from_secs(promise)), ..Slo::default() };
        let lead = Lead { startup_s, provisioning_s: 0.0, tick_s: 60.0 };
        sized(&Situation { slo, lead, queue: Some(36_000.0), ..situation(&steady) })
    };
    let (soon, later) = (waiting(600, 420.0), waiting(3600, 420.0));
    assert_eq!(soon.basis.reason, SizingReason::Backlog);
    assert!(soon.replicas > 2 * later.replicas, "{soon:?} {later:?}");
}
