//! What is said to a model and what it answers, in no provider's dialect: the adapter translates. Serialisable, so that a dialogue can be
//! recorded and replayed.

use serde::{Deserialize, Serialize};

use crate::domain::record::{ToolAnswer, ToolCall};

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// Standing instructions.
    System {
        /// Text.
        text: String,
    },
    /// The brief, or a correction.
    User {
        /// Text.
        text: String,
    },
    /// What the model said.
    Assistant {
        /// Text; may be empty.
        text: String,
        /// Tool calls in order.
        calls: Vec<ToolCall>,
        /// The provider's own message, passed back unread (some servers need fields that only they know).
        opaque: Option<serde_json::Value>,
    },
    /// A tool's answer.
    Tool {
        /// The answer.
        answer: ToolAnswer,
    },
}

/// A tool as the model is told of it: the committed schema file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Name.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON Schema of its arguments.
    pub parameters: serde_json::Value,
}

/// One call of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// Tools it may call.
    pub tools: Vec<ToolSpec>,
    /// Most tokens of the answer.
    pub max_completion_tokens: u32,
}

/// About four bytes make a token in the prompts there are. Only used where a server has not counted, or before it can.
const BYTES_PER_TOKEN: usize = 4;

/// Tokens of so many bytes of text, estimated.
#[must_use]
pub const fn estimated_tokens(bytes: usize) -> u64 {
    (bytes / BYTES_PER_TOKEN) as u64
}

/// Tokens of a prompt, estimated from what it says and the tools it carries.
#[must_use]
pub fn estimated_prompt_tokens(messages: &[Message], tools: &[ToolSpec]) -> u64 {
    let messages = messages.iter().map(|message| match message {
        Message::System { text } | Message::User { text } => text.len(),
        Message::Assistant { text, calls, .. } => text.len() + calls.iter().map(|c| c.name.len() + c.arguments.len()).sum::<usize>(),
        Message::Tool { answer } => answer.content.len(),
    });
    let tools = tools.iter().map(|tool| tool.name.len() + tool.description.len() + tool.parameters.to_string().len());
    estimated_tokens(messages.chain(tools).sum())
}

/// A model's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelReply {
    /// Text; may be empty.
    pub text: String,
    /// Tool calls in order.
    pub calls: Vec<ToolCall>,
    /// How it ended.
    pub finish: FinishReason,
    /// Tokens, where the server counted.
    pub prompt_tokens: Option<u64>,
    /// Tokens, where the server counted.
    pub completion_tokens: Option<u64>,
    /// The model that answered.
    pub served_model: Option<String>,
    /// The provider's own message, to be passed back unread.
    pub opaque: Option<serde_json::Value>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FinishReason {
    /// Of itself.
    Stop,
    /// To call tools.
    ToolCalls,
    /// Cut off at the token cap: what it holds is never run.
    Length,
    /// Filtered or refused.
    Refused,
    /// Something else; taken as `Stop`.
    Other,
}

/// Why a model gave no answer. The classes are those of the provider table: each has one behaviour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ModelFailure {
    /// Passing trouble; retries within the deadline did not help.
    #[error("transient: {0}")]
    Transient(String),
    /// Out of money or quota: nobody retries this for a while.
    #[error("billing stopped: {0}")]
    BillingStopped(String),
    /// The key is not taken.
    #[error("authentication failed: {0}")]
    AuthFailed(String),
    /// The prompt is too long for the model.
    #[error("context too long: {0}")]
    ContextTooLong(String),
    /// No such model, or no such endpoint.
    #[error("model not found: {0}")]
    NotFound(String),
    /// The request was refused as malformed.
    #[error("protocol: {0}")]
    Protocol(String),
    /// The answer is not what the protocol says.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// No answer within the deadline.
    #[error("deadline passed")]
    Deadline,
    /// The server asked to wait for longer than the deadline allows: nobody asks before.
    #[error("rate limited: asked to wait {seconds} s")]
    RateLimited {
        /// Seconds from when the answer came.
        seconds: u64,
    },
    /// Not called: the circuit breaker is open.
    #[error("circuit breaker open")]
    BreakerOpen,
    /// Not called: the day's tokens are spent.
    #[error("token budget spent")]
    BudgetSpent,
}

impl ModelFailure {
    /// Machine reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Transient(_) => "Transient",
            Self::BillingStopped(_) => "BillingStopped",
            Self::AuthFailed(_) => "AuthFailed",
            Self::ContextTooLong(_) => "ContextTooLong",
            Self::NotFound(_) => "ModelNotFound",
            Self::Protocol(_) => "Protocol",
            Self::Malformed(_) => "MalformedAnswer",
            Self::Deadline => "Deadline",
            Self::RateLimited { .. } => "RateLimited",
            Self::BreakerOpen => "BreakerOpen",
            Self::BudgetSpent => "BudgetSpent",
        }
    }
}
