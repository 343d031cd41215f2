//! A good resource is taken whole; each bad field is refused by its path and with its mend; nothing panics.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::crd::target_ref::built_in;
use crate::domain::limits::{Actuation, Aggregate, Criticality, JoinKey, Mode, WeekdayName};

fn good() -> Value {
    json!({
        "apiVersion": "ipa.dev/v1alpha1", "kind": "IntelligentPodAutoscaler",
        "metadata": {
            "name": "shop", "namespace": "shop", "uid": "u1", "generation": 7, "creationTimestamp": "2026-03-01T00:00:00Z",
            "annotations": {"ipa.dev/paused-scale-in": "true", "ipa.dev/paused": "false"}
        },
        "spec": {
            "targets": [
                {"ref": {"name": "web"}, "container": "app", "min": 2, "max": 40, "criticality": "High", "capacityPerReplica": "12.5"},
                {"ref": {"kind": "StatefulSet", "name": "db"}, "min": 1, "max": 3}
            ],
            "mode": {"scaleUp": "Auto", "scaleDown": "Recommend"},
            "signals": [{"name": "orders", "use": "Leading", "unit": "1/s", "query": "sum by (workload) (rate(orders_total[2m]))"}],
            "slo": {"latency": "250ms", "objective": "99.95"},
            "costBudget": {"perHour": "12.50"},
            "timeZone": "Europe/Vienna",
            "freezeWindows": [{"days": ["Friday"], "start": "22:00", "duration": "4h"}],
            "surges": [{"name": "sale", "start": "2026-11-27T00:00:00+01:00", "duration": "24h", "percent": 300}],
            "dependsOn": [{"from": {"name": "web"}, "to": {"kind": "StatefulSet", "name": "db"}, "ratio": "2.5"}]
        }
    })
}

fn check(object: Value) -> Result<Group, String> {
    group(&serde_json::from_value(object).unwrap(), &built_in).map_err(|e| e.to_string())
}

#[test]
fn a_whole_resource_is_taken_with_its_defaults() {
    let read = check(good()).unwrap();
    let (web, db) = (TargetKey::deployment("shop", "web"), TargetKey::new("shop", "apps", "statefulsets", "db"));
    assert_eq!((read.id, read.generation), (GroupId::new("shop", "shop"), 7));
    assert_eq!(read.created, Some("2026-03-01T00:00:00Z".parse().unwrap()));
    assert_eq!(
        read.targets[0],
        GroupTarget {
            key: web.clone(),
            container: Some("app".into()),
            bounds: Bounds { min: 2, max: 40 },
            criticality: Criticality::High,
            capacity_per_replica: Some(12.5)
        }
    );
    assert_eq!(read.targets[1].criticality, Criticality::Medium);
    assert_eq!(read.modes, Modes { scale_up: Mode::Auto, scale_down: Mode::Recommend, resources: Mode::Observe, nodes: Mode::Observe });
    assert_eq!((read.signals[0].join, read.signals[0].aggregate), (JoinKey::Workload, Aggregate::Sum));
    let slo = read.slo.unwrap();
    assert_eq!((slo.latency.to_string().as_str(), slo.objective_bp, slo.bad_minute_cost), ("250ms", 9_995, 10));
    assert_eq!((read.cost_budget_per_hour.map(|m| m.0), read.time_zone.name()), (Some(12_500_000), "Europe/Vienna"));
    assert_eq!((read.freeze_windows[0].days.as_slice(), read.freeze_windows[0].start.hour()), (&[WeekdayName::Friday][..], 22));
    assert_eq!((read.surges[0].start, read.surges[0].percent), ("2026-11-26T23:00:00Z".parse().unwrap(), 300));
    assert_eq!(read.depends_on, vec![Dependency { from: web, to: db, ratio_milli: 2_500 }]);
    assert_eq!((read.actuation, read.human_hold, read.model_enabled), (Actuation::Replicas, GoDuration::from_mins(15), true));
    assert_eq!(read.paused, Paused { scale_in: true, scale_out: false, all: false });
}

#[test]
fn fault_t16_each_bad_field_is_refused_by_its_path_with_the_mend() {
    for (pointer, value, error) in [
        ("/spec/targets", json!([]), "spec.targets: there is no target; name at least one workload"),
        ("/spec/targets/0/min", json!(41), "spec.targets[0].min: 41 is above max 40; lower min or raise max"),
        ("/spec/targets/0/min", json!(-1), "spec.targets[0].min: -1 is out of range; write a whole number from 0 to 100000"),
        ("/spec/targets/1/max", json!(i32::MAX), "spec.targets[1].max: 2147483647 is out of range; write a whole number from 1 to 100000"),
        ("/spec/targets/1/ref", json!({"name": "web"}), "spec.targets[1].ref: deployments.apps/web is listed twice; list it once"),
        (
            "/spec/targets/1/ref/kind",
            json!("CronJob"),
            "spec.targets[1].ref.kind: no resource of apiVersion `apps/v1` and kind `CronJob` is served; check both with `kubectl api-resources`",
        ),
        (
            "/spec/targets/0/container",
            json!("My App"),
            "spec.targets[0].container: `My App` is no container's name; write it as the pod template does",
        ),
        (
            "/spec/targets/0/capacityPerReplica",
            json!("0"),
            "spec.targets[0].capacityPerReplica: `0` is out of range; write a number from 0.001 to 1000000000",
        ),
        ("/spec/signals/0/name", json!("cpu"), "spec.signals[0].name: `cpu` is the name of a shipped signal; choose another"),
        (
            "/spec/signals/0/name",
            json!("Orders"),
            "spec.signals[0].name: `Orders` is no signal's name; write lower-case letters, digits and _, at most 63",
        ),
        (
            "/spec/signals/0/query",
            json!(" "),
            "spec.signals[0].query: the query is empty or too long; write PromQL of 1 to 2048 characters",
        ),
        ("/spec/slo/latency", json!("0s"), "spec.slo.latency: 0s is no time at all; write a duration above it, such as 30m"),
        ("/spec/slo/latency", json!("2h"), "spec.slo.latency: 2h is longer than 1h; write a shorter duration"),
        ("/spec/slo/objective", json!("100"), "spec.slo.objective: `100` is out of range; write a number from 1 to 99.99"),
        ("/spec/slo/badMinuteCost", json!(0), "spec.slo.badMinuteCost: 0 is out of range; write a whole number from 1 to 1000"),
        ("/spec/costBudget/perHour", json!("-1"), "spec.costBudget.perHour: `-1` is negative; a budget starts at 0"),
        (
            "/spec/timeZone",
            json!("Mars/Olympus"),
            "spec.timeZone: `Mars/Olympus` is not an IANA time zone: write a name such as Europe/Vienna or UTC",
        ),
        (
            "/spec/freezeWindows/0/start",
            json!("24:00"),
            "spec.freezeWindows[0].start: `24:00` is no time of day; write HH:MM from 00:00 to 23:59",
        ),
        (
            "/spec/freezeWindows/0/duration",
            json!("169h"),
            "spec.freezeWindows[0].duration: 169h is longer than 168h; write a shorter duration",
        ),
        ("/spec/surges/0/start", json!("noon"), "spec.surges[0].start: `noon` is no RFC 3339 time; write one such as 2026-11-27T00:00:00Z"),
        ("/spec/surges/0/percent", json!(50), "spec.surges[0].percent: 50 is out of range; write a whole number from 100 to 10000"),
        (
            "/spec/dependsOn/0/from/name",
            json!("api"),
            "spec.dependsOn[0].from: deployments.apps/api is not among the targets; add it there or correct the name",
        ),
        (
            "/spec/dependsOn/0/to",
            json!({"name": "web"}),
            "spec.dependsOn[0].to: a workload does not depend on itself; name the one it calls",
        ),
    ] {
        let mut object = good();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        match object.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => object.pointer_mut(parent).unwrap()[field] = value,
        }
        assert_eq!(check(object).unwrap_err(), error);
    }
}

#[test]
fn a_second_demand_signal_or_a_name_used_twice_is_refused() {
    let signal = |name: &str, role: &str| json!({"name": name, "use": role, "unit": "1/s", "query": "up"});
    let mut object = good();
    object["spec"]["signals"] = json!([signal("a", "Demand"), signal("b", "Demand")]);
    assert_eq!(
        check(object.clone()).unwrap_err(),
        "spec.signals[1].use: spec.signals[0] has use Demand already; make one of them Leading or Guard"
    );
    object["spec"]["signals"] = json!([signal("a", "Demand"), signal("a", "Guard")]);
    assert_eq!(check(object).unwrap_err(), "spec.signals[1].name: `a` is used twice; give each signal a name of its own");
}

#[test]
fn a_pause_that_is_not_false_counts() {
    for (value, paused) in [("true", true), ("yes", true), ("", true), ("false", false)] {
        let mut object = good();
        object["metadata"]["annotations"] = json!({"ipa.dev/paused": value});
        assert_eq!(check(object).unwrap().paused.all, paused, "{value}");
    }
}

#[test]
fn a_kind_that_discovery_knows_is_taken() {
    let mut object = good();
    object["spec"]["targets"][1]["ref"] = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "db"});
    object["spec"]["dependsOn"] = json!([]);
    let rollouts = |api_version: &str, kind: &str| {
        built_in(api_version, kind).or_else(|| {
            (api_version == "argoproj.io/v1alpha1" && kind == "Rollout")
                .then(|| crate::crd::target_ref::ResourceName { group: "argoproj.io".into(), resource: "rollouts".into() })
        })
    };
    let read = group(&serde_json::from_value(object).unwrap(), &rollouts).unwrap();
    assert_eq!(read.targets[1].key, TargetKey::new("shop", "argoproj.io", "rollouts", "db"));
}

/// Any text: likely near-misses of what the fields hold, and noise.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        "[0-9.:a-zA-Z/+-]{0,20}",
        proptest::sample::select(vec!["", "0", "-1", "1e400", "NaN", "99999999999999999999h", "24:00", "9E18", "UTC", "web", "apps/v1"])
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn no_spec_panics_and_an_error_is_one_short_line(
        texts in proptest::collection::vec(text(), 16),
        numbers in proptest::collection::vec(any::<i32>(), 4),
    ) {
        let object = json!({
            "apiVersion": "ipa.dev/v1alpha1", "kind": "IntelligentPodAutoscaler", "metadata": {},
            "spec": {
                "targets": [{
                    "ref": {"name": texts[0]}, "container": texts[1], "min": numbers[0], "max": numbers[1], "capacityPerReplica": texts[2]
                }],
                "signals": [{"name": texts[3], "use": "Demand", "unit": texts[4], "query": texts[5]}],
                "slo": {"latency": texts[6], "objective": texts[7], "badMinuteCost": numbers[2]},
                "costBudget": {"perHour": texts[8]},
                "timeZone": texts[9],
                "freezeWindows": [{"start": texts[10], "duration": texts[11]}],
                "surges": [{"name": texts[12], "start": texts[13], "duration": texts[14], "percent": numbers[3]}],
                "humanHold": texts[15]
            }
        });
        // Each field alone in an otherwise good resource, then all of them together.
        let whole = good();
        let candidates = object["spec"].as_object().unwrap().iter().map(|(field, value)| {
            let mut one = whole.clone();
            one["spec"]["dependsOn"] = json!([]);
            one["spec"][field] = value.clone();
            one
        });
        for candidate in candidates.chain([object.clone()]) {
            if let Err(error) = check(candidate) {
                prop_assert!(error.starts_with("spec."), "{error}");
                prop_assert!(error.chars().count() < 400, "{error}");
            }
        }
    }
}
