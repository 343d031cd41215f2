//! Freeze: the guardrail's switch, pauses by annotation on the group or the workload, and the group's weekly windows in its own time zone.
//! A window holds what takes capacity away or restarts pods; scale-ups pass it unless it says otherwise. A pause or a freeze holds what it names,
//! approved or not.

use super::rule::{Answer, Case};
use crate::domain::proposal::Change;
use crate::domain::workload::Workload;

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let Some(target) = case.change.target().filter(|_| case.change.writes_cluster()) else { return Answer::pass() };
    if case.subject.guardrail.is_some_and(|guardrail| guardrail.freeze) {
        return Answer::refuse(format!("the ScalingGuardrail of namespace {} is frozen", target.namespace));
    }
    let (Some(group), Some(workload)) = (case.subject.group, case.subject.workload) else { return Answer::pass() };
    let (up, down) = (case.scale_up().is_some(), case.scale_down().is_some());
    let pauses = [
        (true, group.paused.all, "paused"),
        (down, group.paused.scale_in, "paused-scale-in"),
        (up, group.paused.scale_out, "paused-scale-out"),
    ];
    for (concerned, on_group, name) in pauses {
        if concerned && on_group {
            return Answer::refuse(format!("group {} carries ipa.dev/{name}", group.id));
        }
        if concerned && annotated(workload, name) {
            return Answer::refuse(format!("{target} carries ipa.dev/{name}"));
        }
    }
    // More requests restart pods as well: only more replicas pass a window.
    let gentle = matches!(case.change, Change::Replicas(c) if c.to > c.from);
    let open = group
        .freeze_windows
        .iter()
        .filter(|window| !gentle || window.scale_ups_too)
        .find_map(|window| window.open_until(case.now(), group.time_zone.zone()).map(|until| (window, until)));
    match open {
        // The end in UTC, as every record and page tells time; the window as the team wrote it.
        Some((window, until)) => Answer::refuse(format!(
            "a freeze window of group {} is open until {}: {} from {} {}",
            group.id,
            until.strftime("%Y-%m-%d %H:%M UTC"),
            window.duration,
            window.start,
            group.time_zone.name()
        )),
        None => Answer::pass(),
    }
}

/// An annotation that is there pauses, whatever it says, except for `false`.
fn annotated(workload: &Workload, name: &str) -> bool {
    workload.annotations.get(name).is_some_and(|value| value != "false")
}

#[cfg(test)]
mod tests {
    use jiff::civil::Time;

    use crate::domain::limits::{FreezeWindow, Paused, TimeZoneName, WeekdayName};
    use crate::guardrails::testing::{calm, check, replicas, resources};

    #[test]
    fn the_guardrails_freeze_holds_everything() {
        let mut setup = calm();
        setup.guardrail().freeze = true;
        check(&setup, replicas(12), "Refuse\nFreeze Refuse: the ScalingGuardrail of namespace shop is frozen");
        check(&setup, replicas(8), "Refuse\nFreeze Refuse: the ScalingGuardrail of namespace shop is frozen");
    }

    #[test]
    fn a_pause_holds_what_it_names_on_group_and_workload() {
        let mut setup = calm();
        setup.group().paused = Paused { scale_in: true, ..Paused::default() };
        check(&setup, replicas(12), "Admit 10 -> 12");
        check(&setup, replicas(8), "Refuse\nFreeze Refuse: group shop/shop carries ipa.dev/paused-scale-in");
        let mut setup = calm();
        setup.workload().annotations.insert("paused-scale-out".into(), String::new());
        check(&setup, replicas(12), "Refuse\nFreeze Refuse: shop/deployments.apps/web carries ipa.dev/paused-scale-out");
        check(&setup, replicas(8), "Admit 10 -> 8");
        setup.workload().annotations.insert("paused-scale-out".into(), "false".into());
        check(&setup, replicas(12), "Admit 10 -> 12");
        setup.workload().annotations.insert("paused".into(), "true".into());
        check(&setup, resources("1200m", "600Mi", "1Gi"), "Refuse\nFreeze Refuse: shop/deployments.apps/web carries ipa.dev/paused");
    }

    #[test]
    fn a_freeze_window_lets_scale_ups_pass_unless_it_says_otherwise() {
        let mut setup = calm();
        setup.group().time_zone = TimeZoneName::try_from("Europe/Vienna".to_owned()).unwrap();
        setup.group().freeze_windows.push(FreezeWindow {
            days: vec![WeekdayName::Sunday],
            start: Time::constant(10, 30, 0, 0),
            duration: "1h".parse().unwrap(),
            scale_ups_too: false,
        });
        let held =
            "Refuse\nFreeze Refuse: a freeze window of group shop/shop is open until 2026-03-01 10:30 UTC: 1h from 10:30:00 Europe/Vienna";
        check(&setup, replicas(8), held);
        check(&setup, resources("1200m", "600Mi", "1Gi"), held);
        check(&setup, replicas(12), "Admit 10 -> 12");
        setup.group().freeze_windows[0].scale_ups_too = true;
        check(&setup, replicas(12), held);
    }
}
