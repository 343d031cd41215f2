//! When a failed call is made again: pure arithmetic over headers, attempt and the time that is left.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

/// Retries after the first attempt.
pub const MOST_RETRIES: u32 = 2;
/// First back-off; doubled each time, drawn in full (from zero to it).
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// Longest back-off.
const LONGEST_BACKOFF: Duration = Duration::from_secs(8);

/// What to do after a failure that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait so long, then once more.
    Retry(Duration),
    /// Give up; the reason stands.
    GiveUp,
    /// Give up; the server asked to stay away for so long.
    Later(Duration),
}

/// Decides after attempt number `attempt` (from 0). `jitter` is a number from 0 to 1, drawn anew each time; `left` is what remains of the
/// deadline. A server's own wish to wait is obeyed exactly, if it fits.
#[must_use]
pub fn next(attempt: u32, headers: &HeaderMap, now: Timestamp, left: Duration, jitter: f64) -> Next {
    if let Some(asked) = asked_to_wait(headers, now) {
        if asked >= left {
            return Next::Later(asked);
        }
        return if attempt < MOST_RETRIES && may_retry(headers) { Next::Retry(asked) } else { Next::GiveUp };
    }
    let backoff = FIRST_BACKOFF.saturating_mul(1 << attempt.min(10)).min(LONGEST_BACKOFF).mul_f64(jitter.clamp(0.0, 1.0));
    if attempt < MOST_RETRIES && may_retry(headers) && backoff < left { Next::Retry(backoff) } else { Next::GiveUp }
}

fn may_retry(headers: &HeaderMap) -> bool {
    text(headers, "x-should-retry") != Some("false")
}

/// `retry-after-ms`, else `Retry-After` in seconds or as an HTTP date.
fn asked_to_wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let number = |text: &str| text.parse::<f64>().ok().and_then(|value| Duration::try_from_secs_f64(value).ok());
    if let Some(wait) = text(headers, "retry-after-ms").and_then(number) {
        return Some(wait / 1000);
    }
    let asked = text(headers, "retry-after")?;
    number(asked).or_else(|| {
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(asked).ok()?;
        Some(Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO))
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Duration = Duration::from_secs(30);

    fn after(attempt: u32, headers: &[(&'static str, &str)], jitter: f64) -> Next {
        let headers = headers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect();
        next(attempt, &headers, "2026-11-06T08:49:37Z".parse().unwrap(), LEFT, jitter)
    }

    #[test]
    fn back_off_doubles_and_is_drawn_in_full() {
        assert_eq!(after(0, &[], 1.0), Next::Retry(Duration::from_millis(500)));
        assert_eq!(after(1, &[], 0.5), Next::Retry(Duration::from_millis(500)));
        assert_eq!(after(1, &[], 0.0), Next::Retry(Duration::ZERO));
        assert_eq!(after(2, &[], 0.1), Next::GiveUp);
    }

    #[test]
    fn a_servers_wish_is_obeyed_if_it_fits() {
        assert_eq!(after(0, &[("retry-after", "2")], 0.1), Next::Retry(Duration::from_secs(2)));
        assert_eq!(after(0, &[("retry-after-ms", "1500"), ("retry-after", "9")], 0.1), Next::Retry(Duration::from_millis(1500)));
        assert_eq!(after(0, &[("retry-after", "Fri, 06 Nov 2026 08:49:47 GMT")], 0.1), Next::Retry(Duration::from_secs(10)));
        assert_eq!(after(0, &[("retry-after", "Fri, 06 Nov 2026 08:00:00 GMT")], 0.1), Next::Retry(Duration::ZERO));
        assert_eq!(after(0, &[("retry-after", "3600")], 0.1), Next::Later(Duration::from_hours(1)));
        assert_eq!(after(0, &[("retry-after", "Fri, 06 Nov 2026 09:49:37 GMT")], 0.1), Next::Later(Duration::from_hours(1)));
        assert_eq!(after(2, &[("retry-after", "2")], 0.1), Next::GiveUp);
        assert_eq!(after(0, &[("retry-after", "soon")], 1.0), Next::Retry(Duration::from_millis(500)));
        assert_eq!(after(0, &[("retry-after", "-5")], 1.0), Next::Retry(Duration::from_millis(500)));
    }

    #[test]
    fn a_server_may_forbid_to_retry() {
        assert_eq!(after(0, &[("x-should-retry", "false")], 0.1), Next::GiveUp);
        assert_eq!(after(0, &[("x-should-retry", "false"), ("retry-after", "2")], 0.1), Next::GiveUp);
    }
}
