//! One second, or one window, of the run and of a node; and what a node did in all.

use serde::{Deserialize, Serialize};

use super::{HitCount, MissCounts};

/// One window of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    /// Start and length, seconds.
    pub t: f64,
    pub seconds: f64,
    /// Number of the first get in it.
    pub first_request: u64,
    /// Gets finished in it (hits and misses and errors).
    pub requests: u64,
    pub phase: String,
    /// Arrivals and answers per second.
    pub rate_offered: f64,
    pub rate_done: f64,
    pub hits: u64,
    pub misses: u64,
    pub hit_rate: Option<f64>,
    pub effective_hit_rate: Option<f64>,
    /// What the mixture law says for this window; `None` before the first warm rate is known.
    pub predicted: Option<f64>,
    /// Keys the last event made cold, and the others: the built-in control group. `None` before any event.
    pub affected: Option<HitCount>,
    pub unaffected: Option<HitCount>,
    /// Backing store: reads per second that arrived, and its queue at the end of the window.
    pub backend_rate: f64,
    pub backend_queue: u64,
    /// Response time (from the intended start), µs.
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
    pub errors: u64,
    pub stale: u64,
    pub dropped: u64,
    pub misses_by_reason: MissCounts,
}

/// One node in one second, from its `stats` and from /proc.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeRow {
    pub t: f64,
    pub node: String,
    pub up: bool,
    /// Since the last row.
    pub gets: u64,
    pub hits: u64,
    pub sets: u64,
    pub evictions: u64,
    /// As they stand.
    pub items: u64,
    pub bytes: u64,
    /// Resident memory, when the process is ours to look at.
    pub rss_bytes: Option<u64>,
    /// CPU seconds used since the last row.
    pub cpu_seconds: Option<f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeTotal {
    pub node: String,
    /// `node` or `router`.
    pub role: String,
    /// Running at the end of the run.
    pub up: bool,
    /// Share of all gets that reached nodes, and of items held at the end.
    pub get_share: f64,
    pub item_share: f64,
    pub gets: u64,
    pub hits: u64,
    pub items: u64,
    pub bytes: u64,
    pub evictions: u64,
    pub rss_bytes_max: Option<u64>,
    pub cpu_seconds: Option<f64>,
}

/// Largest over mean, per node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Skew {
    pub requests: Option<f64>,
    pub items: Option<f64>,
    pub bytes: Option<f64>,
    /// Standard deviation of a node's share over its mean that the scheme predicts for keys.
    pub predicted_share_sd: Option<f64>,
}
