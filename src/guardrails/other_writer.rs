//! Other writers: where somebody else writes the field, IPA stands back and says who and what to do. A person's recent scaling passes with time
//! and is the cool-down's to hold.

use super::cool_down::field_of;
use super::ownership::{Ownership, ownership};
use super::rule::{Answer, Case};
use crate::domain::limits::{Actuation, Group};
use crate::domain::proposal::Change;
use crate::domain::resize::Through;
use crate::domain::workload::{AutoscalerKind, Workload};

pub(super) fn ask(case: &Case<'_>) -> Answer {
    let (Some(group), Some(workload)) = (case.subject.group, case.subject.workload) else { return Answer::pass() };
    let autoscaler = match case.change {
        Change::Replicas(_) => replicas(group, workload),
        Change::Resources(_) => workload.autoscaled_by(AutoscalerKind::VPA).map(|vpa| {
            Answer::refuse(format!(
                "VerticalPodAutoscaler {} sets the resources of {}: set its updateMode to Off first",
                vpa.name, workload.key
            ))
        }),
        Change::NodePool(_) | Change::Headroom(_) | Change::Finding(_) => return Answer::pass(),
    };
    if let Some(answer) = autoscaler {
        return answer;
    }
    if matches!(case.change, Change::Resources(change) if change.through == Through::Pods) {
        // Who owns the template does not own the pods: no manifest is contradicted, and nothing is applied back.
        return Answer::pass();
    }
    let takeover = workload.annotations.contains_key("takeover");
    let field = field_of(case.change);
    let conflict = workload.writers.iter().filter(|writer| field.as_ref() == Some(&writer.field)).find_map(|writer| {
        match ownership(writer, group.human_hold, case.now(), takeover) {
            Ownership::Conflict { advice } => {
                Some(Answer::refuse(format!("{} owns this field of {}: {advice}", writer.manager, workload.key)))
            }
            Ownership::TakeOver | Ownership::HoldUntil(_) => None,
        }
    });
    conflict.unwrap_or_else(Answer::pass)
}

fn replicas(group: &Group, workload: &Workload) -> Option<Answer> {
    let key = &workload.key;
    if let Some(keda) = workload.autoscaled_by(AutoscalerKind::KEDA) {
        return Some(Answer::refuse(format!("ScaledObject {} of KEDA scales {key}: remove it or take {key} out of the group", keda.name)));
    }
    match (group.actuation, workload.autoscaled_by(AutoscalerKind::HPA)) {
        (Actuation::Replicas, Some(hpa)) => Some(Answer::refuse(format!(
            "HorizontalPodAutoscaler {} scales {key}: set actuation: HPABounds to move its bounds, or remove it",
            hpa.name
        ))),
        (Actuation::HPABounds, None) => {
            Some(Answer::refuse(format!("actuation is HPABounds and no HorizontalPodAutoscaler scales {key}: create one or set Replicas")))
        }
        (Actuation::HPABounds, Some(hpa)) => Some(Answer::refuse(format!(
            "HorizontalPodAutoscaler {} scales {key}, and this version does not move its bounds yet: what is wanted is only recorded",
            hpa.name
        ))),
        (Actuation::Replicas, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::limits::Actuation;
    use crate::domain::workload::{Autoscaler, AutoscalerKind, FieldWriter, OwnedField, WriteOperation};
    use crate::guardrails::testing::{Setup, calm, check, replicas, resources};

    fn with(kind: AutoscalerKind, active: bool) -> Setup {
        let mut setup = calm();
        let autoscaler = Autoscaler { kind, name: "web".into(), min: None, max: None, cpu_target_percent: None, active };
        setup.workload().autoscalers.push(autoscaler);
        setup
    }

    #[test]
    fn another_autoscaler_is_not_fought() {
        check(
            &with(AutoscalerKind::HPA, true),
            replicas(12),
            "Refuse\n\
            OtherWriter Refuse: HorizontalPodAutoscaler web scales shop/deployments.apps/web: \
            set actuation: HPABounds to move its bounds, or remove it",
        );
        check(
            &with(AutoscalerKind::KEDA, true),
            replicas(12),
            "Refuse\n\
            OtherWriter Refuse: ScaledObject web of KEDA scales shop/deployments.apps/web: \
            remove it or take shop/deployments.apps/web out of the group",
        );
        check(&with(AutoscalerKind::VPA, true), replicas(12), "Admit 10 -> 12");
        check(
            &with(AutoscalerKind::VPA, true),
            resources("1200m", "600Mi", "1Gi"),
            "Refuse\n\
            OtherWriter Refuse: VerticalPodAutoscaler web sets the resources of shop/deployments.apps/web: set its updateMode to Off first",
        );
        check(&with(AutoscalerKind::HPA, false), replicas(12), "Admit 10 -> 12");
    }

    #[test]
    fn with_hpa_bounds_the_hpa_keeps_the_field() {
        let mut setup = with(AutoscalerKind::HPA, true);
        setup.group().actuation = Actuation::HPABounds;
        setup.workload().writers.push(FieldWriter {
            manager: "kube-controller-manager".into(),
            operation: WriteOperation::Update,
            subresource: Some("scale".into()),
            field: OwnedField::Replicas,
            at: None,
        });
        check(
            &setup,
            replicas(12),
            "Refuse\n\
            OtherWriter Refuse: HorizontalPodAutoscaler web scales shop/deployments.apps/web, and this version does not move its bounds yet: \
            what is wanted is only recorded",
        );
        setup.workload().autoscalers.clear();
        check(
            &setup,
            replicas(12),
            "Refuse\n\
            OtherWriter Refuse: actuation is HPABounds and no HorizontalPodAutoscaler scales shop/deployments.apps/web: create one or set Replicas",
        );
    }

    #[test]
    fn an_owner_that_is_not_taken_from_is_named_with_what_to_do() {
        let mut setup = calm();
        setup.workload().writers.push(FieldWriter {
            manager: "argocd-controller".into(),
            operation: WriteOperation::Apply,
            subresource: None,
            field: OwnedField::Replicas,
            at: None,
        });
        check(
            &setup,
            replicas(12),
            "Refuse\n\
            OtherWriter Refuse: argocd-controller owns this field of shop/deployments.apps/web: \
            Argo CD applies it; add ignoreDifferences with RespectIgnoreDifferences=true and run `ipa adopt`",
        );
        check(
            &setup,
            resources("1200m", "600Mi", "1Gi"),
            "Admit resources of shop/deployments.apps/web container app: \
            cpu 1, memory 512Mi, memory limit 1Gi -> cpu 1200m, memory 600Mi, memory limit 1Gi",
        );
    }
}
