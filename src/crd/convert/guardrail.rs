//! `ScalingGuardrail` into a [`Guardrail`].

use std::collections::BTreeMap;

use kube::ResourceExt;

use super::{at_most, whole};
use crate::crd::error::{SpecError, quoted};
use crate::crd::guardrail::{
    GUARDRAIL_NAME, NamespaceCostBudget, ResourceBoundsSpec, ScalingGuardrail, ScalingGuardrailSpec, TargetLimitsSpec,
};
use crate::crd::target_ref::is_object_name;
use crate::domain::limits::{Bounds, Guardrail, ResourceBounds, TargetLimits};
use crate::domain::names::TargetKey;

const MOST_REPLICAS: u32 = 100_000;

/// The limits that a custom resource sets. A caller that gets an error must treat the namespace as having no guardrail, which allows nothing
/// above `Observe`.
///
/// # Errors
/// [`SpecError`] for the first field that cannot be taken.
pub fn guardrail(object: &ScalingGuardrail) -> Result<Guardrail, SpecError> {
    if object.name_any() != GUARDRAIL_NAME {
        return Err(SpecError::new(
            &"metadata.name",
            format_args!("{} is not the namespace's guardrail; name it {GUARDRAIL_NAME}", quoted(&object.name_any())),
        ));
    }
    let namespace = object.namespace().unwrap_or_default();
    let ScalingGuardrailSpec { targets: specs, freeze, highest_mode, cost_budget } = &object.spec;
    at_most(specs, 256, &"spec.targets")?;
    let mut targets = BTreeMap::new();
    for (i, spec) in specs.iter().enumerate() {
        let at = format!("spec.targets[{i}]");
        if !is_object_name(&spec.name) || spec.resource.is_empty() {
            return Err(SpecError::new(
                &format_args!("{at}.name"),
                format_args!("{} names no workload; write its plural resource and its metadata.name", quoted(&spec.name)),
            ));
        }
        let key = TargetKey::new(&namespace, &spec.group, &spec.resource, &spec.name);
        let limits = target_limits(spec, &at)?;
        if targets.insert(key.clone(), limits).is_some() {
            return Err(SpecError::new(&at, format_args!("{} is listed twice; list it once", key.kubectl_name())));
        }
    }
    let NamespaceCostBudget { per_hour, per_month } = cost_budget.clone().unwrap_or_default();
    Ok(Guardrail {
        version: format!("{}/{}", object.uid().unwrap_or_default(), object.metadata.generation.unwrap_or_default()),
        namespace: namespace.into(),
        targets,
        freeze: *freeze,
        highest_mode: *highest_mode,
        cost_budget_per_hour: per_hour.map(|m| m.budget(&"spec.costBudget.perHour")).transpose()?,
        cost_budget_per_month: per_month.map(|m| m.budget(&"spec.costBudget.perMonth")).transpose()?,
    })
}

fn target_limits(spec: &TargetLimitsSpec, at: &str) -> Result<TargetLimits, SpecError> {
    let TargetLimitsSpec {
        group: _,
        resource: _,
        name: _,
        min,
        max,
        max_step_up,
        max_step_down,
        resources,
        highest_criticality,
        allow_zero,
    } = spec;
    let min = whole(*min, &format_args!("{at}.min"), 0, MOST_REPLICAS)?;
    let max = whole(*max, &format_args!("{at}.max"), 1, MOST_REPLICAS)?;
    if min == 0 && !allow_zero {
        return Err(SpecError::new(&format_args!("{at}.min"), "0 is not allowed; set allowZero or raise min to 1"));
    }
    Ok(TargetLimits {
        bounds: Bounds::new(min, max)
            .ok_or_else(|| SpecError::new(&format_args!("{at}.min"), format_args!("{min} is above max {max}; lower min or raise max")))?,
        max_step_up: whole(*max_step_up, &format_args!("{at}.maxStepUp"), 1, MOST_REPLICAS)?,
        max_step_down: whole(*max_step_down, &format_args!("{at}.maxStepDown"), 1, MOST_REPLICAS)?,
        resources: resource_bounds(resources, at)?,
        highest_criticality: *highest_criticality,
        allow_zero: *allow_zero,
    })
}

fn resource_bounds(spec: &ResourceBoundsSpec, at: &str) -> Result<ResourceBounds, SpecError> {
    let ResourceBoundsSpec { min_cpu, max_cpu, min_memory, max_memory } = spec;
    let cpu = |text: &Option<crate::crd::text::QuantityText>, field: &str| {
        text.as_ref().map(|q| q.cpu(&format_args!("{at}.resources.{field}"))).transpose()
    };
    let memory = |text: &Option<crate::crd::text::QuantityText>, field: &str| {
        text.as_ref().map(|q| q.memory(&format_args!("{at}.resources.{field}"))).transpose()
    };
    let bounds = ResourceBounds {
        min_cpu: cpu(min_cpu, "minCPU")?,
        max_cpu: cpu(max_cpu, "maxCPU")?,
        min_memory: memory(min_memory, "minMemory")?,
        max_memory: memory(max_memory, "maxMemory")?,
    };
    if let (Some(min), Some(max)) = (bounds.min_cpu, bounds.max_cpu)
        && min > max
    {
        return Err(SpecError::new(
            &format_args!("{at}.resources.minCPU"),
            format_args!("{min} is above maxCPU {max}; lower minCPU or raise maxCPU"),
        ));
    }
    if let (Some(min), Some(max)) = (bounds.min_memory, bounds.max_memory)
        && min > max
    {
        return Err(SpecError::new(
            &format_args!("{at}.resources.minMemory"),
            format_args!("{min} is above maxMemory {max}; lower minMemory or raise maxMemory"),
        ));
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::limits::{Criticality, Mode};

    fn check(target: &Value) -> Result<Guardrail, String> {
        let object = json!({
            "apiVersion": "ipa.dev/v1alpha1", "kind": "ScalingGuardrail",
            "metadata": {"name": "default", "namespace": "shop", "uid": "u1", "generation": 2},
            "spec": {"targets": [target], "highestMode": "Auto", "costBudget": {"perHour": "40", "perMonth": "20000.50"}}
        });
        guardrail(&serde_json::from_value(object).unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_guardrail_is_taken_with_its_defaults() {
        let read = check(&json!({"name": "web", "min": 2, "max": 20, "resources": {"minCPU": "50m", "maxCPU": "2"}})).unwrap();
        assert_eq!((read.version.as_str(), read.highest_mode, read.freeze), ("u1/2", Mode::Auto, false));
        assert_eq!(read.cost_budget_per_month.map(|m| m.0), Some(20_000_500_000));
        let limits = &read.targets[&TargetKey::deployment("shop", "web")];
        assert_eq!((limits.bounds, limits.max_step_up, limits.max_step_down), (Bounds { min: 2, max: 20 }, 10, 5));
        assert_eq!((limits.highest_criticality, limits.allow_zero), (Criticality::High, false));
        assert_eq!(limits.resources.max_cpu.map(|c| c.0), Some(2_000));
    }

    #[test]
    fn fault_t16_each_bad_limit_is_refused_by_field() {
        for (target, error) in [
            (json!({"name": "web", "min": 9, "max": 4}), "spec.targets[0].min: 9 is above max 4; lower min or raise max"),
            (json!({"name": "web", "min": 0, "max": 4}), "spec.targets[0].min: 0 is not allowed; set allowZero or raise min to 1"),
            (json!({"name": "web", "min": -1, "max": 4}), "spec.targets[0].min: -1 is out of range; write a whole number from 0 to 100000"),
            (
                json!({"name": "web", "min": 1, "max": 4, "maxStepDown": 0}),
                "spec.targets[0].maxStepDown: 0 is out of range; write a whole number from 1 to 100000",
            ),
            (
                json!({"name": "web", "min": 1, "max": 4, "resources": {"minMemory": "2Gi", "maxMemory": "1Gi"}}),
                "spec.targets[0].resources.minMemory: 2Gi is above maxMemory 1Gi; lower minMemory or raise maxMemory",
            ),
            (
                json!({"name": "web", "min": 1, "max": 4, "resources": {"maxCPU": "-1"}}),
                "spec.targets[0].resources.maxCPU: `-1` is negative: CPU and memory start at 0",
            ),
        ] {
            assert_eq!(check(&target).unwrap_err(), error);
        }
    }

    #[test]
    fn a_guardrail_of_another_name_or_with_a_target_twice_is_refused() {
        let mut object = ScalingGuardrail::new("other", ScalingGuardrailSpec::default());
        assert_eq!(guardrail(&object).unwrap_err().to_string(), "metadata.name: `other` is not the namespace's guardrail; name it default");
        let web: TargetLimitsSpec = serde_json::from_value(json!({"name": "web", "min": 1, "max": 2})).unwrap();
        object = ScalingGuardrail::new("default", ScalingGuardrailSpec { targets: vec![web.clone(), web], ..Default::default() });
        assert_eq!(guardrail(&object).unwrap_err().to_string(), "spec.targets[1]: deployments.apps/web is listed twice; list it once");
    }
}
