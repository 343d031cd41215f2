//! Other autoscalers that name a target: HPAs, KEDA's `ScaledObjects`, VPAs.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, MetricSpec};
use kube::core::DynamicObject;
use serde_json::Value;

use super::cache::Objects;
use super::meta::count;
use crate::domain::workload::{Autoscaler, AutoscalerKind};

/// What an autoscaler scales, as it refers to it: API group, kind and name.
type Reference = (Arc<str>, Arc<str>, Arc<str>);

/// An autoscaler with what it scales.
#[derive(Clone, Debug)]
pub struct LeanAutoscaler {
    scales: Reference,
    autoscaler: Autoscaler,
}

impl LeanAutoscaler {
    /// From an HPA.
    pub fn from_hpa(object: &HorizontalPodAutoscaler) -> Option<Self> {
        let spec = object.spec.as_ref()?;
        let reference = &spec.scale_target_ref;
        Some(Self {
            scales: reference_to(reference.api_version.as_deref(), &reference.kind, &reference.name),
            autoscaler: Autoscaler {
                kind: AutoscalerKind::HPA,
                name: object.metadata.name.as_deref().unwrap_or_default().into(),
                min: Some(count(spec.min_replicas, 1)),
                max: Some(count(Some(spec.max_replicas), 0)),
                cpu_target_percent: spec.metrics.iter().flatten().find_map(cpu_target),
                active: true,
            },
        })
    }

    /// Whether it scales this object.
    pub fn scales(&self, group: &str, kind: &str, name: &str) -> bool {
        (&*self.scales.0, &*self.scales.1, &*self.scales.2) == (group, kind, name)
    }

    /// From a KEDA `ScaledObject`; a paused one changes nothing.
    pub fn from_scaled_object(object: &DynamicObject) -> Option<Self> {
        let spec = object.data.get("spec")?;
        let replicas = |key: &str| spec.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let paused =
            object.metadata.annotations.iter().flatten().any(|(key, value)| {
                key == "autoscaling.keda.sh/paused-replicas" || (key == "autoscaling.keda.sh/paused" && value == "true")
            });
        Some(Self {
            scales: reference_in(spec.get("scaleTargetRef")?)?,
            autoscaler: Autoscaler {
                kind: AutoscalerKind::KEDA,
                name: object.metadata.name.as_deref().unwrap_or_default().into(),
                min: Some(replicas("minReplicaCount").unwrap_or(0)),
                max: Some(replicas("maxReplicaCount").unwrap_or(100)),
                cpu_target_percent: None,
                active: !paused,
            },
        })
    }

    /// From a `VerticalPodAutoscaler`; in mode `Off` it only recommends.
    pub fn from_vpa(object: &DynamicObject) -> Option<Self> {
        let spec = object.data.get("spec")?;
        let off = spec.pointer("/updatePolicy/updateMode").and_then(Value::as_str) == Some("Off");
        Some(Self {
            scales: reference_in(spec.get("targetRef")?)?,
            autoscaler: Autoscaler {
                kind: AutoscalerKind::VPA,
                name: object.metadata.name.as_deref().unwrap_or_default().into(),
                min: None,
                max: None,
                cpu_target_percent: None,
                active: !off,
            },
        })
    }
}

fn cpu_target(metric: &MetricSpec) -> Option<u32> {
    let resource = metric.resource.as_ref().filter(|r| r.name == "cpu")?;
    resource.target.average_utilization.map(|percent| count(Some(percent), 0))
}

fn reference_in(value: &Value) -> Option<Reference> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    Some(reference_to(text("apiVersion").or(Some("apps/v1")), text("kind").unwrap_or("Deployment"), text("name")?))
}

/// Autoscalers refer to a version of an API group; which version does not matter.
fn reference_to(api_version: Option<&str>, kind: &str, name: &str) -> Reference {
    let group = api_version.and_then(|v| v.split_once('/')).map_or("", |(group, _)| group);
    (group.into(), kind.into(), name.into())
}

/// All autoscalers, by what they scale.
#[derive(Debug)]
pub struct AutoscalerIndex<'a>(BTreeMap<(&'a str, &'a Reference), Vec<&'a Autoscaler>>);

impl<'a> AutoscalerIndex<'a> {
    /// Indexes every kind of them together.
    pub fn new(kinds: &[&'a Objects<LeanAutoscaler>]) -> Self {
        let mut index: BTreeMap<_, Vec<&Autoscaler>> = BTreeMap::new();
        for (name, lean) in kinds.iter().flat_map(|objects| objects.iter()) {
            index.entry((&*name.namespace, &lean.scales)).or_default().push(&lean.autoscaler);
        }
        Self(index)
    }

    /// The autoscalers that name an object.
    pub fn of(&self, namespace: &str, group: &Arc<str>, kind: &Arc<str>, name: &Arc<str>) -> Vec<Autoscaler> {
        let reference = (group.clone(), kind.clone(), name.clone());
        self.0.get(&(namespace, &reference)).into_iter().flatten().map(|a| (*a).clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::meta::ObjectName;
    use super::*;
    use serde_json::json;

    fn dynamic(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_kind_of_autoscaler_is_found_by_what_it_scales() {
        let hpa = LeanAutoscaler::from_hpa(
            &serde_json::from_value(json!({"metadata": {"name": "h"}, "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1beta9", "kind": "Deployment", "name": "web"}, "maxReplicas": 9,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]}}))
            .unwrap(),
        )
        .unwrap();
        let keda = LeanAutoscaler::from_scaled_object(&dynamic(json!({
            "metadata": {"name": "k", "annotations": {"autoscaling.keda.sh/paused": "true"}}, "spec": {"scaleTargetRef": {"name": "web"}}
        })))
        .unwrap();
        let vpa = LeanAutoscaler::from_vpa(&dynamic(json!({
            "metadata": {"name": "v"}, "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}
        })))
        .unwrap();
        let objects = |lean: LeanAutoscaler| Objects::from([(ObjectName::new("shop", &lean.autoscaler.name.clone()), Arc::new(lean))]);
        let (hpas, kedas, vpas) = (objects(hpa), objects(keda), objects(vpa));
        let index = AutoscalerIndex::new(&[&hpas, &kedas, &vpas]);
        let found = index.of("shop", &"apps".into(), &"Deployment".into(), &"web".into());
        let short: Vec<_> = found.iter().map(|a| (a.kind, a.min, a.max, a.cpu_target_percent, a.active)).collect();
        assert_eq!(
            short,
            vec![
                (AutoscalerKind::HPA, Some(1), Some(9), Some(70), true),
                (AutoscalerKind::KEDA, Some(0), Some(100), None, false),
                (AutoscalerKind::VPA, None, None, None, true),
            ]
        );
        assert!(index.of("shop", &"apps".into(), &"StatefulSet".into(), &"web".into()).is_empty());
        assert!(index.of("other", &"apps".into(), &"Deployment".into(), &"web".into()).is_empty());
    }

    #[test]
    fn a_vpa_that_is_off_changes_nothing() {
        let off = json!({"metadata": {"name": "v"}, "spec": {"targetRef": {"name": "web"}, "updatePolicy": {"updateMode": "Off"}}});
        assert!(!LeanAutoscaler::from_vpa(&dynamic(off)).unwrap().autoscaler.active);
        assert!(LeanAutoscaler::from_vpa(&dynamic(json!({"metadata": {"name": "v"}}))).is_none());
    }
}
