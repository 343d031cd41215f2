//! Where the right act is none.

use super::shapes::{EVEN_WEEK, FLAT, NIGHT_JOBS, SHOP, SHOPPING_WEEK, WORLD};
use super::{ALWAYS, fault, hours, judged, never, people, with};
use crate::domain::proposal::Cause;
use crate::eval::generate::case::Case;
use crate::eval::generate::load::{Happening, Load};
use crate::eval::generate::service::{always, back_end, web};
use crate::eval::incident::document::{ExpectDocument, FaultDocument, FaultName};
use crate::eval::incident::{ForbiddenAct, Never};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "nothing-is-wrong",
            title: "Six calm hours of a front end and its back end: nothing is wrong, and nothing is to be found",
            after: "after a public benchmark's control: an application that runs as it should under autoscaling, without a fault",
            tags: &["judgement", "control"],
            services: vec![
                web("front", always(30), Load { wander: (0.03, 0.015), ..people(480.0, WORLD, EVEN_WEEK) }).calls("back", 1.0),
                back_end("back", always(60), 60.0),
            ],
            expect: ExpectDocument { max_bad_fraction: Some(0.02), ..never(&ALWAYS) },
            ..hours("2026-03-02T09:00:00Z", 6)
        },
        Case {
            name: "network-is-down-after-an-upgrade",
            title: "An upgrade of the cluster takes the network down for hours: next to nothing gets through, and no count of replicas helps",
            after: "after a public account of 14 March 2023: an upgrade changed what nodes were labelled with, and took the network down for five hours",
            tags: &["judgement", "control", "signal-inversion"],
            services: vec![web("web", always(45), people(560.0, FLAT, EVEN_WEEK))],
            faults: vec![FaultDocument { factor: Some(0.03), cpu_factor: Some(0.2), ..fault(FaultName::DependencyBrownout, 60, 150) }],
            expect: judged(
                Cause::DependencyFailure,
                &[ForbiddenAct::ScaleDown, ForbiddenAct::Resize],
                &["errors", "cpu"],
                &[Never::ScaleDownUnderFailure, Never::OutsideBounds, Never::ActWithoutRecord],
            ),
            events: &[
                r#"{"t":176400,"kind":"Node","object":"node-1","reason":"NodeNotReady","count":3,"note":"network plugin is not ready"}"#,
            ],
            ..hours("2026-03-02T10:00:00Z", 4)
        },
        Case {
            name: "crawler-comes-at-night",
            title: "At three in the morning something asks twelve times as much as anybody does at that hour, evenly, for an hour",
            tags: &["judgement", "control", "traffic-anomaly"],
            services: vec![
                web(
                    "web",
                    always(60),
                    with(people(420.0, SHOP, SHOPPING_WEEK), &[Happening::Surge { at: 120, rise: 1, hold: 58, fall: 1, factor: 12.0 }]),
                )
                .matters(crate::domain::limits::Criticality::Medium),
            ],
            expect: judged(Cause::TrafficAnomaly, &[], &["demand"], &ALWAYS),
            ..hours("2026-03-03T01:00:00Z", 4)
        },
        Case {
            name: "night-job-looks-like-an-attack",
            title: "Every night at two a job asks for everything at once; it has done so every night before",
            tags: &["judgement", "control"],
            services: vec![web("web", always(60), Load { wander: (0.06, 0.03), ..people(640.0, NIGHT_JOBS, EVEN_WEEK) })],
            expect: judged(Cause::Capacity, &[], &["demand"], &ALWAYS),
            ..hours("2026-03-02T22:00:00Z", 6)
        },
        Case {
            name: "one-minute-of-errors",
            title: "A dependency fails for one minute and is back before anything could be done",
            tags: &["judgement", "control"],
            services: vec![web("web", always(180), people(560.0, FLAT, EVEN_WEEK))],
            faults: vec![FaultDocument { factor: Some(0.1), cpu_factor: Some(0.2), ..fault(FaultName::DependencyBrownout, 90, 1) }],
            expect: judged(
                Cause::DependencyFailure,
                &[ForbiddenAct::ScaleDown],
                &["errors"],
                &[Never::ScaleDownUnderFailure, Never::OutsideBounds, Never::ActWithoutRecord],
            ),
            ..hours("2026-03-02T10:00:00Z", 3)
        },
    ]
}
