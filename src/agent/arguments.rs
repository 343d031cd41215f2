//! Arguments of a tool call, read strictly: one JSON object, every field known and of its type, nothing before, after or twice. Nothing is
//! repaired; what is cut off is told apart from what is wrong, since a cut call must never run.

use serde::de::{DeserializeOwned, IgnoredAny};

use super::mistake::Mistake;

/// Longest arguments read, in bytes: ten times what the widest tool needs.
const MOST_BYTES: usize = 16 * 1024;

/// Reads the arguments of a tool. Empty text stands for `{}`, which some servers send for a tool without arguments.
///
/// # Errors
/// [`Mistake`] naming the field.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Mistake> {
    let text = if text.trim().is_empty() { "{}" } else { text.trim() };
    if text.len() > MOST_BYTES {
        return Err(Mistake::not_json("arguments", "longer than 16 KiB"));
    }
    if text.starts_with("```") {
        return Err(Mistake::not_json("arguments", "a code fence around the JSON"));
    }
    if !text.starts_with('{') {
        return Err(Mistake::not_json("arguments", "not a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let arguments = serde_path_to_error::deserialize(&mut reader).map_err(|error| mistake(text, &error))?;
    reader.end().map_err(|_| Mistake::not_json("arguments", "text after the JSON object"))?;
    Ok(arguments)
}

/// Whether the text is the beginning of JSON that stops before its end, as a token cap leaves it.
#[must_use]
pub fn is_cut(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && serde_json::from_str::<IgnoredAny>(text).is_err_and(|error| error.is_eof())
}

fn mistake(text: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Mistake {
    let problem = error.inner().to_string();
    let path = error.path().to_string();
    // `missing field` and `unknown field` name the field themselves, between back-ticks; the path then ends at the object around it.
    let named = problem
        .split('`')
        .nth(1)
        .filter(|_| ["missing field", "unknown field", "duplicate field"].iter().any(|beginning| problem.starts_with(beginning)));
    let field = match (path.as_str(), named) {
        ("." | "?", Some(name)) => name.to_owned(),
        ("." | "?", None) => last_key(text, error.inner()).unwrap_or("arguments").to_owned(),
        (path, Some(name)) if !path.ends_with(name) => format!("{path}.{name}"),
        (path, _) => path.to_owned(),
    };
    if error.inner().is_data() { Mistake::field(&field, &problem) } else { Mistake::not_json(&field, &problem) }
}

/// The last key before the place where the syntax broke.
fn last_key<'a>(text: &'a str, error: &serde_json::Error) -> Option<&'a str> {
    if error.is_data() {
        return None;
    }
    let line_start = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    let before = text.get(..line_start + error.column().saturating_sub(1))?;
    let (key, _) = before.rsplit_once("\":")?;
    key.rsplit('"').next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        target: String,
        replicas: u32,
        share: Option<f64>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    fn field(text: &str) -> String {
        match read::<Wanted>(text).unwrap_err() {
            Mistake::NotJSON { field, .. } | Mistake::Field { field, .. } => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fault_l10_malformed_arguments_are_refused_and_the_field_is_named() {
        for (text, named) in [
            (r#"{"target": "w1", "replicas": 5,}"#, "replicas"),
            (r#"{target: "w1", replicas: 5}"#, "arguments"),
            ("null", "arguments"),
            ("[1]", "arguments"),
            (r#"{"target": "w1", "replicas": 5, "replicas": 50}"#, "replicas"),
            (r#"{"target": "w1", "replicas": 5, "share": NaN}"#, "share"),
            (r#"{"target": "w1", "replicas": 5, "share": 1e309}"#, "share"),
            (r#"{"target": "w1", "replicas": 1e309}"#, "replicas"),
            (r#"{"target": "w1", "replicas": 5} and more"#, "arguments"),
            ("```json\n{\"target\": \"w1\", \"replicas\": 5}\n```", "arguments"),
            (r#"{"target": "w1", "replicas": "5"}"#, "replicas"),
            (r#"{"target": "w1", "replicas": -1}"#, "replicas"),
            (r#"{"target": "w1", "replicas": 3.5}"#, "replicas"),
            (r#"{"target": "w1", "replicas": 4294967296}"#, "replicas"),
            (r#"{"target": "w1"}"#, "replicas"),
            (r#"{"target": "w1", "replicas": 5, "force": true}"#, "force"),
            ("", "target"),
        ] {
            let found = field(text);
            assert!(found.contains(named), "{text} named {found}");
        }
        assert_eq!(read::<Nothing>(""), Ok(Nothing {}));
        assert_eq!(read::<Wanted>(r#" {"target": "w1", "replicas": 5} "#), Ok(Wanted { target: "w1".into(), replicas: 5, share: None }));
    }

    #[test]
    fn what_is_cut_is_told_apart_from_what_is_wrong() {
        let whole = r#"{"target": "w1", "replicas": 5}"#;
        for end in 1..whole.len() {
            assert!(is_cut(&whole[..end]), "{}", &whole[..end]);
        }
        assert!(!is_cut(whole) && !is_cut("") && !is_cut("{replicas:5}") && !is_cut(r#"{"replicas": 5,}"#));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{{\"target\":{}{}}}", "[".repeat(7000), "]".repeat(7000));
        assert!(read::<Wanted>(&deep).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = read::<Wanted>(&text);
            let _ = is_cut(&text);
        }
    }
}
