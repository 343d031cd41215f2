//! Load goes into the exporter, its consequences come out of Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use super::super::Testbed;
use super::super::apply::apply_yaml;
use super::super::deployments;
use super::super::exporter::load::Load;
use super::super::exporter::service::{self, Behaviour, PodState, Service};
use super::super::exporter::{Exporter, Workload};
use super::super::kubelet;
use super::super::prometheus::ScrapeTarget;
use super::super::wait::wait_until;

const MANAGER: &str = "selftest";
const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn twice_the_replicas_halve_what_prometheus_sees_of_each() -> Result<()> {
    let testbed = Testbed::builder().controllers().scheduler().kwok(3).shared().await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    apply_yaml(&client, &deployments::manifest("web", 2, ""), Some(&namespace), MANAGER).await?;
    deployments::wait_for_ready(&client, &namespace, "web", 2).await?;

    let load = Load::Constant(80.0);
    let exporter = Exporter::start(client.clone(), vec![Workload::new(&namespace, "web", load)]).await?;
    let target = ScrapeTarget::plain(exporter.address());
    let prometheus = testbed.prometheus(&[target]).await?;

    let requests = "sum(nginx_ingress_controller_requests{ingress=\"web\"})";
    let first = wait_until("the exporter is scraped", SOON, async || prometheus.value(requests).await).await?;
    wait_until("the counter rises", SOON, async || {
        let now = prometheus.value(requests).await?;
        ensure!(now > first + 80.0, "it was {first} and is {now}");
        Ok(())
    })
    .await?;

    let cpu_of_each = "avg(rate(container_cpu_usage_seconds_total{pod=~\"web-.*\",container!=\"\"}[5s]))";
    let expect_cpu = async |cores: f64| {
        wait_until(&format!("each pod uses {cores} cores"), SOON, async || {
            let now = prometheus.value(cpu_of_each).await?;
            ensure!((now - cores).abs() < cores / 10.0, "each uses {now}");
            Ok(())
        })
        .await
    };
    // 80 requests a second on two replicas of 50 keep each busy at 80 % of its half core.
    expect_cpu(0.4).await?;
    deployments::scale(&client, &namespace, "web", 4, "kubectl").await?;
    expect_cpu(0.2).await?;

    exporter.set_load("web", &Load::Constant(400.0));
    let throttled = "sum(rate(container_cpu_cfs_throttled_periods_total[5s])) / sum(rate(container_cpu_cfs_periods_total[5s]))";
    let slow = "histogram_quantile(0.95, sum by (le) (rate(nginx_ingress_controller_request_duration_seconds_bucket[5s])))";
    wait_until("overload throttles and slows", SOON, async || {
        let (throttled, latency) = (prometheus.value(throttled).await?, prometheus.value(slow).await?);
        ensure!(throttled > 0.9 && latency > 1.0, "{throttled} of the periods are throttled, the latency is {latency} s");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_oom_kill_shows_in_prometheus() -> Result<()> {
    let testbed = Testbed::builder().controllers().scheduler().kwok(3).shared().await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    apply_yaml(&client, &deployments::manifest("web", 1, ""), Some(&namespace), MANAGER).await?;
    deployments::wait_for_ready(&client, &namespace, "web", 1).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let pod = pods.list(&ListParams::default()).await?.items.remove(0).name_any();
    kubelet::oom_kill(&client, &namespace, &pod, "web").await?;

    let load = Load::Constant(10.0);
    let exporter = Exporter::start(client, vec![Workload::new(&namespace, "web", load)]).await?;
    let mut target = ScrapeTarget::plain(exporter.address());
    target.labels.insert("namespace".to_owned(), "monitoring".to_owned());
    let prometheus = testbed.prometheus(&[target]).await?;
    let killed = format!(
        "kube_pod_container_status_restarts_total{{exported_namespace=\"{namespace}\",namespace=\"monitoring\"}} \
         + on (pod) kube_pod_container_status_last_terminated_reason{{reason=\"OOMKilled\"}}"
    );
    let value = wait_until("the OOM kill is scraped", SOON, async || prometheus.value(&killed).await).await?;
    assert!((value - 2.0).abs() < f64::EPSILON, "one restart and one reason, not {value}");
    Ok(())
}

#[test]
fn a_service_without_pods_refuses_and_an_overloaded_one_loses_what_waits_too_long() {
    let behaviour = Behaviour::default();
    let mut service = Service::default();
    let mut pods = BTreeMap::new();
    service::step(&mut service, &mut pods, &behaviour, 100.0, 1.0);
    assert_eq!(service.requests, BTreeMap::from([("503", 100.0)]));

    let ready = PodState { ready: true, running: true, ..Default::default() };
    pods.insert("web-0".to_owned(), ready);
    for _ in 0..60 {
        service::step(&mut service, &mut pods, &behaviour, 100.0, 1.0);
    }
    // 6,000 offered to one replica of 50: 3,000 answered, 500 wait ten seconds, the rest is lost.
    let whole = BTreeMap::from([("200", 3000.0), ("503", 100.0), ("504", 2500.0)]);
    assert_eq!(service.requests, whole);
    assert!((service.backlog - 500.0).abs() < 1e-9);
}

#[test]
fn a_recording_is_played_at_its_speed_and_begins_again() -> Result<()> {
    let load = Load::parse_csv("t,value\n0,1\n60,2\n120,3\n", 60.0)?;
    let values: Vec<f64> = [0.0, 0.9, 1.0, 2.5, 3.0].map(|seconds| load.at(Duration::from_secs_f64(seconds))).into();
    assert_eq!(values, [1.0, 1.0, 2.0, 3.0, 1.0]);
    let error = Load::parse_csv("t,value\n0,1\n60,many\n", 60.0).unwrap_err();
    assert_eq!(format!("{error:#}"), "line 3: `many` is no number: invalid float literal");
    Ok(())
}
