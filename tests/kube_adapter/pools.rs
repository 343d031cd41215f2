//! Node pools as Karpenter's own definition takes them.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use ipa::adapters::kube::{Known, KubeActuator, Lookout};
use ipa::crd::{NodeFleet, convert};
use ipa::domain::fleet::CapacityType;
use ipa::domain::limits::{Fleet, Provider};
use ipa::domain::names::TargetKey;
use ipa::domain::outcome::OutcomeResult;
use ipa::domain::proposal::{Change, NodePoolChange, NodePoolDraft};
use ipa::domain::units::{Bytes, GoDuration, Millicores};
use ipa::domain::workload::ResourceList;
use ipa::ports::Actuator;
use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt};
use serde_json::json;

use super::{Always, released};
use crate::testbed::Testbed;
use crate::testbed::apply::apply_file;
use crate::testbed::binaries::module_folder;

struct OneFleet(Fleet);

impl Lookout for OneFleet {
    fn known(&self, _: &TargetKey) -> Known {
        Known::default()
    }

    fn fleet(&self, name: &str) -> Option<Fleet> {
        (name == "general").then(|| self.0.clone())
    }
}

fn fleet() -> Result<Fleet> {
    let object: NodeFleet = serde_json::from_value(json!({
        "apiVersion": "ipa.dev/v1alpha1", "kind": "NodeFleet", "metadata": {"name": "general"},
        "spec": {"pools": ["ipa-general"], "nodeClass": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"}}
    }))?;
    Ok(convert::fleet(&object)?)
}

fn change(exists: bool, weight: u32) -> Change {
    Change::NodePool(NodePoolChange {
        fleet: "general".into(),
        provider: Provider::Karpenter,
        draft: NodePoolDraft {
            name: "ipa-general".into(),
            instance_types: vec!["c-4x-amd64-linux".into(), "m-4x-amd64-linux".into()],
            capacity_types: vec![CapacityType::OnDemand, CapacityType::Spot],
            zones: vec![],
            requirements: vec![],
            taints: vec![],
            limits: ResourceList { cpu: Millicores(64_000), memory: Bytes(256 << 30), ..ResourceList::default() },
            weight,
            expire_after: GoDuration::from_mins(24 * 60),
            disruption_percent: 10,
        },
        exists,
    })
}

async fn carry_out(client: &Client, change: Change) -> Result<OutcomeResult> {
    let actuator = KubeActuator::new(client.clone(), Arc::new(Always), Arc::new(OneFleet(fleet()?)));
    Ok(actuator.carry_out(released(change)?, Timestamp::now()).await.result)
}

#[tokio::test]
async fn a_node_pool_is_made_changed_and_never_taken_from_another() -> Result<()> {
    let testbed = Testbed::builder().start().await?;
    let client = testbed.client()?;
    let karpenter = module_folder("karpenter", "sigs.k8s.io/karpenter").await?;
    apply_file(&client, &karpenter.join("pkg/apis/crds/karpenter.sh_nodepools.yaml"), None, "testbed").await?;

    let made = carry_out(&client, change(false, 10)).await?;
    ensure!(made.is_applied(), "{made:?}");
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("karpenter.sh", "v1", "NodePool"));
    let pools = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let pool = pools.get("ipa-general").await?;
    let writers: Vec<_> = pool.managed_fields().iter().filter_map(|f| f.manager.clone()).collect();
    ensure!(writers == ["ipa-actuator"] && pool.data["spec"]["weight"] == 10, "{writers:?}: {}", pool.data);

    ensure!(matches!(carry_out(&client, change(false, 20)).await?, OutcomeResult::WorldChanged { .. }), "it is there already");
    ensure!(carry_out(&client, change(true, 20)).await?.is_applied());

    let weigh = Patch::Merge(json!({"spec": {"weight": 30}}));
    let params = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
    pools.patch("ipa-general", &params, &weigh).await?;
    match carry_out(&client, change(true, 40)).await? {
        OutcomeResult::Conflicted { manager, .. } => ensure!(&*manager == "kubectl-edit", "{manager}"),
        other => anyhow::bail!("{other:?}"),
    }
    let weight = pools.get("ipa-general").await?.data.pointer("/spec/weight").cloned().context("no weight")?;
    ensure!(weight == 30, "{weight}");
    Ok(())
}
