//! Cross-check: no replica is taken away on the word of one source. Demand (the application's or the ingress' word) and CPU (the kubelet's) must
//! both be fresh, must have moved together, and must each say that fewer replicas suffice; and users must be served well now. A target for
//! which no demand is known at all goes by CPU, as with an HPA, as long as memory and latency do not contradict.

use super::rule::{Answer, Case};
use crate::domain::limits::SignalUse;
use crate::domain::names::TargetKey;
use crate::domain::proposal::ReplicasChange;
use crate::domain::series::{History, mean, quantile};
use crate::domain::signal::{SampleFault, Signal, SignalName};
use jiff::SignedDuration;

/// Share of their CPU requests that the pods left may use: beyond it a small rise in load throttles them before another pod has started.
const MOST_CPU_SHARE: f64 = 0.9;
/// Share of its memory limit that the largest pod may use: what is spread over fewer pods grows in each.
const MOST_MEMORY_SHARE: f64 = 0.9;
/// Demand and CPU that moved apart by more than this since the hour before do not measure the same thing. A service's idle CPU lets them
/// part by two or three when demand falls far; a lie parts them without end.
const MOST_PARTING: f64 = 4.0;
/// Errors may burn their budget at most this fast: the rate of the SRE workbook's six-hour page.
const MOST_BURN_RATE: f64 = 6.0;
/// However loose the objective, more failed requests than this are an incident.
const MOST_ERRORS: f64 = 0.05;
/// A guard signal is out of line this far above the 95th percentile of its last two days.
const GUARD_MARGIN: f64 = 1.25;

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let Some(change) = case.scale_down() else { return Answer::pass() };
    let target = &change.target;
    let signal = |name| case.world.snapshot.signal(target, &name);
    let demand = signal(SignalName::Demand).filter(|signal| signal.latest().is_some());
    let fault = implausible(demand, "demand")
        .or_else(|| implausible(signal(SignalName::Cpu), "cpu"))
        .or_else(|| one_source(case, target, demand.is_some()))
        .or_else(|| demand.and_then(|demand| parted(case, demand, signal(SignalName::Cpu)?)))
        .or_else(|| demand.and_then(|demand| demand_needs(case, change, demand)))
        .or_else(|| cpu_needs(case, change))
        .or_else(|| badly_served(case, target))
        .or_else(|| memory_tight(case, target))
        .or_else(|| guard_out_of_line(case, target));
    fault.unwrap_or_else(Answer::pass)
}

fn implausible(signal: Option<&Signal>, name: &str) -> Option<Answer> {
    signal?.faults.iter().find_map(|fault| match fault {
        SampleFault::Implausible => Some(Answer::refuse(format!("{name} shows what cannot be: nothing is taken away on it"))),
        SampleFault::Partial => Some(Answer::refuse(format!("{name} is known of a part of the pods only: nothing is taken away on it"))),
        SampleFault::NotANumber
        | SampleFault::Infinite
        | SampleFault::Negative
        | SampleFault::Stale
        | SampleFault::Future
        | SampleFault::Duplicate
        | SampleFault::Malformed => None,
    })
}

fn one_source(case: &Case<'_>, target: &TargetKey, demand_known: bool) -> Option<Answer> {
    let fresh = |name| case.world.snapshot.fresh(target, &name).is_some();
    if !fresh(SignalName::Cpu) {
        return Some(Answer::refuse("cpu is not fresh: no replica is removed on demand alone".into()));
    }
    (demand_known && !fresh(SignalName::Demand)).then(|| Answer::refuse("demand is not fresh: no replica is removed on cpu alone".into()))
}

/// The level of the last five minutes over that of the hour before.
fn move_of(case: &Case<'_>, history: &History) -> Option<f64> {
    let (recent, hour) = (SignedDuration::from_mins(5), SignedDuration::from_hours(1));
    let now = mean(history.fine.window(case.now(), recent));
    let before = mean(history.fine.window(case.now().saturating_sub(recent).ok()?, hour));
    (now.is_finite() && before > 0.0).then(|| f64::from(now) / f64::from(before))
}

fn parted(case: &Case<'_>, demand: &Signal, cpu: &Signal) -> Option<Answer> {
    let (demand, cpu) = (move_of(case, &demand.history)?, move_of(case, &cpu.history)?);
    let (low, high) = (demand.min(cpu), demand.max(cpu));
    // What hardly moved is noise, whatever the ratio.
    (high > 0.1 && low * MOST_PARTING < high).then(|| {
        Answer::refuse(format!(
            "demand stands at {:.0} % of the hour before and cpu at {:.0} %: one of them is wrong",
            demand * 100.0,
            cpu * 100.0
        ))
        .comparing("demand over the hour before", demand, cpu)
    })
}

fn demand_needs(case: &Case<'_>, change: &ReplicasChange, demand: &Signal) -> Option<Answer> {
    let plan = case.world.plan.targets.get(&change.target)?;
    let capacity = plan.basis.capacity_per_replica.filter(|capacity| *capacity > 0.0)?;
    let (_, demand) = demand.latest()?;
    let served = capacity * f64::from(change.to);
    (demand > served).then(|| {
        Answer::refuse(format!("demand is {demand:.1}/s and {} replicas serve {served:.1}/s", change.to)).comparing(
            "demand 1/s",
            demand,
            served,
        )
    })
}

fn cpu_needs(case: &Case<'_>, change: &ReplicasChange) -> Option<Answer> {
    let container = case.subject.workload?.container(case.subject.member?.container.as_deref())?;
    let request = container.resources.cpu_request.or(container.resources.cpu_limit).filter(|request| request.0 > 0)?;
    let used = case.world.snapshot.fresh(&change.target, &SignalName::Cpu)?;
    let allowed = request.cores() * f64::from(change.to) * MOST_CPU_SHARE;
    (used > allowed).then(|| {
        Answer::refuse(format!(
            "pods use {used:.2} cores: {} replicas of {request} would run above {:.0} % of their requests",
            change.to,
            MOST_CPU_SHARE * 100.0
        ))
        .comparing("cpu cores used", used, allowed)
    })
}

fn badly_served(case: &Case<'_>, target: &TargetKey) -> Option<Answer> {
    let slo = case.subject.group?.slo.unwrap_or_default();
    let fresh = |name| case.world.snapshot.fresh(target, &name);
    let promised = slo.latency.seconds();
    if let Some(latency) = fresh(SignalName::Latency).filter(|latency| *latency > promised) {
        let sentence = format!("latency is {:.0} ms, {:.0} ms are promised", latency * 1000.0, promised * 1000.0);
        return Some(Answer::refuse(sentence).comparing("latency s", latency, promised));
    }
    let budget = f64::from(10_000 - slo.objective_bp.min(10_000)) / 10_000.0;
    let allowed = (budget * MOST_BURN_RATE).min(MOST_ERRORS);
    let errors = fresh(SignalName::Errors).filter(|errors| *errors > allowed)?;
    let sentence = format!("{:.1} % of requests fail, {:.1} % are in line", errors * 100.0, allowed * 100.0);
    Some(Answer::refuse(sentence).comparing("errors share", errors, allowed))
}

fn memory_tight(case: &Case<'_>, target: &TargetKey) -> Option<Answer> {
    let container = case.subject.workload?.container(case.subject.member?.container.as_deref())?;
    let limit = container.resources.memory_limit?;
    let used = case.world.snapshot.fresh(target, &SignalName::Memory)?;
    let allowed = limit.0 as f64 * MOST_MEMORY_SHARE;
    (used > allowed).then(|| {
        Answer::refuse(format!(
            "the largest pod uses {:.0} Mi of its limit of {limit}: fewer pods would each need more",
            used / (1u64 << 20) as f64
        ))
        .comparing("memory bytes", used, allowed)
    })
}

fn guard_out_of_line(case: &Case<'_>, target: &TargetKey) -> Option<Answer> {
    let snapshot = case.world.snapshot;
    case.subject.group?.signals.iter().filter(|signal| signal.role == SignalUse::Guard).find_map(|guard| {
        let name = SignalName::Custom(guard.name.as_str().into());
        let Some(value) = snapshot.fresh(target, &name) else {
            return Some(Answer::refuse(format!("guard signal {} is missing or stale", guard.name)));
        };
        let usual = f64::from(quantile(&snapshot.signal(target, &name)?.history.middle.values, 0.95)?);
        let allowed = usual * GUARD_MARGIN;
        (value > allowed && value > 0.0).then(|| {
            Answer::refuse(format!("guard signal {} is {value:.2} {}, {allowed:.2} is in line", guard.name, guard.unit)).comparing(
                "guard signal",
                value,
                allowed,
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::domain::limits::{Aggregate, CustomSignal, JoinKey, SignalUse};
    use crate::domain::signal::{SampleFault, SignalName};
    use crate::guardrails::testing::{calm, check, replicas};

    #[test]
    fn two_sources_that_agree_allow_a_scale_down() {
        check(&calm(), replicas(8), "Admit 10 -> 8");
    }

    #[test]
    fn fault_c09_a_scale_down_on_one_source_is_refused() {
        let mut no_cpu = calm();
        no_cpu.drop_signal(&SignalName::Cpu);
        check(&no_cpu, replicas(8), "Refuse\nCrossCheck Refuse: cpu is not fresh: no replica is removed on demand alone");
        let mut old_demand = calm();
        old_demand.set_signal(SignalName::Demand, |minute| if minute < 10 { f32::NAN } else { 400.0 });
        check(&old_demand, replicas(8), "Refuse\nCrossCheck Refuse: demand is not fresh: no replica is removed on cpu alone");
    }

    #[test]
    fn fault_c09_demand_that_vanishes_while_cpu_stays_is_a_lie() {
        let mut setup = calm();
        setup.set_signal(SignalName::Demand, |minute| if minute < 5 { 2.0 } else { 400.0 });
        check(
            &setup,
            replicas(8),
            "Refuse\n\
            CrossCheck Refuse: demand stands at 0 % of the hour before and cpu at 100 %: one of them is wrong",
        );
    }

    #[test]
    fn fault_c09_cpu_that_vanishes_under_load_is_a_lie() {
        let mut setup = calm();
        setup.set_signal(SignalName::Cpu, |minute| if minute < 5 { 0.0 } else { 4.0 });
        check(
            &setup,
            replicas(8),
            "Refuse\n\
            CrossCheck Refuse: demand stands at 100 % of the hour before and cpu at 0 %: one of them is wrong",
        );
    }

    #[test]
    fn what_cannot_be_is_not_built_on() {
        let mut setup = calm();
        setup.signal(&SignalName::Cpu).faults.push(SampleFault::Implausible);
        check(&setup, replicas(8), "Refuse\nCrossCheck Refuse: cpu shows what cannot be: nothing is taken away on it");
        let mut setup = calm();
        setup.signal(&SignalName::Demand).faults.push(SampleFault::Partial);
        check(&setup, replicas(8), "Refuse\nCrossCheck Refuse: demand is known of a part of the pods only: nothing is taken away on it");
    }

    #[test]
    fn both_must_say_that_fewer_suffice() {
        check(&calm(), replicas(6), "Refuse\nCrossCheck Refuse: demand is 400.0/s and 6 replicas serve 360.0/s");
        let mut setup = calm();
        setup.set_signal(SignalName::Cpu, |_| 8.0);
        check(
            &setup,
            replicas(8),
            "Refuse\n\
            CrossCheck Refuse: pods use 8.00 cores: 8 replicas of 1 would run above 90 % of their requests",
        );
    }

    #[test]
    fn users_who_are_badly_served_keep_their_replicas() {
        let mut setup = calm();
        setup.set_signal(SignalName::Latency, |_| 0.8);
        check(&setup, replicas(8), "Refuse\nCrossCheck Refuse: latency is 800 ms, 500 ms are promised");
        let mut setup = calm();
        setup.set_signal(SignalName::Errors, |_| 0.2);
        check(&setup, replicas(8), "Refuse\nCrossCheck Refuse: 20.0 % of requests fail, 5.0 % are in line");
    }

    #[test]
    fn a_target_without_demand_goes_by_cpu_as_long_as_nothing_contradicts() {
        let mut setup = calm();
        setup.drop_signal(&SignalName::Demand);
        check(&setup, replicas(8), "Admit 10 -> 8");
        setup.set_signal(SignalName::Memory, |_| 1000.0 * 1_048_576.0);
        check(
            &setup,
            replicas(8),
            "Refuse\n\
            CrossCheck Refuse: the largest pod uses 1000 Mi of its limit of 1Gi: fewer pods would each need more",
        );
    }

    #[test]
    fn a_guard_signal_out_of_line_holds() {
        let mut setup = calm();
        setup.group().signals.push(CustomSignal {
            name: "lag".into(),
            role: SignalUse::Guard,
            unit: "messages".into(),
            query: String::new(),
            join: JoinKey::Pod,
            aggregate: Aggregate::Max,
        });
        check(&setup, replicas(8), "Refuse\nCrossCheck Refuse: guard signal lag is missing or stale");
        setup.set_signal(SignalName::Custom("lag".into()), |_| 10.0);
        check(&setup, replicas(8), "Admit 10 -> 8");
        setup.set_signal(SignalName::Custom("lag".into()), |minute| if minute == 0 { 40.0 } else { 10.0 });
        check(&setup, replicas(8), "Refuse\nCrossCheck Refuse: guard signal lag is 40.00 messages, 12.50 is in line");
    }
}
