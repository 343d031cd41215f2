//! Metrics that are missing, late, or wrong, and a mesh that counts what is served.

use super::shapes::{EVEN_WEEK, EVENING, LEISURE_WEEK, OFFICE, SHOP, SHOPPING_WEEK, WORKING_WEEK, WORLD};
use super::{ALWAYS, day_by_the_minute, fault, hours, judged, never, people, with};
use crate::domain::proposal::Cause;
use crate::domain::units::GoDuration;
use crate::eval::generate::case::Case;
use crate::eval::generate::load::Happening;
use crate::eval::generate::service::{always, web};
use crate::eval::incident::document::{FaultDocument, FaultName};
use crate::eval::incident::{ForbiddenAct, Never};

/// On metrics that cannot be trusted nothing is taken away.
const STALE: [Never; 3] = [Never::ScaleDownOnStaleMetrics, Never::OutsideBounds, Never::ActWithoutRecord];

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "demand-reads-zero-at-the-peak",
            title: "For twenty-five minutes of the evening's peak the exporter says 0 while CPU and latency go on",
            after: "after a public issue: a metrics service was down, its metric read 0, and every service went to its least",
            tags: &["judgement", "metric-lie"],
            services: vec![web("web", always(30), people(820.0, EVENING, LEISURE_WEEK))],
            faults: vec![lie(150, 25, 0.0, &["demand"])],
            expect: judged(Cause::MetricFault, &[ForbiddenAct::ScaleDown], &["demand", "cpu"], &STALE),
            ..hours("2026-03-02T17:00:00Z", 4)
        },
        Case {
            name: "metrics-are-gone-at-the-peak",
            title: "The metrics source answers nothing for twenty minutes of the evening's peak",
            after: "after a public issue: three metrics servers down, an API without an answer, and replicas taken away all the same",
            tags: &["judgement", "metric-gap"],
            services: vec![web("web", always(180), people(760.0, EVENING, LEISURE_WEEK))],
            faults: vec![fault(FaultName::MetricsOutage, 160, 20)],
            expect: judged(Cause::MetricFault, &[ForbiddenAct::ScaleDown], &["demand"], &STALE),
            ..hours("2026-03-02T17:00:00Z", 4)
        },
        Case {
            name: "metrics-come-five-minutes-late",
            title: "On the way up in the morning every sample comes five minutes late",
            tags: &["judgement", "metric-gap"],
            services: vec![web("web", always(60), people(900.0, OFFICE, WORKING_WEEK))],
            faults: vec![FaultDocument { by: Some(GoDuration::from_mins(5)), ..fault(FaultName::MetricsDelay, 75, 60) }],
            expect: judged(Cause::MetricFault, &[ForbiddenAct::ScaleDown], &["demand"], &STALE),
            ..hours("2026-03-03T06:00:00Z", 4)
        },
        Case {
            name: "cpu-reads-a-third",
            title: "Of two metrics one reads a third for an hour, and says that two of three replicas are too many",
            after: "after a public issue: from several metrics one was gone, and the others were enough to scale down",
            tags: &["judgement", "metric-lie"],
            services: vec![web(
                "web",
                always(45),
                with(people(760.0, WORLD, EVEN_WEEK), &[Happening::Ramp { at: 0, over: 180, factor: 1.15 }]),
            )],
            faults: vec![lie(60, 60, 0.33, &["cpu"])],
            expect: judged(Cause::MetricFault, &[ForbiddenAct::ScaleDown], &["cpu", "demand"], &STALE),
            ..hours("2026-03-02T11:00:00Z", 3)
        },
        Case {
            name: "exporter-comes-and-goes",
            title: "The exporter is silent two minutes out of every four: no reason to go up and down with it",
            after: "after a public issue: a trigger that failed again and again swung a service between its least and its fall-back",
            tags: &["judgement", "metric-gap", "flapping"],
            services: vec![web("web", always(30), people(700.0, WORLD, EVEN_WEEK))],
            faults: (0..15).map(|turn| fault(FaultName::MetricsOutage, 60 + 4 * turn, 2)).collect(),
            expect: judged(Cause::MetricFault, &[ForbiddenAct::ScaleDown], &["demand"], &STALE),
            ..hours("2026-03-02T10:00:00Z", 3)
        },
        Case {
            name: "demand-is-counted-twice",
            title: "A second exporter doubles what demand reads for three hours: CPU and latency know nothing of it",
            tags: &["judgement", "metric-lie", "cost-trap"],
            services: vec![web("web", always(60), people(520.0, WORLD, EVEN_WEEK))],
            faults: vec![lie(60, 180, 2.0, &["demand"])],
            expect: judged(Cause::MetricFault, &[], &["demand", "cpu"], &ALWAYS),
            ..hours("2026-03-02T09:00:00Z", 5)
        },
        Case {
            name: "latency-reads-ten-times-too-high",
            title: "A change of buckets makes latency read tenfold: nothing is slow, and nothing is to be done",
            tags: &["judgement", "metric-lie", "control"],
            services: vec![web("web", always(60), people(560.0, WORLD, EVEN_WEEK))],
            faults: vec![lie(45, 120, 10.0, &["latency"])],
            expect: judged(Cause::MetricFault, &[], &["latency", "demand", "cpu"], &ALWAYS),
            ..hours("2026-03-02T10:00:00Z", 4)
        },
        Case {
            name: "mesh-counts-what-is-served",
            title: "The mesh counts what is served: once it is full, demand looks flat while callers give up",
            tags: &["spiky", "served-demand"],
            start: "2026-03-10T00:00:00Z",
            services: vec![
                web(
                    "web",
                    always(60),
                    with(people(600.0, SHOP, SHOPPING_WEEK), &[Happening::Surge { at: 640, rise: 25, hold: 100, fall: 60, factor: 2.4 }]),
                )
                .seen_served(),
            ],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
    ]
}

fn lie(at_min: u64, for_min: u64, factor: f64, signals: &[&str]) -> FaultDocument {
    FaultDocument {
        factor: Some(factor),
        signals: Some(signals.iter().map(ToString::to_string).collect()),
        ..fault(FaultName::MetricsLie, at_min, for_min)
    }
}
