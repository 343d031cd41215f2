//! A queued proposal, to and from its `ScalingProposal`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::{at_most, change, time};
use crate::crd::condition::{shortened, whole_seconds};
use crate::crd::error::SpecError;
use crate::crd::proposal::{
    DecisionSpec, IPA_LABEL, IpaRef, OriginSpec, Phase, RulingSpec, ScalingProposal, ScalingProposalSpec, ScalingProposalStatus,
};
use crate::crd::text::MoneyText;
use crate::domain::names::{Digest, EvidenceId, GroupId, ProposalId};
use crate::domain::proposal::{Origin, Proposal};
use crate::domain::review::Ruling;
use crate::domain::snapshot::{Decision, QueuedProposal};

/// The queued proposal that a custom resource carries.
///
/// # Errors
/// [`SpecError`] for the first field that cannot be taken; also when the digest is not the digest of the change.
pub fn queued(object: &ScalingProposal) -> Result<QueuedProposal, SpecError> {
    let ScalingProposalSpec {
        ipa_ref: IpaRef { namespace, name },
        origin,
        summary: _,
        change,
        digest,
        state_digest,
        made,
        expires,
        rationale,
        evidence,
        rulings,
        cost_change_per_hour,
        decisions,
    } = &object.spec;
    let ended = object.status.as_ref().filter(|status| status.phase.is_closed());
    let change = change::read(change)?;
    // A person approves the digest: it must be of this change, whoever wrote the object.
    if change.digest().ok().is_none_or(|found| found.0 != *digest) {
        return Err(SpecError::new(&"spec.digest", "it is not the digest of spec.change; reject this proposal, IPA did not write it"));
    }
    Ok(QueuedProposal {
        proposal: Proposal {
            id: ProposalId(object.name_any()),
            group: GroupId::new(namespace, name),
            origin: match origin {
                OriginSpec::Planner => Origin::Planner,
                OriginSpec::Model => Origin::Model,
                OriginSpec::Person => Origin::Person,
            },
            change,
            rationale: rationale.clone(),
            evidence: evidence.iter().cloned().map(EvidenceId).collect(),
            made: time(made, &"spec.made")?,
            cost_change_per_hour: cost_change_per_hour.as_ref().map(|m| m.read(&"spec.costChangePerHour")).transpose()?,
        },
        digest: Digest(digest.clone()),
        state_digest: Digest(state_digest.clone()),
        expires: time(expires, &"spec.expires")?,
        decisions: read_decisions(decisions)?,
        rulings: read_rulings(rulings),
        closed: ended.is_some(),
        ended: ended.map(|status| status.reason.clone()).filter(|reason| !reason.is_empty()),
    })
}

/// The numbers behind a ruling stay in the ledger; one whose rule or verdict this version does not know is left out.
fn read_rulings(specs: &[RulingSpec]) -> Vec<Ruling> {
    let known = |spec: &RulingSpec| {
        Some(Ruling {
            rule: serde_json::from_value(spec.rule.clone().into()).ok()?,
            verdict: serde_json::from_value(spec.verdict.clone().into()).ok()?,
            compared: Vec::new(),
            sentence: spec.sentence.clone(),
        })
    };
    specs.iter().take(32).filter_map(known).collect()
}

fn read_decisions(specs: &[DecisionSpec]) -> Result<Vec<Decision>, SpecError> {
    at_most(specs, 16, &"spec.decisions")?;
    let read = |(i, DecisionSpec { by, verdict, digest, at }): (usize, &DecisionSpec)| {
        Ok(Decision {
            by: by.clone(),
            verdict: *verdict,
            digest: Digest(digest.clone()),
            at: time(at, &format_args!("spec.decisions[{i}].at"))?,
        })
    };
    specs.iter().enumerate().map(read).collect()
}

/// The custom resource of a queued proposal, in `namespace`: the group's, or for a fleet's proposal IPA's own.
#[must_use]
pub fn manifest(queued: &QueuedProposal, namespace: &str) -> ScalingProposal {
    let QueuedProposal { proposal, digest, state_digest, expires, rulings, decisions, closed: _, ended: _ } = queued;
    let Proposal { id, group, origin, change, rationale, evidence, made, cost_change_per_hour } = proposal;
    let spec = ScalingProposalSpec {
        ipa_ref: IpaRef { namespace: group.namespace.to_string(), name: group.name.to_string() },
        origin: match origin {
            Origin::Planner => OriginSpec::Planner,
            Origin::Model => OriginSpec::Model,
            Origin::Person => OriginSpec::Person,
        },
        summary: shortened(&change.summary(), 1024),
        change: change::write(change),
        digest: digest.0.clone(),
        state_digest: state_digest.0.clone(),
        made: made.to_string(),
        expires: expires.to_string(),
        rationale: shortened(rationale, 2048),
        evidence: evidence.iter().take(32).map(|e| shortened(&e.0, 128)).collect(),
        rulings: rulings
            .iter()
            .take(32)
            .map(|r| RulingSpec { rule: r.rule.to_string(), verdict: format!("{:?}", r.verdict), sentence: shortened(&r.sentence, 1024) })
            .collect(),
        cost_change_per_hour: cost_change_per_hour.map(MoneyText::write),
        decisions: decisions
            .iter()
            .take(16)
            .map(|d| DecisionSpec { by: shortened(&d.by, 253), verdict: d.verdict, digest: d.digest.0.clone(), at: d.at.to_string() })
            .collect(),
    };
    let mut object = ScalingProposal::new(&id.0, spec);
    // A label's value is at most 63 characters; the whole name is in the spec.
    let label = group.name.chars().take(63).collect::<String>().trim_end_matches(['.', '-']).to_owned();
    object.metadata =
        ObjectMeta { namespace: Some(namespace.to_owned()), labels: Some([(IPA_LABEL.to_owned(), label)].into()), ..object.metadata };
    object
}

/// The status that ends a proposal with a machine reason.
#[must_use]
pub fn closed_status(reason: &str, message: &str, now: Timestamp) -> ScalingProposalStatus {
    ScalingProposalStatus {
        phase: Phase::of_reason(reason),
        reason: shortened(reason, 128),
        message: shortened(message, 1024),
        since: whole_seconds(now),
    }
}

#[cfg(test)]
mod tests;
