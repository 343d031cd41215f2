//! `ipa tools`: the tools a model may call, as they are sent.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::output::{print_text, say};
use super::{Answer, Output};
use crate::agent::messages::ToolSpec;
use crate::agent::prompt::{PromptError, Prompts};

/// Print the tools that the model may call; with `--output json` their schemas as they are sent.
#[derive(Args, Debug)]
pub struct Tools {}

impl Tools {
    pub(super) fn run(output: Output) -> anyhow::Result<Answer> {
        match output {
            Output::Table => print_text(&as_text()?),
            Output::Json => say!("{}", as_json()?),
        }
        Ok(Answer::Yes)
    }
}

/// The tools as one JSON array of `{name, description, parameters}`: the committed schemas.
///
/// # Errors
/// [`PromptError`] when this binary's own files do not hold together.
fn as_json() -> Result<String, PromptError> {
    Ok(format!("{:#}", json!(Prompts::load()?.tools())))
}

/// The tools for people: name, what it does, and its fields; those that must be given are marked with `*`.
///
/// # Errors
/// [`PromptError`] when this binary's own files do not hold together.
fn as_text() -> Result<String, PromptError> {
    let prompts = Prompts::load()?;
    let mut out = String::new();
    for tool in prompts.tools() {
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "{}\n  {}", tool.name, tool.description);
        for (field, description) in fields(tool) {
            let _ = writeln!(out, "  {field:<28} {description}");
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{} tools; prompts and schemas {}", prompts.tools().len(), prompts.hash().short());
    Ok(out)
}

fn fields(tool: &ToolSpec) -> Vec<(String, &str)> {
    let required = tool.parameters.get("required").and_then(Value::as_array);
    let properties = tool.parameters.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let must = required.is_some_and(|names| names.iter().any(|required| required == name));
            (format!("{name}{}", if must { "*" } else { "" }), schema.get("description").and_then(Value::as_str).unwrap_or_default())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::tools::Tool;

    #[test]
    fn the_committed_schemas_are_what_the_types_generate() {
        for tool in Tool::ALL {
            let generated = format!("{}\n", serde_json::to_string_pretty(&tool.generated()).unwrap());
            let path = format!("{}/tools/{}.json", env!("CARGO_MANIFEST_DIR"), tool.name());
            if std::env::var_os("IPA_BLESS").is_some() {
                std::fs::write(&path, generated).unwrap();
                continue;
            }
            assert_eq!(tool.committed(), generated, "{path} is not what the type generates: run this with IPA_BLESS=1 and review it");
        }
    }

    #[test]
    fn all_tools_are_printed_as_they_are_sent() {
        let printed: Vec<ToolSpec> = serde_json::from_str(&as_json().unwrap()).unwrap();
        assert_eq!(printed, Prompts::load().unwrap().tools());
        let text = as_text().unwrap();
        assert!(text.contains("propose_replicas\n") && text.contains("  replicas* "), "{text}");
    }
}
