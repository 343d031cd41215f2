//! Flash crowds, announced and not, and an announced one that does not come.

use super::shapes::{EVEN_WEEK, EVENING, LEISURE_WEEK, NEWS, SHOP, SHOPPING_WEEK, WORLD};
use super::{ALWAYS, day_by_the_minute, fault, hours, judged, never, people, pool, with};
use crate::domain::proposal::Cause;
use crate::domain::units::GoDuration;
use crate::eval::generate::case::Case;
use crate::eval::generate::load::Happening;
use crate::eval::generate::service::{always, mostly, web, workers};
use crate::eval::incident::document::{FaultDocument, FaultName};

#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "crowd-comes-unannounced",
            title: "Three times the usual within four minutes, for half an hour, and nobody said so",
            tags: &["spiky", "flash-crowd"],
            start: "2026-03-10T00:00:00Z",
            services: vec![web(
                "web",
                always(30),
                with(people(650.0, SHOP, SHOPPING_WEEK), &[Happening::Surge { at: 702, rise: 4, hold: 26, fall: 25, factor: 3.1 }]),
            )],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "crowd-comes-twice-and-replicas-start-slowly",
            title: "A story spreads in the morning and again at night; replicas take three minutes",
            tags: &["spiky", "flash-crowd"],
            start: "2026-03-11T00:00:00Z",
            services: vec![web(
                "web",
                always(180),
                with(
                    people(560.0, NEWS, EVEN_WEEK),
                    &[
                        Happening::Surge { at: 431, rise: 6, hold: 14, fall: 70, factor: 2.6 },
                        Happening::Surge { at: 1_263, rise: 3, hold: 9, fall: 45, factor: 3.4 },
                    ],
                ),
            )],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "sale-is-announced",
            title: "A sale that was announced an hour before: three times the usual from noon, with replicas that take three minutes",
            tags: &["spiky", "flash-crowd", "announced"],
            start: "2026-03-12T00:00:00Z",
            services: vec![web(
                "web",
                mostly(180, 230),
                with(people(600.0, SHOP, SHOPPING_WEEK), &[Happening::Surge { at: 720, rise: 2, hold: 58, fall: 40, factor: 3.0 }]),
            )],
            faults: vec![announced(720, 100, 300, 60)],
            expect: judged(Cause::AnnouncedSurge, &[], &["demand"], &ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "broadcast-is-announced-and-replicas-start-very-slowly",
            title: "A broadcast at nine in the evening, known since the morning; replicas take seven minutes",
            tags: &["spiky", "flash-crowd", "announced"],
            start: "2026-03-13T00:00:00Z",
            zone: "Europe/London",
            services: vec![web(
                "web",
                always(420),
                with(people(480.0, EVENING, LEISURE_WEEK), &[Happening::Surge { at: 1_258, rise: 5, hold: 85, fall: 20, factor: 2.4 }]),
            )],
            faults: vec![announced(1_260, 110, 240, 720)],
            expect: judged(Cause::AnnouncedSurge, &[], &["demand"], &ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "announced-surge-does-not-come",
            title: "Four times the usual was announced for two hours, and a tenth more comes: what is kept ready has to go again",
            tags: &["spiky", "announced", "cost-trap"],
            start: "2026-03-10T00:00:00Z",
            services: vec![web(
                "web",
                always(180),
                with(people(500.0, WORLD, EVEN_WEEK), &[Happening::Surge { at: 840, rise: 10, hold: 60, fall: 20, factor: 1.1 }]),
            )],
            faults: vec![announced(840, 120, 400, 60)],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "campaign-meets-the-node-limit",
            title: "A campaign brings three times the load, and the node pool may grow to three fifths of what that takes",
            after: "after a public account of 2018: a campaign's traffic, machines that were free, and a setting that kept new instances from starting",
            tags: &["judgement", "stock-out"],
            services: vec![
                web(
                    "web",
                    always(45),
                    with(people(420.0, SHOP, SHOPPING_WEEK), &[Happening::Surge { at: 60, rise: 15, hold: 90, fall: 60, factor: 3.2 }]),
                )
                .asks(1_000, 1_024),
            ],
            pools: vec![pool("general", 6)],
            faults: vec![fault(FaultName::ProvisioningFailure, 60, 120)],
            expect: judged(Cause::NodeShortage, &[], &["demand", "latency"], &ALWAYS),
            ..hours("2026-03-02T16:00:00Z", 4)
        },
        Case {
            name: "reports-crowd-out-the-dashboard",
            title: "On the year's busiest Friday everybody opens the dashboard, and reports are made on the same nodes",
            after: "after a public account of a Friday of sales: a dashboard with high latency beside batch jobs on one cluster",
            tags: &["judgement", "flash-crowd", "shared-nodes"],
            services: vec![
                web(
                    "dashboard",
                    always(60),
                    with(people(380.0, SHOP, SHOPPING_WEEK), &[Happening::Surge { at: 50, rise: 30, hold: 240, fall: 90, factor: 2.3 }]),
                )
                .asks(1_000, 1_024),
                workers(
                    "reports",
                    always(60),
                    with(people(22.0, WORLD, EVEN_WEEK), &[Happening::Surge { at: 60, rise: 10, hold: 180, fall: 30, factor: 2.8 }]),
                )
                .asks(1_000, 2_048),
            ],
            pools: vec![pool("general", 14)],
            expect: never(&ALWAYS),
            ..hours("2026-03-02T09:00:00Z", 6)
        },
    ]
}

/// A surge that is announced so many minutes before.
fn announced(at_min: u64, for_min: u64, percent: u32, ahead_min: u64) -> FaultDocument {
    FaultDocument {
        percent: Some(percent),
        ahead: Some(GoDuration::from_mins(ahead_min)),
        ..fault(FaultName::SurgeAnnounced, at_min, for_min)
    }
}
