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

/// Microseconds since the process first asked: what threads compare with each other.
pub(crate) fn micros() -> u64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(now);
    u64::try_from(now().duration_since(*START).as_micros()).unwrap_or(u64::MAX)
}
