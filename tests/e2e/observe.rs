//! Observe: everything is seen, judged and recorded, and nothing is written but IPA's own status, events and leases.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use ipa::crd::condition::ConditionValue;
use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::discovery::{Discovery, Scope, verbs};
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::shop::{self, BEFORE, NEEDED, RUSH, Shop, condition};
use super::{ipa, stage};

/// Ticks that are watched after all is known: what they do once they would do again.
const TICKS: usize = 4;

/// Who may have written an object of the namespace: the team, the cluster's own components, and the parts of the testbed.
const OTHERS: [&str; 6] = ["kubectl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "unknown"];

#[tokio::test]
async fn while_observing_nothing_is_written_but_status_events_and_leases() -> Result<()> {
    let stage = stage::observing().await?;
    let shop = stage.shop(RUSH).await?;
    // The team allows everything; the installation has said nothing, which is Observe.
    shop.enrol("Auto", "").await?;
    nothing_may_be_written_by(&stage.account().await?, &shop.namespace).await?;
    a_single_tick_changes_nothing(&stage, &shop).await?;

    let before = objects(&shop.client, &shop.namespace).await?;
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
    let after = objects(&shop.client, &shop.namespace).await?;
    for (name, object) in &after {
        let foreign: BTreeSet<&str> =
            writers(object).filter(|(manager, _)| !OTHERS.contains(manager)).map(|(manager, _)| manager).collect();
        let (kind, _) = name.split_once('/').unwrap_or_default();
        match kind {
            "Event" => {}
            "IntelligentPodAutoscaler" => {
                ensure!(foreign == BTreeSet::from(["ipa-status"]), "{name} was written by {foreign:?}");
                let of_status = writers(object).filter(|(manager, _)| *manager == "ipa-status").all(|(_, part)| part == "status");
                ensure!(of_status, "more than the status of {name} was written");
            }
            _ => {
                ensure!(foreign.is_empty(), "{name} was written by {foreign:?}");
                let unchanged = before.get(name).is_some_and(|before| before.metadata.resource_version == object.metadata.resource_version);
                ensure!(unchanged, "{name} is not what it was before");
            }
        }
    }
    let entries = operator.entries(&shop.namespace).await?;
    ensure!(entries.iter().all(|entry| entry["body"]["entry"] != "Intent"), "something was begun: {entries:#?}");
    Ok(())
}

/// `ipa tick` prints what it would do, and leaves everything as it was.
async fn a_single_tick_changes_nothing(stage: &stage::Stage, shop: &Shop) -> Result<()> {
    let kubeconfig = stage.testbed.kubeconfig_path().display().to_string();
    let arguments = ["tick", "--kubeconfig", &kubeconfig, "--prometheus-url", stage.prometheus.url(), "--output", "json"];
    let before = objects(&shop.client, &shop.namespace).await?;
    let ticked = ipa(arguments).await?;
    let record: Value = ticked.json()?;
    ensure!(record["group"] == format!("{}/web", shop.namespace).as_str(), "{record:#}");
    ensure!(record["closed"]["plan"].as_object().is_some_and(|plan| plan.len() == 1), "{record:#}");
    let after = objects(&shop.client, &shop.namespace).await?;
    let versions = |objects: &BTreeMap<String, DynamicObject>| -> BTreeMap<String, Option<String>> {
        objects.iter().map(|(name, object)| (name.clone(), object.resource_version())).collect()
    };
    ensure!(versions(&before) == versions(&after), "a single tick changed something");
    Ok(())
}

/// Whether this closes a tick that wanted a change, and says that the mode forbids it, whatever else does.
fn mode_forbids_what_is_wanted(entry: &Value) -> bool {
    let rulings = |judged: &Value| judged["review"]["rulings"].as_array().cloned().unwrap_or_default();
    let forbidden = |judged: &Value| rulings(judged).iter().any(|ruling| ruling["rule"] == "Mode" && ruling["verdict"] == "Refuse");
    entry["body"]["proposals"].as_array().is_some_and(|judged| judged.iter().any(forbidden))
}

/// Every object of a namespace, of whatever kind, as `Kind/name`.
async fn objects(client: &Client, namespace: &str) -> Result<BTreeMap<String, DynamicObject>> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let mut found = BTreeMap::new();
    for (resource, capabilities) in discovery.groups().flat_map(kube::discovery::ApiGroup::recommended_resources) {
        if capabilities.scope != Scope::Namespaced || !capabilities.supports_operation(verbs::LIST) {
            continue;
        }
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        for object in api.list(&ListParams::default()).await?.items {
            found.insert(format!("{}/{}", resource.kind, object.name_any()), object);
        }
    }
    ensure!(found.keys().any(|name| name.starts_with("Pod/")), "the namespace seems empty");
    Ok(found)
}

/// Who wrote an object, and which subresource of it.
fn writers(object: &DynamicObject) -> impl Iterator<Item = (&str, &str)> {
    object
        .managed_fields()
        .iter()
        .map(|entry| (entry.manager.as_deref().unwrap_or("unknown"), entry.subresource.as_deref().unwrap_or_default()))
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
