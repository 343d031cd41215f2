//! The cases of the suite, one theme a file, and the words they are written in.

mod bursts;
mod controls;
mod costs;
mod crowds;
mod dependencies;
mod leaks;
mod llm;
mod metrics;
mod nodes;
mod seasons;
mod shapes;
mod shifts;
mod storms;
mod writers;

use super::super::incident::document::{DecisionDocument, ExpectDocument, FaultDocument, FaultName, PoolDocument};
use super::super::incident::{ForbiddenAct, Never};
use super::case::Case;
use super::load::{Happening, Load};
use crate::domain::fleet::CapacityType;
use crate::domain::proposal::Cause;
use crate::domain::units::GoDuration;

/// All cases, by theme.
pub(super) fn cases() -> Vec<Case> {
    [
        seasons::cases(),
        shifts::cases(),
        crowds::cases(),
        bursts::cases(),
        storms::cases(),
        llm::cases(),
        leaks::cases(),
        metrics::cases(),
        dependencies::cases(),
        nodes::cases(),
        writers::cases(),
        costs::cases(),
        controls::cases(),
    ]
    .concat()
}

/// A day that is scored after two weeks that are known, by five minutes.
fn day() -> Case {
    Case {
        name: "",
        title: "",
        after: "",
        tags: &[],
        start: "2026-03-02T00:00:00Z",
        zone: "UTC",
        history_h: 14 * 24,
        scored_h: 24,
        step_min: 5,
        services: Vec::new(),
        pools: Vec::new(),
        faults: Vec::new(),
        expect: ExpectDocument::default(),
        resources: None,
        events: &[],
    }
}

/// A day that is scored after eight days that are known, by the minute: for what is over before five minutes are.
fn day_by_the_minute() -> Case {
    Case { history_h: 8 * 24, step_min: 1, ..day() }
}

/// Some hours that are judged, after two days that are known, by the minute. They begin at an hour of Wednesday, 4 March.
fn hours(start: &'static str, scored_h: u32) -> Case {
    Case { start, history_h: 48, scored_h, step_min: 1, ..day() }
}

/// People on weekdays and at the weekend, wandering as most services do.
fn people(level: f64, day: &'static [(f64, f64)], week: [f64; 7]) -> Load {
    Load { level, day, week, growth: 0.0, days_differ: 0.06, wander: (0.05, 0.025), grain: 3.0, bursts: None, happens: Vec::new() }
}

/// The same, and something happens.
fn with(mut load: Load, happens: &[Happening]) -> Load {
    load.happens = happens.to_vec();
    load
}

/// A fault for some minutes.
fn fault(kind: FaultName, at_min: u64, for_min: u64) -> FaultDocument {
    FaultDocument { kind, at: GoDuration::from_mins(at_min), lasts: Some(GoDuration::from_mins(for_min)), ..FaultDocument::default() }
}

/// A fault from then on.
fn fault_for_good(kind: FaultName, at_min: u64) -> FaultDocument {
    FaultDocument { lasts: None, ..fault(kind, at_min, 0) }
}

/// What has to be understood, what must not be done about it, what shows it, and what never may happen; a first safe act within a quarter of an
/// hour where a fault says from when.
fn judged(class: Cause, forbidden: &[ForbiddenAct], evidence: &[&str], never: &[Never]) -> ExpectDocument {
    let decision = DecisionDocument {
        class,
        first_safe_act_before: Some(GoDuration::from_mins(15)),
        forbidden: forbidden.to_vec(),
        evidence: evidence.iter().map(ToString::to_string).collect(),
    };
    ExpectDocument { never: never.to_vec(), decision: Some(decision), ..ExpectDocument::default() }
}

/// Only what never may happen.
fn never(never: &[Never]) -> ExpectDocument {
    ExpectDocument { never: never.to_vec(), ..ExpectDocument::default() }
}

/// What never may happen on any day.
const ALWAYS: [Never; 2] = [Never::OutsideBounds, Never::ActWithoutRecord];

/// A pool of four-core machines in two zones, on demand.
fn pool(name: &str, max: u32) -> PoolDocument {
    PoolDocument {
        name: name.to_owned(),
        instance_types: vec!["m6i.xlarge".to_owned()],
        zones: vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()],
        capacity_types: vec![CapacityType::OnDemand],
        provisioning: GoDuration::from_secs(90),
        max,
    }
}
