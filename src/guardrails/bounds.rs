//! Bounds: replicas inside the guardrail's hard bounds, and inside those the team set within them; headroom inside what a day can justify.
//! A change is only ever made smaller: a scale-up is never turned into a scale-down to get back inside.

use jiff::SignedDuration;

use super::rule::{Answer, Case};
use crate::domain::limits::Bounds;
use crate::domain::proposal::{Change, HeadroomChange, ReplicasChange};

/// Headroom is sized at a quantile of an outlook: below the median it would take capacity away, above 99 % the outlook says nothing.
const HEADROOM_QUANTILES: (u32, u32) = (50, 99);
/// An outlook reaches an hour.
const MOST_LEAD_MINUTES: u32 = 60;
/// What lasts longer than a day is a limit, and limits are people's.
const MOST_HEADROOM: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn ask(case: &Case<'_>) -> Answer {
    match case.change {
        Change::Replicas(change) => replicas(case, change),
        Change::Headroom(change) => headroom(case, change),
        Change::Resources(_) | Change::NodePool(_) | Change::Finding(_) => Answer::pass(),
    }
}

fn replicas(case: &Case<'_>, change: &ReplicasChange) -> Answer {
    let (Some(limits), Some(member)) = (case.subject.limits, case.subject.member) else { return Answer::pass() };
    let hard = limits.bounds;
    let bounds = Bounds { min: hard.clamp(member.bounds.min), max: hard.clamp(member.bounds.max) };
    let (asked, limit) = (f64::from(change.to), f64::from(if change.to > bounds.max { bounds.max } else { bounds.min }));
    let up = change.to > change.from;
    let answer = if change.to > bounds.max && up {
        let why = format!("{} asked for, at most {} allowed", change.to, bounds.max);
        Answer::at_most(change, bounds.max.saturating_sub(change.from), &why)
    } else if change.to < bounds.min && !up {
        let why = format!("{} asked for, at least {} kept", change.to, bounds.min);
        Answer::at_most(change, change.from.saturating_sub(bounds.min), &why)
    } else if change.to > bounds.max || change.to < bounds.min {
        Answer::refuse(format!("{} replicas are outside the bounds of {} to {}", change.to, bounds.min, bounds.max))
    } else {
        return Answer::pass();
    };
    answer.comparing("replicas asked", asked, limit)
}

fn headroom(case: &Case<'_>, change: &HeadroomChange) -> Answer {
    let now = case.now();
    if change.until <= now {
        return Answer::refuse(format!("headroom until {} has ended before it begins", change.until));
    }
    let latest = now.saturating_add(MOST_HEADROOM).unwrap_or(now);
    let within = HeadroomChange {
        target: change.target.clone(),
        quantile_percent: change.quantile_percent.clamp(HEADROOM_QUANTILES.0, HEADROOM_QUANTILES.1),
        extra_lead_minutes: change.extra_lead_minutes.min(MOST_LEAD_MINUTES),
        until: change.until.min(latest),
    };
    if within == *change {
        return Answer::pass();
    }
    let sentence = format!(
        "headroom is p{} with {} minutes of lead until {}: allowed are p{} to p{}, {MOST_LEAD_MINUTES} minutes and a day",
        within.quantile_percent, within.extra_lead_minutes, within.until, HEADROOM_QUANTILES.0, HEADROOM_QUANTILES.1
    );
    Answer::clamp(Change::Headroom(within), sentence)
        .comparing("quantile percent", f64::from(change.quantile_percent), f64::from(HEADROOM_QUANTILES.1))
        .comparing("lead minutes", f64::from(change.extra_lead_minutes), f64::from(MOST_LEAD_MINUTES))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use crate::domain::limits::Bounds;
    use crate::domain::proposal::{Change, HeadroomChange};
    use crate::guardrails::testing::{calm, check, now, replicas, web};

    #[test]
    fn the_guardrails_bounds_hold_and_the_teams_inside_them() {
        let mut setup = calm();
        setup.limits().bounds = Bounds::new(4, 14).unwrap();
        check(&setup, replicas(14), "Admit 10 -> 14");
        check(&setup, replicas(18), "Clamp 10 -> 14\nBounds Clamp: 4 of 8 replicas may be added: 18 asked for, at most 14 allowed");
        setup.group().targets[0].bounds = Bounds::new(9, 12).unwrap();
        check(&setup, replicas(18), "Clamp 10 -> 12\nBounds Clamp: 2 of 8 replicas may be added: 18 asked for, at most 12 allowed");
        check(&setup, replicas(8), "Clamp 10 -> 9\nBounds Clamp: 1 of 2 replicas may be removed: 8 asked for, at least 9 kept");
    }

    #[test]
    fn a_scale_up_is_never_turned_into_a_scale_down() {
        let mut setup = calm();
        setup.limits().bounds = Bounds::new(2, 8).unwrap();
        check(&setup, replicas(12), "Refuse\nBounds Refuse: none of 2 replicas may be added: 12 asked for, at most 8 allowed");
        check(&setup, replicas(9), "Refuse\nBounds Refuse: 9 replicas are outside the bounds of 2 to 8");
    }

    #[test]
    fn what_no_step_can_bring_inside_is_refused() {
        let mut setup = calm();
        setup.limits().bounds = Bounds::new(2, 8).unwrap();
        setup.limits().max_step_down = 1;
        check(
            &setup,
            replicas(8),
            "Refuse\n\
            Bounds Refuse: 9 replicas are outside the bounds of 2 to 8\n\
            Step Clamp: 1 of 2 replicas may be removed: one step is at most 1",
        );
    }

    #[test]
    fn headroom_is_bounded_in_height_lead_and_time() {
        let headroom = |quantile_percent, extra_lead_minutes, hours| {
            let until = now() + SignedDuration::from_hours(hours);
            Change::Headroom(HeadroomChange { target: web(), quantile_percent, extra_lead_minutes, until })
        };
        check(
            &calm(),
            headroom(95, 10, 2),
            "Admit headroom of shop/deployments.apps/web: \
            size for p95 with 10 more minutes of lead until 2026-03-01T12:00:00Z",
        );
        check(
            &calm(),
            headroom(100, 90, 48),
            "Clamp headroom of shop/deployments.apps/web: \
            size for p99 with 60 more minutes of lead until 2026-03-02T10:00:00Z\n\
            Bounds Clamp: headroom is p99 with 60 minutes of lead until 2026-03-02T10:00:00Z: \
            allowed are p50 to p99, 60 minutes and a day",
        );
        check(&calm(), headroom(95, 10, 0), "Refuse\nBounds Refuse: headroom until 2026-03-01T10:00:00Z has ended before it begins");
    }
}
