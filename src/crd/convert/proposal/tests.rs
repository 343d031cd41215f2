//! A proposal comes back from its custom resource as it went in, and a tampered one does not.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::fleet::CapacityType;
use crate::domain::limits::Provider;
use crate::domain::names::TargetKey;
use crate::domain::proposal::{
    Cause, Change, Finding, HeadroomChange, NodePoolChange, NodePoolDraft, Notify, ReplicasChange, ResourcesChange,
};
use crate::domain::resize::Through;
use crate::domain::review::{RuleId, Verdict};
use crate::domain::snapshot::DecisionVerdict;
use crate::domain::units::{Bytes, GoDuration, MicroUsd, Millicores};
use crate::domain::workload::{ContainerResources, Requirement, RequirementOperator, ResourceList, Taint};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn queued_with(change: Change) -> QueuedProposal {
    let digest = change.digest().unwrap();
    QueuedProposal {
        digest: digest.clone(),
        state_digest: Digest("a".repeat(64)),
        expires: at("2026-03-02T10:30:00Z"),
        decisions: vec![Decision { by: "alice".into(), verdict: DecisionVerdict::Approve, digest, at: at("2026-03-02T10:05:00Z") }],
        rulings: Vec::new(),
        closed: false,
        ended: None,
        proposal: Proposal {
            id: ProposalId("t812-planner-3".into()),
            group: GroupId::new("shop", "web"),
            origin: Origin::Planner,
            change,
            rationale: "demand doubles at noon".into(),
            evidence: vec![EvidenceId("w1.demand".into())],
            made: at("2026-03-02T10:00:00.123456Z"),
            cost_change_per_hour: Some(MicroUsd(-310_000)),
        },
    }
}

fn replicas(from: u32, to: u32) -> Change {
    Change::Replicas(ReplicasChange { target: TargetKey::deployment("shop", "web"), uid: "u1".into(), from, to })
}

/// As the API server would give it back: through JSON.
fn stored(object: &ScalingProposal) -> ScalingProposal {
    serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap()
}

#[test]
fn the_manifest_names_group_rules_and_phase() {
    let ruling = Ruling { rule: RuleId::Unusual, verdict: Verdict::Queue, compared: vec![], sentence: "12x the usual".into() };
    let object = manifest(&QueuedProposal { rulings: vec![ruling], ..queued_with(replicas(4, 48)) }, "shop");
    assert_eq!(object.labels()[IPA_LABEL], "web");
    assert_eq!(object.spec.summary, "replicas of shop/deployments.apps/web 4 -> 48");
    assert_eq!((object.spec.rulings[0].rule.as_str(), object.spec.rulings[0].verdict.as_str()), ("Unusual", "Queue"));
    let closed = closed_status("Stale", "the state is gone", at("2026-03-02T10:10:00Z"));
    assert_eq!((closed.phase, closed.since.as_str()), (Phase::Stale, "2026-03-02T10:10:00Z"));
    let ended = ScalingProposal { status: Some(closed), ..object };
    let read = queued(&ended).unwrap();
    assert_eq!((read.closed, read.ended.as_deref()), (true, Some("Stale")));
    let pending = ScalingProposalStatus { phase: Phase::Pending, reason: "AwaitingDecision".into(), ..ended.status.clone().unwrap() };
    let read = queued(&ScalingProposal { status: Some(pending), ..ended }).unwrap();
    assert_eq!((read.closed, read.ended), (false, None), "what waits has not ended, whatever its status says");
}

#[test]
fn a_change_that_was_altered_after_it_was_made_is_refused() {
    let mut object = manifest(&queued_with(replicas(4, 7)), "shop");
    object.spec.change.replicas.as_mut().unwrap().to = 70;
    assert_eq!(
        queued(&object).unwrap_err().to_string(),
        "spec.digest: it is not the digest of spec.change; reject this proposal, IPA did not write it"
    );
}

#[test]
fn a_change_of_two_kinds_or_none_is_refused() {
    let mut object = manifest(&queued_with(replicas(4, 7)), "shop");
    object.spec.change.replicas = None;
    assert_eq!(queued(&object).unwrap_err().path, "spec.change");
    let finding = Change::Finding(Finding { target: TargetKey::deployment("shop", "web"), cause: Cause::Leak, notify: Notify::Team });
    object = manifest(&queued_with(finding), "shop");
    object.spec.change.replicas = manifest(&queued_with(replicas(4, 7)), "shop").spec.change.replicas;
    assert_eq!(queued(&object).unwrap_err().path, "spec.change");
}

#[test]
fn long_words_are_cut_to_what_the_schema_takes() {
    let mut proposal = queued_with(replicas(4, 7));
    proposal.proposal.rationale = "ü".repeat(5_000);
    assert_eq!(manifest(&proposal, "shop").spec.rationale.chars().count(), 2_048);
}

fn changes() -> impl Strategy<Value = Change> {
    let key = ("[a-z]{1,8}", "[a-z]{0,8}", "[a-z]{1,8}", "[a-z]{1,8}").prop_map(|(n, g, r, o)| TargetKey::new(&n, &g, &r, &o));
    let cpu = || proptest::option::of((0u64..1_000_000).prop_map(Millicores));
    let memory = || proptest::option::of((0u64..=i64::MAX as u64).prop_map(Bytes));
    let resources = move || {
        (cpu(), cpu(), memory(), memory()).prop_map(|(cpu_request, cpu_limit, memory_request, memory_limit)| ContainerResources {
            cpu_request,
            cpu_limit,
            memory_request,
            memory_limit,
        })
    };
    let names = || proptest::collection::vec("[a-z0-9.]{1,10}".prop_map(|s| Arc::from(s.as_str())), 0..4);
    let operator = proptest::sample::select(vec![
        RequirementOperator::In,
        RequirementOperator::NotIn,
        RequirementOperator::Exists,
        RequirementOperator::DoesNotExist,
        RequirementOperator::Gt,
        RequirementOperator::Lt,
    ]);
    let requirement =
        ("[a-z/]{1,10}", operator, names()).prop_map(|(key, operator, values)| Requirement { key: key.as_str().into(), operator, values });
    let taint = ("[a-z]{1,5}", "[a-z]{0,5}").prop_map(|(key, value)| Taint {
        key: key.as_str().into(),
        value: value.as_str().into(),
        effect: "NoSchedule".into(),
    });
    let limits =
        (0u64..1_000_000, 0u64..=i64::MAX as u64, any::<u32>(), proptest::collection::btree_map("[a-z./]{1,9}", 0..=i64::MAX as u64, 0..3))
            .prop_map(|(cpu, memory, pods, extended)| ResourceList {
                cpu: Millicores(cpu),
                memory: Bytes(memory),
                pods,
                extended: extended.into_iter().map(|(name, amount)| (Arc::from(name.as_str()), amount)).collect(),
            });
    let draft = (
        names(),
        names(),
        proptest::collection::vec(requirement, 0..3),
        proptest::collection::vec(taint, 0..3),
        limits,
        1u32..=100,
        (0u64..3_000_000, 0u32..=100),
    )
        .prop_map(|(instance_types, zones, requirements, taints, limits, weight, (life, disruption_percent))| NodePoolDraft {
            name: "general".into(),
            instance_types,
            capacity_types: vec![CapacityType::Spot, CapacityType::OnDemand],
            zones,
            requirements,
            taints,
            limits,
            weight,
            expire_after: GoDuration::from_secs(life),
            disruption_percent,
        });
    prop_oneof![
        (key.clone(), any::<u32>(), any::<u32>()).prop_map(|(target, from, to)| Change::Replicas(ReplicasChange {
            target,
            uid: "u".into(),
            from,
            to
        })),
        (key.clone(), resources(), resources(), any::<bool>()).prop_map(|(target, from, to, through)| Change::Resources(ResourcesChange {
            target,
            uid: "u".into(),
            container: "app".into(),
            from,
            to,
            through: if through { Through::Pods } else { Through::Template },
        })),
        (draft, any::<bool>()).prop_map(|(draft, exists)| Change::NodePool(NodePoolChange {
            fleet: "main".into(),
            provider: Provider::Karpenter,
            draft,
            exists
        })),
        (key, 50u32..=99, 0u32..=1_440, 0i64..4_000_000_000).prop_map(|(target, quantile_percent, extra_lead_minutes, until)| {
            Change::Headroom(HeadroomChange { target, quantile_percent, extra_lead_minutes, until: Timestamp::from_second(until).unwrap() })
        }),
    ]
}

proptest! {
    #[test]
    fn what_was_queued_is_read_back_whole(change in changes()) {
        let before = queued_with(change);
        let after = queued(&stored(&manifest(&before, "shop")));
        prop_assert_eq!(after, Ok(before));
    }
}
