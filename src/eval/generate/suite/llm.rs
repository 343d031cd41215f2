//! Language models behind an API: few answers a second, replicas of many cores that take minutes to load.

use super::shapes::{EVEN_WEEK, EVENING, LEISURE_WEEK, OFFICE, WORKING_WEEK, WORLD};
use super::{ALWAYS, day_by_the_minute, hours, never, people, with};
use crate::eval::generate::case::Case;
use crate::eval::generate::load::{Bursts, Happening, Load};
use crate::eval::generate::service::{always, llm, mostly};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "assistant-in-office-hours",
            title: "An assistant that an office asks all day; replicas load for three minutes",
            tags: &["llm", "daily"],
            start: "2026-03-10T00:00:00Z",
            services: vec![llm("assistant", always(180), conversation(32.0, OFFICE, WORKING_WEEK)).bounds(1, 48)],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "assistant-in-the-evening-loads-very-slowly",
            title: "An assistant that people ask in the evening; replicas load for seven minutes",
            tags: &["llm", "daily"],
            start: "2026-03-11T00:00:00Z",
            services: vec![llm("assistant", mostly(420, 520), conversation(36.0, EVENING, LEISURE_WEEK)).bounds(2, 60)],
            expect: never(&ALWAYS),
            ..day_by_the_minute()
        },
        Case {
            name: "conversations-come-in-bursts",
            title: "Some hours of conversations with bursts, little of whose past is known; replicas load for five minutes",
            tags: &["llm", "bursts"],
            services: vec![
                llm(
                    "chat",
                    always(300),
                    Load {
                        bursts: Some(Bursts { every_min: 35.0, least: 0.25, tail: 1.5, fade_min: (3.0, 12.0) }),
                        ..conversation(28.0, WORLD, EVEN_WEEK)
                    },
                )
                .bounds(2, 60),
            ],
            expect: never(&ALWAYS),
            ..hours("2026-03-02T12:00:00Z", 6)
        },
        Case {
            name: "agents-ask-by-the-hour",
            title: "Scheduled agents ask at each full hour for ten minutes; replicas load for four minutes",
            tags: &["llm", "by-the-clock"],
            services: vec![
                llm(
                    "model",
                    mostly(240, 280),
                    with(conversation(20.0, WORLD, EVEN_WEEK), &[Happening::Every { period: 60, offset: 0, lasts: 10, factor: 2.4 }]),
                )
                .bounds(2, 60),
            ],
            expect: never(&ALWAYS),
            ..hours("2026-03-02T06:00:00Z", 8)
        },
    ]
}

/// What people ask is grainier than what they click.
fn conversation(level: f64, day: super::shapes::Hours, week: [f64; 7]) -> Load {
    Load { wander: (0.1, 0.08), grain: 5.0, ..people(level, day, week) }
}
