//! Which selectors match a set of labels, found by index: ten thousand services and as many targets are not compared pair by pair.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};

/// Labels as objects carry them.
pub type Labels = BTreeMap<String, String>;

/// A selector that was read once. One that cannot be read matches nothing.
#[derive(Clone, Debug)]
pub struct LabelMatch {
    selector: Option<Selector>,
    /// One label the selector insists on, for the index.
    pivot: Option<(String, String)>,
}

impl LabelMatch {
    /// From a `LabelSelector`, where an empty one matches everything.
    pub fn from_selector(selector: &LabelSelector) -> Self {
        let pivot = selector.match_labels.iter().flatten().next().map(|(k, v)| (k.clone(), v.clone()));
        Self { selector: Selector::try_from(selector.clone()).ok(), pivot }
    }

    /// From plain labels (a Service's selector), where an empty one matches nothing.
    pub fn from_labels(labels: &Labels) -> Self {
        let pivot = labels.iter().next().map(|(k, v)| (k.clone(), v.clone()));
        Self { selector: (!labels.is_empty()).then(|| labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect()), pivot }
    }

    /// Whether it matches.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.selector.as_ref().is_some_and(|s| s.matches(labels))
    }
}

/// Things that select by label, by namespace and one label they insist on.
#[derive(Debug)]
pub struct SelectorIndex<'a, T> {
    /// By namespace, label key and value.
    by_label: BTreeMap<[&'a str; 3], Vec<Selecting<'a, T>>>,
    /// By namespace.
    without_label: BTreeMap<&'a str, Vec<Selecting<'a, T>>>,
}

/// A thing and what it selects.
type Selecting<'a, T> = (&'a LabelMatch, T);

impl<'a, T: Ord + Clone> SelectorIndex<'a, T> {
    /// Indexes `(namespace, selector, thing)`.
    pub fn new(entries: impl Iterator<Item = (&'a Arc<str>, &'a LabelMatch, T)>) -> Self {
        let mut index = Self { by_label: BTreeMap::new(), without_label: BTreeMap::new() };
        for (namespace, selector, thing) in entries {
            match &selector.pivot {
                Some((key, value)) => {
                    index.by_label.entry([namespace.as_ref(), key.as_str(), value.as_str()]).or_default().push((selector, thing));
                }
                None => index.without_label.entry(namespace.as_ref()).or_default().push((selector, thing)),
            }
        }
        index
    }

    /// Things of the namespace whose selectors match, in order.
    pub fn matching(&self, namespace: &str, labels: &Labels) -> Vec<T> {
        let insisting = labels.iter().filter_map(|(key, value)| self.by_label.get(&[namespace, key.as_str(), value.as_str()]));
        let mut found: Vec<T> = insisting
            .chain(self.without_label.get(namespace))
            .flatten()
            .filter(|(selector, _)| selector.matches(labels))
            .map(|(_, thing)| thing.clone())
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn an_empty_service_selector_matches_nothing_and_an_empty_label_selector_everything() {
        assert!(!LabelMatch::from_labels(&labels(&[])).matches(&labels(&[("app", "web")])));
        assert!(LabelMatch::from_selector(&LabelSelector::default()).matches(&labels(&[("app", "web")])));
    }

    #[test]
    fn the_index_finds_what_a_comparison_with_all_would_find() {
        let web = LabelMatch::from_labels(&labels(&[("app", "web")]));
        let web_blue = LabelMatch::from_labels(&labels(&[("app", "web"), ("colour", "blue")]));
        let any = LabelMatch::from_selector(&LabelSelector::default());
        let (shop, other): (Arc<str>, Arc<str>) = ("shop".into(), "other".into());
        let index = SelectorIndex::new([(&shop, &web, 1), (&shop, &web_blue, 2), (&other, &web, 3), (&shop, &any, 4)].into_iter());
        assert_eq!(index.matching("shop", &labels(&[("app", "web")])), vec![1, 4]);
        assert_eq!(index.matching("shop", &labels(&[("app", "web"), ("colour", "blue"), ("x", "y")])), vec![1, 2, 4]);
        assert_eq!(index.matching("elsewhere", &labels(&[("app", "web")])), Vec::<i32>::new());
    }
}
