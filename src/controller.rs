//! The operator: one owner of memory that ticks on the interval, with reflex passes between. Ticks never overlap; a late one is counted and the
//! missed ones are left out, never caught up.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};

use crate::domain::names::GroupId;
use crate::ports::Clock;
use crate::tick::{Published, Ticker};

/// What the last tick published, for everybody who reads; `None` before the first.
pub type PublishedReceiver = watch::Receiver<Option<Arc<Published>>>;

/// When ticks and reflex passes are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// Between ticks.
    pub interval: Duration,
    /// Between reflex passes; zero for none.
    pub reflex: Duration,
}

/// Runs until `stop` resolves. A tick that is under way then is left at its next pause; what it had begun is in the ledger.
pub async fn run(
    mut ticker: Ticker,
    clock: Arc<dyn Clock>,
    rhythm: Rhythm,
    published: watch::Sender<Option<Arc<Published>>>,
    mut asks: mpsc::Receiver<GroupId>,
    stop: impl Future<Output = ()>,
) -> Ticker {
    let forever = async {
        let mut due = clock.now();
        loop {
            clock.sleep_until(due).await;
            let (lateness, missed) = lateness(due, clock.now(), rhythm.interval);
            ticker.count_lateness(lateness, missed);
            while let Ok(group) = asks.try_recv() {
                ticker.ask(group);
            }
            // A failure was logged and counted where it happened; the next tick tries anew.
            if let Ok(view) = ticker.tick().await {
                published.send_replace(Some(Arc::new(view)));
            }
            let left_out;
            (due, left_out) = next_due(due, clock.now(), rhythm.interval);
            ticker.count_left_out(left_out);
            while !rhythm.reflex.is_zero() {
                let reflex_at = plus(clock.now(), rhythm.reflex);
                if reflex_at >= due {
                    break;
                }
                clock.sleep_until(reflex_at).await;
                let _ = ticker.reflex().await;
            }
        }
    };
    tokio::pin!(stop);
    tokio::select! {
        biased;
        () = &mut stop => {}
        () = forever => {}
    }
    ticker
}

/// How late a tick begins, and whether that counts: more than a tenth of the interval does.
fn lateness(due: Timestamp, now: Timestamp, interval: Duration) -> (Duration, u64) {
    let late = Duration::try_from(now.duration_since(due)).unwrap_or_default();
    (late, u64::from(late > interval / 10))
}

/// The next multiple of the interval after `due` that is not in the past, and how many were left out on the way there.
fn next_due(due: Timestamp, now: Timestamp, interval: Duration) -> (Timestamp, u64) {
    let next = plus(due, interval);
    if next >= now {
        return (next, 0);
    }
    let behind = Duration::try_from(now.duration_since(next)).unwrap_or_default();
    let steps = behind.as_nanos().div_ceil(interval.as_nanos().max(1));
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    (plus(next, interval.saturating_mul(steps)), u64::from(steps))
}

fn plus(at: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration).ok().and_then(|d| at.checked_add(d).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn missed_ticks_are_left_out_and_never_caught_up() {
        let minute = Duration::from_mins(1);
        assert_eq!(next_due(at(0), at(20), minute), (at(60), 0));
        assert_eq!(next_due(at(0), at(60), minute), (at(60), 0));
        assert_eq!(next_due(at(0), at(61), minute), (at(120), 1));
        assert_eq!(next_due(at(0), at(300), minute), (at(300), 4));
    }

    #[test]
    fn a_tick_late_by_more_than_a_tenth_is_counted() {
        let minute = Duration::from_mins(1);
        assert_eq!(lateness(at(60), at(66), minute), (Duration::from_secs(6), 0));
        assert_eq!(lateness(at(60), at(67), minute), (Duration::from_secs(7), 1));
        assert_eq!(lateness(at(60), at(59), minute), (Duration::ZERO, 0));
    }
}
