//! What more replicas do not mend: leaks, bad rollouts, memory and CPU limits, neighbours.

use super::shapes::{EVEN_WEEK, EVENING, FLAT, LEISURE_WEEK, SHOP, SHOPPING_WEEK, WORLD};
use super::{ALWAYS, fault, fault_for_good, hours, judged, people, pool, with};
use crate::domain::proposal::Cause;
use crate::eval::generate::case::Case;
use crate::eval::generate::load::Happening;
use crate::eval::generate::service::{always, back_end, web};
use crate::eval::incident::document::{FaultDocument, FaultName};
use crate::eval::incident::{ForbiddenAct, Never};

/// While requests fail nothing is taken away.
const UNDER_FAILURE: [Never; 3] = [Never::ScaleDownUnderFailure, Never::OutsideBounds, Never::ActWithoutRecord];

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "memory-leaks-until-pods-die",
            title: "Each replica loses ninety megabytes an hour and is killed after five hours; demand is as ever",
            tags: &["judgement", "leak", "memory"],
            services: vec![web("web", always(30), people(520.0, FLAT, EVEN_WEEK)).remembers(240, 1_024, 90, 700)],
            expect: judged(Cause::Leak, &[ForbiddenAct::ScaleUp], &["memory", "oom_kills"], &ALWAYS),
            events: &[
                r#"{"t":175500,"kind":"Pod","object":"web-1","reason":"OOMKilling","count":1,"note":"memory limit reached"}"#,
                r#"{"t":176940,"kind":"Pod","object":"web-4","reason":"OOMKilling","count":1,"note":"memory limit reached"}"#,
            ],
            ..hours("2026-03-02T00:00:00Z", 8)
        },
        Case {
            name: "new-version-takes-twice-the-work",
            title: "A rollout at the busiest hour: each new replica serves half of what the old ones did",
            tags: &["judgement", "bad-rollout"],
            services: vec![web("web", always(45), people(560.0, WORLD, EVEN_WEEK)).bounds(4, 60)],
            faults: vec![FaultDocument { factor: Some(0.5), ..fault_for_good(FaultName::Rollout, 75) }],
            expect: judged(Cause::BadRollout, &[ForbiddenAct::ScaleDown], &["latency", "cpu"], &UNDER_FAILURE),
            events: &[
                r#"{"t":177300,"kind":"Deployment","object":"web","reason":"ScalingReplicaSet","count":1,"note":"scaled up replica set of revision 2"}"#,
            ],
            ..hours("2026-03-02T11:00:00Z", 4)
        },
        Case {
            name: "name-service-is-killed-for-its-memory",
            title: "Timeouts downstream are retried, each try asks the name service, and all its pods die at a limit set from quieter weeks",
            after: "after a public account of January 2019: retries, a spike of name look-ups, and pods killed together at a limit that history had suggested",
            tags: &["judgement", "memory", "retry-storm"],
            services: vec![
                web(
                    "aggregator",
                    always(30),
                    with(people(420.0, SHOP, SHOPPING_WEEK), &[Happening::Surge { at: 95, rise: 3, hold: 60, fall: 30, factor: 1.8 }]),
                )
                .retried(4, 0.8, 3)
                .calls("names", 6.0),
                back_end("names", always(20), 900.0).asks(200, 64).remembers(48, 1_536, 0, 100).bounds(2, 12),
            ],
            expect: judged(Cause::Capacity, &[ForbiddenAct::ScaleDown], &["memory", "oom_kills"], &UNDER_FAILURE),
            ..hours("2026-03-02T15:00:00Z", 4)
        },
        Case {
            name: "cpu-limit-throttles",
            title: "A limit keeps each replica at three fifths of what it could do: a larger one would do what more replicas do",
            after: "after a public account of CPU limits that throttled services, with high latency and errors",
            tags: &["judgement", "throttling"],
            services: vec![
                web("web", always(30), with(people(520.0, WORLD, EVEN_WEEK), &[Happening::Ramp { at: 30, over: 90, factor: 1.5 }]))
                    .asks(400, 512)
                    .throttled_at(240),
            ],
            expect: judged(Cause::Capacity, &[ForbiddenAct::ScaleDown], &["throttling", "latency"], &UNDER_FAILURE),
            ..hours("2026-03-02T09:00:00Z", 4)
        },
        Case {
            name: "neighbour-takes-the-machine",
            title: "On two fifths of the nodes something else takes half of the machine: some pods are slow, demand is as ever",
            tags: &["judgement", "noisy-neighbour"],
            services: vec![web("web", always(45), people(540.0, FLAT, EVEN_WEEK)).asks(1_000, 1_024)],
            pools: vec![pool("general", 20)],
            faults: vec![FaultDocument { share: Some(0.4), factor: Some(0.5), ..fault(FaultName::NodeSlow, 60, 120) }],
            expect: judged(Cause::NoisyNeighbour, &[ForbiddenAct::ScaleDown], &["latency", "demand"], &UNDER_FAILURE),
            ..hours("2026-03-02T08:00:00Z", 4)
        },
        Case {
            name: "jobs-take-three-times-as-long",
            title: "Not more jobs but longer ones: the queue grows while arrivals are as ever",
            after: "after a public account of 2022: slower task workers and a scaler that looked at arrivals let a queue grow unseen",
            tags: &["judgement", "queue"],
            services: vec![super::super::service::workers("worker", always(60), people(30.0, WORLD, EVEN_WEEK)).bounds(2, 80)],
            faults: vec![FaultDocument { factor: Some(3.0), ..fault(FaultName::ServiceTimeChange, 50, 150) }],
            expect: judged(Cause::Capacity, &[ForbiddenAct::ScaleDown], &["queue", "latency"], &UNDER_FAILURE),
            ..hours("2026-03-02T10:00:00Z", 5)
        },
        Case {
            name: "half-of-the-pods-crash-at-the-peak",
            title: "Half of the replicas crash within a second at the evening's peak and start anew",
            tags: &["judgement", "crash"],
            services: vec![web("web", always(60), people(720.0, EVENING, LEISURE_WEEK))],
            faults: vec![FaultDocument { share: Some(0.5), ..fault(FaultName::PodCrash, 150, 1) }],
            expect: judged(Cause::Unknown, &[ForbiddenAct::ScaleDown], &["restarts", "errors"], &UNDER_FAILURE),
            ..hours("2026-03-02T18:00:00Z", 3)
        },
    ]
}
