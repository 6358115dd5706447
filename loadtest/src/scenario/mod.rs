//! What a run is: cluster, workload, load, backing store, phases, events and thresholds, already checked.
//! Knows nothing of sockets, processes or clocks; `file` reads it from TOML, `drive` and `cluster` act on it.

pub mod action;
pub mod builtin;
mod diagnostic;
mod emit;
mod event;
mod file;
mod hash;
mod histogram;
mod load;
mod matrix;
mod overrides;
pub mod preset;
mod quantity;
mod reader;
mod sections;
mod stages;
pub mod threshold;
mod timeline;
mod tree;
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use cluster::HashKind;
use serde::{Deserialize, Serialize};

pub use action::{Action, Cut, Direction, KillSignal, Memory, NodeRef, Shift, WarmUp};
pub use diagnostic::{Diagnostic, Origin, Source, nearest};
pub use file::{from_text, load};
pub use overrides::Overrides;
pub use quantity::{bytes_text, time_text};
pub use stages::{Course, Stage};

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

// ---- cluster ----------------------------------------------------------------------------------

#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSpec {
    pub mode: ClusterMode,
    /// Nodes at the start, 1 to 64. Named `node1`, `node2`, …; an added node takes the next free number.
    pub nodes: usize,
    pub node: NodeSpec,
    /// `None`: direct mode, the load generator hashes for itself and talks to the nodes.
    pub router: Option<RouterSpec>,
    pub hash: HashKind,
    /// Every node holds every key (the router's replicated pool) instead of its share.
    pub replicated: bool,
    pub on_node_down: OnNodeDown,
}

impl ClusterSpec {
    /// Name of the `index`-th node (0-based): `node1` for 0.
    #[must_use]
    pub fn node_name(index: usize) -> String {
        format!("node{}", index + 1)
    }

    /// Name of the `index`-th node of the gutter (0-based).
    #[must_use]
    pub fn gutter_name(index: usize) -> String {
        format!("gutter{}", index + 1)
    }

    /// Spare nodes that stand by for dead ones.
    #[must_use]
    pub fn gutter(&self) -> usize {
        match self.on_node_down {
            OnNodeDown::Gutter(nodes) => nodes,
            OnNodeDown::Miss | OnNodeDown::Eject => 0,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum ClusterMode {
    /// Real processes on loopback, started and stopped by the run.
    Managed,
    /// Nodes and router as threads of this process: fast and self-contained; cannot be killed with a signal.
    Embedded,
    /// Somebody else's cluster. Only events that go through the router or the protocol are possible.
    Attach {
        router: Option<String>,
        router_admin: Option<String>,
        nodes: Vec<String>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct NodeSpec {
    /// Memory limit of each node, bytes (`-m`).
    pub memory_bytes: u64,
    pub threads: usize,
    /// Extra arguments for the node's command line.
    pub args: Vec<String>,
    /// What it spreads TTLs by, if `[workload]` says.
    pub ttl_jitter: Option<f64>,
    /// Another memcached-speaking program to start instead of our own cache-node (it gets `-l 127.0.0.1 -p PORT -m MiB -t N -U 0`).
    pub program: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RouterSpec {
    pub threads: usize,
    pub args: Vec<String>,
}

/// What happens to the keys of a node that died (not removed on purpose).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNodeDown {
    /// Its keys miss until it is back; the server list stays (the router's default).
    Miss,
    /// Its keys go to the other nodes until it is back: the server list shrinks.
    Eject,
    /// Its keys go to so many spare nodes that stand by empty, and do not stay there for long.
    Gutter(usize),
}

// ---- workload ---------------------------------------------------------------------------------

#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Distinct keys. For a trace: those the trace has, `keys` is ignored.
    pub keys: u64,
    pub popularity: Popularity,
    /// Key length in bytes (the number is padded to it); ignored by traces.
    pub key_size: Distribution,
    /// Value length in bytes; drawn once per key from the seed, so a key keeps its size. Ignored by traces.
    pub value_size: Distribution,
    pub mix: Mix,
    /// Keys per get; 1 is a plain get.
    pub multiget: u32,
    /// Share of the gets that ask for a key nobody asks for again: one-hit wonders.
    pub lone_get: f64,
    /// `None`: items never expire.
    pub ttl: Option<Ttl>,
    pub fill: Fill,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Popularity {
    Uniform,
    /// Exact Zipf over ranks, any `alpha` ≥ 0.
    Zipf {
        alpha: f64,
    },
    /// `ops` of the requests go to `data` of the keys (both fractions).
    Hotspot {
        data: f64,
        ops: f64,
    },
    /// Zipf over how recently keys were written: the newest is the most popular, and every write makes a new one.
    Latest {
        alpha: f64,
    },
    /// Buckets of keys alike, the most popular keys first.
    Histogram(Vec<Bucket>),
    /// Rows of a trace replayed in order.
    Trace(TraceSpec),
}

/// So many keys that have this share of the requests together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub keys: u64,
    pub share: f64,
}

impl Popularity {
    /// How fast a trace's own times are gone through, if they are.
    #[must_use]
    pub fn speed(&self) -> Option<f64> {
        match self {
            Self::Trace(trace) => trace.speed,
            Self::Uniform
            | Self::Zipf { .. }
            | Self::Hotspot { .. }
            | Self::Latest { .. }
            | Self::Histogram(_) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct TraceSpec {
    pub source: TraceSource,
    /// Rows to replay at most.
    pub limit: Option<u64>,
    /// Start again from the top when the rows run out.
    pub repeat: bool,
    /// Every row so many times, each under a key of its own.
    pub amplify: u32,
    /// The open loop's arrivals are the trace's own, so many times as fast; `None` leaves them to `[load]`.
    pub speed: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TraceSource {
    /// The packaged trace: first 1,000,000 requests of Twitter's cluster 52.
    TwitterC52,
    /// `time_s,key,size[,op,ttl]` with a header row, `.csv` or `.csv.gz`.
    File(PathBuf),
}

/// Shares of requests; they sum to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    pub get: f64,
    pub set: f64,
    pub delete: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ttl {
    pub base: Duration,
    /// ± this fraction, uniform, drawn per store.
    pub jitter: f64,
    /// By whom; `None`: by the load generator, and the nodes do what they do anyway.
    pub jitter_by: Option<JitterBy>,
    /// Several TTLs and the share of the stores that get each; empty: `base` for all.
    pub mix: Vec<(Duration, f64)>,
}

/// Who spreads TTLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JitterBy {
    /// The load generator alone: the nodes keep to what they are told.
    Loadtest,
    /// The nodes: all are told the same.
    Node,
}

/// What a cache-node spreads TTLs by unless told otherwise.
const NODE_JITTER: f64 = 0.1;

impl Ttl {
    /// The share by which stores of one TTL differ on their way to the nodes.
    #[must_use]
    pub fn drawn_jitter(&self) -> f64 {
        match self.jitter_by {
            Some(JitterBy::Node) => 0.0,
            Some(JitterBy::Loadtest) | None => self.jitter,
        }
    }

    /// The share of its TTL by which a node may let an item expire early, whatever the TTLs are.
    #[must_use]
    pub fn early(ttl: Option<&Self>) -> f64 {
        match ttl.and_then(|ttl| Some((ttl.jitter_by?, ttl.jitter))) {
            Some((JitterBy::Node, jitter)) => jitter,
            Some((JitterBy::Loadtest, _)) => 0.0,
            None => NODE_JITTER,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// A miss asks the backing store and sets what it got.
    Lookaside,
    /// Of all who miss a key one is told to fill it; the others wait for it.
    Lease,
    /// As look-aside; and a write goes to the backing store before it goes to the cache.
    WriteThrough,
    /// As look-aside, under keys that carry the version: a write makes a new key and leaves the old one be.
    Versioned,
    /// A miss stays a miss.
    None,
}

/// A number to be drawn, in mutilate's syntax (`fixed:200`, `gev:30.8,8.2,0.08`). Units are those of the field.
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    Fixed(f64),
    /// Uniform over `min..=max`.
    Uniform {
        min: f64,
        max: f64,
    },
    Normal {
        mean: f64,
        sd: f64,
    },
    Exponential {
        mean: f64,
    },
    /// Generalised Pareto: `loc + scale·(U^-shape − 1)/shape`.
    Pareto {
        loc: f64,
        scale: f64,
        shape: f64,
    },
    /// Generalised extreme value: `loc + scale·(E^-shape − 1)/shape`, E ~ Exp(1).
    Gev {
        loc: f64,
        scale: f64,
        shape: f64,
    },
    /// Value sizes of Facebook's ETC pool: a table up to 14 bytes, then 15 + generalised Pareto.
    FbValue,
    /// Mean of the variable itself (not of its logarithm), `sigma` of the logarithm.
    Lognormal {
        mean: f64,
        sigma: f64,
    },
}

// ---- load and backing store -------------------------------------------------------------------

#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    pub mode: LoadMode,
    /// Open loop only: where the rate goes from the start of the run on.
    pub stages: Vec<Stage>,
    pub connections: usize,
    /// A reply later than this is an error.
    pub timeout: Duration,
    /// Open loop only: arrivals beyond this many unanswered requests are dropped and counted.
    pub max_in_flight: usize,
    pub retries: Retries,
    pub threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LoadMode {
    /// Arrivals at `rate` per second whatever the replies do; latency counts from the intended start.
    Open { rate: f64, arrival: Arrival },
    /// As fast as replies come, `pipeline` requests outstanding per connection. No meaningful latency under load.
    Closed { pipeline: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    Poisson,
    Constant,
    /// So many at the same moment; the moments are as far apart as Poisson arrivals.
    Burst(u32),
}

impl Load {
    /// The rate over time; `None` in a closed loop.
    #[must_use]
    pub fn course(&self) -> Option<Course<'_>> {
        match self.mode {
            LoadMode::Open { rate, .. } => Some(Course {
                rate,
                stages: &self.stages,
            }),
            LoadMode::Closed { .. } => None,
        }
    }
}

/// The simulated backing store a miss must ask.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendSpec {
    /// Queries per second it can complete; 0 is unlimited.
    pub capacity: f64,
    /// Service time when idle, seconds.
    pub latency: Distribution,
    /// Waiting queries at most; beyond it a query fails at once. 0 is unbounded.
    pub queue_max: usize,
    pub queue_order: QueueOrder,
    /// The client gives up after this long.
    pub timeout: Duration,
    /// Fill the cache from an answer that came after the client gave up.
    pub late_fill: bool,
    /// A client that gives up takes its query out of the queue.
    pub cancel: bool,
    /// Queries for each read; it is answered when the last of them is.
    pub scatter: u32,
    /// Share of the queries that fail.
    pub fail: f64,
}

/// Whose turn it is of those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueOrder {
    /// Who came first.
    Fifo,
    /// Who came last: the one most likely to be still waiting for the answer.
    Lifo,
}

/// What a client does when the backing store does not answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retries {
    /// Times it asks again.
    pub max: u8,
    /// After so long.
    pub backoff: Duration,
    /// Retries at most, as a share of the reads asked for the first time; `None` is no limit.
    pub budget: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CheckSpec {
    /// Keys asked of the router (`__mcrouter__.route`) around each event to hold its map against ours. 0: none.
    pub sample_keys: u32,
}

/// Looks for the highest rate that is answered in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// At this quantile, response time is at most so much.
    pub limit: Duration,
    pub quantile: f64,
    /// Requests per second, between which it is looked for.
    pub from: f64,
    pub to: f64,
}

// ---- timeline ---------------------------------------------------------------------------------

#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    pub name: String,
    pub kind: PhaseKind,
    pub length: PhaseLength,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseKind {
    /// Filling the cache; not part of any verdict.
    Warmup,
    /// The warm hit rate is the mean over the latest baseline phase before an event.
    Baseline,
    Measure,
    /// Tries the rate that `[search]` wants tried next.
    Search,
    Cooldown,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PhaseLength {
    Time(Duration),
    /// Requests issued.
    Requests(u64),
    /// Until the hit rate moves less than `slope` (fraction) over `over`, at most `max`.
    UntilSteady {
        slope: f64,
        over: Duration,
        max: Duration,
    },
    /// Until a trace has no more rows.
    TraceEnd,
}

/// A moment, counted from the start of the run or of a phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// Index into `phases`; `None` is the start of the run.
    pub phase: Option<usize>,
    pub offset: Offset,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Offset {
    Time(Duration),
    /// After this many requests have been issued since the moment's origin.
    Requests(u64),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub at: Moment,
    pub action: Action,
    /// The words of the file: `resize+0s`.
    pub at_text: String,
}

// ---- thresholds -------------------------------------------------------------------------------

#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As written: `resize.hit_rate.min >= 0.75 * steady.hit_rate`. Checked against the metric names of this scenario.
    pub expr: String,
    pub why: Option<String>,
    pub condition: threshold::Condition,
    /// It fails once it has not held for this long without a break; zero: if it does not hold at the end.
    pub lasting: Duration,
    /// The run ends when it fails.
    pub abort: bool,
}

// ---- matrix -----------------------------------------------------------------------------------

/// Every hash times every case, each on a fresh cluster with the same workload and seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    pub hashes: Vec<HashKind>,
    pub cases: Vec<MatrixCase>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MatrixCase {
    /// `4 nodes, add 1`.
    pub name: String,
    pub nodes: usize,
    pub action: Action,
    /// Requests issued before the action, the baseline among them.
    pub warm_requests: u64,
    /// The warm hit rate is the mean over the last so many of them.
    pub baseline_requests: u64,
    /// Requests issued after it.
    pub after_requests: u64,
    /// Reference figures per hash, to print beside ours. `any` holds for every hash.
    pub expected: Vec<Expected>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// `None`: every hash.
    pub hash: Option<HashKind>,
    /// Hit rates, fractions.
    pub warm: f64,
    pub first_5k: f64,
    pub first_20k: f64,
    pub to_95_requests: u64,
    /// Largest difference allowed, as a fraction.
    pub tolerance: f64,
}

#[cfg(test)]
mod tests;
