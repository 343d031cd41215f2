//! How often something costly may be asked: a bucket that fills slowly. Time is passed in.

use std::time::{Duration, Instant};

/// Questions that may come at once.
const BURST: f64 = 20.0;

/// One more may come after this long.
const EACH: Duration = Duration::from_secs(2);

/// What is left of an allowance.
#[derive(Debug)]
pub(super) struct Allowance {
    left: f64,
    at: Option<Instant>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: BURST, at: None }
    }
}

impl Allowance {
    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let since = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.left = (self.left + since.as_secs_f64() / EACH.as_secs_f64()).min(BURST);
        self.at = Some(now);
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_served_then_one_every_two_seconds() {
        let start = Instant::now();
        let mut allowance = Allowance::default();
        assert!((0..20).all(|_| allowance.take(start)));
        assert!(!allowance.take(start));
        assert!(!allowance.take(start + Duration::from_secs(1)));
        assert!(allowance.take(start + Duration::from_secs(2)));
        assert!(!allowance.take(start + Duration::from_secs(2)));
        let later = start + Duration::from_hours(1);
        assert_eq!((0..100).filter(|_| allowance.take(later)).count(), 20, "it never holds more than a burst");
    }
}
