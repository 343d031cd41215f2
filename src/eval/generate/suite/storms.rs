//! Load that feeds on itself: retries, herds after an outage, reconnects.

use super::shapes::{EVEN_WEEK, EVENING, LEISURE_WEEK, OFFICE, SHOP, SHOPPING_WEEK, WORKING_WEEK, WORLD};
use super::{ALWAYS, day_by_the_minute, hours, judged, never, people, with};
use crate::domain::proposal::Cause;
use crate::eval::generate::case::Case;
use crate::eval::generate::load::Happening;
use crate::eval::generate::service::{always, web, workers};
use crate::eval::incident::{ForbiddenAct, Never};

#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "callers-try-again",
            title: "A push at noon overloads for some minutes; callers give up after three seconds, and four of five try again, three times",
            tags: &["spiky", "retry-storm"],
            start: "2026-03-10T00:00:00Z",
            services: vec![
                web(
                    "web",
                    always(30),
                    with(people(700.0, SHOP, SHOPPING_WEEK), &[Happening::Surge { at: 722, rise: 2, hold: 8, fall: 12, factor: 2.2 }]),
                )
                .retried(3, 0.8, 3),
            ],
            expect: never(&[Never::ScaleDownUnderFailure, Never::OutsideBounds, Never::ActWithoutRecord]),
            ..day_by_the_minute()
        },
        Case {
            name: "callers-try-again-and-replicas-start-slowly",
            title: "The same in the evening, with replicas that take three minutes: a storm outlives what began it",
            tags: &["spiky", "retry-storm"],
            start: "2026-03-11T00:00:00Z",
            services: vec![
                web(
                    "web",
                    always(180),
                    with(people(620.0, EVENING, LEISURE_WEEK), &[Happening::Surge { at: 1_195, rise: 3, hold: 12, fall: 20, factor: 1.9 }]),
                )
                .retried(5, 0.7, 3),
            ],
            expect: never(&[Never::ScaleDownUnderFailure, Never::OutsideBounds, Never::ActWithoutRecord]),
            ..day_by_the_minute()
        },
        Case {
            name: "herd-comes-back-after-an-outage",
            title: "A provider upstream is down for forty minutes; then everything that waited comes at once",
            after: "after a public account of a code host's outage: its return brought more jobs than ever, and the queue stood still",
            tags: &["spiky", "recovery-herd", "queue"],
            start: "2026-03-12T00:00:00Z",
            services: vec![workers(
                "builder",
                always(60),
                with(
                    people(55.0, OFFICE, WORKING_WEEK),
                    &[
                        Happening::Surge { at: 615, rise: 1, hold: 40, fall: 1, factor: 0.02 },
                        Happening::Surge { at: 657, rise: 1, hold: 6, fall: 55, factor: 4.5 },
                    ],
                ),
            )],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "quiet-before-the-herd",
            title: "Demand falls to a fiftieth at the busiest hour, because nobody gets through to us, and comes back threefold",
            after: "after public accounts of herds that met services scaled to the quiet before them",
            tags: &["judgement", "recovery-herd"],
            services: vec![web(
                "web",
                always(180),
                with(
                    people(640.0, WORLD, EVEN_WEEK),
                    &[
                        Happening::Surge { at: 90, rise: 1, hold: 38, fall: 1, factor: 0.02 },
                        Happening::Surge { at: 131, rise: 1, hold: 5, fall: 30, factor: 3.0 },
                    ],
                ),
            )],
            expect: judged(Cause::TrafficAnomaly, &[ForbiddenAct::ScaleDown], &["demand"], &ALWAYS),
            ..hours("2026-03-02T10:00:00Z", 4)
        },
        Case {
            name: "clients-reconnect-and-memory-runs-out",
            title: "Connections drop and are made again in waves; each that is held takes two megabytes, and pods die of it",
            after: "after a public account of a flapping service: reconnects in herds until the front ends were out of memory",
            tags: &["judgement", "recovery-herd", "memory"],
            services: vec![
                web(
                    "gateway",
                    always(30),
                    with(
                        people(600.0, EVENING, LEISURE_WEEK),
                        &[
                            Happening::Surge { at: 70, rise: 1, hold: 3, fall: 9, factor: 3.2 },
                            Happening::Surge { at: 84, rise: 1, hold: 3, fall: 9, factor: 3.0 },
                            Happening::Surge { at: 99, rise: 1, hold: 3, fall: 14, factor: 2.7 },
                        ],
                    ),
                )
                .retried(10, 0.9, 5)
                .remembers(220, 2_048, 0, 512),
            ],
            expect: judged(
                Cause::TrafficAnomaly,
                &[ForbiddenAct::ScaleDown],
                &["demand", "oom_kills"],
                &[Never::ScaleDownUnderFailure, Never::OutsideBounds, Never::ActWithoutRecord],
            ),
            ..hours("2026-03-02T17:00:00Z", 3)
        },
    ]
}
