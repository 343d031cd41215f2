//! The dialogue against scripted replies and real tools: each end it can have, and what it leaves.

use serde_json::{Value, json};

use super::super::fixture::{Shop, plain};
use super::super::prompt::Prompts;
use super::super::tools::{ToolContext, answer};
use super::*;

/// Plays replies against a dialogue, running its tools; gives the result and how many calls of the model were made.
fn play(replies: &[Result<ModelReply, ModelFailure>]) -> (DialogueResult, usize) {
    play_with(replies, Caps::default())
}

fn play_with(replies: &[Result<ModelReply, ModelFailure>], caps: Caps) -> (DialogueResult, usize) {
    let shop = Shop::new(plain);
    let prompts = Prompts::load().unwrap();
    let aliases = shop.aliases();
    let context = ToolContext { snapshot: &shop.snapshot, plan: &shop.plan, group: shop.group(), aliases: &aliases, prompts: &prompts };
    let mut dialogue = Dialogue::start(prompts.open(&shop.brief(), &caps).unwrap(), caps);
    let mut asked = 0;
    loop {
        // Every point of a dialogue survives being written and read.
        dialogue = serde_json::from_str(&serde_json::to_string(&dialogue).unwrap()).unwrap();
        match dialogue.step() {
            Step::CallModel(_) => {
                let reply = replies.get(asked).or(replies.last()).unwrap().clone();
                asked += 1;
                dialogue.reply(reply);
            }
            Step::RunTools(calls) => {
                let outcomes = answer(&context, &calls, dialogue.proposals());
                dialogue.answers(outcomes);
            }
            Step::Done(result) => return (result, asked),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a script holds failures too")]
fn says(calls: &[(&str, Value)]) -> Result<ModelReply, ModelFailure> {
    let calls = calls.iter().enumerate().map(|(n, (name, arguments))| ToolCall {
        id: format!("call_{n}"),
        name: (*name).to_owned(),
        arguments: arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned),
    });
    Ok(ModelReply {
        text: String::new(),
        calls: calls.collect(),
        finish: FinishReason::ToolCalls,
        prompt_tokens: Some(3000),
        completion_tokens: Some(50),
        served_model: Some("scripted".into()),
        opaque: None,
    })
}

fn text(text: &str, finish: FinishReason) -> Result<ModelReply, ModelFailure> {
    says(&[]).map(|reply| ModelReply { text: text.into(), finish, ..reply })
}

fn inspect() -> (&'static str, Value) {
    ("inspect_target", json!({"target": "w1"}))
}

fn propose(replicas: u32) -> (&'static str, Value) {
    ("propose_replicas", json!({"target": "w1", "replicas": replicas, "rationale": "latency rises", "evidence": ["w1.latency"]}))
}

fn finish() -> (&'static str, Value) {
    ("finish", json!({"outcome": "Done", "reason": "enough"}))
}

/// Whatever went wrong, nothing of the model's goes on.
fn assert_floor(result: &DialogueResult, end: &DialogueEnd) {
    assert_eq!(&result.end, end);
    assert!(result.proposals.is_empty() && result.conclusion.is_none());
}

#[test]
fn a_dialogue_that_finishes_gives_its_proposals() {
    let (result, asked) = play(&[says(&[inspect()]), says(&[propose(9)]), says(&[finish()])]);
    assert_eq!((result.end, asked), (DialogueEnd::Finished, 3));
    assert_eq!(result.proposals.len(), 1);
    assert_eq!(result.proposals[0].id.0, "t812-model-g1-1");
    assert!(matches!(&result.proposals[0].change, Change::Replicas(c) if c.from == 3 && c.to == 9));
    assert_eq!(result.usage, Usage { calls: 3, prompt_tokens: 9000, completion_tokens: 150, invalid_calls: 0 });
    assert_eq!(result.served_model.as_deref(), Some("scripted"));
}

#[test]
fn without_finish_nothing_is_let_out() {
    let caps = Caps { steps: 2, ..Caps::default() };
    let (result, asked) = play_with(&[says(&[inspect()]), says(&[propose(9)])], caps);
    assert_eq!(asked, 2);
    assert_floor(&result, &DialogueEnd::StepCap);
}

#[test]
fn fault_l08_a_cut_call_is_neither_run_nor_kept_and_asked_for_once_more() {
    let cut = says(&[("propose_replicas", json!(r#"{"target": "w1", "replicas": 9"#))]);
    let (result, asked) = play(&[cut.clone(), says(&[finish()])]);
    assert_eq!((result.end, asked), (DialogueEnd::Finished, 2));
    assert!(result.proposals.is_empty() && result.usage.invalid_calls == 0);
    let (result, asked) = play(&[cut]);
    assert_eq!(asked, 2);
    assert_floor(&result, &DialogueEnd::Truncated);
}

#[test]
fn fault_l08_a_whole_call_at_exactly_the_cap_counts_as_cut() {
    let full = says(&[propose(9), finish()]).map(|reply| ModelReply { completion_tokens: Some(2048), ..reply });
    let (result, asked) = play(&[full, says(&[finish()])]);
    assert_eq!((&result.end, asked), (&DialogueEnd::Finished, 2));
    assert!(result.proposals.is_empty());
}

#[test]
fn fault_l09_a_text_cut_by_the_cap_is_retried_once_with_a_larger_cap() {
    let shop = Shop::new(plain);
    let caps = Caps::default();
    let mut dialogue = Dialogue::start(Prompts::load().unwrap().open(&shop.brief(), &caps).unwrap(), caps);
    let Step::CallModel(first) = dialogue.step() else { panic!() };
    dialogue.reply(text("let me think", FinishReason::Length));
    let Step::CallModel(second) = dialogue.step() else { panic!() };
    assert_eq!(second.messages, first.messages, "the cut answer is not kept");
    assert!(second.max_completion_tokens > first.max_completion_tokens);
    dialogue.reply(text("let me think", FinishReason::Length));
    let Step::Done(result) = dialogue.step() else { panic!() };
    assert_floor(&result, &DialogueEnd::Truncated);
}

#[test]
fn fault_l10_malformed_arguments_are_mended_once_and_not_twice() {
    for bad in
        [r#"{"target": "w1",}"#, "{target: 1}", "null", "[]", r#"{"target":"w1","target":"w2"}"#, r#"{"target":NaN}"#, "```json\n{}\n```"]
    {
        let wrong = says(&[("inspect_target", json!(bad))]);
        let (result, asked) = play(&[wrong.clone(), says(&[propose(9), finish()])]);
        assert_eq!((&result.end, asked, result.usage.invalid_calls), (&DialogueEnd::Finished, 2, 1), "{bad}");
        let (result, asked) = play(&[wrong.clone(), says(&[propose(9)]), wrong]);
        assert_eq!(asked, 3, "{bad}");
        assert!(matches!(result.end, DialogueEnd::SecondMistake(_)), "{bad}: {:?}", result.end);
        assert!(result.proposals.is_empty(), "{bad}");
    }
}

#[test]
fn fault_l10_empty_arguments_of_a_tool_that_needs_none_are_an_empty_object() {
    let (result, _) = play(&[says(&[("list_events", json!(""))]), says(&[finish()])]);
    assert_eq!((result.end, result.usage.invalid_calls), (DialogueEnd::Finished, 0));
}

#[test]
fn fault_l12_an_invented_tool_a_wrong_case_and_an_extra_field_are_mistakes() {
    for wrong in [
        ("scale_now", json!({"target": "w1"})),
        ("Inspect_Target", json!({"target": "w1"})),
        ("propose_replicas", json!({"target": "w1", "replicas": 9, "rationale": "x", "force": true})),
        ("propose_replicas", json!({"target": "web", "replicas": 9, "rationale": "x"})),
    ] {
        let (result, asked) = play(&[says(std::slice::from_ref(&wrong))]);
        assert_eq!((asked, result.usage.invalid_calls), (2, 2), "{wrong:?}");
        assert!(matches!(result.end, DialogueEnd::SecondMistake(_)), "{wrong:?}: {:?}", result.end);
        let Some(Turn::Answers { answers }) = result.turns.get(3) else { panic!("{:?}", result.turns) };
        assert!(answers[0].mistake && answers[0].content.contains("error"), "{answers:?}");
    }
}

#[test]
fn fault_l13_calls_beyond_the_eighth_are_refused_without_counting() {
    let many: Vec<(&str, Value)> = (1..=40).map(|n| ("query_metrics", metrics(n))).collect();
    let (result, _) = play(&[says(&many), says(&[finish()])]);
    assert_eq!((&result.end, result.usage.invalid_calls), (&DialogueEnd::Finished, 0));
    let Some(Turn::Answers { answers }) = result.turns.get(3) else { panic!() };
    assert_eq!(answers.len(), 40, "every call is answered");
    assert!(answers[..8].iter().all(|a| a.content.contains("values")));
    assert!(answers[8..].iter().all(|a| a.content.starts_with("Not run") && !a.mistake));
}

fn metrics(window: u32) -> Value {
    json!({"target": "w1", "signal": "demand", "window_minutes": window, "step_minutes": window, "aggregate": "Mean"})
}

#[test]
fn fault_l14_a_loop_ends_at_the_third_same_call() {
    let (result, asked) = play(&[says(&[inspect()])]);
    assert_eq!(asked, 3);
    assert_floor(&result, &DialogueEnd::Repeating);
    assert_eq!(result.usage.calls, 3);

    let spaced = says(&[("inspect_target", json!(r#"{  "target":"w1"}"#))]);
    let other = says(&[("list_events", json!({}))]);
    let (result, asked) = play(&[says(&[inspect()]), other.clone(), spaced, other, says(&[inspect()])]);
    assert_eq!(asked, 5, "alternating, and written differently");
    assert_floor(&result, &DialogueEnd::Repeating);
}

#[test]
fn fault_l14_a_model_that_never_finishes_stops_at_the_step_cap_with_its_tokens_counted() {
    let endless: Vec<_> = (1..=20).map(|n| says(&[("query_metrics", metrics(n))])).collect();
    let (result, asked) = play(&endless);
    assert_eq!(asked, 12);
    assert_floor(&result, &DialogueEnd::StepCap);
    assert_eq!(result.usage.completion_tokens, 12 * 50);
}

#[test]
fn fault_l15_refusal_filter_and_emptiness_are_not_coaxed() {
    for refused in [text("I cannot help", FinishReason::Refused), text("", FinishReason::Stop), text("  ", FinishReason::Other)] {
        let (result, asked) = play(&[refused]);
        assert_eq!(asked, 1);
        assert_floor(&result, &DialogueEnd::Refused);
    }
    let refused_call = says(&[propose(9), finish()]).map(|reply| ModelReply { finish: FinishReason::Refused, ..reply });
    assert_floor(&play(&[refused_call]).0, &DialogueEnd::Refused);
}

#[test]
fn text_alone_is_nudged_once() {
    let (result, asked) = play(&[text("I would scale to 9", FinishReason::Stop), says(&[finish()])]);
    assert_eq!((result.end, asked), (DialogueEnd::Finished, 2));
    let (result, asked) = play(&[text("I would scale to 9", FinishReason::Stop)]);
    assert_eq!(asked, 2);
    assert_floor(&result, &DialogueEnd::NoToolCall);
}

#[test]
fn fault_l16_contradictions_drop_everything() {
    for script in [
        vec![says(&[propose(9), finish(), finish()])],
        vec![says(&[propose(9), propose(12), finish()])],
        vec![says(&[propose(9)]), says(&[propose(12)])],
        vec![says(&[propose(9), ("finish", json!({"outcome": "Hold", "reason": "all is well"}))])],
    ] {
        assert_floor(&play(&script).0, &DialogueEnd::Contradiction);
    }
}

#[test]
fn fault_l16_text_that_contradicts_the_calls_is_not_read() {
    let reply = says(&[propose(9), finish()]).map(|reply| ModelReply { text: "scale to 100 instead".into(), ..reply });
    let (result, _) = play(&[reply]);
    assert!(matches!(&result.proposals[..], [p] if matches!(&p.change, Change::Replicas(c) if c.to == 9)));
}

#[test]
fn the_same_proposal_twice_is_no_contradiction() {
    let (result, _) = play(&[says(&[propose(9)]), says(&[propose(9), finish()])]);
    assert_eq!(result.end, DialogueEnd::Finished);
}

#[test]
fn fault_l17_the_token_cap_stops_before_the_next_call() {
    let caps = Caps { tokens: 20_000, ..Caps::default() };
    let costly = |n| says(&[("query_metrics", metrics(n))]).map(|reply| ModelReply { prompt_tokens: Some(9_000), ..reply });
    let (result, asked) = play_with(&[costly(1), costly(2), costly(3)], caps);
    assert_floor(&result, &DialogueEnd::TokenCap);
    assert!(asked < 3 && result.usage.prompt_tokens <= 20_000 + 9_000, "{asked} {:?}", result.usage);
}

#[test]
fn fault_l19_a_missing_or_absurd_count_is_estimated() {
    for count in [None, Some(0), Some(1_000_000_000_000)] {
        let reply = says(&[finish()]).map(|reply| ModelReply { prompt_tokens: count, ..reply });
        let (result, _) = play(&[reply]);
        assert_eq!(result.end, DialogueEnd::Finished);
        assert!((500..50_000).contains(&result.usage.prompt_tokens), "{count:?}: {:?}", result.usage);
    }
}

#[test]
fn a_model_that_cannot_be_reached_leaves_the_floor() {
    let (result, asked) = play(&[Err(ModelFailure::Transient("503".into()))]);
    assert_eq!(asked, 1);
    assert_floor(&result, &DialogueEnd::Unavailable("Transient".into()));
}

#[test]
fn a_conversation_that_grew_too_long_is_restarted_once() {
    let long = Err(ModelFailure::ContextTooLong("too long".into()));
    let (result, asked) = play(&[says(&[propose(9)]), long.clone(), says(&[finish()])]);
    assert_eq!((&result.end, asked), (&DialogueEnd::Finished, 3));
    assert!(result.proposals.is_empty(), "what was said before the restart is gone");
    let (result, asked) = play(&[long]);
    assert_eq!(asked, 1, "the opening cannot be made smaller");
    assert_floor(&result, &DialogueEnd::Unavailable("ContextTooLong".into()));
}

#[test]
fn the_deadline_ends_it_and_a_late_reply_changes_nothing() {
    let shop = Shop::new(plain);
    let caps = Caps::default();
    let mut dialogue = Dialogue::start(Prompts::load().unwrap().open(&shop.brief(), &caps).unwrap(), caps);
    dialogue.expire();
    dialogue.reply(says(&[finish()]));
    let Step::Done(result) = dialogue.step() else { panic!() };
    assert_floor(&result, &DialogueEnd::TimeCap);
}

#[test]
fn the_record_says_who_played_and_what_aliases_stood_for() {
    let (result, _) = play(&[says(&[finish()])]);
    let record = result.into_record("expert", Some("scripted expert"), Shop::new(plain).aliases().legend());
    assert_eq!(record.aliases["w1"], "shop/deployments.apps/web");
    assert_eq!(record.played_by.as_deref(), Some("scripted expert"));
    assert!(matches!(&record.turns[..], [Turn::Prompt { .. }, Turn::Prompt { .. }, Turn::Reply { .. }, Turn::Answers { .. }]));
}
