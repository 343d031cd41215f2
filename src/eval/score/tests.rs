//! Scores of made-up suites.

use std::sync::Arc;

use super::super::cell::{CellError, CellResult, Found, RunError, Runner};
use super::super::forbidden::{Broken, Forbidden};
use super::super::incident::{Expect, ExpectedDecision, ForbiddenAct, Incident, Never};
use super::super::progress::Progress;
use super::super::testing::{MadeUp, incident, seasonal, suite as incidents};
use super::*;
use crate::domain::proposal::Cause;

const POLICIES: [Policy; 5] = [Policy::Hpa, Policy::HpaTuned, Policy::Ipa, Policy::Oracle, Policy::OracleRate];

fn suite(incidents: Vec<Incident>) -> Suite {
    Suite { incidents, policies: POLICIES.to_vec(), seeds: vec![1, 2], prices: vec![3, 10], model: String::new() }
}

fn scored(suite: &Suite, runner: &dyn Runner) -> Scores {
    let cells = suite.run(runner, None, 2, &Progress::new(suite.size())).unwrap();
    score(suite, &cells)
}

/// A world in which one policy's cells are changed afterwards.
struct Changed<F>(Policy, F);

impl<F: Fn(&mut CellResult) + Sync> Runner for Changed<F> {
    fn run(&self, incident: &Incident, policy: Policy, seed: u64, price: u32) -> Result<CellResult, RunError> {
        let mut cell = MadeUp::default().run(incident, policy, seed, price)?;
        if policy == self.0 {
            self.1(&mut cell);
        }
        Ok(cell)
    }
}

#[test]
fn nobody_beats_the_oracle_and_the_scale_holds_in_every_league() {
    let suite = suite(incidents());
    let scores = scored(&suite, &MadeUp::default());
    assert_eq!(scores.rows.len(), 18 * 5 * 2 * 2);
    // All, two kinds; each over all classes and over three; at two prices.
    assert_eq!(scores.leagues.len(), 3 * 4 * 2);
    for league in &scores.leagues {
        let standing = |policy| *league.standings.iter().find(|standing| standing.policy == policy).unwrap();
        let oracle = standing(Policy::Oracle);
        assert_eq!((standing(Policy::HpaTuned).gap_closed, standing(Policy::OracleRate).gap_closed), (Some(0.0), Some(1.0)));
        assert_eq!(oracle.gap_closed_to_oracle, Some(1.0));
        assert!(oracle.gap_closed.unwrap() >= 1.0);
        assert_eq!(oracle.cost_over_oracle, Some(1.0));
        let ipa = standing(Policy::Ipa);
        let interval = ipa.interval.unwrap();
        assert!(interval.low <= ipa.gap_closed.unwrap() && ipa.gap_closed.unwrap() <= interval.high, "{league:?}");
        assert!(ipa.gap_closed_to_oracle < ipa.gap_closed);
    }
    let sizes = |kind: Option<&str>, class| {
        let scope = Scope { price: 10, kind: kind.map(Arc::from), class };
        scores.leagues.iter().find(|league| league.scope == scope).map(|league| league.incidents)
    };
    assert_eq!(
        [sizes(None, None), sizes(Some("spiky"), None), sizes(Some("spiky"), Some(StartupClass::Slow))],
        [Some(18), Some(9), Some(3)]
    );
    assert_eq!(scores.overall(3).map(|league| league.scope.price), Some(3));
}

#[test]
fn totals_are_ratios_of_sums_and_each_incident_counts_by_its_ideal_cost() {
    let mut one = suite(vec![incident("quiet", "spiky", 30), seasonal("calm", 30)]);
    one.seeds = vec![1];
    let scores = scored(&one, &MadeUp::default());
    let league = scores.overall(10).unwrap();
    let total = league.standings.iter().find(|standing| standing.policy == Policy::Ipa).unwrap().gap_closed.unwrap();
    let value = |incident: usize, policy| {
        let case = scores.cases.iter().find(|case| case.incident == incident && case.price == 10).unwrap();
        case.total(policy).unwrap()
    };
    let part = |incident, one| {
        (value(incident, Policy::HpaTuned).objective - value(incident, one).objective) / value(incident, Policy::HpaTuned).ideal
    };
    let (gained, distance) = (part(0, Policy::Ipa) + part(1, Policy::Ipa), part(0, Policy::OracleRate) + part(1, Policy::OracleRate));
    assert!((total - gained / distance).abs() < 1e-12);
}

#[test]
fn where_the_tuned_hpa_drops_work_the_cell_is_marked_and_left_out() {
    let suite = suite(vec![seasonal("one", 30), seasonal("two", 30)]);
    let dropping = Changed(Policy::HpaTuned, |cell: &mut CellResult| cell.workloads[0].tally.bad = cell.workloads[0].tally.arrived / 15);
    let scores = scored(&suite, &dropping);
    assert!(scores.leagues.is_empty());
    assert!(scores.gap_rows(&suite).iter().all(|row| row.marks.contains(&Mark::Dropping)));
    let serving = Changed(Policy::HpaTuned, |cell: &mut CellResult| cell.workloads[0].tally.bad = cell.workloads[0].tally.arrived / 25);
    assert_eq!(scored(&suite, &serving).overall(10).map(|league| league.incidents), Some(2));
}

#[test]
fn an_incident_with_too_little_past_is_reported_and_not_scored() {
    let with_past = |name: &str, tag: &str, history_s| Incident { history_s, ..incident(name, tag, 30) };
    let day = 86_400;
    let suite = suite(vec![
        with_past("short", "seasonal", 6 * day),
        with_past("long", "seasonal", 7 * day),
        with_past("bursts", "llm", 3 * 3600),
        with_past("few-bursts", "llm", 3600),
    ]);
    let scores = scored(&suite, &MadeUp::default());
    let marked: Vec<_> =
        scores.gap_rows(&suite).iter().filter(|row| row.price == 10).map(|row| row.marks.contains(&Mark::ShortPast)).collect();
    assert_eq!(marked, [true, false, false, true]);
    assert_eq!(scores.overall(10).unwrap().incidents, 2);
    assert!(scores.rows.iter().any(|row| &*row.incident == "short"));
}

#[test]
fn a_forbidden_act_fails_the_incident_whatever_it_scored() {
    let suite = suite(vec![seasonal("one", 30), seasonal("two", 30)]);
    let broken = Broken { what: Forbidden::Never(Never::OutsideBounds), workload: "web".into(), at_s: 90 };
    let scores = scored(&suite, &Changed(Policy::Ipa, |cell: &mut CellResult| cell.forbidden = vec![broken.clone(), broken.clone()]));
    let ipa = *scores.overall(10).unwrap().standings.iter().find(|standing| standing.policy == Policy::Ipa).unwrap();
    assert_eq!((ipa.failed, ipa.gap_closed), (2, Some(0.0)));
    // Two incidents, two seeds, two prices, each kind once.
    assert_eq!(scores.misses.len(), 8);
    assert_eq!(scores.misses[0].to_string(), "one: ipa at price 3: did what is forbidden: OutsideBounds after 1m30s (seed 1)");
}

/// A world in which `hpa` cannot run on one of the incidents.
struct OnlyOne;
impl Runner for OnlyOne {
    fn run(&self, incident: &Incident, policy: Policy, seed: u64, price: u32) -> Result<CellResult, RunError> {
        if policy == Policy::Hpa && &*incident.name == "two" {
            return Err(RunError::Unfit("no".into()));
        }
        MadeUp::default().run(incident, policy, seed, price)
    }
}

#[test]
fn a_policy_that_could_not_run_somewhere_is_judged_where_it_ran() {
    let suite = suite(vec![seasonal("one", 30), seasonal("two", 30)]);
    let scores = scored(&suite, &OnlyOne);
    let hpa = *scores.overall(10).unwrap().standings.iter().find(|standing| standing.policy == Policy::Hpa).unwrap();
    assert_eq!((hpa.incidents, hpa.interval), (1, None));
    let alone =
        scores.cases.iter().find(|case| case.incident == 0 && case.price == 10).unwrap().gap_closed(Policy::Hpa, Policy::OracleRate);
    assert_eq!(hpa.gap_closed, alone);
}

#[test]
fn what_was_expected_and_missed_is_said_line_by_line() {
    let mut judged = seasonal("shop", 30);
    judged.expect = Expect {
        max_bad_fraction: Some(0.001),
        max_cost_over_oracle: Some(1.01),
        never: Vec::new(),
        decision: Some(ExpectedDecision {
            class: Cause::DependencyFailure,
            first_safe_act_before_s: Some(600),
            forbidden: vec![ForbiddenAct::ScaleDown],
            evidence: vec!["latency".into(), "errors".into()],
        }),
    };
    let mut suite = suite(vec![judged]);
    suite.seeds = vec![1];
    suite.prices = vec![3, 10];
    let lines = |change: fn(&mut CellResult)| {
        let misses = scored(&suite, &Changed(Policy::Ipa, change)).misses;
        misses.iter().filter(|miss| miss.price == 10).map(ToString::to_string).collect::<Vec<_>>()
    };
    insta::assert_snapshot!(
        [
            lines(|cell| {
                cell.workloads[0].tally.bad = cell.workloads[0].tally.arrived / 50;
                cell.first_safe_act_s = Some(700);
                cell.findings = Some(Vec::new());
            }),
            lines(|cell| cell.findings = Some(vec![Found { cause: Cause::DependencyFailure, evidence: vec!["latency".into()] }])),
            lines(|cell| {
                cell.first_safe_act_s = Some(600);
                cell.workloads[0].tally.bad = 0;
            }),
        ]
        .map(|lines| lines.join("\n"))
        .join("\n\n")
    );
    // At 3 numbers are reported only, and a policy that reports no cause is asked for none.
    let bad = Changed(Policy::Ipa, |cell: &mut CellResult| cell.workloads[0].tally.bad = cell.workloads[0].tally.arrived / 50);
    let misses = scored(&suite, &bad).misses;
    assert!(!misses.is_empty() && misses.iter().all(|miss| miss.price == 10 && !matches!(miss.kind, MissKind::FirstSafeAct { .. })));
}

#[test]
fn the_worst_incidents_come_with_their_reason() {
    let suite = suite(incidents());
    let scores = scored(&suite, &MadeUp { spare: Some(0.6), ..MadeUp::default() });
    let worst = worst(&suite, &scores.cases, Policy::Ipa, 10, 3);
    assert_eq!(worst.len(), 3);
    assert!(worst.windows(2).all(|pair| pair[0].gap_closed <= pair[1].gap_closed));
    assert!(worst[0].gap_closed < 0.0 && worst[0].reason.contains("% for replicas"), "{worst:?}");
}

#[test]
fn the_line_of_an_incident_is_the_contracts() {
    let mut suite = suite(vec![seasonal("one", 30)]);
    suite.policies = vec![Policy::HpaTuned, Policy::OracleRate];
    let rows = scored(&suite, &MadeUp::default()).gap_rows(&suite);
    assert_eq!(
        serde_json::to_string(&rows[0]).unwrap(),
        r#"{"incident":"one","price":3,"gap_closed":{"hpa-tuned":0.0,"oracle-rate":1.0},"gap_closed_to_oracle":{"hpa-tuned":null,"oracle-rate":null},"marks":[]}"#
    );
}

#[test]
fn a_result_of_other_workloads_is_never_scored() {
    let suite = suite(vec![seasonal("one", 30)]);
    let other = Changed(Policy::Ipa, |cell: &mut CellResult| cell.workloads.clear());
    let error = suite.run(&other, None, 1, &Progress::new(suite.size())).unwrap_err();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), CellError::Workloads.to_string());
}
