//! Every setting that a diligent team would try for its HPA: `hpa-tuned` is the best of these on the workload's past, `hpa-hindsight` on what
//! came after.

use std::collections::BTreeSet;

use crate::domain::limits::Bounds;
use crate::hpa::{DEFAULT_CPU_TARGET_PERCENT, HpaSpec};

/// Percent of the CPU request.
const TARGETS: std::ops::RangeInclusive<u32> = 30..=95;
/// Percent between two targets.
const TARGET_STEP: usize = 5;
/// `scaleDown.stabilizationWindowSeconds`; the last is the default.
const WINDOWS_S: [u32; 3] = [0, 60, 300];
/// Values of `minReplicas`, where there are so many.
const MINIMA: u32 = 8;

/// The grid, in a fixed order, without two specs that behave alike: targets, windows and values of `minReplicas` spread from 1 to `static_peak`
/// (the constant that the peak needs) with `maxReplicas` at the bound; and each of these values as a constant, where neither target nor window
/// matters. Everything lies inside `bounds`.
#[must_use]
pub fn tuning_grid(static_peak: u32, bounds: Bounds) -> Vec<HpaSpec> {
    let minima = minima(static_peak, bounds);
    let mut grid = Vec::new();
    for min in minima.iter().copied().filter(|min| *min < bounds.max) {
        for target in TARGETS.step_by(TARGET_STEP) {
            for window_s in WINDOWS_S {
                grid.push(HpaSpec::cpu(target, Bounds { min, max: bounds.max }).with_scale_down_window(window_s));
            }
        }
    }
    grid.extend(minima.into_iter().map(|min| HpaSpec::cpu(DEFAULT_CPU_TARGET_PERCENT, Bounds { min, max: min })));
    grid
}

/// Evenly spread values with both ends among them; all there are where they are few. An HPA has one replica at least.
fn minima(static_peak: u32, bounds: Bounds) -> BTreeSet<u32> {
    let lowest = bounds.min.max(1);
    let highest = static_peak.clamp(lowest, bounds.max.max(lowest));
    let steps = MINIMA - 1;
    let spread = u64::from(highest - lowest);
    let at = |step: u32| lowest + u32::try_from((spread * u64::from(step) + u64::from(steps / 2)) / u64::from(steps)).unwrap_or(0);
    (0..=steps).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpa::{AverageTarget, MetricSpec, Resource};

    fn target(spec: &HpaSpec) -> u32 {
        match spec.metrics[..] {
            [MetricSpec::Resource { resource: Resource::Cpu, target: AverageTarget::Utilization(percent) }] => percent,
            _ => panic!("{spec:?}"),
        }
    }

    #[test]
    fn it_spans_targets_windows_and_minima_with_the_bound_or_the_minimum_as_maximum() {
        let grid = tuning_grid(43, Bounds { min: 1, max: 60 });
        assert_eq!(minima(43, Bounds { min: 1, max: 60 }), [1, 7, 13, 19, 25, 31, 37, 43].into());
        assert_eq!(grid.len(), 8 * 14 * 3 + 8);
        let of = |value: fn(&HpaSpec) -> u32| grid.iter().map(value).collect::<BTreeSet<_>>();
        assert_eq!(of(target), (30..=95).step_by(5).collect());
        let windows: BTreeSet<_> = grid.iter().filter_map(|spec| spec.behaviour.as_ref()?.scale_down.window_s).collect();
        assert_eq!(windows, WINDOWS_S.into());
        assert!(grid.iter().all(|spec| spec.bounds.max == 60 || spec.bounds.max == spec.bounds.min));
        assert_eq!(grid.iter().filter(|spec| spec.bounds.max == spec.bounds.min).count(), 8);
    }

    #[test]
    fn it_stays_inside_the_bounds_and_holds_nothing_twice() {
        for (peak, min, max) in [(0, 0, 3), (5, 2, 60), (100, 2, 10), (4, 4, 4), (1, 1, 50)] {
            let grid = tuning_grid(peak, Bounds { min, max });
            assert!(grid.iter().all(|spec| spec.bounds.min >= min.max(1) && spec.bounds.min <= spec.bounds.max && spec.bounds.max <= max));
            let repeated = grid.iter().enumerate().any(|(index, spec)| grid[..index].contains(spec));
            assert!(!repeated && !grid.is_empty(), "{peak} {min} {max}");
        }
    }
}
