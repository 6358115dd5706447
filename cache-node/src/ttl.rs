//! TTL jitter: how an exptime becomes the second at which an item stops being visible.
//! Draws nothing and asks no clock: both are given.

use protocol::{Expiry, Exptime, UnixSeconds};

/// Which way jitter moves a TTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JitterMode {
    /// Shorter or longer, equally likely.
    #[default]
    Symmetric,
    /// Only shorter: an item is never staler than asked.
    Early,
}

/// How much and which way TTLs are moved, so that items stored together do not expire together.
///
/// Moved are relative exptimes (1 second to 30 days). Zero (never), negative (at once) and Unix times, which name a
/// moment the client means, are left alone, and so are TTLs too short to move by a whole second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter {
    /// Share of the TTL by which it may move, in thousandths (at most 1000).
    pub permille: u32,
    /// Which way.
    pub mode: JitterMode,
}

impl Jitter {
    /// TTLs are kept to the second.
    pub const NONE: Self = Self {
        permille: 0,
        mode: JitterMode::Symmetric,
    };

    /// The expiry of `exptime` at `now`, moved by `draw`, a uniformly random number made for this store or touch.
    #[inline]
    #[must_use]
    pub fn expiry(self, exptime: Exptime, now: UnixSeconds, draw: u32) -> Expiry {
        self.apply(exptime, draw).expiry(now)
    }

    /// The exptime moved by `draw`: uniform over the whole seconds within reach, both ends included.
    #[inline]
    #[must_use]
    pub fn apply(self, exptime: Exptime, draw: u32) -> Exptime {
        let ttl = exptime.0;
        if self.permille == 0 || !(1..=Exptime::RELATIVE_MAX).contains(&ttl) {
            return exptime;
        }
        let reach = ttl * i64::from(self.permille.min(1000)) / 1000;
        if reach == 0 {
            return exptime;
        }
        let choices = match self.mode {
            JitterMode::Symmetric => 2 * reach + 1,
            JitterMode::Early => reach + 1,
        };
        // Maps 32 random bits onto the choices without a division; the bias is below choices / 2^32.
        let pick = (i64::from(draw) * choices) >> 32;
        // At least one second stays, and no TTL grows into the range that means a Unix time.
        Exptime((ttl - reach + pick).clamp(1, Exptime::RELATIVE_MAX))
    }
}
