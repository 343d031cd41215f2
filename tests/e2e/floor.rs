//! With the model server dead the planner acts alone, and the record says why.

use anyhow::{Result, ensure};
use ipa::crd::condition::ConditionValue;

use super::shop::{self, BEFORE, NAME, RUSH, ensure_condition};
use super::stage;

#[tokio::test]
async fn with_the_model_server_dead_the_floor_acts_and_the_record_says_why() -> Result<()> {
    let acting = stage::acting().await?;
    let operator = &acting.operator;
    let shop = acting.stage.shop(RUSH).await?;
    shop.adopt().await?;
    shop.enrol("Auto", "model: {enabled: true}").await?;
    operator
        .wait_until("the status says that the model is away", async || {
            let status = shop.status().await?;
            ensure_condition(&status, "LLMAvailable", ConditionValue::False)?;
            ensure_condition(&status, "Fallback", ConditionValue::True)
        })
        .await?;
    operator
        .wait_until("replicas are added all the same", async || {
            let deployment = shop.deployment().await?;
            let (replicas, ready) = (shop::replicas(&deployment), shop::ready(&deployment));
            ensure!(replicas > BEFORE && ready == replicas, "{ready} of {replicas} are Ready");
            Ok(())
        })
        .await?;

    // Later ticks found nothing worth asking about; what the last dialogue showed still holds.
    let status = shop.status().await?;
    ensure_condition(&status, "LLMAvailable", ConditionValue::False)?;
    ensure!(status.summary.is_some_and(|summary| summary.fallback == "True"), "the summary does not say that the floor acts alone");

    let entries = operator.entries(&shop.namespace).await?;
    let unavailable = entries.iter().filter(|entry| entry["body"]["dialogue"]["end"]["Unavailable"].is_string()).count();
    ensure!(unavailable >= 1, "no tick recorded a dialogue that ended for want of a model: {entries:#?}");
    let intents: Vec<_> = entries.iter().filter(|entry| entry["body"]["entry"] == "Intent").collect();
    ensure!(!intents.is_empty() && intents.iter().all(|intent| intent["body"]["origin"] == "Planner"), "{intents:#?}");
    let why = operator.why(&shop.namespace, NAME).await?;
    ensure!(why["answer"].as_str().is_some_and(|answer| answer.contains("was carried out")), "{why:#}");
    Ok(())
}
