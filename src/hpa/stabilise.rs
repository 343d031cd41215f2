//! What was recommended lately holds a change back: the highest of a window before a scale-down, the lowest before a scale-up.

use std::collections::VecDeque;

use super::decision::AbleToScale;
use super::spec::HpaSpec;

/// Recommendations as metrics gave them, oldest first; none that no window reaches any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Recommendations {
    recent: VecDeque<(f64, u32)>,
    begun: bool,
}

impl Recommendations {
    /// The count found at the first sync is the first recommendation.
    pub fn begin(&mut self, now_s: f64, current: u32) {
        if !self.begun {
            self.begun = true;
            self.recent.push_back((now_s, current));
        }
    }

    /// `proposed` held by the windows, and whether they changed it.
    pub fn stabilise(&mut self, proposed: u32, current: u32, spec: &HpaSpec, now_s: f64) -> (u32, AbleToScale) {
        let behaviour = spec.behaviour.as_ref();
        let up_s = behaviour.and_then(|behaviour| behaviour.scale_up.window_s).unwrap_or(0);
        let down_s = behaviour.and_then(|behaviour| behaviour.scale_down.window_s).unwrap_or(spec.flags.scale_down_window_s);
        // One exactly as old as the window is outside of it. Syncs drift by what each takes, so that a real one is always a little older.
        let within = |at_s: f64, window_s: u32| at_s > now_s - f64::from(window_s);
        let (mut lowest, mut highest) = (proposed, proposed);
        for (at_s, replicas) in &self.recent {
            if within(*at_s, up_s) {
                lowest = lowest.min(*replicas);
            }
            if within(*at_s, down_s) {
                highest = highest.max(*replicas);
            }
        }
        while self.recent.front().is_some_and(|(at_s, _)| !within(*at_s, up_s.max(down_s))) {
            self.recent.pop_front();
        }
        self.recent.push_back((now_s, proposed));

        let stable = if behaviour.is_some() { current.max(lowest).min(highest) } else { highest };
        let reason = if stable == proposed {
            AbleToScale::ReadyForNewScale
        } else if behaviour.is_some() && proposed >= current {
            AbleToScale::ScaleUpStabilized
        } else {
            AbleToScale::ScaleDownStabilized
        };
        (stable, reason)
    }
}
