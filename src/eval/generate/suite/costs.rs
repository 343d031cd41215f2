//! Where money is lost: peaks that a short past hides, prices that change, start-ups that burn CPU, budgets, freezes.

use super::shapes::{EVEN_WEEK, EVENING, LEISURE_WEEK, OFFICE, WORKING_WEEK, WORLD};
use super::{ALWAYS, day, fault, hours, never, people, pool, with};
use crate::eval::generate::case::Case;
use crate::eval::generate::load::{Bursts, Happening, Load};
use crate::eval::generate::service::{always, web};
use crate::eval::incident::Never;
use crate::eval::incident::document::{ExpectDocument, FaultDocument, FaultName};

/// A group with a budget of eighty cents an hour, for one workload.
pub(super) const BUDGETED: &str = "
apiVersion: ipa.dev/v1alpha1
kind: IntelligentPodAutoscaler
metadata: {name: shop}
spec:
  targets: [{ref: {name: web}, min: 2, max: 90, criticality: High}]
  mode: {scaleUp: Auto, scaleDown: Auto, resources: Observe, nodes: Observe}
  slo: {latency: 250ms}
  costBudget: {perHour: \"0.80\"}
---
apiVersion: ipa.dev/v1alpha1
kind: ScalingGuardrail
metadata: {name: default}
spec:
  targets: [{name: web, min: 2, max: 90, maxStepUp: 20, maxStepDown: 10, highestCriticality: High}]
  highestMode: Auto
";

/// A group that may not change between eight and ten in the evening, for one workload.
const FROZEN: &str = "
apiVersion: ipa.dev/v1alpha1
kind: IntelligentPodAutoscaler
metadata: {name: video}
spec:
  targets: [{ref: {name: web}, min: 2, max: 90, criticality: High}]
  mode: {scaleUp: Auto, scaleDown: Auto, resources: Observe, nodes: Observe}
  slo: {latency: 250ms}
  freezeWindows: [{start: \"20:00\", duration: 2h}]
---
apiVersion: ipa.dev/v1alpha1
kind: ScalingGuardrail
metadata: {name: default}
spec:
  targets: [{name: web, min: 2, max: 90, maxStepUp: 30, maxStepDown: 10, highestCriticality: High}]
  highestMode: Auto
";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "monday-hides-behind-a-quiet-week",
            title: "A week of holidays lies between this Monday and the last that was busy: last week says that a third would do",
            after: "after a public account of 2016: a database made smaller to save money, and a peak that it had been sized for",
            tags: &["seasonal", "cost-trap"],
            services: vec![web(
                "web",
                always(180),
                with(
                    people(1_150.0, OFFICE, WORKING_WEEK),
                    &[Happening::Shift { at: -7 * 1440, factor: 0.34 }, Happening::Shift { at: 0, factor: 2.94 }],
                ),
            )],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "starting-burns-cpu",
            title: "A replica burns twice its request for ninety seconds before it serves: who averages CPU adds more for what he added",
            after: "after public accounts of virtual machines that hammer the CPU for a minute or two until they are ready",
            tags: &["spiky", "start-up-cost", "cost-trap"],
            start: "2026-03-10T00:00:00Z",
            history_h: 8 * 24,
            services: vec![
                web(
                    "web",
                    always(90),
                    Load {
                        bursts: Some(Bursts { every_min: 80.0, least: 0.2, tail: 1.8, fade_min: (4.0, 10.0) }),
                        ..people(620.0, OFFICE, EVEN_WEEK)
                    },
                )
                .starts_with(1_000),
            ],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "prices-triple-in-the-afternoon",
            title: "Machines cost three times as much from two to six: waste costs three times as much too",
            tags: &["judgement", "cost-trap", "prices"],
            services: vec![web("web", always(45), people(600.0, WORLD, EVEN_WEEK)).asks(1_000, 1_024)],
            pools: vec![pool("general", 24)],
            faults: vec![FaultDocument { factor: Some(3.0), ..fault(FaultName::PriceChange, 60, 240) }],
            expect: never(&ALWAYS),
            ..hours("2026-03-02T13:00:00Z", 6)
        },
        Case {
            name: "budget-ends-before-the-evening-does",
            title: "What the evening would take costs more than eighty cents an hour, and those are the budget",
            tags: &["judgement", "cost-trap", "budget"],
            services: vec![web("web", always(45), people(1_700.0, EVENING, LEISURE_WEEK))],
            pools: vec![pool("general", 40)],
            expect: never(&[Never::ExceedBudget, Never::OutsideBounds, Never::ActWithoutRecord]),
            resources: Some(BUDGETED),
            ..hours("2026-03-02T16:00:00Z", 6)
        },
        Case {
            name: "nothing-may-go-while-frozen",
            title: "Between eight and ten nothing may be taken away: what the evening needs has to be there, and stays",
            tags: &["judgement", "freeze"],
            services: vec![web("web", always(180), people(700.0, EVENING, LEISURE_WEEK))],
            expect: never(&ALWAYS),
            resources: Some(FROZEN),
            ..hours("2026-03-02T17:00:00Z", 6)
        },
        Case {
            name: "steady-load-pays-for-nothing-more",
            title: "A load that does not move: whoever keeps half as much again ready pays for it all day",
            tags: &["seasonal", "control", "cost-trap"],
            start: "2026-03-03T00:00:00Z",
            services: vec![web(
                "web",
                always(30),
                Load { days_differ: 0.01, wander: (0.02, 0.01), ..people(1_000.0, super::shapes::FLAT, [1.0; 7]) },
            )],
            expect: ExpectDocument { max_bad_fraction: Some(0.02), max_cost_over_oracle: Some(2.0), ..never(&ALWAYS) },
            ..day()
        },
    ]
}
