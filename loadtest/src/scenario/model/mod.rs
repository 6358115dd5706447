//! A checked scenario, as plain data.

mod cluster;
mod load;
mod matrix;
mod timeline;
mod workload;

pub use cluster::{ClusterMode, ClusterSpec, NodeSpec, OnNodeDown, RouterSpec};
pub use load::{Arrival, BackendSpec, CheckSpec, Load, LoadMode, QueueOrder, Retries, Search};
pub use matrix::{Expected, Matrix, MatrixCase};
pub use timeline::{Event, Moment, Offset, Phase, PhaseKind, PhaseLength, Threshold};
pub use workload::{
    Bucket, Distribution, Fill, JitterBy, Mix, Popularity, TraceSource, TraceSpec, Ttl, Workload,
};

/// A checked scenario: every name resolves, every number is in range, every event has a node to act on.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Short name; also names the run's folder. `[a-z0-9-]` for built-ins, any text in a user's file.
    pub name: String,
    /// One sentence about what the run shows.
    pub description: String,
    /// One line of arithmetic: what theory says will happen.
    pub theory: String,
    /// The one seed: same keys, sizes, arrival times and random choices.
    pub seed: u64,
    /// Factor already applied to phases, event times and TTLs (1.0: as written).
    pub time_scale: f64,
    pub cluster: ClusterSpec,
    pub workload: Workload,
    pub load: Load,
    pub backend: BackendSpec,
    pub check: CheckSpec,
    pub search: Option<Search>,
    /// In order; at least one.
    pub phases: Vec<Phase>,
    /// In the order in which they fire where that is known beforehand, else as written; each waits for its own moment.
    pub events: Vec<Event>,
    pub thresholds: Vec<Threshold>,
    /// A cross product of hashes and cases, each run on a fresh cluster (`hash-shootout`). `phases` and `events` are empty then.
    pub matrix: Option<Matrix>,
}
