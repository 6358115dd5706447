//! The wire's `exptime`, and what it means once the time is known.
//! The clock is the caller's: nothing here asks what time it is.

/// Seconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub u64);

/// An expiry time as it stands on the wire, in seconds: zero, negative, relative or Unix time
/// (protocol.txt, "Expiration times"). [`Exptime::expiry`] gives it its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Exptime(pub i64);

/// When an item stops being visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expiry {
    /// It may stay until it is evicted.
    Never,
    /// It is gone before anybody can read it.
    Immediately,
    /// It is gone once the clock shows this second.
    At(UnixSeconds),
}

impl Exptime {
    /// The largest exptime still read as "seconds from now": 30 days (protocol.txt, "Expiration times").
    pub const RELATIVE_MAX: i64 = 60 * 60 * 24 * 30;

    /// Never expires.
    pub const NEVER: Self = Self(0);

    /// Reads the number against `now`.
    #[inline]
    #[must_use]
    pub fn expiry(self, now: UnixSeconds) -> Expiry {
        let at = match self.0 {
            0 => return Expiry::Never,
            ..0 => return Expiry::Immediately,
            1..=Self::RELATIVE_MAX => UnixSeconds(now.0.saturating_add(self.0.unsigned_abs())),
            _ => UnixSeconds(self.0.unsigned_abs()),
        };
        if at <= now {
            Expiry::Immediately
        } else {
            Expiry::At(at)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exptime_means_never_now_relative_or_absolute() {
        let now = UnixSeconds(1_700_000_000);
        for (exptime, expiry) in [
            (0, Expiry::Never),
            (-1, Expiry::Immediately),
            (i64::MIN, Expiry::Immediately),
            (1, Expiry::At(UnixSeconds(1_700_000_001))),
            (2_592_000, Expiry::At(UnixSeconds(1_702_592_000))),
            (2_592_001, Expiry::Immediately),
            (1_700_000_000, Expiry::Immediately),
            (1_700_000_001, Expiry::At(UnixSeconds(1_700_000_001))),
            (i64::MAX, Expiry::At(UnixSeconds(i64::MAX.unsigned_abs()))),
        ] {
            assert_eq!(Exptime(exptime).expiry(now), expiry, "exptime {exptime}");
        }
    }
}
