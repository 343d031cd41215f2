//! Observe: everything is seen, judged and recorded, and nothing is written but IPA's own status, events and leases.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use ipa::crd::condition::ConditionValue;
use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use kube::api::{Api, DynamicObject, ListParams, PostParams, TypeMeta};
use kube::discovery::{ApiGroup, Discovery, verbs};
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::ipa;
use super::shop::{self, BEFORE, NEEDED, RUSH, Shop, condition};
use super::stage::{self, Stage};

/// Ticks that are watched after all is known: what they do once they would do again.
const TICKS: usize = 4;

/// Objects by kind and name.
type Objects = BTreeMap<String, DynamicObject>;

#[tokio::test]
async fn while_observing_nothing_is_written_but_status_events_and_leases() -> Result<()> {
    let stage = stage::observing().await?;
    let shop = stage.shop(RUSH).await?;
    // The team allows everything; the installation has said nothing, which is Observe.
    shop.enrol("Auto", "").await?;
    nothing_may_be_written_by(&stage.account().await?, &shop.namespace).await?;
    a_single_tick_changes_nothing(&stage, &shop).await?;

    let before = objects(&shop.client).await?;
    let operator = stage::observer(&stage).await?;
    operator
        .wait_until("the status says what would be done", async || {
            let status = shop.status().await?;
            let able = condition(&status, "AbleToScale")?;
            ensure!(able.status == ConditionValue::False && able.reason == "Observe", "{able:?}");
            let summary = status.summary.as_ref().context("no summary")?;
            ensure!(summary.mode == "Observe" && summary.desired >= i64::from(NEEDED), "{summary:?}");
            Ok(())
        })
        .await?;
    let recorded = async || -> Result<usize> {
        Ok(operator.entries(&shop.namespace).await?.iter().filter(|entry| mode_forbids_what_is_wanted(entry)).count())
    };
    let so_far = recorded().await?;
    operator
        .wait_until("more ticks record what they would do", async || {
            let now = recorded().await?;
            ensure!(now >= so_far + TICKS, "{} ticks did", now - so_far);
            Ok(())
        })
        .await?;

    ensure!(shop::replicas(&shop.deployment().await?) == BEFORE, "it was scaled");
    let after = objects(&shop.client).await?;
    for (name, object) in &after {
        let written = what_ipa_wrote(object);
        let allowed = match object.types.as_ref().map(|types| types.kind.as_str()) {
            Some("IntelligentPodAutoscaler") => written.is_subset(&BTreeSet::from([("ipa-status", "status")])),
            Some("Lease") => written.is_empty() || object.namespace().as_deref() == Some("ipa-system"),
            Some("Event") => true,
            _ => written.is_empty(),
        };
        ensure!(allowed, "{name} was written: {written:?}");
    }
    ensure!(
        what_ipa_wrote(&after[&format!("IntelligentPodAutoscaler {}/web", shop.namespace)]).len() == 1,
        "managers are not what is looked for"
    );
    // Whoever wrote under another name would be seen by this.
    let versions = |objects| -> BTreeMap<String, Option<String>> { versions_of_others(objects, &shop.namespace) };
    ensure!(
        versions(&before) == versions(&after),
        "the team's objects are not what they were:\n{:?}\n{:?}",
        versions(&before),
        versions(&after)
    );
    let entries = operator.entries(&shop.namespace).await?;
    ensure!(entries.iter().all(|entry| entry["body"]["entry"] != "Intent"), "something was begun: {entries:#?}");
    Ok(())
}

/// `ipa tick` prints what it would do, and leaves everything as it was.
async fn a_single_tick_changes_nothing(stage: &Stage, shop: &Shop) -> Result<()> {
    stage.wait_until_measured(shop, RUSH).await?;
    let kubeconfig = stage.kubeconfig().await?.display().to_string();
    let config = stage.testbed.folder().join("tick.yaml");
    std::fs::write(&config, stage::OBSERVING)?;
    let config = config.display().to_string();
    let arguments = ["tick", "--kubeconfig", &kubeconfig, "--prometheus-url", stage.prometheus.url(), "--config", &config];
    let before = objects(&shop.client).await?;
    let record: Value = ipa(arguments.iter().copied().chain(["--output", "json"])).await?.json()?;
    let printed = ipa(arguments).await?;
    let after = objects(&shop.client).await?;

    ensure!(record["group"] == format!("{}/web", shop.namespace).as_str(), "{record:#}");
    let wanted = record["closed"]["proposals"][0]["proposal"]["change"]["to"].as_i64().context("it wants nothing")?;
    ensure!(wanted >= i64::from(NEEDED), "{record:#}");
    let change = format!("replicas of {}/deployments.apps/web {BEFORE} -> {wanted}", shop.namespace);
    ensure!(printed.code == Some(0) && printed.stdout.contains(&change), "{change} is not printed: {}{}", printed.stdout, printed.stderr);
    let versions = |objects: &Objects| -> BTreeMap<String, Option<String>> {
        let ours = objects.iter().filter(|(_, object)| object.namespace().as_deref() == Some(&shop.namespace));
        ours.map(|(name, object)| (name.clone(), object.resource_version())).collect()
    };
    ensure!(versions(&before) == versions(&after), "a single tick changed something");
    ensure!(after.values().all(|object| what_ipa_wrote(object).is_empty()), "a single tick wrote something");
    Ok(())
}

/// Whether this closes a tick that wanted a change, and says that the mode forbids it, whatever else does.
fn mode_forbids_what_is_wanted(entry: &Value) -> bool {
    let rulings = |judged: &Value| judged["review"]["rulings"].as_array().cloned().unwrap_or_default();
    let forbidden = |judged: &Value| rulings(judged).iter().any(|ruling| ruling["rule"] == "Mode" && ruling["verdict"] == "Refuse");
    entry["body"]["proposals"].as_array().is_some_and(|judged| judged.iter().any(forbidden))
}

/// Every object of the cluster, of whatever kind, by `Kind namespace/name`.
async fn objects(client: &Client) -> Result<Objects> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let mut found = Objects::new();
    for (resource, capabilities) in discovery.groups().flat_map(ApiGroup::recommended_resources) {
        if !capabilities.supports_operation(verbs::LIST) {
            continue;
        }
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        for mut object in api.list(&ListParams::default()).await?.items {
            object.types = Some(TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() });
            found.insert(format!("{} {}/{}", resource.kind, object.namespace().unwrap_or_default(), object.name_any()), object);
        }
    }
    Ok(found)
}

/// Managers of IPA's that wrote an object, with the subresource that each wrote.
fn what_ipa_wrote(object: &DynamicObject) -> BTreeSet<(&str, &str)> {
    object
        .managed_fields()
        .iter()
        .map(|entry| (entry.manager.as_deref().unwrap_or_default(), entry.subresource.as_deref().unwrap_or_default()))
        .filter(|(manager, _)| manager.starts_with("ipa"))
        .collect()
}

/// Versions of all objects of a namespace but the two kinds that IPA writes.
fn versions_of_others(objects: &Objects, namespace: &str) -> BTreeMap<String, Option<String>> {
    let is_other = |name: &str| !name.starts_with("IntelligentPodAutoscaler ") && !name.starts_with("Event ");
    let others = objects.iter().filter(|(name, object)| object.namespace().as_deref() == Some(namespace) && is_other(name));
    others.map(|(name, object)| (name.clone(), object.resource_version())).collect()
}

/// The account's rights, as the API server sees them, hold no verb that writes but on IPA's own status and events.
async fn nothing_may_be_written_by(account: &Client, namespace: &str) -> Result<()> {
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
    let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
    let rules = Api::all(account.clone()).create(&PostParams::default(), &review).await?.status.context("the review has no answer")?;
    ensure!(!rules.incomplete && rules.resource_rules.len() > 5, "{rules:?}");
    for rule in &rules.resource_rules {
        if rule.verbs.iter().all(|verb| ["get", "list", "watch"].contains(&verb.as_str())) {
            continue;
        }
        for resource in rule.resources.iter().flatten() {
            let own_status = resource.ends_with("/status") && rule.api_groups.as_ref().is_some_and(|groups| *groups == ["ipa.dev"]);
            // What every account may ask about itself is no write.
            let about_itself = resource.starts_with("selfsubject");
            ensure!(own_status || about_itself || resource == "events", "while observing, IPA may {:?} {resource}", rule.verbs);
        }
    }
    Ok(())
}
