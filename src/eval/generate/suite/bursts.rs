//! Loads that are never smooth: bursts with heavy tails, peaks by the clock, queues.

use super::shapes::{EVEN_WEEK, FLAT, NIGHT_JOBS, OFFICE, SHOP, SHOPPING_WEEK, WORKING_WEEK, WORLD};
use super::{ALWAYS, day, day_by_the_minute, never, people, with};
use crate::eval::generate::case::Case;
use crate::eval::generate::load::{Bursts, Happening, Load};
use crate::eval::generate::service::{always, mostly, web, workers};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "interface-bursts",
            title: "An interface with bursts of some minutes, a few of them very large",
            tags: &["spiky", "bursts"],
            start: "2026-03-09T00:00:00Z",
            services: vec![web("web", always(30), bursty(520.0, 45.0, 0.12, 1.5, (4.0, 12.0)))],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "interface-bursts-starts-slowly",
            title: "Bursts that are half over when a replica that they call for is ready",
            tags: &["spiky", "bursts"],
            start: "2026-03-10T00:00:00Z",
            services: vec![web("web", mostly(180, 240), bursty(480.0, 70.0, 0.15, 1.4, (6.0, 20.0)))],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "notifications-burst-starts-very-slowly",
            title: "Bursts that are over before a replica that they call for is ready: headroom or nothing",
            tags: &["spiky", "bursts"],
            start: "2026-03-11T00:00:00Z",
            services: vec![web("web", always(420), bursty(450.0, 110.0, 0.2, 1.6, (5.0, 15.0)))],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "wild-load-without-a-season",
            title: "A load that wanders by a third within the hour and has neither day nor week",
            tags: &["spiky"],
            start: "2026-03-12T00:00:00Z",
            services: vec![web("web", always(60), Load { wander: (0.25, 0.12), days_differ: 0.2, ..people(620.0, FLAT, EVEN_WEEK) })],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "peaks-at-the-hour-and-half-hour",
            title: "Meetings begin: a peak of three minutes at each hour and a smaller one at each half, with replicas that take three minutes",
            tags: &["spiky", "by-the-clock"],
            start: "2026-03-10T00:00:00Z",
            services: vec![web(
                "web",
                always(180),
                with(
                    people(700.0, OFFICE, WORKING_WEEK),
                    &[
                        Happening::Every { period: 60, offset: 0, lasts: 3, factor: 1.6 },
                        Happening::Every { period: 60, offset: 30, lasts: 2, factor: 1.3 },
                    ],
                ),
            )],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "orders-queue-up",
            title: "Orders wait in a queue and may do so for five minutes; some come by the thousand",
            tags: &["spiky", "queue"],
            start: "2026-03-09T00:00:00Z",
            services: vec![workers(
                "worker",
                always(30),
                Load {
                    bursts: Some(Bursts { every_min: 120.0, least: 0.4, tail: 1.5, fade_min: (3.0, 9.0) }),
                    ..people(48.0, SHOP, SHOPPING_WEEK)
                },
            )],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "settlement-runs-at-night",
            title: "The night's jobs come within two hours, and workers take three minutes",
            tags: &["seasonal", "queue"],
            start: "2026-03-05T00:00:00Z",
            services: vec![
                workers("worker", always(180), Load { wander: (0.12, 0.08), ..people(70.0, NIGHT_JOBS, EVEN_WEEK) }).bounds(1, 60),
            ],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "sessions-live-where-they-began",
            title: "Spikes of a minute every few minutes at a service whose sessions do not move: each change of the count costs some",
            after: "after public accounts of counts that went up and down within minutes, over a hash ring that moved with each change",
            tags: &["spiky", "flapping"],
            start: "2026-03-11T00:00:00Z",
            services: vec![web(
                "web",
                always(45),
                with(people(560.0, WORLD, EVEN_WEEK), &[Happening::Every { period: 4, offset: 1, lasts: 1, factor: 1.75 }]),
            )],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
    ]
}

fn bursty(level: f64, every_min: f64, least: f64, tail: f64, fade_min: (f64, f64)) -> Load {
    Load { wander: (0.09, 0.05), bursts: Some(Bursts { every_min, least, tail, fade_min }), ..people(level, WORLD, EVEN_WEEK) }
}
