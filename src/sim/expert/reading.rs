//! Reads the brief as a model would: the lines it knows, and nothing into those it does not.

use std::collections::BTreeMap;

use crate::agent::messages::Message;

/// What the expert takes from the brief.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) surge: Option<Surge>,
    pub(super) targets: Vec<Target>,
    pub(super) events: Vec<Event>,
}

/// An announced surge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Surge {
    pub(super) percent: f64,
    pub(super) starts_in_minutes: f64,
    pub(super) minutes: f64,
}

/// One target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Target {
    pub(super) alias: String,
    pub(super) desired: u32,
    pub(super) most: u32,
    /// Whether more replicas may be proposed at all.
    pub(super) may_grow: bool,
    pub(super) signals: BTreeMap<String, Row>,
    pub(super) plan: Option<Planned>,
    /// The plan's own change of replicas that was refused, and by which rule.
    pub(super) refused: Option<Refused>,
}

/// One signal of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) now: Option<f64>,
    pub(super) max_60m: Option<f64>,
    pub(super) day_ago: Option<f64>,
    pub(super) faulty: bool,
}

/// The plan for a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Planned {
    pub(super) quantile_percent: Option<f64>,
    pub(super) capacity: Option<f64>,
}

/// A refused change of replicas.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refused {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) rule: String,
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) target: String,
    pub(super) reason: String,
}

impl Reading {
    /// Reads the first user message of a conversation.
    pub(super) fn of(messages: &[Message]) -> Self {
        let brief = messages.iter().find_map(|message| match message {
            Message::User { text } => Some(text.as_str()),
            Message::System { .. } | Message::Assistant { .. } | Message::Tool { .. } => None,
        });
        let mut reading = Self::default();
        for line in brief.unwrap_or_default().lines() {
            reading.take(line);
        }
        reading
    }

    fn take(&mut self, line: &str) {
        if line.starts_with("Announced surge:") {
            self.surge = self.surge.or_else(|| surge(line));
        } else if let Some(target) = target(line) {
            self.targets.push(target);
        } else if let Some(event) = event(line) {
            self.events.push(event);
        } else if let Some(detail) = line.strip_prefix("  ")
            && let Some(target) = self.targets.last_mut()
        {
            target.take(detail);
        }
    }
}

impl Target {
    fn take(&mut self, line: &str) {
        if line.starts_with("another autoscaler") {
            self.may_grow = false;
        } else if line.starts_with("plan:") {
            self.plan = Some(Planned { quantile_percent: number(line, "at p"), capacity: number(line, "one replica serves ") });
        } else if let Some(change) = line.strip_prefix("the plan proposes Replicas ") {
            self.refused = self.refused.take().or_else(|| refused(change));
        } else if let Some((name, values)) = line.split_once(" [").filter(|(name, _)| !name.contains(' ')) {
            let row = Row {
                now: number(values, "now "),
                max_60m: number(values, "max 60 min "),
                day_ago: number(values, "a day ago "),
                faulty: values.contains("SAMPLES FAULTY"),
            };
            self.signals.insert(name.to_owned(), row);
        }
    }

    /// A signal; one that is not told has no values.
    pub(super) fn signal(&self, name: &str) -> Row {
        self.signals.get(name).copied().unwrap_or_default()
    }
}

fn surge(line: &str) -> Option<Surge> {
    Some(Surge { percent: number(line, "surge: ")?, starts_in_minutes: number(line, "starts in ")?, minutes: number(line, "lasts ")? })
}

/// `w1 Deployment, criticality …, replicas 8 desired, …`
fn target(line: &str) -> Option<Target> {
    let alias = line.split(' ').next().filter(|word| is_alias(word, "w"))?;
    Some(Target {
        alias: alias.to_owned(),
        desired: number(line, ", replicas ")? as u32,
        most: number(line.split_once(", bounds ")?.1, " to ")? as u32,
        may_grow: !line.contains("mode up Observe"),
        ..Target::default()
    })
}

/// `ev3 w1 OOMKilling x2, newest 5 min ago`
fn event(line: &str) -> Option<Event> {
    let mut words = line.split(' ');
    let (id, target, reason) = (words.next()?, words.next()?, words.next()?);
    let known = is_alias(id, "ev") && is_alias(target, "w");
    known.then(|| Event { id: id.to_owned(), target: target.to_owned(), reason: reason.to_owned() })
}

/// `4 -> 7; review: Refuse by CostBudget (…)`
fn refused(change: &str) -> Option<Refused> {
    let rule = change.split_once("review: Refuse by ")?.1.split([' ', '(']).next()?;
    Some(Refused { from: number(change, "")?, to: number(change, "-> ")?, rule: rule.to_owned() })
}

fn is_alias(word: &str, prefix: &str) -> bool {
    word.strip_prefix(prefix).is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The number right behind a phrase.
fn number(text: &str, phrase: &str) -> Option<f64> {
    let rest = text.split_once(phrase)?.1;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | 'e'))).unwrap_or(rest.len());
    // A number at the end of a sentence takes the full stop with it.
    rest[..end].trim_end_matches('.').parse().ok()
}
