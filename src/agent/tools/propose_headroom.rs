//! `propose_headroom`: more lead or a higher quantile for a time. Counts in the next plans until it expires; writes nothing.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Mistake, Proposal, ToolContext, Wish};
use crate::agent::aliases::{EvidenceAlias, TargetAlias};
use crate::agent::text::Rationale;
use crate::domain::proposal::{Change, HeadroomChange};

pub const DESCRIPTION: &str = "Propose that the planner sizes a target for a higher quantile of its forecast, or further ahead, for a time. The way to prepare for a surge whose size is unsure. At most one a target.";

/// What is wanted.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Which target.
    pub target: TargetAlias,
    /// Quantile to size for, percent.
    #[schemars(range(min = 50, max = 99))]
    pub quantile_percent: u32,
    /// Minutes of lead beside what start-up needs.
    #[schemars(range(min = 0, max = 60))]
    pub extra_lead_minutes: u32,
    /// How long it holds, minutes.
    #[schemars(range(min = 5, max = 1440))]
    pub for_minutes: u32,
}

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Which target.
    target: TargetAlias,
    /// Quantile to size for, percent.
    #[schemars(range(min = 50, max = 99))]
    quantile_percent: u32,
    /// Minutes of lead beside what start-up needs.
    #[schemars(range(min = 0, max = 60))]
    extra_lead_minutes: u32,
    /// How long it holds, minutes.
    #[schemars(range(min = 5, max = 1440))]
    for_minutes: u32,
    /// Why, in a sentence for people.
    rationale: Rationale,
    /// What it rests on.
    #[serde(default)]
    evidence: Vec<EvidenceAlias>,
}

pub fn run(context: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    let Arguments { target, quantile_percent, extra_lead_minutes, for_minutes, rationale, evidence } = arguments;
    let wanted = Wanted {
        target: target.clone(),
        quantile_percent: *quantile_percent,
        extra_lead_minutes: *extra_lead_minutes,
        for_minutes: *for_minutes,
    };
    Ok(Answer::Proposing(Box::new(Wish {
        change: change(context, &wanted)?,
        rationale: rationale.text(),
        evidence: context.aliases.evidence(context.snapshot, evidence)?,
    })))
}

/// The change that is wanted.
pub fn change(context: &ToolContext<'_>, wanted: &Wanted) -> Result<Change, Mistake> {
    let key = context.aliases.target(&wanted.target)?;
    let (workload, _) = context.observed(key)?;
    if !(50..=99).contains(&wanted.quantile_percent) {
        return Err(Mistake::out_of_range("quantile_percent", wanted.quantile_percent.into(), "50 to 99 percent"));
    }
    if wanted.extra_lead_minutes > 60 {
        return Err(Mistake::out_of_range("extra_lead_minutes", wanted.extra_lead_minutes.into(), "0 to 60 minutes"));
    }
    if !(5..=1440).contains(&wanted.for_minutes) {
        return Err(Mistake::out_of_range("for_minutes", wanted.for_minutes.into(), "5 to 1440 minutes"));
    }
    let until = context.now().saturating_add(SignedDuration::from_mins(i64::from(wanted.for_minutes)));
    Ok(Change::Headroom(HeadroomChange {
        target: workload.key.clone(),
        quantile_percent: wanted.quantile_percent,
        extra_lead_minutes: wanted.extra_lead_minutes,
        until: until.unwrap_or(context.now()),
    }))
}
