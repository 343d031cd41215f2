//! Evidence: whether what a proposal names is there. An id that resolves to nothing makes the whole list worth nothing: who invents one may have
//! invented all.

use crate::domain::names::{EvidenceId, TargetKey};
use crate::domain::proposal::Proposal;
use crate::domain::snapshot::Snapshot;

/// Whether a proposal names evidence, all of it real, and at least one piece that says something happened to its own target: an event or a past
/// decision. That a signal exists is no evidence by itself, since every target has some.
pub(super) fn named(snapshot: &Snapshot, proposal: &Proposal) -> bool {
    let about: Option<Vec<(bool, TargetKey)>> =
        proposal.evidence.iter().map(|id| Some((is_occurrence(id), resolve(snapshot, proposal, id)?))).collect();
    about.is_some_and(|pieces| pieces.iter().any(|(occurred, target)| *occurred && Some(target) == proposal.change.target()))
}

/// An event (`ev3`) or a past entry (`e1042`), rather than a signal, whose name has a dot.
fn is_occurrence(id: &EvidenceId) -> bool {
    !id.0.contains('.')
}

/// The target that a piece of evidence is about: a past entry (`e1042`), an event (`ev3`), or a fresh signal, named after its target
/// (`shop/deployments.apps/web.latency`). A dialogue's alias (`w1.latency`) means nothing here.
#[must_use]
pub fn resolve(snapshot: &Snapshot, proposal: &Proposal, id: &EvidenceId) -> Option<TargetKey> {
    if let Some(event) = snapshot.facts.events.iter().find(|event| event.id == id.0) {
        return Some(event.target.clone());
    }
    if let Some(seq) = id.0.strip_prefix('e').and_then(|seq| seq.parse::<u64>().ok()) {
        return snapshot.past.iter().find(|past| past.seq == seq).map(|past| past.target.clone());
    }
    let members = &snapshot.facts.groups.get(&proposal.group)?.targets;
    let (target, signal) =
        members.iter().find_map(|member| Some((&member.key, id.0.strip_prefix(&member.key.to_string())?.strip_prefix('.')?)))?;
    let (name, _) = snapshot.signals.get(target)?.iter().find(|(name, _)| name.as_str() == signal)?;
    snapshot.fresh(target, name).map(|_| target.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::proposal::Origin;
    use crate::domain::signal::SignalName;
    use crate::domain::snapshot::{Event, EventReason};
    use crate::guardrails::testing::{calm, minutes_ago, now, proposal, replicas, web};

    #[test]
    fn ids_resolve_to_what_the_snapshot_holds_and_nothing_else() {
        let mut setup = calm();
        setup.snapshot.facts.events.push(Event {
            id: "ev1".into(),
            at: now(),
            target: web(),
            kind: "Pod".into(),
            reason: EventReason::OOMKilling,
            count: 1,
        });
        setup.snapshot.past.push(crate::domain::record::PastDecision {
            seq: 42,
            at: minutes_ago(60),
            target: web(),
            origin: Origin::Planner,
            replicas: None,
            result: "Applied".into(),
        });
        setup.set_signal(SignalName::Queue, |minute| if minute < 30 { f32::NAN } else { 1.0 });
        let proposal = proposal(1, Origin::Model, replicas(8));
        let resolves = |id: &str| resolve(&setup.snapshot, &proposal, &EvidenceId(id.into())).is_some();
        for id in ["ev1", "e42", "shop/deployments.apps/web.demand", "shop/deployments.apps/web.latency"] {
            assert!(resolves(id), "{id}");
        }
        for id in ["ev2", "e43", "e", "", "w1.latency", "shop/deployments.apps/web.", "shop/deployments.apps/web.queue", "latency"] {
            assert!(!resolves(id), "{id}");
        }
    }

    #[test]
    fn an_alias_of_a_dialogue_means_nothing_at_the_gate() {
        let mut setup = calm();
        setup.add("api");
        let proposal = proposal(1, Origin::Model, replicas(8));
        let resolves = |id: &str| resolve(&setup.snapshot, &proposal, &EvidenceId(id.into()));
        assert_eq!(resolves("w1.latency"), None);
        assert_eq!(resolves("shop/deployments.apps/web.latency"), Some(web()));
    }
}
