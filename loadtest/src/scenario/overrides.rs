//! Command-line changes to a scenario, applied before it is checked.

/// Flags of every command that takes a scenario.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Overrides {
    /// Replace one value of the scenario, e.g. `--set load.rate=5000` or `--set cluster.hash=modulo` (repeatable).
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Seed of every random choice (0 to 2^63-1); default: the scenario's.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Open-loop arrivals per second; default: the scenario's.
    #[arg(long, value_name = "REQ/S")]
    pub rate: Option<f64>,
    /// Length of every timed measuring phase, e.g. `30s`; default: the scenario's.
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Multiply phases, event times and TTLs by this, e.g. 0.1; default 1.
    #[arg(long, value_name = "FACTOR")]
    pub time_scale: Option<f64>,
    /// Nodes and router as threads of this process instead of processes of their own.
    #[arg(long)]
    pub embedded: bool,
    /// One more threshold, e.g. `--threshold 'resize.hit_rate.min >= 0.6'` (repeatable).
    #[arg(long, value_name = "EXPR")]
    pub threshold: Vec<String>,
    /// Ignore the scenario's own thresholds; those of `--threshold` still count.
    #[arg(long)]
    pub no_thresholds: bool,
    /// Allow an attached cluster on other machines than this one.
    #[arg(long)]
    pub allow_remote: bool,
    /// Allow events that change an attached cluster, and `exec` and `http` events, which do what the file says.
    #[arg(long)]
    pub allow_destructive: bool,
}
