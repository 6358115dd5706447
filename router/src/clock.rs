//! The only place that asks for the time. Everything else is told.

use std::time::{Duration, Instant, SystemTime};

/// Monotonic time.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Unix time, for what is shown to people.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn unix() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
