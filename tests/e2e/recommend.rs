//! Recommend: a change waits until a person approves exactly it; then a later tick carries it out, whole.

use anyhow::{Context, Result, ensure};
use ipa::crd::condition::ConditionValue;
use ipa::crd::proposal::Phase;
use serde_json::Value;

use super::shop::{self, BEFORE, NAME, RUSH, ensure_condition, owners_of_replicas};
use super::stage;

/// Ticks that are watched before anybody approves.
const TICKS: usize = 3;

#[tokio::test]
async fn what_is_recommended_waits_for_approval_and_is_then_carried_out() -> Result<()> {
    let acting = stage::acting().await?;
    let operator = &acting.operator;
    let shop = acting.stage.shop(RUSH).await?;
    shop.adopt().await?;
    // While a load still rises, each step of it asks for something else.
    acting.stage.wait_until_measured(&shop, RUSH).await?;
    shop.enrol("Recommend", "model: {enabled: false}").await?;

    let queued = operator
        .wait_until("a proposal waits", async || {
            let waiting: Vec<Value> = shop.as_administrator(&["proposals", "list", "--output", "json"]).await?.json()?;
            let ours = format!("{}/{NAME}", shop.namespace);
            waiting.into_iter().find(|queued| queued["proposal"]["group"] == ours.as_str()).context("the queue holds none of ours")
        })
        .await?;
    let id = queued["proposal"]["id"].as_str().context("it has no id")?;
    let wanted = queued["proposal"]["change"]["to"].as_i64().context("it is not about replicas")?;
    operator
        .wait_until("the status says that it waits, and more ticks have left it waiting", async || {
            ensure_condition(&shop.status().await?, "ApprovalPending", ConditionValue::True)?;
            let so_far = operator.entries(&shop.namespace).await?.iter().filter(|entry| wants_approval(entry)).count();
            ensure!(so_far >= TICKS, "{so_far} ticks left it waiting");
            Ok(())
        })
        .await?;
    ensure!(shop::replicas(&shop.deployment().await?) == BEFORE, "it was carried out without approval");
    ensure!(shop.proposals().await?.len() == 1, "people are asked twice for the same thing");
    ensure!(shop.events().await?["Deployment"].contains(&"ApprovalRequested".to_owned()));

    let approved = shop.as_administrator(&["proposals", "approve", id]).await?;
    ensure!(approved.code == Some(0) && approved.stdout.starts_with("approved: "), "{}{}", approved.stdout, approved.stderr);
    operator
        .wait_until("the approved change is carried out and its proposal has ended", async || {
            let proposals = shop.proposals().await?;
            let proposal = proposals.iter().find(|proposal| proposal.metadata.name.as_deref() == Some(id)).context("it is gone")?;
            let status = proposal.status.as_ref().context("it has no status")?;
            ensure!(status.phase == Phase::Applied, "{status:?}");
            ensure!(proposal.spec.decisions.iter().any(|decision| decision.by == "admin"), "{:?}", proposal.spec.decisions);
            Ok(())
        })
        .await?;
    let deployment = shop.deployment().await?;
    ensure!(i64::from(shop::replicas(&deployment)) == wanted, "{wanted} were approved, there are {:?}", deployment.spec);
    ensure!(owners_of_replicas(&deployment) == ["ipa-actuator Apply scale"], "{:?}", owners_of_replicas(&deployment));

    let entries = operator.entries(&shop.namespace).await?;
    let of_proposal = |kind: &str| entries.iter().filter(|entry| entry["body"]["entry"] == kind && entry["body"]["proposal"] == id).count();
    ensure!((of_proposal("Intent"), of_proposal("Outcome")) == (1, 1), "{entries:#?}");
    Ok(())
}

/// Whether this closes a tick that wanted something for which a person is waited for.
fn wants_approval(entry: &Value) -> bool {
    entry["body"]["proposals"].as_array().is_some_and(|judged| judged.iter().any(|judged| judged["fate"] == "Queued"))
}
