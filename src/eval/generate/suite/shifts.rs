//! Levels that shift and ramps that nobody has seen before.

use super::shapes::{EVEN_WEEK, NEWS, OFFICE, SHOP, SHOPPING_WEEK, WORKING_WEEK, WORLD};
use super::{ALWAYS, day, day_by_the_minute, never, people, with};
use crate::eval::generate::case::Case;
use crate::eval::generate::load::Happening;
use crate::eval::generate::service::{always, mostly, web};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "large-customer-moves-in",
            title: "At ten in the morning a customer brings half as much again, and stays",
            tags: &["seasonal", "level-shift"],
            start: "2026-03-03T00:00:00Z",
            services: vec![web("web", always(30), with(people(900.0, WORLD, EVEN_WEEK), &[Happening::Shift { at: 600, factor: 1.55 }]))],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "large-customer-moves-out",
            title: "A customer leaves in the night and takes two thirds with him: what is left over costs",
            tags: &["seasonal", "level-shift", "cost-trap"],
            start: "2026-03-04T00:00:00Z",
            services: vec![web(
                "web",
                always(180),
                with(people(1_300.0, SHOP, SHOPPING_WEEK), &[Happening::Shift { at: 130, factor: 0.36 }]),
            )],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "level-doubled-two-days-ago",
            title: "Since the day before yesterday twice as much: twelve days of the past say another thing",
            tags: &["seasonal", "level-shift"],
            start: "2026-03-03T00:00:00Z",
            services: vec![web("web", always(420), with(people(620.0, NEWS, EVEN_WEEK), &[Happening::Shift { at: -2_700, factor: 2.0 }]))],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "launch-doubles-within-three-hours",
            title: "A launch: demand doubles evenly within three hours of the afternoon",
            tags: &["seasonal", "ramp"],
            start: "2026-03-05T00:00:00Z",
            services: vec![web(
                "web",
                always(30),
                with(people(750.0, SHOP, SHOPPING_WEEK), &[Happening::Ramp { at: 780, over: 180, factor: 2.1 }]),
            )],
            expect: never(&ALWAYS),
            ..day()
        },
        Case {
            name: "tenfold-within-an-hour",
            title: "From a trickle to ten times as much within an hour, with replicas that take three minutes",
            tags: &["spiky", "ramp"],
            start: "2026-03-04T00:00:00Z",
            services: vec![web(
                "web",
                mostly(180, 210),
                with(people(180.0, WORLD, EVEN_WEEK), &[Happening::Ramp { at: 540, over: 60, factor: 10.0 }]),
            )],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "traffic-is-moved-over-in-steps",
            title: "Another region's traffic is moved over in four steps of a quarter, half an hour apart",
            tags: &["seasonal", "level-shift", "ramp"],
            start: "2026-03-05T00:00:00Z",
            services: vec![web(
                "web",
                always(180),
                with(
                    people(700.0, OFFICE, WORKING_WEEK),
                    &[
                        Happening::Shift { at: 840, factor: 1.25 },
                        Happening::Shift { at: 870, factor: 1.2 },
                        Happening::Shift { at: 900, factor: 1.167 },
                        Happening::Shift { at: 930, factor: 1.143 },
                    ],
                ),
            )],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
    ]
}
