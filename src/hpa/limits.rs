//! How far one sync may go: the bounds, and the rate of change, by the controller's own rule or by an HPA's policies.

use super::decision::ScalingLimited;
use super::spec::{Behaviour, Policy, ScalingRules, Select, Step};
use crate::domain::limits::Bounds;

/// Without policies replicas may double in one sync ...
const DOUBLE: u32 = 2;
/// ... or grow to so many, whichever is more.
const AT_ONCE: u32 = 4;

/// Changes that were carried out, by direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    up: Vec<Change>,
    down: Vec<Change>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    at_s: f64,
    replicas: u32,
}

#[derive(Clone, Copy, Debug)]
enum Direction {
    Up,
    Down,
}

impl Changes {
    /// Remembers a change, if it is one.
    pub fn note(&mut self, from: u32, to: u32, behaviour: &Behaviour, now_s: f64) {
        let (changes, rules) = if to > from { (&mut self.up, &behaviour.scale_up) } else { (&mut self.down, &behaviour.scale_down) };
        if to == from {
            return;
        }
        let longest_s = rules.policies.iter().map(|policy| policy.period_s).max().unwrap_or(0);
        let change = Change { at_s: now_s, replicas: to.abs_diff(from) };
        // As the controller does, the last of those that no policy of this direction reaches makes room; the others go on counting for policies
        // of the other direction that reach further back.
        match changes.iter_mut().rev().find(|old| old.at_s < now_s - f64::from(longest_s)) {
            Some(old) => *old = change,
            None => changes.push(change),
        }
    }

    /// Replicas at the beginning of a period that ends now with `current`.
    fn before(&self, current: u32, period_s: u32, now_s: f64) -> i64 {
        let sum = |changes: &[Change]| -> i64 {
            changes.iter().filter(|change| change.at_s > now_s - f64::from(period_s)).map(|change| i64::from(change.replicas)).sum()
        };
        i64::from(current) - sum(&self.up) + sum(&self.down)
    }
}

/// An HPA without `behavior`.
pub(super) fn by_default(current: u32, wanted: u32, bounds: Bounds) -> (u32, ScalingLimited) {
    let fastest = current.saturating_mul(DOUBLE).max(AT_ONCE);
    if wanted < bounds.min {
        (bounds.min, ScalingLimited::TooFewReplicas)
    } else if wanted <= bounds.max.min(fastest) {
        (wanted, ScalingLimited::DesiredWithinRange)
    } else if bounds.max > fastest {
        (fastest, ScalingLimited::ScaleUpLimit)
    } else {
        (bounds.max, ScalingLimited::TooManyReplicas)
    }
}

/// An HPA with `behavior`. `current` lies within the bounds.
pub(super) fn by_behaviour(
    current: u32,
    wanted: u32,
    bounds: Bounds,
    behaviour: &Behaviour,
    changes: &Changes,
    now_s: f64,
) -> (u32, ScalingLimited) {
    if wanted > current {
        let fastest = limit(Direction::Up, current, &behaviour.scale_up, changes, now_s).max(current);
        if wanted > bounds.max.min(fastest) {
            return if bounds.max > fastest {
                (fastest, ScalingLimited::ScaleUpLimit)
            } else {
                (bounds.max, ScalingLimited::TooManyReplicas)
            };
        }
    } else if wanted < current {
        let fastest = limit(Direction::Down, current, &behaviour.scale_down, changes, now_s).min(current);
        if wanted < bounds.min.max(fastest) {
            return if bounds.min < fastest {
                (fastest, ScalingLimited::ScaleDownLimit)
            } else {
                (bounds.min, ScalingLimited::TooFewReplicas)
            };
        }
    }
    (wanted, ScalingLimited::DesiredWithinRange)
}

/// The count that the selected policy allows; what is there where the direction is disabled.
fn limit(direction: Direction, current: u32, rules: &ScalingRules, changes: &Changes, now_s: f64) -> u32 {
    let each = rules.policies.iter().map(|Policy { step, period_s }| direction.allowed(changes.before(current, *period_s, now_s), *step));
    let chosen = match (rules.select, direction) {
        (Select::Disabled, _) => None,
        (Select::Max, Direction::Up) | (Select::Min, Direction::Down) => each.max(),
        (Select::Max, Direction::Down) | (Select::Min, Direction::Up) => each.min(),
    };
    chosen.map_or(current, |replicas| u32::try_from(replicas.max(0)).unwrap_or(u32::MAX))
}

impl Direction {
    /// Where one step leads. Upward a percentage is rounded up, so that a small one of a few replicas is one at least; downward towards zero.
    fn allowed(self, from: i64, step: Step) -> i64 {
        match (self, step) {
            (Self::Up, Step::Pods(pods)) => from + i64::from(pods),
            (Self::Up, Step::Percent(percent)) => (from as f64 * (1.0 + f64::from(percent) / 100.0)).ceil() as i64,
            (Self::Down, Step::Pods(pods)) => from - i64::from(pods),
            (Self::Down, Step::Percent(percent)) => (from as f64 * (1.0 - f64::from(percent) / 100.0)) as i64,
        }
    }
}
