//! Auto: load rises, replicas follow, and everything that tells of it tells the same.

use anyhow::{Context, Result, ensure};
use ipa::crd::condition::ConditionValue;
use serde_json::Value;

use super::operator::Operator;
use super::shop::{self, BEFORE, CALM, NAME, NEEDED, RUSH, Shop, ensure_condition, owners_of_replicas};
use super::stage;

#[tokio::test]
async fn when_load_rises_replicas_follow_and_status_events_and_ledger_agree() -> Result<()> {
    let acting = stage::acting().await?;
    let (stage, operator) = (&acting.stage, &acting.operator);
    let shop = stage.shop(CALM).await?;
    shop.adopt().await?;
    shop.enrol("Auto", "model: {enabled: false}").await?;
    operator
        .wait_until("the calm load is known and two replicas are enough", async || {
            let status = shop.status().await?;
            ensure_condition(&status, "ScalingActive", ConditionValue::True)?;
            let summary = status.summary.context("no summary")?;
            ensure!(summary.desired == i64::from(BEFORE) && summary.current == i64::from(BEFORE), "{summary:?}");
            Ok(())
        })
        .await?;
    ensure!(shop::replicas(&shop.deployment().await?) == BEFORE, "it was scaled without need");

    shop.set_load(RUSH);
    operator.wait_until("the rush is met, and all that tells of it tells the same", async || all_agree(&shop, operator).await).await?;
    let verified = operator.ledger(&["audit", "verify"]).await?;
    ensure!(verified.code == Some(0) && verified.stdout.contains("the chain holds"), "{}{}", verified.stdout, verified.stderr);
    Ok(())
}

/// Replicas that bear the rush are there and Ready; status, events, ledger and explanation say so. The load is still rising within its
/// window of measurement, so one of them may be a step ahead of another for a moment.
async fn all_agree(shop: &Shop, operator: &Operator) -> Result<()> {
    let (deployment, status) = (shop.deployment().await?, shop.status().await?);
    let (replicas, ready) = (shop::replicas(&deployment), shop::ready(&deployment));
    ensure!(replicas >= NEEDED && ready == replicas, "{ready} of {replicas} are Ready; {:?}", status.summary);
    ensure!(owners_of_replicas(&deployment) == ["ipa-actuator Apply scale"], "{:?}", owners_of_replicas(&deployment));
    let nodes = shop.nodes_of_pods().await?;
    ensure!(nodes.len() == ready as usize && nodes.iter().all(|node| node.starts_with("kwok-")), "{nodes:?}");

    let summary = status.summary.as_ref().context("no summary")?;
    let seen = [summary.current, summary.ready, summary.desired];
    ensure!(seen == [i64::from(replicas); 3], "{replicas} are asked for, and the status says {summary:?}");
    for (kind, value) in [
        ("Ready", ConditionValue::True),
        ("AbleToScale", ConditionValue::True),
        ("ScalingActive", ConditionValue::True),
        ("MetricsAvailable", ConditionValue::True),
        ("AuditHealthy", ConditionValue::True),
        ("Conflicted", ConditionValue::False),
        ("Fallback", ConditionValue::False),
        ("ApprovalPending", ConditionValue::False),
    ] {
        ensure_condition(&status, kind, value)?;
    }
    let events = shop.events().await?;
    for kind in ["IntelligentPodAutoscaler", "Deployment"] {
        ensure!(events.get(kind).is_some_and(|reasons| reasons.iter().any(|reason| reason == "ScaledUp")), "{events:?}");
    }

    let (from, to) = carried_out(&operator.entries(&shop.namespace).await?)?;
    ensure!(to == summary.current, "the ledger ends at {to}, the status says {summary:?}");
    ensure!(summary.last_action.as_deref() == Some(&format!("{from} -> {to}")), "{summary:?}, not {from} -> {to}");
    let why = operator.why(&shop.namespace, NAME).await?;
    let change = format!("replicas of {}/deployments.apps/{NAME} {from} -> {to}", shop.namespace);
    let answer = why["answer"].as_str().unwrap_or_default();
    ensure!(answer.contains(&change) && why["confidence"] == "Recorded", "{why:#}");
    ensure!(answer.lines().all(|sentence| sentence.contains("[e")), "a sentence cites nothing: {answer}");
    Ok(())
}

/// The last change of replicas that was written down before and after it was carried out.
fn carried_out(entries: &[Value]) -> Result<(i64, i64)> {
    let of_replicas = |entry: &&Value, kind: &str| entry["body"]["entry"] == kind && entry["body"]["change"]["kind"] == "Replicas";
    let last =
        |kind: &str| entries.iter().rev().find(|entry| of_replicas(entry, kind)).with_context(|| format!("no {kind} in {entries:#?}"));
    let (intent, outcome) = (last("Intent")?, last("Outcome")?);
    ensure!(intent["body"]["proposal"] == outcome["body"]["proposal"], "{intent:#} has no outcome; the last is {outcome:#}");
    ensure!(intent["seq"].as_u64() < outcome["seq"].as_u64(), "{intent:#} came after {outcome:#}");
    let number = |field: &str| outcome["body"]["change"][field].as_i64().with_context(|| format!("no {field} in {outcome:#}"));
    Ok((number("from")?, number("to")?))
}
