//! Who owns a field, and whether it may be taken over: one table by manager, operation and subresource. The rules ask it before a change is
//! released, and the actuator again before each write.

use jiff::Timestamp;

use crate::domain::units::GoDuration;
use crate::domain::workload::{FieldWriter, OwnedField, WriteOperation};

/// IPA's own field manager.
pub const ACTUATOR: &str = "ipa-actuator";

/// What may be done about a field's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It may be written, by force if need be: it is ours, or a person's whose hold is over.
    TakeOver,
    /// A person wrote it; it is left alone until then.
    HoldUntil(Timestamp),
    /// Somebody writes it again and again, or may: it is not taken.
    Conflict {
        /// What a person can do.
        advice: String,
    },
}

/// How kinds of managers are treated.
enum Manager {
    Ours,
    Person,
    Machine(&'static str),
    Unknown,
}

/// Whether the field that `writer` owns may be taken over at `now`. `takeover` says whether the workload carries `ipa.dev/takeover`, by which a
/// person gives up their own hold, and nobody else's.
#[must_use]
pub fn ownership(writer: &FieldWriter, human_hold: GoDuration, now: Timestamp, takeover: bool) -> Ownership {
    match manager(writer) {
        Manager::Ours => Ownership::TakeOver,
        Manager::Machine(advice) => Ownership::Conflict { advice: advice.into() },
        Manager::Unknown => Ownership::Conflict { advice: "it is not known; run `ipa adopt` once nothing else writes the field".into() },
        Manager::Person if takeover => Ownership::TakeOver,
        Manager::Person => {
            // A write whose time is not known may have been this minute.
            let until = writer.at.unwrap_or(now).saturating_add(human_hold.signed()).unwrap_or(Timestamp::MAX);
            if until <= now { Ownership::TakeOver } else { Ownership::HoldUntil(until) }
        }
    }
}

/// The table. Names are those the programs write: kubectl's verbs each carry their own (`kubectl scale` the plain one, on `/scale`), controllers
/// that of their binary.
fn manager(writer: &FieldWriter) -> Manager {
    const PIPELINE: &str = "a pipeline may apply it again; run `ipa adopt` after taking the field out of the manifest";
    match (&*writer.manager, writer.operation, writer.subresource.as_deref()) {
        (ACTUATOR, _, _) => Manager::Ours,
        ("kube-controller-manager", _, _) if writer.field == OwnedField::Replicas => {
            Manager::Machine("a HorizontalPodAutoscaler wrote it; set actuation: HPABounds, or remove the HPA and run `ipa adopt`")
        }
        ("keda-operator" | "keda", _, _) => Manager::Machine("KEDA wrote it; remove the ScaledObject and run `ipa adopt`"),
        ("argocd-controller" | "argocd-application-controller", _, _) => {
            Manager::Machine("Argo CD applies it; add ignoreDifferences with RespectIgnoreDifferences=true and run `ipa adopt`")
        }
        ("kustomize-controller" | "helm-controller", _, _) => {
            Manager::Machine("Flux applies it; exclude the field by spec.ignore and run `ipa adopt`")
        }
        ("helm" | "Helm", _, _) => Manager::Machine("Helm applies it; take the field out of the chart's values and run `ipa adopt`"),
        (_, WriteOperation::Apply, _) | ("kubectl-client-side-apply" | "kubectl-replace" | "kubectl-last-applied", _, _) => {
            Manager::Machine(PIPELINE)
        }
        ("kubectl", WriteOperation::Update, Some("scale") | None)
        | ("kubectl-scale" | "kubectl-edit" | "kubectl-patch" | "kubectl-set" | "kubectl-create", WriteOperation::Update, _) => {
            Manager::Person
        }
        _ => Manager::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-03-02T10:00:00Z";

    fn check(manager: &str, operation: WriteOperation, subresource: Option<&str>, minutes_ago: i64, takeover: bool, expect: &str) {
        let now: Timestamp = NOW.parse().unwrap();
        let writer = FieldWriter {
            manager: manager.into(),
            operation,
            subresource: subresource.map(Into::into),
            field: OwnedField::Replicas,
            at: Some(now - jiff::SignedDuration::from_mins(minutes_ago)),
        };
        let found = match ownership(&writer, GoDuration::from_mins(15), now, takeover) {
            Ownership::TakeOver => "take over".to_owned(),
            Ownership::HoldUntil(until) => format!("hold until {until}"),
            Ownership::Conflict { advice } => advice,
        };
        assert!(found.starts_with(expect), "{manager} {operation:?} {subresource:?}: `{found}` is not `{expect}`");
    }

    #[test]
    fn nothing_is_taken_from_a_machine_however_old_its_write_and_whatever_the_annotation_says() {
        use WriteOperation::{Apply, Update};
        for takeover in [false, true] {
            check("kube-controller-manager", Update, Some("scale"), 600, takeover, "a HorizontalPodAutoscaler wrote it");
            check("keda-operator", Update, Some("scale"), 600, takeover, "KEDA wrote it");
            check("argocd-controller", Apply, None, 600, takeover, "Argo CD applies it");
            check("argocd-application-controller", Update, None, 600, takeover, "Argo CD applies it");
            check("kustomize-controller", Apply, None, 600, takeover, "Flux applies it");
            check("helm-controller", Update, None, 600, takeover, "Flux applies it");
            check("helm", Update, None, 600, takeover, "Helm applies it");
            check("kubectl-client-side-apply", Update, None, 600, takeover, "a pipeline may apply it again");
            check("kubectl", Apply, None, 600, takeover, "a pipeline may apply it again");
            check("kubectl-replace", Update, None, 600, takeover, "a pipeline may apply it again");
            check("somebody", Apply, None, 600, takeover, "a pipeline may apply it again");
            check("somebody", Update, None, 600, takeover, "it is not known");
        }
    }

    #[test]
    fn a_persons_scaling_is_held_and_then_taken() {
        use WriteOperation::Update;
        check("kubectl", Update, Some("scale"), 5, false, "hold until 2026-03-02T10:10:00Z");
        check("kubectl", Update, Some("scale"), 15, false, "take over");
        check("kubectl", Update, Some("scale"), 5, true, "take over");
        check("kubectl-edit", Update, None, 5, false, "hold until 2026-03-02T10:10:00Z");
        check("kubectl-edit", Update, None, 16, false, "take over");
        check("kubectl-patch", Update, None, 14, false, "hold until 2026-03-02T10:01:00Z");
        check("kubectl-create", Update, None, 600, false, "take over");
    }

    #[test]
    fn what_is_ours_is_written_again() {
        check(ACTUATOR, WriteOperation::Apply, Some("scale"), 0, false, "take over");
    }
}
