//! `forecast_demand`: the outlook of a target's demand, at any quantile, and the replicas it asks for.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Mistake, Proposal, ToolContext};
use crate::agent::aliases::TargetAlias;
use crate::agent::numbers::{maybe, number};
use crate::domain::outlook::HORIZON_MINUTES;

pub const DESCRIPTION: &str = "Demand forecast of a target at a quantile, now and every 5 minutes for an hour, its peak up to `within_minutes`, and how many replicas that peak needs at the capacity that was learned.";

/// Minutes between rows.
const ROW_MINUTES: usize = 5;

/// Arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Which target.
    target: TargetAlias,
    /// Which quantile, percent: 50 is as likely exceeded as not.
    #[schemars(range(min = 5, max = 99))]
    quantile_percent: u32,
    /// How far ahead the peak is looked for, minutes.
    #[schemars(range(min = 1, max = 60))]
    within_minutes: u32,
}

pub fn run(context: &ToolContext<'_>, _: &[Proposal], arguments: &Arguments) -> Result<Answer, Mistake> {
    let &Arguments { ref target, quantile_percent, within_minutes } = arguments;
    let key = context.aliases.target(target)?;
    if !(5..=99).contains(&quantile_percent) {
        return Err(Mistake::out_of_range("quantile_percent", quantile_percent.into(), "5 to 99 percent"));
    }
    let within = usize::try_from(within_minutes).unwrap_or(usize::MAX);
    if !(1..=HORIZON_MINUTES).contains(&within) {
        return Err(Mistake::out_of_range("within_minutes", within_minutes.into(), "1 to 60 minutes"));
    }
    let planned = context.plan.targets.get(key);
    let Some((planned, outlook)) = planned.and_then(|p| Some((p, p.outlook.as_ref()?))) else {
        return Ok(Answer::Reading(json!({ "target": target.0, "forecast": null })));
    };
    let quantile = f64::from(quantile_percent) / 100.0;
    let peak = outlook.peak(0, within, quantile);
    // An outlook is kept in 32 bits: less than a millionth of a replica is noise, and not worth one.
    let replicas = |usable: f64| (peak / usable - 1e-6).ceil().max(1.0);
    let usable = planned.basis.capacity_per_replica.map(|c| c * planned.basis.target_utilization).filter(|usable| *usable > 0.0);
    let rows = (0..=HORIZON_MINUTES).step_by(ROW_MINUTES).map(|minute| json!([minute, number(outlook.quantile(minute, quantile))]));
    Ok(Answer::Reading(json!({
        "target": target.0,
        "unit": "1/s",
        "quantile_percent": quantile_percent,
        "forecast": rows.collect::<Vec<_>>(),
        "peak": number(peak),
        "replicas_for_peak": usable.map(|usable| number(replicas(usable))),
        "planned_replicas": planned.replicas,
        "made_age_minutes": context.minutes_since(outlook.made),
        "back_test": {
            "skill_vs_naive": maybe(outlook.quality.skill_vs_naive),
            "coverage90": maybe(outlook.quality.coverage90),
            "origins": outlook.quality.origins,
        },
    })))
}
