//! Waiting for something another process does, without sleeping and hoping.

use std::time::Duration;

use crate::clock::{now, pause};

/// How often a condition is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Tries `attempt` until it gives `Ok` or `deadline` has passed; then panics with `what` and the last thing seen.
#[track_caller]
pub fn eventually<T>(deadline: Duration, what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let started = now();
    loop {
        let last = match attempt() {
            Ok(value) => return value,
            Err(last) => last,
        };
        assert!(
            started.elapsed() < deadline,
            "not within {deadline:?}: {what}; last seen: {last}"
        );
        pause(POLL_INTERVAL);
    }
}
