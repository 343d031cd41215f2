//! Which target a person asks about, as far as it can be told without a model. What cannot be told is asked back.

use crate::domain::names::TargetKey;

/// The one of `known` targets that a question is about.
///
/// # Errors
/// A sentence that asks back, naming what could be asked.
pub fn understand(text: &str, known: &[TargetKey]) -> Result<TargetKey, String> {
    let words: Vec<String> = text
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/')))
        .map(|w| w.trim_matches(|c| c == '.' || c == '-').to_ascii_lowercase())
        .filter(|w| !w.is_empty())
        .collect();
    let whole: Vec<&TargetKey> = known.iter().filter(|key| words.iter().any(|w| w.parse().is_ok_and(|k: TargetKey| k == **key))).collect();
    let by_name: Vec<&TargetKey> = known.iter().filter(|key| words.iter().any(|w| *w == *key.name)).collect();
    let found = if whole.is_empty() { by_name } else { whole };
    match found[..] {
        [target] => Ok(target.clone()),
        [] if known.is_empty() => Err("no target is recorded yet: wait for the first tick".into()),
        [] => Err(format!("name a workload, for example \"why did you scale {}?\"; known: {}", known[0].name, names(known.iter()))),
        ref several => Err(format!("several workloads have that name, say which: {}", names(several.iter().copied()))),
    }
}

fn names<'a>(keys: impl Iterator<Item = &'a TargetKey>) -> String {
    let names: Vec<String> = keys.take(20).map(|k| format!("{}/{}", k.namespace, k.name)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_found_by_name_or_by_namespace_and_name() {
        let known = [TargetKey::deployment("shop", "web"), TargetKey::deployment("shop", "cart"), TargetKey::deployment("blog", "web")];
        let target = |text: &str| understand(text, &known);
        assert_eq!(target("Why did you scale cart?"), Ok(known[1].clone()));
        assert_eq!(target("why not blog/web"), Ok(known[2].clone()));
        assert!(target("why did web grow?").unwrap_err().contains("shop/web, blog/web"));
        assert!(target("approve request 7").unwrap_err().starts_with("name a workload"));
    }
}
