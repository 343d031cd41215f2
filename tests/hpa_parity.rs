//! Parity with the real kube-controller-manager: the same pods and metrics in, the same replicas and conditions out, sync by sync.
//!
//! A real HorizontalPodAutoscaler scales a real Deployment by metrics that this test serves. The controller asks for metrics once in each sync, so
//! that the server knows when a sync is under way: it holds the answer until the pods stand still, lets [`ipa::hpa::Hpa`] look at what the
//! controller is about to see, and at the next sync compares what the controller made of it.
//!
//! Left out: what takes minutes (the five-minute default window before a scale-down, pods older than the initialisation period) and what needs no
//! metrics (counts outside the bounds); unit tests hold these.

mod cases;
mod lane;
mod manifest;
mod metrics_api;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::Client;
use kube::api::{Api, DeleteParams};

use crate::testbed::apply::apply_yaml;
use crate::testbed::deployments::wait_for_ready;
use crate::testbed::wait::wait_until;
use crate::testbed::{READY_WITHIN, Testbed};
use cases::cases;
use lane::{Lane, Sync};
use metrics_api::MetricsApi;

const MANAGER: &str = "hpa-parity";

/// The longest script has fifteen steps; the controller looks every two seconds.
const PLAYED_WITHIN: Duration = Duration::from_mins(3);

/// Reasons that the real controller must have written at least once, so that agreeing on nothing is no success.
const SHOWN: [&str; 12] = [
    "DesiredWithinRange",
    "FailedGetExternalMetric",
    "FailedGetResourceMetric",
    "ReadyForNewScale",
    "ScaleDownLimit",
    "ScaleDownStabilized",
    "ScaleUpLimit",
    "ScaleUpStabilized",
    "SucceededRescale",
    "TooFewReplicas",
    "TooManyReplicas",
    "ValidMetricFound",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_observations_give_the_same_replicas_as_the_real_controller() -> Result<()> {
    let testbed = Testbed::builder().controllers().scheduler().kwok(3).shared().await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    let played = play(&client, &namespace).await;
    // Whatever came of it: an API service without a server would disturb whoever shares the testbed.
    for name in metrics_api::SERVICES {
        let deleted = Api::<APIService>::all(client.clone()).delete(name, &DeleteParams::default()).await;
        ensure!(played.is_err() || deleted.is_ok(), "failed to remove {name}: {deleted:?}");
    }
    let lanes = played?;

    let mut wrong = Vec::new();
    let mut shown = BTreeSet::new();
    for (name, syncs) in &lanes {
        println!("{name}: {}", syncs.iter().map(Sync::replicas).collect::<Vec<_>>().join(" "));
        for (index, sync) in syncs.iter().enumerate() {
            shown.extend(sync.theirs.reasons());
            if !sync.agrees() {
                wrong.push(format!("{name}, sync {index}: {sync}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "the real controller decided differently:\n{}", wrong.join("\n"));
    let missing: Vec<_> = SHOWN.iter().filter(|reason| !shown.contains(**reason)).collect();
    ensure!(missing.is_empty(), "the scripts no longer show {missing:?}, but {shown:?}");
    Ok(())
}

/// Plays every script to its end; the syncs of each by its name.
async fn play(client: &Client, namespace: &str) -> Result<BTreeMap<&'static str, Vec<Sync>>> {
    let cases = cases();
    for case in &cases {
        apply_yaml(client, &manifest::deployment(case), Some(namespace), MANAGER).await?;
    }
    let lanes: BTreeMap<&'static str, Arc<Lane>> =
        cases.iter().map(|case| (case.name, Arc::new(Lane::new(client.clone(), namespace, case.clone())))).collect();
    let server = MetricsApi::serve(lanes.clone()).await?;
    apply_yaml(client, &manifest::api_services(namespace, server.port()), Some(namespace), MANAGER).await?;
    for case in &cases {
        wait_for_ready(client, namespace, case.name, i32::try_from(case.ready_of(case.replicas))?).await?;
    }
    wait_until_available(client).await?;
    for case in &cases {
        apply_yaml(client, &manifest::autoscaler(case), Some(namespace), MANAGER).await?;
    }
    for (name, lane) in &lanes {
        wait_until(&format!("the script of {name} is played"), PLAYED_WITHIN, async || lane.played().await).await?;
    }
    // Before the server goes: metrics that no longer come would be written into the conditions.
    for name in lanes.keys() {
        Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), namespace).delete(name, &DeleteParams::default()).await?;
    }
    let mut syncs = BTreeMap::new();
    for (name, lane) in lanes {
        syncs.insert(name, lane.syncs().await);
    }
    Ok(syncs)
}

/// An HPA that finds no metrics at first would have a past that this test does not see.
async fn wait_until_available(client: &Client) -> Result<()> {
    let services: Api<APIService> = Api::all(client.clone());
    for name in metrics_api::SERVICES {
        wait_until(&format!("{name} is available"), READY_WITHIN, async || {
            let conditions = services.get(name).await?.status.and_then(|status| status.conditions).unwrap_or_default();
            let available = conditions.iter().any(|condition| condition.type_ == "Available" && condition.status == "True");
            ensure!(available, "its conditions are {conditions:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
