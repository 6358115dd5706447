//! Sums: requests and their ends, misses by reason, hits.

use serde::{Deserialize, Serialize};

/// Counts; each is one client-visible request unless the name says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Arrivals that were sent or dropped.
    pub offered: u64,
    /// Answered (any answer but an error), timeouts excluded.
    pub done: u64,
    pub gets: u64,
    pub hits: u64,
    pub misses: u64,
    /// Writes of the workload itself, not fills.
    pub sets: u64,
    pub deletes: u64,
    /// Sets that filled a miss.
    pub fills: u64,
    /// Fills that the cache refused or did not answer. The user has the value already: no error of a request.
    pub fill_errors: u64,
    /// Gets that waited for a fill of the same key already on its way, then were sent again (replay only).
    pub coalesced: u64,
    /// Error replies, broken connections and timeouts, all operations.
    pub errors: u64,
    /// The share of `errors` that were timeouts.
    pub timeouts: u64,
    /// Arrivals never sent because `max_in_flight` was reached.
    pub dropped: u64,
    /// Reads the backing store was asked for, completed, gave up on.
    pub backend_reads: u64,
    pub backend_done: u64,
    pub backend_timeouts: u64,
    /// Hits whose value was another key's, damaged, or of a version never written. Must be zero.
    pub mismatches: u64,
    /// Hits with a version that was impossible by then: a write that began after it had ended was acknowledged before
    /// the get was sent.
    pub stale_reads: u64,
    /// Of these, hits of keys whose last acknowledged change was a delete: it did not reach every copy.
    pub lost_deletes: u64,
    /// The longest any of them had been impossible, milliseconds.
    pub stale_max_ms: u64,
    /// Hits whose value was checked for key and version.
    pub verified: u64,
    pub misses_by_reason: MissCounts,
}

impl Totals {
    /// Hits over hits and misses; errors are in neither. `None` without gets.
    pub fn hit_rate(&self) -> Option<f64> {
        ratio(self.hits, self.hits + self.misses)
    }

    /// Hits over gets issued: what the backing store feels.
    pub fn effective_hit_rate(&self) -> Option<f64> {
        ratio(self.hits, self.gets)
    }
}

/// `part / whole`, `None` for an empty whole.
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Misses by reason, in the order in which the first match decides. They sum to the misses
/// (`error` counts gets that failed, which are not misses, so that the chart shows them too).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MissCounts {
    /// The get failed: no hit, and no miss either.
    pub error: u64,
    /// Never stored in this run.
    pub compulsory: u64,
    /// Deleted by a client since it was stored.
    pub invalidated: u64,
    /// Its TTL had run out.
    pub expired: u64,
    /// Its owner is the same but lost its memory since (restart, flush).
    pub node_cold: u64,
    /// Its owner changed since it was stored.
    pub remapped: u64,
    /// None of these: lost for space.
    pub evicted: u64,
}

impl MissCounts {
    /// Names, in the order of [`MissCounts::values`].
    pub const NAMES: [&'static str; 7] = [
        "error",
        "compulsory",
        "invalidated",
        "expired",
        "node_cold",
        "remapped",
        "evicted",
    ];

    pub fn values(&self) -> [u64; 7] {
        [
            self.error,
            self.compulsory,
            self.invalidated,
            self.expired,
            self.node_cold,
            self.remapped,
            self.evicted,
        ]
    }

    /// All reasons but `error`: equals the misses.
    pub fn misses(&self) -> u64 {
        self.values().iter().skip(1).sum()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HitCount {
    pub hits: u64,
    pub misses: u64,
}

impl HitCount {
    pub fn rate(&self) -> Option<f64> {
        ratio(self.hits, self.hits + self.misses)
    }
}
