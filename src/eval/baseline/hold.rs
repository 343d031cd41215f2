//! Nobody scales: what is there stays there.

use super::Baseline;
use crate::sim::Sight;

/// Leaves replicas as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hold;

impl Baseline for Hold {
    fn every_s(&self) -> u32 {
        crate::hpa::SYNC_S
    }

    fn decide(&mut self, _: &Sight) -> Option<u32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leaves_whatever_is_there() {
        assert_eq!(Hold.decide(&Sight { desired: 3, waiting: 1_000_000, ..Sight::default() }), None);
    }
}
