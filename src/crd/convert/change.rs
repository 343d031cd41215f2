//! A change, to and from the form that a `ScalingProposal` carries. Nothing is lost either way, or the digest that a person approved would
//! not be the digest of what is carried out.

use std::fmt::Display;

use super::{at_most, time, whole};
use crate::crd::change::{
    AmountsSpec, ChangeKind, ChangeSpec, ContainerResourcesSpec, ExtendedAmountSpec, FindingSpec, HeadroomSpec, NodePoolSpec, OperatorSpec,
    ReplicasSpec, RequirementSpec, ResourcesSpec, TaintSpec, TargetKeySpec,
};
use crate::crd::error::SpecError;
use crate::crd::text::{DurationText, QuantityText};
use crate::domain::names::TargetKey;
use crate::domain::proposal::{Change, Finding, HeadroomChange, NodePoolChange, NodePoolDraft, ReplicasChange, ResourcesChange};
use crate::domain::units::GoDuration;
use crate::domain::workload::{ContainerResources, Requirement, RequirementOperator, ResourceList, Taint};

/// A node lives at most this long; the same as ten years, beyond any pool's sense.
const LONGEST_NODE_LIFE: GoDuration = GoDuration::from_mins(10 * 366 * 24 * 60);

/// The change that a proposal carries.
///
/// # Errors
/// [`SpecError`] for the first field that cannot be taken.
pub(super) fn read(spec: &ChangeSpec) -> Result<Change, SpecError> {
    let ChangeSpec { kind, replicas, resources, node_pool, headroom, finding } = spec;
    match (kind, replicas, resources, node_pool, headroom, finding) {
        (ChangeKind::Replicas, Some(c), None, None, None, None) => Ok(Change::Replicas(ReplicasChange {
            target: key(&c.target),
            uid: c.uid.as_str().into(),
            from: whole(c.from, &"spec.change.replicas.from", 0, u32::MAX)?,
            to: whole(c.to, &"spec.change.replicas.to", 0, u32::MAX)?,
        })),
        (ChangeKind::Resources, None, Some(c), None, None, None) => Ok(Change::Resources(ResourcesChange {
            target: key(&c.target),
            uid: c.uid.as_str().into(),
            container: c.container.as_str().into(),
            from: container(&c.from, &"spec.change.resources.from")?,
            to: container(&c.to, &"spec.change.resources.to")?,
            through: c.through,
        })),
        (ChangeKind::NodePool, None, None, Some(c), None, None) => node_pool_change(c).map(Change::NodePool),
        (ChangeKind::Headroom, None, None, None, Some(c), None) => Ok(Change::Headroom(HeadroomChange {
            target: key(&c.target),
            quantile_percent: whole(c.quantile_percent, &"spec.change.headroom.quantilePercent", 50, 99)?,
            extra_lead_minutes: whole(c.extra_lead_minutes, &"spec.change.headroom.extraLeadMinutes", 0, 1_440)?,
            until: time(&c.until, &"spec.change.headroom.until")?,
        })),
        (ChangeKind::Finding, None, None, None, None, Some(c)) => {
            Ok(Change::Finding(Finding { target: key(&c.target), cause: c.cause, notify: c.notify }))
        }
        _ => Err(SpecError::new(&"spec.change", "exactly the member that kind names must be set; set that one and no other")),
    }
}

/// A change as a proposal carries it.
pub(super) fn write(change: &Change) -> ChangeSpec {
    let none = ChangeSpec { kind: ChangeKind::Replicas, replicas: None, resources: None, node_pool: None, headroom: None, finding: None };
    match change {
        Change::Replicas(ReplicasChange { target, uid, from, to }) => ChangeSpec {
            replicas: Some(ReplicasSpec { target: key_spec(target), uid: uid.to_string(), from: (*from).into(), to: (*to).into() }),
            ..none
        },
        Change::Resources(ResourcesChange { target, uid, container, from, to, through }) => ChangeSpec {
            kind: ChangeKind::Resources,
            resources: Some(ResourcesSpec {
                target: key_spec(target),
                uid: uid.to_string(),
                container: container.to_string(),
                from: container_spec(from),
                to: container_spec(to),
                through: *through,
            }),
            ..none
        },
        Change::NodePool(change) => ChangeSpec { kind: ChangeKind::NodePool, node_pool: Some(node_pool_spec(change)), ..none },
        Change::Headroom(HeadroomChange { target, quantile_percent, extra_lead_minutes, until }) => ChangeSpec {
            kind: ChangeKind::Headroom,
            headroom: Some(HeadroomSpec {
                target: key_spec(target),
                quantile_percent: (*quantile_percent).into(),
                extra_lead_minutes: (*extra_lead_minutes).into(),
                until: until.to_string(),
            }),
            ..none
        },
        Change::Finding(Finding { target, cause, notify }) => ChangeSpec {
            kind: ChangeKind::Finding,
            finding: Some(FindingSpec { target: key_spec(target), cause: *cause, notify: *notify }),
            ..none
        },
    }
}

fn key(spec: &TargetKeySpec) -> TargetKey {
    TargetKey::new(&spec.namespace, &spec.group, &spec.resource, &spec.name)
}

fn key_spec(key: &TargetKey) -> TargetKeySpec {
    let TargetKey { namespace, group, resource, name } = key;
    TargetKeySpec { namespace: namespace.to_string(), group: group.to_string(), resource: resource.to_string(), name: name.to_string() }
}

fn container(spec: &ContainerResourcesSpec, at: &dyn Display) -> Result<ContainerResources, SpecError> {
    let ContainerResourcesSpec { cpu_request, cpu_limit, memory_request, memory_limit } = spec;
    Ok(ContainerResources {
        cpu_request: cpu_request.as_ref().map(|q| q.cpu(&format_args!("{at}.cpuRequest"))).transpose()?,
        cpu_limit: cpu_limit.as_ref().map(|q| q.cpu(&format_args!("{at}.cpuLimit"))).transpose()?,
        memory_request: memory_request.as_ref().map(|q| q.memory(&format_args!("{at}.memoryRequest"))).transpose()?,
        memory_limit: memory_limit.as_ref().map(|q| q.memory(&format_args!("{at}.memoryLimit"))).transpose()?,
    })
}

fn container_spec(resources: &ContainerResources) -> ContainerResourcesSpec {
    let ContainerResources { cpu_request, cpu_limit, memory_request, memory_limit } = resources;
    ContainerResourcesSpec {
        cpu_request: cpu_request.map(|v| QuantityText(v.quantity())),
        cpu_limit: cpu_limit.map(|v| QuantityText(v.quantity())),
        memory_request: memory_request.map(|v| QuantityText(v.quantity())),
        memory_limit: memory_limit.map(|v| QuantityText(v.quantity())),
    }
}

fn node_pool_change(spec: &NodePoolSpec) -> Result<NodePoolChange, SpecError> {
    const AT: &str = "spec.change.nodePool";
    let NodePoolSpec {
        fleet,
        provider,
        exists,
        name,
        instance_types,
        capacity_types,
        zones,
        requirements,
        taints,
        limits: AmountsSpec { cpu, memory, pods, extended },
        weight,
        expire_after,
        disruption_percent,
    } = spec;
    at_most(instance_types, 256, &format_args!("{AT}.instanceTypes"))?;
    at_most(requirements, 32, &format_args!("{AT}.requirements"))?;
    at_most(taints, 16, &format_args!("{AT}.taints"))?;
    at_most(extended, 16, &format_args!("{AT}.limits.extended"))?;
    let mut limits = ResourceList {
        cpu: cpu.cpu(&format_args!("{AT}.limits.cpu"))?,
        memory: memory.memory(&format_args!("{AT}.limits.memory"))?,
        pods: whole(*pods, &format_args!("{AT}.limits.pods"), 0, u32::MAX)?,
        ..ResourceList::default()
    };
    for (i, ExtendedAmountSpec { name, amount }) in extended.iter().enumerate() {
        let amount = u64::try_from(*amount).map_err(|_| {
            SpecError::new(&format_args!("{AT}.limits.extended[{i}].amount"), format_args!("{amount} is negative; amounts start at 0"))
        })?;
        if limits.extended.insert(name.as_str().into(), amount).is_some() {
            return Err(SpecError::new(&format_args!("{AT}.limits.extended[{i}].name"), "it is listed twice; list it once"));
        }
    }
    Ok(NodePoolChange {
        fleet: fleet.as_str().into(),
        provider: *provider,
        exists: *exists,
        draft: NodePoolDraft {
            name: name.as_str().into(),
            instance_types: instance_types.iter().map(|t| t.as_str().into()).collect(),
            capacity_types: capacity_types.clone(),
            zones: zones.iter().map(|z| z.as_str().into()).collect(),
            requirements: requirements.iter().map(requirement).collect(),
            taints: taints
                .iter()
                .map(|TaintSpec { key, value, effect }| Taint {
                    key: key.as_str().into(),
                    value: value.as_str().into(),
                    effect: effect.as_str().into(),
                })
                .collect(),
            limits,
            weight: whole(*weight, &format_args!("{AT}.weight"), 1, 100)?,
            expire_after: expire_after.read(&format_args!("{AT}.expireAfter"), LONGEST_NODE_LIFE)?,
            disruption_percent: whole(*disruption_percent, &format_args!("{AT}.disruptionPercent"), 0, 100)?,
        },
    })
}

fn node_pool_spec(change: &NodePoolChange) -> NodePoolSpec {
    let NodePoolChange { fleet, provider, draft, exists } = change;
    let NodePoolDraft {
        name,
        instance_types,
        capacity_types,
        zones,
        requirements,
        taints,
        limits: ResourceList { cpu, memory, pods, extended },
        weight,
        expire_after,
        disruption_percent,
    } = draft;
    NodePoolSpec {
        fleet: fleet.to_string(),
        provider: *provider,
        exists: *exists,
        name: name.to_string(),
        instance_types: instance_types.iter().map(ToString::to_string).collect(),
        capacity_types: capacity_types.clone(),
        zones: zones.iter().map(ToString::to_string).collect(),
        requirements: requirements.iter().map(requirement_spec).collect(),
        taints: taints
            .iter()
            .map(|Taint { key, value, effect }| TaintSpec { key: key.to_string(), value: value.to_string(), effect: effect.to_string() })
            .collect(),
        limits: AmountsSpec {
            cpu: QuantityText(cpu.quantity()),
            memory: QuantityText(memory.quantity()),
            pods: (*pods).into(),
            extended: extended
                .iter()
                .map(|(name, amount)| ExtendedAmountSpec { name: name.to_string(), amount: i64::try_from(*amount).unwrap_or(i64::MAX) })
                .collect(),
        },
        weight: (*weight).into(),
        expire_after: DurationText(expire_after.to_string()),
        disruption_percent: (*disruption_percent).into(),
    }
}

fn requirement(spec: &RequirementSpec) -> Requirement {
    let RequirementSpec { key, operator, values } = spec;
    let operator = match operator {
        OperatorSpec::In => RequirementOperator::In,
        OperatorSpec::NotIn => RequirementOperator::NotIn,
        OperatorSpec::Exists => RequirementOperator::Exists,
        OperatorSpec::DoesNotExist => RequirementOperator::DoesNotExist,
        OperatorSpec::Gt => RequirementOperator::Gt,
        OperatorSpec::Lt => RequirementOperator::Lt,
    };
    Requirement { key: key.as_str().into(), operator, values: values.iter().map(|v| v.as_str().into()).collect() }
}

fn requirement_spec(requirement: &Requirement) -> RequirementSpec {
    let Requirement { key, operator, values } = requirement;
    let operator = match operator {
        RequirementOperator::In => OperatorSpec::In,
        RequirementOperator::NotIn => OperatorSpec::NotIn,
        RequirementOperator::Exists => OperatorSpec::Exists,
        RequirementOperator::DoesNotExist => OperatorSpec::DoesNotExist,
        RequirementOperator::Gt => OperatorSpec::Gt,
        RequirementOperator::Lt => OperatorSpec::Lt,
    };
    RequirementSpec { key: key.to_string(), operator, values: values.iter().map(ToString::to_string).collect() }
}
