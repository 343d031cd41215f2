//! Request and limit: no request above its limit, and nothing lowered below what the pods use: a memory limit under the working set kills.

use jiff::SignedDuration;

use super::rule::{Answer, Case, lower};
use crate::domain::proposal::{Change, ResourcesChange};
use crate::domain::signal::SignalName;
use crate::domain::units::{Bytes, Millicores};

/// What counts as live: the highest of the last hour, so that a lull does not lower a limit under the next peak.
const LIVE: SignedDuration = SignedDuration::from_hours(1);

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let Change::Resources(change) = case.change else { return Answer::pass() };
    above_limit(change).or_else(|| below_memory(case, change)).or_else(|| below_cpu(case, change)).unwrap_or_else(Answer::pass)
}

fn above_limit(change: &ResourcesChange) -> Option<Answer> {
    let to = &change.to;
    let pairs = [
        ("cpu", to.cpu_request.map(|v| (v.0, v.quantity())), to.cpu_limit.map(|v| (v.0, v.quantity()))),
        ("memory", to.memory_request.map(|v| (v.0, v.quantity())), to.memory_limit.map(|v| (v.0, v.quantity()))),
    ];
    pairs.into_iter().find_map(|(what, request, limit)| {
        let ((request, request_text), (limit, limit_text)) = (request?, limit?);
        (request > limit).then(|| {
            Answer::refuse(format!("a {what} request of {request_text} is above its limit of {limit_text}")).comparing(
                &format!("{what} request"),
                request as f64,
                limit as f64,
            )
        })
    })
}

fn below_memory(case: &Case<'_>, change: &ResourcesChange) -> Option<Answer> {
    let used = peak(case, change, &SignalName::Memory)?;
    let (used, from) = (Bytes(used as u64), case.before(change));
    let lowered = [
        ("limit", change.to.memory_limit.filter(|_| lower(from.memory_limit, change.to.memory_limit))),
        ("request", change.to.memory_request.filter(|to| from.memory_request.is_some_and(|from| *to < from))),
    ];
    lowered.into_iter().find_map(|(what, to)| {
        let to = to.filter(|to| *to < used)?;
        Some(
            Answer::refuse(format!(
                "a memory {what} of {to} is below the {} Mi that the largest pod used within the hour",
                used.0.div_ceil(Bytes::MIB)
            ))
            .comparing(&format!("memory {what} bytes"), to.0 as f64, used.0 as f64),
        )
    })
}

fn below_cpu(case: &Case<'_>, change: &ResourcesChange) -> Option<Answer> {
    let (pods, from) = (case.subject.workload?.replicas.ready.max(1), case.before(change));
    let used = Millicores((peak(case, change, &SignalName::Cpu)? * 1000.0 / f64::from(pods)).ceil() as u64);
    let lowered = [
        ("limit", change.to.cpu_limit.filter(|_| lower(from.cpu_limit, change.to.cpu_limit))),
        ("request", change.to.cpu_request.filter(|to| from.cpu_request.is_some_and(|from| *to < from))),
    ];
    lowered.into_iter().find_map(|(what, to)| {
        let to = to.filter(|to| *to < used)?;
        Some(Answer::refuse(format!("a cpu {what} of {to} is below the {used} that a pod used within the hour")).comparing(
            &format!("cpu {what} millicores"),
            to.0 as f64,
            used.0 as f64,
        ))
    })
}

/// The highest value of the last hour; the newest there is, where the hour holds none.
fn peak(case: &Case<'_>, change: &ResourcesChange, name: &SignalName) -> Option<f64> {
    let signal = case.world.snapshot.signal(&change.target, name)?;
    let hour = signal.history.fine.window(case.now(), LIVE).iter().copied().filter(|v| v.is_finite()).reduce(f32::max);
    hour.map(f64::from).or_else(|| signal.latest().map(|(_, value)| value)).filter(|value| *value >= 0.0)
}

#[cfg(test)]
mod tests {
    use crate::domain::signal::SignalName;
    use crate::guardrails::testing::{calm, check, resources};

    #[test]
    fn fault_g03_a_request_above_its_limit_is_refused() {
        check(
            &calm(),
            resources("1", "1536Mi", "1Gi"),
            "Refuse\n\
            RequestLimit Refuse: a memory request of 1536Mi is above its limit of 1Gi",
        );
    }

    #[test]
    fn fault_g03_a_limit_or_request_below_live_usage_is_refused() {
        let mut setup = calm();
        let mib = 1_048_576.0;
        setup.set_signal(SignalName::Memory, |minute| if minute == 30 { 700.0 * mib } else { 300.0 * mib });
        check(
            &setup,
            resources("1", "512Mi", "600Mi"),
            "Refuse\n\
            RequestLimit Refuse: a memory limit of 600Mi is below the 700 Mi that the largest pod used within the hour",
        );
        check(
            &setup,
            resources("1", "400Mi", "1Gi"),
            "Refuse\n\
            RequestLimit Refuse: a memory request of 400Mi is below the 700 Mi that the largest pod used within the hour",
        );
        check(
            &setup,
            resources("300m", "512Mi", "1Gi"),
            "Refuse\n\
            RequestLimit Refuse: a cpu request of 300m is below the 400m that a pod used within the hour",
        );
    }

    #[test]
    fn what_is_raised_helps_even_where_it_is_not_enough() {
        let mut setup = calm();
        setup.set_signal(SignalName::Memory, |_| 1000.0 * 1_048_576.0);
        check(
            &setup,
            resources("1", "600Mi", "1Gi"),
            "Admit resources of shop/deployments.apps/web container app: \
            cpu 1, memory 512Mi, memory limit 1Gi -> cpu 1, memory 600Mi, memory limit 1Gi",
        );
    }
}
