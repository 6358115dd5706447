//! The only place that asks what time it is.
//! Everything else is told; a test moves the clock by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::UnixSeconds;

/// Whole seconds of wall time that never run backwards: the wall clock at the start plus monotonic time since, as
/// memcached keeps it, so that a step of the wall clock expires nothing. Cheap to clone and to ask (once per batch
/// of requests, not once per request).
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    System {
        started: Instant,
        started_unix_millis: u64,
    },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks for the time"
    )]
    #[must_use]
    pub fn system() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_unix_millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        Self(Kind::System {
            started: Instant::now(),
            started_unix_millis,
        })
    }

    /// A clock that stands still until [`advance`](Self::advance); clones move together.
    #[must_use]
    pub fn manual(now: UnixSeconds) -> Self {
        Self(Kind::Manual(Arc::new(AtomicU64::new(now.0))))
    }

    /// Moves a manual clock forward. The machine's clock moves by itself.
    pub fn advance(&self, seconds: u64) {
        if let Kind::Manual(now) = &self.0 {
            now.fetch_add(seconds, Ordering::Relaxed);
        }
    }

    /// The current second.
    #[must_use]
    pub fn now(&self) -> UnixSeconds {
        match &self.0 {
            Kind::System {
                started,
                started_unix_millis,
            } => {
                let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                UnixSeconds(started_unix_millis.saturating_add(millis) / 1000)
            }
            Kind::Manual(now) => UnixSeconds(now.load(Ordering::Relaxed)),
        }
    }

    /// The same time to the millisecond, since 1970.
    pub(crate) fn since_epoch(&self) -> Duration {
        match &self.0 {
            Kind::System {
                started,
                started_unix_millis,
            } => Duration::from_millis(*started_unix_millis) + started.elapsed(),
            Kind::Manual(now) => Duration::from_secs(now.load(Ordering::Relaxed)),
        }
    }
}

/// How long something takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks for the time"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still_and_moves_with_its_clones() {
        let clock = Clock::manual(UnixSeconds(1_700_000_000));
        let other = clock.clone();
        assert_eq!(other.now(), UnixSeconds(1_700_000_000));
        clock.advance(61);
        assert_eq!(other.now(), UnixSeconds(1_700_000_061));
    }

    #[test]
    fn the_system_clock_knows_the_century_and_does_not_run_backwards() {
        let clock = Clock::system();
        let first = clock.now();
        assert!(first > UnixSeconds(1_700_000_000));
        assert!(clock.now() >= first);
    }
}
