//! What the domain says of a group, as the status of its custom resource. Nothing in it moves by time alone, so an unchanged group is an
//! unchanged object and nothing is written.

use jiff::Timestamp;

use super::autoscaler::ModeSpec;
use super::autoscaler::status::{IntelligentPodAutoscalerStatus, Summary, TargetState};
use super::condition::{ConditionStatus, ConditionValue, conditions, shortened, whole_seconds};
use super::fleet::NodeFleetStatus;
use super::text::MoneyText;
use crate::domain::limits::{Mode, Modes};
use crate::domain::status::{ConditionType, GroupStatus, TargetStatus};

/// Most targets that status lists, the same as a spec's.
const MOST_TARGETS: usize = 32;

/// The status of an `IntelligentPodAutoscaler`; `previous` is what the object holds now.
#[must_use]
pub fn autoscaler(new: &GroupStatus, previous: Option<&IntelligentPodAutoscalerStatus>) -> IntelligentPodAutoscalerStatus {
    let before: &[ConditionStatus] = previous.map_or(&[], |p| p.conditions.as_slice());
    let conditions = conditions(&new.conditions, before, new.observed_generation, new.at);
    IntelligentPodAutoscalerStatus {
        observed_generation: new.observed_generation,
        summary: summary(new),
        targets: new.targets.iter().take(MOST_TARGETS).map(target).collect(),
        conditions,
    }
}

/// The status of a `NodeFleet`; `previous` is what the object holds now.
#[must_use]
pub fn fleet(new: &GroupStatus, previous: Option<&NodeFleetStatus>) -> NodeFleetStatus {
    let before: &[ConditionStatus] = previous.map_or(&[], |p| p.conditions.as_slice());
    NodeFleetStatus {
        observed_generation: new.observed_generation,
        conditions: conditions(&new.conditions, before, new.observed_generation, new.at),
    }
}

fn summary(status: &GroupStatus) -> Option<Summary> {
    let tightest = status.targets.iter().min_by(|a, b| room(a).total_cmp(&room(b)).then_with(|| a.target.cmp(&b.target)))?;
    let sum = |of: fn(&TargetStatus) -> u32| status.targets.iter().map(|t| i64::from(of(t))).sum();
    let last = status.targets.iter().filter_map(|t| t.last_action.as_ref()).max();
    let mut models: Vec<&str> = status.targets.iter().filter_map(|t| t.model.as_deref()).collect();
    models.sort_unstable();
    models.dedup();
    Some(Summary {
        target: shortened(
            &match status.targets.len() {
                1 => tightest.target.name.to_string(),
                many => format!("{many} targets, {} {}/{}", tightest.target.name, tightest.desired, tightest.max),
            },
            320,
        ),
        mode: group_mode(&status.targets),
        min: sum(|t| t.min),
        max: sum(|t| t.max),
        current: sum(|t| t.current),
        desired: sum(|t| t.desired),
        ready: sum(|t| t.ready),
        fallback: condition_word(status, ConditionType::Fallback),
        paused: condition_word(status, ConditionType::Paused),
        last_action_time: last.map(|(at, _)| whole_seconds(*at)),
        last_action: last.map(|(_, what)| shortened(what, 256)),
        shadow_hpa: status.targets.iter().map(|t| t.shadow_hpa.map(i64::from)).sum(),
        confidence: status.targets.iter().filter_map(|t| t.confidence).min_by(f64::total_cmp).map(percent),
        model: match models[..] {
            [] => None,
            [one] => Some(shortened(one, 64)),
            [..] => Some("mixed".to_owned()),
        },
        reason: shortened(&tightest.reason, 128),
    })
}

fn target(status: &TargetStatus) -> TargetState {
    let last: Option<&(Timestamp, String)> = status.last_action.as_ref();
    TargetState {
        target: status.target.kubectl_name(),
        mode: modes(status.modes),
        min: status.min.into(),
        max: status.max.into(),
        current: status.current.into(),
        desired: status.desired.into(),
        ready: status.ready.into(),
        shadow_hpa: status.shadow_hpa.map(i64::from),
        confidence: status.confidence.map(percent),
        model: status.model.as_deref().map(|m| shortened(m, 64)),
        reason: shortened(&status.reason, 128),
        last_action_time: last.map(|(at, _)| whole_seconds(*at)),
        last_action: last.map(|(_, what)| shortened(what, 256)),
        cost_per_hour: status.cost_per_hour.map(|cost| MoneyText::write(cost).0),
    }
}

fn modes(modes: Modes) -> ModeSpec {
    let Modes { scale_up, scale_down, resources, nodes } = modes;
    ModeSpec { scale_up, scale_down, resources, nodes }
}

/// Share of a target's max that its plan leaves free; a max of 0 leaves none.
fn room(target: &TargetStatus) -> f64 {
    if target.max == 0 { 0.0 } else { 1.0 - f64::from(target.desired) / f64::from(target.max) }
}

fn group_mode(targets: &[TargetStatus]) -> String {
    let mut words: Vec<String> = targets.iter().map(|t| mode_word(t.modes.scale_up, t.modes.scale_down)).collect();
    words.sort_unstable();
    words.dedup();
    match words.as_slice() {
        [one] => one.clone(),
        _ => "Mixed".to_owned(),
    }
}

fn mode_word(up: Mode, down: Mode) -> String {
    if up == down { format!("{up:?}") } else { format!("{up:?}/{down:?}") }
}

fn condition_word(status: &GroupStatus, kind: ConditionType) -> String {
    let value = status.conditions.iter().find(|c| c.kind == kind).and_then(|c| c.status);
    format!("{:?}", ConditionValue::from(value))
}

fn percent(share: f64) -> String {
    format!("{:.0}%", (share * 100.0).clamp(0.0, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{GroupId, TargetKey};
    use crate::domain::status::Condition;

    fn target_status(name: &str, desired: u32, max: u32) -> TargetStatus {
        TargetStatus {
            target: TargetKey::deployment("shop", name),
            modes: Modes { scale_down: Mode::Recommend, ..Modes::all(Mode::Auto) },
            min: 2,
            max,
            current: 3,
            desired,
            ready: 3,
            shadow_hpa: Some(4),
            confidence: Some(0.918),
            model: Some("mstl".into()),
            reason: format!("Forecast{name}"),
            last_action: Some(("2026-03-02T10:00:00Z".parse().unwrap(), "replicas 3 -> 5".into())),
            cost_per_hour: None,
        }
    }

    fn group(targets: Vec<TargetStatus>) -> GroupStatus {
        let condition = |kind, status| Condition { kind, status, reason: "Reason".into(), message: "Message".into() };
        GroupStatus {
            group: GroupId::new("shop", "web"),
            uid: "u".into(),
            observed_generation: 3,
            at: "2026-03-02T12:00:00Z".parse().unwrap(),
            targets,
            conditions: vec![condition(ConditionType::Ready, Some(true)), condition(ConditionType::Fallback, Some(false))],
            events: vec![],
        }
    }

    #[test]
    fn one_target_is_shown_by_name_with_its_own_numbers() {
        let summary = autoscaler(&group(vec![target_status("web", 5, 10)]), None).summary.unwrap();
        assert_eq!((summary.target.as_str(), summary.mode.as_str()), ("web", "Auto/Recommend"));
        assert_eq!((summary.min, summary.current, summary.desired, summary.max), (2, 3, 5, 10));
        assert_eq!((summary.fallback.as_str(), summary.paused.as_str()), ("False", "Unknown"));
        assert_eq!((summary.confidence.as_deref(), summary.model.as_deref()), (Some("92%"), Some("mstl")));
        assert_eq!(summary.last_action_time.as_deref(), Some("2026-03-02T10:00:00Z"));
    }

    #[test]
    fn several_targets_are_summed_and_the_one_closest_to_its_max_is_named() {
        let summary = autoscaler(&group(vec![target_status("api", 5, 10), target_status("web", 9, 10)]), None).summary.unwrap();
        assert_eq!(summary.target, "2 targets, web 9/10");
        assert_eq!((summary.desired, summary.max, summary.shadow_hpa), (14, 20, Some(8)));
        assert_eq!(summary.reason, "Forecastweb");
    }

    #[test]
    fn an_unchanged_group_has_an_unchanged_status_a_minute_later() {
        let now = group(vec![target_status("web", 5, 10)]);
        let first = autoscaler(&now, None);
        let later = GroupStatus { at: "2026-03-02T12:01:00Z".parse().unwrap(), ..now };
        assert_eq!(autoscaler(&later, Some(&first)), first);
    }

    #[test]
    fn a_group_without_targets_has_conditions_alone_and_a_large_one_is_cut() {
        let none = autoscaler(&group(vec![]), None);
        assert_eq!((none.summary, none.targets.len(), none.conditions.len()), (None, 0, 2));
        let many = autoscaler(&group((0..40).map(|i| target_status(&format!("w{i}"), 1, 10)).collect()), None);
        assert_eq!(many.targets.len(), 32);
        assert!(many.summary.unwrap().target.starts_with("40 targets"));
    }
}
