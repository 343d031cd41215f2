//! How a policy is drawn everywhere on the page: a colour for its family, a shape beside it, and its name. None of the three stands alone.

use serde::Serialize;

use super::super::policy::{Family, Policy};

/// Colour (a class of the style sheet), shape and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// Class that sets its colour.
    pub(super) tone: &'static str,
    /// The shape as a path around 0, 0.
    pub(super) shape: &'static str,
    /// What it does, in a few words.
    pub(super) about: &'static str,
}

pub(super) fn key(policy: Policy) -> Key {
    let (tone, shape) = match policy.family() {
        Family::Ipa => ("tone-ipa", "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z"),
        Family::Reactive => ("tone-reactive", "M-4.5 -4.5h9v9h-9z"),
        Family::Fixed => ("tone-fixed", "M0 -5.5L5.5 4.5H-5.5z"),
        Family::Oracle => ("tone-oracle", "M0 -6L6 0L0 6L-6 0z"),
    };
    let about = match policy {
        Policy::Hold => "the replicas of the beginning, for ever",
        Policy::StaticPeak => "what the past's highest demand needed, for ever",
        Policy::Hpa => "autoscaling/v2 at 70 % CPU",
        Policy::HpaTuned => "the best HPA on the incident's own past: 0 on the scale",
        Policy::HpaHindsight => "the best HPA on the scored part itself",
        Policy::Keda => "KEDA on requests a second",
        Policy::Vpa => "the vertical pod autoscaler's recommender",
        Policy::Ipa => "the floor: the numeric planner, no model",
        Policy::IpaModel => "the whole loop, with a model",
        Policy::Oracle => "knows every arrival",
        Policy::OracleRate => "knows the rate and not the noise: 1 on the scale",
    };
    Key { name: policy.name(), tone, shape, about }
}
