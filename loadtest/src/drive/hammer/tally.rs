//! What came of a benchmark, counted.

use crate::measure::histogram::Latencies;

/// What came of one target.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests answered; a multiget is one.
    pub requests: u64,
    /// Keys asked for by gets, and found.
    pub gets: u64,
    pub hits: u64,
    pub sets: u64,
    pub errors: u64,
    pub timeouts: u64,
    pub mismatches: u64,
    pub first_mismatch: Option<String>,
    /// Arrivals that found `max_in_flight` requests unanswered.
    pub dropped: u64,
    pub get_latency: Latencies,
    pub set_latency: Latencies,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.gets += other.gets;
        self.hits += other.hits;
        self.sets += other.sets;
        self.errors += other.errors;
        self.timeouts += other.timeouts;
        self.mismatches += other.mismatches;
        self.dropped += other.dropped;
        if self.first_mismatch.is_none() {
            self.first_mismatch.clone_from(&other.first_mismatch);
        }
        self.get_latency.add(&other.get_latency);
        self.set_latency.add(&other.set_latency);
    }
}
