//! Disruption budgets that select a target's pods.

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::meta::count;
use super::selectors::LabelMatch;
use crate::domain::workload::DisruptionBudget;

/// A budget with what it selects.
#[derive(Clone, Debug)]
pub struct LeanBudget {
    /// What it selects.
    pub selector: LabelMatch,
    /// What it allows.
    pub budget: DisruptionBudget,
}

impl LeanBudget {
    /// From a budget; one without a selector selects nothing and is not kept.
    pub fn from_budget(object: &PodDisruptionBudget) -> Option<Self> {
        let spec = object.spec.as_ref()?;
        let status = object.status.as_ref();
        let number = |of: Option<i32>| count(of, 0);
        Some(Self {
            selector: LabelMatch::from_selector(spec.selector.as_ref()?),
            budget: DisruptionBudget {
                name: object.metadata.name.as_deref().unwrap_or_default().into(),
                min_available: match &spec.min_available {
                    Some(IntOrString::Int(least)) => Some(count(Some(*least), 0)),
                    Some(IntOrString::String(_)) | None => None,
                },
                disruptions_allowed: number(status.map(|s| s.disruptions_allowed)),
                current_healthy: number(status.map(|s| s.current_healthy)),
                desired_healthy: number(status.map(|s| s.desired_healthy)),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_an_absolute_least_is_a_number() {
        let read = |least: serde_json::Value| {
            let object = json!({"metadata": {"name": "web"}, "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": "web"}}},
                "status": {"disruptionsAllowed": 1, "currentHealthy": 4, "desiredHealthy": 3, "expectedPods": 4}});
            LeanBudget::from_budget(&serde_json::from_value(object).unwrap()).unwrap().budget
        };
        assert_eq!(read(json!(3)).min_available, Some(3));
        assert_eq!(read(json!("75%")).min_available, None);
        let budget = read(json!(3));
        assert_eq!((budget.disruptions_allowed, budget.current_healthy, budget.desired_healthy), (1, 4, 3));
        assert!(LeanBudget::from_budget(&PodDisruptionBudget::default()).is_none());
    }
}
