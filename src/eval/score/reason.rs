//! Where a policy does worst, and by what: which part of the objective it loses to `hpa-tuned`, in words.

use std::sync::Arc;

use super::super::policy::Policy;
use super::super::suite::Suite;
use super::super::value::Value;
use super::super::words;
use super::Case;

/// A case in which a policy does badly.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// Name of the incident.
    pub incident: Arc<str>,
    /// Price of a bad minute.
    pub price: u32,
    /// Share of the distance from `hpa-tuned` to `oracle-rate`.
    pub gap_closed: f64,
    /// By what it loses.
    pub reason: String,
}

/// The scored cases of a price in which `policy` closes least of the gap, worst first, `most` of them.
#[must_use]
pub fn worst(suite: &Suite, cases: &[Case], policy: Policy, price: u32, most: usize) -> Vec<Worst> {
    let scored = cases.iter().filter(|case| case.price == price && case.is_scored());
    let mut worst: Vec<Worst> = scored
        .filter_map(|case| {
            let gap_closed = case.gap_closed(policy, Policy::OracleRate)?;
            let reason = reason(case, policy)?;
            Some(Worst { incident: suite.incidents[case.incident].name.clone(), price, gap_closed, reason })
        })
        .collect();
    worst.sort_by(|a, b| a.gap_closed.total_cmp(&b.gap_closed).then_with(|| a.incident.cmp(&b.incident)));
    worst.truncate(most);
    worst
}

/// By what `policy` differs from `hpa-tuned`, the parts that lose first, in percent of what `hpa-tuned` comes to.
fn reason(case: &Case, policy: Policy) -> Option<String> {
    let (own, tuned) = (case.total(policy)?, case.total(Policy::HpaTuned)?);
    let percent = |part: fn(&Value) -> f64| 100.0 * (part(&own) - part(&tuned)) / tuned.objective;
    let mut parts =
        [("for replicas", percent(|v| v.paid)), ("for bad requests", percent(|v| v.bad)), ("for restarts", percent(|v| v.restarts))];
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut said: Vec<String> = Vec::new();
    if case.failed.contains(&policy) {
        said.push("did what is forbidden".to_owned());
    }
    said.extend(
        parts
            .iter()
            .filter(|(_, percent)| percent.abs() >= 0.5)
            .map(|(what, percent)| format!("{}{:.0}\u{a0}% {what}", if *percent < 0.0 { "−" } else { "+" }, percent.abs())),
    );
    if said.is_empty() {
        said.push("no part differs by half a percent".to_owned());
    }
    let share = |value: &Value| words::percent((value.arrived_work > 0.0).then(|| value.bad_work / value.arrived_work));
    Some(format!("{} (bad {}, hpa-tuned {})", said.join(", "), share(&own), share(&tuned)))
}
