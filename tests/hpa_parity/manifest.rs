//! The objects of a case, written from the same values that the state machine is given. What has the API server's default is left to it.

use ipa::hpa::{AverageTarget, Behaviour, MetricSpec, Resource, ScalingRules, Select, Step, ValueTarget};
use serde_json::{Value, json};

use super::script::{Case, REQUEST_MILLI};

/// A port of the node that only one pod of a case can have.
const HOST_PORT: u16 = 18_231;

/// The Deployment. Where places are few, its pods want one node's port.
pub fn deployment(case: &Case) -> String {
    let mut container = json!({
        "name": "app",
        "image": "registry.example/testbed:1",
        "resources": {"requests": {"cpu": format!("{REQUEST_MILLI}m"), "memory": "16Mi"}},
    });
    let mut pod = json!({"terminationGracePeriodSeconds": 0});
    if case.places.is_some() {
        container["ports"] = json!([{"containerPort": 80, "hostPort": HOST_PORT}]);
        pod["nodeSelector"] = json!({"kubernetes.io/hostname": "kwok-0"});
    }
    pod["containers"] = json!([container]);
    let labels = json!({"app": case.name});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": case.name},
        "spec": {
            "replicas": case.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    })
    .to_string()
}

/// The HPA.
pub fn autoscaler(case: &Case) -> String {
    let spec = &case.spec;
    let mut object = json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": case.name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": case.name},
            "minReplicas": spec.bounds.min,
            "maxReplicas": spec.bounds.max,
            "metrics": spec.metrics.iter().map(metric).collect::<Vec<_>>(),
        },
    });
    if let Some(Behaviour { scale_up, scale_down }) = &spec.behaviour {
        let mut behaviour = json!({});
        if *scale_up != ScalingRules::scale_up() {
            behaviour["scaleUp"] = rules(scale_up);
        }
        if *scale_down != ScalingRules::scale_down() {
            behaviour["scaleDown"] = rules(scale_down);
        }
        object["spec"]["behavior"] = behaviour;
    }
    object.to_string()
}

/// Both metrics APIs, by a Service that leads to this machine's loopback interface: Endpoints may not name it.
pub fn api_services(namespace: &str, port: u16) -> String {
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "metrics"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    });
    let api = |group: &str| {
        json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": format!("v1beta1.{group}")},
            "spec": {
                "group": group,
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": true,
                "service": {"namespace": namespace, "name": "metrics", "port": port},
            },
        })
    };
    format!("{service}\n---\n{}\n---\n{}\n", api("metrics.k8s.io"), api("external.metrics.k8s.io"))
}

fn metric(metric: &MetricSpec) -> Value {
    match metric {
        MetricSpec::Resource { resource, target } => {
            let name = match resource {
                Resource::Cpu => "cpu",
                Resource::Memory => "memory",
            };
            let target = match target {
                AverageTarget::Utilization(percent) => json!({"type": "Utilization", "averageUtilization": percent}),
                AverageTarget::Value(milli) => json!({"type": "AverageValue", "averageValue": format!("{milli}m")}),
            };
            json!({"type": "Resource", "resource": {"name": name, "target": target}})
        }
        MetricSpec::Pods { name, average_milli } => {
            let target = json!({"type": "AverageValue", "averageValue": format!("{average_milli}m")});
            json!({"type": "Pods", "pods": {"metric": {"name": name}, "target": target}})
        }
        MetricSpec::External { name, target } => {
            let target = match target {
                ValueTarget::Value(milli) => json!({"type": "Value", "value": format!("{milli}m")}),
                ValueTarget::AverageValue(milli) => json!({"type": "AverageValue", "averageValue": format!("{milli}m")}),
            };
            json!({"type": "External", "external": {"metric": {"name": name}, "target": target}})
        }
    }
}

fn rules(rules: &ScalingRules) -> Value {
    let policy = |policy: &ipa::hpa::Policy| match policy.step {
        Step::Pods(pods) => json!({"type": "Pods", "value": pods, "periodSeconds": policy.period_s}),
        Step::Percent(percent) => json!({"type": "Percent", "value": percent, "periodSeconds": policy.period_s}),
    };
    let select = match rules.select {
        Select::Max => "Max",
        Select::Min => "Min",
        Select::Disabled => "Disabled",
    };
    let mut object = json!({"selectPolicy": select, "policies": rules.policies.iter().map(policy).collect::<Vec<_>>()});
    if let Some(window_s) = rules.window_s {
        object["stabilizationWindowSeconds"] = window_s.into();
    }
    if let Some(tolerance) = rules.tolerance {
        object["tolerance"] = tolerance.to_string().into();
    }
    object
}
