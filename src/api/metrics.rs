//! `/metrics` in OpenMetrics text. Every value is one that the last tick published; what is not known is not exported.

use std::fmt::Error;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::App;
use super::error::ApiError;
use crate::domain::status::ConditionType;
use crate::tick::{GroupView, Published, TargetView, Totals};

/// Targets with series of their own, in the order of their names; beyond these a Prometheus is better asked for sums.
const MOST_TARGETS: usize = 2_000;

const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// `GET /metrics`
pub(super) async fn scrape(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(app.published())));
    let mut out = String::new();
    text::encode(&mut out, &registry)
        .map_err(|_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "failed to write metrics as text", "report this as a bug"))?;
    Ok(([(CONTENT_TYPE, CONTENT)], out).into_response())
}

/// One scrape of what was published.
#[derive(Debug)]
struct Scrape(Option<Arc<Published>>);

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut families = Families(encoder);
        let version = Labels::from([("version", env!("CARGO_PKG_VERSION").to_owned())]);
        families.write("ipa_build", "What is running", [(Labels::new(), Info::new(version))])?;
        let Some(published) = &self.0 else { return Ok(()) };
        totals(&mut families, &published.totals)?;
        targets(&mut families, published)?;
        model(&mut families, published)?;
        let pending = published.queue.iter().filter(|queued| !queued.closed && queued.decisions.is_empty()).count();
        families.gauge("ipa_approvals_pending", "Proposals that wait for a person", pending as f64)?;
        match fence_installed(published) {
            Some(installed) => families.gauge("ipa_fence_installed", "Whether the admission policy that fences IPA is there", installed),
            None => Ok(()),
        }
    }
}

fn totals(families: &mut Families, totals: &Totals) -> Result<(), Error> {
    families.counters("ipa_decisions", "Judged proposals by fate and by who wanted them", &["outcome", "origin"], &totals.decisions)?;
    families.counters("ipa_guardrail_verdicts", "Rulings by rule and verdict", &["rule", "verdict"], &totals.verdicts)?;
    families.counters("ipa_dialogues", "Dialogues with the model by how they ended", &["end"], &totals.dialogues)?;
    families.counters("ipa_port_failures", "Failures by the part of the world that failed", &["part"], &totals.failures)?;
    families.counter("ipa_ticks", "Ticks taken", totals.ticks)?;
    families.counter("ipa_ticks_late", "Ticks that began late or were left out", totals.late_ticks)?;
    families.counter("ipa_audit_records", "Entries appended to the ledger", totals.entries)?;
    families.gauge("ipa_tick_lateness_seconds", "How late the last tick began", totals.lateness_s)?;
    families.gauge("ipa_tick_duration_seconds", "How long the last tick took until its records were closed", totals.tick_s)
}

fn targets(families: &mut Families, published: &Published) -> Result<(), Error> {
    let each = || {
        let views = published.groups.iter().flat_map(|group| group.targets.iter().map(move |view| (group, view)));
        views.take(MOST_TARGETS)
    };
    let desired = each().map(|(group, view)| (labels(group, view), ConstGauge::new(view.desired)));
    families.write("ipa_desired_replicas", "Replicas the plan wants", desired)?;
    let shadow = each().filter_map(|(group, view)| Some((labels(group, view), ConstGauge::new(view.shadow_hpa?))));
    families.write("ipa_shadow_hpa_desired_replicas", "Replicas an HPA would ask for", shadow)
}

fn labels(group: &GroupView, view: &TargetView) -> Labels {
    vec![("namespace", view.target.namespace.to_string()), ("ipa", group.group.name.to_string()), ("target", view.target.kubectl_name())]
}

fn model(families: &mut Families, published: &Published) -> Result<(), Error> {
    let Some(model) = &published.model else { return Ok(()) };
    let open = match model.availability.as_str() {
        "BreakerOpen" => Some(1.0),
        "Available" | "BudgetSpent" => Some(0.0),
        _ => None,
    };
    if let Some(open) = open {
        families.gauge("ipa_llm_circuit_state", "Circuit breaker of the model: 0 closed, 1 open", open)?;
    }
    if let Some(tokens) = model.tokens_remaining {
        families.gauge("ipa_budget_tokens_remaining", "Tokens left in today's budget", tokens as f64)?;
    }
    // A script uses no tokens of anybody's; before the first call nothing is known.
    let usage = published.totals.usage;
    if model.played_by.is_some() || usage.calls == 0 {
        return Ok(());
    }
    let by_type = [("input", usage.prompt_tokens), ("output", usage.completion_tokens)].map(|(kind, tokens)| {
        let labels = vec![
            ("gen_ai_operation_name", "chat".to_owned()),
            ("gen_ai_request_model", model.model.clone()),
            ("gen_ai_token_type", kind.to_owned()),
        ];
        (labels, ConstCounter::new(tokens))
    });
    families.write("gen_ai_client_token_usage", "Tokens of the model, as it reported them", by_type)
}

/// Known when every group's condition says so or one says that it is not.
fn fence_installed(published: &Published) -> Option<f64> {
    let conditions = published.groups.iter().flat_map(|group| &group.conditions);
    let known: Vec<bool> = conditions.filter(|c| c.kind == ConditionType::FenceInstalled).filter_map(|c| c.status).collect();
    (!known.is_empty()).then(|| f64::from(u8::from(known.iter().all(|installed| *installed))))
}

/// Writes families; one without samples is left out.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn write<M: EncodeMetric>(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, M)>) -> Result<(), Error> {
        let mut samples = samples.into_iter().peekable();
        let Some(kind) = samples.peek().map(|(_, first)| first.metric_type()) else { return Ok(()) };
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, metric) in samples {
            metric.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        self.write(name, help, [(Labels::new(), ConstGauge::new(value))])
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        self.write(name, help, [(Labels::new(), ConstCounter::new(value))])
    }

    /// Counters whose keys hold their labels' values, joined with `/`.
    fn counters(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&'static str],
        counts: &std::collections::BTreeMap<String, u64>,
    ) -> Result<(), Error> {
        let samples = counts.iter().map(|(key, count)| {
            let values = key.split('/').map(str::to_owned);
            (labels.iter().copied().zip(values).collect(), ConstCounter::new(*count))
        });
        self.write(name, help, samples)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, published};
    use super::*;

    /// Names that dashboards, alerts and the reference rely on.
    const KNOWN: &[&str] = &[
        "gen_ai_client_token_usage_total",
        "ipa_approvals_pending",
        "ipa_audit_records_total",
        "ipa_budget_tokens_remaining",
        "ipa_build_info",
        "ipa_decisions_total",
        "ipa_desired_replicas",
        "ipa_dialogues_total",
        "ipa_fence_installed",
        "ipa_guardrail_verdicts_total",
        "ipa_llm_circuit_state",
        "ipa_port_failures_total",
        "ipa_shadow_hpa_desired_replicas",
        "ipa_tick_duration_seconds",
        "ipa_tick_lateness_seconds",
        "ipa_ticks_late_total",
        "ipa_ticks_total",
    ];

    async fn scraped(published: Option<Published>) -> String {
        let fixture = Fixture::new().await;
        fixture.publisher.send_replace(published.map(Arc::new));
        let answer = fixture.serve().get("/metrics").await;
        assert_eq!((answer.status, answer.header("content-type").as_str()), (200, CONTENT));
        answer.text
    }

    /// `name{labels} value` of every sample; panics on a line that is none.
    fn samples(text: &str) -> Vec<(String, String, f64)> {
        assert!(text.ends_with("# EOF\n"));
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').map_or((series, ""), |(n, l)| (n, l.strip_suffix('}').unwrap()));
                (name.to_owned(), labels.to_owned(), value.parse().unwrap())
            })
            .collect()
    }

    #[tokio::test]
    async fn a_scrape_holds_known_names_only_and_each_once_described() {
        let mut all = published();
        all.model.as_mut().unwrap().played_by = None;
        let text = scraped(Some(all)).await;
        let mut names: Vec<String> = samples(&text).into_iter().map(|(name, _, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names, KNOWN);
        let described: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let unique: std::collections::BTreeSet<&str> = described.iter().copied().collect();
        assert_eq!(described.len(), unique.len(), "a family is described once");
    }

    #[tokio::test]
    async fn values_are_those_of_the_tick() {
        let samples = samples(&scraped(Some(published())).await);
        let value = |name: &str, label: &str| samples.iter().find(|(n, l, _)| n == name && l.contains(label)).map(|(_, _, v)| *v);
        assert_eq!(value("ipa_decisions_total", r#"outcome="Applied",origin="Planner""#), Some(31.0));
        assert_eq!(value("ipa_guardrail_verdicts_total", r#"rule="StaleMetrics",verdict="Refuse""#), Some(2.0));
        assert_eq!(value("ipa_desired_replicas", r#"namespace="shop",ipa="front",target="deployments.apps/web""#), Some(7.0));
        assert_eq!(value("ipa_shadow_hpa_desired_replicas", "deployments.apps/web"), Some(5.0));
        assert_eq!(value("ipa_shadow_hpa_desired_replicas", "deployments.apps/cart"), None, "what an HPA would do is not known there");
        assert_eq!(value("ipa_approvals_pending", ""), Some(1.0));
        assert_eq!(value("ipa_llm_circuit_state", ""), Some(0.0));
        assert_eq!(value("ipa_fence_installed", ""), Some(1.0));
        assert_eq!(value("gen_ai_client_token_usage_total", ""), None, "a scripted expert uses nobody's tokens");
    }

    #[tokio::test]
    async fn what_is_not_known_is_not_exported() {
        let before = samples(&scraped(None).await);
        assert_eq!(before.iter().map(|(name, _, _)| name.as_str()).collect::<Vec<_>>(), ["ipa_build_info"]);
        let mut bare = published();
        bare.model = None;
        bare.groups.iter_mut().for_each(|group| group.conditions.clear());
        let text = scraped(Some(bare)).await;
        for name in
            ["ipa_llm_circuit_state", "ipa_budget_tokens_remaining", "gen_ai", "ipa_fence_installed", "ipa_leader", "verify_failures"]
        {
            assert!(!text.contains(name), "{name}");
        }
    }

    #[tokio::test]
    async fn hostile_names_stay_inside_their_labels_and_targets_are_bounded() {
        let mut hostile = published();
        let view = hostile.groups[0].targets[0].clone();
        hostile.groups[0].targets = (0..3_000)
            .map(|n| {
                let mut view = view.clone();
                view.target = crate::domain::names::TargetKey::deployment("shop", &format!("{n}\"}} 1\nipa_evil 1"));
                view
            })
            .collect();
        let text = scraped(Some(hostile)).await;
        assert!(!text.lines().any(|line| line.starts_with("ipa_evil")));
        assert_eq!(text.lines().filter(|line| line.starts_with("ipa_desired_replicas{")).count(), MOST_TARGETS);
    }
}
