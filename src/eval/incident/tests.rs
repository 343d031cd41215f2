//! Incidents as a whole: the contract's example is read to the last field, each mistake is one line with file, field and mend, and nothing panics.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::document::IncidentDocument;
use super::*;
use crate::domain::fleet::CapacityType;
use crate::domain::limits::Mode;
use crate::domain::signal::SignalName;
use crate::domain::units::Bytes;
use crate::service::{Retry, ServiceKind};

/// Every field there is, in the words of the contract.
const WHOLE: &str = "
apiVersion: ipa.dev/v1alpha1
kind: Incident
metadata: {name: shop-friday, title: A Friday, source: ours, license: CC0, tags: [seasonal]}
spec:
  start: 2026-03-02T00:00:00Z
  timeZone: Europe/Vienna
  history: 1d
  duration: 24h
  workloads:
  - name: web
    replicas: 4
    bounds: {min: 2, max: 60}
    requests: {cpu: 500m, memory: 512Mi}
    limits: {memory: 1Gi, cpu: 2}
    startup: {p50: 40s, p95: 70s}
    startupCpu: 750m
    service:
      kind: HTTP
      capacity: 50
      baseLatency: 45ms
      timeout: 20s
      retry: {share: 0.5, max: 3}
      contention: 0.01
      cpuPerUnit: 8m
      memory: {base: 210Mi, perUnit: 2Mi, leakPerHour: 3Mi}
    demand: {series: web.csv, unit: \"1/s\", scale: 2.0, observe: Served}
    slo: {latency: 250ms}
    criticality: High
    dependsOn: [{name: worker, ratio: 2.0}]
  - name: worker
    replicas: 1
    bounds: {min: 0, max: 9}
    requests: {cpu: 1, memory: 1Gi}
    startup: 90s
    service: {kind: Queue, capacity: 4}
    slo: {latency: 10m}
  nodes:
    pools:
    - {name: general, instanceTypes: [m6i.xlarge], zones: [a, b], capacityTypes: [on-demand, spot], provisioning: 80s, max: 40}
  faults:
  - {at: 2h, for: 10m, kind: SpotReclaim, share: 0.5, target: general}
  - {at: 1h, for: 10m, kind: MetricsLie, factor: 0, signals: [cpu], target: web}
  - {at: 23h, kind: ZoneLoss, target: b}
  expect:
    maxBadFraction: 0.01
    maxCostOverOracle: 1.4
    never: [ScaleDownOnStaleMetrics, OutsideBounds]
    decision: {class: DependencyFailure, firstSafeActBefore: 10m, forbidden: [ScaleDown], evidence: [latency, errors]}
";

/// A step of an hour, over both days.
fn series() -> String {
    let rows = (0..48).map(|hour| format!("{},{}\n", hour * 3600, 100 + hour)).collect::<Vec<_>>().concat();
    format!("t,value\n{rows}")
}

/// Writes files into a directory of their own and reads the incident there.
fn read(files: &[(&str, &[u8])]) -> Result<Incident, String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let prefix = format!("{}/", directory.path().display());
    Incident::read(directory.path()).map_err(|error| error.to_string().replace(&prefix, ""))
}

fn read_yaml(text: &str) -> Result<Incident, String> {
    read(&[("incident.yaml", text.as_bytes()), ("web.csv", series().as_bytes())])
}

#[test]
fn the_whole_contract_is_read() {
    let incident = read_yaml(WHOLE).unwrap();
    assert_eq!((&*incident.name, incident.title.as_str(), incident.license.as_str()), ("shop-friday", "A Friday", "CC0"));
    assert_eq!((incident.history_s, incident.duration_s, incident.time_zone.name()), (86_400, 86_400, "Europe/Vienna"));
    assert_eq!(incident.scored_from().to_string(), "2026-03-03T00:00:00Z");
    let web = &incident.workloads[0];
    assert_eq!((web.replicas, web.bounds), (4, Bounds { min: 2, max: 60 }));
    assert_eq!((web.startup, web.startup_cpu), (StartUp { p50_s: 40.0, p95_s: 70.0 }, Some(Millicores(750))));
    assert_eq!((web.service.retry, web.service.contention), (Retry { share: 0.5, max: 3 }, 0.01));
    assert_eq!((web.resources.cpu_limit, web.resources.memory_limit.unwrap().quantity()), (Some(Millicores(2000)), "1Gi".to_owned()));
    let service = &web.service;
    assert_eq!((service.kind, service.capacity, service.base_latency_s, service.timeout_s), (ServiceKind::HTTP, 50.0, 0.045, 20.0));
    assert_eq!((service.cpu_per_unit, service.memory.leak_per_hour.quantity()), (0.008, "3Mi".to_owned()));
    let demand = web.demand.as_ref().unwrap();
    assert_eq!((demand.observe, demand.samples.len(), demand.samples[1]), (Observe::Served, 48, (3600, 202.0)));
    assert_eq!((web.slo_latency_s, web.criticality), (0.25, Criticality::High));
    assert_eq!(web.depends_on, [("worker".into(), 2.0)]);
    let pool = &incident.pools[0];
    assert_eq!((pool.provisioning_s, pool.max, pool.capacity_types.len()), (80, 40, 2));
    assert_eq!(pool.zones, ["a".into(), "b".into()]);
    let lie = IncidentFaultKind::Cluster(FaultKind::MetricsLie { signals: vec![SignalName::Cpu], factor: 0.0 });
    assert_eq!(incident.faults[0], IncidentFault { at_s: 3600, for_s: 600, target: Some("web".into()), kind: lie });
    assert_eq!(incident.faults[1].kind, IncidentFaultKind::Cluster(FaultKind::SpotReclaim { share: 0.5, notice_s: 120 }));
    assert_eq!((incident.faults[2].at_s, incident.faults[2].for_s), (82_800, 3600), "until the end where nothing is said");
    let decision = incident.expect.decision.as_ref().unwrap();
    assert_eq!((decision.class, decision.first_safe_act_before_s), (Cause::DependencyFailure, Some(600)));
    assert_eq!(
        (&decision.forbidden[..], &decision.evidence[..]),
        (&[ForbiddenAct::ScaleDown][..], &["latency".to_owned(), "errors".to_owned()][..])
    );
    assert_eq!(incident.expect.never, [Never::ScaleDownOnStaleMetrics, Never::OutsideBounds]);
}

#[test]
fn what_is_left_out_has_the_contracts_defaults() {
    let incident = read_yaml(WHOLE).unwrap();
    let worker = &incident.workloads[1];
    let ServiceSpec { base_latency_s, timeout_s, cpu_per_unit, memory, .. } = &worker.service;
    assert_eq!((*base_latency_s, *timeout_s, *cpu_per_unit), (0.04, 30.0, 0.008));
    assert_eq!([memory.base, memory.per_unit, memory.leak_per_hour].map(Bytes::quantity), ["200Mi", "1Mi", "0"]);
    assert_eq!((worker.service.retry, worker.service.contention, worker.startup_cpu), (Retry::default(), 0.0, None));
    assert_eq!((worker.startup, worker.criticality), (StartUp { p50_s: 90.0, p95_s: 90.0 }, Criticality::Medium));
    assert!(worker.demand.is_none() && worker.depends_on.is_empty() && worker.resources.memory_limit.is_none());
    let bare = "
apiVersion: ipa.dev/v1alpha1
kind: Incident
metadata: {name: bare}
spec:
  start: 2026-03-02T00:00:00Z
  history: 3600s
  duration: 90000s
  workloads:
  - {name: web, replicas: 2, bounds: {min: 2, max: 9}, requests: {cpu: 1, memory: 1Gi}, startup: 30s, service: {capacity: 50}, demand: {series: web.csv}, slo: {latency: 1s}}
";
    let incident = read_yaml(bare).unwrap();
    assert_eq!((incident.title.as_str(), incident.time_zone.name(), incident.history_s), ("bare", "UTC", 3600));
    assert!(incident.pools.is_empty() && incident.faults.is_empty() && incident.expect == Expect::default());
    assert_eq!(incident.workloads[0].demand.as_ref().unwrap().samples[1], (3600, 101.0), "not scaled");
    assert!(incident.workloads[0].demand.as_ref().unwrap().smooth, "an hour's mean is smoothed");
    let jagged = read_yaml(&bare.replace("{series: web.csv}", "{series: web.csv, smooth: false}")).unwrap();
    assert!(!jagged.workloads[0].demand.as_ref().unwrap().smooth);
}

#[test]
fn people_are_derived_so_that_nothing_but_the_bounds_holds_a_policy_back() {
    let incident = read_yaml(WHOLE).unwrap();
    let names: Vec<String> = incident.groups.iter().map(|group| group.id.to_string()).collect();
    assert_eq!(names, ["incident/incident", "incident/incident-2"], "another promise is another group");
    let group = &incident.groups[0];
    assert_eq!((group.modes.scale_down, group.slo.unwrap().latency.to_string()), (Mode::Auto, "250ms".to_owned()));
    assert_eq!((group.depends_on[0].to.name.as_ref(), group.depends_on[0].ratio_milli), ("worker", 2000));
    let limits = &incident.guardrails[0].targets[&group.targets[0].key];
    assert_eq!((limits.bounds, limits.max_step_up, limits.max_step_down), (Bounds { min: 2, max: 60 }, 58, 58));
    assert!(incident.guardrails[0].targets.values().any(|limits| limits.allow_zero), "the worker may be at 0");
    let fleet = &incident.fleets[0];
    assert_eq!((&*fleet.pools[0], &*fleet.families[0], &*fleet.zones[1]), ("general", "m6i", "b"));
    assert_eq!(fleet.capacity_types, [CapacityType::OnDemand, CapacityType::Spot]);
}

#[test]
fn resources_and_events_that_lie_beside_are_taken() {
    let resources = "
apiVersion: ipa.dev/v1alpha1
kind: IntelligentPodAutoscaler
metadata: {name: shop}
spec: {targets: [{ref: {name: web}, min: 2, max: 9}]}
";
    let events = r#"{"t":60,"kind":"Pod","object":"web-1","reason":"OOMKilling"}"#;
    let files: [(&str, &[u8]); 4] = [
        ("incident.yaml", WHOLE.as_bytes()),
        ("web.csv", &series().into_bytes()),
        ("ipa.yaml", resources.as_bytes()),
        ("events.jsonl", events.as_bytes()),
    ];
    let incident = read(&files).unwrap();
    assert_eq!((incident.groups[0].id.to_string(), incident.guardrails.len(), incident.fleets.len()), ("incident/shop".to_owned(), 0, 0));
    assert_eq!((incident.events[0].t_s, incident.events[0].reason.as_str()), (60, "OOMKilling"));
    let broken = read(&[files[0], files[1], ("ipa.yaml", resources.replace("name: web", "name: api").as_bytes())]).unwrap_err();
    assert_eq!(
        broken,
        "ipa.yaml: IntelligentPodAutoscaler shop: spec.targets: deployments.apps/api is no workload of this incident; correct the name"
    );
    let broken = read(&[files[0], files[1], ("events.jsonl", b"{}")]).unwrap_err();
    assert!(broken.starts_with("events.jsonl:1: the line: missing field `t`"), "{broken}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list of mistakes")]
fn each_mistake_is_one_line_with_file_field_and_mend() {
    let mut wrong = Vec::new();
    for (from, to, error) in [
        ("metadata:", "metadate:", "incident.yaml: metadate: unknown field `metadate`"),
        ("replicas: 4", "replicas: 4\n    replica: 5", "incident.yaml: spec.workloads[0].replica: unknown field `replica`"),
        ("kind: Incident", "kind: Pod", "incident.yaml: kind: `Pod` is no incident; write Incident"),
        ("ipa.dev/v1alpha1", "v1", "incident.yaml: apiVersion: `v1` is not known; write ipa.dev/v1alpha1"),
        (
            "name: shop-friday",
            "name: Shop Friday",
            "incident.yaml: metadata.name: `Shop Friday` is no name; write lower-case letters, digits and -",
        ),
        ("2026-03-02T00:00:00Z", "Monday", "incident.yaml: spec.start: "),
        ("Europe/Vienna", "Europe/Wien", "incident.yaml: spec.timeZone: `Europe/Wien` is not an IANA time zone"),
        ("history: 1d", "history: 14", "incident.yaml: spec.history: "),
        ("history: 1d", "history: 2000d", "incident.yaml: spec.history: 48000h is out of range; write a time from 0s to 9600h"),
        ("duration: 24h", "duration: 10m", "incident.yaml: spec.duration: 10m is out of range; write a time from 10m1s to 9600h"),
        (
            "replicas: 4",
            "replicas: 99",
            "incident.yaml: spec.workloads[0].replicas: 99 is outside bounds 2 to 60; write a count inside, or widen the bounds",
        ),
        ("min: 2, max: 60", "min: 61, max: 60", "incident.yaml: spec.workloads[0].bounds: 61 to 60 holds no count"),
        ("cpu: 500m", "cpu: 500 m", "incident.yaml: spec.workloads[0].requests.cpu: "),
        ("cpu: 500m", "cpu: 0", "incident.yaml: spec.workloads[0].requests.cpu: 0 leaves nothing to measure use by"),
        ("memory: 1Gi, cpu: 2}", "memory: 1Mi}", "incident.yaml: spec.workloads[0].limits.memory: 1Mi is below the request 512Mi"),
        ("p50: 40s", "p50: 80s", "incident.yaml: spec.workloads[0].startup.p95: 1m10s is below p50 1m20s; write a time that is not"),
        (
            "startup: 90s",
            "startup: 0s",
            "incident.yaml: spec.workloads[1].startup: 0 is out of range; write a number above 0 and at most 86400",
        ),
        ("startup: 90s", "startup: 90", "incident.yaml: spec.workloads[1].startup: "),
        ("capacity: 50", "capacity: 0", "incident.yaml: spec.workloads[0].service.capacity: 0 is out of range; write a number above 0"),
        (
            "capacity: 50",
            "capacity: .nan",
            "incident.yaml: spec.workloads[0].service.capacity: NaN is out of range; write a number above 0",
        ),
        ("timeout: 20s", "timeout: 0s", "incident.yaml: spec.workloads[0].service.timeout: 0s would lose every request that waits"),
        (
            "share: 0.5, max: 3",
            "share: 1.5, max: 3",
            "incident.yaml: spec.workloads[0].service.retry.share: 1.5 is out of range; write a number from 0 to 1",
        ),
        (
            "contention: 0.01",
            "contention: -1",
            "incident.yaml: spec.workloads[0].service.contention: -1 is out of range; write a number from 0 to 1",
        ),
        (
            "latency: 250ms",
            "latency: 45ms",
            "incident.yaml: spec.workloads[0].slo.latency: 45ms would make every request bad; write more than service.baseLatency",
        ),
        (
            "series: web.csv",
            "series: ../web.csv",
            "incident.yaml: spec.workloads[0].demand.series: `../web.csv` is no file beside incident.yaml",
        ),
        ("series: web.csv", "series: api.csv", "failed to read api.csv: "),
        ("unit: \"1/s\"", "unit: 1/min", "incident.yaml: spec.workloads[0].demand.unit: `1/min` is no rate per second"),
        ("scale: 2.0", "scale: 0", "incident.yaml: spec.workloads[0].demand.scale: 0 is out of range"),
        ("observe: Served", "observe: Seen", "incident.yaml: spec.workloads[0].demand.observe: unknown variant `Seen`"),
        (
            "name: worker, ratio",
            "name: stranger, ratio",
            "incident.yaml: spec.workloads[0].dependsOn[0].name: `stranger` is no workload of this incident",
        ),
        (
            "slo: {latency: 10m}",
            "slo: {latency: 10m}\n    dependsOn: [{name: web}]",
            "incident.yaml: spec.workloads[0].dependsOn: the calls run in a circle (`web -> worker -> web`); remove one of them",
        ),
        ("- name: worker", "- name: web", "incident.yaml: spec.workloads[1].name: `web` is listed twice; list it once"),
        (
            "m6i.xlarge",
            "m6i.enormous",
            "incident.yaml: spec.nodes.pools[0].instanceTypes[0]: `m6i.enormous` is not in the built-in price lists",
        ),
        (
            "cpu: 1, memory: 1Gi",
            "cpu: 64, memory: 1Gi",
            "incident.yaml: spec.workloads[1].requests: no instance type of the pools has room for 64 and 1Gi",
        ),
        (
            "capacityTypes: [on-demand, spot]",
            "capacityTypes: [on-demand]",
            "incident.yaml: spec.faults[0].kind: no pool buys spot machines",
        ),
        ("max: 40}", "max: 0}", "incident.yaml: spec.nodes.pools[0].max: 0 is out of range; write a count from 1 to 10000"),
        ("kind: ZoneLoss", "kind: Earthquake", "incident.yaml: spec.faults[2].kind: unknown variant `Earthquake`"),
        (
            "at: 23h",
            "at: 24h",
            "incident.yaml: spec.faults[2].at: 24h is beyond the end; times are from the scored part's begin, which lasts 86400 s",
        ),
        (
            "{at: 2h, for: 10m",
            "{at: 2h, for: 23h",
            "incident.yaml: spec.faults[0].for: 23h from 2h on passes the end; write 79200s at most, or leave it out",
        ),
        (
            "target: b}",
            "target: c}",
            "incident.yaml: spec.faults[2].target: `c` is no zone of a pool in spec.nodes.pools; correct it, or leave it out",
        ),
        (
            "kind: ZoneLoss, target: b",
            "kind: ZoneLoss",
            "incident.yaml: spec.faults[2].target: a zone is lost, not all of them; name one that a pool has",
        ),
        ("target: b}", "target: b, share: 1}", "incident.yaml: spec.faults[2].share: ZoneLoss has no such parameter; remove it"),
        ("factor: 0, ", "", "incident.yaml: spec.faults[1].factor: it is missing, and this kind of fault needs it; write it beside kind"),
        ("signals: [cpu]", "signals: [noise]", "incident.yaml: spec.faults[1].signals[0]: `noise` is no signal; write one of demand, cpu"),
        (
            "maxBadFraction: 0.01",
            "maxBadFraction: 2",
            "incident.yaml: spec.expect.maxBadFraction: 2 is out of range; write a number from 0 to 1",
        ),
        ("OutsideBounds]", "OutOfBounds]", "incident.yaml: spec.expect.never[1]: unknown variant `OutOfBounds`"),
        (
            "firstSafeActBefore: 10m",
            "firstSafeActBefore: 25h",
            "incident.yaml: spec.expect.decision.firstSafeActBefore: 90000 s is longer than the scored part",
        ),
        ("class: DependencyFailure", "class: Weather", "incident.yaml: spec.expect.decision.class: unknown variant `Weather`"),
        ("spec:", "spec: [", "incident.yaml: "),
        ("\napiVersion", "\na: 1\n---\napiVersion", "incident.yaml: a: unknown field `a`"),
    ] {
        assert!(WHOLE.contains(from), "{from}");
        let text = read_yaml(&WHOLE.replacen(from, to, 1)).unwrap_err();
        if !text.starts_with(error) || text.contains('\n') {
            wrong.push(format!("{from} -> {to}:\n  is {text}\n  not {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_broken_series_and_a_missing_file_are_named() {
    let broken = read(&[("incident.yaml", WHOLE.as_bytes()), ("web.csv", b"t,value\n0,1\n3600,-2\n")]).unwrap_err();
    assert_eq!(broken, "web.csv:3: value: `-2` is negative; demand starts at 0");
    assert!(read(&[]).unwrap_err().starts_with("failed to read incident.yaml: "));
    assert!(read(&[("incident.yaml", b"\xff\xfe")]).unwrap_err().starts_with("failed to read incident.yaml: "));
    assert!(Incident::read(Path::new("/nonexistent")).is_err());
}

#[test]
fn a_document_that_is_written_is_read_back() {
    let document: IncidentDocument = serde_saphyr::from_str(WHOLE).unwrap();
    let text = serde_saphyr::to_string(&document).unwrap();
    assert_eq!(serde_saphyr::from_str::<IncidentDocument>(&text).unwrap(), document, "{text}");
}

/// Every place in a value, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let odd =
        ["", "-1", "0s", "1e400", "NaN", "9E99", "99999999999h", "9999-12-31T23:59:59Z", "-262143-01-01T00:00:00Z", "1ns", "web", "../x"];
    prop_oneof![
        "\\PC{0,30}".prop_map(Value::from),
        proptest::sample::select(odd.to_vec()).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        proptest::sample::select(vec![json!(null), json!([]), json!({}), json!(true), json!([[], {}]), json!({"p50": "1s"})]),
    ]
}

/// Reads files that were bent, and asks for one line where they are refused.
fn bent(files: &[(&str, &[u8])]) -> Result<(), TestCaseError> {
    if let Err(error) = read(files) {
        prop_assert!(!error.contains('\n') && error.chars().count() < 1000, "{error}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_field_panics_whatever_it_says(place in any::<prop::sample::Index>(), value in any_value()) {
        let mut document: Value = serde_saphyr::from_str(WHOLE).unwrap();
        let mut found = Vec::new();
        places(&document, "", &mut found);
        *document.pointer_mut(place.get(&found[..]).as_str()).unwrap() = value;
        bent(&[("incident.yaml", document.to_string().as_bytes()), ("web.csv", series().as_bytes())])?;
    }

    #[test]
    fn no_bytes_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..20), at in any::<prop::sample::Index>(), cut in 0usize..20,
        file in proptest::sample::select(vec!["incident.yaml", "web.csv", "ipa.yaml", "events.jsonl"]),
    ) {
        let event = r#"{"t":60,"kind":"Pod","object":"web-1","reason":"OOMKilling"}"#;
        let group = "apiVersion: ipa.dev/v1alpha1\nkind: IntelligentPodAutoscaler\nmetadata: {name: shop}\nspec: {targets: [{ref: {name: web}, min: 2, max: 9}]}\n";
        let valid = [("incident.yaml", WHOLE.to_owned()), ("web.csv", series()), ("ipa.yaml", group.to_owned()), ("events.jsonl", event.to_owned())];
        let files: Vec<(&str, Vec<u8>)> = valid
            .into_iter()
            .map(|(name, text)| {
                let mut text = text.into_bytes();
                if name == file {
                    let from = at.index(text.len());
                    let until = (from + cut).min(text.len());
                    text.splice(from..until, bytes.iter().copied());
                }
                (name, text)
            })
            .collect();
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, &text[..])).collect();
        bent(&files)?;
    }

    #[test]
    fn no_text_at_all_panics(text in "\\PC{0,200}|[a-z:{}\\[\\]\n -]{0,200}") {
        bent(&[("incident.yaml", text.as_bytes()), ("web.csv", text.as_bytes())])?;
    }
}
