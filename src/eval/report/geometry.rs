//! From numbers to coordinates: scales, ticks and paths. Pixels are rounded to a tenth.

use std::fmt::Write as _;

use serde::Serialize;

/// Maps values onto pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The value at `start`.
    pub(super) from: f64,
    /// The value at `end`.
    pub(super) to: f64,
    /// Where the axis begins.
    pub(super) start: f64,
    /// Where it ends.
    pub(super) end: f64,
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

impl Scale {
    /// Where a value is; one beyond an end is at that end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = if self.to > self.from { ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0) } else { 0.0 };
        tenth(self.start + share * (self.end - self.start))
    }

    /// Ticks for those of `values` that lie on the scale, at least `apart` pixels from each other; `label` writes them.
    pub(super) fn ticks(&self, values: &[f64], apart: f64, map: impl Fn(f64) -> f64, label: impl Fn(f64) -> String) -> Vec<Tick> {
        let mut ticks: Vec<Tick> = Vec::new();
        for value in values {
            let mapped = map(*value);
            let at = self.at(mapped);
            let inside = self.from <= mapped && mapped <= self.to;
            if inside && ticks.last().is_none_or(|last| (last.at - at).abs() >= apart) {
                ticks.push(Tick { at, label: label(*value) });
            }
        }
        ticks
    }
}

/// To a tenth of a pixel, so that a page stays small.
pub(super) fn tenth(pixel: f64) -> f64 {
    (pixel * 10.0).round() / 10.0
}

/// The smallest of 1, 2, 5, 10, 20, ... (and their tenths, ...) with which at most `most` steps reach `top`.
pub(super) fn nice_step(top: f64, most: u32) -> f64 {
    let raw = top / f64::from(most.max(1));
    if !raw.is_finite() || raw <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= raw * (1.0 - 1e-9)).unwrap_or(raw)
}

/// The step between ticks on an axis of `seconds`: whole minutes or hours, at most six ticks.
pub(super) fn time_step(seconds: u32) -> u32 {
    const STEPS: [u32; 12] = [60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800];
    STEPS.into_iter().find(|step| seconds / step <= 5).unwrap_or_else(|| (seconds / 5).max(1))
}

/// A line through values that hold each from one place to the next: `edges` has one more entry than `heights`. What does not change is not
/// written.
pub(super) fn steps(edges: &[f64], heights: &[f64]) -> String {
    let mut path = String::new();
    let mut last = f64::NAN;
    for (edge, height) in edges.iter().zip(heights) {
        // Writing to a `String` cannot fail.
        if path.is_empty() {
            let _ = write!(path, "M{edge} {height}");
        } else if (*height - last).abs() > f64::EPSILON {
            let _ = write!(path, "H{edge}V{height}");
        }
        last = *height;
    }
    if let Some(end) = edges.get(heights.len()).filter(|_| !heights.is_empty()) {
        let _ = write!(path, "H{end}");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_maps_and_holds_its_ends() {
        let scale = Scale { from: 0.0, to: 10.0, start: 100.0, end: 0.0 };
        assert_eq!([0.0, 2.5, 10.0, 99.0, -5.0].map(|value| scale.at(value)), [100.0, 75.0, 0.0, 0.0, 100.0]);
        assert_eq!(Scale { to: 0.0, ..scale }.at(3.0), 100.0, "a scale of nothing");
        let ticks = scale.ticks(&[0.0, 1.0, 5.0, 20.0], 20.0, |value| value, |value| format!("{value}"));
        assert_eq!(ticks.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>(), ["0", "5"], "1 is too near and 20 beyond");
    }

    #[test]
    fn steps_between_ticks_are_round() {
        assert_eq!(
            [(100.0, 4), (130.0, 4), (7.0, 3), (0.9, 3), (0.0, 3)].map(|(top, most)| nice_step(top, most)),
            [50.0, 50.0, 5.0, 0.5, 1.0]
        );
        assert_eq!([2700, 86_400, 7 * 86_400].map(time_step), [600, 21_600, 172_800]);
    }

    #[test]
    fn a_line_of_steps_writes_only_what_changes() {
        assert_eq!(steps(&[0.0, 1.0, 2.0, 3.0], &[5.0, 5.0, 7.5]), "M0 5H2V7.5H3");
        assert_eq!(steps(&[], &[]), "");
    }
}
