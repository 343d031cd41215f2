//! `NodeFleet` into a [`Fleet`].

use std::sync::Arc;

use kube::ResourceExt;

use super::{at_most, repeated, whole};
use crate::crd::error::{SpecError, quoted};
use crate::crd::fleet::{FleetLimitsSpec, NodeClassSpec, NodeFleet, NodeFleetSpec};
use crate::crd::target_ref::is_object_name;
use crate::domain::limits::{Fleet, FleetLimits, NodeClassRef};
use crate::domain::names::GroupId;

/// The fleet that a custom resource describes.
///
/// # Errors
/// [`SpecError`] for the first field that cannot be taken.
pub fn fleet(object: &NodeFleet) -> Result<Fleet, SpecError> {
    let NodeFleetSpec {
        provider,
        pools,
        node_class: NodeClassSpec { group, kind, name },
        families,
        zones,
        capacity_types,
        least_on_demand_percent,
        least_types_per_pool,
        blast_radius_percent,
        limits: FleetLimitsSpec { cpu, memory },
        cost_budget,
        highest_mode,
    } = &object.spec;
    if pools.is_empty() {
        return Err(SpecError::new(&"spec.pools", "there is no pool; name at least one that IPA may shape"));
    }
    if capacity_types.is_empty() {
        return Err(SpecError::new(&"spec.capacityTypes", "there is no way to pay; name at least one, such as on-demand"));
    }
    at_most(capacity_types, 3, &"spec.capacityTypes")?;
    if let Some(i) = pools.iter().position(|pool| !is_object_name(pool)) {
        return Err(SpecError::new(
            &format_args!("spec.pools[{i}]"),
            format_args!("{} is no pool's name; write lower-case letters, digits, - and .", quoted(&pools[i])),
        ));
    }
    for (field, value) in [("group", group), ("kind", kind), ("name", name)] {
        if value.is_empty() {
            return Err(SpecError::new(
                &format_args!("spec.nodeClass.{field}"),
                "it is empty; write the node class that drafted pools refer to",
            ));
        }
    }
    Ok(Fleet {
        id: GroupId::fleet(&object.name_any()),
        uid: object.uid().unwrap_or_default().into(),
        generation: object.metadata.generation.unwrap_or_default(),
        provider: *provider,
        pools: names(pools, 32, "spec.pools")?,
        node_class: NodeClassRef { group: group.clone(), kind: kind.clone(), name: name.clone() },
        families: names(families, 64, "spec.families")?,
        zones: names(zones, 32, "spec.zones")?,
        capacity_types: capacity_types.clone(),
        least_on_demand_percent: whole(*least_on_demand_percent, &"spec.leastOnDemandPercent", 0, 100)?,
        least_types_per_pool: whole(*least_types_per_pool, &"spec.leastTypesPerPool", 1, 100)?,
        blast_radius_percent: whole(*blast_radius_percent, &"spec.blastRadiusPercent", 1, 100)?,
        limits: FleetLimits {
            cpu: cpu.as_ref().map(|q| q.cpu(&"spec.limits.cpu")).transpose()?,
            memory: memory.as_ref().map(|q| q.memory(&"spec.limits.memory")).transpose()?,
        },
        cost_budget_per_hour: cost_budget.as_ref().map(|b| b.per_hour.budget(&"spec.costBudget.perHour")).transpose()?,
        highest_mode: *highest_mode,
    })
}

/// A set of names, in the order written.
fn names(items: &[String], most: usize, path: &str) -> Result<Vec<Arc<str>>, SpecError> {
    at_most(items, most, &path)?;
    if let Some(i) = repeated(items) {
        return Err(SpecError::new(&format_args!("{path}[{i}]"), format_args!("{} is listed twice; list it once", quoted(&items[i]))));
    }
    Ok(items.iter().map(|item| item.as_str().into()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::fleet::CapacityType;
    use crate::domain::limits::{Mode, Provider};

    fn check(field: &str, value: Value) -> Result<Fleet, String> {
        let mut spec = json!({
            "pools": ["general"],
            "nodeClass": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
            "limits": {"cpu": "400", "memory": "2Ti"},
            "costBudget": {"perHour": "120"}
        });
        spec[field] = value;
        let object = json!({
            "apiVersion": "ipa.dev/v1alpha1", "kind": "NodeFleet", "metadata": {"name": "main", "uid": "u1", "generation": 4}, "spec": spec
        });
        fleet(&serde_json::from_value(object).unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_fleet_is_taken_with_its_defaults() {
        let read = check("highestMode", json!("Recommend")).unwrap();
        assert_eq!((read.id, read.generation, read.provider), (GroupId::fleet("main"), 4, Provider::Karpenter));
        assert_eq!(read.capacity_types, vec![CapacityType::OnDemand]);
        assert_eq!((read.least_on_demand_percent, read.least_types_per_pool, read.blast_radius_percent), (30, 5, 25));
        assert_eq!((read.limits.cpu.map(|c| c.0), read.limits.memory.map(|m| m.0)), (Some(400_000), Some(2 << 40)));
        assert_eq!(read.highest_mode, Mode::Recommend);
    }

    #[test]
    fn fault_t16_each_bad_fleet_field_is_refused_by_field() {
        for (field, value, error) in [
            ("pools", json!([]), "spec.pools: there is no pool; name at least one that IPA may shape"),
            ("pools", json!(["a", "a"]), "spec.pools[1]: `a` is listed twice; list it once"),
            ("pools", json!(["A"]), "spec.pools[0]: `A` is no pool's name; write lower-case letters, digits, - and ."),
            ("capacityTypes", json!([]), "spec.capacityTypes: there is no way to pay; name at least one, such as on-demand"),
            ("leastOnDemandPercent", json!(101), "spec.leastOnDemandPercent: 101 is out of range; write a whole number from 0 to 100"),
            ("leastTypesPerPool", json!(0), "spec.leastTypesPerPool: 0 is out of range; write a whole number from 1 to 100"),
            ("blastRadiusPercent", json!(-5), "spec.blastRadiusPercent: -5 is out of range; write a whole number from 1 to 100"),
            ("costBudget", json!({"perHour": "-3"}), "spec.costBudget.perHour: `-3` is negative; a budget starts at 0"),
            (
                "nodeClass",
                json!({"group": "karpenter.k8s.aws", "kind": "", "name": "default"}),
                "spec.nodeClass.kind: it is empty; write the node class that drafted pools refer to",
            ),
        ] {
            assert_eq!(check(field, value).unwrap_err(), error);
        }
    }
}
