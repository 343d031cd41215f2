//! What is asked in a tick: one question for each shipped template, and one for each distinct query of a namespace's teams, capped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::promql::{Injected, PromqlError};
use super::reduce::Feed;
use super::signals::{SHIPPED, Template, by_owner};
use crate::domain::limits::{CustomSignal, Group, SignalUse};
use crate::domain::names::GroupId;
use crate::domain::signal::SignalName;
use crate::service::Observe;

/// Most distinct custom queries of one namespace.
pub const MOST_CUSTOM_PER_NAMESPACE: usize = 20;
/// Most distinct custom queries of the installation.
pub const MOST_CUSTOM: usize = 200;
/// Most namespaces that a query is narrowed to by name; with more it asks for all.
const MOST_NAMESPACES_NAMED: usize = 100;

/// One query for all its targets together, and who takes its series.
#[derive(Clone, Debug)]
pub struct Question {
    /// Names it over time (`demand/istio`, `custom/shop/…`).
    pub id: Arc<str>,
    /// `PromQL`; `$window` is open in a shipped one.
    text: Arc<str>,
    /// Set for a custom one: the namespace it is held to.
    pub namespace: Option<Arc<str>>,
    /// Who takes its series.
    pub feeds: Vec<Feed>,
    template: Option<&'static Template>,
}

/// How a per-pod query is grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// As it is written.
    AsWritten,
    /// By the pods' owner.
    ByOwner,
}

impl Question {
    /// The shipped questions, in order of preference.
    #[must_use]
    pub fn shipped() -> Vec<Arc<Self>> {
        SHIPPED
            .iter()
            .map(|template| {
                Arc::new(Self {
                    id: format!("{}/{}", template.signal, template.source).into(),
                    text: template.query.into(),
                    namespace: None,
                    feeds: vec![Feed {
                        signal: template.signal.clone(),
                        source: template.source.into(),
                        role: template.role,
                        join: template.join,
                        aggregate: template.aggregate,
                        complete: template.complete,
                        targets: None,
                    }],
                    template: Some(template),
                })
            })
            .collect()
    }

    /// What teams ask for, one question for each distinct query of a namespace; and those that the caps leave out.
    #[must_use]
    pub fn custom(groups: &BTreeMap<GroupId, Group>) -> (Vec<Arc<Self>>, Vec<(GroupId, String)>) {
        let mut questions: BTreeMap<(Arc<str>, &str), Self> = BTreeMap::new();
        let (mut per_namespace, mut left_out) = (BTreeMap::<Arc<str>, usize>::new(), Vec::new());
        for (id, group) in groups.iter().filter(|(id, _)| !id.is_fleet()) {
            for signal in &group.signals {
                let key = (id.namespace.clone(), signal.query.as_str());
                if !questions.contains_key(&key) {
                    let used = per_namespace.entry(id.namespace.clone()).or_default();
                    if *used >= MOST_CUSTOM_PER_NAMESPACE || questions.len() >= MOST_CUSTOM {
                        left_out.push((id.clone(), signal.name.clone()));
                        continue;
                    }
                    *used += 1;
                }
                let question = questions.entry(key).or_insert_with(|| Self {
                    id: format!("custom/{}/{}", id.namespace, signal.query).into(),
                    text: signal.query.as_str().into(),
                    namespace: Some(id.namespace.clone()),
                    feeds: Vec::new(),
                    template: None,
                });
                question.feeds.push(custom_feed(group, signal));
            }
        }
        (questions.into_values().map(Arc::new).collect(), left_out)
    }

    /// Whether it can be grouped by owner.
    #[must_use]
    pub fn per_pod(&self) -> bool {
        self.template.is_some_and(Template::per_pod)
    }

    /// Whether the label its series are joined on stands on the scraped series.
    #[must_use]
    pub fn native(&self) -> bool {
        self.template.is_some_and(|t| t.native)
    }

    /// Which rate a shipped question of demand answers with; what a team's own counts is the team's affair.
    #[must_use]
    pub fn observe(&self) -> Option<Observe> {
        self.template.filter(|template| template.role == SignalUse::Demand).map(|template| template.observe)
    }

    /// The query as it is sent: with its window, the installation's matcher, and held to the namespaces it is for. A team's own query is
    /// held to its namespace by an equality in every selector, so it reads nobody else's series whatever it says.
    ///
    /// # Errors
    /// [`PromqlError`] when a team's query is no `PromQL` or cannot be rewritten.
    pub fn compile(
        &self,
        injected: &Injected,
        namespaces: &BTreeSet<&str>,
        window_s: u32,
        grouping: Grouping,
    ) -> Result<String, PromqlError> {
        let Some(template) = self.template else {
            let namespace = self.namespace.as_deref().unwrap_or_default();
            return injected.and_equal("namespace", namespace).inject_foreign(&self.text);
        };
        let mut text = self.text.replace("$window", &format!("{window_s}s"));
        if grouping == Grouping::ByOwner {
            text = by_owner(&text, template.aggregate);
        }
        match template.scope {
            Some(label) if namespaces.len() <= MOST_NAMESPACES_NAMED => {
                injected.and_one_of(label, namespaces.iter().copied())?.inject(&text)
            }
            _ => injected.inject(&text),
        }
    }
}

fn custom_feed(group: &Group, signal: &CustomSignal) -> Feed {
    Feed {
        signal: SignalName::Custom(signal.name.as_str().into()),
        source: format!("custom:{}", signal.name).into(),
        role: signal.role,
        join: signal.join,
        aggregate: signal.aggregate,
        complete: false,
        targets: Some(group.targets.iter().map(|t| t.key.clone()).collect()),
    }
}

impl Feed {
    /// Whether five weeks of hours are kept: what the signal says, and whatever replicas are sized for.
    #[must_use]
    pub fn keeps_coarse(&self) -> bool {
        self.signal.keeps_coarse() || self.role == SignalUse::Demand
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::domain::limits::{Aggregate, JoinKey};

    fn signal(name: &str, query: &str) -> CustomSignal {
        CustomSignal {
            name: name.into(),
            role: SignalUse::Leading,
            unit: "1".into(),
            query: query.into(),
            join: JoinKey::Workload,
            aggregate: Aggregate::Sum,
        }
    }

    #[test]
    fn one_query_of_a_namespace_is_asked_once_whoever_names_it() {
        let (mut groups, _) = testing::world(&[("shop", "web", 1), ("other", "web", 1)]);
        for group in groups.values_mut() {
            group.signals = vec![signal("a", "x"), signal("b", "x"), signal("c", "y")];
        }
        let (questions, left_out) = Question::custom(&groups);
        assert_eq!((questions.len(), left_out.len()), (4, 0));
        assert_eq!(questions.iter().filter(|q| q.feeds.len() == 2).count(), 2);
    }

    #[test]
    fn queries_beyond_the_caps_are_left_out_by_name() {
        let names: Vec<String> = (0..12).map(|n| format!("ns{n:02}")).collect();
        let targets: Vec<(&str, &str, u32)> = names.iter().map(|n| (n.as_str(), "web", 1)).collect();
        let (mut groups, _) = testing::world(&targets);
        for group in groups.values_mut() {
            group.signals = (0..25).map(|n| signal(&format!("s{n:02}"), &format!("m{n}"))).collect();
        }
        let (questions, left_out) = Question::custom(&groups);
        assert_eq!(questions.len(), MOST_CUSTOM);
        assert_eq!(left_out.len(), 12 * 25 - MOST_CUSTOM);
        assert_eq!(left_out[0], (GroupId::new("ns00", "all"), "s20".to_owned()));
    }

    #[test]
    fn fault_m04_a_teams_query_reads_its_own_namespace_alone() {
        let (mut groups, _) = testing::world(&[("shop", "web", 1)]);
        for group in groups.values_mut() {
            group.signals = vec![signal("a", r#"sum(x{namespace="secret"}) or quantile(scalar(y), z{a="}"}) # {namespace="other"}"#)];
        }
        let (questions, _) = Question::custom(&groups);
        let sent = questions[0].compile(&Injected::default(), &BTreeSet::new(), 60, Grouping::AsWritten).unwrap();
        assert_eq!(sent.matches(r#"namespace="shop""#).count(), 3, "{sent}");
    }

    #[test]
    fn shipped_queries_are_narrowed_to_the_targets_namespaces_where_the_label_is_sure() {
        let namespaces = BTreeSet::from(["shop", "we.ird"]);
        for question in Question::shipped() {
            let sent = question.compile(&Injected::default(), &namespaces, 120, Grouping::AsWritten).unwrap();
            assert!(!sent.contains('$') || sent.contains("\"$1\""), "{sent}");
            let scope = question.template.and_then(|t| t.scope);
            assert_eq!(scope.is_some(), sent.contains(r"we\\.ird"), "{sent}");
        }
    }
}
