//! Every word the model is told, rendered from the reviewed files of `prompts/` and `tools/`, which are part of the binary. Templates are strict:
//! a value that is missing is an error, not a gap in a sentence.

use handlebars::Handlebars;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::brief::Brief;
use super::dialogue::Caps;
use super::messages::{Message, ToolSpec};
use super::mistake::Mistake;
use super::tools::Tool;
use crate::domain::names::Digest;

const TEMPLATES: [(&str, &str); 5] = [
    ("system", include_str!("../../prompts/system.hbs")),
    ("brief", include_str!("../../prompts/brief.hbs")),
    ("nudge", include_str!("../../prompts/nudge.hbs")),
    ("refused", include_str!("../../prompts/refused.hbs")),
    ("mistake", include_str!("../../prompts/mistake.hbs")),
];

/// The helper behind `{{shown x none="unset"}}`, in a module of its own: its macro makes a public type without documentation.
mod helpers {
    use serde_json::Value;

    handlebars::handlebars_helper!(shown: |value: Json, {none: str = "unknown"}| match value {
        Value::Null => none.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
}

/// The templates and schemas, compiled once.
#[derive(Debug)]
pub struct Prompts {
    templates: Handlebars<'static>,
    tools: Vec<ToolSpec>,
    hash: Digest,
}

/// What a dialogue begins with, and the fixed sentences it may need: all its words, so that the state machine needs no templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// System and brief.
    pub messages: Vec<Message>,
    /// Tools it may call.
    pub tools: Vec<ToolSpec>,
    /// Said once to a model that calls no tool.
    pub nudge: String,
    /// Answer to a call beyond what one reply may hold.
    pub refused: String,
}

/// A template or schema that does not hold together: a build that should not have been shipped.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// A template does not parse.
    #[error("failed to parse prompts/{name}.hbs")]
    Template {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<handlebars::TemplateError>,
    },
    /// A committed schema does not parse.
    #[error("failed to parse tools/{name}.json")]
    Schema {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A template asks for what its view does not have.
    #[error("failed to render prompts/{name}.hbs")]
    Render {
        /// Which.
        name: &'static str,
        /// What is missing.
        #[source]
        source: Box<handlebars::RenderError>,
    },
    /// The hash could not be taken.
    #[error("failed to digest prompts and schemas")]
    Digest(#[from] crate::domain::names::DigestError),
}

impl Prompts {
    /// Compiles what is in the binary.
    ///
    /// # Errors
    /// [`PromptError`] naming the file; a test holds that this binary's files have none.
    pub fn load() -> Result<Self, PromptError> {
        let mut templates = Handlebars::new();
        templates.set_strict_mode(true);
        // The prompt is text, not HTML; nothing a cluster wrote is in it.
        templates.register_escape_fn(handlebars::no_escape);
        templates.register_helper("shown", Box::new(helpers::shown));
        for (name, text) in TEMPLATES {
            templates.register_template_string(name, text).map_err(|source| PromptError::Template { name, source: Box::new(source) })?;
        }
        let tools: Vec<ToolSpec> = Tool::ALL
            .into_iter()
            .map(|tool| serde_json::from_str(tool.committed()).map_err(|source| PromptError::Schema { name: tool.name(), source }))
            .collect::<Result<_, _>>()?;
        let hash = Digest::of(&(TEMPLATES, &tools))?;
        Ok(Self { templates, tools, hash })
    }

    /// Digest of all templates and schemas: two dialogues with the same hash were told the same words.
    #[must_use]
    pub fn hash(&self) -> &Digest {
        &self.hash
    }

    /// The tools as the model is told of them.
    #[must_use]
    pub fn tools(&self) -> &[ToolSpec] {
        &self.tools
    }

    /// What a dialogue over `brief` begins with.
    ///
    /// # Errors
    /// [`PromptError::Render`] when a template asks for what its view does not have.
    pub fn open(&self, brief: &Brief, caps: &Caps) -> Result<Opening, PromptError> {
        Ok(Opening {
            messages: vec![
                Message::System { text: self.render("system", &json!({ "caps": caps }))? },
                Message::User { text: self.render("brief", brief)? },
            ],
            tools: self.tools.clone(),
            nudge: self.render("nudge", &json!({}))?,
            refused: self.render("refused", caps)?,
        })
    }

    /// What a model is told of a mistaken call: what was wrong, and the mend.
    #[must_use]
    pub fn mistake(&self, tool: &str, mistake: &Mistake) -> String {
        let names: Vec<&str> = self.tools.iter().map(|t| t.name.as_str()).collect();
        let properties = self.tools.iter().find(|t| t.name == tool).and_then(|t| t.parameters.get("properties")).and_then(Value::as_object);
        let fields: Vec<&str> = properties.map(|p| p.keys().map(String::as_str).collect()).unwrap_or_default();
        let mut view = serde_json::to_value(mistake).unwrap_or_default();
        if let Some(view) = view.as_object_mut() {
            view.insert("tool".to_owned(), Value::from(tool));
            view.insert("tools".to_owned(), Value::from(names.join(", ")));
            view.insert("fields".to_owned(), Value::from(fields.join(", ")));
        }
        // Every kind is rendered in a test; the machine reason is the answer if a template is ever broken.
        self.render("mistake", &view).unwrap_or_else(|_| mistake.reason())
    }

    fn render(&self, name: &'static str, view: &impl Serialize) -> Result<String, PromptError> {
        let text = self.templates.render(name, view).map_err(|source| PromptError::Render { name, source: Box::new(source) })?;
        Ok(text.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::brief::MOST_TARGETS;
    use super::super::fixture::{Shop, hostile, plain};
    use super::*;

    fn prompt(shop: &Shop) -> String {
        let opening = Prompts::load().unwrap().open(&shop.brief(), &Caps::default()).unwrap();
        opening
            .messages
            .iter()
            .map(|message| match message {
                Message::System { text } | Message::User { text } => format!("{text}\n"),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
            .join("\n----\n\n")
    }

    #[test]
    fn the_rendered_prompt_is_reviewed() {
        insta::assert_snapshot!(prompt(&Shop::new(plain)));
    }

    #[test]
    fn fault_c01_no_text_of_the_cluster_enters_the_prompt() {
        let rendered = prompt(&Shop::new(hostile));
        assert!(!rendered.to_lowercase().contains("canary"), "{rendered}");
    }

    #[test]
    fn fault_c02_fault_c04_a_hostile_cluster_is_told_in_the_same_bytes_as_its_twin() {
        assert_eq!(prompt(&Shop::new(hostile)), prompt(&Shop::new(plain)));
    }

    #[test]
    fn the_prompt_changes_with_what_was_measured() {
        let mut shop = Shop::new(plain);
        let before = prompt(&shop);
        shop.workload("web").replicas.ready = 1;
        assert_ne!(prompt(&shop), before);
    }

    #[test]
    fn the_prompt_is_bounded_whatever_the_cluster() {
        let shop = Shop::with_targets(plain, 2000);
        let rendered = prompt(&shop);
        assert!(rendered.len() < 24_000, "{} bytes", rendered.len());
        assert!(rendered.contains(&format!("{} more targets", 2000 - MOST_TARGETS)));
    }

    #[test]
    fn every_kind_of_mistake_is_answered_with_the_field_and_the_mend() {
        let prompts = Prompts::load().unwrap();
        let told = |mistake: Mistake| prompts.mistake("propose_replicas", &mistake);
        insta::assert_snapshot!(
            [
                told(Mistake::unknown_tool("scale_now")),
                told(Mistake::not_json("replicas", "trailing comma at line 1 column 15")),
                told(Mistake::field("force", "unknown field `force`")),
                told(Mistake::unknown_name("target", "web", "w1 to w3")),
                told(Mistake::unknown_name("evidence", "e999", "")),
                told(Mistake::out_of_range("window_minutes", 0, "1 to 50400 minutes")),
            ]
            .join("\n")
        );
    }

    #[test]
    fn the_hash_is_stable() {
        assert_eq!(Prompts::load().unwrap().hash(), Prompts::load().unwrap().hash());
    }
}
