//! What IPA is measured against: the autoscalers that teams run today, at their best, over what a cluster and its metrics would show them.
//!
//! Each is a state machine over [`Sight`]; whoever runs it asks every [`Baseline::every_s`] seconds and sets the replicas it answers. Left out:
//! oracles, which know more than a sight shows, and the search through [`tuning_grid`], which needs a simulation.

mod grid;
mod hold;
mod hpa;
mod keda;
mod observe;
mod static_peak;
mod vpa;

pub use grid::tuning_grid;
pub use hold::Hold;
pub use hpa::HpaBaseline;
pub use keda::{Keda, Trigger};
pub use static_peak::StaticPeak;
pub use vpa::{Vpa, VpaRecommendation};

use crate::sim::Sight;

/// An autoscaler of replicas beside IPA.
pub trait Baseline: Send {
    /// Seconds between two looks.
    fn every_s(&self) -> u32;

    /// One look: the replicas to set; `None` leaves them. What it answers is taken as done.
    fn decide(&mut self, sight: &Sight) -> Option<u32>;
}

impl<B: Baseline + ?Sized> Baseline for Box<B> {
    fn every_s(&self) -> u32 {
        (**self).every_s()
    }

    fn decide(&mut self, sight: &Sight) -> Option<u32> {
        (**self).decide(sight)
    }
}
