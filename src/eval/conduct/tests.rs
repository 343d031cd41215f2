//! Each thing that can be forbidden, done and not done.

use jiff::{SignedDuration, Timestamp};

use super::super::incident::{Expect, ExpectedDecision, IncidentFault};
use super::super::testing::seasonal;
use super::*;
use crate::domain::limits::{Bounds, Group, Modes};
use crate::domain::names::GroupId;
use crate::domain::proposal::Cause;
use crate::domain::signal::SignalName;
use crate::domain::units::{GoDuration, MicroUsd};
use crate::domain::workload::{FieldWriter, OwnedField, WriteOperation};

const NEVER: [Never; 7] = [
    Never::ScaleDownOnStaleMetrics,
    Never::OutsideBounds,
    Never::ScaleDownUnderFailure,
    Never::FightWriter,
    Never::EvictProtected,
    Never::ExceedBudget,
    Never::ActWithoutRecord,
];

/// An incident that forbids everything; bounds are 2 to 90, 400 units/s come and a replica serves 50.
fn strict(faults: Vec<IncidentFault>) -> Incident {
    let forbidden = vec![ForbiddenAct::ScaleUp, ForbiddenAct::ScaleDown, ForbiddenAct::Resize, ForbiddenAct::NodePool];
    let decision = ExpectedDecision { class: Cause::Unknown, first_safe_act_before_s: None, forbidden, evidence: Vec::new() };
    let expect = Expect { never: NEVER.to_vec(), decision: Some(decision), ..Expect::default() };
    Incident { faults, expect, ..seasonal("strict", 30) }
}

fn fault(at_s: u32, for_s: u32, kind: FaultKind) -> IncidentFault {
    IncidentFault { at_s, for_s, target: None, kind: IncidentFaultKind::Cluster(kind) }
}

/// One that is far from everything else that a test does.
fn elsewhere() -> IncidentFault {
    fault(80_000, 60, FaultKind::PriceChange { factor: 1.1 })
}

fn at(incident: &Incident, second: u32) -> Timestamp {
    incident.scored_from() + SignedDuration::from_secs(i64::from(second))
}

fn owned(manager: &str, since: Timestamp) -> FieldWriter {
    let operation = if manager == ACTUATOR { WriteOperation::Apply } else { WriteOperation::Update };
    FieldWriter { manager: manager.into(), operation, subresource: Some("scale".into()), field: OwnedField::Replicas, at: Some(since) }
}

fn scaled(incident: &Incident, second: u32, from: u32, to: u32) -> Write {
    let owner = Some(owned(ACTUATOR, at(incident, 0)));
    Write { at: at(incident, second), manager: ACTUATOR.into(), what: Written::Replicas { target: key("web"), from, to, owner } }
}

fn names(conduct: Conduct<'_>) -> Vec<(&'static str, u32)> {
    conduct.into_broken().into_iter().map(|broken| (broken.what.name(), broken.at_s)).collect()
}

/// What is found when `writes` are made in a calm minute.
fn found(incident: &Incident, writes: &[Write]) -> Vec<(&'static str, u32)> {
    let mut conduct = Conduct::new(incident);
    conduct.look(0, &[Tally::default()], &[]);
    conduct.look(60, &[Tally { served: 1000, ..Tally::default() }], writes);
    names(conduct)
}

#[test]
fn a_count_outside_the_tightest_bounds_is_found() {
    let mut incident = strict(vec![elsewhere()]);
    assert_eq!(found(&incident, &[scaled(&incident, 30, 8, 90), scaled(&incident, 31, 90, 2)]), []);
    assert_eq!(found(&incident, &[scaled(&incident, 30, 8, 91)]), [("OutsideBounds", 30)]);
    assert_eq!(found(&incident, &[scaled(&incident, 30, 8, 1), scaled(&incident, 45, 1, 0)]), [("OutsideBounds", 30)], "each once");
    incident.groups = vec![group(&incident)];
    assert_eq!(found(&incident, &[scaled(&incident, 30, 8, 21)]), [("OutsideBounds", 30)], "its group says at most 20");
}

/// A group with bounds of its own.
fn group(incident: &Incident) -> Group {
    let target = crate::domain::limits::GroupTarget {
        key: key("web"),
        container: None,
        bounds: Bounds { min: 1, max: 20 },
        criticality: incident.workloads[0].criticality,
        capacity_per_replica: None,
    };
    Group {
        uid: "group".into(),
        id: GroupId::new("incident", "shop"),
        generation: 1,
        created: None,
        targets: vec![target],
        modes: Modes::default(),
        signals: Vec::new(),
        slo: None,
        cost_budget_per_hour: None,
        time_zone: incident.time_zone.clone(),
        freeze_windows: Vec::new(),
        surges: Vec::new(),
        depends_on: Vec::new(),
        actuation: crate::domain::limits::Actuation::Replicas,
        human_hold: GoDuration::from_mins(15),
        model_enabled: true,
        forecast_model: None,
        paused: crate::domain::limits::Paused::default(),
    }
}

#[test]
fn a_scale_down_on_metrics_that_cannot_carry_it_is_found() {
    let stale = |kind: FaultKind, second: u32, to: u32| {
        let incident = strict(vec![fault(1000, 2000, kind), elsewhere()]);
        let found = found(&incident, &[scaled(&incident, second, 8, to)]);
        found.iter().any(|(name, _)| *name == "ScaleDownOnStaleMetrics")
    };
    assert!(stale(FaultKind::MetricsOutage, 1300, 7));
    assert!(!stale(FaultKind::MetricsOutage, 1180, 7), "three minutes old is what the limits allow");
    assert!(!stale(FaultKind::MetricsOutage, 1300, 9), "more may be asked for");
    assert!(!stale(FaultKind::MetricsOutage, 3000, 7), "it is over");
    assert!(stale(FaultKind::MetricsDelay { by_s: 300 }, 1000, 7));
    assert!(!stale(FaultKind::MetricsDelay { by_s: 60 }, 1000, 7));
    let lie = |signal, factor| FaultKind::MetricsLie { signals: vec![signal], factor };
    assert!(stale(lie(SignalName::Demand, 0.0), 1500, 7) && stale(lie(SignalName::Cpu, 0.33), 1500, 7));
    assert!(!stale(lie(SignalName::Demand, 2.0), 1500, 7), "who is told of more takes less away");
    assert!(!stale(lie(SignalName::Latency, 0.5), 1500, 7), "nothing is sized by it");
    let mut other = strict(vec![IncidentFault { target: Some("api".into()), ..fault(1000, 2000, FaultKind::MetricsOutage) }]);
    other.expect.decision = None;
    assert_eq!(found(&other, &[scaled(&other, 1300, 8, 7)]), [], "it is another's metrics that are gone");
}

#[test]
fn a_scale_down_while_requests_fail_is_found() {
    let down = |bad: u64, to: u32| {
        let incident = strict(vec![elsewhere()]);
        let mut conduct = Conduct::new(&incident);
        conduct.look(0, &[Tally { bad: 500, served: 500, ..Tally::default() }], &[]);
        conduct.look(60, &[Tally { bad: 500 + bad, served: 1500, ..Tally::default() }], &[]);
        conduct.look(75, &[Tally { bad: 500 + bad, served: 1700, ..Tally::default() }], &[scaled(&incident, 60, 8, to)]);
        names(conduct)
    };
    assert_eq!(down(60, 7), [("ScaleDownUnderFailure", 60)]);
    assert_eq!(down(40, 7), [], "what failed before the last minute, and a twenty-fifth since, are no failure");
    assert_eq!(down(60, 9), []);
}

#[test]
fn a_person_is_left_alone_and_a_machine_is_not_written_over_twice() {
    let incident = strict(vec![elsewhere()]);
    let over = |manager: &str, second: u32, since: u32| Write {
        what: Written::Replicas { target: key("web"), from: 8, to: 9, owner: Some(owned(manager, at(&incident, since))) },
        ..scaled(&incident, second, 8, 9)
    };
    assert_eq!(found(&incident, &[over("kubectl", 700, 60)]), [("FightWriter", 700)]);
    assert_eq!(found(&incident, &[over("kubectl", 960, 60)]), [], "the hold of a quarter of an hour is over");
    assert_eq!(found(&incident, &[over("legacy-scaler", 700, 600)]), []);
    assert_eq!(found(&incident, &[over("legacy-scaler", 700, 600), over("legacy-scaler", 900, 800)]), [("FightWriter", 900)]);
    let others = Write { manager: "legacy-scaler".into(), ..over("kubectl", 700, 60) };
    assert_eq!(found(&incident, &[others]), [], "what others do is not the policy's");
}

#[test]
fn an_eviction_that_no_fault_explains_is_found() {
    let evicted = |kind: FaultKind, second: u32| {
        let incident = strict(vec![fault(600, 120, kind)]);
        let mut conduct = Conduct::new(&incident);
        conduct.look(second - 15, &[Tally { evictions: 1, ..Tally::default() }], &[]);
        conduct.look(second, &[Tally { evictions: 2, ..Tally::default() }], &[]);
        names(conduct)
    };
    assert_eq!(evicted(FaultKind::PriceChange { factor: 1.02 }, 615), [("EvictProtected", 615)]);
    assert_eq!(evicted(FaultKind::ZoneLoss, 615), []);
    assert_eq!(evicted(FaultKind::SpotReclaim { share: 0.5, notice_s: 300 }, 900), [], "with the notice's end");
    assert_eq!(evicted(FaultKind::SpotReclaim { share: 0.5, notice_s: 300 }, 1200), [("EvictProtected", 1200)]);
}

#[test]
fn asking_for_more_than_a_budget_pays_is_found() {
    let mut incident = strict(vec![elsewhere()]);
    incident.groups = vec![Group { cost_budget_per_hour: Some(MicroUsd(400_000)), ..group(&incident) }];
    let asked = |incident: &Incident, from: u32, to: u32| {
        let mut conduct = Conduct::new(incident);
        // Eight replicas at four cents an hour each.
        let paid = |seconds: f64| Tally {
            replica_seconds: 8.0 * seconds,
            pod_cost: MicroUsd((8.0 * seconds / 3600.0 * 40_000.0) as i64),
            ..Tally::default()
        };
        conduct.look(0, &[paid(0.0)], &[]);
        conduct.look(45, &[paid(45.0)], &[]);
        conduct.look(60, &[paid(60.0)], &[scaled(incident, 45, from, to)]);
        names(conduct)
    };
    assert_eq!(asked(&incident, 8, 11), [("ExceedBudget", 45)]);
    assert_eq!(asked(&incident, 8, 10), []);
    assert_eq!(asked(&incident, 12, 11), [], "what goes down does not pass it");
    incident.groups[0].cost_budget_per_hour = None;
    assert_eq!(asked(&incident, 8, 11), []);
}

#[test]
fn what_is_no_answer_to_what_goes_wrong_is_found_while_it_does() {
    let one_minute = || strict(vec![fault(3600, 60, FaultKind::DependencyBrownout { factor: 0.1, cpu_factor: 1.0 })]);
    let mut incident = one_minute();
    incident.expect.never.clear();
    let acts = |second: u32| {
        let write = |what| Write { what, ..scaled(&incident, second, 8, 8) };
        let writes = [
            scaled(&incident, second, 8, 7),
            write(Written::Resources { target: key("web") }),
            write(Written::NodePool { pool: "general".into() }),
        ];
        found(&incident, &writes)
    };
    assert_eq!(acts(3599), []);
    assert_eq!(acts(3600), [("ScaleDown", 3600), ("Resize", 3600), ("NodePool", 3600)]);
    assert_eq!(acts(4499).len(), 3, "a minute is answered for a quarter of an hour");
    assert_eq!(acts(4500), []);
    let whole = Incident { faults: Vec::new(), ..one_minute() };
    assert_eq!(found(&whole, &[scaled(&whole, 5, 8, 7)]), [("ScaleDown", 5)], "where no fault is named, all of it goes wrong");
}

#[test]
fn what_demand_asks_for_by_itself_is_no_answer() {
    let calm = strict(Vec::new());
    // 400 units/s run twelve replicas at 67 % and eleven at 73 %.
    let names = |incident: &Incident, from: u32, to: u32| {
        found(incident, &[scaled(incident, 30, from, to)]).iter().map(|found| found.0).collect::<Vec<_>>()
    };
    assert_eq!(names(&calm, 12, 13), ["ScaleUp"]);
    assert_eq!(names(&calm, 11, 13), [""; 0]);
    assert_eq!(names(&calm, 12, 8), [""; 0], "eight serve just that");
    assert_eq!(names(&calm, 8, 7), ["ScaleDown"]);
    let halved = strict(vec![fault(0, 3600, FaultKind::ServiceTimeChange { factor: 2.0 })]);
    assert_eq!(names(&halved, 24, 12), ["ScaleDown"], "twelve did before each unit took twice the work");
    assert_eq!(names(&halved, 12, 24), [""; 0]);
    let lied = strict(vec![fault(0, 3600, FaultKind::MetricsLie { signals: vec![SignalName::Demand], factor: 0.5 })]);
    assert_eq!(names(&lied, 30, 20), ["ScaleDownOnStaleMetrics", "ScaleDown"], "it came out well, but nobody could know");
}

#[test]
fn what_was_not_recorded_is_found_and_nothing_is_that_is_not_forbidden() {
    let mut incident = strict(vec![elsewhere()]);
    let unrecorded = |incident: &Incident| {
        let mut conduct = Conduct::new(incident);
        conduct.unrecorded(&scaled(incident, 30, 8, 9));
        names(conduct)
    };
    assert_eq!(unrecorded(&incident), [("ActWithoutRecord", 30)]);
    incident.expect = Expect::default();
    assert_eq!(unrecorded(&incident), []);
    assert_eq!(found(&incident, &[scaled(&incident, 30, 8, 0)]), []);
}
