//! Resource bounds: a container's requests and limits inside what the guardrail and the namespace's limit ranges allow. Where the guardrail names
//! no most, nothing is raised.

use super::rule::{Answer, Case};
use crate::domain::proposal::{Change, ResourcesChange};
use crate::domain::workload::ContainerResources;

/// What one amount has to keep to.
#[derive(Clone, Copy)]
struct Range {
    min: u64,
    max: Option<u64>,
}

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let (Change::Resources(change), Some(limits)) = (case.change, case.subject.limits) else { return Answer::pass() };
    let ranges = case.world.snapshot.facts.limit_ranges.get(&change.target.namespace).map_or(&[][..], Vec::as_slice);
    let mut cpu = Range { min: limits.resources.min_cpu.map_or(0, |v| v.0), max: limits.resources.max_cpu.map(|v| v.0) };
    let mut memory = Range { min: limits.resources.min_memory.map_or(0, |v| v.0), max: limits.resources.max_memory.map(|v| v.0) };
    for range in ranges {
        cpu = cpu.within(range.min_cpu.map(|v| v.0), range.max_cpu.map(|v| v.0));
        memory = memory.within(range.min_memory.map(|v| v.0), range.max_memory.map(|v| v.0));
    }
    let (from, to) = (case.before(change), change.to);
    let within = ContainerResources {
        cpu_request: cpu.keep(from.cpu_request, to.cpu_request, |v| v.0, crate::domain::units::Millicores),
        cpu_limit: cpu.keep_limit(from.cpu_limit, to.cpu_limit, |v| v.0, crate::domain::units::Millicores),
        memory_request: memory.keep(from.memory_request, to.memory_request, |v| v.0, crate::domain::units::Bytes),
        memory_limit: memory.keep_limit(from.memory_limit, to.memory_limit, |v| v.0, crate::domain::units::Bytes),
    };
    if within == to {
        return Answer::pass();
    }
    let answer = if change.carries_on() {
        Answer::refuse(format!("the size in force, {}, is not inside the bounds of resources any more", to.summary()))
    } else if within == from {
        Answer::refuse(format!("nothing of {} is inside the bounds of resources", to.summary()))
    } else {
        let named = Change::Resources(ResourcesChange { to: within, ..change.clone() });
        Answer::clamp(named, format!("{} is what the bounds of resources leave of {}", within.summary(), to.summary()))
    };
    let asked_cpu = to.cpu_request.map_or(0, |v| v.0);
    let asked_memory = to.memory_request.map_or(0, |v| v.0);
    answer.comparing("cpu request millicores", asked_cpu as f64, within.cpu_request.map_or(0, |v| v.0) as f64).comparing(
        "memory request bytes",
        asked_memory as f64,
        within.memory_request.map_or(0, |v| v.0) as f64,
    )
}

impl Range {
    /// Narrowed by a limit range.
    fn within(self, min: Option<u64>, max: Option<u64>) -> Self {
        Self { min: self.min.max(min.unwrap_or(0)), max: [self.max, max.filter(|_| self.max.is_some())].into_iter().flatten().min() }
    }

    /// `to`, moved back towards `from` as far as the range asks for; never beyond `from`.
    fn keep<T: Copy + PartialOrd>(self, from: Option<T>, to: Option<T>, raw: fn(T) -> u64, unit: fn(u64) -> T) -> Option<T> {
        let asked = raw(to?);
        let was = from.map_or(0, raw);
        let ceiling = self.max.unwrap_or(was);
        let kept = if asked > was { asked.min(ceiling.max(was)) } else { asked.max(self.min.min(was)) };
        // A first request below the least there may be is refused by leaving it out.
        if from.is_none() && (kept < self.min || kept == 0) { None } else { Some(unit(kept)) }
    }

    /// The same for a limit: one that is taken away is raised without end, which only stays as it was.
    fn keep_limit<T: Copy + PartialOrd>(self, from: Option<T>, to: Option<T>, raw: fn(T) -> u64, unit: fn(u64) -> T) -> Option<T> {
        match (from, to) {
            (Some(_), None) => from,
            (None, Some(limit)) => Some(unit(raw(limit).max(self.min).min(self.max.unwrap_or(u64::MAX)))),
            _ => self.keep(from, to, raw, unit),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::snapshot::LimitRange;
    use crate::domain::units::{Bytes, Millicores};
    use crate::guardrails::testing::{calm, check, resources};

    const WEB: &str = "resources of shop/deployments.apps/web container app: cpu 1, memory 512Mi, memory limit 1Gi -> ";

    #[test]
    fn amounts_beyond_the_bounds_are_brought_inside() {
        check(&calm(), resources("2", "1Gi", "2Gi"), &format!("Admit {WEB}cpu 2, memory 1Gi, memory limit 2Gi"));
        check(
            &calm(),
            resources("6", "1Gi", "8Gi"),
            &format!(
                "Clamp {WEB}cpu 4, memory 1Gi, memory limit 4Gi\n\
            ResourceBounds Clamp: cpu 4, memory 1Gi, memory limit 4Gi is what the bounds of resources leave of cpu 6, memory 1Gi, memory limit 8Gi"
            ),
        );
        let mut setup = calm();
        setup.snapshot.facts.limit_ranges.insert(
            "shop".into(),
            vec![LimitRange {
                name: "lr".into(),
                min_cpu: Some(Millicores(800)),
                max_cpu: None,
                min_memory: None,
                max_memory: Some(Bytes(1536 * Bytes::MIB)),
            }],
        );
        check(
            &setup,
            resources("500m", "512Mi", "2Gi"),
            &format!(
                "Clamp {WEB}cpu 800m, memory 512Mi, memory limit 1536Mi\n\
            ResourceBounds Clamp: cpu 800m, memory 512Mi, memory limit 1536Mi is what the bounds of resources leave of \
            cpu 500m, memory 512Mi, memory limit 2Gi"
            ),
        );
    }

    #[test]
    fn where_no_most_is_named_nothing_is_raised() {
        let mut setup = calm();
        setup.limits().resources.max_cpu = None;
        check(
            &setup,
            resources("2", "512Mi", "1Gi"),
            "Refuse\n\
            ResourceBounds Refuse: nothing of cpu 2, memory 512Mi, memory limit 1Gi is inside the bounds of resources",
        );
    }
}
