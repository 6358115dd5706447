//! How long requests took; and whether the generator may be believed.

use serde::{Deserialize, Serialize};

/// Latency of one phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Empty for the whole run.
    pub phase: String,
    /// Done − intended start: what a user waits.
    pub response: Percentiles,
    /// Done − sent: what the server took.
    pub service: Percentiles,
    /// Sent − intended start: how late the generator (or its queue) was.
    pub lag: Percentiles,
}

/// A latency histogram, told. Microseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Percentiles {
    pub count: u64,
    pub mean_us: f64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p95_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub p9999_us: u64,
    pub max_us: u64,
    /// `(upper bound of the bucket in µs, count)` of every bucket that is not empty, ascending.
    pub buckets: Vec<(u64, u64)>,
}

/// Whether the generator kept up. A run it lagged in is invalid, not slow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Generator {
    pub valid: bool,
    /// Why not.
    pub why: Option<String>,
    pub lag_p99_us: u64,
    pub dropped_fraction: f64,
    /// CPU seconds of the generator, and as a share of one core while it drove.
    pub cpu_seconds: f64,
    pub cpu_share: f64,
    /// CPU seconds of the nodes and of the router in the same time.
    pub nodes_cpu_seconds: f64,
    pub router_cpu_seconds: f64,
    /// True when queues grew for 30 s after the last event at no more than the old load: metastable failure.
    pub metastable: bool,
}
