//! The state machine over time, case by case with what the controller's source says.

use super::*;
use crate::domain::limits::Bounds;
use proptest::prelude::*;

const BOUNDS: Bounds = Bounds { min: 1, max: 100 };
const REQUEST: u32 = 1000;

fn ready(cpu_milli: i64) -> ObservedPod {
    ObservedPod {
        started_s: Some(-10_000),
        ready: Some(Readiness { ready: true, since_s: -9_000 }),
        cpu_request_milli: Some(REQUEST.into()),
        memory_request_bytes: Some(1 << 20),
        cpu: Some(sample(cpu_milli)),
        ..ObservedPod::default()
    }
}

fn sample(value_milli: i64) -> Sample {
    Sample { value_milli, at_s: 0, window_s: 15.0 }
}

fn seen(pods: Vec<ObservedPod>) -> Observation {
    let replicas = pods.len() as u32;
    Observation { desired: replicas, current: replicas, pods, ..Observation::default() }
}

/// So many ready pods at so many percent of their request.
fn busy(pods: u32, percent: i64) -> Observation {
    seen(vec![ready(percent * i64::from(REQUEST) / 100); pods as usize])
}

fn rules(window_s: u32, select: Select, policies: &[(Step, u32)]) -> ScalingRules {
    let policies = policies.iter().map(|(step, period_s)| Policy { step: *step, period_s: *period_s }).collect();
    ScalingRules { window_s: Some(window_s), select, policies, tolerance: None }
}

fn with(behaviour: Behaviour) -> HpaSpec {
    HpaSpec { behaviour: Some(behaviour), ..HpaSpec::cpu(50, BOUNDS) }
}

/// Desired replicas of syncs at these percentages, each 15 s after the other, following every decision at once.
fn run(spec: HpaSpec, from: u32, percents: &[i64]) -> Vec<u32> {
    let mut hpa = Hpa::new(spec);
    let mut replicas = from;
    let sync = |(index, percent): (usize, &i64)| {
        replicas = hpa.sync(&busy(replicas, *percent), index as f64 * 15.0).desired;
        replicas
    };
    percents.iter().enumerate().map(sync).collect()
}

#[test]
fn without_behaviour_replicas_double_at_most_and_four_are_reached_at_once() {
    assert_eq!(run(HpaSpec::cpu(10, BOUNDS), 1, &[100, 100, 100]), [4, 8, 16]);
    let decision = Hpa::new(HpaSpec::cpu(10, BOUNDS)).sync(&busy(3, 100), 0.0);
    assert_eq!((decision.desired, decision.limited), (6, Some(ScalingLimited::ScaleUpLimit)));
}

#[test]
fn the_highest_recommendation_of_five_minutes_counts_before_a_scale_down_and_the_count_found_first_is_one() {
    let calm = [25; 21];
    let replicas = run(HpaSpec::cpu(50, BOUNDS), 10, &calm);
    assert_eq!(replicas[..20], [10; 20], "held by the count it found");
    assert_eq!(replicas[20], 5, "which is then as old as the window");
    let mut hpa = Hpa::new(HpaSpec::cpu(50, BOUNDS));
    assert_eq!(hpa.sync(&busy(10, 25), 0.0).able, AbleToScale::ScaleDownStabilized);
}

#[test]
fn a_window_upward_holds_the_lowest_recommendation() {
    let behaviour = Behaviour { scale_up: rules(30, Select::Max, &[(Step::Percent(900), 15)]), ..Behaviour::default() };
    // 4 pods at 100 % of a target of 50 want 8; the 4 found first and the 5 of the second look hold it.
    let mut hpa = Hpa::new(with(behaviour));
    assert_eq!(
        hpa.sync(&busy(4, 100), 0.0),
        Decision {
            desired: 4,
            able: AbleToScale::ScaleUpStabilized,
            active: Some(ScalingActive::ValidMetricFound),
            limited: Some(ScalingLimited::DesiredWithinRange),
        }
    );
    assert_eq!(hpa.sync(&busy(4, 60), 15.0).desired, 4);
    assert_eq!(hpa.sync(&busy(4, 100), 30.0).desired, 5);
}

#[test]
fn policies_count_what_changed_in_their_period() {
    let scale_up = rules(0, Select::Max, &[(Step::Pods(2), 60), (Step::Percent(10), 60)]);
    let replicas = run(with(Behaviour { scale_up, ..Behaviour::default() }), 4, &[100; 6]);
    assert_eq!(replicas, [6, 6, 6, 6, 8, 8], "two in a minute: the change at 0 s is outside of it at 60 s");
    let scale_down = rules(0, Select::Min, &[(Step::Pods(1), 15), (Step::Percent(50), 15)]);
    assert_eq!(run(with(Behaviour { scale_down, ..Behaviour::default() }), 8, &[5; 3]), [7, 6, 5], "Min allows the smaller step");
    let scale_down = rules(0, Select::Max, &[(Step::Pods(1), 15), (Step::Percent(50), 15)]);
    assert_eq!(run(with(Behaviour { scale_down, ..Behaviour::default() }), 9, &[5; 3]), [4, 2, 1], "Max the larger, rounded towards zero");
}

#[test]
fn what_went_the_other_way_in_a_period_is_given_back() {
    let scale_up = rules(0, Select::Max, &[(Step::Pods(3), 60)]);
    let scale_down = rules(0, Select::Max, &[(Step::Pods(2), 60)]);
    let mut hpa = Hpa::new(with(Behaviour { scale_up, scale_down }));
    assert_eq!(hpa.sync(&busy(10, 100), 0.0).desired, 13);
    // At the beginning of the last minute there were 10; 8 is as low as it may go, although that takes five away.
    let down = hpa.sync(&busy(13, 5), 15.0);
    assert_eq!((down.desired, down.limited), (8, Some(ScalingLimited::ScaleDownLimit)));
}

#[test]
fn a_disabled_direction_never_changes_and_bounds_still_hold() {
    let scale_down = ScalingRules { select: Select::Disabled, ..rules(0, Select::Max, &[(Step::Percent(100), 15)]) };
    let spec = HpaSpec { bounds: Bounds { min: 2, max: 6 }, ..with(Behaviour { scale_down, ..Behaviour::default() }) };
    assert_eq!(run(spec.clone(), 4, &[5, 5, 100]), [4, 4, 6]);
    assert_eq!(Hpa::new(spec.clone()).sync(&busy(9, 50), 0.0).desired, 6);
    assert_eq!(Hpa::new(spec).sync(&busy(1, 50), 0.0).desired, 2);
}

#[test]
fn each_direction_has_a_tolerance_of_its_own() {
    let scale_up = ScalingRules { tolerance: Some(0.02), ..ScalingRules::scale_up() };
    let scale_down = ScalingRules { tolerance: Some(0.3), window_s: Some(0), ..ScalingRules::scale_down() };
    let spec = with(Behaviour { scale_up, scale_down });
    let first = |percent| Hpa::new(spec.clone()).sync(&busy(10, percent), 0.0).desired;
    assert_eq!([52, 51, 50, 35].map(first), [11, 10, 10, 10]);
    assert_eq!(first(34), 7);
    let usual = |percent| Hpa::new(HpaSpec::cpu(50, BOUNDS)).sync(&busy(10, percent), 0.0).desired;
    assert_eq!([55, 56].map(usual), [10, 12], "ten percent, the edge included");
}

#[test]
fn a_young_pod_counts_one_window_after_it_became_ready() {
    let young = |ready_s: i64, at_s: i64| {
        let mut pod = ready(1000);
        pod.started_s = Some(0);
        pod.ready = Some(Readiness { ready: true, since_s: ready_s });
        pod.cpu = Some(Sample { at_s, ..sample(1000) });
        pod
    };
    let wanted =
        |pod: ObservedPod, now_s: f64| Hpa::new(HpaSpec::cpu(50, BOUNDS)).sync(&seen(vec![ready(1000), ready(1000), pod]), now_s).desired;
    assert_eq!(wanted(young(40, 54), 60.0), 4, "not yet: it counts as using nothing before a scale-up");
    assert_eq!(wanted(young(40, 55), 60.0), 6);
    assert_eq!(wanted(young(299, 300), 300.0), 6, "after five minutes it is no longer young");
    let never = ObservedPod { ready: Some(Readiness { ready: false, since_s: 20 }), ..young(20, 400) };
    assert_eq!(wanted(never.clone(), 400.0), 4, "it never was ready");
    let once = ObservedPod { ready: Some(Readiness { ready: false, since_s: 200 }), ..never };
    assert_eq!(wanted(once, 400.0), 6, "it was ready once, so that its use is load");
}

#[test]
fn pods_that_wait_fail_or_end_are_told_apart() {
    let wanted = |pod: ObservedPod| Hpa::new(HpaSpec::cpu(50, BOUNDS)).sync(&seen(vec![ready(900), ready(900), pod]), 0.0).desired;
    assert_eq!(wanted(ObservedPod { state: PodState::Pending, ..ready(1000) }), 4, "two at 90 % and one at nothing: 60 %");
    assert_eq!(wanted(ObservedPod { state: PodState::Failed, ..ready(1000) }), 4, "one that failed is not there: 90 % of two");
    assert_eq!(wanted(ObservedPod { ending: true, ..ready(1000) }), 4);
    assert_eq!(wanted(ready(900)), 6);
    let silent = |percent: i64| {
        let pods = vec![ready(percent * 10), ready(percent * 10), ObservedPod { cpu: None, ..ready(0) }];
        let behaviour = Behaviour { scale_down: rules(0, Select::Max, &[(Step::Percent(100), 15)]), ..Behaviour::default() };
        Hpa::new(with(behaviour)).sync(&seen(pods), 0.0).desired
    };
    assert_eq!(silent(100), 4, "at nothing before a scale-up");
    assert_eq!(silent(20), 3, "at all of its request before a scale-down");
}

#[test]
fn a_missing_request_or_no_sample_at_all_leaves_things_as_they_are() {
    let fails = |pods: Vec<ObservedPod>| Hpa::new(HpaSpec::cpu(50, BOUNDS)).sync(&seen(pods), 0.0);
    let hold =
        Decision { desired: 2, able: AbleToScale::SucceededGetScale, active: Some(ScalingActive::FailedGetResourceMetric), limited: None };
    assert_eq!(fails(vec![ready(900), ObservedPod { cpu_request_milli: None, ..ready(900) }]), hold);
    assert_eq!(fails(vec![ObservedPod { cpu: None, ..ready(0) }; 2]), hold);
    assert_eq!(Hpa::new(HpaSpec::cpu(0, BOUNDS)).sync(&busy(2, 90), 0.0), hold, "a target of nothing");
    assert_eq!(Hpa::new(HpaSpec { metrics: vec![], ..HpaSpec::cpu(50, BOUNDS) }).sync(&busy(2, 90), 0.0).desired, 2);
}

#[test]
fn of_several_metrics_the_largest_counts_and_a_failure_forbids_the_way_down() {
    let memory = MetricSpec::Resource { resource: Resource::Memory, target: AverageTarget::Utilization(50) };
    let mut spec = with(Behaviour { scale_down: rules(0, Select::Max, &[(Step::Percent(100), 15)]), ..Behaviour::default() });
    spec.metrics.push(memory);
    let pods = |cpu: i64, memory: Option<i64>| {
        let memory = memory.map(|percent| sample(percent * (1 << 20) * 10));
        seen(vec![ObservedPod { memory, ..ready(cpu * 10) }; 4])
    };
    let first = |cpu, memory| Hpa::new(spec.clone()).sync(&pods(cpu, memory), 0.0).desired;
    assert_eq!(first(25, Some(75)), 6);
    assert_eq!(first(75, Some(25)), 6);
    assert_eq!(first(25, Some(25)), 2);
    assert_eq!(first(75, None), 6);
    assert_eq!(first(25, None), 4);
    assert_eq!(Hpa::new(spec).sync(&pods(25, None), 0.0).active, Some(ScalingActive::FailedGetResourceMetric));
}

#[test]
fn averages_of_resources_and_of_the_pods_own_metrics_are_plain() {
    let raw = HpaSpec {
        metrics: vec![MetricSpec::Resource { resource: Resource::Cpu, target: AverageTarget::Value(250) }],
        ..HpaSpec::cpu(1, BOUNDS)
    };
    assert_eq!(Hpa::new(raw).sync(&busy(3, 50), 0.0).desired, 6);
    let name: std::sync::Arc<str> = "jobs".into();
    let own = HpaSpec { metrics: vec![MetricSpec::Pods { name: name.clone(), average_milli: 10_000 }], ..HpaSpec::cpu(1, BOUNDS) };
    let pods: Vec<_> = [30_000, 10_000]
        .map(|value| ObservedPod { custom: [(name.clone(), sample(value))].into(), cpu_request_milli: None, ..ready(0) })
        .into();
    assert_eq!(Hpa::new(own.clone()).sync(&seen(pods), 0.0).desired, 4);
    assert_eq!(Hpa::new(own).sync(&busy(2, 50), 0.0).active, Some(ScalingActive::FailedGetPodsMetric));
}

#[test]
fn external_metrics_scale_in_proportion_or_by_what_each_replica_bears() {
    let name: std::sync::Arc<str> = "rate".into();
    let asked = |target, value: Option<i64>, ready_pods: u32| {
        let spec = HpaSpec { metrics: vec![MetricSpec::External { name: name.clone(), target }], ..HpaSpec::cpu(1, BOUNDS) };
        let mut seen = busy(4, 50);
        for pod in seen.pods.iter_mut().skip(ready_pods as usize) {
            pod.ready = None;
        }
        seen.external = value.map(|value| (name.clone(), value)).into_iter().collect();
        Hpa::new(spec).sync(&seen, 0.0)
    };
    let average = ValueTarget::AverageValue(10_000);
    assert_eq!(asked(average, Some(61_000), 1).desired, 7, "whoever is ready");
    assert_eq!(asked(average, Some(43_000), 4).desired, 4, "within tolerance");
    assert_eq!(asked(ValueTarget::Value(10_000), Some(20_000), 3).desired, 6, "of those that are ready");
    assert_eq!(asked(average, None, 4).active, Some(ScalingActive::FailedGetExternalMetric));
}

#[test]
fn a_target_scaled_to_zero_stays_there() {
    let decision = Hpa::new(HpaSpec::cpu(50, Bounds { min: 2, max: 9 })).sync(&Observation::default(), 0.0);
    assert_eq!(decision, Decision::hold(0, ScalingActive::ScalingDisabled));
}

#[test]
fn saturation_at_a_high_target_is_never_left() {
    assert_eq!(run(HpaSpec::cpu(95, BOUNDS), 4, &[100; 30]), [4; 30]);
    assert_eq!(run(HpaSpec::cpu(90, BOUNDS), 4, &[100; 3]), [5, 6, 7], "one percent more than the tolerance is enough");
}

#[test]
fn an_old_change_makes_room_and_the_rest_goes_on_counting_for_longer_policies() {
    let scale_up = rules(0, Select::Max, &[(Step::Pods(4), 15)]);
    let scale_down = rules(0, Select::Max, &[(Step::Pods(1), 300)]);
    let mut hpa = Hpa::new(with(Behaviour { scale_up, scale_down }));
    for (at_s, from) in [(0.0, 4), (20.0, 8), (40.0, 12)] {
        assert_eq!(hpa.sync(&busy(from, 100), at_s).desired, from + 4);
    }
    // The change at 0 s was overwritten at 20 s, and that one at 40 s: the controller remembers 16 - 4 = 12 as the beginning, and so 11.
    assert_eq!(hpa.sync(&busy(16, 5), 60.0).desired, 11);
}

proptest! {
    #[test]
    fn counts_and_pods_give_the_same_decisions(
        steps in prop::collection::vec((0_i64..200, 0_u32..4, 0_u32..4), 1..40),
        target in 1_u32..110,
        window_s in 0_u32..120,
    ) {
        let spec = HpaSpec::cpu(target, Bounds { min: 1, max: 30 }).with_scale_down_window(window_s);
        let (mut by_pods, mut by_counts) = (Hpa::new(spec.clone()), Hpa::new(spec));
        let mut replicas = 3;
        for (index, (percent, missing, unready)) in steps.into_iter().enumerate() {
            let missing = missing.min(replicas);
            let unready = unready.min(replicas - missing);
            let mut observed = busy(replicas, percent);
            for (place, pod) in observed.pods.iter_mut().enumerate() {
                if place < missing as usize {
                    pod.cpu = None;
                } else if place < (missing + unready) as usize {
                    pod.state = PodState::Pending;
                }
            }
            let measured = replicas - missing - unready;
            let counts = PodMetrics {
                usage_milli: u64::from(measured * REQUEST) * percent.unsigned_abs() / 100,
                request_milli: REQUEST.into(),
                measured,
                unready,
                missing,
            };
            let now_s = index as f64 * 15.0;
            let decision = by_pods.sync(&observed, now_s);
            prop_assert_eq!(decision, by_counts.sync_counts(&counts, replicas, now_s));
            prop_assert!((1..=30).contains(&decision.desired));
            replicas = decision.desired;
        }
    }
}
