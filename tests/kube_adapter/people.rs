//! What people see and decide: status and events, the queue, and who may act.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ipa::adapters::kube::{KubeDecisions, KubeLease, KubeQueue, KubeStatus, LeaseSettings, Watches};
use ipa::crd::{IntelligentPodAutoscaler, ScalingProposal};
use ipa::domain::limits::{Mode, Modes};
use ipa::domain::names::{Digest, GroupId, ProposalId, TargetKey};
use ipa::domain::proposal::{Change, Origin, Proposal, ReplicasChange};
use ipa::domain::snapshot::{DecisionVerdict, QueuedProposal};
use ipa::domain::status::{Condition, ConditionType, GroupStatus, StatusEvent, StatusEventReason, TargetStatus};
use ipa::ports::{Cluster, Decisions, Lease, Queue, Status};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::{create, deployment, install_definitions, place};
use crate::testbed::apply::apply_yaml;
use crate::testbed::wait::wait_until;

const WITHIN: Duration = Duration::from_mins(1);

/// A group with one Deployment, watched.
async fn watched_group() -> Result<(Client, String, Arc<Watches>)> {
    let (client, namespace) = place().await?;
    install_definitions(&client).await?;
    create(&client, &namespace, &deployment("web", Some(2)), "kubectl-create").await?;
    let group = "
apiVersion: ipa.dev/v1alpha1
kind: IntelligentPodAutoscaler
metadata: {name: shop}
spec: {targets: [{ref: {name: web}, min: 1, max: 9}]}
";
    apply_yaml(&client, group, Some(&namespace), "kubectl").await?;
    let watches = Arc::new(Watches::start(client.clone()));
    let id = GroupId::new(&namespace, "shop");
    wait_until("the group is observed", WITHIN, async || {
        let facts = watches.observe(Timestamp::now()).await?;
        ensure!(facts.groups.contains_key(&id) && facts.workloads.len() == facts.workloads.len().max(1), "not yet");
        Ok(())
    })
    .await?;
    Ok((client, namespace, watches))
}

fn status(namespace: &str, uid: &str, at: Timestamp, desired: u32, note: &str) -> GroupStatus {
    let target = TargetKey::deployment(namespace, "web");
    GroupStatus {
        group: GroupId::new(namespace, "shop"),
        uid: uid.into(),
        observed_generation: 1,
        at,
        targets: vec![TargetStatus {
            target: target.clone(),
            modes: Modes::all(Mode::Observe),
            min: 1,
            max: 9,
            current: 2,
            desired,
            ready: 0,
            shadow_hpa: None,
            confidence: None,
            model: None,
            reason: "Forecast".into(),
            last_action: None,
            cost_per_hour: None,
        }],
        conditions: ConditionType::ALL
            .iter()
            .map(|kind| Condition { kind: *kind, status: Some(true), reason: "Test".into(), message: String::new() })
            .collect(),
        events: vec![StatusEvent { reason: StatusEventReason::HeldByGuardrail, warning: false, target: Some(target), note: note.into() }],
    }
}

#[tokio::test]
async fn fault_h10_status_is_written_when_it_says_something_new_and_events_once() -> Result<()> {
    let (client, namespace, watches) = watched_group().await?;
    let groups = Api::<IntelligentPodAutoscaler>::namespaced(client.clone(), &namespace);
    let uid = groups.get("shop").await?.uid().unwrap_or_default();
    let publisher = KubeStatus::new(client.clone(), watches.clone(), "ipa-0");
    let begin = Timestamp::now();
    let long_note = "ü".repeat(2000);

    publisher.publish(&[status(&namespace, &uid, begin, 5, &long_note)]).await?;
    let first = groups.get("shop").await?;
    let conditions = &first.status.as_ref().context("no status")?.conditions;
    ensure!(conditions.len() == ConditionType::ALL.len());
    ensure!(first.status.as_ref().and_then(|s| s.summary.as_ref()).is_some_and(|s| s.desired == 5));
    wait_until("the watch shows what was written", WITHIN, async || {
        // Publishing the same again writes nothing once the watch has caught up.
        publisher.publish(&[status(&namespace, &uid, begin + SignedDuration::from_mins(1), 5, &long_note)]).await?;
        let now = groups.get("shop").await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        publisher.publish(&[status(&namespace, &uid, begin + SignedDuration::from_mins(2), 5, &long_note)]).await?;
        ensure!(groups.get("shop").await?.resource_version() == now.resource_version(), "it was written again");
        Ok(())
    })
    .await?;

    let events = Api::<Event>::namespaced(client.clone(), &namespace).list(&ListParams::default()).await?;
    let ours: Vec<&Event> = events.items.iter().filter(|e| e.reporting_controller.as_deref() == Some("ipa.dev/ipa")).collect();
    let mut kinds: Vec<_> = ours.iter().filter_map(|e| e.regarding.as_ref()?.kind.clone()).collect();
    kinds.sort();
    ensure!(kinds == ["Deployment", "IntelligentPodAutoscaler"], "one on each, once: {kinds:?}");
    ensure!(ours.iter().all(|e| e.note.as_ref().is_some_and(|n| n.len() == 1024) && e.reason.as_deref() == Some("HeldByGuardrail")));
    Ok(())
}

fn queued(namespace: &str, id: &str, now: Timestamp) -> Result<QueuedProposal> {
    let change = Change::Replicas(ReplicasChange { target: TargetKey::deployment(namespace, "web"), uid: "u".into(), from: 2, to: 7 });
    Ok(QueuedProposal {
        digest: change.digest()?,
        state_digest: Digest::of(&"state")?,
        proposal: Proposal {
            id: ProposalId(id.into()),
            group: GroupId::new(namespace, "shop"),
            origin: Origin::Planner,
            change,
            rationale: "demand is rising".into(),
            evidence: vec![],
            made: now,
            cost_change_per_hour: None,
        },
        expires: now + SignedDuration::from_mins(30),
        rulings: Vec::new(),
        decisions: vec![],
        closed: false,
        ended: None,
    })
}

#[tokio::test]
async fn a_proposal_is_queued_once_decided_by_a_person_and_closed() -> Result<()> {
    let (client, namespace, watches) = watched_group().await?;
    let queue = KubeQueue::new(client.clone(), watches.clone(), &namespace);
    let now = Timestamp::now();
    // Names are unique over the cluster, so that a person need not say the namespace.
    let name = format!("t1-planner-{namespace}");
    let proposal = queued(&namespace, &name, now)?;
    queue.enqueue(&proposal).await?;
    let seen = async |settled: &dyn Fn(&QueuedProposal) -> bool| {
        wait_until("the queue is observed", WITHIN, async || {
            let facts = watches.observe(Timestamp::now()).await?;
            let found = facts.queue.into_iter().find(|q| q.proposal.id.0 == name).context("not in the queue")?;
            ensure!(settled(&found), "{found:?}");
            Ok(found)
        })
        .await
    };
    let found = seen(&|_| true).await?;
    ensure!(found.proposal.change == proposal.proposal.change && found.digest == proposal.digest && found.expires == proposal.expires);

    queue.enqueue(&queued(&namespace, &format!("{name}-again"), now)?).await?;
    let proposals = Api::<ScalingProposal>::namespaced(client.clone(), &namespace);
    let stored = proposals.list(&ListParams::default()).await?.items;
    ensure!(stored.len() == 1, "the same change is queued once");
    ensure!(stored[0].owner_references().first().is_some_and(|o| o.kind == "IntelligentPodAutoscaler" && o.name == "shop"));

    let decisions = KubeDecisions::of_caller(client.clone());
    let wrong = Digest::of(&"another change")?;
    ensure!(decisions.decide(&proposal.proposal.id, DecisionVerdict::Approve, &wrong, None, now).await.is_err(), "it names another change");
    let late = proposal.expires + SignedDuration::from_secs(1);
    ensure!(
        decisions.decide(&proposal.proposal.id, DecisionVerdict::Approve, &proposal.digest, None, late).await.is_err(),
        "it has lapsed"
    );
    decisions.decide(&proposal.proposal.id, DecisionVerdict::Approve, &proposal.digest, None, now).await?;
    let decided = seen(&|q| q.decisions.len() == 1).await?;
    ensure!(decided.decisions[0].by == "admin" && decided.decisions[0].verdict == DecisionVerdict::Approve, "{:?}", decided.decisions);

    queue.close(&decided, "Applied", "replicas 2 -> 7", now).await?;
    seen(&|q| q.closed).await?;
    let again = decisions.decide(&proposal.proposal.id, DecisionVerdict::Reject, &proposal.digest, None, now).await;
    ensure!(again.is_err_and(|e| e.to_string().contains("Applied")), "it has ended");
    for _ in 0..2 {
        queue.forget(&decided).await?;
    }
    wait_until("the proposal is cleared away", WITHIN, async || {
        ensure!(watches.observe(Timestamp::now()).await?.queue.iter().all(|q| q.proposal.id != decided.proposal.id), "not yet");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn one_of_two_leads_and_the_next_has_a_higher_epoch() -> Result<()> {
    let (client, namespace) = place().await?;
    let settings = |identity: &str| LeaseSettings {
        duration: Duration::from_secs(4),
        renew_every: Duration::from_millis(200),
        ..LeaseSettings::new(&namespace, "ipa-actuator", identity)
    };
    let leads = async |lease: &KubeLease| {
        wait_until("it leads", WITHIN, async || lease.epoch(Timestamp::now()).await.context("it does not lead")).await
    };
    let first = KubeLease::start(client.clone(), settings("a"));
    let epoch = leads(&first).await?;
    let second = KubeLease::start(client.clone(), settings("b"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    ensure!(second.epoch(Timestamp::now()).await.is_none(), "the first renews");
    ensure!(first.epoch(Timestamp::now() + SignedDuration::from_secs(2)).await == Some(epoch));
    ensure!(first.epoch(Timestamp::now() + SignedDuration::from_secs(5)).await.is_none(), "no longer than it is held");

    first.vacate().await;
    ensure!(first.epoch(Timestamp::now()).await.is_none());
    let next = leads(&second).await?;
    ensure!(next > epoch, "{next} after {epoch}");

    // A holder that just vanishes is waited out; a namesake of it is another one.
    drop(second);
    let third = KubeLease::start(client.clone(), settings("b"));
    ensure!(leads(&third).await? > next);
    Ok(())
}
