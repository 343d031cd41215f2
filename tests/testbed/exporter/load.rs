//! Requests a second over time: a constant, or a recording played faster than it was made.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Points of the made-up day: one every five minutes.
const DAY_STEP_SECONDS: u32 = 300;

/// What is offered, as a function of the time since it began.
#[derive(Clone, Debug)]
pub enum Load {
    /// Always the same.
    Constant(f64),
    /// A recording, repeated when it ends.
    Replay {
        /// Seconds and requests a second, by rising time. A value holds until the next one.
        points: Vec<(f64, f64)>,
        /// Recorded seconds that pass in one real second.
        speed: f64,
    },
}

impl Load {
    /// Reads a recording with the header `t,value`, `t` in seconds.
    pub fn read_csv(path: &Path, speed: f64) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
        Self::parse_csv(&text, speed).with_context(|| format!("{} is no recording", path.display()))
    }

    /// Reads the text of a recording.
    pub fn parse_csv(text: &str, speed: f64) -> Result<Self> {
        ensure!(speed.is_finite() && speed > 0.0, "the speed must be above 0, and is {speed}");
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default().trim();
        ensure!(header == "t,value", "line 1 must be the header `t,value`, and is `{header}`");
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (index, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let number = index + 2;
            let (t, value) = line.split_once(',').with_context(|| format!("line {number} must hold two columns, and is `{line}`"))?;
            let parse =
                |text: &str| -> Result<f64> { text.trim().parse().with_context(|| format!("line {number}: `{text}` is no number")) };
            let (t, value) = (parse(t)?, parse(value)?);
            ensure!(value.is_finite() && value >= 0.0, "line {number}: the value must be 0 or more, and is {value}");
            ensure!(points.last().is_none_or(|last| last.0 < t), "line {number}: t must rise from line to line");
            points.push((t, value));
        }
        ensure!(points.len() >= 2, "it needs two lines of values or more");
        Ok(Self::Replay { points, speed })
    }

    /// A made-up day: quiet at night, a hill in the afternoon, between `low` and `high`.
    #[must_use]
    pub fn day(low: f64, high: f64, speed: f64) -> Self {
        let day = 24.0 * 3600.0;
        let points = (0..24 * 3600 / DAY_STEP_SECONDS)
            .map(|step| {
                let t = f64::from(step * DAY_STEP_SECONDS);
                let hill = (1.0 - (std::f64::consts::TAU * (t / day - 0.1)).cos()) / 2.0;
                (t, low + (high - low) * hill)
            })
            .collect();
        Self::Replay { points, speed }
    }

    /// The same load, this many times as much.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(value * factor),
            Self::Replay { points, speed } => {
                Self::Replay { points: points.iter().map(|(t, value)| (*t, value * factor)).collect(), speed: *speed }
            }
        }
    }

    /// Requests a second at this time after the beginning.
    #[must_use]
    pub fn at(&self, since: Duration) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Replay { points, speed } => {
                let [first, .., before_last, last] = points.as_slice() else {
                    return points.first().map_or(0.0, |point| point.1);
                };
                // The last value holds as long as the one before it.
                let length = last.0 - first.0 + (last.0 - before_last.0);
                let t = first.0 + (since.as_secs_f64() * speed) % length;
                let next = points.partition_point(|point| point.0 <= t);
                points[next.saturating_sub(1)].1
            }
        }
    }
}
