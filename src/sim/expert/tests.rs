//! The expert in whole dialogues, over what the demo's cluster shows: the real brief, the real tools, the real state machine.

use serde_json::{Value, json};

use super::*;
use crate::agent::aliases::Aliases;
use crate::agent::brief::Brief;
use crate::agent::dialogue::{Caps, Dialogue, DialogueResult, Step};
use crate::agent::prompt::Prompts;
use crate::agent::tools::{FinishOutcome, ToolContext, answer};
use crate::domain::memory::AskReason;
use crate::domain::names::{GroupId, ProposalId, TargetKey};
use crate::domain::plan::Plan;
use crate::domain::proposal::{Cause, Change, Origin, Proposal, ReplicasChange};
use crate::domain::record::{DialogueEnd, Turn};
use crate::domain::review::{Compared, Review, RuleId, Ruling, Verdict};
use crate::domain::snapshot::Snapshot;
use crate::sim::testing::{plan, snapshot};

/// A whole dialogue about a group. `check` is what `check_proposal` answers (null: what it does), `reviews` what the guardrails said of the plan's own proposals.
async fn talk(snapshot: &Snapshot, plan: &Plan, group: (&str, &str), check: Value, reviews: &[Review]) -> DialogueResult {
    let group = &snapshot.facts.groups[&GroupId::new(group.0, group.1)];
    let (prompts, aliases) = (Prompts::load().unwrap(), Aliases::new(snapshot, plan, group));
    let brief = Brief::new(snapshot, plan, group, &aliases, reviews, AskReason::LookTooOld);
    let mut dialogue = Dialogue::start(prompts.open(&brief, &Caps::default()).unwrap(), Caps::default());
    loop {
        match dialogue.step() {
            Step::CallModel(request) => dialogue.reply(Expert.complete(&request, Duration::from_secs(30)).await),
            Step::RunTools(calls) => {
                let context = ToolContext { snapshot, plan, group, aliases: &aliases, prompts: &prompts };
                let mut outcomes = answer(&context, &calls, dialogue.proposals());
                let checks = outcomes.iter_mut().filter(|outcome| outcome.answer.name == "check_proposal" && !check.is_null());
                checks.for_each(|outcome| outcome.answer.content = check.to_string());
                dialogue.answers(outcomes);
            }
            Step::Done(result) => {
                assert_eq!((&result.end, result.usage.invalid_calls), (&DialogueEnd::Finished, 0), "{:#?}", result.turns);
                return result;
            }
        }
    }
}

fn wanted(result: &DialogueResult) -> Vec<(String, String)> {
    let row = |proposal: &Proposal| {
        let what = match &proposal.change {
            Change::Replicas(c) => format!("{} -> {}", c.from, c.to),
            Change::Headroom(c) => format!("p{} +{}", c.quantile_percent, c.extra_lead_minutes),
            Change::Finding(c) => format!("{:?}", c.cause),
            other => panic!("{other:?}"),
        };
        (proposal.change.target().unwrap().name.to_string(), what)
    };
    result.proposals.iter().map(row).collect()
}

fn tools(result: &DialogueResult) -> Vec<String> {
    let calls = result.turns.iter().filter_map(|turn| match turn {
        Turn::Reply { calls, .. } => Some(calls.iter().map(|call| call.name.clone())),
        Turn::Prompt { .. } | Turn::Answers { .. } => None,
    });
    calls.flatten().collect()
}

fn conclusion(result: &DialogueResult) -> (FinishOutcome, &str) {
    let conclusion = result.conclusion.as_ref().unwrap();
    (conclusion.outcome, &conclusion.reason)
}

#[tokio::test]
async fn a_surge_that_the_outlook_does_not_know_is_met_by_replicas_where_the_guardrails_let_them_pass() {
    let snapshot = snapshot(5).await;
    let result = talk(&snapshot, &plan(&snapshot, 1.0), ("shop", "storefront"), json!({ "verdict": "Admit" }), &[]).await;
    assert!(tools(&result).starts_with(&["forecast_demand".into(), "forecast_demand".into(), "check_proposal".into()]));
    let frontend = wanted(&result).into_iter().find(|(name, _)| name == "frontend").unwrap();
    // 214 units/s become 2.4 times as many; a replica serves 40, and is wanted at three quarters of that.
    assert!(["8 -> 17", "8 -> 18"].contains(&&*frontend.1), "{frontend:?}");
    assert_eq!(conclusion(&result).0, FinishOutcome::Done);
}

#[tokio::test]
async fn replicas_that_a_guardrail_does_not_let_pass_become_headroom_and_it_says_so() {
    let snapshot = snapshot(5).await;
    let check = json!({ "verdict": "Clamp", "rule": "Step", "value": 10, "limit": 8, "becomes_replicas": 16 });
    let result = talk(&snapshot, &plan(&snapshot, 1.0), ("shop", "storefront"), check, &[]).await;
    assert!(wanted(&result).contains(&("frontend".into(), "p95 +5".into())), "{:?}", wanted(&result));
    let (outcome, reason) = conclusion(&result);
    assert!(outcome == FinishOutcome::Done && reason.contains("Step"), "{reason}");
}

#[tokio::test]
async fn a_surge_that_the_outlook_knows_gets_headroom_alone() {
    let snapshot = snapshot(5).await;
    let result = talk(&snapshot, &plan(&snapshot, 2.4), ("shop", "storefront"), json!({ "verdict": "Admit" }), &[]).await;
    assert!(!wanted(&result).is_empty() && wanted(&result).iter().all(|(_, what)| what == "p95 +5"), "{:?}", wanted(&result));
}

#[tokio::test]
async fn demand_that_breaks_down_while_cpu_goes_on_is_reported_as_a_lie() {
    let result = {
        let snapshot = snapshot(32).await;
        talk(&snapshot, &plan(&snapshot, 1.0), ("shop", "storefront"), Value::Null, &[]).await
    };
    assert_eq!(wanted(&result), [("inventory-api".into(), format!("{:?}", Cause::MetricFault))]);
    let (outcome, reason) = conclusion(&result);
    assert!(outcome == FinishOutcome::Hold && reason.contains("not believed"), "{reason}");
}

#[tokio::test]
async fn memory_that_grows_until_the_kill_is_reported_as_a_leak() {
    let snapshot = snapshot(59).await;
    let result = talk(&snapshot, &plan(&snapshot, 1.0), ("ml", "models"), Value::Null, &[]).await;
    assert_eq!(wanted(&result), [("image-resizer".into(), format!("{:?}", Cause::Leak))]);
    assert!(result.proposals[0].evidence.len() == 2, "the kill and the memory: {:?}", result.proposals[0].evidence);
}

/// The plan wants more orders workers, and their budget refuses it.
async fn refused(check: Value) -> DialogueResult {
    let snapshot = snapshot(25).await;
    let mut plan = plan(&snapshot, 1.0);
    let target = TargetKey::deployment("batch", "orders-worker");
    let id = ProposalId("t1-planner-1".into());
    let change = ReplicasChange { target: target.clone(), uid: snapshot.facts.workloads[&target].uid.clone(), from: 4, to: 9 };
    plan.proposals.push(Proposal {
        id: id.clone(),
        group: GroupId::new("batch", "orders"),
        origin: Origin::Planner,
        change: Change::Replicas(change),
        rationale: String::new(),
        evidence: Vec::new(),
        made: snapshot.at,
        cost_change_per_hour: None,
    });
    let ruling = Ruling {
        rule: RuleId::CostBudget,
        verdict: Verdict::Refuse,
        compared: vec![Compared { what: "dollars an hour".into(), value: 0.22, limit: 0.1 }],
        sentence: String::new(),
    };
    let review = Review { proposal: id, verdict: Verdict::Refuse, change: None, rulings: vec![ruling] };
    talk(&snapshot, &plan, ("batch", "orders"), check, &[review]).await
}

#[tokio::test]
async fn where_the_budget_refuses_the_plan_one_more_is_asked_for_if_it_passes() {
    let result = refused(json!({ "verdict": "Admit" })).await;
    assert_eq!(wanted(&result), [("orders-worker".into(), "4 -> 5".into())]);
    assert_eq!(conclusion(&result).0, FinishOutcome::Done);
}

#[tokio::test]
async fn where_not_even_one_more_passes_people_are_told() {
    let result = refused(json!({ "verdict": "Refuse", "rule": "CostBudget" })).await;
    assert_eq!(wanted(&result), [("orders-worker".into(), format!("{:?}", Cause::Capacity))]);
    let (outcome, reason) = conclusion(&result);
    assert!(outcome == FinishOutcome::Hold && reason.contains("CostBudget"), "{reason}");
}

#[tokio::test]
async fn where_nothing_stands_out_the_plan_is_left_alone() {
    let snapshot = snapshot(3).await;
    let result = talk(&snapshot, &plan(&snapshot, 1.0), ("ml", "assistant"), Value::Null, &[]).await;
    assert_eq!(tools(&result), ["inspect_target", "forecast_demand", "finish"]);
    assert_eq!((conclusion(&result).0, result.proposals.len()), (FinishOutcome::Hold, 0));
}

#[tokio::test]
async fn every_group_of_the_demo_can_be_talked_about_at_any_time() {
    for minutes in [0, 14, 20, 45] {
        let snapshot = snapshot(minutes).await;
        let plan = plan(&snapshot, 1.0);
        for group in snapshot.facts.groups.keys() {
            talk(&snapshot, &plan, (&group.namespace, &group.name), Value::Null, &[]).await;
        }
    }
}

#[test]
fn after_a_call_that_was_wrong_it_leaves_the_plan_alone() {
    use crate::domain::record::ToolAnswer;
    let call = ToolCall { id: "call-1-1".into(), name: "inspect_target".into(), arguments: "{}".into() };
    let wrong = ToolAnswer { call: call.id.clone(), name: call.name.clone(), content: "{}".into(), mistake: true };
    let messages = [
        Message::User { text: "w1 Deployment, replicas 2 desired, bounds 2 to 9".into() },
        Message::Assistant { text: String::new(), calls: vec![call], opaque: None },
        Message::Tool { answer: wrong },
    ];
    let (_, calls) = reply(&messages);
    assert_eq!(calls.iter().map(|call| &*call.name).collect::<Vec<_>>(), ["finish"]);
    assert!(calls[0].arguments.contains("Hold"));
}

#[test]
fn it_is_labelled_as_what_it_is() {
    assert_eq!(Expert.identity().played_by.as_deref(), Some("scripted expert"));
}
