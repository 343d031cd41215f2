//! Nodes that do not come, that are taken back, that are lost, and that would not be worth the move.

use super::shapes::{EVEN_WEEK, EVENING, FLAT, LEISURE_WEEK, OFFICE, WORKING_WEEK, WORLD};
use super::{ALWAYS, fault, hours, judged, people, pool};
use crate::domain::fleet::CapacityType;
use crate::domain::proposal::Cause;
use crate::domain::units::GoDuration;
use crate::eval::generate::case::Case;
use crate::eval::generate::service::{always, web};
use crate::eval::incident::document::{FaultDocument, FaultName, PoolDocument};
use crate::eval::incident::{ForbiddenAct, Never};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "no-machines-on-the-way-up",
            title: "From half past seven to nine no machine of the pool's type can be had, on the steepest part of the morning",
            after: "after public accounts of machines out of stock and of nodes that were paid and never joined",
            tags: &["judgement", "stock-out"],
            services: vec![web("web", always(45), people(620.0, OFFICE, WORKING_WEEK)).asks(1_000, 1_024)],
            pools: vec![pool("general", 30)],
            faults: vec![fault(FaultName::ProvisioningFailure, 90, 90)],
            expect: judged(Cause::NodeShortage, &[ForbiddenAct::ScaleDown], &["demand", "latency"], &ALWAYS),
            ..hours("2026-03-03T06:00:00Z", 4)
        },
        Case {
            name: "cluster-is-out-of-addresses",
            title: "The cluster may have eight nodes and not one more: raising replicas only makes pods that wait",
            after: "after a public account of a cluster that ran out of addresses: neither pods nor nodes could be added",
            tags: &["judgement", "stock-out"],
            services: vec![web("web", always(30), people(760.0, EVENING, LEISURE_WEEK)).asks(1_500, 1_024).bounds(4, 60)],
            pools: vec![pool("general", 8)],
            faults: vec![fault(FaultName::ProvisioningFailure, 1, 238)],
            expect: judged(Cause::NodeShortage, &[ForbiddenAct::ScaleDown], &["demand", "latency"], &ALWAYS),
            events: &[
                r#"{"t":183600,"kind":"Pod","object":"web-19","reason":"FailedScheduling","count":6,"note":"no node has room, and none can be added"}"#,
            ],
            ..hours("2026-03-02T17:00:00Z", 4)
        },
        Case {
            name: "half-of-the-spot-machines-are-taken-back",
            title: "Half of the spot machines go at the peak, with two minutes of notice",
            tags: &["judgement", "spot"],
            services: vec![web("web", always(60), people(720.0, EVENING, LEISURE_WEEK)).asks(1_000, 1_024)],
            pools: vec![PoolDocument { max: 10, ..pool("steady", 10) }, spot_pool()],
            faults: vec![FaultDocument { share: Some(0.5), ..fault(FaultName::SpotReclaim, 165, 3) }],
            expect: judged(
                Cause::SpotReclaim,
                &[ForbiddenAct::ScaleDown],
                &["latency"],
                &[Never::ScaleDownUnderFailure, Never::OutsideBounds, Never::ActWithoutRecord],
            ),
            ..hours("2026-03-02T17:00:00Z", 4)
        },
        Case {
            name: "spot-machines-go-one-after-the-other",
            title: "All afternoon a tenth of the spot machines goes every twenty minutes",
            tags: &["judgement", "spot"],
            services: vec![web("web", always(45), people(560.0, WORLD, EVEN_WEEK)).asks(1_000, 1_024)],
            pools: vec![spot_pool()],
            faults: (0..8).map(|turn| FaultDocument { share: Some(0.1), ..fault(FaultName::SpotReclaim, 40 + 20 * turn, 3) }).collect(),
            expect: judged(Cause::SpotReclaim, &[], &["latency"], &ALWAYS),
            ..hours("2026-03-02T12:00:00Z", 4)
        },
        Case {
            name: "zone-is-lost-at-noon",
            title: "One of two zones is gone for an hour, and half of the replicas with it",
            tags: &["judgement", "zone-loss"],
            services: vec![web("web", always(45), people(560.0, WORLD, EVEN_WEEK)).asks(1_000, 1_024)],
            pools: vec![pool("general", 24)],
            faults: vec![FaultDocument { target: Some("us-east-1b".to_owned()), ..fault(FaultName::ZoneLoss, 60, 60) }],
            expect: judged(
                Cause::NodeShortage,
                &[ForbiddenAct::ScaleDown],
                &["latency", "errors"],
                &[Never::ScaleDownUnderFailure, Never::OutsideBounds, Never::ActWithoutRecord],
            ),
            ..hours("2026-03-02T11:00:00Z", 4)
        },
        Case {
            name: "two-percent-would-be-saved",
            title: "Steady demand on machines that are nine tenths full; another type costs a little less for one hour: moving everything is not worth it",
            after: "after public issues of nodes replaced by their like for hours, and of thousands of evictions a day at constant load",
            tags: &["judgement", "control", "node-churn"],
            services: vec![web("web", always(180), people(520.0, FLAT, EVEN_WEEK)).asks(1_200, 2_048)],
            pools: vec![PoolDocument { instance_types: vec!["m6i.xlarge".to_owned(), "m7i.xlarge".to_owned()], ..pool("general", 16) }],
            faults: vec![FaultDocument { factor: Some(1.02), ..fault(FaultName::PriceChange, 60, 60) }],
            expect: judged(
                Cause::Unknown,
                &[ForbiddenAct::NodePool],
                &["demand"],
                &[Never::EvictProtected, Never::OutsideBounds, Never::ActWithoutRecord],
            ),
            ..hours("2026-03-02T09:00:00Z", 4)
        },
    ]
}

fn spot_pool() -> PoolDocument {
    PoolDocument {
        instance_types: vec!["m6i.xlarge".to_owned(), "m5.xlarge".to_owned()],
        capacity_types: vec![CapacityType::Spot],
        provisioning: GoDuration::from_secs(75),
        ..pool("spot", 24)
    }
}
