//! The signals that ship: one reviewed table of `PromQL` templates, and nothing else asks Prometheus on its own account.
//!
//! Of one signal the first source in this order that answers for a target is taken, and stays. Demand is the offered rate, so what stands
//! in front of the target comes before the target itself: ingress, then mesh, then the application's own counter.
//!
//! In a template `$window` is what a rate or a mean looks back over: a minute or four scrapes in an instant query, the tier's step in a
//! range query, so that a coarse sample stands for its whole interval. Gauges are means over the window, so a series that is no longer
//! scraped vanishes with it instead of being carried forward for five minutes. Counter resets are `rate`'s business.
//!
//! A metric that names the pod it is about, not the pod it was scraped from, gets `exported_` labels unless its job honours labels: both
//! spellings are kept, and the exported one wins. `prometheus_replica` is kept so that two Prometheis behind one query front end are seen
//! as one series twice and not as twice the load.

use crate::domain::limits::{Aggregate, JoinKey, SignalUse};
use crate::domain::signal::SignalName;
use crate::service::Observe;

/// One way to measure one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// What it measures; unit and tiers follow from it.
    pub signal: SignalName,
    /// Where from; recorded in each signal.
    pub source: &'static str,
    /// What it is for.
    pub role: SignalUse,
    /// How its series are joined to targets.
    pub join: JoinKey,
    /// How several series of one target become one value.
    pub aggregate: Aggregate,
    /// Whether every ready pod must answer, or the value is partial.
    pub complete: bool,
    /// Whether the label that is joined on stands on the scraped series, and not only on the query's result.
    pub native: bool,
    /// Which rate it is, where it is demand: what stands in front of the target counts what is offered, the target itself what it serves.
    pub observe: Observe,
    /// Label of the scraped series that always holds the target's namespace, where there is one: the query is narrowed to the targets'.
    pub scope: Option<&'static str>,
    /// `PromQL`.
    pub query: &'static str,
}

/// Labels that say which pod, in every spelling.
macro_rules! pod {
    () => {
        "namespace, exported_namespace, k8s_namespace_name, pod, exported_pod, k8s_pod_name, prometheus_replica"
    };
}

/// Labels that say which container.
macro_rules! container {
    () => {
        "namespace, exported_namespace, pod, exported_pod, container, exported_container, prometheus_replica"
    };
}

/// Labels that say which workload, after `owned!`.
macro_rules! owner {
    () => {
        "namespace, exported_namespace, k8s_namespace_name, owner, prometheus_replica"
    };
}

/// Adds the label `owner`: a pod's name without what its `ReplicaSet` or `StatefulSet` appended. Pods come and go; their owner's name stays,
/// so histograms are merged over it, and history is asked for by it.
macro_rules! owned {
    ($series:expr) => {
        concat!(
            "label_replace(label_replace(label_replace(",
            $series,
            r#", "owner", "$1", "pod", "(.+?)(-[a-z0-9]{1,10}-[a-z0-9]{5}|-[0-9]+)")"#,
            r#", "owner", "$1", "exported_pod", "(.+?)(-[a-z0-9]{1,10}-[a-z0-9]{5}|-[0-9]+)")"#,
            r#", "owner", "$1", "k8s_pod_name", "(.+?)(-[a-z0-9]{1,10}-[a-z0-9]{5}|-[0-9]+)")"#
        )
    };
}

/// Share of `$bad` in `$all`, by labels; 0 where nothing failed, nothing where nothing was asked.
macro_rules! share {
    ($labels:expr, $bad:expr, $all:expr) => {
        concat!(
            "(sum by (",
            $labels,
            ") (",
            $bad,
            ") or 0 * sum by (",
            $labels,
            ") (",
            $all,
            ")) / (sum by (",
            $labels,
            ") (",
            $all,
            ") > 0)"
        )
    };
}

/// p95 of a histogram, by labels.
macro_rules! p95 {
    ($labels:expr, $buckets:expr) => {
        concat!("histogram_quantile(0.95, sum by (", $labels, ", le) (", $buckets, "))")
    };
}

/// Labels of ingress-nginx that say which back end.
macro_rules! nginx {
    () => {
        "namespace, exported_namespace, service, exported_service, prometheus_replica"
    };
}

/// Envoy Gateway names a cluster `httproute/NAMESPACE/NAME/rule/INDEX`; this takes namespace and route out of it.
macro_rules! envoy {
    ($series:expr) => {
        concat!(
            "label_replace(label_replace(",
            $series,
            r#", "exported_namespace", "$1", "envoy_cluster_name", "(?:http|grpc)route/([^/]+)/[^/]+/.+")"#,
            r#", "ingress", "$1", "envoy_cluster_name", "(?:http|grpc)route/[^/]+/([^/]+)/.+")"#
        )
    };
}

/// The defaults that most rows share.
const ROW: Template = Template {
    signal: SignalName::Demand,
    source: "",
    role: SignalUse::Guard,
    join: JoinKey::Pod,
    aggregate: Aggregate::Sum,
    complete: false,
    native: true,
    observe: Observe::Offered,
    scope: None,
    query: "",
};

/// A row that was joined by owner in `PromQL`.
const BY_OWNER: Template = Template { join: JoinKey::Workload, native: false, ..ROW };

/// All shipped signals, in order of preference within a signal.
pub static SHIPPED: [Template; 29] = [
    // ---- Demand, 1/s.
    // ingress-nginx: `nginx_ingress_controller_requests` counts every request it took, by the Service it went to (labels `namespace`,
    // `ingress`, `service`, `status`, `method`, `host`).
    Template {
        source: "ingress-nginx",
        role: SignalUse::Demand,
        join: JoinKey::Service,
        query: concat!("sum by (", nginx!(), ") (rate(nginx_ingress_controller_requests[$window]))"),
        ..ROW
    },
    // Envoy Gateway: `envoy_cluster_upstream_rq_total` of the cluster of each route rule, Envoy's own retries included.
    Template {
        source: "envoy-gateway",
        role: SignalUse::Demand,
        join: JoinKey::Ingress,
        native: false,
        query: concat!(
            "sum by (exported_namespace, ingress, prometheus_replica) (",
            envoy!(r#"rate(envoy_cluster_upstream_rq_total{envoy_cluster_name=~"(http|grpc)route/.+"}[$window])"#),
            ")"
        ),
        ..ROW
    },
    // Istio: `istio_requests_total` as the server's side saw it (sidecar: `destination`, ambient: `waypoint`).
    Template {
        source: "istio",
        role: SignalUse::Demand,
        observe: Observe::Served,
        join: JoinKey::Workload,
        scope: Some("destination_workload_namespace"),
        query: r#"sum by (destination_workload_namespace, destination_workload, prometheus_replica) (rate(istio_requests_total{reporter=~"destination|waypoint"}[$window]))"#,
        ..ROW
    },
    // OpenTelemetry semantic convention `http.server.request.duration`: its count, scraped (`pod`) or sent by OTLP (`k8s_pod_name`).
    Template {
        source: "otel-http",
        role: SignalUse::Demand,
        observe: Observe::Served,
        query: concat!("sum by (", pod!(), ") (rate(http_server_request_duration_seconds_count[$window]))"),
        ..ROW
    },
    // The plain counter that most client libraries' examples name.
    Template {
        source: "http-requests",
        role: SignalUse::Demand,
        observe: Observe::Served,
        query: concat!("sum by (", pod!(), ") (rate(http_requests_total[$window]))"),
        ..ROW
    },
    // ---- CPU, cores, of each container. cAdvisor in the kubelet; `max`, since a kubelet that two jobs scrape is still one.
    Template {
        signal: SignalName::Cpu,
        source: "cadvisor",
        complete: true,
        scope: Some("namespace"),
        query: concat!("max by (", container!(), r#") (rate(container_cpu_usage_seconds_total{container!="",container!="POD"}[$window]))"#),
        ..ROW
    },
    // ---- Throttling, share of CFS periods. cAdvisor; only containers with a CPU limit have periods.
    Template {
        signal: SignalName::Throttling,
        source: "cadvisor",
        aggregate: Aggregate::Avg,
        scope: Some("namespace"),
        query: concat!(
            "max by (",
            container!(),
            r#") (rate(container_cpu_cfs_throttled_periods_total{container!=""}[$window])) / (max by ("#,
            container!(),
            r#") (rate(container_cpu_cfs_periods_total{container!=""}[$window])) > 0)"#
        ),
        ..ROW
    },
    // ---- Memory, bytes: the target's container in its largest pod. cAdvisor; the working set is what the kubelet evicts on.
    Template {
        signal: SignalName::Memory,
        source: "cadvisor",
        aggregate: Aggregate::Max,
        complete: true,
        scope: Some("namespace"),
        query: concat!(
            "max by (",
            container!(),
            r#") (avg_over_time(container_memory_working_set_bytes{container!="",container!="POD"}[$window]))"#
        ),
        ..ROW
    },
    // ---- Latency, p95, seconds. The same sources in the same order as demand.
    Template {
        signal: SignalName::Latency,
        source: "ingress-nginx",
        join: JoinKey::Service,
        aggregate: Aggregate::Max,
        query: p95!(nginx!(), "rate(nginx_ingress_controller_request_duration_seconds_bucket[$window])"),
        ..ROW
    },
    Template {
        signal: SignalName::Latency,
        source: "envoy-gateway",
        join: JoinKey::Ingress,
        aggregate: Aggregate::Max,
        native: false,
        query: concat!(
            p95!(
                "exported_namespace, ingress, prometheus_replica",
                envoy!(r#"rate(envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=~"(http|grpc)route/.+"}[$window])"#)
            ),
            " / 1000"
        ),
        ..ROW
    },
    Template {
        signal: SignalName::Latency,
        source: "istio",
        join: JoinKey::Workload,
        aggregate: Aggregate::Max,
        scope: Some("destination_workload_namespace"),
        query: concat!(
            p95!(
                "destination_workload_namespace, destination_workload, prometheus_replica",
                r#"rate(istio_request_duration_milliseconds_bucket{reporter=~"destination|waypoint"}[$window])"#
            ),
            " / 1000"
        ),
        ..ROW
    },
    Template {
        signal: SignalName::Latency,
        source: "otel-http",
        aggregate: Aggregate::Max,
        query: p95!(owner!(), owned!("rate(http_server_request_duration_seconds_bucket[$window])")),
        ..BY_OWNER
    },
    Template {
        signal: SignalName::Latency,
        source: "http-requests",
        aggregate: Aggregate::Max,
        query: p95!(owner!(), owned!("rate(http_request_duration_seconds_bucket[$window])")),
        ..BY_OWNER
    },
    // ---- Errors, share of requests answered 5xx. Of several routes or Services of one target the worst counts.
    Template {
        signal: SignalName::Errors,
        source: "ingress-nginx",
        join: JoinKey::Service,
        aggregate: Aggregate::Max,
        query: share!(
            nginx!(),
            r#"rate(nginx_ingress_controller_requests{status=~"5.."}[$window])"#,
            "rate(nginx_ingress_controller_requests[$window])"
        ),
        ..ROW
    },
    Template {
        signal: SignalName::Errors,
        source: "envoy-gateway",
        join: JoinKey::Ingress,
        aggregate: Aggregate::Max,
        native: false,
        query: share!(
            "exported_namespace, ingress, prometheus_replica",
            envoy!(
                r#"rate(envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name=~"(http|grpc)route/.+"}[$window])"#
            ),
            envoy!(r#"rate(envoy_cluster_upstream_rq_total{envoy_cluster_name=~"(http|grpc)route/.+"}[$window])"#)
        ),
        ..ROW
    },
    // `response_code` 0 is a connection that ended before there was an answer.
    Template {
        signal: SignalName::Errors,
        source: "istio",
        join: JoinKey::Workload,
        aggregate: Aggregate::Max,
        scope: Some("destination_workload_namespace"),
        query: share!(
            "destination_workload_namespace, destination_workload, prometheus_replica",
            r#"rate(istio_requests_total{reporter=~"destination|waypoint",response_code=~"5..|0"}[$window])"#,
            r#"rate(istio_requests_total{reporter=~"destination|waypoint"}[$window])"#
        ),
        ..ROW
    },
    Template {
        signal: SignalName::Errors,
        source: "otel-http",
        aggregate: Aggregate::Max,
        query: share!(
            owner!(),
            owned!(r#"rate(http_server_request_duration_seconds_count{http_response_status_code=~"5.."}[$window])"#),
            owned!("rate(http_server_request_duration_seconds_count[$window])")
        ),
        ..BY_OWNER
    },
    // Client libraries spell the label `code`, `status` or `status_code`; a series that carries two of them is counted once by `or`.
    Template {
        signal: SignalName::Errors,
        source: "http-requests",
        aggregate: Aggregate::Max,
        query: share!(
            owner!(),
            owned!(
                r#"(rate(http_requests_total{code=~"5.."}[$window]) or rate(http_requests_total{status=~"5.."}[$window]) or rate(http_requests_total{status_code=~"5.."}[$window]))"#
            ),
            owned!("rate(http_requests_total[$window])")
        ),
        ..BY_OWNER
    },
    // ---- Queue, items waiting. The plain convention first: a gauge `queue_length` with the workload's name in `workload`.
    Template {
        signal: SignalName::Queue,
        source: "queue-length",
        role: SignalUse::Leading,
        join: JoinKey::Workload,
        query: "sum by (namespace, exported_namespace, workload, deployment, statefulset, prometheus_replica) (avg_over_time(queue_length[$window]))",
        ..ROW
    },
    // RabbitMQ's per-queue metrics: a queue is its namesake workload's, in the broker's namespace. Other names need a custom signal.
    Template {
        signal: SignalName::Queue,
        source: "rabbitmq",
        role: SignalUse::Leading,
        join: JoinKey::Workload,
        native: false,
        query: r#"sum by (namespace, exported_namespace, workload, prometheus_replica) (label_replace(avg_over_time(rabbitmq_queue_messages_ready[$window]), "workload", "$1", "queue", "(.+)"))"#,
        ..ROW
    },
    // kafka_exporter: the lag of the consumer group that is named as the workload, over all topics and partitions.
    Template {
        signal: SignalName::Queue,
        source: "kafka",
        role: SignalUse::Leading,
        join: JoinKey::Workload,
        native: false,
        query: r#"sum by (namespace, exported_namespace, workload, prometheus_replica) (label_replace(avg_over_time(kafka_consumergroup_lag[$window]), "workload", "$1", "consumergroup", "(.+)"))"#,
        ..ROW
    },
    // ---- Restarts within five minutes, all containers. kube-state-metrics.
    Template {
        signal: SignalName::Restarts,
        source: "kube-state-metrics",
        query: concat!("sum by (", pod!(), ") (increase(kube_pod_container_status_restarts_total[5m]))"),
        ..ROW
    },
    // ---- OOM kills within an hour. kube-state-metrics tells the last end alone: restarts of containers whose last end was an OOM kill.
    Template {
        signal: SignalName::OomKills,
        source: "kube-state-metrics",
        query: concat!(
            "sum by (",
            pod!(),
            ") (increase(kube_pod_container_status_restarts_total[1h]) and on (",
            container!(),
            r#") (kube_pod_container_status_last_terminated_reason{reason="OOMKilled"} == 1)) or sum by ("#,
            pod!(),
            ") (0 * increase(kube_pod_container_status_restarts_total[1h]))"
        ),
        ..ROW
    },
    // cAdvisor counts them itself since Kubernetes 1.24, but forgets a container that is gone.
    Template {
        signal: SignalName::OomKills,
        source: "cadvisor",
        scope: Some("namespace"),
        query: concat!("sum by (", pod!(), r#") (increase(container_oom_events_total{container!=""}[1h]))"#),
        ..ROW
    },
    // ---- GPU duty cycle. NVIDIA's dcgm-exporter, percent, with the pod that holds the GPU.
    Template {
        signal: SignalName::GpuDuty,
        source: "dcgm",
        aggregate: Aggregate::Avg,
        query: concat!("avg by (", pod!(), ") (avg_over_time(DCGM_FI_DEV_GPU_UTIL[$window])) / 100"),
        ..ROW
    },
    // ---- vLLM's own gauges, over all its engines and models.
    Template {
        signal: SignalName::LlmWaiting,
        source: "vllm",
        role: SignalUse::Leading,
        query: concat!("sum by (", pod!(), ") (avg_over_time(vllm:num_requests_waiting[$window]))"),
        ..ROW
    },
    Template {
        signal: SignalName::LlmRunning,
        source: "vllm",
        query: concat!("sum by (", pod!(), ") (avg_over_time(vllm:num_requests_running[$window]))"),
        ..ROW
    },
    // ---- Ready replicas, whose past tells what one of them was seen to serve. kube-state-metrics; else as many pods as used CPU.
    Template {
        signal: SignalName::Ready,
        source: "kube-state-metrics",
        join: JoinKey::Workload,
        aggregate: Aggregate::Max,
        scope: Some("namespace"),
        query: "max by (namespace, exported_namespace, deployment, statefulset, prometheus_replica) (avg_over_time(kube_deployment_status_replicas_ready[$window]) or avg_over_time(kube_statefulset_status_replicas_ready[$window]))",
        ..ROW
    },
    Template {
        signal: SignalName::Ready,
        source: "cadvisor",
        aggregate: Aggregate::Max,
        query: concat!(
            "count by (",
            owner!(),
            ") (",
            owned!(concat!("max by (", pod!(), r#") (rate(container_cpu_usage_seconds_total{container!="",container!="POD"}[$window]))"#)),
            ")"
        ),
        ..BY_OWNER
    },
];

impl Template {
    /// Whether its series are one a pod, so that they can also be grouped by owner.
    #[must_use]
    pub fn per_pod(&self) -> bool {
        self.join == JoinKey::Pod
    }
}

/// A per-pod query regrouped by the pods' owner: one series for each workload and container whatever pods there were, for history and for
/// answers that would be too large.
#[must_use]
pub fn by_owner(query: &str, aggregate: Aggregate) -> String {
    let operator = match aggregate {
        Aggregate::Sum => "sum",
        Aggregate::Avg => "avg",
        Aggregate::Max => "max",
    };
    let parts = owned!("\u{0}").split_once('\u{0}').unwrap_or_default();
    format!("{operator} by ({}, container, exported_container) ({}{query}{})", owner!(), parts.0, parts.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::prometheus::promql::Injected;

    #[test]
    fn every_template_takes_the_matcher_in_both_its_forms() {
        let injected = Injected::parse(r#"cluster="x""#).unwrap();
        for template in &SHIPPED {
            let query = template.query.replace("$window", "60s");
            let plain = injected.inject(&query).unwrap_or_else(|e| panic!("{} {}: {e}", template.signal, template.source));
            assert!(plain.contains(r#"cluster="x""#));
            if template.per_pod() {
                injected.inject(&by_owner(&query, template.aggregate)).unwrap();
            }
        }
    }

    #[test]
    fn every_shipped_signal_has_a_source_and_no_source_comes_twice() {
        for signal in &SignalName::SHIPPED {
            let sources: Vec<_> = SHIPPED.iter().filter(|t| t.signal == *signal).map(|t| t.source).collect();
            assert!(!sources.is_empty(), "{signal}");
            assert_eq!(sources.iter().collect::<std::collections::BTreeSet<_>>().len(), sources.len(), "{signal}");
        }
        let demand: Vec<_> = SHIPPED.iter().filter(|t| t.role == SignalUse::Demand).map(|t| t.source).collect();
        assert_eq!(
            demand,
            ["ingress-nginx", "envoy-gateway", "istio", "otel-http", "http-requests"],
            "ingress before mesh before application"
        );
    }
}
