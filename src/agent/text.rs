//! A model's words, made harmless before they are kept: bounded, on one line, without characters that cannot be seen. What they say is
//! never read by code.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use unicode_general_category::{GeneralCategory, get_general_category};

/// Most characters of a rationale or a reason: what an event and a page line can show.
pub const RATIONALE_CHARACTERS: usize = 500;

/// A reason in the model's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rationale(String);

impl Rationale {
    /// The words.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.clone()
    }
}

impl<'de> Deserialize<'de> for Rationale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = cleaned(&String::deserialize(deserializer)?, RATIONALE_CHARACTERS);
        if text.is_empty() { Err(serde::de::Error::custom("is empty: say why in a sentence")) } else { Ok(Self(text)) }
    }
}

impl JsonSchema for Rationale {
    fn schema_name() -> Cow<'static, str> {
        "Rationale".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "minLength": 1, "maxLength": RATIONALE_CHARACTERS})
    }
}

/// The text without control, format, private-use and unassigned characters, white space folded to single spaces, cut at `most` characters.
#[must_use]
pub fn cleaned(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut count = 0;
    for word in text.split(is_space).map(|word| word.chars().filter(|c| is_visible(*c))) {
        let mut word = word.peekable();
        if word.peek().is_some() && !out.is_empty() && count < most {
            out.push(' ');
            count += 1;
        }
        for character in word {
            if count == most {
                return out.trim_end().to_owned();
            }
            out.push(character);
            count += 1;
        }
    }
    out
}

fn is_space(character: char) -> bool {
    character.is_whitespace()
}

fn is_visible(character: char) -> bool {
    !matches!(
        get_general_category(character),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_cannot_be_seen_is_taken_out() {
        assert_eq!(cleaned("more\u{202e} re\u{200b}plicas\n\tnow\u{e0041}\u{7}", 100), "more replicas now");
        assert_eq!(cleaned("ä ö", 2), "ä");
        assert_eq!(cleaned("  \u{feff} ", 9), "");
    }

    proptest! {
        #[test]
        fn every_text_ends_bounded_visible_and_on_one_line(text in any::<String>(), most in 0usize..40) {
            let out = cleaned(&text, most);
            prop_assert!(out.chars().count() <= most);
            prop_assert!(out.chars().all(|c| c == ' ' || (is_visible(c) && !c.is_whitespace())));
            prop_assert_eq!(cleaned(&out, most), out);
        }
    }
}
