//! The one place of this crate that asks for the time or waits for it to pass.

use std::time::{Duration, Instant};

/// Now, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the tests' clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Lets `duration` pass: for a poll interval or a TTL that must run out, never in the hope that something happened.
#[expect(clippy::disallowed_methods, reason = "the tests' clock")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
