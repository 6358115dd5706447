//! `Outcome`: everything a run has to say, and the schema of `run.json`.
//!
//! Reports are drawn from this alone, so that `loadtest report` never needs the cluster. Rates and shares are
//! fractions of one, times are seconds from the start of the run unless the name says otherwise, latencies are
//! microseconds. What was never measured is `None`, never zero; "never recovered" is a value of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of this schema. A field added keeps it; a field changed or removed raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// One run, whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema: u32,
    /// `name` of the scenario.
    pub scenario: String,
    pub description: String,
    /// The one seed everything random was drawn from.
    pub seed: u64,
    /// When the run began, Unix seconds.
    pub started_unix_seconds: u64,
    /// How long it took, cluster start and stop included.
    pub elapsed_seconds: f64,
    /// True when the run was cut short (interrupt); the figures cover what was driven until then.
    pub interrupted: bool,
    pub cluster: ClusterFacts,
    pub workload: WorkloadFacts,
    /// Sums over the whole run.
    pub totals: Totals,
    /// Sums per phase, in the order they ran.
    pub phases: Vec<Phase>,
    /// One card per event, in the order they fired.
    pub events: Vec<EventCard>,
    /// One row per second (the last may be shorter).
    pub series: Vec<Row>,
    /// The same measured over equal numbers of gets ([`Row::requests`]), which is how a fast replay is read:
    /// its seconds mean nothing.
    pub request_series: Vec<Row>,
    /// One row per node and second.
    pub nodes: Vec<NodeRow>,
    /// One entry per node: its share of the load in the last warm phase, memory at the end.
    pub node_totals: Vec<NodeTotal>,
    pub skew: Skew,
    /// Response, service and lag, per phase and over all (`phase == ""`).
    pub latency: Vec<Latency>,
    pub generator: Generator,
    pub search: Option<SearchResult>,
    /// The first of the mismatches, in words.
    pub mismatch_examples: Vec<String>,
    /// The first of the stale reads, in words: key, versions, age, owner, event.
    pub stale_examples: Vec<String>,
    /// Set by `run` after the thresholds were evaluated.
    pub thresholds: Vec<ThresholdResult>,
    /// Rows of a comparison (`hash-shootout`): one per case. Empty for an ordinary run.
    pub cases: Vec<Case>,
    pub environment: Environment,
}

/// What was driven.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterFacts {
    /// `managed`, `embedded` or `attach`.
    pub mode: String,
    /// Names of the nodes at the start.
    pub nodes: Vec<String>,
    /// Name of the hash.
    pub hash: String,
    /// Whether requests went through a router.
    pub router: bool,
    /// Memory of one node, bytes.
    pub node_memory_bytes: u64,
    /// `cache-node` or the path of the other program.
    pub program: String,
}

/// What it was driven with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkloadFacts {
    /// One line for a person: `trace twitter_cluster52_1m, 1,000,000 requests` or `zipf 0.99 over 200,000 keys`.
    pub describe: String,
    /// `open` or `closed`.
    pub mode: String,
    /// Offered rate per second in the open loop.
    pub rate: Option<f64>,
    /// Distinct keys of the key space.
    pub keys: u64,
    /// Sum of key and value bytes over all keys.
    pub footprint_bytes: u64,
    /// Backing store capacity, reads per second; `None` when unlimited.
    pub backend_capacity: Option<f64>,
}

/// Counts; each is one client-visible request unless the name says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Arrivals that were sent or dropped.
    pub offered: u64,
    /// Answered (any answer but an error), timeouts excluded.
    pub done: u64,
    pub gets: u64,
    pub hits: u64,
    pub misses: u64,
    /// Writes of the workload itself, not fills.
    pub sets: u64,
    pub deletes: u64,
    /// Sets that filled a miss.
    pub fills: u64,
    /// Fills that the cache refused or did not answer. The user has the value already: no error of a request.
    pub fill_errors: u64,
    /// Gets that waited for a fill of the same key already on its way, then were sent again (replay only).
    pub coalesced: u64,
    /// Error replies, broken connections and timeouts, all operations.
    pub errors: u64,
    /// The share of `errors` that were timeouts.
    pub timeouts: u64,
    /// Arrivals never sent because `max_in_flight` was reached.
    pub dropped: u64,
    /// Reads the backing store was asked for, completed, gave up on.
    pub backend_reads: u64,
    pub backend_done: u64,
    pub backend_timeouts: u64,
    /// Hits whose value was another key's, damaged, or of a version never written. Must be zero.
    pub mismatches: u64,
    /// Hits with a version that was impossible by then: a write that began after it had ended was acknowledged before
    /// the get was sent.
    pub stale_reads: u64,
    /// The longest any of them had been impossible, milliseconds.
    pub stale_max_ms: u64,
    /// Hits whose value was checked for key and version.
    pub verified: u64,
    pub misses_by_reason: MissCounts,
}

impl Totals {
    /// Hits over hits and misses; errors are in neither. `None` without gets.
    pub fn hit_rate(&self) -> Option<f64> {
        ratio(self.hits, self.hits + self.misses)
    }

    /// Hits over gets issued: what the backing store feels.
    pub fn effective_hit_rate(&self) -> Option<f64> {
        ratio(self.hits, self.gets)
    }
}

/// `part / whole`, `None` for an empty whole.
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Misses by reason, in the order in which the first match decides. They sum to the misses
/// (`error` counts gets that failed, which are not misses, so that the chart shows them too).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MissCounts {
    /// The get failed: no hit, and no miss either.
    pub error: u64,
    /// Never stored in this run.
    pub compulsory: u64,
    /// Deleted by a client since it was stored.
    pub invalidated: u64,
    /// Its TTL had run out.
    pub expired: u64,
    /// Its owner is the same but lost its memory since (restart, flush).
    pub node_cold: u64,
    /// Its owner changed since it was stored.
    pub remapped: u64,
    /// None of these: lost for space.
    pub evicted: u64,
}

impl MissCounts {
    /// Names, in the order of [`MissCounts::values`].
    pub const NAMES: [&'static str; 7] = [
        "error",
        "compulsory",
        "invalidated",
        "expired",
        "node_cold",
        "remapped",
        "evicted",
    ];

    pub fn values(&self) -> [u64; 7] {
        [
            self.error,
            self.compulsory,
            self.invalidated,
            self.expired,
            self.node_cold,
            self.remapped,
            self.evicted,
        ]
    }

    /// All reasons but `error`: equals the misses.
    pub fn misses(&self) -> u64 {
        self.values().iter().skip(1).sum()
    }
}

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
    /// Baseline only: change of the hit rate, percentage points per 10 s; beyond ±0.1 the run was not warm.
    pub hit_rate_slope_pp_per_10s: Option<f64>,
    /// Baseline only: the hit rate stood still, but for chance. If not, what is called warm was not.
    pub is_warm: Option<bool>,
    /// Reads per second that reached the backing store.
    pub backend_rate: Option<f64>,
    /// The most of them in any one second of the phase.
    pub backend_peak: Option<f64>,
}

/// What one event did to the cluster, beside what theory said it would do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventCard {
    /// `add_node`, `remove_node`, `kill_node`, `restart_node`, `flush`, ….
    pub action: String,
    /// The nodes concerned; empty for all.
    pub nodes: Vec<String>,
    /// For a person: `add node n5`.
    pub label: String,
    /// The phase it fired in.
    pub phase: String,
    pub at_seconds: f64,
    /// The next get to be sent was number …
    pub at_request: u64,
    /// How long it took to carry out (process start, topology swap).
    pub took_seconds: f64,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Hit rate just before: the baseline phase if there was one since the last event, else the last 100,000
    /// gets (or fewer, as far as the last event).
    pub warm: Option<f64>,
    /// Lowest window between this event and its recovery (or the next event).
    pub low: Option<f64>,
    pub low_at_seconds: Option<f64>,
    /// Hit rate over the first so many gets after the event; `None` if there were fewer.
    pub first_1k: Option<f64>,
    pub first_5k: Option<f64>,
    pub first_10k: Option<f64>,
    pub first_20k: Option<f64>,
    pub predicted: Prediction,
    /// First window at 95 % of warm that holds for 3 windows.
    pub recovery_95: Recovery,
    /// Highest second of backing store reads over the baseline's mean.
    pub amplification: Option<f64>,
    /// Extra backing store reads from the event to its recovery.
    pub miss_debt: Option<f64>,
    /// The same in seconds of the baseline's backing store load.
    pub miss_debt_seconds: Option<f64>,
    /// Remapped share by the difference of the topologies: of the very keys that were measured if there were any,
    /// else of all keys seen.
    pub remap_predicted: Option<Remap>,
    /// Found by looking into the nodes before the event and at its end: keys asked for in between that are now held
    /// by a node that did not hold them.
    pub remap_measured: Option<Remap>,
    /// By the difference of the topologies, over all keys seen when the event fired.
    pub remap_all: Option<Remap>,
    /// Gets after the event of keys whose owner changed or lost its memory, and of all others, until the next event.
    pub affected: HitCount,
    pub unaffected: HitCount,
    /// Misses between the event and its recovery (or the next event), by reason.
    pub misses: MissCounts,
    /// At the end of a warm-up: what was copied from the old nodes.
    pub copies: Option<Copies>,
}

/// Keys looked at in the pool that was left and in the one that took over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Copies {
    /// Keys that the old nodes have.
    pub originals: u64,
    /// Of these, keys that the new ones have.
    pub copied: u64,
    /// Of these, copies that live on when the original has expired.
    pub outliving: u64,
}

impl EventCard {
    /// What the event moved: of all keys seen if that is known, else of those that were looked for. (The keys looked
    /// for in the nodes are the ones a single node held, which after an earlier event is no fair sample of all.)
    #[must_use]
    pub fn moved(&self) -> Option<Remap> {
        self.remap_all.or(self.remap_measured).or(self.remap_predicted)
    }
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

/// What theory says of an event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prediction {
    /// `(1 − f)·warm + f·cold` over the first window; f is the share of keys that went cold.
    pub low: Option<f64>,
    pub first_1k: Option<f64>,
    pub first_5k: Option<f64>,
    pub first_10k: Option<f64>,
    pub first_20k: Option<f64>,
    /// Gets until the predicted curve is back at 95 % of warm.
    pub recovery_requests: Option<u64>,
    /// `1 + f·h / (1 − h)`.
    pub amplification: Option<f64>,
    /// What the formula of the scheme gives for the share of keys (`1/(n+1)`, …).
    pub key_fraction_formula: Option<f64>,
}

/// When the hit rate was back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Recovery {
    /// No warm rate to compare with, or too few gets to tell.
    #[default]
    Unknown,
    /// Not before the next event or the end of the run: infinite to a threshold.
    Never,
    /// Seconds and gets from the event to the end of the first window that was back.
    After { seconds: f64, requests: u64 },
}

/// How much of the key space changed owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remap {
    /// Keys looked at.
    pub keys: u64,
    /// Those with another owner than before.
    pub moved: u64,
    pub key_fraction: f64,
    /// Keys weighted by the gets they had had when the event fired.
    pub request_weighted: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HitCount {
    pub hits: u64,
    pub misses: u64,
}

impl HitCount {
    pub fn rate(&self) -> Option<f64> {
        ratio(self.hits, self.hits + self.misses)
    }
}

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

/// One case of a comparison, beside its reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Case {
    /// `flush`, `add_node`, `remove_node`.
    pub event: String,
    pub hash: String,
    pub nodes: u32,
    pub warm: Option<f64>,
    pub first_5k: Option<f64>,
    pub first_20k: Option<f64>,
    pub recovery_requests: Option<u64>,
    /// The mixture law over the first 20,000.
    pub predicted_20k: Option<f64>,
    pub remap_predicted: Option<Remap>,
    pub remap_measured: Option<Remap>,
    /// By the difference of the topologies, over all keys seen.
    pub remap_all: Option<Remap>,
    pub key_fraction_formula: Option<f64>,
    /// Published or simulated figures for the same case.
    pub reference: Option<CaseReference>,
    /// Every figure within the tolerance of its reference.
    pub within_tolerance: Option<bool>,
    pub mismatches: u64,
    pub requests: u64,
    pub elapsed_seconds: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaseReference {
    pub warm: f64,
    pub first_5k: f64,
    pub first_20k: f64,
    pub recovery_requests: u64,
    /// Largest difference that counts as agreement (0.015 is 1.5 percentage points).
    pub tolerance: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    pub loadtest_version: String,
    pub os: String,
    pub cpu_model: String,
    pub cpus: u32,
    pub command: String,
    /// Versions the servers reported, by node name.
    pub versions: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
}
