//! `query_metrics`: a stretch of one signal's history, from the snapshot's tiers.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Mistake, Proposal, ToolContext};
use crate::agent::aliases::{SignalAlias, TargetAlias};
use crate::agent::numbers::{maybe, number};
use crate::domain::series::{History, Series, mean, quantile};
use crate::domain::signal::Signal;

pub const DESCRIPTION: &str = "History of one signal of a target, oldest first, one value a step; null is a gap. One-minute values reach back 3 hours, five-minute values 2 days, hourly values 5 weeks (demand, cpu and memory only). At most 60 steps.";

/// Most steps of an answer.
const MOST_STEPS: u32 = 60;
/// Longest window: five weeks.
const MOST_MINUTES: u32 = 50_400;

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Which target.
    target: TargetAlias,
    /// Which signal: a shipped one by name, a team's own by alias.
    signal: SignalAlias,
    /// How far back, minutes.
    #[schemars(range(min = 1, max = 50400))]
    window_minutes: u32,
    /// Length of a step, minutes.
    #[schemars(range(min = 1, max = 50400))]
    step_minutes: u32,
    /// What stands for a step.
    aggregate: Aggregate,
}

/// What stands for a step.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
enum Aggregate {
    Mean,
    Min,
    Max,
    P95,
}

pub fn run(context: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    let &Arguments { ref target, ref signal, window_minutes, step_minutes, aggregate } = arguments;
    let key = context.aliases.target(target)?;
    let name = context.aliases.signal(signal)?;
    if !(1..=MOST_MINUTES).contains(&window_minutes) {
        return Err(Mistake::out_of_range("window_minutes", window_minutes.into(), "1 to 50400 minutes"));
    }
    let least_step = window_minutes.div_ceil(MOST_STEPS);
    if step_minutes < least_step || step_minutes > window_minutes {
        let range = format!("{least_step} to {window_minutes} minutes for this window");
        return Err(Mistake::out_of_range("step_minutes", step_minutes.into(), &range));
    }
    let found = context.snapshot.signal(key, &name);
    let tier = found.and_then(|s| tier(&s.history, context.now(), window_minutes, step_minutes));
    let values = tier.map(|series| steps(series, context.now(), window_minutes, step_minutes, aggregate)).unwrap_or_default();
    Ok(Answer::Reading(json!({
        "signal": signal.0,
        "unit": context.aliases.unit_of(&name),
        "step_minutes": step_minutes,
        "newest_age_s": found.and_then(Signal::latest).map(|(at, _)| context.now().duration_since(at).as_secs()),
        "faulty": found.is_some_and(|s| !s.faults.is_empty()),
        "values": values,
    })))
}

/// The finest tier that is fine enough and reaches back far enough; else the one that reaches back furthest.
fn tier(history: &History, now: Timestamp, window_minutes: u32, step_minutes: u32) -> Option<&Series> {
    let tiers = [Some(&history.fine), Some(&history.middle), history.coarse.as_ref()];
    let usable = || tiers.into_iter().flatten().filter(|s| !s.values.is_empty() && s.step_s <= step_minutes.saturating_mul(60));
    let begin = now.saturating_sub(SignedDuration::from_mins(i64::from(window_minutes))).unwrap_or(Timestamp::MIN);
    let slack = |s: &Series| SignedDuration::from_secs(i64::from(s.step_s));
    usable()
        .find(|s| s.start.saturating_sub(slack(s)).unwrap_or(Timestamp::MIN) <= begin)
        .or_else(|| usable().min_by_key(|s| (s.start, s.step_s)))
}

fn steps(series: &Series, now: Timestamp, window_minutes: u32, step_minutes: u32, aggregate: Aggregate) -> Vec<Value> {
    let step = SignedDuration::from_mins(i64::from(step_minutes));
    (0..window_minutes / step_minutes)
        .rev()
        .map(|back| {
            let end = now.saturating_sub(step * i32::try_from(back).unwrap_or(i32::MAX)).unwrap_or(Timestamp::MIN);
            value_of(series.window(end, step), aggregate)
        })
        .collect()
}

fn value_of(samples: &[f32], aggregate: Aggregate) -> Value {
    let finite = samples.iter().copied().filter(|v| v.is_finite());
    match aggregate {
        Aggregate::Mean => number(f64::from(mean(samples))),
        Aggregate::Min => number(f64::from(finite.fold(f32::NAN, f32::min))),
        Aggregate::Max => number(f64::from(finite.fold(f32::NAN, f32::max))),
        Aggregate::P95 => maybe(quantile(samples, 0.95).map(f64::from)),
    }
}
