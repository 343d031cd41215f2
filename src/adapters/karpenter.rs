//! A drafted node pool as Karpenter's `karpenter.sh/v1` `NodePool`, whole, as server-side apply sends it. Pure; the write is the actuator's.
//!
//! Left out: the node class itself (the platform's), labels, start-up taints and `terminationGracePeriod`, which IPA never shapes.

use serde_json::{Value, json};

use crate::domain::limits::Fleet;
use crate::domain::proposal::{NodePoolChange, NodePoolDraft};
use crate::domain::units::GoDuration;
use crate::domain::workload::{Requirement, RequirementOperator, Taint};

/// How long a node must be under-used before Karpenter may replace it: longer than one tick and one start-up, so that it does not fight a
/// scale-up that is on its way.
const CONSOLIDATE_AFTER: &str = "5m";

/// Karpenter's own bound on `minValues`.
const MOST_MIN_VALUES: usize = 50;

/// The manifest of a drafted pool. The fleet gives what a draft never changes: the node class, and how many instance types at least must
/// stay to choose from.
#[must_use]
pub fn karpenter_node_pool(change: &NodePoolChange, fleet: &Fleet) -> Value {
    let draft = &change.draft;
    let class = &fleet.node_class;
    json!({
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": { "name": draft.name },
        "spec": {
            "template": { "spec": {
                "nodeClassRef": { "group": class.group, "kind": class.kind, "name": class.name },
                "requirements": requirements(draft, fleet),
                "taints": draft.taints.iter().map(taint).collect::<Vec<_>>(),
                "expireAfter": whole_seconds(draft.expire_after),
            }},
            "disruption": {
                "consolidationPolicy": "WhenEmptyOrUnderutilized",
                "consolidateAfter": CONSOLIDATE_AFTER,
                "budgets": [{ "nodes": format!("{}%", draft.disruption_percent.min(100)) }],
            },
            "limits": { "cpu": draft.limits.cpu.quantity(), "memory": draft.limits.memory.quantity() },
            "weight": draft.weight,
        },
    })
}

fn requirements(draft: &NodePoolDraft, fleet: &Fleet) -> Vec<Value> {
    let capacity_types: Vec<&str> = draft.capacity_types.iter().map(|c| c.label()).collect();
    let zones = if draft.zones.is_empty() { &fleet.zones } else { &draft.zones };
    let least = usize::try_from(fleet.least_types_per_pool).unwrap_or(usize::MAX).min(draft.instance_types.len()).min(MOST_MIN_VALUES);

    let mut types = json!({ "key": "node.kubernetes.io/instance-type", "operator": "In", "values": draft.instance_types });
    if least > 1 {
        types["minValues"] = Value::from(least);
    }
    let mut all = vec![types, json!({ "key": "karpenter.sh/capacity-type", "operator": "In", "values": capacity_types })];
    if !zones.is_empty() {
        all.push(json!({ "key": "topology.kubernetes.io/zone", "operator": "In", "values": zones }));
    }
    all.extend(draft.requirements.iter().map(requirement));
    all
}

fn requirement(requirement: &Requirement) -> Value {
    let operator = match requirement.operator {
        RequirementOperator::In => "In",
        RequirementOperator::NotIn => "NotIn",
        RequirementOperator::Exists => "Exists",
        RequirementOperator::DoesNotExist => "DoesNotExist",
        RequirementOperator::Gt => "Gt",
        RequirementOperator::Lt => "Lt",
    };
    let mut out = json!({ "key": requirement.key, "operator": operator });
    if !requirement.values.is_empty() {
        out["values"] = json!(requirement.values);
    }
    out
}

/// The API refuses an empty taint value; it is left out then.
fn taint(taint: &Taint) -> Value {
    let mut out = json!({ "key": taint.key, "effect": taint.effect });
    if !taint.value.is_empty() {
        out["value"] = json!(taint.value);
    }
    out
}

/// The API takes whole hours, minutes and seconds only.
fn whole_seconds(duration: GoDuration) -> String {
    GoDuration::from_secs(duration.0.as_secs().max(1)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::CapacityType;
    use crate::domain::limits::{FleetLimits, Mode, NodeClassRef, Provider};
    use crate::domain::names::GroupId;
    use crate::domain::units::{Bytes, Millicores};
    use crate::domain::workload::ResourceList;

    fn fleet() -> Fleet {
        Fleet {
            id: GroupId::fleet("general"),
            uid: "uid".into(),
            generation: 1,
            provider: Provider::Karpenter,
            pools: vec!["general-amd64".into()],
            node_class: NodeClassRef { group: "karpenter.k8s.aws".into(), kind: "EC2NodeClass".into(), name: "default".into() },
            families: Vec::new(),
            zones: vec!["eu-west-1a".into(), "eu-west-1b".into()],
            capacity_types: vec![CapacityType::OnDemand, CapacityType::Spot],
            least_on_demand_percent: 30,
            least_types_per_pool: 2,
            blast_radius_percent: 50,
            limits: FleetLimits::default(),
            cost_budget_per_hour: None,
            highest_mode: Mode::Auto,
        }
    }

    fn change() -> NodePoolChange {
        NodePoolChange {
            fleet: "general".into(),
            provider: Provider::Karpenter,
            draft: NodePoolDraft {
                name: "general-amd64".into(),
                instance_types: vec!["m6i.xlarge".into(), "m7i.xlarge".into()],
                capacity_types: vec![CapacityType::OnDemand, CapacityType::Spot],
                zones: Vec::new(),
                requirements: vec![
                    Requirement { key: "kubernetes.io/arch".into(), operator: RequirementOperator::In, values: vec!["amd64".into()] },
                    Requirement { key: "example.com/gpu".into(), operator: RequirementOperator::DoesNotExist, values: Vec::new() },
                ],
                taints: vec![
                    Taint { key: "dedicated".into(), value: "shop".into(), effect: "NoSchedule".into() },
                    Taint { key: "burst".into(), value: "".into(), effect: "PreferNoSchedule".into() },
                ],
                limits: ResourceList { cpu: Millicores(64_000), memory: Bytes(256 << 30), ..ResourceList::default() },
                weight: 20,
                expire_after: "720h".parse().unwrap(),
                disruption_percent: 10,
            },
            exists: true,
        }
    }

    #[test]
    fn a_draft_becomes_a_whole_node_pool() {
        assert_eq!(
            karpenter_node_pool(&change(), &fleet()),
            json!({
                "apiVersion": "karpenter.sh/v1",
                "kind": "NodePool",
                "metadata": {"name": "general-amd64"},
                "spec": {
                    "template": {"spec": {
                        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                        "requirements": [
                            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["m6i.xlarge", "m7i.xlarge"], "minValues": 2},
                            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand", "spot"]},
                            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["eu-west-1a", "eu-west-1b"]},
                            {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
                            {"key": "example.com/gpu", "operator": "DoesNotExist"}
                        ],
                        "taints": [
                            {"key": "dedicated", "value": "shop", "effect": "NoSchedule"},
                            {"key": "burst", "effect": "PreferNoSchedule"}
                        ],
                        "expireAfter": "720h"
                    }},
                    "disruption": {
                        "consolidationPolicy": "WhenEmptyOrUnderutilized",
                        "consolidateAfter": "5m",
                        "budgets": [{"nodes": "10%"}]
                    },
                    "limits": {"cpu": "64", "memory": "256Gi"},
                    "weight": 20
                }
            })
        );
    }

    #[test]
    fn min_values_never_ask_for_more_than_there_are() {
        let mut one = change();
        one.draft.instance_types.truncate(1);
        let pool = karpenter_node_pool(&one, &fleet());
        assert_eq!(pool["spec"]["template"]["spec"]["requirements"][0].get("minValues"), None);
    }

    #[test]
    fn a_fraction_of_a_second_is_not_sent() {
        let mut odd = change();
        odd.draft.expire_after = "90m0.5s".parse().unwrap();
        assert_eq!(karpenter_node_pool(&odd, &fleet())["spec"]["template"]["spec"]["expireAfter"], "1h30m");
    }
}
