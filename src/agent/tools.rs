//! The fourteen tools a model may call, one a file. Reading tools answer from the snapshot alone; proposing tools leave a domain proposal;
//! none writes. The committed files of `tools/` are what is sent; a test holds that they are what the Rust types generate.

mod check_proposal;
mod finish;
mod forecast_demand;
mod inspect_target;
mod list_events;
mod list_instance_types;
mod propose_headroom;
mod propose_node_pool;
mod propose_replicas;
mod propose_resources;
mod query_metrics;
mod recall_decisions;
mod report_finding;
mod simulate_packing;

pub use finish::{Conclusion, FinishOutcome};

use jiff::Timestamp;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::aliases::{Aliases, TargetAlias};
use super::arguments;
use super::brief::judged;
use super::messages::ToolSpec;
use super::mistake::Mistake;
use super::prompt::Prompts;
use crate::domain::limits::{Group, GroupTarget};
use crate::domain::names::{EvidenceId, GroupId, ProposalId, TargetKey};
use crate::domain::plan::Plan;
use crate::domain::proposal::{Change, Origin, Proposal};
use crate::domain::record::{ToolAnswer, ToolCall};
use crate::domain::review::{Review, Verdict};
use crate::domain::snapshot::Snapshot;
use crate::domain::units::MicroUsd;
use crate::domain::workload::Workload;
use crate::guardrails;

/// What tools answer from.
#[derive(Clone, Copy, Debug)]
pub struct ToolContext<'a> {
    /// Everything that is known.
    pub snapshot: &'a Snapshot,
    /// The numeric plan.
    pub plan: &'a Plan,
    /// The group the dialogue is about.
    pub group: &'a Group,
    /// What the model calls things.
    pub aliases: &'a Aliases,
    /// The words for mistakes.
    pub prompts: &'a Prompts,
}

/// A tool's answer, and what it does to the dialogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolOutcome {
    /// What the model is told.
    pub answer: ToolAnswer,
    /// What follows.
    pub effect: Effect,
}

/// What a tool call does to the dialogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Nothing: it was a question.
    Read,
    /// A proposal is noted.
    Proposed(Box<Proposal>),
    /// The model is done.
    Finished(Conclusion),
    /// The call was wrong.
    Mistaken(Mistake),
}

/// What a tool gives before it is put into words.
enum Answer {
    Reading(Value),
    Proposing(Box<Wish>),
    Finishing(Conclusion),
}

/// A change that is wanted, before it has an id.
struct Wish {
    change: Change,
    rationale: String,
    evidence: Vec<EvidenceId>,
}

macro_rules! tools {
    ($($variant:ident = $module:ident;)*) => {
        /// Every tool there is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Tool {
            $(
                #[doc = concat!("`", stringify!($module), "`")]
                $variant,
            )*
        }

        impl Tool {
            /// All tools, in the order the model is told of them.
            pub const ALL: [Self; 14] = [$(Self::$variant),*];

            /// Name, as the model writes it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($module),)*
                }
            }

            /// The committed schema file: what is sent.
            #[must_use]
            pub const fn committed(self) -> &'static str {
                match self {
                    $(Self::$variant => include_str!(concat!("../../tools/", stringify!($module), ".json")),)*
                }
            }

            /// The schema as the Rust type generates it.
            #[must_use]
            pub fn generated(self) -> ToolSpec {
                match self {
                    $(Self::$variant => spec::<$module::Arguments>(self.name(), $module::DESCRIPTION),)*
                }
            }

            fn run(self, context: &ToolContext<'_>, noted: &[Proposal], text: &str) -> Result<Answer, Mistake> {
                match self {
                    $(Self::$variant => $module::run(context, noted, &arguments::read(text)?),)*
                }
            }
        }
    };
}
tools! {
    InspectTarget = inspect_target;
    QueryMetrics = query_metrics;
    ListEvents = list_events;
    ForecastDemand = forecast_demand;
    SimulatePacking = simulate_packing;
    ListInstanceTypes = list_instance_types;
    RecallDecisions = recall_decisions;
    CheckProposal = check_proposal;
    ProposeReplicas = propose_replicas;
    ProposeResources = propose_resources;
    ProposeHeadroom = propose_headroom;
    ProposeNodePool = propose_node_pool;
    ReportFinding = report_finding;
    Finish = finish;
}

/// Answers calls in order. `noted` are the proposals of earlier replies; those of earlier calls count for the later ones.
#[must_use]
pub fn answer(context: &ToolContext<'_>, calls: &[ToolCall], noted: &[Proposal]) -> Vec<ToolOutcome> {
    let mut noted = noted.to_vec();
    calls
        .iter()
        .map(|call| {
            let outcome = answer_one(context, call, &noted);
            if let Effect::Proposed(proposal) = &outcome.effect {
                noted.push((**proposal).clone());
            }
            outcome
        })
        .collect()
}

fn answer_one(from: &ToolContext<'_>, call: &ToolCall, noted: &[Proposal]) -> ToolOutcome {
    let tool = Tool::ALL.into_iter().find(|tool| tool.name() == call.name);
    let answer = tool.ok_or_else(|| Mistake::unknown_tool(&call.name)).and_then(|tool| tool.run(from, noted, &call.arguments));
    let (content, effect) = match answer {
        Ok(Answer::Reading(value)) => (value.to_string(), Effect::Read),
        Ok(Answer::Proposing(wish)) => {
            let proposal = from.proposal(*wish, noted);
            let told = json!({ "noted": proposal.id, "review": from.review(&proposal, noted) });
            (told.to_string(), Effect::Proposed(Box::new(proposal)))
        }
        Ok(Answer::Finishing(conclusion)) => (json!({ "done": true }).to_string(), Effect::Finished(conclusion)),
        Err(mistake) => {
            let told = json!({ "error": from.prompts.mistake(&call.name, &mistake) });
            (told.to_string(), Effect::Mistaken(mistake))
        }
    };
    let mistake = matches!(effect, Effect::Mistaken(_));
    ToolOutcome { answer: ToolAnswer { call: call.id.clone(), name: call.name.clone(), content, mistake }, effect }
}

impl ToolContext<'_> {
    fn now(&self) -> Timestamp {
        self.snapshot.at
    }

    /// Minutes since `at`, never negative.
    fn minutes_since(&self, at: Timestamp) -> i64 {
        self.now().duration_since(at).as_mins().max(0)
    }

    /// The alias that a question is narrowed to, once it is known to stand for something.
    fn only_target(&self, alias: Option<&TargetAlias>) -> Result<Option<String>, Mistake> {
        alias.map(|alias| self.aliases.target(alias).map(|_| alias.0.clone())).transpose()
    }

    /// A target as the cluster shows it and as its group names it.
    fn observed(&self, key: &TargetKey) -> Result<(&Workload, &GroupTarget), Mistake> {
        let named = self.group.targets.iter().find(|t| t.key == *key);
        let alias = self.aliases.of_target(key).unwrap_or_default();
        // A target that a group names and the cluster lacks has an alias, and nothing else.
        self.snapshot.workload(key).zip(named).ok_or_else(|| Mistake::unknown_name("target", &alias, "the other targets"))
    }

    fn proposal(&self, wish: Wish, noted: &[Proposal]) -> Proposal {
        let group = match &wish.change {
            Change::NodePool(pool) => GroupId::fleet(&pool.fleet),
            Change::Replicas(_) | Change::Resources(_) | Change::Headroom(_) | Change::Finding(_) => self.group.id.clone(),
        };
        let place = self.snapshot.facts.groups.keys().position(|id| *id == self.group.id).unwrap_or_default();
        Proposal {
            id: ProposalId(format!("{}-model-g{}-{}", self.snapshot.tick, place + 1, noted.len() + 1)),
            group,
            origin: Origin::Model,
            cost_change_per_hour: self.cost_change(&wish.change),
            change: wish.change,
            rationale: wish.rationale,
            evidence: wish.evidence,
            made: self.now(),
        }
    }

    /// What a change of replicas costs, at what the plan says one replica costs.
    fn cost_change(&self, change: &Change) -> Option<MicroUsd> {
        let Change::Replicas(replicas) = change else { return None };
        let planned = self.plan.targets.get(&replicas.target)?;
        let each = planned.cost_per_hour?.dollars() / f64::from(planned.replicas.max(1));
        MicroUsd::from_dollars(each * (f64::from(replicas.to) - f64::from(replicas.from)))
    }

    /// What review says of a proposal that follows `noted`, in brief.
    fn review(&self, proposal: &Proposal, noted: &[Proposal]) -> Value {
        let batch: Vec<Proposal> = noted.iter().chain([proposal]).cloned().collect();
        let reviews = guardrails::judge(self.snapshot, self.plan, &self.snapshot.memory.gate.commitments, &batch);
        let review = reviews.iter().find(|r| r.proposal == proposal.id);
        let view = judged(proposal, review);
        let becomes = review.filter(|r| r.verdict == Verdict::Clamp).and_then(becomes);
        json!({ "verdict": view.verdict, "rule": view.rule, "value": view.value, "limit": view.limit, "becomes_replicas": becomes })
    }
}

fn becomes(review: &Review) -> Option<u32> {
    match review.change.as_ref()? {
        Change::Replicas(replicas) => Some(replicas.to),
        Change::Resources(_) | Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => None,
    }
}

/// A schema in the form that function calling takes everywhere: inline, closed, without references or meta-data.
fn spec<T: JsonSchema>(name: &str, description: &str) -> ToolSpec {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    let mut parameters = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(schema) = parameters.as_object_mut() {
        schema.remove("title");
        schema.remove("description");
        schema.entry("properties").or_insert_with(|| json!({}));
    }
    plain(&mut parameters);
    ToolSpec { name: name.to_owned(), description: description.to_owned(), parameters }
}

/// Takes out what some servers refuse: formats they do not know, and `null` as a type of a field that may simply be left out.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove("format");
            if let Some(Value::Array(types)) = map.get("type").cloned() {
                let mut others = types.into_iter().filter(|t| t != "null");
                if let (Some(only), None) = (others.next(), others.next()) {
                    map.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(values)) = map.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            if let Some(Value::Array(choices)) = map.remove("anyOf") {
                let mut others: Vec<Value> = choices.into_iter().filter(|c| c.get("type") != Some(&json!("null"))).collect();
                match (others.pop(), others.is_empty()) {
                    (Some(Value::Object(only)), true) => {
                        for (key, value) in only {
                            map.entry(key).or_insert(value);
                        }
                    }
                    (last, _) => {
                        others.extend(last);
                        map.insert("anyOf".to_owned(), Value::Array(others));
                    }
                }
            }
            map.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
