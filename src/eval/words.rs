//! Numbers of a result as people read them, in the terminal and in the report. What is not known is a dash.

use super::bootstrap::Interval;

/// What stands where nothing is known.
pub const UNKNOWN: &str = "–";

/// A share as percent: `0.42 %`, which no line break parts.
#[must_use]
pub fn percent(share: Option<f64>) -> String {
    let percent = share.map(|share| 100.0 * share);
    percent.map_or_else(
        || UNKNOWN.to_owned(),
        |percent| if percent < 9.995 { format!("{percent:.2}\u{a0}%") } else { format!("{percent:.1}\u{a0}%") },
    )
}

/// How many times as much: `1.18×`.
#[must_use]
pub fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| UNKNOWN.to_owned(), |ratio| format!("{ratio:.2}×"))
}

/// A share of the gap: `0.42`, `−0.10`.
#[must_use]
pub fn gap(share: Option<f64>) -> String {
    share.map_or_else(|| UNKNOWN.to_owned(), signed)
}

/// From where to where: `[0.31, 0.52]`; empty where it is not known.
#[must_use]
pub fn interval(interval: Option<Interval>) -> String {
    interval.map_or_else(String::new, |Interval { low, high }| format!("[{}, {}]", signed(low), signed(high)))
}

fn signed(number: f64) -> String {
    let digits = format!("{:.2}", number.abs());
    if number < 0.0 && digits != "0.00" { format!("−{digits}") } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_what_is_unknown_is_a_dash() {
        assert_eq!([percent(Some(0.0042)), percent(Some(0.1234)), percent(None)], ["0.42\u{a0}%", "12.3\u{a0}%", "–"]);
        assert_eq!([times(Some(1.178)), times(None)], ["1.18×", "–"]);
        assert_eq!([gap(Some(0.421)), gap(Some(-0.1)), gap(Some(-0.001)), gap(None)], ["0.42", "−0.10", "0.00", "–"]);
        assert_eq!([interval(Some(Interval { low: -0.2, high: 0.5 })), interval(None)], ["[−0.20, 0.50]", ""]);
    }
}
