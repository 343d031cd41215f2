//! Within what a workload's replicas must stay: its own bounds, its group's and its guardrail's together.

use std::ops::RangeInclusive;

use super::super::incident::Incident;
use super::super::stage::key;

/// The tightest bounds of a workload, by its place in the incident.
pub(super) fn of(incident: &Incident, workload: usize) -> RangeInclusive<u32> {
    let own = &incident.workloads[workload];
    let target = key(&own.name);
    let groups = incident.groups.iter().flat_map(|group| &group.targets).filter(|member| member.key == target).map(|member| member.bounds);
    let guardrails = incident.guardrails.iter().filter_map(|guardrail| guardrail.targets.get(&target)).map(|limits| limits.bounds);
    let all = || std::iter::once(own.bounds).chain(groups.clone()).chain(guardrails.clone());
    let (min, max) = all().fold((0, u32::MAX), |(min, max), bounds| (min.max(bounds.min), max.min(bounds.max)));
    min..=max
}
