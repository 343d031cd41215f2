//! Waiting for the world to get somewhere.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Often enough that a test loses no time, seldom enough that waiting costs the two cores nothing.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks again until it succeeds. An error of `ask` means "not yet", and its text is what was last seen: it is shown
/// when the deadline passes.
pub async fn wait_until<T>(what: &str, deadline: Duration, mut ask: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(value) => return Ok(value),
            Err(last_seen) if start.elapsed() > deadline => {
                return Err(last_seen).with_context(|| format!("waited {deadline:?} until {what}, in vain; what was last seen"));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
