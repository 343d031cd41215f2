//! One dialogue with a model as a state machine without I/O: it says "call the model with this" or "run these tools", and the driver does it.
//! It knows no clock; the driver holds the deadline and calls [`Dialogue::expire`]. Serialisable at every point, so that a dialogue can be
//! replayed from a snapshot and recorded replies.
//!
//! Only a dialogue that ends by `finish` gives its proposals; every other end drops them, and the plan goes on alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::arguments::is_cut;
use super::messages::{FinishReason, Message, ModelFailure, ModelReply, ModelRequest, estimated_prompt_tokens, estimated_tokens};
use super::prompt::Opening;
use super::tools::{Conclusion, Effect, FinishOutcome, ToolOutcome};
use crate::domain::proposal::{Change, Proposal};
use crate::domain::record::{DialogueEnd, DialogueRecord, ToolAnswer, ToolCall, Turn, Usage};

/// A call is run twice at most: the third of the same kind is a loop.
const SAME_CALL_RUNS: u32 = 2;

/// How much larger the answer of the one retry after a cut may be.
const RETRY_CAP_FACTOR: u32 = 2;

/// What one dialogue may use. Wall time is the driver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Caps {
    /// Most calls of the model.
    pub steps: u32,
    /// Most tokens, prompts and completions together.
    pub tokens: u64,
    /// Most tokens of one completion.
    pub completion_tokens: u32,
    /// Most tool calls of one reply that are run.
    pub calls_per_reply: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { steps: 12, tokens: 100_000, completion_tokens: 2048, calls_per_reply: 8 }
    }
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Call the model, then [`Dialogue::reply`].
    CallModel(ModelRequest),
    /// Run these tools, then [`Dialogue::answers`].
    RunTools(Vec<ToolCall>),
    /// It is over.
    Done(DialogueResult),
}

/// What came of a dialogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DialogueResult {
    /// How it ended.
    pub end: DialogueEnd,
    /// What the model wants; empty unless it finished.
    pub proposals: Vec<Proposal>,
    /// What it said in `finish`; absent unless it finished.
    pub conclusion: Option<Conclusion>,
    /// All turns.
    pub turns: Vec<Turn>,
    /// The model that answered, where it said so.
    pub served_model: Option<String>,
    /// Tokens and calls.
    pub usage: Usage,
}

/// A dialogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dialogue {
    caps: Caps,
    opening: Opening,
    messages: Vec<Message>,
    turns: Vec<Turn>,
    usage: Usage,
    served_model: Option<String>,
    proposals: Vec<Proposal>,
    conclusion: Option<Conclusion>,
    calls_seen: BTreeMap<String, u32>,
    once: Once,
    state: State,
}

/// What may happen once in a dialogue, and whether it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "four independent allowances, each used up once")]
struct Once {
    mistake: bool,
    nudge: bool,
    larger_cap: bool,
    restart: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Asking,
    Running { calls: Vec<ToolCall>, refused: Vec<ToolCall> },
    Done(DialogueEnd),
}

impl Dialogue {
    /// Begins a dialogue.
    #[must_use]
    pub fn start(opening: Opening, caps: Caps) -> Self {
        let turns = opening.messages.iter().filter_map(prompt_turn).collect();
        let mut dialogue = Self {
            caps,
            messages: opening.messages.clone(),
            opening,
            turns,
            usage: Usage::default(),
            served_model: None,
            proposals: Vec::new(),
            conclusion: None,
            calls_seen: BTreeMap::new(),
            once: Once::default(),
            state: State::Asking,
        };
        dialogue.ask();
        dialogue
    }

    /// What is to be done next. Asking twice changes nothing.
    #[must_use]
    pub fn step(&self) -> Step {
        match &self.state {
            State::Asking => Step::CallModel(self.request()),
            State::Running { calls, .. } => Step::RunTools(calls.clone()),
            State::Done(end) => Step::Done(self.result(end)),
        }
    }

    /// What the model proposed so far: later tool calls are answered, and numbered, after these.
    #[must_use]
    pub fn proposals(&self) -> &[Proposal] {
        &self.proposals
    }

    /// Takes what the model answered, or why it did not. Ignored unless a model call is open: a reply that comes late changes nothing.
    pub fn reply(&mut self, reply: Result<ModelReply, ModelFailure>) {
        if self.state != State::Asking {
            return;
        }
        match reply {
            Ok(reply) => self.take(reply),
            Err(failure) => self.fail(&failure),
        }
    }

    /// Takes what the tools answered, one outcome a call that [`Step::RunTools`] named. Ignored unless tools are open.
    pub fn answers(&mut self, outcomes: Vec<ToolOutcome>) {
        let State::Running { calls, refused } = std::mem::replace(&mut self.state, State::Asking) else { return };
        let mut answers: Vec<ToolAnswer> = Vec::with_capacity(calls.len() + refused.len());
        let mut mistakes = Vec::new();
        let mut finishes = Vec::new();
        for outcome in outcomes {
            match outcome.effect {
                Effect::Read => {}
                Effect::Proposed(proposal) => self.proposals.push(*proposal),
                Effect::Finished(conclusion) => finishes.push(conclusion),
                Effect::Mistaken(mistake) => mistakes.push(mistake.reason()),
            }
            answers.push(outcome.answer);
        }
        let unanswered = calls.len() != answers.len() || calls.iter().zip(&answers).any(|(call, answer)| call.id != answer.call);
        answers.extend(refused.into_iter().map(|call| ToolAnswer {
            call: call.id,
            name: call.name,
            content: self.opening.refused.clone(),
            mistake: false,
        }));
        self.messages.extend(answers.iter().map(|answer| Message::Tool { answer: answer.clone() }));
        self.turns.push(Turn::Answers { answers });

        self.usage.invalid_calls += u32::try_from(mistakes.len()).unwrap_or(u32::MAX);
        if unanswered {
            return self.end(DialogueEnd::Unavailable("ToolsUnanswered".to_owned()));
        }
        for reason in mistakes {
            if self.once.mistake {
                return self.end(DialogueEnd::SecondMistake(reason));
            }
            self.once.mistake = true;
        }
        if finishes.len() > 1 || contradict(&self.proposals, finishes.first()) {
            return self.end(DialogueEnd::Contradiction);
        }
        if let Some(conclusion) = finishes.pop() {
            self.conclusion = Some(conclusion);
            return self.end(DialogueEnd::Finished);
        }
        self.ask();
    }

    /// Ends the dialogue because the driver's deadline has passed.
    pub fn expire(&mut self) {
        if !matches!(self.state, State::Done(_)) {
            self.end(DialogueEnd::TimeCap);
        }
    }

    /// Asks (again), if steps and tokens allow it.
    fn ask(&mut self) {
        self.state = State::Asking;
        if self.usage.calls >= self.caps.steps {
            self.end(DialogueEnd::StepCap);
        } else if self.tokens_used() + self.estimated_prompt() >= self.caps.tokens {
            self.end(DialogueEnd::TokenCap);
        }
    }

    fn end(&mut self, end: DialogueEnd) {
        self.state = State::Done(end);
    }

    fn tokens_used(&self) -> u64 {
        self.usage.prompt_tokens.saturating_add(self.usage.completion_tokens)
    }

    fn estimated_prompt(&self) -> u64 {
        estimated_prompt_tokens(&self.messages, &self.opening.tools)
    }

    fn completion_cap(&self) -> u32 {
        let factor = if self.once.larger_cap { RETRY_CAP_FACTOR } else { 1 };
        self.caps.completion_tokens.saturating_mul(factor)
    }

    fn request(&self) -> ModelRequest {
        ModelRequest { messages: self.messages.clone(), tools: self.opening.tools.clone(), max_completion_tokens: self.completion_cap() }
    }

    fn take(&mut self, reply: ModelReply) {
        self.count(&reply);
        self.turns.push(Turn::Reply { text: reply.text.clone(), calls: reply.calls.clone() });
        if reply.served_model.is_some() {
            self.served_model.clone_from(&reply.served_model);
        }
        if reply.finish == FinishReason::Refused || (reply.text.trim().is_empty() && reply.calls.is_empty() && !self.is_truncated(&reply)) {
            return self.end(DialogueEnd::Refused);
        }
        if self.is_truncated(&reply) {
            // Neither run nor kept: the same question once more, with more room.
            if std::mem::replace(&mut self.once.larger_cap, true) {
                return self.end(DialogueEnd::Truncated);
            }
            return self.ask();
        }
        if reply.calls.is_empty() {
            if std::mem::replace(&mut self.once.nudge, true) {
                return self.end(DialogueEnd::NoToolCall);
            }
            self.messages.push(Message::Assistant { text: reply.text, calls: Vec::new(), opaque: reply.opaque });
            let nudge = Message::User { text: self.opening.nudge.clone() };
            self.turns.extend(prompt_turn(&nudge));
            self.messages.push(nudge);
            return self.ask();
        }
        for call in &reply.calls {
            let seen = self.calls_seen.entry(identity_of(call)).or_default();
            *seen += 1;
            if *seen > SAME_CALL_RUNS {
                return self.end(DialogueEnd::Repeating);
            }
        }
        let mut calls = reply.calls.clone();
        let refused = calls.split_off(calls.len().min(self.caps.calls_per_reply));
        self.messages.push(Message::Assistant { text: reply.text, calls: reply.calls, opaque: reply.opaque });
        self.state = State::Running { calls, refused };
    }

    fn fail(&mut self, failure: &ModelFailure) {
        self.usage.calls += 1;
        let mendable = matches!(failure, ModelFailure::ContextTooLong(_) | ModelFailure::Protocol(_));
        // A conversation that grew too long, or that the server no longer understands, is dropped once; the opening is the least there is.
        if mendable && self.messages.len() > self.opening.messages.len() && !std::mem::replace(&mut self.once.restart, true) {
            self.messages.clone_from(&self.opening.messages);
            self.proposals.clear();
            self.calls_seen.clear();
            return self.ask();
        }
        self.end(DialogueEnd::Unavailable(failure.reason().to_owned()));
    }

    fn is_truncated(&self, reply: &ModelReply) -> bool {
        reply.finish == FinishReason::Length
            || reply.completion_tokens.is_some_and(|tokens| tokens >= u64::from(self.completion_cap()))
            || reply.calls.iter().any(|call| is_cut(&call.arguments))
    }

    /// Counts a call; where the server counted nothing, or nonsense, an estimate stands in.
    fn count(&mut self, reply: &ModelReply) {
        let completion = reply.calls.iter().map(|c| c.arguments.len() + c.name.len()).sum::<usize>() + reply.text.len();
        self.usage.calls += 1;
        self.usage.prompt_tokens += believable(reply.prompt_tokens, self.estimated_prompt());
        self.usage.completion_tokens += believable(reply.completion_tokens, estimated_tokens(completion));
    }

    fn result(&self, end: &DialogueEnd) -> DialogueResult {
        let finished = *end == DialogueEnd::Finished;
        DialogueResult {
            end: end.clone(),
            proposals: if finished { self.proposals.clone() } else { Vec::new() },
            conclusion: self.conclusion.clone().filter(|_| finished),
            turns: self.turns.clone(),
            served_model: self.served_model.clone(),
            usage: self.usage,
        }
    }
}

impl DialogueResult {
    /// The whole dialogue as it is kept. `legend` says what the aliases stand for.
    #[must_use]
    pub fn into_record(self, model: &str, played_by: Option<&str>, legend: BTreeMap<String, String>) -> DialogueRecord {
        DialogueRecord {
            model: model.to_owned(),
            served_model: self.served_model,
            played_by: played_by.map(str::to_owned),
            aliases: legend,
            turns: self.turns,
            end: self.end,
            usage: self.usage,
        }
    }
}

fn prompt_turn(message: &Message) -> Option<Turn> {
    match message {
        Message::System { text } => Some(Turn::Prompt { role: "system".to_owned(), text: text.clone() }),
        Message::User { text } => Some(Turn::Prompt { role: "user".to_owned(), text: text.clone() }),
        Message::Assistant { .. } | Message::Tool { .. } => None,
    }
}

/// What makes two calls the same: the tool and its arguments, however they are written.
fn identity_of(call: &ToolCall) -> String {
    let arguments = serde_json::from_str::<serde_json::Value>(&call.arguments).map(|value| value.to_string());
    format!("{} {}", call.name, arguments.unwrap_or_else(|_| call.arguments.trim().to_owned()))
}

/// Two different proposals of one kind for one object, or a hold beside a change that writes.
fn contradict(proposals: &[Proposal], conclusion: Option<&Conclusion>) -> bool {
    let differ = |a: &Change, b: &Change| match (a, b) {
        (Change::Replicas(a), Change::Replicas(b)) => a.target == b.target && a != b,
        (Change::Resources(a), Change::Resources(b)) => a.target == b.target && a.container == b.container && a != b,
        (Change::NodePool(a), Change::NodePool(b)) => a.draft.name == b.draft.name && a != b,
        (Change::Headroom(a), Change::Headroom(b)) => a.target == b.target && a != b,
        (Change::Finding(a), Change::Finding(b)) => a.target == b.target && a.cause != b.cause,
        (Change::Replicas(_) | Change::Resources(_) | Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_), _) => false,
    };
    let holds = conclusion.is_some_and(|c| c.outcome == FinishOutcome::Hold);
    let pairs = proposals.iter().enumerate().any(|(at, a)| proposals[..at].iter().any(|b| differ(&a.change, &b.change)));
    pairs || (holds && proposals.iter().any(|p| !matches!(p.change, Change::Finding(_))))
}

/// A server's count, unless it is missing or off by more than an order of magnitude: then the estimate.
fn believable(counted: Option<u64>, estimate: u64) -> u64 {
    counted.filter(|tokens| *tokens > 0 && *tokens <= estimate.saturating_mul(16).saturating_add(8192)).unwrap_or(estimate)
}

#[cfg(test)]
mod tests;
