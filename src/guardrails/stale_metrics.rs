//! Stale metrics: nothing is taken away while metrics are down, or while what the decision rests on is old or missing. A scale-up may go on
//! from what is fresh.

use super::rule::{Answer, Case, age};
use crate::domain::names::TargetKey;
use crate::domain::proposal::Change;
use crate::domain::signal::{Signal, SignalName};
use crate::domain::snapshot::SourceHealth;

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let Some(target) = case.target_losing_capacity() else { return Answer::pass() };
    if let SourceHealth::Down(reason) = &case.world.snapshot.metrics_health {
        return Answer::refuse(format!("metrics are down ({reason}): nothing is taken away"));
    }
    if let Change::Resources(change) = case.change {
        let from = case.before(change);
        let less_cpu = change.to.cpu_request < from.cpu_request || change.to.cpu_limit != from.cpu_limit;
        let cpu = less_cpu.then_some(SignalName::Cpu);
        return cpu.into_iter().chain([SignalName::Memory]).find_map(|name| stale(case, target, &name)).unwrap_or_else(Answer::pass);
    }
    let (Some(demand), Some(cpu)) = (stale(case, target, &SignalName::Demand), stale(case, target, &SignalName::Cpu)) else {
        return Answer::pass();
    };
    // A target that has no demand signal goes by CPU, and is told of CPU.
    let has_demand = case.world.snapshot.signal(target, &SignalName::Demand).is_some_and(|signal| signal.latest().is_some());
    if has_demand { demand } else { cpu }
}

fn stale(case: &Case<'_>, target: &TargetKey, name: &SignalName) -> Option<Answer> {
    let snapshot = case.world.snapshot;
    if snapshot.fresh(target, name).is_some() {
        return None;
    }
    let limit = snapshot.limits.stale_after;
    Some(match snapshot.signal(target, name).and_then(Signal::latest) {
        Some((at, _)) => {
            let age = age(case.now(), at);
            Answer::refuse(format!("{name} is {age} old, at most {limit} counts: nothing is taken away")).comparing(
                "metrics age s",
                age.seconds(),
                limit.seconds(),
            )
        }
        None => Answer::refuse(format!("{name} is missing: nothing is taken away")),
    })
}

#[cfg(test)]
mod tests {
    use crate::domain::signal::SignalName;
    use crate::domain::snapshot::SourceHealth;
    use crate::guardrails::testing::{Setup, calm, check, replicas, resources};

    fn stale(setup: &mut Setup, name: SignalName, value: f32) {
        setup.set_signal(name, |minute| if minute < 4 { f32::NAN } else { value });
    }

    #[test]
    fn fault_g06_stale_metrics_never_scale_down() {
        let mut setup = calm();
        stale(&mut setup, SignalName::Demand, 400.0);
        stale(&mut setup, SignalName::Cpu, 4.0);
        check(
            &setup,
            replicas(8),
            "Refuse\n\
            StaleMetrics Refuse: demand is 4m old, at most 3m counts: nothing is taken away\n\
            CrossCheck Refuse: cpu is not fresh: no replica is removed on demand alone",
        );
        check(&setup, replicas(12), "Admit 10 -> 12");
    }

    #[test]
    fn a_source_that_is_down_takes_nothing_away_however_fresh_the_last_sample() {
        let mut setup = calm();
        setup.snapshot.metrics_health = SourceHealth::Down("ConnectionRefused".into());
        check(&setup, replicas(8), "Refuse\nStaleMetrics Refuse: metrics are down (ConnectionRefused): nothing is taken away");
        check(&setup, replicas(12), "Admit 10 -> 12");
    }

    #[test]
    fn requests_are_lowered_on_fresh_usage_alone() {
        let mut setup = calm();
        stale(&mut setup, SignalName::Memory, 1e8);
        check(
            &setup,
            resources("1", "400Mi", "1Gi"),
            "Refuse\n\
            StaleMetrics Refuse: memory is 4m old, at most 3m counts: nothing is taken away",
        );
        setup.drop_signal(&SignalName::Cpu);
        check(&setup, resources("900m", "512Mi", "1Gi"), "Refuse\nStaleMetrics Refuse: cpu is missing: nothing is taken away");
    }
}
