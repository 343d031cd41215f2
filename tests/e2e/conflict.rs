//! A target that an HPA scales is not touched, and both status and command line say by whom it is scaled.

use anyhow::{Result, ensure};
use ipa::crd::condition::ConditionValue;
use kube::ResourceExt;

use super::shop::{self, BEFORE, NAME, RUSH, condition};
use super::stage;
use crate::testbed::apply::apply_yaml;

const AUTOSCALER: &str = "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: older-autoscaler}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 10
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
";

#[tokio::test]
async fn a_target_that_an_hpa_scales_ends_conflicted_by_name_and_is_left_alone() -> Result<()> {
    let acting = stage::acting().await?;
    let operator = &acting.operator;
    let shop = acting.stage.shop(RUSH).await?;
    apply_yaml(&shop.client, AUTOSCALER, Some(&shop.namespace), "kubectl").await?;
    let target = format!("{}/{NAME}", shop.namespace);
    let refused = shop.as_administrator(&["adopt", &target]).await?;
    ensure!(refused.code == Some(1) && refused.stdout.contains("older-autoscaler"), "{}{}", refused.stdout, refused.stderr);

    shop.enrol("Auto", "model: {enabled: false}").await?;
    operator
        .wait_until("the status names the HPA, and more replicas are wanted", async || {
            let status = shop.status().await?;
            let conflicted = condition(&status, "Conflicted")?;
            ensure!(conflicted.status == ConditionValue::True && conflicted.message.contains("older-autoscaler"), "{conflicted:?}");
            ensure!(status.targets.iter().all(|target| target.desired > i64::from(BEFORE)), "{:?}", status.targets);
            Ok(())
        })
        .await?;
    let deployment = shop.deployment().await?;
    ensure!(shop::replicas(&deployment) == BEFORE, "it was scaled: {:?}", deployment.spec);
    let managers: Vec<_> = deployment.managed_fields().iter().filter_map(|entry| entry.manager.as_deref()).collect();
    ensure!(managers.iter().all(|manager| !manager.starts_with("ipa")), "{managers:?}");
    let entries = operator.entries(&shop.namespace).await?;
    ensure!(entries.iter().all(|entry| entry["body"]["entry"] != "Intent"), "something was begun: {entries:#?}");
    Ok(())
}
