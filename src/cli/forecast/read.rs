//! A recorded series as CSV: the header `t,value`, times in seconds or RFC 3339 that rise, values that are not negative; an empty value is a gap.

use jiff::Timestamp;

use crate::domain::series::Series;

/// Samples that a file may span, gaps included: a year of half minutes.
const MOST_SAMPLES: i64 = 1_051_200;

/// How the file tells time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// In seconds.
    Seconds,
    /// As RFC 3339.
    Stamps,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The series; several samples of one step are taken as their mean, missing ones as gaps.
    pub series: Series,
    /// How the file tells time.
    pub clock: Clock,
}

/// What is wrong with a file. Printed behind its name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReadError {
    /// The first line is no header.
    #[error("1: header: expected `t,value`, found {0:?}")]
    Header(String),
    /// Another number of fields.
    #[error("{line}: expected two fields, `t,value`, found {found}")]
    Fields {
        /// Line.
        line: usize,
        /// How many there are.
        found: usize,
    },
    /// A time that is none.
    #[error("{line}: t: {text:?} is neither seconds nor an RFC 3339 time such as 2026-03-02T00:00:00Z")]
    Time {
        /// Line.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// Seconds in one line and a time stamp in another.
    #[error("{line}: t: seconds and RFC 3339 are mixed; write all lines alike")]
    Mixed {
        /// Line.
        line: usize,
    },
    /// A time that does not rise.
    #[error("{line}: t: {text} does not come after the line before; sort by time and keep one line for each")]
    Unsorted {
        /// Line.
        line: usize,
        /// The time.
        text: String,
    },
    /// A value that is none.
    #[error("{line}: value: {text:?} is no number of zero or more; leave a gap empty")]
    Value {
        /// Line.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// No two samples.
    #[error("{line}: value: at least two lines with a value are needed")]
    Empty {
        /// The last line.
        line: usize,
    },
    /// A step of nothing, or one that makes too many samples.
    #[error("{line}: t: at {step_s} s a sample the file would hold {samples} samples, more than {MOST_SAMPLES}; give a longer --step")]
    Step {
        /// The last line.
        line: usize,
        /// The step.
        step_s: u64,
        /// Samples it would make.
        samples: i64,
    },
}

impl Recorded {
    /// Samples that are not gaps.
    #[must_use]
    pub fn known(&self) -> usize {
        self.series.values.iter().filter(|v| v.is_finite()).count()
    }

    /// Reads a file's text. Without `step_s` the step is the most usual difference between two lines.
    ///
    /// # Errors
    ///
    /// When a line is not as it should be; the first such line is named.
    pub fn parse(text: &str, step_s: Option<u64>) -> Result<Self, ReadError> {
        let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate().map(|(index, line)| (index + 1, line));
        let header = lines.next().map_or("", |(_, line)| line);
        if header.split(',').map(str::trim).ne(["t", "value"]) {
            return Err(ReadError::Header(shortened(header)));
        }
        let mut samples: Vec<(i64, f32)> = Vec::new();
        let (mut clock, mut end) = (None, 1);
        for (line, text) in lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#')) {
            let fields: Vec<&str> = text.split(',').map(str::trim).collect();
            let [time, value] = fields[..] else { return Err(ReadError::Fields { line, found: fields.len() }) };
            let (at, told) = time_of(time).ok_or_else(|| ReadError::Time { line, text: shortened(time) })?;
            if *clock.get_or_insert(told) != told {
                return Err(ReadError::Mixed { line });
            }
            if samples.last().is_some_and(|(before, _)| *before >= at) {
                return Err(ReadError::Unsorted { line, text: shortened(time) });
            }
            let value = value_of(value).ok_or_else(|| ReadError::Value { line, text: shortened(value) })?;
            samples.push((at, value));
            end = line;
        }
        let (Some(clock), Some(usual)) = (clock, usual_step(&samples)) else { return Err(ReadError::Empty { line: end }) };
        let step_s = step_s.unwrap_or(usual);
        let series = gridded(&samples, step_s).map_err(|samples| ReadError::Step { line: end, step_s, samples })?;
        Ok(Self { series, clock })
    }
}

/// What is told of a mistake: not more than a line of it.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

fn time_of(text: &str) -> Option<(i64, Clock)> {
    if let Ok(seconds) = text.parse::<f64>() {
        let seconds = seconds.round() as i64;
        return Timestamp::from_second(seconds)
            .ok()
            .map(|_| (seconds, Clock::Seconds))
            .filter(|_| text.parse::<f64>().is_ok_and(f64::is_finite));
    }
    text.parse::<Timestamp>().ok().map(|at| (at.as_second(), Clock::Stamps))
}

fn value_of(text: &str) -> Option<f32> {
    if text.is_empty() {
        return Some(f32::NAN);
    }
    text.parse::<f32>().ok().filter(|value| value.is_finite() && *value >= 0.0)
}

/// The most usual difference between neighbours, the smaller of equals; `None` where fewer than two values are known.
fn usual_step(samples: &[(i64, f32)]) -> Option<u64> {
    if samples.iter().filter(|(_, value)| value.is_finite()).take(2).count() < 2 {
        return None;
    }
    let mut steps: Vec<u64> = samples.windows(2).map(|pair| pair[0].0.abs_diff(pair[1].0)).collect();
    steps.sort_unstable();
    let runs = steps.chunk_by(|a, b| a == b);
    runs.max_by(|a, b| a.len().cmp(&b.len()).then(b[0].cmp(&a[0]))).map(|run| run[0])
}

/// Samples on a grid of `step_s` seconds, or how many there would be where that is too many.
fn gridded(samples: &[(i64, f32)], step_s: u64) -> Result<Series, i64> {
    let (Some((first, _)), Some((last, _))) = (samples.first(), samples.last()) else { return Err(0) };
    let step = i64::try_from(step_s).unwrap_or(i64::MAX).max(1);
    let slot = |at: i64| (at - first).saturating_add(step / 2) / step;
    let count = slot(*last) + 1;
    let (Ok(length), Ok(step_s), Ok(start)) = (usize::try_from(count), u32::try_from(step), Timestamp::from_second(*first)) else {
        return Err(count);
    };
    if count > MOST_SAMPLES || i64::from(step_s) > MOST_SAMPLES {
        return Err(count);
    }
    let mut sums = vec![(0.0f64, 0u32); length];
    for (at, value) in samples.iter().filter(|(_, value)| value.is_finite()) {
        if let Some((sum, n)) = usize::try_from(slot(*at)).ok().and_then(|slot| sums.get_mut(slot)) {
            *sum += f64::from(*value);
            *n += 1;
        }
    }
    let values = sums.into_iter().map(|(sum, n)| if n > 0 { (sum / f64::from(n)) as f32 } else { f32::NAN }).collect();
    Ok(Series { start, step_s, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        Recorded::parse(text, None).unwrap_err().to_string()
    }

    #[test]
    fn seconds_and_stamps_are_read_and_gaps_stay_gaps() {
        let seconds = Recorded::parse("t,value\n0,1\n60,\n120,3\n# night\n300,0\n", None).unwrap();
        assert_eq!((seconds.series.step_s, seconds.clock, seconds.known()), (60, Clock::Seconds, 3));
        assert_eq!(seconds.series.values.len(), 6);
        assert!(seconds.series.values[1].is_nan() && seconds.series.values[4].is_nan());
        let stamps = Recorded::parse("\u{feff}t,value\r\n2026-03-02T00:00:00Z,1\r\n2026-03-02T01:05:00+01:00,2\r\n", None).unwrap();
        assert_eq!((stamps.series.step_s, stamps.clock), (300, Clock::Stamps));
    }

    #[test]
    fn a_longer_step_takes_means() {
        let read = Recorded::parse("t,value\n0,1\n60,2\n120,6\n180,8\n", Some(120)).unwrap();
        assert_eq!(read.series.values, [1.0, 4.0, 8.0], "a sample belongs to the nearest step");
    }

    #[test]
    fn each_mistake_is_one_line_with_line_and_field() {
        for (text, said) in [
            ("", "1: header: expected `t,value`, found \"\""),
            ("time,value\n0,1\n", "1: header: expected `t,value`, found \"time,value\""),
            ("t,value\n0,1,2\n", "2: expected two fields, `t,value`, found 3"),
            ("t,value\nnoon,1\n", "2: t: \"noon\" is neither seconds nor an RFC 3339 time such as 2026-03-02T00:00:00Z"),
            ("t,value\nNaN,1\n", "2: t: \"NaN\" is neither seconds nor an RFC 3339 time such as 2026-03-02T00:00:00Z"),
            ("t,value\n0,1\n2026-03-02T00:00:00Z,1\n", "3: t: seconds and RFC 3339 are mixed; write all lines alike"),
            ("t,value\n60,1\n60,1\n", "3: t: 60 does not come after the line before; sort by time and keep one line for each"),
            ("t,value\n0,-1\n", "2: value: \"-1\" is no number of zero or more; leave a gap empty"),
            ("t,value\n0,inf\n", "2: value: \"inf\" is no number of zero or more; leave a gap empty"),
            ("t,value\n0,1\n60,\n", "3: value: at least two lines with a value are needed"),
            (
                "t,value\n0,1\n1,1\n2,1\n99999999,1\n",
                "5: t: at 1 s a sample the file would hold 100000000 samples, more than 1051200; give a longer --step",
            ),
        ] {
            assert_eq!(error(text), said);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(body in "([-0-9eTZ:.+na]{0,12},[-0-9e.naf]{0,8}\n){0,20}", step in prop::option::of(0u64..u64::MAX)) {
            let _ = Recorded::parse(&format!("t,value\n{body}"), step);
        }
    }
}
