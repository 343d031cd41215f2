//! A series file: the header `t,value`, then a row for each sample, in order of time. `t` is in seconds from the incident's start or RFC 3339; an
//! empty value is a gap. Whatever is wrong is said with its row.

use jiff::Timestamp;

use super::error::LineError;
use crate::crd::error::quoted;

/// The longest stretch without a value: what is missing for longer is no incident but no recording.
const LONGEST_GAP_S: u32 = 7 * 86_400;
/// More units/s than any one workload is offered.
const MOST_RATE: f64 = 1e9;

/// When a series has to have something to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Wall clock at t = 0.
    pub(super) start: Timestamp,
    /// Seconds before the scored part.
    pub(super) history_s: u32,
    /// Seconds scored.
    pub(super) duration_s: u32,
}

/// Samples as written: `(seconds from start, value)`, strictly rising, without gaps' rows and without what comes after the end.
///
/// # Errors
/// [`LineError`] for the first row that cannot be taken, or for what the series lacks.
pub(super) fn read(text: &str, span: Span) -> Result<Vec<(u32, f64)>, LineError> {
    let mut lines = (1u64..).zip(text.strip_prefix('\u{feff}').unwrap_or(text).lines());
    header(lines.next().map_or("", |(_, line)| line))?;
    let mut samples: Vec<(u32, f64)> = Vec::new();
    // The newest row, gap or not: its time and line.
    let mut last: Option<(u32, u64)> = None;
    // Where the stretch without a value began.
    let mut silent_since: Option<u32> = None;
    for (line, text) in lines {
        if text.trim().is_empty() {
            continue;
        }
        let (at, value) = row(text, line, span)?;
        rises(at, line, last)?;
        last = Some((at, line));
        let since = *silent_since.get_or_insert(at);
        if at - since > LONGEST_GAP_S {
            let days = f64::from(at - since) / 86_400.0;
            return Err(LineError::new(
                line,
                "value",
                format_args!(
                    "there is no value for {days:.1} days before; 7 days are the most: record anew, or begin the incident after the gap"
                ),
            ));
        }
        if let Some(value) = value {
            silent_since = Some(at);
            samples.push((at, value));
        }
    }
    let end_line = last.map_or(1, |(_, line)| line);
    let Some((first_at, _)) = samples.first().copied() else {
        return Err(LineError::new(end_line, "value", "the series is empty; write one row for each sample, such as 0,12.5"));
    };
    if first_at > span.history_s {
        return Err(LineError::new(
            end_line,
            "t",
            format_args!(
                "the first value is at {first_at}, after the scored part begins at {}; begin the series earlier, or make spec.history longer",
                span.history_s
            ),
        ));
    }
    if let Some((at, line)) = last.filter(|(at, _)| *at < span.history_s) {
        return Err(LineError::new(
            line,
            "t",
            format_args!(
                "the series ends at {at}, before the scored part begins at {}; make it longer, or make spec.history shorter",
                span.history_s
            ),
        ));
    }
    let end = span.history_s.saturating_add(span.duration_s);
    let silent = end.saturating_sub(samples.last().map_or(0, |(at, _)| *at));
    if silent > LONGEST_GAP_S {
        return Err(LineError::new(
            end_line,
            "value",
            format_args!(
                "there is no value for the last {:.1} days; 7 days are the most: make spec.duration shorter",
                f64::from(silent) / 86_400.0
            ),
        ));
    }
    samples.retain(|(at, _)| *at < end);
    Ok(samples)
}

fn header(line: &str) -> Result<(), LineError> {
    let columns: Vec<&str> = line.split(',').map(str::trim).collect();
    if columns == ["t", "value"] {
        return Ok(());
    }
    let problem = match ["t", "value"].into_iter().find(|name| !columns.contains(name)) {
        Some(missing) => {
            return Err(LineError::new(1, missing, format_args!("the column is missing from {}; the header is t,value", quoted(line))));
        }
        None => format!("{} is not the header; write t,value and no other column", quoted(line)),
    };
    Err(LineError::new(1, "t,value", problem))
}

fn row(text: &str, line: u64, span: Span) -> Result<(u32, Option<f64>), LineError> {
    let Some((time, value)) = text.split_once(',').filter(|(_, value)| !value.contains(',')) else {
        return Err(LineError::new(line, "t,value", format_args!("{} is not a time, a comma and a value; write 0,12.5", quoted(text))));
    };
    Ok((seconds(time.trim(), span.start).map_err(|problem| LineError::new(line, "t", problem))?, rate(value.trim(), line)?))
}

/// Seconds from the start, of a number or a wall clock.
pub(super) fn seconds(text: &str, start: Timestamp) -> Result<u32, String> {
    if text.contains('T') {
        let at: Timestamp =
            text.parse().map_err(|_| format!("{} is no RFC 3339 time; write one such as 2026-03-02T00:05:00Z", quoted(text)))?;
        let after = at.as_second().saturating_sub(start.as_second());
        return u32::try_from(after)
            .map_err(|_| format!("{} is before spec.start, or a century after it; t begins at {start}", quoted(text)));
    }
    // Tables written by programs carry `.0`.
    let whole = text.split_once('.').map_or(text, |(whole, fraction)| if fraction.bytes().all(|b| b == b'0') { whole } else { text });
    whole.parse().map_err(|_| format!("{} is no time; write whole seconds from spec.start, or RFC 3339", quoted(text)))
}

fn rate(text: &str, line: u64) -> Result<Option<f64>, LineError> {
    if text.is_empty() {
        return Ok(None);
    }
    let refuse = |problem: &str| LineError::new(line, "value", format_args!("{} {problem}", quoted(text)));
    let value: f64 = text.parse().map_err(|_| refuse("is no number; write one such as 12.5, or nothing for a gap"))?;
    if !value.is_finite() {
        return Err(refuse("is no rate; write nothing for a gap"));
    }
    if value < 0.0 {
        return Err(refuse("is negative; demand starts at 0"));
    }
    if value > MOST_RATE {
        return Err(refuse("is more than a billion; write units per second"));
    }
    // -0 would be printed as such.
    Ok(Some(value + 0.0))
}

fn rises(at: u32, line: u64, last: Option<(u32, u64)>) -> Result<(), LineError> {
    match last {
        Some((before, earlier)) if before == at => {
            Err(LineError::new(line, "t", format_args!("{at} stands in line {earlier} already; keep one row for each time")))
        }
        Some((before, _)) if before > at => Err(LineError::new(line, "t", format_args!("{at} comes after {before}; sort the rows by t"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(rows: &str, history_s: u32, duration_s: u32) -> Result<Vec<(u32, f64)>, String> {
        let span = Span { start: "2026-03-02T00:00:00Z".parse().unwrap(), history_s, duration_s };
        read(rows, span).map_err(|LineError { line, field, message }| format!("{line}: {field}: {message}"))
    }

    #[test]
    fn times_are_seconds_or_wall_clock_and_an_empty_value_is_a_gap() {
        let rows = "\u{feff}t,value\r\n0,1\r\n 300.0 , 2.5\r\n2026-03-02T00:10:00Z,\r\n2026-03-02T01:15:00+01:00,4e0\r\n\r\n1200,9\r\n";
        assert_eq!(check(rows, 600, 600), Ok(vec![(0, 1.0), (300, 2.5), (900, 4.0)]), "what comes after the end is left out");
    }

    #[test]
    fn each_broken_series_is_refused_with_its_line_and_the_mend() {
        for (rows, error) in [
            ("", "1: t: the column is missing from ``; the header is t,value"),
            ("t,rate\n0,1\n", "1: value: the column is missing from `t,rate`; the header is t,value"),
            ("t,value,x\n0,1,2\n", "1: t,value: `t,value,x` is not the header; write t,value and no other column"),
            ("t,value\n", "1: value: the series is empty; write one row for each sample, such as 0,12.5"),
            ("t,value\n0,\n300,\n900,\n", "4: value: the series is empty; write one row for each sample, such as 0,12.5"),
            ("t,value\n0\n", "2: t,value: `0` is not a time, a comma and a value; write 0,12.5"),
            ("t,value\n0,1\n0,2\n", "3: t: 0 stands in line 2 already; keep one row for each time"),
            ("t,value\n300,1\n0,2\n", "3: t: 0 comes after 300; sort the rows by t"),
            ("t,value\n-1,1\n", "2: t: `-1` is no time; write whole seconds from spec.start, or RFC 3339"),
            ("t,value\n0.5,1\n", "2: t: `0.5` is no time; write whole seconds from spec.start, or RFC 3339"),
            (
                "t,value\n2026-03-01T00:00:00Z,1\n",
                "2: t: `2026-03-01T00:00:00Z` is before spec.start, or a century after it; t begins at 2026-03-02T00:00:00Z",
            ),
            (
                "t,value\n2026-13-01T00:00:00Z,1\n",
                "2: t: `2026-13-01T00:00:00Z` is no RFC 3339 time; write one such as 2026-03-02T00:05:00Z",
            ),
            ("t,value\n0,-3\n", "2: value: `-3` is negative; demand starts at 0"),
            ("t,value\n0,NaN\n", "2: value: `NaN` is no rate; write nothing for a gap"),
            ("t,value\n0,x\n", "2: value: `x` is no number; write one such as 12.5, or nothing for a gap"),
            ("t,value\n0,1e12\n", "2: value: `1e12` is more than a billion; write units per second"),
            (
                "t,value\n0,1\n300,1\n",
                "3: t: the series ends at 300, before the scored part begins at 600; make it longer, or make spec.history shorter",
            ),
            (
                "t,value\n700,1\n",
                "2: t: the first value is at 700, after the scored part begins at 600; begin the series earlier, or make spec.history longer",
            ),
        ] {
            assert_eq!(check(rows, 600, 1200), Err(error.to_owned()), "{rows}");
        }
    }

    #[test]
    fn a_year_of_gaps_is_no_recording() {
        let year = 365 * 86_400;
        let jump = format!("t,value\n0,1\n{year},2\n");
        assert!(check(&jump, 600, year).unwrap_err().starts_with("3: value: there is no value for 365.0 days before; 7 days are the most"));
        let empty = (0..366).map(|day| format!("{},\n", day * 86_400)).collect::<Vec<_>>().concat();
        assert!(check(&format!("t,value\n{empty}"), 600, year).unwrap_err().starts_with("10: value: there is no value for 8.0 days"));
        assert!(check("t,value\n0,1\n700,2\n", 600, year).unwrap_err().starts_with("3: value: there is no value for the last 365.0 days"));
        assert!(check("t,value\n0,1\n604800,2\n", 600, 700_000).is_ok());
    }

    #[test]
    fn a_workload_may_be_younger_than_the_history() {
        assert_eq!(check("t,value\n5184000,1\n5200000,2\n", 5_200_000, 600), Ok(vec![(5_184_000, 1.0), (5_200_000, 2.0)]));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_taken_rises(
            rows in proptest::collection::vec("[0-9T:Z.,eE+-]{0,12}|\\PC{0,12}|[0-9]{1,4},[0-9]{0,3}", 0..20), history in 0u32..5000, duration in 600u32..5000,
        ) {
            if let Ok(samples) = check(&format!("t,value\n{}", rows.join("\n")), history, duration) {
                prop_assert!(samples.windows(2).all(|pair| pair[0].0 < pair[1].0));
                prop_assert!(!samples.is_empty() && samples.iter().all(|(at, value)| *at < history + duration && *value >= 0.0 && value.is_finite()));
            }
        }
    }
}
