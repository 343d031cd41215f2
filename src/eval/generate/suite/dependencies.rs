//! What fails below: dependencies that turn the signals around, back ends that wear off, and not enough for all.

use super::shapes::{EVEN_WEEK, FLAT, OFFICE, SHOP, SHOPPING_WEEK, WORKING_WEEK, WORLD};
use super::{ALWAYS, day_by_the_minute, fault, hours, judged, never, people, pool, with};
use crate::domain::limits::Criticality;
use crate::domain::proposal::Cause;
use crate::eval::generate::case::Case;
use crate::eval::generate::load::Happening;
use crate::eval::generate::service::{always, back_end, web, workers};
use crate::eval::incident::document::{FaultDocument, FaultName};
use crate::eval::incident::{ForbiddenAct, Never};

/// While requests fail nothing is taken away.
const UNDER_FAILURE: [Never; 3] = [Never::ScaleDownUnderFailure, Never::OutsideBounds, Never::ActWithoutRecord];

#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "dependency-fails-and-cpu-falls",
            title: "On the first working day's peak the network below loses packets: threads wait, CPU falls, and dashboards go blind for a quarter of an hour",
            after: "after a public account of 4 January 2021: threads that waited for back ends, CPU that fell, a web tier scaled down at its peak, dashboards down",
            tags: &["judgement", "signal-inversion"],
            services: vec![web(
                "web",
                always(60),
                with(
                    people(840.0, OFFICE, WORKING_WEEK),
                    &[
                        Happening::Ramp { at: 0, over: 90, factor: 1.15 },
                        Happening::Every { period: 30, offset: 0, lasts: 3, factor: 1.25 },
                    ],
                ),
            )],
            faults: vec![brownout(90, 70, 0.45, 0.4, None), fault(FaultName::MetricsOutage, 120, 15)],
            expect: judged(
                Cause::DependencyFailure,
                &[ForbiddenAct::ScaleDown],
                &["latency", "errors", "cpu"],
                &[Never::ScaleDownUnderFailure, Never::ScaleDownOnStaleMetrics, Never::OutsideBounds, Never::ActWithoutRecord],
            ),
            ..hours("2026-03-02T07:00:00Z", 4)
        },
        Case {
            name: "dependency-is-slow-in-the-afternoon",
            title: "Something outside answers slowly for an hour; more replicas would wait with it",
            tags: &["judgement", "signal-inversion"],
            services: vec![web("web", always(30), people(600.0, FLAT, EVEN_WEEK))],
            faults: vec![brownout(60, 60, 0.6, 0.55, None)],
            expect: judged(Cause::DependencyFailure, &[ForbiddenAct::ScaleDown], &["latency", "cpu"], &UNDER_FAILURE),
            ..hours("2026-03-02T13:00:00Z", 3)
        },
        Case {
            name: "back-end-fails-and-the-front-waits",
            title: "The payment back end slows down to a third, and what calls it backs up behind it",
            tags: &["judgement", "dependencies"],
            services: vec![
                web("front", always(30), people(520.0, SHOP, SHOPPING_WEEK)).calls("payments", 0.3),
                back_end("payments", always(90), 20.0).matters(Criticality::Critical),
            ],
            faults: vec![brownout(80, 60, 0.35, 0.4, Some("payments"))],
            expect: judged(Cause::DependencyFailure, &[ForbiddenAct::ScaleDown], &["latency", "cpu"], &UNDER_FAILURE),
            ..hours("2026-03-02T16:00:00Z", 4)
        },
        Case {
            name: "more-replicas-make-it-slower",
            title: "All replicas share one database: each further one takes a little from all, and beyond twenty-five they serve less together",
            after: "after public accounts of 2020 and 2021: added front ends that ran all others into a limit, and an automatic scaling that set off a storm of connections",
            tags: &["spiky", "contention"],
            start: "2026-03-11T00:00:00Z",
            services: vec![
                web(
                    "web",
                    always(60),
                    with(people(430.0, SHOP, SHOPPING_WEEK), &[Happening::Surge { at: 740, rise: 10, hold: 50, fall: 30, factor: 1.5 }]),
                )
                .contended(0.02)
                .bounds(2, 60),
            ],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "three-tiers-meet-a-crowd",
            title: "A crowd at the edge reaches two tiers behind it, the last of which takes three minutes to start",
            tags: &["spiky", "dependencies", "flash-crowd"],
            start: "2026-03-12T00:00:00Z",
            services: vec![
                web(
                    "edge",
                    always(20),
                    with(people(420.0, SHOP, SHOPPING_WEEK), &[Happening::Surge { at: 1_090, rise: 8, hold: 45, fall: 30, factor: 2.4 }]),
                )
                .calls("cart", 0.5),
                back_end("cart", always(45), 25.0).calls("stock", 3.0),
                back_end("stock", always(180), 80.0),
            ],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "not-enough-for-all",
            title: "Checkout, search and thumbnails grow together on nodes that hold two of the three: what matters least has to wait",
            tags: &["judgement", "priority", "stock-out"],
            services: vec![
                web("checkout", always(45), with(people(300.0, SHOP, SHOPPING_WEEK), &[grows()]))
                    .asks(1_000, 1_024)
                    .matters(Criticality::Critical),
                web("search", always(45), with(people(300.0, SHOP, SHOPPING_WEEK), &[grows()])).asks(1_000, 1_024),
                workers("thumbnails", always(45), with(people(26.0, WORLD, EVEN_WEEK), &[grows()]))
                    .asks(1_000, 1_024)
                    .matters(Criticality::Low),
            ],
            pools: vec![pool("general", 11)],
            expect: judged(Cause::NodeShortage, &[], &["demand"], &ALWAYS),
            ..hours("2026-03-02T15:00:00Z", 5)
        },
    ]
}

const fn grows() -> Happening {
    Happening::Ramp { at: 20, over: 100, factor: 2.2 }
}

fn brownout(at_min: u64, for_min: u64, factor: f64, cpu_factor: f64, target: Option<&str>) -> FaultDocument {
    FaultDocument {
        factor: Some(factor),
        cpu_factor: Some(cpu_factor),
        target: target.map(ToOwned::to_owned),
        ..fault(FaultName::DependencyBrownout, at_min, for_min)
    }
}
