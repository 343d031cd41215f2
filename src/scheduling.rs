//! What kube-scheduler would do with a pod: which nodes it may go to, which it would like best, and, where none will do, what would mend it.
//!
//! Modelled: node selector and required node affinity, taints, resource fit, the `LeastAllocated` score. Left out until packing goes deep:
//! spread, pod affinity, host ports, volumes, preferred affinity and balanced allocation.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::domain::fleet::Node;
use crate::domain::workload::{PodShape, Requirement, RequirementOperator, ResourceList, Taint, Toleration};

/// Why a pod cannot go to a node; the text says which resource or constraint, and what would mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unfit {
    /// Not enough of a resource is left.
    Resource {
        /// Which one (`cpu`, `memory`, `pods`, or an extended resource).
        resource: Arc<str>,
        /// What the pod asks for, as Kubernetes writes it.
        wanted: String,
        /// What is left.
        left: String,
    },
    /// A taint it does not tolerate.
    Taint(Taint),
    /// No term of its node selector or affinity matches; the first requirement of the first term that does not.
    Labels(Option<Requirement>),
    /// Cordoned, on its way out, or not ready.
    NotUsable,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource { resource, wanted, left } => {
                write!(f, "asks for {resource} {wanted} where {left} is left: lower the request or allow a larger node")
            }
            Self::Taint(taint) => {
                write!(f, "does not tolerate the taint {}={}:{}: add a toleration or another pool", taint.key, taint.value, taint.effect)
            }
            Self::Labels(Some(requirement)) => write!(
                f,
                "requires the node label {} {:?} [{}]: change the node selector or allow such nodes",
                requirement.key,
                requirement.operator,
                requirement.values.join(", ")
            ),
            Self::Labels(None) => f.write_str("has a node affinity with no term that can match: correct the affinity"),
            Self::NotUsable => f.write_str("would need a node that is cordoned or not ready: uncordon it or wait"),
        }
    }
}

/// Labels of a node, there already or only planned.
pub trait Labels {
    /// The value of a label.
    fn label(&self, key: &str) -> Option<&str>;
}

impl Labels for BTreeMap<Arc<str>, Arc<str>> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(|value| &**value)
    }
}

/// Whether labels satisfy a requirement, as node affinity has it: an absent label satisfies `NotIn` and `DoesNotExist` only.
#[must_use]
pub fn satisfies(labels: &dyn Labels, requirement: &Requirement) -> bool {
    let value = labels.label(&requirement.key);
    let compared = |order: fn(i64, i64) -> bool| {
        let wanted = requirement.values.first().and_then(|v| v.parse().ok());
        matches!((value.and_then(|v| v.parse().ok()), wanted), (Some(have), Some(want)) if order(have, want))
    };
    match requirement.operator {
        RequirementOperator::In => value.is_some_and(|v| requirement.values.iter().any(|w| **w == *v)),
        RequirementOperator::NotIn => value.is_none_or(|v| requirement.values.iter().all(|w| **w != *v)),
        RequirementOperator::Exists => value.is_some(),
        RequirementOperator::DoesNotExist => value.is_none(),
        RequirementOperator::Gt => compared(|have, want| have > want),
        RequirementOperator::Lt => compared(|have, want| have < want),
    }
}

/// Whether the labels satisfy one of the terms; no term at all is satisfied by any node, an empty term by none (as Kubernetes reads it).
///
/// # Errors
/// [`Unfit::Labels`] with the requirement that fails first.
pub fn matches_terms(terms: &[Vec<Requirement>], labels: &dyn Labels) -> Result<(), Unfit> {
    if terms.is_empty() || terms.iter().any(|term| !term.is_empty() && term.iter().all(|r| satisfies(labels, r))) {
        return Ok(());
    }
    Err(Unfit::Labels(terms.iter().flatten().find(|r| !satisfies(labels, r)).cloned()))
}

/// Whether a toleration covers a taint.
#[must_use]
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    toleration.key.as_ref().is_none_or(|key| *key == taint.key)
        && toleration.effect.as_ref().is_none_or(|effect| *effect == taint.effect)
        && toleration.value.as_ref().is_none_or(|value| *value == taint.value)
}

/// Whether all taints that keep pods away are tolerated (`PreferNoSchedule` keeps nobody away).
///
/// # Errors
/// [`Unfit::Taint`] with the first that is not.
pub fn tolerates_all(tolerations: &[Toleration], taints: &[Taint]) -> Result<(), Unfit> {
    let strict = taints.iter().filter(|taint| &*taint.effect != "PreferNoSchedule");
    match strict.into_iter().find(|taint| !tolerations.iter().any(|t| tolerates(t, taint))) {
        Some(taint) => Err(Unfit::Taint(taint.clone())),
        None => Ok(()),
    }
}

/// Whether requests fit into what is left.
///
/// # Errors
/// [`Unfit::Resource`] with the first resource that does not.
pub fn fits_in(requests: &ResourceList, room: &ResourceList) -> Result<(), Unfit> {
    let short = |resource: &str, wanted: String, left: String| Err(Unfit::Resource { resource: resource.into(), wanted, left });
    if requests.cpu > room.cpu {
        return short("cpu", requests.cpu.quantity(), room.cpu.quantity());
    }
    if requests.memory > room.memory {
        return short("memory", requests.memory.quantity(), room.memory.quantity());
    }
    if requests.pods > room.pods {
        return short("pods", requests.pods.to_string(), room.pods.to_string());
    }
    for (name, wanted) in &requests.extended {
        let left = room.extended.get(name).copied().unwrap_or(0);
        if *wanted > left {
            return short(name, wanted.to_string(), left.to_string());
        }
    }
    Ok(())
}

/// How many pods with these requests fit into what is left.
#[must_use]
pub fn count_that_fits(requests: &ResourceList, room: &ResourceList) -> u32 {
    let of = |wanted: u64, left: u64| left.checked_div(wanted).unwrap_or(u64::MAX);
    let mut count = of(requests.cpu.0, room.cpu.0).min(of(requests.memory.0, room.memory.0));
    // A pod always counts as one, whatever its shape says.
    count = count.min(of(u64::from(requests.pods.max(1)), u64::from(room.pods)));
    for (name, wanted) in &requests.extended {
        count = count.min(of(*wanted, room.extended.get(name).copied().unwrap_or(0)));
    }
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether a pod may be put on a node that is in the cluster.
///
/// # Errors
/// [`Unfit`], the constraint that people can least change first.
pub fn feasible(pod: &PodShape, node: &Node) -> Result<(), Unfit> {
    if !node.usable() {
        return Err(Unfit::NotUsable);
    }
    matches_terms(&pod.node_terms, &node.labels)?;
    tolerates_all(&pod.tolerations, &node.taints)?;
    fits_in(&pod.requests, &node.room())
}

/// kube-scheduler's `LeastAllocated` score of a node with the pod on it: the mean over CPU and memory of the share left, 0 to 100.
#[must_use]
pub fn least_allocated(requests: &ResourceList, allocatable: &ResourceList, room: &ResourceList) -> u64 {
    let share = |wanted: u64, left: u64, all: u64| left.saturating_sub(wanted).saturating_mul(100).checked_div(all).unwrap_or(0);
    let cpu = share(requests.cpu.0, room.cpu.0, allocatable.cpu.0);
    u64::midpoint(cpu, share(requests.memory.0, room.memory.0, allocatable.memory.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::{Bytes, Millicores};

    fn requirement(key: &str, operator: RequirementOperator, values: &[&str]) -> Requirement {
        Requirement { key: key.into(), operator, values: values.iter().map(|v| (*v).into()).collect() }
    }

    fn node() -> Node {
        Node {
            name: "n1".into(),
            labels: BTreeMap::from([("zone".into(), "a".into()), ("cores".into(), "4".into())]),
            taints: vec![],
            allocatable: ResourceList { cpu: Millicores(4000), memory: Bytes(8 << 30), pods: 10, ..Default::default() },
            requested: ResourceList { cpu: Millicores(3000), memory: Bytes(1 << 30), pods: 3, ..Default::default() },
            ready: true,
            unschedulable: false,
            created: None,
            ready_since: None,
            pool: None,
            price_per_hour: None,
        }
    }

    fn pod(cpu: u64) -> PodShape {
        PodShape {
            requests: ResourceList { cpu: Millicores(cpu), memory: Bytes(1 << 30), pods: 1, ..Default::default() },
            ..Default::default()
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_mend() {
        assert_eq!(feasible(&pod(1000), &node()), Ok(()));
        let short = feasible(&pod(1500), &node()).unwrap_err().to_string();
        assert_eq!(short, "asks for cpu 1500m where 1 is left: lower the request or allow a larger node");
        let taint = Taint { key: "gpu".into(), value: "yes".into(), effect: "NoSchedule".into() };
        let tainted = Node { taints: vec![taint.clone()], ..node() };
        assert_eq!(feasible(&pod(1), &tainted), Err(Unfit::Taint(taint.clone())));
        let tolerant = PodShape { tolerations: vec![Toleration { key: Some("gpu".into()), value: None, effect: None }], ..pod(1) };
        assert_eq!(feasible(&tolerant, &tainted), Ok(()));
        let soft = Node { taints: vec![Taint { effect: "PreferNoSchedule".into(), ..taint }], ..node() };
        assert_eq!(feasible(&pod(1), &soft), Ok(()));
        assert_eq!(feasible(&pod(1), &Node { unschedulable: true, ..node() }), Err(Unfit::NotUsable));
        let picky = PodShape { node_terms: vec![vec![requirement("zone", RequirementOperator::In, &["b"])]], ..pod(1) };
        assert!(feasible(&picky, &node()).unwrap_err().to_string().contains("requires the node label zone In [b]"));
    }

    #[test]
    fn operators_compare_as_node_affinity_does() {
        use RequirementOperator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
        let labels = node().labels;
        for (key, operator, values, expected) in [
            ("zone", In, vec!["a", "b"], true),
            ("zone", NotIn, vec!["a"], false),
            ("none", In, vec!["a"], false),
            ("none", NotIn, vec!["a"], true),
            ("none", Exists, vec![], false),
            ("none", DoesNotExist, vec![], true),
            ("cores", Gt, vec!["3"], true),
            ("cores", Gt, vec!["4"], false),
            ("cores", Lt, vec!["5"], true),
            ("zone", Gt, vec!["1"], false),
        ] {
            assert_eq!(satisfies(&labels, &requirement(key, operator, &values)), expected, "{key} {operator:?} {values:?}");
        }
    }

    #[test]
    fn one_term_is_enough_and_an_empty_one_matches_nothing() {
        let labels = node().labels;
        let good = vec![requirement("zone", RequirementOperator::In, &["a"])];
        assert_eq!(matches_terms(&[vec![], good], &labels), Ok(()));
        assert_eq!(matches_terms(&[vec![]], &labels), Err(Unfit::Labels(None)));
    }

    #[test]
    fn the_count_that_fits_is_the_scarcest_resources() {
        let room = node().room();
        assert_eq!(count_that_fits(&pod(100).requests, &room), 7, "memory and pods leave seven, CPU ten");
        assert_eq!(count_that_fits(&pod(600).requests, &room), 1);
        let gpu = ResourceList { extended: BTreeMap::from([("nvidia.com/gpu".into(), 1)]), ..pod(1).requests };
        assert_eq!(count_that_fits(&gpu, &room), 0);
    }

    #[test]
    fn an_emptier_node_scores_higher() {
        let node = node();
        let empty = least_allocated(&pod(100).requests, &node.allocatable, &node.allocatable);
        assert!(empty > least_allocated(&pod(100).requests, &node.allocatable, &node.room()));
        assert_eq!(least_allocated(&pod(1).requests, &ResourceList::default(), &ResourceList::default()), 0);
    }
}
