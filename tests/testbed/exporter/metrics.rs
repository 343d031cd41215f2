//! Every metric that the exporter shows, under the names and labels of the component it stands for.
//!
//! | metric | stands for | labels beside `namespace` |
//! |---|---|---|
//! | `nginx_ingress_controller_requests` | ingress-nginx | `ingress, service, status, method, path, host, canary, controller_*` |
//! | `nginx_ingress_controller_request_duration_seconds` | ingress-nginx | the same, and `le` |
//! | `http_requests_total` | the application's own counter | `pod, code` |
//! | `container_cpu_usage_seconds_total` | cAdvisor | `pod, container, image, node`; `cpu="total"` |
//! | `container_cpu_cfs_periods_total`, `container_cpu_cfs_throttled_periods_total` | cAdvisor | `pod, container, image, node` |
//! | `container_memory_working_set_bytes` | cAdvisor | `pod, container, image, node` |
//! | `kube_pod_container_status_restarts_total` | kube-state-metrics | `pod, container, uid` |
//! | `kube_pod_container_status_last_terminated_reason` | kube-state-metrics | `pod, container, uid, reason` |
//! | `testbed_ready_replicas`, `testbed_utilisation_ratio`, `testbed_backlog_requests` | the truth, for a person | `deployment` |
//!
//! The CFS metrics are there for containers with a CPU limit alone. As in a cluster, cAdvisor's CPU and memory come twice: for the container, and for the whole pod without `container`
//! and `image`. Who forgets `container!=""` counts double.

use std::fmt::Write;

use super::service::{BUCKETS, PodState};
use super::{Observed, Workload};

const IMAGE: &str = "registry.example/testbed:1";

type Labels<'a> = Vec<(&'static str, &'a str)>;

/// The page in Prometheus' text format.
#[must_use]
pub fn render(observed: &[Observed]) -> String {
    let mut page = Page::default();
    ingress(&mut page, observed);
    application(&mut page, observed);
    cadvisor(&mut page, observed);
    kube_state_metrics(&mut page, observed);
    truth(&mut page, observed);
    page.text
}

fn ingress(page: &mut Page, observed: &[Observed]) {
    page.family("nginx_ingress_controller_requests", "counter", "The total number of client requests");
    for one in observed {
        for (status, count) in &one.service.requests {
            let labels = ingress_labels(&one.workload, status);
            page.sample("nginx_ingress_controller_requests", &labels, count.floor());
        }
    }
    let name = "nginx_ingress_controller_request_duration_seconds";
    page.family(name, "histogram", "The request processing time in milliseconds");
    for one in observed {
        let labels = ingress_labels(&one.workload, "200");
        let mut total = 0.0;
        for (index, count) in one.service.latency.iter().enumerate() {
            total += count;
            let bound = BUCKETS.get(index).map_or("+Inf".to_owned(), f64::to_string);
            let mut with_bound = labels.clone();
            with_bound.push(("le", &bound));
            page.sample(&format!("{name}_bucket"), &with_bound, total.floor());
        }
        page.sample(&format!("{name}_sum"), &labels, one.service.latency_sum);
        page.sample(&format!("{name}_count"), &labels, total.floor());
    }
}

fn ingress_labels<'a>(workload: &'a Workload, status: &'a str) -> Labels<'a> {
    vec![
        ("canary", ""),
        ("controller_class", "k8s.io/ingress-nginx"),
        ("controller_namespace", "ingress-nginx"),
        ("controller_pod", "ingress-nginx-controller-0"),
        ("host", &workload.host),
        ("ingress", &workload.deployment),
        ("method", "GET"),
        ("namespace", &workload.namespace),
        ("path", "/"),
        ("service", &workload.deployment),
        ("status", status),
    ]
}

fn application(page: &mut Page, observed: &[Observed]) {
    page.family("http_requests_total", "counter", "Requests that this pod answered.");
    for (workload, name, pod) in pods(observed) {
        for (code, count) in &pod.requests {
            let labels = vec![("namespace", workload.namespace.as_str()), ("pod", name), ("code", *code)];
            page.sample("http_requests_total", &labels, count.floor());
        }
    }
}

fn cadvisor(page: &mut Page, observed: &[Observed]) {
    let running = || pods(observed).filter(|(.., pod)| pod.running);
    let limited = || running().filter(|(.., pod)| pod.cpu_limited);
    page.family("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.");
    for (workload, name, pod) in running() {
        for mut labels in [container_labels(workload, name, pod), pod_labels(workload, name, pod)] {
            labels.push(("cpu", "total"));
            page.sample("container_cpu_usage_seconds_total", &labels, pod.cpu_seconds);
        }
    }
    page.family("container_cpu_cfs_periods_total", "counter", "Number of elapsed enforcement period intervals.");
    for (workload, name, pod) in limited() {
        let labels = container_labels(workload, name, pod);
        page.sample("container_cpu_cfs_periods_total", &labels, pod.periods.floor());
    }
    page.family("container_cpu_cfs_throttled_periods_total", "counter", "Number of throttled period intervals.");
    for (workload, name, pod) in limited() {
        let labels = container_labels(workload, name, pod);
        page.sample("container_cpu_cfs_throttled_periods_total", &labels, pod.throttled_periods.floor());
    }
    page.family("container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes.");
    for (workload, name, pod) in running() {
        for labels in [container_labels(workload, name, pod), pod_labels(workload, name, pod)] {
            page.sample("container_memory_working_set_bytes", &labels, pod.memory.floor());
        }
    }
}

fn container_labels<'a>(workload: &'a Workload, pod_name: &'a str, pod: &'a PodState) -> Labels<'a> {
    let mut labels = pod_labels(workload, pod_name, pod);
    labels.extend([("container", workload.deployment.as_str()), ("image", IMAGE)]);
    labels
}

fn pod_labels<'a>(workload: &'a Workload, pod_name: &'a str, pod: &'a PodState) -> Labels<'a> {
    vec![("namespace", &workload.namespace), ("pod", pod_name), ("node", &pod.node)]
}

fn kube_state_metrics(page: &mut Page, observed: &[Observed]) {
    let containers = || {
        pods(observed).flat_map(|(workload, name, pod)| {
            pod.containers.iter().map(move |container| {
                let labels: Labels<'_> =
                    vec![("namespace", &workload.namespace), ("pod", name), ("uid", &pod.uid), ("container", &container.name)];
                (labels, container)
            })
        })
    };
    page.family("kube_pod_container_status_restarts_total", "counter", "The number of container restarts per container.");
    for (labels, container) in containers() {
        let restarts = f64::from(container.restart_count);
        page.sample("kube_pod_container_status_restarts_total", &labels, restarts);
    }
    page.family(
        "kube_pod_container_status_last_terminated_reason",
        "gauge",
        "Describes the last reason the container was in terminated state.",
    );
    for (mut labels, container) in containers() {
        let reason =
            container.last_state.as_ref().and_then(|state| state.terminated.as_ref()).and_then(|terminated| terminated.reason.as_deref());
        if let Some(reason) = reason {
            labels.push(("reason", reason));
            page.sample("kube_pod_container_status_last_terminated_reason", &labels, 1.0);
        }
    }
}

fn truth(page: &mut Page, observed: &[Observed]) {
    let mut gauge = |name: &str, help: &str, value: fn(&Observed) -> f64| {
        page.family(name, "gauge", help);
        for one in observed {
            let labels = vec![("namespace", one.workload.namespace.as_str()), ("deployment", one.workload.deployment.as_str())];
            page.sample(name, &labels, value(one));
        }
    };
    gauge("testbed_ready_replicas", "Pods that serve now.", |one| one.pods.values().filter(|pod| pod.ready).count() as f64);
    gauge("testbed_utilisation_ratio", "Offered load over capacity.", |one| one.service.utilisation);
    gauge("testbed_backlog_requests", "Requests that wait.", |one| one.service.backlog);
}

fn pods(observed: &[Observed]) -> impl Iterator<Item = (&Workload, &str, &PodState)> {
    observed.iter().flat_map(|one| one.pods.iter().map(move |(name, pod)| (&one.workload, name.as_str(), pod)))
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&'static str, &str)], value: f64) {
        // Label values here are names of Kubernetes objects and constants: nothing in them needs escaping.
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let number = if value.is_infinite() { "+Inf".to_owned() } else { value.to_string() };
        self.line(format_args!("{name}{{{}}} {number}", labels.join(",")));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}
