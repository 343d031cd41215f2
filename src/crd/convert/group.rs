//! `IntelligentPodAutoscaler` into a [`Group`].

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;

use super::{at_most, repeated, time, whole};
use crate::crd::autoscaler::signal::SignalSpec;
use crate::crd::autoscaler::windows::{FreezeWindowSpec, SurgeSpec};
use crate::crd::autoscaler::{DependencySpec, IntelligentPodAutoscaler, IntelligentPodAutoscalerSpec, SloSpec, TargetSpec};
use crate::crd::error::{SpecError, quoted};
use crate::crd::target_ref::{Resolve, is_object_name};
use crate::domain::limits::{
    Bounds, CustomSignal, Dependency, FreezeWindow, Group, GroupTarget, Modes, Paused, SignalUse, Slo, Surge, TimeZoneName,
};
use crate::domain::names::{GroupId, TargetKey};
use crate::domain::signal::SignalName;
use crate::domain::units::GoDuration;

const MOST_REPLICAS: u32 = 100_000;
const WEEK: GoDuration = GoDuration::from_mins(7 * 24 * 60);

/// The group that a custom resource describes. `resolve` turns a kind into its resource; see [`crate::crd::target_ref::built_in`].
///
/// # Errors
/// [`SpecError`] for the first field that cannot be taken.
pub fn group(ipa: &IntelligentPodAutoscaler, resolve: Resolve<'_>) -> Result<Group, SpecError> {
    let namespace = ipa.namespace().unwrap_or_default();
    // Destructured whole: a field that is added to the spec must be taken here.
    let IntelligentPodAutoscalerSpec {
        targets,
        mode,
        signals,
        slo,
        cost_budget,
        time_zone,
        freeze_windows,
        surges,
        depends_on,
        actuation,
        human_hold,
        forecast,
        model,
    } = &ipa.spec;
    let targets = read_targets(targets, &namespace, resolve)?;
    let depends_on = read_dependencies(depends_on, &namespace, &targets, resolve)?;
    Ok(Group {
        id: GroupId::new(&namespace, &ipa.name_any()),
        uid: ipa.uid().unwrap_or_default().into(),
        generation: ipa.metadata.generation.unwrap_or_default(),
        created: ipa.metadata.creation_timestamp.as_ref().map(|t| t.0),
        targets,
        modes: Modes { scale_up: mode.scale_up, scale_down: mode.scale_down, resources: mode.resources, nodes: mode.nodes },
        signals: read_signals(signals)?,
        slo: slo.as_ref().map(read_slo).transpose()?,
        cost_budget_per_hour: cost_budget.as_ref().map(|b| b.per_hour.budget(&"spec.costBudget.perHour")).transpose()?,
        time_zone: TimeZoneName::try_from(time_zone.clone()).map_err(|e| SpecError::new(&"spec.timeZone", e))?,
        freeze_windows: read_freeze_windows(freeze_windows)?,
        surges: read_surges(surges)?,
        depends_on,
        actuation: *actuation,
        human_hold: human_hold.read(&"spec.humanHold", WEEK)?,
        model_enabled: model.enabled,
        forecast_model: forecast.model.clone(),
        paused: paused(ipa.annotations()),
    })
}

fn read_targets(specs: &[TargetSpec], namespace: &str, resolve: Resolve<'_>) -> Result<Vec<GroupTarget>, SpecError> {
    if specs.is_empty() {
        return Err(SpecError::new(&"spec.targets", "there is no target; name at least one workload"));
    }
    at_most(specs, 32, &"spec.targets")?;
    let mut seen = BTreeSet::new();
    let mut targets = Vec::with_capacity(specs.len());
    for (i, TargetSpec { target, container, min, max, criticality, capacity_per_replica }) in specs.iter().enumerate() {
        let at = format!("spec.targets[{i}]");
        let key = target.key(&format_args!("{at}.ref"), namespace, resolve)?;
        if !seen.insert(key.clone()) {
            return Err(SpecError::new(&format_args!("{at}.ref"), format_args!("{} is listed twice; list it once", key.kubectl_name())));
        }
        let min = whole(*min, &format_args!("{at}.min"), 0, MOST_REPLICAS)?;
        let max = whole(*max, &format_args!("{at}.max"), 1, MOST_REPLICAS)?;
        let bounds = Bounds::new(min, max)
            .ok_or_else(|| SpecError::new(&format_args!("{at}.min"), format_args!("{min} is above max {max}; lower min or raise max")))?;
        if let Some(name) = container.as_deref().filter(|name| !is_object_name(name)) {
            return Err(SpecError::new(
                &format_args!("{at}.container"),
                format_args!("{} is no container's name; write it as the pod template does", quoted(name)),
            ));
        }
        let capacity = capacity_per_replica.as_ref().map(|text| {
            text.thousandths(&format_args!("{at}.capacityPerReplica"), 1, 1_000_000_000_000).map(|thousandths| thousandths as f64 / 1000.0)
        });
        targets.push(GroupTarget {
            key,
            container: container.clone(),
            bounds,
            criticality: *criticality,
            capacity_per_replica: capacity.transpose()?,
        });
    }
    Ok(targets)
}

fn read_signals(specs: &[SignalSpec]) -> Result<Vec<CustomSignal>, SpecError> {
    at_most(specs, 16, &"spec.signals")?;
    let names: Vec<&str> = specs.iter().map(|s| s.name.as_str()).collect();
    if let Some(i) = repeated(&names) {
        return Err(SpecError::new(
            &format_args!("spec.signals[{i}].name"),
            format_args!("{} is used twice; give each signal a name of its own", quoted(names[i])),
        ));
    }
    let mut demand = None;
    let mut signals = Vec::with_capacity(specs.len());
    for (i, SignalSpec { name, role, unit, query, join, aggregate }) in specs.iter().enumerate() {
        let at = format!("spec.signals[{i}]");
        if SignalName::SHIPPED.iter().any(|shipped| shipped.as_str() == name) {
            return Err(SpecError::new(
                &format_args!("{at}.name"),
                format_args!("{} is the name of a shipped signal; choose another", quoted(name)),
            ));
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if name.len() > 63 || !name.bytes().all(plain) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(SpecError::new(
                &format_args!("{at}.name"),
                format_args!("{} is no signal's name; write lower-case letters, digits and _, at most 63", quoted(name)),
            ));
        }
        if query.trim().is_empty() || query.chars().count() > 2048 {
            return Err(SpecError::new(
                &format_args!("{at}.query"),
                "the query is empty or too long; write PromQL of 1 to 2048 characters",
            ));
        }
        if unit.is_empty() || unit.len() > 32 || !unit.bytes().all(|b| b.is_ascii_alphanumeric() || b"/%._-".contains(&b)) {
            return Err(SpecError::new(
                &format_args!("{at}.unit"),
                format_args!("{} is no unit; write 1 to 32 letters, digits and / % . _ -, such as 1/s", quoted(unit)),
            ));
        }
        if *role == SignalUse::Demand
            && let Some(first) = demand.replace(i)
        {
            return Err(SpecError::new(
                &format_args!("{at}.use"),
                format_args!("spec.signals[{first}] has use Demand already; make one of them Leading or Guard"),
            ));
        }
        signals.push(CustomSignal {
            name: name.clone(),
            role: *role,
            unit: unit.clone(),
            query: query.clone(),
            join: *join,
            aggregate: *aggregate,
        });
    }
    Ok(signals)
}

fn read_slo(SloSpec { latency, objective, bad_minute_cost }: &SloSpec) -> Result<Slo, SpecError> {
    // In percent with three places at most; the domain counts hundredths of a percent.
    let thousandths = objective.thousandths(&"spec.slo.objective", 1_000, 99_990)?;
    Ok(Slo {
        latency: latency.read_positive(&"spec.slo.latency", GoDuration::from_mins(60))?,
        objective_bp: u32::try_from(thousandths / 10).unwrap_or(9_999),
        bad_minute_cost: whole(*bad_minute_cost, &"spec.slo.badMinuteCost", 1, 1_000)?,
    })
}

fn read_freeze_windows(specs: &[FreezeWindowSpec]) -> Result<Vec<FreezeWindow>, SpecError> {
    at_most(specs, 16, &"spec.freezeWindows")?;
    let read = |(i, FreezeWindowSpec { days, start, duration, scale_ups_too }): (usize, &FreezeWindowSpec)| {
        let at = format!("spec.freezeWindows[{i}]");
        let clock_time = start.split_once(':').and_then(|(hour, minute)| {
            let two_digits = |text: &str| (text.len() == 2).then(|| text.parse::<i8>().ok()).flatten();
            jiff::civil::Time::new(two_digits(hour)?, two_digits(minute)?, 0, 0).ok()
        });
        Ok(FreezeWindow {
            days: days.clone(),
            start: clock_time.ok_or_else(|| {
                SpecError::new(
                    &format_args!("{at}.start"),
                    format_args!("{} is no time of day; write HH:MM from 00:00 to 23:59", quoted(start)),
                )
            })?,
            duration: duration.read_positive(&format_args!("{at}.duration"), WEEK)?,
            scale_ups_too: *scale_ups_too,
        })
    };
    specs.iter().enumerate().map(read).collect()
}

fn read_surges(specs: &[SurgeSpec]) -> Result<Vec<Surge>, SpecError> {
    at_most(specs, 32, &"spec.surges")?;
    let names: Vec<&str> = specs.iter().map(|s| s.name.as_str()).collect();
    if let Some(i) = repeated(&names) {
        return Err(SpecError::new(
            &format_args!("spec.surges[{i}].name"),
            format_args!("{} is used twice; give each surge a name of its own", quoted(names[i])),
        ));
    }
    let read = |(i, SurgeSpec { name, start, duration, percent }): (usize, &SurgeSpec)| {
        let at = format!("spec.surges[{i}]");
        Ok(Surge {
            name: name.clone(),
            start: time(start, &format_args!("{at}.start"))?,
            duration: duration.read_positive(&format_args!("{at}.duration"), WEEK)?,
            percent: whole(*percent, &format_args!("{at}.percent"), 100, 10_000)?,
        })
    };
    specs.iter().enumerate().map(read).collect()
}

fn read_dependencies(
    specs: &[DependencySpec],
    namespace: &str,
    targets: &[GroupTarget],
    resolve: Resolve<'_>,
) -> Result<Vec<Dependency>, SpecError> {
    at_most(specs, 32, &"spec.dependsOn")?;
    let read = |(i, DependencySpec { from, to, to_namespace, ratio }): (usize, &DependencySpec)| {
        let at = format!("spec.dependsOn[{i}]");
        let from: TargetKey = from.key(&format_args!("{at}.from"), namespace, resolve)?;
        if !targets.iter().any(|t| t.key == from) {
            return Err(SpecError::new(
                &format_args!("{at}.from"),
                format_args!("{} is not among the targets; add it there or correct the name", from.kubectl_name()),
            ));
        }
        let callee_namespace = to_namespace.as_deref().unwrap_or(namespace);
        let to = to.key(&format_args!("{at}.to"), callee_namespace, resolve)?;
        if to == from {
            return Err(SpecError::new(&format_args!("{at}.to"), "a workload does not depend on itself; name the one it calls"));
        }
        let thousandths = ratio.thousandths(&format_args!("{at}.ratio"), 1, 1_000_000)?;
        Ok(Dependency { from, to, ratio_milli: u32::try_from(thousandths).unwrap_or(1_000_000) })
    };
    specs.iter().enumerate().map(read).collect()
}

/// A pause counts unless it says `false`: a typing mistake must stop IPA rather than let it go on.
fn paused(annotations: &BTreeMap<String, String>) -> Paused {
    let set = |name: &str| annotations.get(name).is_some_and(|value| value != "false");
    Paused { scale_in: set("ipa.dev/paused-scale-in"), scale_out: set("ipa.dev/paused-scale-out"), all: set("ipa.dev/paused") }
}

#[cfg(test)]
mod tests;
