//! One second of a run, whole: what the live page draws and `/metrics` tells. Plain data; the run loop fills it.

use serde::Serialize;

use crate::measure::outcome::{Row, Totals};
use crate::measure::so_far::PhaseSoFar;

/// Upper bounds of the latency buckets told to Prometheus, µs: 100 µs to 10 s.
pub const LATENCY_BOUNDS_US: [u64; 16] = [
    100, 250, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// A second that is over, and how everything stands at its end.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Second {
    pub row: Row,
    /// Hit rate before the last change; `None` before there is one to compare with.
    pub warm: Option<f64>,
    /// The phases so far, the current one last. Only the last ones, whose figures still move.
    #[serde(skip)]
    pub phases: Vec<PhaseSoFar>,
    pub nodes: Vec<NodeNow>,
    /// Every event carried out so far.
    pub events: Vec<EventNow>,
    /// The event the timeline waits for.
    pub next: Option<NextEvent>,
    pub totals: Totals,
    /// Reads per second the backing store can answer now; `None` when unlimited. An event may have changed it.
    pub backend_capacity: Option<f64>,
    /// Schedule lag since the start, µs: beyond 10 ms the figures are the generator's, not the cluster's.
    pub lag_p99_us: u64,
}

/// One node as last looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NodeNow {
    pub node: String,
    pub up: bool,
    /// In the pool.
    pub member: bool,
    /// Since the look before.
    pub gets: u64,
    pub hits: u64,
    pub evictions: u64,
    pub items: u64,
    pub bytes: u64,
}

/// An event that was carried out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EventNow {
    pub action: String,
    pub nodes: Vec<String>,
    pub label: String,
    pub at_seconds: f64,
    pub warm: Option<f64>,
    pub error: Option<String>,
}

/// What comes next.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NextEvent {
    pub label: String,
    /// On the run's clock; `None` while its phase has not begun or its moment is a number of requests.
    pub at_seconds: Option<f64>,
}
