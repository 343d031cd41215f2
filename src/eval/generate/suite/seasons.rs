//! Days and weeks that repeat, more or less.

use super::shapes::{COMMUTE, EVEN_WEEK, EVENING, LEISURE_WEEK, MEALS, NEWS, OFFICE, SHOP, SHOPPING_WEEK, WORKING_WEEK};
use super::{ALWAYS, day, never, people, with};
use crate::eval::generate::case::Case;
use crate::eval::generate::load::{Happening, Load};
use crate::eval::generate::service::{always, back_end, mostly, web};

#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "shop-on-a-tuesday",
            title: "A shop's ordinary Tuesday, most of it in the evening",
            tags: &["seasonal", "daily"],
            start: "2026-03-03T00:00:00Z",
            services: vec![web("web", always(30), people(1_250.0, SHOP, SHOPPING_WEEK))],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "shop-on-a-saturday-starts-slowly",
            title: "A shop's Saturday, a fifth above any weekday, with replicas that take three minutes",
            tags: &["seasonal", "weekly"],
            start: "2026-03-07T00:00:00Z",
            services: vec![web("web", mostly(180, 220), people(1_000.0, SHOP, SHOPPING_WEEK))],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "shop-on-a-friday-starts-very-slowly",
            title: "A shop's Friday with replicas that take seven minutes",
            tags: &["seasonal", "daily"],
            start: "2026-03-06T00:00:00Z",
            services: vec![web("web", always(420), people(1_150.0, SHOP, SHOPPING_WEEK))],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "office-comes-in-on-monday",
            title: "An office tool after a quiet weekend: from a fifth of the level to all of it within two hours",
            tags: &["seasonal", "weekly"],
            zone: "Europe/Vienna",
            services: vec![web("web", mostly(40, 60), people(1_400.0, OFFICE, WORKING_WEEK))],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "office-on-a-thursday-starts-very-slowly",
            title: "An office tool's Thursday with replicas that take seven minutes",
            tags: &["seasonal", "daily"],
            start: "2026-03-05T00:00:00Z",
            services: vec![web("web", mostly(420, 500), people(1_200.0, OFFICE, WORKING_WEEK))],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "evening-programme-on-a-sunday",
            title: "Video on a Sunday evening, with replicas that take three minutes",
            tags: &["seasonal", "weekly"],
            start: "2026-03-08T00:00:00Z",
            zone: "Europe/Berlin",
            services: vec![web("web", always(180), people(950.0, EVENING, LEISURE_WEEK))],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "lunch-and-dinner-are-ordered",
            title: "Meals are ordered twice a day, within an hour each",
            tags: &["seasonal", "daily"],
            start: "2026-03-05T00:00:00Z",
            services: vec![web("web", always(30), people(1_350.0, MEALS, LEISURE_WEEK))],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "lunch-and-dinner-start-very-slowly",
            title: "Meals are ordered twice a day, and replicas take seven minutes",
            tags: &["seasonal", "daily"],
            start: "2026-03-04T00:00:00Z",
            services: vec![web("web", always(420), people(1_300.0, MEALS, LEISURE_WEEK))],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "readers-wake-up",
            title: "News in the morning: the day's highest half hour comes first",
            tags: &["seasonal", "daily"],
            start: "2026-03-03T00:00:00Z",
            services: vec![web("web", mostly(45, 70), Load { wander: (0.08, 0.04), ..people(1_300.0, NEWS, EVEN_WEEK) })],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "clock-goes-forward",
            title: "The Sunday on which the clock goes forward: everybody comes an hour early by UTC",
            tags: &["seasonal", "weekly"],
            start: "2026-03-15T00:00:00Z",
            zone: "Europe/Vienna",
            services: vec![web("web", always(180), people(1_100.0, COMMUTE, EVEN_WEEK))],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "growth-of-a-fifth-a-week",
            title: "Each week is a fifth above the one before, so that last week's numbers do not do",
            tags: &["seasonal", "weekly"],
            start: "2026-03-03T00:00:00Z",
            services: vec![web("web", always(180), Load { growth: 0.2, ..people(900.0, SHOP, SHOPPING_WEEK) })],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "past-has-holes",
            title: "A day like others whose past was recorded with holes: six hours of one day, one of another, ten minutes of this one",
            tags: &["seasonal", "gaps"],
            start: "2026-03-04T00:00:00Z",
            services: vec![
                web("web", always(30), people(1_150.0, NEWS, EVEN_WEEK))
                    .missing(-7 * 1440 + 500, -7 * 1440 + 860)
                    .missing(-1440 + 600, -1440 + 660)
                    .missing(720, 730),
            ],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "front-calls-two-back-ends",
            title: "A front end that starts fast and calls two back ends that start slowly",
            tags: &["seasonal", "dependencies"],
            start: "2026-03-03T00:00:00Z",
            services: vec![
                web("front", always(30), people(900.0, SHOP, SHOPPING_WEEK)).calls("search", 0.6).calls("stock", 2.0),
                back_end("search", always(180), 30.0),
                back_end("stock", mostly(240, 300), 120.0),
            ],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "office-is-closed-on-a-monday",
            title: "A Monday on which nobody comes in: the season promises a morning that does not come",
            tags: &["seasonal", "cost-trap"],
            services: vec![web(
                "web",
                always(180),
                with(people(1_200.0, OFFICE, WORKING_WEEK), &[Happening::Shift { at: -120, factor: 0.2 }]),
            )],
            expect: never(&ALWAYS),
            ..day()
        },
    ]
}
