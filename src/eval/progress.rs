//! How far a run is, on one line of a terminal's stderr; silent where stderr is none.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::units::GoDuration;

/// Characters of the bar.
const WIDTH: usize = 24;
/// The line is drawn anew at most so often.
const EVERY: Duration = Duration::from_millis(100);

/// Counts finished cells and draws the line.
#[derive(Debug)]
pub struct Progress {
    total: usize,
    begun: Instant,
    shown: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    done: usize,
    /// Of these, found finished: they took no time, and say nothing of what is left.
    found: usize,
    drawn: Option<Instant>,
}

impl Progress {
    /// Of `total` cells.
    #[must_use]
    pub fn new(total: usize) -> Self {
        Self { total, begun: Instant::now(), shown: std::io::stderr().is_terminal(), state: Mutex::default() }
    }

    /// One more is done: run now, or found finished.
    pub fn advance(&self, found: bool, name: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += 1;
        state.found += usize::from(found);
        let due = state.drawn.is_none_or(|drawn| drawn.elapsed() >= EVERY) || state.done == self.total;
        if self.shown && due {
            state.drawn = Some(Instant::now());
            // What cannot be drawn is no reason to stop.
            let _ = write!(std::io::stderr().lock(), "\r{}\x1b[K", line(state.done, state.found, self.total, self.begun.elapsed(), name));
        }
    }

    /// Takes the line away.
    pub fn finish(&self) {
        if self.shown {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// The line: at most 79 characters, so that it does not wrap.
fn line(done: usize, found: usize, total: usize, elapsed: Duration, name: &str) -> String {
    let filled = WIDTH * done / total.max(1);
    let bar = format!("{}{}", "█".repeat(filled), "░".repeat(WIDTH.saturating_sub(filled)));
    let ran = done.saturating_sub(found);
    let left = if ran == 0 || done == total {
        String::new()
    } else {
        let seconds = elapsed.as_secs_f64() / ran as f64 * total.saturating_sub(done) as f64;
        format!("  {} left", GoDuration::from_secs(seconds.ceil() as u64))
    };
    format!("{bar} {done}/{total}{left}  {name}").chars().take(79).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_much_is_done_and_what_is_left() {
        let minute = Duration::from_mins(1);
        assert_eq!(line(30, 0, 120, minute, "shop ipa"), "██████░░░░░░░░░░░░░░░░░░ 30/120  3m left  shop ipa");
        assert_eq!(line(30, 20, 120, minute, "shop ipa"), "██████░░░░░░░░░░░░░░░░░░ 30/120  9m left  shop ipa", "found cells took no time");
        assert_eq!(line(120, 0, 120, minute, "x"), "████████████████████████ 120/120  x");
        assert_eq!(line(5, 5, 10, minute, "x"), "████████████░░░░░░░░░░░░ 5/10  x");
        assert_eq!(line(1, 0, 2, minute, &"long".repeat(40)).chars().count(), 79);
        assert_eq!(line(0, 0, 0, minute, "").chars().filter(|c| *c == '░').count(), WIDTH);
    }
}
