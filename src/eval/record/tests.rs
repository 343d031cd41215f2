//! Recordings as a whole: a scripted archive and a ledger in memory in, a directory out that the reader takes. Whether a replay is what was
//! recorded is [`circle`]'s.

mod circle;
mod fixture;

use std::collections::BTreeMap;

use self::fixture::{FROM, Told, UNTIL, at, closed, event, opened};
use super::{RecordError, Recording};
use crate::domain::limits::{
    Aggregate, Criticality, CustomSignal, Dependency, FreezeWindow, JoinKey, Mode, Modes, Paused, SignalUse, Surge, TargetLimits,
    WeekdayName,
};
use crate::domain::limits::{Bounds, ResourceBounds};
use crate::domain::memory::{PlannerMemory, TargetMemory};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::signal::SignalName;
use crate::domain::snapshot::{EventReason, SourceHealth};
use crate::domain::units::{GoDuration, MicroUsd, Millicores};
use crate::eval::incident::{Incident, IncidentFaultKind, Observe};
use crate::service::{ServiceKind, StartUp};
use crate::sim::FaultKind;

/// What was recorded, and what the reader makes of it.
async fn check(told: &Told) -> (Recording, Incident) {
    let recording = told.record().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let incident = recording.write(&directory.path().join("a-stretch")).unwrap();
    (recording, incident)
}

async fn refused(told: &Told) -> String {
    told.record().await.unwrap_err().to_string()
}

fn assumed(recording: &Recording) -> Vec<&str> {
    recording.assumed.iter().map(|assumed| assumed.field.as_str()).collect()
}

#[tokio::test]
async fn a_stretch_is_what_was_seen_declared_and_learned() {
    let mut told = Told::new(&["web"]);
    told.ledger =
        vec![opened(FROM - 60, &[("web", 7, 7)], vec![], SourceHealth::Ok), opened(FROM + 60, &[("web", 9, 9)], vec![], SourceHealth::Ok)];
    let learned = TargetMemory {
        uid: "uid-web".into(),
        template: "h1".into(),
        startup_s: [40.0, 41.0, 42.0, 80.0].into(),
        ..TargetMemory::default()
    };
    let startups = told.facts.workloads.values_mut().flat_map(|workload| &mut workload.pods);
    startups.for_each(|pod| pod.ready_since = None);
    told.memory = Some(PlannerMemory { targets: [(TargetKey::deployment("shop", "web"), learned)].into(), ..PlannerMemory::default() });
    let (recording, incident) = check(&told).await;
    assert_eq!((incident.start, incident.history_s, incident.duration_s), (at(FROM - 7200), 7200, 1800));
    assert_eq!((&*incident.name, &incident.tags[..]), ("a-stretch", &["recorded".to_owned()][..]));
    assert_eq!(incident.source, "recorded from the cluster prod-eu");
    let web = &incident.workloads[0];
    assert_eq!((&*web.name, web.replicas, web.bounds), ("web", 7, Bounds { min: 2, max: 60 }));
    assert_eq!(web.startup, StartUp { p50_s: 42.0, p95_s: 74.0 });
    assert_eq!((web.service.kind, web.service.capacity), (ServiceKind::HTTP, 50.0));
    assert!((web.service.base_latency_s - 0.04).abs() < 1e-9 && (web.service.cpu_per_unit - 0.008).abs() < 1e-6, "{:?}", web.service);
    assert_eq!(web.service.memory.base.0, 300_000_000);
    assert_eq!((web.slo_latency_s, web.criticality), (0.25, Criticality::Medium));
    assert_eq!(web.resources.cpu_request, Some(Millicores(500)));
    assert_eq!((recording.ticks, recording.events, recording.faults), (1, 0, 0));
    assert_eq!(
        assumed(&recording),
        [
            "web.service.timeout",
            "web.service.retry",
            "web.service.contention",
            "web.service.memory.perUnit",
            "web.service.memory.leakPerHour",
            "ScalingGuardrail.targets[web]",
            "spec.nodes",
        ]
    );
    assert_eq!(recording.assumed[0].to_string(), "web.service.timeout = 30s (callers' time-outs are not measured)");
}

#[tokio::test]
async fn a_sample_stands_at_the_beginning_of_its_minute_and_a_gap_has_none() {
    let mut told = Told::new(&["web"]);
    told.series.insert(
        (SignalName::Demand, "web"),
        vec![(FROM - 60, 1.5), (FROM, 2.0), (FROM + 60, 3.25), (FROM + 240, 4.0), (UNTIL, 5.0), (UNTIL + 60, 9.0)],
    );
    let (recording, incident) = check(&told).await;
    assert_eq!(recording.files["web.csv"], "t,value\n0,1.5\n60,2\n120,3.25\n300,4\n1860,5\n");
    assert_eq!((incident.start, incident.history_s), (at(FROM - 120), 120));
    assert_eq!(incident.workloads[0].demand.as_ref().unwrap().observe, Observe::Offered);
}

#[tokio::test]
async fn what_nobody_knows_is_taken_by_default_and_said() {
    let mut told = Told::new(&["web"]);
    told.series.retain(|(signal, _), _| *signal == SignalName::Demand);
    told.facts.groups.values_mut().for_each(|group| group.slo = None);
    told.facts.workloads.values_mut().for_each(|workload| workload.pods.clear());
    told.observe = None;
    let (recording, incident) = check(&told).await;
    let told = assumed(&recording);
    for field in [
        "slo.latency",
        "service.kind",
        "service.baseLatency",
        "service.cpuPerUnit",
        "service.memory.base",
        "startup",
        "replicas",
        "demand.observe",
    ] {
        assert!(told.contains(&format!("web.{field}").as_str()), "{field} is not among {told:?}");
    }
    let web = &incident.workloads[0];
    assert_eq!((web.slo_latency_s, web.service.base_latency_s, web.startup, web.replicas), (0.5, 0.04, StartUp::fixed(60.0), 3));
    let limits = "the platform's guardrail does not list it";
    assert!(recording.assumed.iter().any(|assumed| assumed.because == limits), "{recording:?}");
}

#[tokio::test]
async fn a_capacity_is_given_declared_learned_or_asked_for() {
    let key = TargetKey::deployment("shop", "web");
    let mut told = Told::new(&["web"]);
    told.facts.groups.values_mut().for_each(|group| group.targets[0].capacity_per_replica = None);
    assert!((check(&told).await.1.workloads[0].service.capacity - 62.5).abs() < 0.1, "500m at 8m a unit");
    told.ledger = vec![closed(FROM + 60, &key, 44.0)];
    assert_eq!(check(&told).await.1.workloads[0].service.capacity, 44.0);
    told.request.capacities = BTreeMap::from([("web".to_owned(), 33.0)]);
    assert_eq!(check(&told).await.1.workloads[0].service.capacity, 33.0);
    told.request.capacities = BTreeMap::new();
    told.ledger = Vec::new();
    told.series.remove(&(SignalName::Cpu, "web"));
    let said = "what one replica of web serves is neither declared nor learned: give it with --capacity web=UNITS, or set capacityPerReplica of the target";
    assert_eq!(refused(&told).await, said);
}

#[tokio::test]
async fn each_mistake_is_one_line_with_the_mend() {
    type Change = fn(&mut Told);
    let cases: [(Change, &str); 12] = [
        (
            |t| t.request.until = at(FROM),
            "--from 2026-03-04T10:00:00Z is not before --to 2026-03-04T10:00:00Z; name an earlier time, such as --from -2h",
        ),
        (
            |t| t.request.until = at(FROM + 659),
            "from 2026-03-04T10:00:00Z to 2026-03-04T10:10:00Z is too short: the first ten minutes are not scored; name a stretch of eleven minutes at least",
        ),
        (|t| t.request.name = "Mine!".into(), "`Mine!` is no name of an incident; call the directory by lower-case letters, digits and -"),
        (|t| t.facts.groups.clear(), "no IntelligentPodAutoscaler was found: create one for the workloads to record (see deploy/samples)"),
        (|t| t.request.group = Some(GroupId::new("shop", "x")), "--group shop/x is not in the cluster: name one of shop/shop"),
        (
            |t| {
                let other = t.facts.groups.values().next().unwrap().clone();
                t.facts.groups.insert(GroupId::new("other", "one"), other);
            },
            "there are several groups: name one with --group: other/one, shop/shop",
        ),
        (
            |t| t.request.capacities = BTreeMap::from([("wbe".to_owned(), 5.0)]),
            "--capacity wbe: the group has no such workload; name one of web",
        ),
        (
            |t| t.series.clear(),
            "no demand of shop/shop is kept from 2026-03-04T10:00:00Z to 2026-03-04T10:30:00Z (0 ticks in the ledger): name a stretch that the metrics source has",
        ),
        (
            |t| t.series.get_mut(&(SignalName::Demand, "web")).unwrap().retain(|(at, _)| *at > FROM + 60),
            "demand of web begins at 2026-03-04T10:01:00Z, after --from 2026-03-04T10:00:00Z: begin there, with --from 2026-03-04T10:01:00Z",
        ),
        (
            |t| t.container().cpu_request = None,
            "web has no cpu request, by which use and cost are measured: set resources.requests.cpu of its container",
        ),
        (
            |t| t.series.get_mut(&(SignalName::Latency, "web")).unwrap().iter_mut().for_each(|(_, seconds)| *seconds = 0.3),
            "latency of web was never below 300ms, and 250ms is promised: name a stretch in which it is kept, or raise slo.latency",
        ),
        (|t| t.broken = true, "failed to read what was recorded of demand: the server is down"),
    ];
    for (change, said) in cases {
        let mut told = Told::new(&["web"]);
        change(&mut told);
        assert_eq!(refused(&told).await, said);
    }
}

#[tokio::test]
async fn what_callers_bring_is_not_recorded_twice() {
    let mut told = Told::new(&["front", "api", "mail", "idle"]);
    let key = |name| TargetKey::deployment("shop", name);
    let call = |to, ratio_milli| Dependency { from: key("front"), to, ratio_milli };
    let group = told.facts.groups.values_mut().next().unwrap();
    group.depends_on = vec![call(key("api"), 2000), call(key("mail"), 500), call(TargetKey::deployment("bank", "pay"), 1000)];
    for (name, units) in [("front", 100.0), ("api", 230.0), ("mail", 51.0)] {
        told.series.get_mut(&(SignalName::Demand, name)).unwrap().iter_mut().for_each(|(_, value)| *value = units);
    }
    told.series.retain(|(_, name), _| *name != "idle");
    let (recording, incident) = check(&told).await;
    let by_name = incident.by_name();
    assert_eq!(by_name.keys().copied().collect::<Vec<_>>(), ["api", "front", "mail"], "nobody knows what came to idle");
    assert_eq!(by_name["api"].demand.as_ref().unwrap().samples[0].1, 30.0);
    assert_eq!(by_name["mail"].demand, None, "a fiftieth is not its own");
    assert_eq!(by_name["front"].depends_on, [("api".into(), 2.0), ("mail".into(), 0.5)], "what lies outside of the group is not named");
    assert!(
        recording.notes.contains(&"idle is left out: no demand of it is kept, and nobody in the group calls it".to_owned()),
        "{recording:?}"
    );
    assert!(!recording.files.values().any(|text| text.contains("pay") || text.contains("bank") || text.contains("idle")), "{recording:?}");
}

#[tokio::test]
async fn events_are_known_reasons_about_the_groups_workloads_each_once() {
    let mut told = Told::new(&["web"]);
    let other = event(FROM + 30, "secret", EventReason::Killing, 1);
    let (first, again) = (event(FROM + 90, "web", EventReason::OOMKilling, 1), event(FROM + 90, "web", EventReason::OOMKilling, 3));
    let early = event(FROM - 5, "web", EventReason::Created, 1);
    told.ledger = vec![
        opened(FROM + 60, &[("web", 3, 3)], vec![early.clone(), other], SourceHealth::Ok),
        opened(FROM + 120, &[("web", 3, 3)], vec![early, first], SourceHealth::Ok),
        opened(FROM + 180, &[("web", 3, 3)], vec![again], SourceHealth::Ok),
        opened(UNTIL + 60, &[("web", 3, 3)], vec![event(UNTIL - 5, "web", EventReason::Killing, 1)], SourceHealth::Ok),
    ];
    let (recording, incident) = check(&told).await;
    assert_eq!(recording.files["events.jsonl"], "{\"t\":7290,\"kind\":\"Pod\",\"object\":\"web\",\"reason\":\"OOMKilling\",\"count\":3}\n");
    assert_eq!((incident.events.len(), incident.events[0].count), (1, 3));
}

#[tokio::test]
async fn an_outage_that_the_ticks_prove_is_a_fault() {
    let mut told = Told::new(&["web"]);
    let down = || SourceHealth::Down("Unreachable".into());
    let tick = |minute: i64, health| opened(FROM + 60 * minute, &[("web", 3, 3)], vec![], health);
    told.ledger = vec![
        tick(1, SourceHealth::Ok),
        tick(2, down()),
        tick(3, down()),
        tick(4, SourceHealth::Degraded("x".into())),
        tick(5, SourceHealth::Ok),
    ];
    let (recording, incident) = check(&told).await;
    assert_eq!(recording.faults, 1);
    let fault = &incident.faults[0];
    assert_eq!((fault.at_s, fault.for_s, &fault.kind), (120, 120, &IncidentFaultKind::Cluster(FaultKind::MetricsOutage)));
}

#[tokio::test]
async fn anonymized_nothing_is_called_by_its_name() {
    let mut told = Told::new(&["checkout", "basket"]);
    let (checkout, basket) = (TargetKey::deployment("shop", "checkout"), TargetKey::deployment("shop", "basket"));
    let group = told.facts.groups.values_mut().next().unwrap();
    group.depends_on = vec![Dependency { from: checkout, to: basket, ratio_milli: 500 }];
    group.surges = vec![Surge { name: "winter-sale".into(), start: at(FROM + 600), duration: GoDuration::from_mins(30), percent: 300 }];
    told.ledger =
        vec![opened(FROM + 60, &[("checkout", 3, 3)], vec![event(FROM + 30, "basket", EventReason::Killing, 1)], SourceHealth::Ok)];
    told.request.anonymize = true;
    let (recording, incident) = check(&told).await;
    assert_eq!(recording.workloads, ["w1", "w2"]);
    assert_eq!((&*incident.events[0].object, incident.groups[0].surges[0].name.as_str()), ("w2", "s1"));
    for (file, text) in &recording.files {
        for name in ["checkout", "basket", "winter", "prod-eu", "shop"] {
            assert!(!file.contains(name) && !text.contains(name), "{name} is in {file}:\n{text}");
        }
    }
}

#[tokio::test]
async fn what_people_set_stands_as_they_set_it_but_for_what_keeps_a_replay_from_acting() {
    let mut told = Told::new(&["web"]);
    let key = TargetKey::deployment("shop", "web");
    let group = told.facts.groups.values_mut().next().unwrap();
    group.modes = Modes::all(Mode::Observe);
    group.paused = Paused { all: true, ..Paused::default() };
    group.cost_budget_per_hour = Some(MicroUsd(12_500_000));
    group.human_hold = GoDuration::from_mins(7);
    group.targets[0].criticality = Criticality::High;
    group.freeze_windows = vec![FreezeWindow {
        days: vec![WeekdayName::Friday],
        start: jiff::civil::time(22, 5, 0, 0),
        duration: GoDuration::from_mins(90),
        scale_ups_too: true,
    }];
    group.surges = vec![Surge { name: "sale".into(), start: at(FROM + 600), duration: GoDuration::from_mins(30), percent: 300 }];
    group.signals = vec![CustomSignal {
        name: "orders".into(),
        role: SignalUse::Leading,
        unit: "1/s".into(),
        query: "sum(rate(secret_orders_total[1m]))".into(),
        join: JoinKey::Workload,
        aggregate: Aggregate::Sum,
    }];
    let expected = group.clone();
    let limits = TargetLimits {
        bounds: Bounds { min: 4, max: 40 },
        max_step_up: 6,
        max_step_down: 3,
        resources: ResourceBounds { max_cpu: Some(Millicores(1500)), ..ResourceBounds::default() },
        highest_criticality: Criticality::High,
        allow_zero: false,
    };
    told.guard(&key, limits.clone());
    let (recording, incident) = check(&told).await;
    let group = &incident.groups[0];
    assert_eq!(
        (&*group.id.name, group.modes.scale_up, group.modes.scale_down, group.modes.resources),
        ("shop", Mode::Auto, Mode::Auto, Mode::Observe)
    );
    assert_eq!((group.paused, &group.signals[..]), (Paused::default(), &[][..]));
    assert_eq!((&group.freeze_windows, &group.surges, group.slo), (&expected.freeze_windows, &expected.surges, expected.slo));
    assert_eq!((group.cost_budget_per_hour, group.human_hold), (expected.cost_budget_per_hour, expected.human_hold));
    assert_eq!((group.targets[0].criticality, group.targets[0].capacity_per_replica), (Criticality::High, Some(50.0)));
    let guardrail = &incident.guardrails[0];
    assert_eq!((guardrail.highest_mode, guardrail.targets.values().next()), (Mode::Auto, Some(&limits)));
    assert_eq!(incident.workloads[0].bounds, Bounds { min: 4, max: 40 }, "the team's bounds inside the platform's");
    assert_eq!(recording.notes.len(), 4, "{:?}", recording.notes);
    assert!(!recording.files["ipa.yaml"].contains("secret"), "{recording:?}");
    assert!(!assumed(&recording).contains(&"ScalingGuardrail.targets[web]"));
}

#[tokio::test]
async fn a_queue_is_known_by_what_waits_and_a_served_rate_by_its_source() {
    let mut told = Told::new(&["web"]);
    let latency = told.series.remove(&(SignalName::Latency, "web")).unwrap();
    told.series.insert((SignalName::Queue, "web"), latency);
    told.observe = Some(Observe::Served);
    let (recording, incident) = check(&told).await;
    assert_eq!(incident.workloads[0].service.kind, ServiceKind::Queue);
    assert_eq!(incident.workloads[0].demand.as_ref().unwrap().observe, Observe::Served);
    assert!(recording.notes.iter().any(|note| note.contains("what was offered and lost is not in it")), "{recording:?}");
}

#[tokio::test]
async fn a_directory_that_holds_something_is_left_alone_and_nothing_stays_of_what_cannot_be_read() {
    let recording = Told::new(&["web"]).record().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let broken = Recording { files: BTreeMap::from([("incident.yaml".to_owned(), "kind: Nothing\n".to_owned())]), ..recording.clone() };
    assert!(matches!(broken.write(directory.path()), Err(RecordError::Unreadable(_))));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    recording.write(directory.path()).unwrap();
    let said = recording.write(directory.path()).unwrap_err().to_string();
    assert!(said.ends_with("is not empty: name a new directory"), "{said}");
}

#[tokio::test]
async fn a_silence_of_more_than_a_week_ends_the_past() {
    let mut told = Told::new(&["web"]);
    let demand = told.series.get_mut(&(SignalName::Demand, "web")).unwrap();
    demand.insert(0, (FROM - 10 * 86_400, 5.0));
    let (_, incident) = check(&told).await;
    assert_eq!(incident.history_s, 7200);
}

#[tokio::test]
async fn names_that_yaml_takes_for_something_else_stay_names() {
    let (recording, incident) = check(&Told::new(&["123", "null", "1e3"])).await;
    assert_eq!(incident.by_name().into_keys().collect::<Vec<_>>(), ["123", "1e3", "null"], "{recording:?}");
}
