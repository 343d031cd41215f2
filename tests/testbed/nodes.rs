//! Nodes that kwok keeps alive.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

use super::wait::wait_until;

/// What a node of the testbed offers, the size of an m6i.4xlarge.
pub const SHAPE: Shape<'static> = Shape { cpu: "16", memory: "64Gi", pods: "110" };

/// What a node offers, as quantities.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// CPU.
    pub cpu: &'a str,
    /// Memory.
    pub memory: &'a str,
    /// Number of pods.
    pub pods: &'a str,
}

/// Makes sure that nodes `kwok-0` to `kwok-<count - 1>` are there and Ready, in zones `a` and `b` by turns.
pub async fn ensure(client: &Client, count: usize) -> Result<()> {
    for index in 0..count {
        let zone = if index % 2 == 0 { "a" } else { "b" };
        let labels = [
            ("topology.kubernetes.io/zone", zone),
            ("node.kubernetes.io/instance-type", "m6i.4xlarge"),
            ("karpenter.sh/capacity-type", "on-demand"),
        ];
        create(client, &format!("kwok-{index}"), SHAPE, &labels).await?;
    }
    for index in 0..count {
        wait_until_ready(client, &format!("kwok-{index}")).await?;
    }
    Ok(())
}

/// Makes a node if it is not there. A test of its own capacity labels its node and selects it by that label.
pub async fn create(client: &Client, name: &str, shape: Shape<'_>, labels: &[(&str, &str)]) -> Result<()> {
    let owned = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let mut all_labels = owned(labels);
    all_labels.extend(owned(&[("kubernetes.io/hostname", name), ("kubernetes.io/os", "linux"), ("kubernetes.io/arch", "amd64")]));
    let offer: BTreeMap<String, Quantity> = [("cpu", shape.cpu), ("memory", shape.memory), ("pods", shape.pods)]
        .map(|(resource, amount)| (resource.to_owned(), Quantity(amount.to_owned())))
        .into();
    let node = Node {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(all_labels),
            annotations: Some(owned(&[("kwok.x-k8s.io/node", "fake")])),
            ..Default::default()
        },
        status: Some(NodeStatus { allocatable: Some(offer.clone()), capacity: Some(offer), ..Default::default() }),
        ..Default::default()
    };
    match Api::all(client.clone()).create(&PostParams::default(), &node).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(error) => Err(error).with_context(|| format!("failed to make the node {name}")),
    }
}

/// Waits until the node's condition Ready is true.
pub async fn wait_until_ready(client: &Client, name: &str) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    wait_until(&format!("node {name} is Ready"), super::READY_WITHIN, async || {
        let conditions = nodes.get(name).await?.status.and_then(|status| status.conditions).unwrap_or_default();
        let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
        ensure!(ready, "its conditions are {conditions:?}");
        Ok(())
    })
    .await
}
