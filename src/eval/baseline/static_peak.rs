//! Replicas for the peak, all the time: what teams without an autoscaler pay for their peace.

use super::Baseline;
use crate::sim::Sight;

/// A constant.
#[derive(Clone, Copy, Debug)]
pub struct StaticPeak {
    replicas: u32,
}

impl StaticPeak {
    /// So many replicas, whatever comes: what the peak needs at the utilisation that is wanted.
    #[must_use]
    pub fn new(replicas: u32) -> Self {
        Self { replicas }
    }
}

impl Baseline for StaticPeak {
    fn every_s(&self) -> u32 {
        crate::hpa::SYNC_S
    }

    fn decide(&mut self, sight: &Sight) -> Option<u32> {
        // Whoever else changes them, they are set back.
        (sight.desired != self.replicas).then_some(self.replicas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_set_once_and_again_when_somebody_changes_it() {
        let mut policy = StaticPeak::new(7);
        let ask = |policy: &mut StaticPeak, desired| policy.decide(&Sight { desired, ..Sight::default() });
        assert_eq!([ask(&mut policy, 2), ask(&mut policy, 7), ask(&mut policy, 9)], [Some(7), None, Some(7)]);
    }
}
