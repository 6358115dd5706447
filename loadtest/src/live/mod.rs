//! Progress while a run happens. The run loop sends `Progress` snapshots; a view draws them and never slows the run.

use std::time::Duration;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ViewKind {
    /// `tui` on a terminal, `plain` elsewhere.
    Auto,
    /// A few lines redrawn in place.
    Tui,
    /// One line a second.
    Plain,
    /// One JSON object a second, and the outcome as the last line.
    Json,
    /// Nothing until the end card.
    Quiet,
}

/// What is known right now; sent up to ten times a second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Since the start of the run.
    pub elapsed: Duration,
    /// Index into the scenario's phases and the share of it that is done, 0 to 1.
    pub phase: usize,
    pub phase_done: f64,
    /// Share of the whole run that is done, 0 to 1.
    pub run_done: f64,
    pub requests: u64,
    /// Over the last second.
    pub rate: f64,
    pub hit_rate: Option<f64>,
    pub hit_rate_predicted: Option<f64>,
    /// Mean over the baseline phase; `None` before there is one.
    pub hit_rate_warm: Option<f64>,
    /// Queries per second at the backing store, and how many wait.
    pub backend_rate: f64,
    pub backend_queue: u64,
    pub p99: Option<Duration>,
    /// Since the start of the run.
    pub errors: u64,
    pub dropped: u64,
    pub mismatches: u64,
    /// Nodes in the pool now.
    pub nodes_up: usize,
    pub nodes: usize,
}

/// What the run loop tells a view.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    Progress(Progress),
    /// A line worth keeping: a phase began, an event fired, a node answered.
    Log { elapsed: Duration, text: String },
}

/// Where the run loop sends updates. Must return at once.
pub trait Observer: Send + Sync {
    fn update(&self, update: Update);
}

/// Swallows everything (`--view quiet`, tests).
pub struct Silent;

impl Observer for Silent {
    fn update(&self, _update: Update) {}
}
