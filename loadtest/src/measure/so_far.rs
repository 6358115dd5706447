//! How a run stands while it goes on: the sums of its phases in a form that can be told every second.

use super::outcome::Totals;

/// A histogram as Prometheus has it: each bucket counts all that are at most its bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cumulative {
    pub counts: Vec<u64>,
    pub count: u64,
    pub sum_seconds: f64,
}

/// One phase's sums.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PhaseSoFar {
    pub name: String,
    /// `warmup`, `baseline`, `measure` or `cooldown`.
    pub kind: String,
    pub totals: Totals,
    pub response: Cumulative,
    pub service: Cumulative,
    pub lag: Cumulative,
}
