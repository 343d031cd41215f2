//! What must and what must not come of an incident.

use super::check::{whole_seconds, within};
use super::document::{DecisionDocument, ExpectDocument};
use super::faults::signal;
use super::{Expect, ExpectedDecision};
use crate::crd::SpecError;

/// The expectations; `duration_s` is how long the scored part lasts, `faults` how many faults there are.
///
/// # Errors
/// [`SpecError`] for the first field that cannot be taken.
pub(super) fn expect(document: Option<&ExpectDocument>, duration_s: u32, faults: usize) -> Result<Expect, SpecError> {
    let Some(ExpectDocument { max_bad_fraction, max_cost_over_oracle, never, decision }) = document else { return Ok(Expect::default()) };
    Ok(Expect {
        max_bad_fraction: max_bad_fraction.map(|share| within(share, &"spec.expect.maxBadFraction", 0.0, 1.0)).transpose()?,
        // Nobody is cheaper than the oracle.
        max_cost_over_oracle: max_cost_over_oracle.map(|ratio| within(ratio, &"spec.expect.maxCostOverOracle", 1.0, 1000.0)).transpose()?,
        never: never.clone(),
        decision: decision.as_ref().map(|document| expected_decision(document, duration_s, faults)).transpose()?,
    })
}

fn expected_decision(document: &DecisionDocument, duration_s: u32, faults: usize) -> Result<ExpectedDecision, SpecError> {
    const BEFORE: &str = "spec.expect.decision.firstSafeActBefore";
    let DecisionDocument { class, first_safe_act_before, forbidden, evidence } = document;
    let before = first_safe_act_before.map(|time| whole_seconds(time, &BEFORE)).transpose()?;
    if let Some(before) = before.filter(|before| *before > duration_s) {
        return Err(SpecError::new(&BEFORE, format_args!("{before} s is longer than the scored part; write {duration_s}s at most")));
    }
    if before.is_some() && faults == 0 {
        return Err(SpecError::new(&BEFORE, "it runs from the first fault, and there is none; add the fault, or leave it out"));
    }
    let evidence = evidence
        .iter()
        .enumerate()
        .map(|(index, name)| signal(name, &format_args!("spec.expect.decision.evidence[{index}]")).map(|signal| signal.to_string()));
    Ok(ExpectedDecision {
        class: *class,
        first_safe_act_before_s: before,
        forbidden: forbidden.clone(),
        evidence: evidence.collect::<Result<_, _>>()?,
    })
}
