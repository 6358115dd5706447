//! One phase, and what was expected and searched for in it.

use serde::{Deserialize, Serialize};

use super::Totals;

/// A phase of the timeline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phase {
    pub name: String,
    /// `warmup`, `baseline`, `measure` or `cooldown`.
    pub kind: String,
    pub start_seconds: f64,
    pub end_seconds: f64,
    /// Position in the stream of gets: first, and one past the last.
    pub start_request: u64,
    pub end_request: u64,
    pub totals: Totals,
    pub hit_rate: Option<f64>,
    /// Lowest and highest hit rate of a window inside the phase.
    pub hit_rate_min: Option<f64>,
    pub hit_rate_max: Option<f64>,
    /// What theory says of nodes that are full and hold as much as these did; or, with a TTL, of items that expire. Only where
    /// nothing else happens: gets of keys drawn independently, no event in the phase.
    pub hit_rate_predicted: Option<f64>,
    /// Baseline only: change of the hit rate, percentage points per 10 s; beyond ±0.1 the run was not warm.
    pub hit_rate_slope_pp_per_10s: Option<f64>,
    /// Baseline only: the hit rate stood still, but for chance. If not, what is called warm was not.
    pub is_warm: Option<bool>,
    /// Reads per second that reached the backing store.
    pub backend_rate: Option<f64>,
    /// The most of them in any one second of the phase.
    pub backend_peak: Option<f64>,
    /// What theory says of it where the TTLs of all keys began in the same moment.
    pub backend_peak_predicted: Option<f64>,
}

/// A threshold that is watched while the run goes on, and did not hold for a while.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Breach {
    /// Number of the threshold, from 0.
    pub threshold: usize,
    /// The longest time without a break.
    pub longest_seconds: f64,
    /// That was long enough to fail it.
    pub counts: bool,
    pub ended_run: bool,
}

/// What a search for the highest rate found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    /// Requests per second that held the limit; 0 if none did.
    pub capacity: f64,
    pub probes: Vec<Probe>,
}

/// One rate that was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probe {
    pub rate: f64,
    /// Response time at the search's quantile.
    pub latency_us: u64,
    pub held: bool,
}

/// One threshold after the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThresholdResult {
    pub expr: String,
    pub why: String,
    pub passed: bool,
    /// The two sides as they came out: `0.661 >= 0.543`.
    pub detail: String,
}
