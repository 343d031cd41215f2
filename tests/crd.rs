//! The definitions on a real API server: it takes them with their rules, takes the samples, and refuses what they must refuse; and the
//! accounts of `deploy/` can do what their mode needs and nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ipa::crd::autoscaler::IntelligentPodAutoscalerStatus;
use ipa::crd::target_ref::built_in;
use ipa::crd::{IntelligentPodAutoscaler, ScalingProposal, convert, status};
use ipa::domain::limits::{Mode, Modes};
use ipa::domain::names::TargetKey;
use ipa::domain::status::{Condition, ConditionType, GroupStatus, TargetStatus};
use ipa::domain::units::MicroUsd;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use kube::{Client, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::testbed::Testbed;
use crate::testbed::apply::{apply_file, apply_yaml};

/// One object that must not be taken; see the head of `crd_cases.yaml`.
#[derive(Deserialize)]
struct Case {
    sample: String,
    #[serde(default)]
    update: bool,
    set: BTreeMap<String, Value>,
    message: String,
}

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn sample(name: &str) -> Result<Value> {
    let path = repository(&format!("deploy/samples/{name}.yaml"));
    Ok(serde_saphyr::from_str(&std::fs::read_to_string(path)?)?)
}

fn set(object: &mut Value, pointer: &str, value: &Value) -> Result<()> {
    let (parent, field) = pointer.rsplit_once('/').context("a pointer begins with a slash")?;
    match object.pointer_mut(pointer) {
        Some(place) => *place = value.clone(),
        None => object.pointer_mut(parent).with_context(|| format!("{parent} is not in the sample"))?[field] = value.clone(),
    }
    Ok(())
}

async fn api(client: &Client, namespace: &str, object: &DynamicObject) -> Result<Api<DynamicObject>> {
    let types = object.types.as_ref().context("a sample has no apiVersion and kind")?;
    let (resource, capabilities) = discovery::pinned_kind(client, &GroupVersionKind::try_from(types)?).await?;
    Ok(match capabilities.scope {
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
        Scope::Cluster => Api::all_with(client.clone(), &resource),
    })
}

#[tokio::test]
async fn a_real_server_takes_the_definitions_and_samples_and_refuses_every_bad_case() -> Result<()> {
    let testbed = Testbed::builder().shared().await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    apply_file(&client, &repository("deploy/crds/ipa.dev.yaml"), None, "crd-test").await?;

    let dry = PostParams { dry_run: true, ..PostParams::default() };
    for name in ["autoscaler", "guardrail", "fleet", "proposal"] {
        let object: DynamicObject = serde_json::from_value(sample(name)?)?;
        api(&client, &namespace, &object).await?.create(&dry, &object).await.with_context(|| format!("the sample {name} was refused"))?;
    }
    let proposal: DynamicObject = serde_json::from_value(sample("proposal")?)?;
    let proposals = api(&client, &namespace, &proposal).await?;
    let stored = proposals.create(&PostParams::default(), &proposal).await?;

    let cases: Vec<Case> = serde_saphyr::from_str(&std::fs::read_to_string(repository("tests/crd_cases.yaml"))?)?;
    ensure!(cases.len() >= 50, "only {} cases were read", cases.len());
    for case in cases {
        let mut object = if case.update { serde_json::to_value(&stored)? } else { sample(&case.sample)? };
        for (pointer, value) in &case.set {
            set(&mut object, pointer, value)?;
        }
        let object: DynamicObject = serde_json::from_value(object)?;
        let kinds = api(&client, &namespace, &object).await?;
        let answer = if case.update { kinds.replace(&object.name_any(), &dry, &object).await } else { kinds.create(&dry, &object).await };
        let what = format!("{} with {:?}", case.sample, case.set);
        let refused = answer.err().with_context(|| format!("{what} was taken"))?.to_string();
        ensure!(refused.contains(&case.message), "{what} was refused, but not by `{}`: {refused}", case.message);
    }
    Ok(())
}

#[tokio::test]
async fn a_status_and_a_queued_proposal_come_back_as_they_were_written() -> Result<()> {
    let testbed = Testbed::builder().shared().await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    apply_file(&client, &repository("deploy/crds/ipa.dev.yaml"), None, "crd-test").await?;

    let ipas: Api<IntelligentPodAutoscaler> = Api::namespaced(client.clone(), &namespace);
    let made = ipas.create(&PostParams::default(), &serde_json::from_value(sample("autoscaler")?)?).await?;
    let group = convert::group(&made, &built_in)?;
    let written = status::autoscaler(&group_status(&group.id, group.generation), None);
    let patch = Patch::Merge(json!({ "status": written }));
    let patched = ipas.patch_status(&made.name_any(), &PatchParams::default(), &patch).await?;
    ensure!(patched.status.as_ref() == Some(&written), "the server kept {:?} of {written:?}", patched.status);
    ensure!(patched.metadata.generation == made.metadata.generation, "a status changed the generation");
    // Written again it is the same object: nothing moves by time alone.
    let later = status::autoscaler(&group_status(&group.id, group.generation), patched.status.as_ref());
    ensure!(later == written, "a status moved by itself");
    let ready: Option<&IntelligentPodAutoscalerStatus> = patched.status.as_ref();
    ensure!(ready.is_some_and(|s| s.conditions.len() == ConditionType::ALL.len()), "a condition is missing");

    let queued = convert::queued(&serde_json::from_value::<ScalingProposal>(sample("proposal")?)?)?;
    let proposals: Api<ScalingProposal> = Api::namespaced(client, &namespace);
    let stored = proposals.create(&PostParams::default(), &convert::manifest(&queued, &namespace)).await?;
    ensure!(convert::queued(&stored)? == queued, "a proposal came back as another");
    let closed = convert::closed_status("Expired", "nobody decided in time", "2026-11-26T23:10:00Z".parse()?);
    let patch = Patch::Merge(json!({ "status": closed }));
    let ended = proposals.patch_status(&stored.name_any(), &PatchParams::default(), &patch).await?;
    ensure!(convert::queued(&ended)?.closed, "a proposal that expired is still open");
    Ok(())
}

fn group_status(group: &ipa::domain::names::GroupId, generation: i64) -> GroupStatus {
    let target = |name: &str| TargetStatus {
        target: TargetKey::deployment(&group.namespace, name),
        modes: Modes::all(Mode::Observe),
        min: 2,
        max: 40,
        current: 4,
        desired: 7,
        ready: 4,
        shadow_hpa: Some(5),
        confidence: Some(0.9),
        model: Some("mstl".into()),
        reason: "Forecast".into(),
        last_action: Some(("2026-11-26T22:40:00Z".parse().unwrap(), "replicas 3 -> 4".into())),
        cost_per_hour: Some(MicroUsd(310_000)),
    };
    let condition = |kind| Condition { kind, status: None, reason: "NotSeenYet".into(), message: "nothing is known yet".into() };
    GroupStatus {
        group: group.clone(),
        uid: "u".into(),
        observed_generation: generation,
        at: "2026-11-26T22:41:00Z".parse().unwrap(),
        targets: vec![target("web"), target("carts")],
        conditions: ConditionType::ALL.into_iter().map(condition).collect(),
        events: vec![],
    }
}

#[tokio::test]
async fn people_append_decisions_and_take_none_back() -> Result<()> {
    let testbed = Testbed::builder().shared().await?;
    let client = testbed.client()?;
    let namespace = testbed.namespace().await?;
    apply_file(&client, &repository("deploy/crds/ipa.dev.yaml"), None, "crd-test").await?;
    let proposal: DynamicObject = serde_json::from_value(sample("proposal")?)?;
    let proposals = api(&client, &namespace, &proposal).await?;
    let name = proposal.name_any();
    let mut object = proposals.create(&PostParams::default(), &proposal).await?;
    let decision = |by: &str, verdict: &str| json!({"by": by, "verdict": verdict, "digest": proposal.data["spec"]["digest"], "at": "2026-11-26T22:45:00Z"});

    object.data["spec"]["decisions"] = json!([decision("alice", "Approve")]);
    object = proposals.replace(&name, &PostParams::default(), &object).await?;
    object.data["spec"]["decisions"] = json!([decision("alice", "Approve"), decision("bob", "Reject")]);
    object = proposals.replace(&name, &PostParams::default(), &object).await?;

    for (what, decisions) in [
        ("taken back", json!([decision("alice", "Approve")])),
        ("changed", json!([decision("alice", "Reject"), decision("bob", "Reject")])),
        ("turned round", json!([decision("bob", "Reject"), decision("alice", "Approve")])),
        ("put before others", json!([decision("carol", "Reject"), decision("alice", "Approve"), decision("bob", "Reject")])),
    ] {
        let mut changed = object.clone();
        changed.data["spec"]["decisions"] = decisions;
        let refused = proposals.replace(&name, &PostParams::default(), &changed).await.err();
        let refused = refused.with_context(|| format!("a decision was {what}"))?.to_string();
        ensure!(refused.contains("decisions are append-only"), "{what}: {refused}");
    }
    Ok(())
}

#[tokio::test]
async fn the_accounts_of_each_mode_may_do_what_it_needs_and_no_more() -> Result<()> {
    let testbed = Testbed::builder().start().await?;
    let client = testbed.client()?;
    let review = async |account: &str, verb: &str, on: &str| -> Result<bool> {
        let (group, resource) = on.split_once('/').context("write GROUP/RESOURCE")?;
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:ipa-system:{account}")),
                resource_attributes: Some(ResourceAttributes {
                    namespace: Some("default".into()),
                    verb: Some(verb.into()),
                    group: Some(group.into()),
                    resource: Some(resource.into()),
                    subresource: Some(subresource.into()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let made = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
        Ok(made.status.context("the review has no answer")?.allowed)
    };
    let acting = [
        ("patch", "apps/deployments/scale"),
        ("patch", "apps/deployments"),
        ("patch", "/pods/resize"),
        ("patch", "karpenter.sh/nodepools"),
        ("create", "ipa.dev/scalingproposals"),
    ];
    let never = [
        ("delete", "apps/deployments"),
        ("delete", "/pods"),
        ("patch", "/pods"),
        ("get", "/secrets"),
        ("update", "ipa.dev/scalingproposals"),
        ("approve", "ipa.dev/scalingproposals"),
        ("patch", "ipa.dev/scalingguardrails"),
        ("update", "rbac.authorization.k8s.io/clusterroles"),
    ];

    let base = ["base/namespace.yaml", "base/service-accounts.yaml", "base/rbac-observe.yaml", "base/rbac-people.yaml"];
    for file in base {
        apply_yaml(&client, &std::fs::read_to_string(repository(&format!("deploy/{file}")))?, None, "crd-test").await?;
    }
    let known = || review("ipa-actuator", "list", "apps/deployments");
    crate::testbed::wait::wait_until("the observing role is in force", crate::testbed::READY_WITHIN, async || {
        ensure!(known().await?, "not yet");
        Ok(())
    })
    .await?;
    for (verb, on) in acting.iter().chain(&never) {
        ensure!(!review("ipa-actuator", verb, on).await?, "while observing, IPA may {verb} {on}");
    }
    ensure!(review("ipa-actuator", "patch", "ipa.dev/intelligentpodautoscalers/status").await?, "status cannot be written");

    for file in ["overlays/recommend/rbac-recommend.yaml", "overlays/recommend/rbac-act.yaml"] {
        apply_yaml(&client, &std::fs::read_to_string(repository(&format!("deploy/{file}")))?, None, "crd-test").await?;
    }
    crate::testbed::wait::wait_until("the acting role is in force", crate::testbed::READY_WITHIN, async || {
        for (verb, on) in acting {
            ensure!(review("ipa-actuator", verb, on).await?, "IPA may not {verb} {on}");
        }
        Ok(())
    })
    .await?;
    for (verb, on) in never {
        ensure!(!review("ipa-actuator", verb, on).await?, "IPA may {verb} {on}");
    }
    for (verb, on) in acting {
        ensure!(!review("ipa-planner", verb, on).await?, "the planner's account may {verb} {on}");
    }
    Ok(())
}
